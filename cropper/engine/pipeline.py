"""The way of a photo, for many of them at once: read, decode, infer, choose, render, encode, write.

One coordinator (``Pipeline.run``, on the caller's thread) owns all state. It hands three kinds of tasks to ``jobs`` worker
threads and waits for their results on one queue:

    photo ──_decode──► pixels ──┐
                                ├─ of one shape ──_infer──► densities ──_finish──► thumbnails on disk, rows
    photo ──_decode──► pixels ──┘

OpenCV and onnxruntime let go of Python's lock while they work, so threads are enough. What is in flight is bounded in photos and
in bytes, however many there are. A photo's bytes depend on nothing but the photo and the settings: not on the jobs, and not on
the batch it happened to share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from cropper.engine.job import Decoded, Done, Finished, Job
from cropper.engine.tasks import Inferred, decode_photo, finish_photo, infer_batch
from cropper.imaging.opencv import cv2
from cropper.model.saliency import Saliency
from cropper.process.journal import Journal
from cropper.settings import Settings
from cropper.storage.access import place
from cropper.storage.places import Place

WORKERS = "cropper-worker"  # what the threads' names begin with
# Larger batches gain nothing on a processor, and what the model holds while it works grows with them: in two threads 251 MB with
# 16 photos, 61 MB with 4, at 7.3 and 6.9 ms a photo.
BATCH_SIZE = 4
# Photos begun and not yet finished, and bytes of decoded pixels they hold, at most before no new one is begun. The journal has
# room for as many photos as there may be.
MAX_IN_FLIGHT = 32
MAX_BYTES_IN_FLIGHT = 160 << 20
# So many bytes a job keep all workers busy, and so do a batch and a photo more for each: beyond both no new one is begun either.
# With 5 MB large JPEGs take 3 % longer; with 10 two jobs take 209 MB instead of 185 at photos of 2 MP, in the same time.
ENOUGH_BYTES = 7 << 20
# Finished rows that wait for an earlier photo's: bounds memory where one photo takes very long.
MAX_WAITING_ROWS = 4096
# Seconds between two looks at whether to stop, and for what the workers are at to come to its end then.
_ATTENTION = 0.1
_GRACE = 0.5


@dataclass(frozen=True)
class _Broken:
    """A task failed for a reason that is no photo's: the run cannot go on."""

    error: Exception


@dataclass(frozen=True)
class _Woken:
    """There is something to look at again."""


_Event = Decoded | Inferred | Finished | _Broken | _Woken


