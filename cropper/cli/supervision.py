"""A supervisor for ``cropper batch``, where there can be one."""

from __future__ import annotations

import functools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from cropper.cli.terminal import INTERRUPTED, say
from cropper.process.child import can_fork
from cropper.process.supervisor import Attempt, supervise

if TYPE_CHECKING:
    from cropper.storage.places import Place


@dataclass(frozen=True)
class Caller:
    """What the command line is run by, click's ``obj``.

    Attributes:
        is_program: whether the process is for nothing else. Another program's is not forked: its own code would go on twice.
    """

    is_program: bool = False


STOPPED = "interrupted; what is finished is on disk, and the same command goes on from there"


def supervised(command: Callable[..., int]) -> Callable[..., int]:
    """Have the command run in a child where that can be: ``attempt`` to the command, and what it is to do.

    Where ``focus_file`` can be read but once, ``focus_copy`` to the command is where it can be read again.

    All that loads a library has to be below it.
    """

    @functools.wraps(command)
    def with_supervisor(
        *, source: Place, out: Place, focus_file: Path | None, deadline: float, quiet: bool, **others: Any
    ) -> int:
        others = {**others, "source": source, "out": out, "focus_file": focus_file, "quiet": quiet}
        caller = click.get_current_context().obj or Caller()
        if not caller.is_program or not can_fork():
            return command(attempt=Attempt(), **others)
        if focus_file is not None and not focus_file.is_file():  # a pipe, which gives what it has but once
            kept = os.memfd_create("focus")
            with open(kept, "wb", closefd=False) as copy:
                copy.write(focus_file.read_bytes())
            others["focus_copy"] = Path(f"/proc/self/fd/{kept}")

        def work(attempt: Attempt) -> int:
            if scratch is not None:
                _use_scratch(scratch)
            return command(attempt=attempt, **others)

        def tell(message: str) -> None:
            if sys.stderr is not None and sys.stderr.isatty():
                click.echo("\r\x1b[K", nl=False, err=True)  # the bar of the one that died
            if not quiet:
                say(message)

        # Of an OUT in a storage a child keeps a ledger here, which stays behind where it dies.
        with TemporaryDirectory(prefix="cropper-") if out.is_remote else nullcontext() as scratch:
            try:
                return supervise(work, source, deadline, tell)
            except KeyboardInterrupt:
                say(STOPPED)
                return INTERRUPTED

    option = click.option(
        "--deadline",
        metavar="SECONDS",
        type=click.FloatRange(0),
        default=120,
        show_default=True,
        help="A photo whose pixels take longer fails; 0 for no limit. On Linux, or on a cluster.",
    )
    return option(with_supervisor)


def _use_scratch(folder: str) -> None:
    """Have temporary files go to a folder, after what the last process left there has gone."""
    tempfile.tempdir = folder
    for name in os.listdir(folder):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
