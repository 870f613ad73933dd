"""What stops a command: Ctrl-C, a service manager's stop, a terminal that goes away."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from cropper.cli.terminal import INTERRUPTED


def end_as_interrupted() -> None:
    """Let a service manager's stop, or a terminal that goes away, end a command as carefully as Ctrl-C does."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # Ignored already, by nohup for example, it stays so.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


@dataclass
class Interrupt:
    """An interrupt that is held back.

    Attributes:
        came: whether one has come.
    """

    came: bool = False

    def let_through(self) -> None:
        """Raise it as KeyboardInterrupt, if it has come."""
        if self.came:
            raise KeyboardInterrupt


@contextmanager
def held_back() -> Iterator[Interrupt]:
    """Hold the first interrupt back until the body lets it through.

    An interrupt that comes between any two instructions can lose what was in hand between them. A second one ends the process at
    once, as a kill would: someone has waited long enough.
    """
    interrupt = Interrupt()

    def note(number: int, frame: FrameType | None) -> None:
        if interrupt.came:
            # Past Python's buffer, which may be in use just now.
            with suppress(OSError, ValueError, AttributeError):
                os.write(sys.stderr.fileno(), b"\ncropper: stopped at once; the same command goes on from there\n")
            os._exit(INTERRUPTED)
        interrupt.came = True

    held = [
        number
        for name in ("SIGINT", "SIGTERM", "SIGHUP")
        if (number := getattr(signal, name, None)) and signal.getsignal(number) is signal.default_int_handler
    ]
    for number in held:
        signal.signal(number, note)
    try:
        yield interrupt
    finally:
        for number in held:
            signal.signal(number, signal.default_int_handler)


def end_without(threads: str, code: int) -> None:
    """End the process at once if threads whose names begin so are still at work, which Python would wait for."""
    if any(thread.name.startswith(threads) for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, AttributeError):  # None where it was closed
                stream.flush()
        os._exit(code)
