"""A run in a process of its own, and a small process before it that sees the run to its end.

The work is done in a child, forked before any library is loaded. If it dies, as it does where a decoder crashes or the system
is out of memory, the journal says which photos it was at. Each of them is tried alone, in a child of its own, with nothing
written. A photo that this kills is *condemned*: it fails at once when the run is begun again, which goes on from the ledger as
after any kill. A photo that takes longer than the deadline comes the same way: the child is ended, and the photo alone must
come through in that time, if the machine lets one that is known to be good. So a photo is condemned only for what it does by
itself, never for its neighbours or a busy machine.

The child goes with its parent, however that ends, and leaves with its exit code. Linux only: elsewhere a process cannot go with
its parent, or may not fork once the system's libraries are in use.
"""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from cropper.errors import CropperError, PhotoError
from cropper.journal import Clocks, Journal

if TYPE_CHECKING:
    from cropper.storage import Place

# What native code dies of, and SIGKILL, which is what a system that is out of memory sends.
_DEADLY = ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE", "SIGTRAP", "SIGSYS", "SIGKILL")
_STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")
# How often in a row a run may die with no photo more finished or condemned.
MAX_DEATHS = 3
# A photo that takes too long gets more time, up to so many deadlines, where one that is known to be good, and small, takes more
# than this share of a deadline.
MOST_PATIENCE = 8
SHARE_OF_GOOD = 0.1
# Seconds for a signal to come to the child as well, before it is sent on.
_TOGETHER = 0.2
# Seconds before a process is tried again that the system had no room for, or that it may have killed for want of memory.
_PAUSES = tuple(0.25 * 2**n for n in range(8))
_BREATH = 2.0
_SET_DEATH_SIGNAL = 1  # of Linux's prctl
_AGAIN = "export it again"


@dataclass(frozen=True)
class Attempt:
    """What one process is to do.

    Attributes:
        journal: where it writes what it is at.
        begun: when the first process of the run began, by ``time.monotonic``.
        condemned: photos that fail at once, by their paths relative to IN, and why.
        state: what an earlier process of the run had saved in its journal last; empty in the first.
        alone: the one photo to try, with nothing written; empty for one that is known to be good. None for the whole run.
    """

    journal: Journal = field(default_factory=Journal)
    begun: float = field(default_factory=time.monotonic)
    condemned: dict[str, PhotoError] = field(default_factory=dict)
    state: bytes = b""
    alone: str | None = None


def possible() -> bool:
    """Whether this process can fork safely: on Linux, with one thread and no large library loaded yet."""
    if sys.platform != "linux" or "numpy" in sys.modules or threading.active_count() > 1:
        return False
    try:
        import ctypes  # numpy loads it anyway

        return hasattr(ctypes.CDLL(None), "prctl") and len(os.listdir("/proc/self/task")) == 1
    except (ImportError, OSError):
        return False


def supervise(work: Callable[[Attempt], int], source: Place, deadline: float, say: Callable[[str], None]) -> int:
    """See a run to its end, and give its exit code. Each child returns from it too, with its own.

    Args:
        work: does what an attempt asks for, in a child, and gives an exit code.
        source: the folder IN.
        deadline: seconds that a photo's pixels may take; 0 for as long as they want.
        say: tells the user that the run died and goes on.

    Raises:
        KeyboardInterrupt: if a signal came while no child was there to take it.
        CropperError: if the run dies again and again for no photo's reason, or cannot be begun again.
        Exception: what ``work`` raises, in its child.
    """
    has_begun = False
    try:
        with _signals() as signals:
            run = _Run(work, source, deadline, say, signals)
            while True:
                journal = Journal()
                attempt = Attempt(journal, run.begun, run.condemned, run.state)
                child = _forked(signals, at_once=not has_begun)
                has_begun = True
                if child is None:
                    return _worked(work, attempt)
                end = _watched(child, journal, signals, run.allowed)
                if end.code is not None:
                    return end.code
                run.look_into(end, journal)
    except _NoProcessError as error:
        if has_begun:
            raise
        say(f"{error.what}, so that nobody watches this run: a decoder that crashes ends it, and no photo has a deadline")
    return work(Attempt())


