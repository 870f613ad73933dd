"""Record a run's progress in memory that outlives the process that writes it.

Each photo in the pipeline has a slot. The slot holds its path, whether a worker has it in hand, and whether its clock runs. The
journal also holds the run's saved state and, at the end, its exit code. A journal made before a fork shares its memory with the
parent, which reads it after the child dies (``process.supervisor``). A write costs microseconds. The process may die between any
two writes: the journal stays readable.

Several processes may share the work. Each then notes its photos in a *part* of the journal.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cropper.process.stop import INTERRUPTED, errors_as_interrupt

# More than a pipeline holds at once, of which each part has one. A photo without a slot is not watched.
SLOTS = 64
MOST_PARTS = 32
_ALL_SLOTS = SLOTS * MOST_PARTS
# Limits in bytes: of a path, as no system accepts a longer one, and of a saved state.
_LONGEST_PATH = 4096
_LONGEST_STATE = 1 << 15
# Layout: numbers of 4 bytes each, then two states, then paths. How the run ended comes first, then which of the two states is
# complete, the states' lengths, and how many parts are in use. Each slot has four numbers.
_ENDED, _WHOLE, _STATE_LENGTH, _PARTS = 0, 1, 2, 4
_BIRTH, _IN_HAND, _CLOCK, _LENGTH = (5 + _ALL_SLOTS * kind for kind in range(4))
_STATES = (5 + 4 * _ALL_SLOTS) * 4  # offset of the first state, in bytes
_PATHS = _STATES + 2 * _LONGEST_STATE
_SIZE = _PATHS + _ALL_SLOTS * _LONGEST_PATH
# Longest time between two checks of the photos' clocks, in seconds.
_ATTENTION = 0.5


@dataclass(frozen=True)
class PhotoUnderWay:
    """A photo in the pipeline.

    Attributes:
        path: relative to IN.
        birth: a number unique to each photo that takes a slot, 1 or more.
        in_hand: whether a worker was processing it.
        clocked: whether its clock ran: it was read and being processed, not waiting.
    """

    path: str
    birth: int
    in_hand: bool
    clocked: bool


class Journal:
    """The shared memory in which a run records its progress and a supervisor in another process reads it.

    Args:
        whole: the journal that this one is a part of; None for a journal of its own.
        part: which part of it, from 0 and below ``MOST_PARTS``.
    """

    def __init__(self, whole: Journal | None = None, part: int = 0) -> None:
        # The system provides only the pages that are written to.
        self._memory: mmap.mmap = whole._memory if whole is not None else mmap.mmap(-1, _SIZE)
        self._numbers = memoryview(self._memory)[:_STATES].cast("I")
        self._slot_of: dict[int, int] = {}  # photo number -> slot
        self._free = list(range(part * SLOTS, (part + 1) * SLOTS))
        self._births = 0
        self._numbers[_PARTS] = max(self._numbers[_PARTS], part + 1)

    def part(self, number: int) -> Journal:
        """Return a part of this journal, for the photos of one process. Call it before the process is forked."""
        return Journal(self, number)

    def blame(self, part: int) -> None:
        """Forget the photos of all other parts, whose processes have ended: this one is to blame for the end of the run."""
        for slot in self._slots():
            if slot // SLOTS != part:
                self._numbers[_BIRTH + slot] = self._numbers[_IN_HAND + slot] = self._numbers[_CLOCK + slot] = 0

    def _slots(self) -> range:
        return range(SLOTS * self._numbers[_PARTS])

    def begin(self, number: int, path: str) -> None:
        """Record that a photo entered the pipeline. Call this and ``end`` from one thread only."""
        encoded = path.encode("utf-8", "surrogatepass")
        if not self._free or len(encoded) > _LONGEST_PATH:
            return
        slot = self._slot_of[number] = self._free.pop()
        self._births += 1
        start = _PATHS + slot * _LONGEST_PATH
        self._memory[start : start + len(encoded)] = encoded
        self._numbers[_LENGTH + slot] = len(encoded)
        self._numbers[_BIRTH + slot] = self._births  # written last: it makes the slot valid

    def end(self, number: int) -> None:
        """Record that a photo left the pipeline."""
        slot = self._slot_of.pop(number, None)
        if slot is not None:
            self._numbers[_BIRTH + slot] = self._numbers[_IN_HAND + slot] = self._numbers[_CLOCK + slot] = 0
            self._free.append(slot)

    def take(self, numbers: Iterable[int]) -> None:
        """Record that a worker has taken these photos in hand."""
        for number in numbers:
            if (slot := self._slot_of.get(number)) is not None:
                self._numbers[_IN_HAND + slot] = 1

    def rest(self, numbers: Iterable[int]) -> None:
        """Record that no worker has these photos in hand any more."""
        for number in numbers:
            if (slot := self._slot_of.get(number)) is not None:
                self._numbers[_IN_HAND + slot] = self._numbers[_CLOCK + slot] = 0

    def clock(self, number: int, runs: bool) -> None:
        """Start a photo's clock, or stop it while the photo is read or waits for its turn."""
        if (slot := self._slot_of.get(number)) is not None:
            self._numbers[_CLOCK + slot] = runs

    def save(self, state: bytes) -> None:
        """Replace the saved state; ignore a state of more than 32 KB."""
        if len(state) > _LONGEST_STATE:
            return
        other = 0 if self._numbers[_WHOLE] == 2 else 1
        start = _STATES + other * _LONGEST_STATE
        self._memory[start : start + len(state)] = state
        self._numbers[_STATE_LENGTH + other] = len(state)
        self._numbers[_WHOLE] = other + 1

    def close(self, code: int) -> None:
        """Record that the run ended by itself, and its exit code."""
        self._numbers[_ENDED] = code + 1

    def close_after(self, work: Callable[[], int]) -> int:
        """Do the work, record its end even if it raises, and return its exit code."""
        try:
            with errors_as_interrupt():
                code = work()
        except KeyboardInterrupt:
            self.close(INTERRUPTED)
            raise
        except BaseException:
            self.close(2)
            raise
        self.close(code)
        return code

    @property
    def photos(self) -> list[PhotoUnderWay]:
        """The photos in the pipeline."""
        found = []
        for slot in self._slots():
            birth = self._numbers[_BIRTH + slot]
            if birth:
                start = _PATHS + slot * _LONGEST_PATH
                path = self._memory[start : start + self._numbers[_LENGTH + slot]]
                in_hand, clocked = bool(self._numbers[_IN_HAND + slot]), bool(self._numbers[_CLOCK + slot])
                if self._numbers[_BIRTH + slot] == birth:  # otherwise another photo took the slot meanwhile
                    unique = birth + (slot // SLOTS << 32)
                    found.append(PhotoUnderWay(path.decode("utf-8", "surrogatepass"), unique, in_hand, clocked))
        return found

    @property
    def saved(self) -> bytes:
        """The state saved last; empty if there is none."""
        whole = self._numbers[_WHOLE]
        if not whole:
            return b""
        start = _STATES + (whole - 1) * _LONGEST_STATE
        return self._memory[start : start + self._numbers[_STATE_LENGTH + whole - 1]]

    @property
    def code(self) -> int | None:
        """The run's exit code, or None if it has not ended by itself."""
        ended = self._numbers[_ENDED]
        return ended - 1 if ended else None


class Clocks:
    """Measure how long the photos of a journal have been processed; call ``late`` at regular intervals.

    Args:
        journal: the photos in the pipeline.
        deadline: time limit for a photo in seconds, more than 0.

    Attributes:
        attention: seconds between two checks, at most 0.5.
    """

    def __init__(self, journal: Journal, deadline: float) -> None:
        self.attention = min(_ATTENTION, max(deadline / 8, 0.01))
        self._journal, self._last = journal, time.monotonic()
        self._ages: dict[int, float] = {}  # birth -> seconds

    def late(self, allowed: Callable[[str], float]) -> tuple[str, ...]:
        """Return the paths of photos that exceed their time limits; ``allowed`` maps a path to its limit in seconds."""
        now = time.monotonic()
        # A stopped job or a sleeping machine checks nothing: do not count that time.
        passed, self._last = min(now - self._last, 2 * self.attention), now
        photos = self._journal.photos
        self._ages = {photo.birth: self._ages.get(photo.birth, 0.0) + passed * photo.clocked for photo in photos}
        return tuple(photo.path for photo in photos if photo.clocked and self._ages[photo.birth] > allowed(photo.path))
