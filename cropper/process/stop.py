"""Remember that a signal to stop has come: an error that comes out later counts as the interrupt.

The signal raises KeyboardInterrupt in whatever runs. If that is the start of a C extension, an ImportError comes out instead.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")
INTERRUPTED = 130  # the exit code

_came_in: int | None = None  # the process that the signal came to: a fork begins anew


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal to stop as Python handles Ctrl-C, and remember it."""
    global _came_in
    _came_in = os.getpid()
    raise KeyboardInterrupt


def end_as_interrupted() -> None:
    """Treat a service manager's stop and a closed terminal like Ctrl-C, and forget a signal that an earlier command received."""
    global _came_in
    _came_in = None
    for name, usual in zip(STOPPING, (signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL), strict=True):
        number = getattr(signal, name, None)
        # A signal that is ignored already, by nohup for example, stays ignored.
        if number is not None and signal.getsignal(number) is usual:
            with suppress(ValueError):  # only the main thread of a program may set them
                signal.signal(number, interrupt)


def interrupting() -> dict[signal.Signals, Any]:
    """Return the signals that raise KeyboardInterrupt now, each with its handler."""
    numbers = [getattr(signal, name) for name in STOPPING if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    return {number: handler for number, handler in handlers.items() if handler in (interrupt, signal.default_int_handler)}


def has_come() -> bool:
    """Tell whether a signal to stop has come to this process."""
    return _came_in == os.getpid()


@contextmanager
def errors_as_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt for any error of the body if a signal to stop has come."""
    try:
        yield
    except Exception as error:
        if has_come():
            raise KeyboardInterrupt from error
        raise