class Pipeline:
    """Photos on their way. Only ``run`` and what it calls touch the state; the workers get frozen values and give back others.

    Args:
        settings: what to make.
        out: the folder the outputs go under; of no matter where there are none.
        model: the loaded model.
        jobs: worker threads, at least 1.
        in_order: whether photos leave in the order they came, or as soon as each is finished.
        journal: where it writes what it is at.
    """

    untidy = False

    def __init__(
        self,
        settings: Settings,
        out: Path | Place,
        model: Saliency,
        jobs: int,
        in_order: bool = True,
        journal: Journal | None = None,
    ) -> None:
        self.settings, self.out, self.model, self.jobs, self.in_order = settings, place(out), model, jobs, in_order
        self.journal = journal or Journal()
        # No SimpleQueue: its get waits for ever where a signal comes when the timeout is over, as after a stop by Ctrl-Z.
        self.events: Queue[_Event] = Queue()
        self.tasks = 0  # handed to the workers and not yet answered
        self.decoding = 0  # of these, the ones whose pixels are not counted in ``bytes`` yet
        self.bytes = 0  # of decoded pixels they hold
        self.partial: dict[tuple[int, int], list[Decoded]] = defaultdict(list)  # shape -> a batch that fills
        self.begun: dict[int, Job] = {}  # number -> photo begun and not finished
        self.waiting: dict[int, Finished] = {}  # number -> finished, but an earlier photo is not
        self.next_number = 0  # of the photo that leaves next
        self.running: set[futures.Future[None]] = set()  # tasks; the workers take theirs out
        self.abandoned = False  # whether some were still running at the end

    def run(
        self,
        photos: Iterator[Job | Finished | None],
        record: Callable[[Finished], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Done]:
        """Take photos through all stages.

        Args:
            photos: numbered from 0 on; what is finished already just waits for its turn. None means that the next one is not
                known yet: whoever gives them calls ``wake`` when it is.
            record: is called with each photo right before it is yielded: interrupted in between, it may be recorded twice, but
                never lost.
            stop: is asked all the while whether an interrupt has come. Then KeyboardInterrupt is raised at once, and a worker
                that does not come to the end of its photo soon is ``abandoned``: the process should end.
        """
        cv2.setNumThreads(1)  # photos are the unit of parallel work
        more = True
        self.workers = ThreadPoolExecutor(self.jobs, thread_name_prefix=WORKERS)
        try:
            while True:
                while more and self._has_room():
                    try:
                        upcoming = next(photos)
                    except StopIteration:
                        more = False
                        break
                    if upcoming is None:
                        break
                    if isinstance(upcoming, Finished):
                        self.waiting[upcoming.number] = upcoming
                    else:
                        self.begun[upcoming.number] = upcoming
                        self.journal.begin(upcoming.number, upcoming.path)
                        self.decoding += 1
                        self._start((upcoming.number,), decode_photo, upcoming, self.settings, self.journal)
                    yield from self._leave(record)
                # No worker idles while a batch could go, even one that is not full.
                while self.tasks < self.jobs and self.partial:
                    self._infer(max(self.partial, key=lambda shape: len(self.partial[shape])))
                if not self.tasks and not more:
                    break
                self._take(self._next_event(stop))
                yield from self._leave(record)
        finally:
            # Interrupted or failed: what the workers are at is finished, what they have not begun is not.
            self.workers.shutdown(wait=False, cancel_futures=True)
            at_work = [task for task in list(self.running) if not task.done()]
            self.abandoned = bool(futures.wait(at_work, _GRACE if stop() else None).not_done)
            for number in self.begun:  # nobody waits for them any more
                self.journal.end(number)
            if not self.abandoned:
                self.workers.shutdown()

    def wake(self) -> None:
        """From any thread: the next photo is known now."""
        self.events.put(_Woken())

    def left(self) -> Iterator[Job | Finished]:
        """After a run that was interrupted, in their order: what has not left it, finished or not."""
        while not self.events.empty():
            event = self.events.get()
            if isinstance(event, Finished):
                self._set_aside(event)
        for number in sorted({*self.waiting, *self.begun}):
            yield self.waiting[number] if number in self.waiting else self.begun[number]

    def _has_room(self) -> bool:
        return (
            self.decoding < 2 * self.jobs
            and len(self.begun) < MAX_IN_FLIGHT
            and self.bytes < MAX_BYTES_IN_FLIGHT
            and (self.bytes < ENOUGH_BYTES * self.jobs or len(self.begun) < BATCH_SIZE + self.jobs)
            and len(self.waiting) < MAX_WAITING_ROWS
        )

    def _start(self, numbers: Sequence[int], task: Callable[..., Any], *arguments: Any) -> None:
        """Hand a task to the workers that is about the photos of these numbers."""

        def work() -> None:
            self.journal.take(numbers)
            answer = guarded(task, *arguments)
            self.journal.rest(numbers)
            self.events.put(answer)

        self.tasks += 1
        running = self.workers.submit(work)
        self.running.add(running)
        running.add_done_callback(self.running.discard)

    def _next_event(self, stop: Callable[[], bool]) -> _Event:
        # Asked here and not in a signal's handler, so that no event is lost between the queue and us.
        while not stop():
            with suppress(Empty):
                return self.events.get(timeout=_ATTENTION)
        raise KeyboardInterrupt

    def _take(self, event: _Event) -> None:
        """One step on for whatever a worker has answered."""
        if isinstance(event, _Woken):
            return
        self.tasks -= 1
        if isinstance(event, _Broken):
            raise event.error
        if isinstance(event, Decoded):
            self.decoding -= 1
            self.bytes += event.pixels.nbytes
            shape = event.model_input.shape[:2]
            self.partial[shape].append(event)
            if len(self.partial[shape]) == BATCH_SIZE:
                self._infer(shape)
        elif isinstance(event, Inferred):
            for decoded, density in zip(event.batch, event.densities, strict=True):
                self._start((decoded.job.number,), finish_photo, decoded, density, self.settings, self.out, self.journal)
        else:
            if not event.was_decoded:
                self.decoding -= 1
            self.bytes -= event.bytes
            self._set_aside(event)

    def _infer(self, shape: tuple[int, int]) -> None:
        batch = self.partial.pop(shape)
        self._start([decoded.job.number for decoded in batch], infer_batch, batch, self.model, self.journal)

    def _set_aside(self, finished: Finished) -> None:
        self.waiting[finished.number] = finished
        del self.begun[finished.number]
        self.journal.end(finished.number)

    def _leave(self, record: Callable[[Finished], None]) -> Iterator[Done]:
        """Whatever is finished and may leave goes to the record and to the caller."""
        while self.waiting and (self.next_number in self.waiting or not self.in_order):
            number = self.next_number if self.in_order else next(iter(self.waiting))
            finished = self.waiting[number]
            record(finished)
            del self.waiting[number]
            self.next_number += 1
            yield finished.done


def guarded(task: Callable[..., _Event], *arguments: Any) -> _Event:
    """Worker: a task's answer, or why there is none, so that the coordinator never waits for nothing."""
    try:
        return task(*arguments)
    except Exception as error:
        return _Broken(error)
