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

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from cropper.errors import CropperError, PhotoError
from cropper.process.child import ChildEnd, NoProcessError, Signals, fork_child, held_signals, pause, wait_for_child
from cropper.process.journal import Journal

if TYPE_CHECKING:
    from cropper.storage.places import Place

# How often in a row a run may die with no photo more finished or condemned.
MAX_DEATHS = 3
# A photo that takes too long gets more time, up to so many deadlines, where one that is known to be good, and small, takes more
# than this share of a deadline.
MOST_PATIENCE = 8
SHARE_OF_GOOD = 0.1
_BREATH = 2.0
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
        with held_signals() as signals:
            run = _Watch(work, source, deadline, say, signals)
            while True:
                journal = Journal()
                attempt = Attempt(journal, run.begun, run.condemned, run.state)
                child = fork_child(signals, at_once=not has_begun)
                has_begun = True
                if child is None:
                    return _worked(work, attempt)
                end = wait_for_child(child, journal, signals, run.allowed)
                if end.code is not None:
                    return end.code
                run.look_into(end, journal)
    except NoProcessError as error:
        if has_begun:
            raise
        say(f"{error.what}, so that nobody watches this run: a decoder that crashes ends it, and no photo has a deadline")
    return work(Attempt())


@dataclass
class _Watch:
    """What is known of a run between its children."""

    work: Callable[[Attempt], int]
    source: Place
    deadline: float
    say: Callable[[str], None]
    signals: Signals
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

    def look_into(self, end: ChildEnd, journal: Journal) -> None:
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

    def _go_on(self, end: ChildEnd, at: tuple[str, ...]) -> None:
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

    def _check_soundness(self, end: ChildEnd) -> None:
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
            pause(self.signals, _BREATH)
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

    def _tried(self, path: str, seconds: float) -> ChildEnd:
        """What becomes of a photo alone, or of one that is known to be good, in so many seconds."""
        journal = Journal()
        child = fork_child(self.signals, is_trial=True)
        if child is None:
            _try(self.work, Attempt(journal, alone=path))
        return wait_for_child(child, journal, self.signals, lambda path: seconds, is_trial=True)


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