class _NoProcessError(CropperError):
    """The system has no room for one more process."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"no process can be begun ({error.strerror})", remedy="run again with fewer others")


@dataclass(frozen=True)
class _Signals:
    """Those that ask a run to stop, as they come to this process."""

    held: tuple[signal.Signals, ...]
    reading: int  # a byte for each


@dataclass(frozen=True)
class _Child:
    process: int
    reading: int  # a byte for each signal that it gets; closed when it is dead


@dataclass(frozen=True)
class _End:
    """How a child ended.

    Attributes:
        code: the exit code, if it came to its end by itself.
        how: what it died of otherwise; empty if it was ended for a photo that took too long.
        overdue: that photo, or several.
    """

    code: int | None
    how: str = ""
    overdue: tuple[str, ...] = ()


@dataclass
class _Run:
    """What is known of a run between its children."""

    work: Callable[[Attempt], int]
    source: Place
    deadline: float
    say: Callable[[str], None]
    signals: _Signals
    begun: float = field(default_factory=time.monotonic)
    condemned: dict[str, PhotoError] = field(default_factory=dict)
    innocent: set[str] = field(default_factory=set)  # photos that came through alone
    patience: dict[str, float] = field(default_factory=dict)  # seconds for photos that took too long, but not alone
    state: bytes = b""
    deaths: int = 0  # in a row, with nothing gained
    is_sound: bool = False  # whether a photo that is known to be good came through
    is_slow: bool = False  # whether one took long when the last child was ended

    def allowed(self, path: str) -> float:
        """Seconds that a photo may take."""
        return self.patience.get(path, self.deadline)

    def look_into(self, end: _End, journal: Journal) -> None:
        """Find out of what a child died.

        Raises:
            CropperError: if there is no use in another one.
        """
        self.is_slow = False
        # More patience with a photo is a gain as well, the first time.
        counts = all(path in self.patience for path in end.overdue)
        self.deaths += counts
        if journal.saved not in (b"", self.state):
            self.state, self.deaths = journal.saved, int(counts)
        condemned: dict[str, PhotoError] = {}
        for suspects in [end.overdue] if end.overdue else self._suspects(journal):
            condemned = self._errors_of(suspects)
            if condemned:
                break
        for path in end.overdue:
            self.patience[path] = 2 * self.allowed(path)
        if condemned:
            if not end.overdue and not self.is_sound:
                self._check_soundness(end)
            self.condemned.update(condemned)
            self.deaths = 0
            return
        self._go_on(end, end.overdue or tuple(photo.path for photo in journal.photos if photo.in_hand))

    def _go_on(self, end: _End, at: tuple[str, ...]) -> None:
        """Say that the run died for no photo's reason, and where; too often, and it does not go on."""
        why = f"died ({_with_guess(end.how)})" if end.how else f"was ended after {self.deadline:g} s"
        where = "with no photo in hand"
        if at:
            more = f" and {len(at) - 3} more" if len(at) > 3 else ""
            excuse = "while any photo takes long" if self.is_slow else "which alone does no harm"
            where = f"at {' and '.join(str(self.source / path) for path in at[:3])}{more}, {excuse}"
        if self.deaths == MAX_DEATHS:
            remedy = "run again with fewer --jobs, or without these photos" if at else "'cropper formats' says what works here"
            raise CropperError(f"the run {why} {MAX_DEATHS} times in a row {where}", remedy=remedy)
        self.say(f"the run {why} {where}; it goes on")

    def _check_soundness(self, end: _End) -> None:
        if self._error_of("") is not None:
            remedy = "install opencv-python, pillow and onnxruntime anew; 'cropper formats' says their versions"
            if end.how == "SIGKILL":
                remedy = "give it more memory, or fewer --jobs"
            raise CropperError(f"the run dies of any photo ({end.how})", remedy=remedy)
        self.is_sound = True

    def _suspects(self, journal: Journal) -> list[list[str]]:
        """The photos that a child may have died of: if it was none of the first ones, one of the next ones."""
        photos = journal.photos
        found = [
            [photo.path for photo in photos if photo.clocked],
            [photo.path for photo in photos if photo.in_hand > photo.clocked],
        ]
        if self.deaths > 1:  # one that was no more in hand when the harm showed
            found.append([photo.path for photo in photos if not photo.in_hand and photo.path not in self.innocent])
        return found

    def _errors_of(self, paths: Iterable[str]) -> dict[str, PhotoError]:
        found = {}
        for path in paths:
            error = self._error_of(path)
            if error is None:
                self.innocent.add(path)
            else:
                found[path] = error
        return found

    def _error_of(self, path: str) -> PhotoError | None:
        """What becomes of a photo alone, if it is deadly or takes too long."""
        end = self._tried(path, self.deadline)
        if end.how == "SIGKILL":  # perhaps a neighbour had the memory
            _pause(self.signals, _BREATH)
            end = self._tried(path, self.deadline)
        if end.code is not None:
            return None
        if end.overdue:
            # On a machine that is slow for any photo it says nothing; but no photo has all the time there is.
            if self.allowed(path) < MOST_PATIENCE * self.deadline and self._tried("", SHARE_OF_GOOD * self.deadline).code is None:
                self.is_slow = True
                return None
            return took_too_long(self.deadline)
        return deadly(f" ({_with_guess(end.how)})")

    def _tried(self, path: str, seconds: float) -> _End:
        """What becomes of a photo alone, or of one that is known to be good, in so many seconds."""
        journal = Journal()
        child = _forked(self.signals, is_trial=True)
        if child is None:
            _try(self.work, Attempt(journal, alone=path))
        return _watched(child, journal, self.signals, lambda path: seconds, is_trial=True)


