"""What stops a command: Ctrl-C, a service manager's stop, a terminal that goes away."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


def end_as_interrupted() -> None:
    """Let a service manager's stop, or a terminal that goes away, end a command as carefully as Ctrl-C does."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # Ignored already, by nohup for example, it stays so.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Hold the first interrupt back until the body calls what it is given, which raises it as KeyboardInterrupt.

    An interrupt that comes between any two instructions can lose what was in hand between them. A second one is not held back:
    someone has waited long enough.
    """
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            signal.default_int_handler(number, frame)
        came = True

    def let_through() -> None:
        if came:
            raise KeyboardInterrupt

    held = [
        number
        for name in ("SIGINT", "SIGTERM", "SIGHUP")
        if (number := getattr(signal, name, None)) and signal.getsignal(number) is signal.default_int_handler
    ]
    for number in held:
        signal.signal(number, note)
    try:
        yield let_through
    finally:
        for number in held:
            signal.signal(number, signal.default_int_handler)
