"""Fork a child, forward signals to it, wait for its end, and report how it ended."""

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

from cropper.errors import CropperError
from cropper.process.journal import Clocks, Journal
from cropper.process.stop import interrupt, interrupting

# Signals that kill crashing native code, and SIGKILL, which a system out of memory sends.
_DEADLY = ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE", "SIGTRAP", "SIGSYS", "SIGKILL")
# Seconds to wait for the child to receive a signal by itself before this process forwards it.
_TOGETHER = 0.2
# Seconds between attempts to fork when the system has no room for another process.
_PAUSES = tuple(0.25 * 2**n for n in range(8))
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl


def can_fork() -> bool:
    """Return whether this process can fork safely: on Linux, with one thread, and before numpy is loaded."""
    if sys.platform != "linux" or "numpy" in sys.modules or threading.active_count() > 1:
        return False
    try:
        import ctypes  # numpy loads it anyway

        return hasattr(ctypes.CDLL(None), "prctl") and len(os.listdir("/proc/self/task")) == 1
    except (ImportError, OSError):
        return False


class NoProcessError(CropperError):
    """The system has no room for another process."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot start another process ({error.strerror})", remedy="run again with fewer other processes")


@dataclass(frozen=True)
class Signals:
    """The signals that ask a run to stop, as this process receives them."""

    held: tuple[signal.Signals, ...]
    reading: int  # file descriptor; one byte for each signal


@dataclass(frozen=True)
class Child:
    """A forked process that this one waits for."""

    process: int
    reading: int  # file descriptor; one byte for each signal that the child receives, closed when the child dies


@dataclass(frozen=True)
class ChildEnd:
    """How a child ended.

    Attributes:
        code: the exit code if the child finished by itself, else None.
        how: the cause of death otherwise, such as ``SIGSEGV``; empty if the child was killed because photos took too long.
        overdue: paths of the photos that took too long, relative to IN.
    """

    code: int | None
    how: str = ""
    overdue: tuple[str, ...] = ()


@contextmanager
def held_signals() -> Iterator[Signals]:
    """Catch the signals that would stop this process, to forward them to a child.

    Raises:
        NoProcessError: if the system has no room for a pipe.
    """

    def note(number: int, frame: FrameType | None) -> None:
        """Do nothing: the wakeup pipe records the signal."""

    held = interrupting()
    # This process may inherit an ignored SIGCHLD; waitpid would then never report the child's exit code.
    is_deaf = signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    here = os.getpid()
    try:
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise NoProcessError(error) from error
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)  # before the handlers, so that no caught signal is lost
    try:
        for number in held:
            signal.signal(number, note)
        if is_deaf:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        yield Signals(tuple(held), reading)
    finally:
        if os.getpid() == here:  # a child has set its own handlers
            for number, handler in held.items():
                signal.signal(number, handler)
            if is_deaf:
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


def pause(signals: Signals, seconds: float) -> None:
    """Wait so many seconds; raise KeyboardInterrupt if a signal arrives."""
    if _ready([signals.reading], seconds):
        raise KeyboardInterrupt


def _ready(descriptors: list[int], seconds: float | None) -> set[int]:
    """Wait until a descriptor is readable or closed, or the time is up; return those that are."""
    poll = select.poll()  # select cannot take the high descriptor numbers of a process with many open files
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(None if seconds is None else math.ceil(seconds * 1000))}


def fork_child(signals: Signals, is_trial: bool = False, at_once: bool = False) -> Child | None:
    """Fork a child, which dies with this process; return None in the child.

    In the child these signals raise KeyboardInterrupt; a trial ignores them.

    Args:
        signals: the signals that this process holds.
        is_trial: whether the child tries one photo alone.
        at_once: whether to fail at the first refusal instead of trying again for about a minute.

    Raises:
        KeyboardInterrupt: if a signal arrives during a pause.
        NoProcessError: if the system has no room for another process.
    """
    left = [] if at_once else list(_PAUSES)
    while True:
        try:
            return _fork(signals, is_trial)
        except OSError as error:
            if not left:
                raise NoProcessError(error) from error
        pause(signals, left.pop(0))


def _fork(signals: Signals, is_trial: bool) -> Child | None:
    import ctypes

    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    parent, libc = os.getpid(), ctypes.CDLL(None)
    # Signals that arrive during the fork wait until the child has set its own handlers.
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
            return Child(process, reading)
        libc.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before prctl took effect
            os._exit(1)
        os.close(reading)
        for number in signals.held:
            signal.signal(number, signal.SIG_IGN if is_trial else interrupt)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def wait_for_child(
    child: Child, journal: Journal, signals: Signals, allowed: Callable[[str], float], is_trial: bool = False
) -> ChildEnd:
    """Wait for a child's end; forward signals to it, and kill it if a photo exceeds its time limit.

    Args:
        child: the child, as ``fork_child`` returns it in the parent.
        journal: the child's journal.
        signals: the signals that this process holds.
        allowed: photo path relative to IN -> time limit in seconds; ``""`` gives the default, 0 for no limit.
        is_trial: whether the child tries one photo alone: a signal then kills it at once.

    Raises:
        KeyboardInterrupt: if a signal stopped a trial, or killed the child before the run ended.
    """
    overdue: tuple[str, ...] = ()
    clocks = Clocks(journal, allowed("")) if allowed("") else None
    ours: list[tuple[int, float]] = []  # signals that only this process has received so far, and when
    theirs: list[float] = []  # when the child received a signal that this process has not
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
        # A terminal's Ctrl-C reaches both processes: do not forward it.
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
    """Turn the system's exit code, and the code that the child wrote to its journal, into a ChildEnd.

    Raises:
        KeyboardInterrupt: if the child died after a signal to stop, so the run must not restart.
    """
    if said is not None:
        return ChildEnd(code if code >= 0 else said)  # a negative code: it died on exit, after all its work
    if code >= 0 and interrupted:
        return ChildEnd(code)
    if interrupted:
        raise KeyboardInterrupt
    if code >= 0:
        return ChildEnd(None, f"exit code {code}")
    how = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if overdue and code == -signal.SIGKILL:
        return ChildEnd(None, "", overdue)
    if how not in _DEADLY:  # someone sent this signal on purpose: die of it too
        with suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return ChildEnd(None, how)
