"""The command as a process of its own that is a fork of the tests' process: what takes half a second to import is there already.

Descriptors, signals, the working folder and the environment are those of a process that is started. What the test has patched is
patched there too. What is about the interpreter's own start needs ``cropper_program`` instead: see conftest.py.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from cropper.cli import main, supervision
from cropper.model import device, saliency

CAN_FORK = sys.platform == "linux"


class Forked(subprocess.Popen[Any]):
    """A process that has all of ``Popen``. Its command is the arguments of ``cropper``."""

    def _execute_child(
        self,
        args: Sequence[str | bytes | os.PathLike[str]],
        executable: object,
        preexec_fn: Callable[[], object] | None,
        close_fds: bool,
        pass_fds: Sequence[int],
        cwd: str | None,
        env: dict[str, str] | None,
        startupinfo: object,
        creationflags: int,
        shell: bool,
        *streams_and_others: Any,
    ) -> None:
        streams, others = streams_and_others[:6], streams_and_others[6:]
        taken, _, _, given, _, said = streams
        is_session = others[5]
        self.pid = os.fork()
        if not self.pid:
            try:
                if is_session:
                    os.setsid()
                _arrange({0: taken, 1: given, 2: said}, pass_fds)
                os.chdir(cwd or os.curdir)
                if env is not None:
                    os.environ.clear()
                    os.environ.update(env)
                if preexec_fn is not None:
                    preexec_fn()
                sys.argv = ["cropper", *map(os.fsdecode, args)]
                _run()
            finally:
                os._exit(70)
        self._child_created = True
        self._close_pipe_fds(*streams)  # type: ignore[attr-defined]


def _arrange(streams: dict[int, int], kept: Sequence[int]) -> None:
    """Give the process its standard streams, and close all other files of the tests."""
    faulthandler.disable()
    for stream, descriptor in streams.items():
        if descriptor != -1:
            os.dup2(descriptor, stream)
    for name in os.listdir("/proc/self/fd"):
        if (descriptor := int(name)) > 2 and descriptor not in kept:
            with suppress(OSError):  # that of the listing itself
                os.close(descriptor)


def _opened(stream: int, mode: str, errors: str) -> Any:
    """A standard stream as the interpreter opens it: None if it is closed."""
    try:
        os.fstat(stream)
    except OSError:
        return None
    return open(stream, mode, encoding="utf-8", errors=errors, buffering=-1 if stream < 2 else 1, closefd=False)


def _run() -> NoReturn:
    """Run the command and end as the interpreter does."""
    atexit._clear()
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout, sys.stderr = _opened(0, "r", "strict"), _opened(1, "w", "strict"), _opened(2, "w", "backslashreplace")
    supervision.can_fork = lambda: True  # type: ignore[attr-defined]  # it has no threads, whatever is loaded
    saliency.load_session = device.load_session  # type: ignore[attr-defined]  # not the one that the tests share
    code: Any = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        code = 120
    os._exit(code)
