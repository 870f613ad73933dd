"""The loop that engines share: photos come while there is room, leave in order, and a stop ends it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cropper.engine.flow import Leaving, flow
from cropper.engine.job import Done, Finished, Job


class Hands:
    """Two photos at most are under way, in pairs, and the later one is finished first."""

    def __init__(self) -> None:
        self.leaving = Leaving()
        self.held: list[Job] = []
        self.out: list[Job] = []

    def has_room(self) -> bool:
        return len(self.held) + len(self.out) < 2 and self.leaving.has_room()

    def begin(self, job: Job) -> None:
        self.held.append(job)

    def keep_busy(self) -> None:
        self.out += self.held
        self.held.clear()

    def is_busy(self) -> bool:
        return bool(self.out)

    def receive(self, stop: Callable[[], bool]) -> None:
        if stop():
            raise KeyboardInterrupt
        job = self.out.pop()
        self.leaving.add(finished(job.number))


def finished(number: int) -> Finished:
    return Finished(number, Done(str(number)))


def photos(count: int) -> Iterator[Job | Finished | None]:
    """Every third is finished already, and the source says once that it does not know the next."""
    for number in range(count):
        if number == 4:
            yield None
        yield finished(number) if number % 3 == 2 else Job(number, str(number), Path(str(number)))


def test_photos_leave_in_the_order_they_came_each_recorded_before() -> None:
    recorded: list[int] = []
    left = []
    for done in flow(Hands(), photos(8), lambda one: recorded.append(one.number), lambda: False):
        left.append(int(done.path))
        assert recorded == left
    assert left == [*range(8)]


def test_photos_that_need_no_work_hear_a_stop_as_well() -> None:
    recorded: list[int] = []
    finished_all = (finished(number) for number in range(9))
    with pytest.raises(KeyboardInterrupt):
        list(flow(Hands(), finished_all, lambda one: recorded.append(one.number), lambda: len(recorded) == 3))
    assert recorded == [0, 1, 2]


def test_after_an_interrupt_what_has_not_left_is_there_in_order() -> None:
    hands = Hands()
    with pytest.raises(KeyboardInterrupt):
        list(flow(hands, photos(8), lambda _: None, lambda: len(hands.out) == 2))
    assert [one.number for one in hands.leaving.left({job.number: job for job in hands.out})] == [0, 1]
