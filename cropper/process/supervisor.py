"""Supervise a run: do the work in a child process, find out why it died, and restart it.

The supervisor forks a child before it loads any large library, and the child does the work. A decoder that crashes or a system
out of memory kills the child. The journal then says which photos it was working on. The supervisor tries each of them alone, in
a separate child that writes nothing. A photo that kills this child is *condemned*. The supervisor restarts the run, which
resumes from the ledger as after any kill, and condemned photos fail at once.

A photo that exceeds the deadline takes the same path. The supervisor kills the child and tries the photo alone. The photo must
finish within the deadline, unless the machine is too slow even for a known good photo. So a photo is condemned only for what it
does by itself, never for its neighbours or a busy machine.

The child dies with its parent, however the parent ends, and the parent exits with the child's exit code. Linux only: on other
systems a child cannot be tied to its parent, or must not fork while system libraries are in use.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from cropper.errors import MORE_MEMORY, CropperError, LateError, PhotoError
from cropper.process.child import ChildEnd, NoProcessError, Signals, fork_child, held_signals, pause, wait_for_child
from cropper.process.journal import Journal
from cropper.process.last_words import LastWords, no_memory_for_run

if TYPE_CHECKING:
    from cropper.storage.places import Place

# A run that dies this many times in a row without finishing or condemning another photo is given up.
MAX_DEATHS = 3
# On a slow machine, a photo that takes too long gets more time, up to MOST_PATIENCE deadlines. The machine is slow if a small,
# known good photo takes more than SHARE_OF_GOOD of a deadline.
MOST_PATIENCE = 8
SHARE_OF_GOOD = 0.1
_BREATH = 2.0  # seconds to wait before retrying a photo after SIGKILL
_AGAIN = "export it again"


@dataclass(frozen=True)
class Attempt:
    """The work for one process.

    Attributes:
        journal: where the process records its progress.
        begun: start of the run's first process, in seconds of ``time.monotonic``.
        condemned: photos that fail at once: path relative to IN -> error.
        state: the last state that an earlier process of the run saved in its journal; empty in the first process.
        alone: the one photo to try without writing anything; empty for a known good photo; None for the whole run.
    """

    journal: Journal = field(default_factory=Journal)
    begun: float = field(default_factory=time.monotonic)
    condemned: dict[str, PhotoError] = field(default_factory=dict)
    state: bytes = b""
    alone: str | None = None


def supervise(work: Callable[[Attempt], int], source: Place, deadline: float, say: Callable[[str], None]) -> int:
    """Run the work in a child, restart it after crashes, and return its exit code.

    The function also returns in each child, with that child's exit code.

    Args:
        work: does what an attempt asks for, in a child, and returns an exit code.
        source: the folder IN.
        deadline: time limit for a photo's pixels in seconds; 0 for no limit.
        say: reports to the user that the run died and continues.

    Raises:
        KeyboardInterrupt: if a signal arrives while no child exists to take it.
        CropperError: if the run dies repeatedly although no photo causes it, or for want of memory before the first photo, or
            cannot be restarted.
        Exception: in a child, any exception that ``work`` raises.
    """
    has_begun = False
    try:
        with held_signals() as signals:
            run = _Watch(work, source, deadline, say, signals)
            while True:
                journal, words = Journal(), LastWords()
                attempt = Attempt(journal, run.begun, run.condemned, run.state)
                child = fork_child(signals, at_once=not has_begun)
                has_begun = True
                if child is None:
                    words.take_over()
                    return journal.close_after(partial(work, attempt))
                end = wait_for_child(child, journal, signals, run.allowed)
                if end.code is not None:
                    return end.code
                if not journal.photos and words.are_of_memory():
                    raise no_memory_for_run()
                words.forget()
                run.look_into(end, journal)
    except NoProcessError as error:
        if has_begun:
            raise
        say(f"{error.what}; this run is unsupervised: a decoder crash ends it, and photos have no deadline")
    return work(Attempt())


@dataclass
class _Watch:
    """What the supervisor knows about a run between two children."""

    work: Callable[[Attempt], int]
    source: Place
    deadline: float
    say: Callable[[str], None]
    signals: Signals
    begun: float = field(default_factory=time.monotonic)
    condemned: dict[str, PhotoError] = field(default_factory=dict)
    innocent: set[str] = field(default_factory=set)  # photos that finished alone
    patience: dict[str, float] = field(default_factory=dict)  # path -> seconds, for photos late in the run but not alone
    state: bytes = b""
    deaths: int = 0  # in a row, without progress
    is_sound: bool = False  # whether a known good photo finished
    is_slow: bool = False  # whether a known good photo took long after the last child was killed

    def allowed(self, path: str) -> float:
        """Return the time limit of a photo in seconds."""
        return self.patience.get(path, self.deadline)

    def look_into(self, end: ChildEnd, journal: Journal) -> None:
        """Find out why a child died.

        Raises:
            CropperError: if another child would not help.
        """
        self.is_slow = False
        # The first time, more patience with a photo counts as progress too.
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

    def _go_on(self, end: ChildEnd, at: tuple[str, ...]) -> None:
        """Report where the run died although no photo causes it; raise CropperError if it dies too often."""
        why = f"died ({_with_guess(end.how)})" if end.how else f"was stopped after {self.deadline:g} s"
        where = "while processing no photo"
        if at:
            more = f" and {len(at) - 3} more" if len(at) > 3 else ""
            excuse = "on a machine that is slow for any photo" if self.is_slow else "which is harmless alone"
            where = f"while processing {' and '.join(str(self.source / path) for path in at[:3])}{more}, {excuse}"
        if self.deaths == MAX_DEATHS:
            remedy = "run again with fewer --jobs, or without these photos" if at else "'cropper formats' shows what works here"
            raise CropperError(f"the run {why} {MAX_DEATHS} times in a row {where}", remedy=remedy)
        self.say(f"the run {why} {where}; it continues")

    def _check_soundness(self, end: ChildEnd) -> None:
        if self._error_of("") is not None:
            remedy = "reinstall opencv-python, pillow and onnxruntime; 'cropper formats' shows their versions"
            if end.how == "SIGKILL":
                remedy = MORE_MEMORY
            raise CropperError(f"the run dies on every photo ({end.how})", remedy=remedy)
        self.is_sound = True

    def _suspects(self, journal: Journal) -> list[list[str]]:
        """Return groups of photos that may have killed a child, the likeliest group first."""
        photos = journal.photos
        found = [
            [photo.path for photo in photos if photo.clocked],
            [photo.path for photo in photos if photo.in_hand > photo.clocked],
        ]
        if self.deaths > 1:  # a photo can do damage that shows only after its worker has finished with it
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
        """Try a photo alone; return the error if it kills its process or takes too long, else None."""
        end = self._tried(path, self.deadline)
        if end.how == "SIGKILL":  # perhaps another process used the memory
            pause(self.signals, _BREATH)
            end = self._tried(path, self.deadline)
        if end.code is not None:
            return None
        if end.overdue:
            # If the machine is slow for every photo, being late proves nothing. Patience still has a limit.
            if self.allowed(path) < MOST_PATIENCE * self.deadline and self._tried("", SHARE_OF_GOOD * self.deadline).code is None:
                self.is_slow = True
                return None
            return took_too_long(self.deadline)
        return deadly(f" ({_with_guess(end.how)})")

    def _tried(self, path: str, seconds: float) -> ChildEnd:
        """Try a photo alone for some seconds, or a known good one if ``path`` is empty; return how its child ended."""
        journal = Journal()
        child = fork_child(self.signals, is_trial=True)
        if child is None:
            _try(self.work, Attempt(journal, alone=path))
        return wait_for_child(child, journal, self.signals, lambda path: seconds, is_trial=True)


def took_too_long(deadline: float) -> LateError:
    """Return the error for a photo that alone exceeds the deadline in seconds."""
    error = LateError(f"it took longer than {deadline:g} s", remedy=f"{_AGAIN}, or set a longer --deadline")
    error.seconds = deadline
    return error


def deadly(how: str = "") -> PhotoError:
    """Return the error for a photo that crashes its decoder; ``how`` is the cause in brackets, if known."""
    return PhotoError(f"the decoder crashed on it{how}", remedy=_AGAIN)


def _with_guess(how: str) -> str:
    return f"{how}, possibly out of memory" if how == "SIGKILL" else how


def _try(work: Callable[[Attempt], int], attempt: Attempt) -> NoReturn:
    """In a child: do the work with all streams silenced, then exit."""
    import resource

    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the run itself already left a core file if you want one
        attempt.journal.close_after(partial(work, attempt))
    finally:
        os._exit(0)
