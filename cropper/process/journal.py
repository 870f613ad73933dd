"""What a run is at, in memory that outlives the process that writes it.

The photos on their way through a pipeline have a slot each: which photo it is, whether a worker has it in hand, and whether its
clock runs. Beside them is how far the run has come, and whether it has come to its end. Made before a fork, the memory is
shared with the parent, which reads it when the child has died (``process.supervisor``). Writing costs microseconds, and no
write needs another one to have been finished: a process may die between any two.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

# More than a pipeline has on their way. A photo that finds no room is not watched.
SLOTS = 64
# Bytes of a path, which no system takes longer, and of what is saved.
_LONGEST_PATH = 4096
_LONGEST_STATE = 1 << 15
# Numbers, of 4 bytes each: of every slot four, then how the run ended and which of the two states is whole.
_BIRTH, _IN_HAND, _CLOCK, _LENGTH = (SLOTS * kind for kind in range(4))
_ENDED = 4 * SLOTS
_WHOLE = _ENDED + 1
_STATE_LENGTH = _ENDED + 2  # and one more, of the other state
_PATHS = (_ENDED + 4) * 4  # where they begin, in bytes
_STATES = _PATHS + SLOTS * _LONGEST_PATH
_SIZE = _STATES + 2 * _LONGEST_STATE
# Seconds between two looks at the photos' clocks, at most.
_ATTENTION = 0.5


@dataclass(frozen=True)
class PhotoUnderWay:
    """One photo on its way.

    Attributes:
        path: relative to IN.
        birth: another number for each photo that takes a slot.
        in_hand: whether a worker was at it.
        clocked: whether it had been read and was worked on, rather than waited for.
    """

    path: str
    birth: int
    in_hand: bool
    clocked: bool


class Journal:
    """Where a run writes what it is at. A supervisor has the same memory, in another process, and reads it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)  # costs what is written to, not what it could hold
        self._numbers = memoryview(self._memory)[:_PATHS].cast("I")
        self._slot_of: dict[int, int] = {}  # number -> slot, of the photos on their way
        self._free = list(range(SLOTS))
        self._births = 0

    def begin(self, number: int, path: str) -> None:
        """Say that a photo is on its way. For one thread alone, as ``end`` is."""
        encoded = path.encode("utf-8", "surrogatepass")
        if not self._free or len(encoded) > _LONGEST_PATH:
            return
        slot = self._slot_of[number] = self._free.pop()
        self._births += 1
        start = _PATHS + slot * _LONGEST_PATH
        self._memory[start : start + len(encoded)] = encoded
        self._numbers[_LENGTH + slot] = len(encoded)
        self._numbers[_BIRTH + slot] = self._births  # the last: it is there now

    def end(self, number: int) -> None:
        """Say that a photo has come to its end."""
        slot = self._slot_of.pop(number, None)
        if slot is not None:
            self._numbers[_BIRTH + slot] = self._numbers[_IN_HAND + slot] = self._numbers[_CLOCK + slot] = 0
            self._free.append(slot)

    def take(self, numbers: Iterable[int]) -> None:
        """Say that a worker has photos in hand from now on."""
        for number in numbers:
            if (slot := self._slot_of.get(number)) is not None:
                self._numbers[_IN_HAND + slot] = 1

    def rest(self, numbers: Iterable[int]) -> None:
        """Say that no worker has these photos in hand any more."""
        for number in numbers:
            if (slot := self._slot_of.get(number)) is not None:
                self._numbers[_IN_HAND + slot] = self._numbers[_CLOCK + slot] = 0

    def clock(self, number: int, runs: bool) -> None:
        """Let a photo's clock run from now on, or stand still: while it is read, or waits for its turn."""
        if (slot := self._slot_of.get(number)) is not None:
            self._numbers[_CLOCK + slot] = runs

    def save(self, state: bytes) -> None:
        """Keep how far the run has come, in place of what was kept before; of more than 32 KB nothing."""
        if len(state) > _LONGEST_STATE:
            return
        other = 0 if self._numbers[_WHOLE] == 2 else 1
        start = _STATES + other * _LONGEST_STATE
        self._memory[start : start + len(state)] = state
        self._numbers[_STATE_LENGTH + other] = len(state)
        self._numbers[_WHOLE] = other + 1

    def close(self, code: int) -> None:
        """Say that the run has come to its end by itself, and with which exit code."""
        self._numbers[_ENDED] = code + 1

    @property
    def photos(self) -> list[PhotoUnderWay]:
        """The photos on their way."""
        found = []
        for slot in range(SLOTS):
            birth = self._numbers[_BIRTH + slot]
            if birth:
                start = _PATHS + slot * _LONGEST_PATH
                path = self._memory[start : start + self._numbers[_LENGTH + slot]]
                in_hand, clocked = bool(self._numbers[_IN_HAND + slot]), bool(self._numbers[_CLOCK + slot])
                if self._numbers[_BIRTH + slot] == birth:  # else another photo took the slot meanwhile
                    found.append(PhotoUnderWay(path.decode("utf-8", "surrogatepass"), birth, in_hand, clocked))
        return found

    @property
    def saved(self) -> bytes:
        """What was saved last; nothing if nothing was."""
        whole = self._numbers[_WHOLE]
        if not whole:
            return b""
        start = _STATES + (whole - 1) * _LONGEST_STATE
        return self._memory[start : start + self._numbers[_STATE_LENGTH + whole - 1]]

    @property
    def code(self) -> int | None:
        """The exit code that the run has come to its end with, or None if it has not."""
        ended = self._numbers[_ENDED]
        return ended - 1 if ended else None


class Clocks:
    """How long the photos of a journal have been worked on, for whoever looks at it again and again.

    Args:
        journal: the photos on their way.
        deadline: seconds that a photo may take, more than 0.

    Attributes:
        attention: seconds between two looks.
    """

    def __init__(self, journal: Journal, deadline: float) -> None:
        self.attention = min(_ATTENTION, max(deadline / 8, 0.01))
        self._journal, self._last = journal, time.monotonic()
        self._ages: dict[int, float] = {}  # birth -> seconds

    def late(self, allowed: Callable[[str], float]) -> tuple[str, ...]:
        """The photos that are worked on for longer than they may be, by their paths."""
        now = time.monotonic()
        # While a job is stopped, or the machine sleeps, nobody looks, and no clock runs.
        passed, self._last = min(now - self._last, 2 * self.attention), now
        photos = self._journal.photos
        self._ages = {photo.birth: self._ages.get(photo.birth, 0.0) + passed * photo.clocked for photo in photos}
        return tuple(photo.path for photo in photos if photo.clocked and self._ages[photo.birth] > allowed(photo.path))
