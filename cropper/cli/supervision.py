"""Run ``cropper batch`` in a supervised child process, where the system can fork."""

from __future__ import annotations

import functools
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cropper.cli.caller import Caller
from cropper.cli.exit_codes import INTERRUPTED
from cropper.cli.terminal import end_log, forgiven, is_terminal, say, tell
from cropper.process.child import can_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from cropper.cli.help import Function
    from cropper.process.supervisor import Attempt
    from cropper.storage.places import Place


STOPPED = "interrupted; finished photos are on disk; run the same command to continue"


def supervised(command: Function) -> Function:
    """Run the command in a child process where the system can fork. The command receives ``attempt``: what this child is to do.

    If ``focus_file`` can be read only once, the command also receives ``focus_copy``, which can be read again.

    Put decorators that load a library below this one: the parent process forks before they run.
    """

    @functools.wraps(command)
    def with_supervisor(*, source: Place, out: Place, focus_file: Path | None, deadline: float, **others: Any) -> int:
        from cropper.process.supervisor import Attempt, supervise

        others = {**others, "source": source, "out": out, "focus_file": focus_file}
        if not may_fork():
            return command(attempt=Attempt(), **others)
        if focus_file is not None and not focus_file.is_file():  # a pipe, which can be read only once
            kept = os.memfd_create("focus")
            with open(kept, "wb", closefd=False) as copy:
                copy.write(focus_file.read_bytes())
            others["focus_copy"] = Path(f"/proc/self/fd/{kept}")

        def work(attempt: Attempt) -> int:
            if attempt.alone is not None:
                end_log()  # a trial says nothing
            if scratch is not None:
                _use_scratch(scratch)
            return command(attempt=attempt, **others)

        def report(message: str) -> None:
            if is_terminal(sys.stderr):
                with forgiven():
                    click.echo("\r\x1b[K", nl=False, err=True)  # erase the progress bar of the child that died
            tell(message)

        # For an OUT in a storage the child keeps a ledger in this folder, and leaves it behind if it dies.
        with _scratch() if out.is_remote else nullcontext() as scratch:
            try:
                return supervise(work, source, deadline, report)
            except KeyboardInterrupt:
                say(STOPPED)
                return INTERRUPTED

    with_supervisor.is_supervised = True  # type: ignore[attr-defined]
    return with_supervisor


def _scratch() -> AbstractContextManager[str]:
    from tempfile import TemporaryDirectory

    return TemporaryDirectory(prefix="cropper-")


def alone_with_little_memory(run: Callable[[], int | None], command: Callable[..., Any] | None) -> int | None:
    """Run a command. If memory is limited, a child process runs it: where a library ends the child, the parent says why.

    Args:
        run: runs it.
        command: its function. A supervised one has a child anyway.
    """
    if getattr(command, "is_supervised", False) or not may_fork():
        return run()

    from cropper.process.memory import is_memory_limited

    if not is_memory_limited():
        return run()

    from cropper.process.last_words import with_last_words

    return with_last_words(lambda: run() or 0)


def may_fork() -> bool:
    """Return whether the command may fork: no other program runs it, and no large library is loaded yet."""
    caller = click.get_current_context().obj or Caller()
    return caller.is_program and can_fork()


def _use_scratch(folder: str) -> None:
    """Put temporary files into a folder, after removing what the last process left there."""
    import shutil
    import tempfile

    tempfile.tempdir = folder
    for name in os.listdir(folder):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
