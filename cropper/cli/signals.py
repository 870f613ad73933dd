"""Hold the signals back that stop a command: Ctrl-C, a service manager's stop, a closed terminal; and end the process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from cropper.cli.exit_codes import INTERRUPTED
from cropper.cli.terminal import log
from cropper.process.stop import has_come, interrupting


@dataclass
class Interrupt:
    """An interrupt that waits to be raised.

    Attributes:
        came: whether the signal has come.
    """

    came: bool = False

    def let_through(self) -> None:
        """Raise KeyboardInterrupt if the signal has come."""
        if self.came:
            raise KeyboardInterrupt


@contextmanager
def held_back() -> Iterator[Interrupt]:
    """Hold the first interrupt back until the body lets it through.

    Between two arbitrary instructions an interrupt could lose the photo in hand. A second interrupt ends the process at once,
    like a kill: the user does not want to wait.
    """
    interrupt = Interrupt(has_come())  # an import that may fail can have swallowed it

    def note(number: int, frame: FrameType | None) -> None:
        if interrupt.came:
            said = "cropper: stopped at once; run the same command to continue"
            log(said)
            # Not through Python's buffer, which may be in use at this moment.
            with suppress(OSError, ValueError, AttributeError):
                os.write(sys.stderr.fileno(), f"\n{said}\n".encode())
            os._exit(INTERRUPTED)
        interrupt.came = True

    held = interrupting()
    for number in held:
        signal.signal(number, note)
    try:
        yield interrupt
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)


def end_without(threads: str, code: int) -> None:
    """End the process at once if threads with this prefix in their names still work. Python would wait for them."""
    if any(thread.name.startswith(threads) for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, AttributeError):  # a closed stream is None
                stream.flush()
        os._exit(code)


def end_at_once(code: str | int | None) -> None:
    """End the process, and leave what it loaded to the system: Python takes it apart piece by piece, which takes a while.

    Return where Python has more to do than that: say something, wait for threads, write what a profiler found. An interrupted
    command waits for no thread, and Python may end one by SIGINT whatever its code.
    """
    waits = threading.active_count() > 1 and code != INTERRUPTED
    if isinstance(code, str) or waits or sys.getprofile() is not None or sys.gettrace() is not None:
        return
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):  # Python says that too
        return
    os._exit(code or 0)
