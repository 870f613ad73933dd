"""Fork a child, send signals on to it, wait for its end, and say how it ended."""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from cropper.errors import CropperError
from cropper.process.journal import Clocks, Journal

if TYPE_CHECKING:
    pass


# What native code dies of, and SIGKILL, which is what a system that is out of memory sends.
_DEADLY = ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE", "SIGTRAP", "SIGSYS", "SIGKILL")
_STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")
# Seconds for a signal to come to the child as well, before it is sent on.
_TOGETHER = 0.2
# Seconds before a process is tried again that the system had no room for, or that it may have killed for want of memory.
_PAUSES = tuple(0.25 * 2**n for n in range(8))
_SET_DEATH_SIGNAL = 1  # of Linux's prctl


def can_fork() -> bool:
    """Whether this process can fork safely: on Linux, with one thread and no large library loaded yet."""
    if sys.platform != "linux" or "numpy" in sys.modules or threading.active_count() > 1:
        return False
    try:
        import ctypes  # numpy loads it anyway

        return hasattr(ctypes.CDLL(None), "prctl") and len(os.listdir("/proc/self/task")) == 1
    except (ImportError, OSError):
        return False


class NoProcessError(CropperError):
    """The system has no room for one more process."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"no process can be begun ({error.strerror})", remedy="run again with fewer others")


@dataclass(frozen=True)
class Signals:
    """Those that ask a run to stop, as they come to this process."""

    held: tuple[signal.Signals, ...]
    reading: int  # a byte for each


@dataclass(frozen=True)
class _Child:
    process: int
    reading: int  # a byte for each signal that it gets; closed when it is dead


@dataclass(frozen=True)
class ChildEnd:
    """How a child ended.

    Attributes:
        code: the exit code, if it came to its end by itself.
        how: what it died of otherwise; empty if it was ended for a photo that took too long.
        overdue: that photo, or several.
    """

    code: int | None
    how: str = ""
    overdue: tuple[str, ...] = ()


@contextmanager
def held_signals() -> Iterator[Signals]:
    """Take what would stop this process, to send it on."""

    def note(number: int, frame: FrameType | None) -> None:
        """The pipe has it."""

    numbers = [getattr(signal, name) for name in _STOPPING]
    held = tuple(number for number in numbers if signal.getsignal(number) is signal.default_int_handler)
    # Ignored, as it is where whoever began us had it so, a child's end would never be told to us.
    is_deaf = signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    here = os.getpid()
    try:
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise NoProcessError(error) from error
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)  # first, so that none is noted but not written
    try:
        for number in held:
            signal.signal(number, note)
        if is_deaf:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        yield Signals(held, reading)
    finally:
        if os.getpid() == here:  # a child has its own by now
            for number in held:
                signal.signal(number, signal.default_int_handler)
            if is_deaf:
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


def pause(signals: Signals, seconds: float) -> None:
    """Wait, or raise KeyboardInterrupt if a signal comes."""
    if _ready([signals.reading], seconds):
        raise KeyboardInterrupt


def _ready(descriptors: list[int], seconds: float | None) -> set[int]:
    """Those that can be read, or have come to their end, as soon as there is one or the time is up."""
    poll = select.poll()  # where many files are open, select cannot take their numbers
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(None if seconds is None else math.ceil(seconds * 1000))}


def fork_child(signals: Signals, is_trial: bool = False, at_once: bool = False) -> _Child | None:
    """Begin a child; None in it. It has the signals as they were, or in a trial none, and dies with this process.

    Raises:
        KeyboardInterrupt: if a signal came in a pause.
        _NoProcessError: if there is no room for it, after all pauses or at once.
    """
    left = [] if at_once else list(_PAUSES)
    while True:
        try:
            return _fork(signals, is_trial)
        except OSError as error:
            if not left:
                raise NoProcessError(error) from error
        pause(signals, left.pop(0))


def _fork(signals: Signals, is_trial: bool) -> _Child | None:
    import ctypes

    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    parent, libc = os.getpid(), ctypes.CDLL(None)
    # What comes in between waits, and meets the child with its own handlers.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals.held)
    try:
        try:
            process = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            raise
        if process:
            os.close(writing)
            return _Child(process, reading)
        libc.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it was quicker
            os._exit(1)
        os.close(reading)
        for number in signals.held:
            signal.signal(number, signal.SIG_IGN if is_trial else signal.default_int_handler)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def wait_for_child(
    child: _Child | None, journal: Journal, signals: Signals, allowed: Callable[[str], float], is_trial: bool = False
) -> ChildEnd:
    """Wait for a child's end: send signals on, and end it if a photo takes longer than it may."""
    assert child is not None
    overdue: tuple[str, ...] = ()
    clocks = Clocks(journal, allowed("")) if allowed("") else None
    ours: list[tuple[int, float]] = []  # signals that came to this process alone so far, and when
    theirs: list[float] = []  # when the child got one that did not come here so far
    sent = 0
    interrupted = False
    while True:
        attention = clocks.attention if clocks is not None else None
        ready = _ready([child.reading, signals.reading], _TOGETHER if ours else attention)
        now = time.monotonic()
        if signals.reading in ready:
            ours += [(number, now) for number in os.read(signals.reading, 100)]
            interrupted = True
            if is_trial:
                os.kill(child.process, signal.SIGKILL)
        if child.reading in ready:
            got = len(os.read(child.reading, 100))
            if not got:
                break
            interrupted = True
            theirs += [now] * max(got - sent, 0)
            sent = max(sent - got, 0)
        # One that came to both, as a terminal's Ctrl-C does, is not sent on.
        both = min(len(ours), len(theirs))
        ours, theirs = ours[both:], [moment for moment in theirs[both:] if now - moment < _TOGETHER]
        while ours and now - ours[0][1] >= _TOGETHER:
            os.kill(child.process, ours.pop(0)[0])
            sent += 1
        if clocks is not None and not overdue:
            overdue = clocks.late(allowed)
            if overdue:
                os.kill(child.process, signal.SIGKILL)
    os.close(child.reading)
    code = os.waitstatus_to_exitcode(os.waitpid(child.process, 0)[1])
    if is_trial and interrupted:
        raise KeyboardInterrupt
    return _told(code, journal.code, overdue, interrupted)


def _told(code: int, said: int | None, overdue: tuple[str, ...], interrupted: bool) -> ChildEnd:
    """What an exit code means, or a signal, with what the child has said of its end.

    Raises:
        KeyboardInterrupt: if it died with a signal on its way, so that there is nothing to go on with.
    """
    if said is not None:
        return ChildEnd(code if code >= 0 else said)  # or it died on the way out, with all done
    if code >= 0 and interrupted:
        return ChildEnd(code)
    if interrupted:
        raise KeyboardInterrupt
    if code >= 0:
        return ChildEnd(None, f"exit code {code}")
    how = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if overdue and code == -signal.SIGKILL:
        return ChildEnd(None, "", overdue)
    if how not in _DEADLY:  # somebody's will, which is for us as well
        with suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return ChildEnd(None, how)
