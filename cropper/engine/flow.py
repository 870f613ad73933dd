"""The loop that the engines of this machine share: pull photos while there is room, hand them to the workers, let them leave.

Workers are the threads of a ``Pipeline``, or ``Processes`` that each run one. A ``Cluster`` has a loop of its own: it sends
photos in windows, and remembers of a photo that is out no more than that it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from cropper.engine.job import Done, Finished, Job

# Finished photos that may wait for an earlier one. It bounds memory where one photo takes very long.
MAX_WAITING_ROWS = 4096


class Leaving:
    """Finished photos on their way out.

    Args:
        in_order: whether photos leave in the order they came, or each as soon as it is finished.
    """

    def __init__(self, in_order: bool = True) -> None:
        self.in_order = in_order
        self._waiting: dict[int, Finished] = {}  # number -> finished photo that waits for an earlier one
        self._next_number = 0  # the photo that leaves next

    def add(self, finished: Finished) -> None:
        """Take a finished photo, which leaves when it is its turn."""
        self._waiting[finished.number] = finished

    def has_room(self) -> bool:
        """Whether further photos may start, though they may have to wait too."""
        return len(self._waiting) < MAX_WAITING_ROWS

    def photos(self, record: Callable[[Finished], None]) -> Iterator[Done]:
        """Record and yield the finished photos that may leave."""
        while self._waiting and (self._next_number in self._waiting or not self.in_order):
            number = self._next_number if self.in_order else next(iter(self._waiting))
            finished = self._waiting[number]
            record(finished)
            del self._waiting[number]
            self._next_number += 1
            yield finished.done

    def left(self, begun: Mapping[int, Job]) -> Iterator[Job | Finished]:
        """After an interrupted run, yield the photos that have not left it, finished or begun, in order."""
        for number in sorted({*self._waiting, *begun}):
            yield self._waiting[number] if number in self._waiting else begun[number]


class Workers(Protocol):
    """What ``flow`` asks of those who take photos through the stages."""

    leaving: Leaving

    def has_room(self) -> bool:
        """Whether one more photo may start."""

    def begin(self, job: Job) -> None:
        """Take a photo."""

    def keep_busy(self) -> None:
        """Hand on the photos that were held back until more came. None comes for now."""

    def is_busy(self) -> bool:
        """Whether answers are to come."""

    def receive(self, stop: Callable[[], bool]) -> None:
        """Wait for answers, and give finished photos to ``leaving``.

        Raises:
            KeyboardInterrupt: if ``stop`` says so.
            CropperError, OSError: if a worker met what would meet every photo.
        """


def flow(
    workers: Workers,
    photos: Iterator[Job | Finished | None],
    record: Callable[[Finished], None],
    stop: Callable[[], bool],
) -> Iterator[Done]:
    """Take photos through the workers.

    Args:
        workers: those who do the work.
        photos: numbered from 0. A photo that is finished already only waits for its turn. None means that the next photo is
            not known yet; ``receive`` returns when it may be.
        record: receives each photo just before it is yielded. An interrupt in between may record a photo twice, but loses none.
        stop: says whether an interrupt has come.

    Yields:
        The outcome of each photo.

    Raises:
        KeyboardInterrupt: as soon as ``stop`` says so.
        CropperError, OSError: those of ``photos`` and of the workers.
    """
    more = True
    while True:
        while more and workers.has_room():
            try:
                upcoming = next(photos)
            except StopIteration:
                more = False
                break
            if upcoming is None:
                break
            if isinstance(upcoming, Finished):
                workers.leaving.add(upcoming)
            else:
                workers.begin(upcoming)
            yield from workers.leaving.photos(record)
            if stop():
                raise KeyboardInterrupt
        workers.keep_busy()
        if not more and not workers.is_busy():
            break
        workers.receive(stop)
        yield from workers.leaving.photos(record)