def took_too_long(deadline: float) -> PhotoError:
    """Of a photo whose pixels took longer than so many seconds, alone."""
    return PhotoError(f"it took longer than {deadline:g} s", remedy=f"{_AGAIN}, or give it a longer --deadline")


def deadly(how: str = "") -> PhotoError:
    """Of a photo whose decoder died of it, alone; how it did, in brackets, where that is known."""
    return PhotoError(f"the decoder died of it{how}", remedy=_AGAIN)


def _with_guess(how: str) -> str:
    return f"{how}, perhaps for want of memory" if how == "SIGKILL" else how


def _worked(work: Callable[[Attempt], int], attempt: Attempt) -> int:
    """In a child: do the work, and say in the journal that it came to an end, whichever."""
    try:
        code = work(attempt)
    except BaseException:
        attempt.journal.close(2)
        raise
    attempt.journal.close(code)
    return code


def _try(work: Callable[[Attempt], int], attempt: Attempt) -> NoReturn:
    """In a child: do the work with nothing said, and end."""
    import resource

    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the run itself has left one, where that is wanted
        _worked(work, attempt)
    finally:
        os._exit(0)


@contextmanager
def _signals() -> Iterator[_Signals]:
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
        raise _NoProcessError(error) from error
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)  # first, so that none is noted but not written
    try:
        for number in held:
            signal.signal(number, note)
        if is_deaf:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        yield _Signals(held, reading)
    finally:
        if os.getpid() == here:  # a child has its own by now
            for number in held:
                signal.signal(number, signal.default_int_handler)
            if is_deaf:
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


def _pause(signals: _Signals, seconds: float) -> None:
    """Wait, or raise KeyboardInterrupt if a signal comes."""
    if _ready([signals.reading], seconds):
        raise KeyboardInterrupt


def _ready(descriptors: list[int], seconds: float | None) -> set[int]:
    """Those that can be read, or have come to their end, as soon as there is one or the time is up."""
    poll = select.poll()  # where many files are open, select cannot take their numbers
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(None if seconds is None else math.ceil(seconds * 1000))}


def _forked(signals: _Signals, is_trial: bool = False, at_once: bool = False) -> _Child | None:
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
                raise _NoProcessError(error) from error
        _pause(signals, left.pop(0))


def _fork(signals: _Signals, is_trial: bool) -> _Child | None:
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


def _watched(
    child: _Child | None, journal: Journal, signals: _Signals, allowed: Callable[[str], float], is_trial: bool = False
) -> _End:
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


def _told(code: int, said: int | None, overdue: tuple[str, ...], interrupted: bool) -> _End:
    """What an exit code means, or a signal, with what the child has said of its end.

    Raises:
        KeyboardInterrupt: if it died with a signal on its way, so that there is nothing to go on with.
    """
    if said is not None:
        return _End(code if code >= 0 else said)  # or it died on the way out, with all done
    if code >= 0 and interrupted:
        return _End(code)
    if interrupted:
        raise KeyboardInterrupt
    if code >= 0:
        return _End(None, f"exit code {code}")
    how = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if overdue and code == -signal.SIGKILL:
        return _End(None, "", overdue)
    if how not in _DEADLY:  # somebody's will, which is for us as well
        with suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return _End(None, how)
