"""Take many photos through all stages at once: read, decode, infer, choose, render, encode, write.

One coordinator (``Pipeline.run``, on the caller's thread) owns all state. It hands three kinds of tasks to ``jobs`` worker
threads and waits for their answers on one queue:

    photo ──_decode──► pixels ──┐
                                ├─ of one shape ──_infer──► densities ──_finish──► thumbnails on disk, rows
    photo ──_decode──► pixels ──┘

The worker that infers a batch also finishes its photos, unless other workers are idle: those get what is left of it.

OpenCV and onnxruntime release the GIL while they work, so threads are enough. The number of photos in flight and the bytes of
their pixels are bounded. The bytes of a thumbnail depend on the photo and the settings alone, not on the number of jobs and not
on the photos in the same batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import Empty, Queue
from time import monotonic

from cropper.engine.flow import Leaving, flow
from cropper.engine.job import Decoded, Done, Finished, Job
from cropper.engine.tasks import Inferred, decode_photo, finish_photo, infer_and_finish
from cropper.imaging.opencv import cv2
from cropper.model.saliency import Saliency
from cropper.process.journal import Journal
from cropper.settings import Settings
from cropper.storage.access import place
from cropper.storage.places import Place

WORKERS = "cropper-worker"  # the names of the threads start with it
# Larger batches are no faster on a processor, and they take more memory. Two threads take 251 MB with 16 photos and 61 MB with 4,
# at 7.3 and 6.9 ms a photo.
BATCH_SIZE = 4
# No new photo starts while so many are in flight, or so many bytes of decoded pixels. The journal has room for all photos in
# flight.
MAX_IN_FLIGHT = 32
MAX_BYTES_IN_FLIGHT = 160 << 20
# This many bytes per job keep all workers busy, and so do a batch and one more photo per job. Beyond both, no new photo starts
# either. With 5 MB large JPEGs take 3 % longer; with 10 MB two jobs take 209 MB instead of 185 for photos of 2 MP, in equal time.
ENOUGH_BYTES = 7 << 20
# Seconds between two checks for a stop, and seconds that the workers then have to finish their tasks.
_ATTENTION = 0.1
_GRACE = 0.5


@dataclass(frozen=True)
class _Broken:
    """A task failed for a reason that does not lie in a photo, so the run cannot go on."""

    error: Exception


@dataclass(frozen=True)
class _Woken:
    """The next photo is known, so the coordinator looks again."""


_Event = Decoded | Inferred | Finished | _Broken | _Woken


class Pipeline:
    """The engine of threads. Only ``run`` and its methods change the state; workers receive and return frozen messages.

    Args:
        settings: what to make.
        out: the folder that the outputs go to; not used where there are none.
        model: the loaded model.
        jobs: worker threads, at least 1.
        in_order: whether photos leave in the order they came, or each as soon as it is finished.
        journal: where to note what is under way.
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
        self.settings, self.out, self.model, self.jobs = settings, place(out), model, jobs
        self.journal = journal or Journal()
        # Not a SimpleQueue: its get never returns if a signal arrives as the timeout ends, as after a stop by Ctrl-Z.
        self.events: Queue[_Event] = Queue()
        self.tasks = 0  # that workers have and have not answered
        self.decoding = 0  # tasks whose pixels ``bytes`` does not count yet
        self.bytes = 0  # of decoded pixels in flight
        self.filling: dict[tuple[int, int], list[Decoded]] = defaultdict(list)  # shape -> batch that is not full
        self.begun: dict[int, Job] = {}  # number -> photo started and not finished
        self.worked: dict[int, float] = {}  # number -> seconds that workers have been at a begun photo
        self.leaving = Leaving(in_order)
        self.running: set[futures.Future[None]] = set()  # tasks; each removes itself when done
        self.ending = False  # whether no further task starts
        self.abandoned = False  # whether some were still running at the end

    def run(
        self,
        photos: Iterator[Job | Finished | None],
        record: Callable[[Finished], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Done]:
        """Take photos through all stages, as ``flow`` does.

        Args:
            photos: numbered from 0. A photo that is finished already only waits for its turn. None means that the next photo is
                not known yet; the source calls ``wake`` when it is.
            record: receives each photo just before it is yielded. An interrupt in between may record a photo twice, but loses
                none.
            stop: says whether an interrupt has come. ``run`` asks it all the time.

        Yields:
            The outcome of each photo.

        Raises:
            KeyboardInterrupt: as soon as ``stop`` says so. Workers that do not finish their photo soon are ``abandoned``, and
                the process should end.
        """
        cv2.setNumThreads(1)  # photos are the unit of parallel work
        self.workers = ThreadPoolExecutor(self.jobs, thread_name_prefix=WORKERS)
        try:
            yield from flow(self, photos, record, stop)
        finally:
            # After an interrupt or a failure, workers finish their tasks, and no further task starts.
            self.ending = True
            self.workers.shutdown(wait=False, cancel_futures=True)
            at_work = [task for task in list(self.running) if not task.done()]
            self.abandoned = bool(futures.wait(at_work, _GRACE if stop() else None).not_done)
            for number in self.begun:  # their clocks must not run on
                self.journal.end(number)
            if not self.abandoned:
                self.workers.shutdown()

    def wake(self) -> None:
        """Report that the next photo is known. Call it from any thread."""
        self.events.put(_Woken())

    def left(self) -> Iterator[Job | Finished]:
        """After an interrupted run, yield the photos that have not left it, finished or not, in order."""
        while not self.events.empty():
            event = self.events.get()
            for finished in event.finished if isinstance(event, Inferred) else [event]:
                if isinstance(finished, Finished):
                    self._set_aside(finished)
        yield from self.leaving.left(self.begun)

    # What ``flow`` asks for ----------------------------------------------------------------------------------------------------

    def has_room(self) -> bool:
        """Whether one more photo may start: workers would idle without it, and no bound is reached."""
        return (
            self.decoding < 2 * self.jobs
            and len(self.begun) < MAX_IN_FLIGHT
            and self.bytes < MAX_BYTES_IN_FLIGHT
            and (self.bytes < ENOUGH_BYTES * self.jobs or len(self.begun) < BATCH_SIZE + self.jobs)
            and self.leaving.has_room()
        )

    def begin(self, job: Job) -> None:
        """Start to decode a photo."""
        self.begun[job.number] = job
        self.worked[job.number] = 0.0
        self.journal.begin(job.number, job.path)
        self.decoding += 1
        self._start([job], partial(decode_photo, job, settings=self.settings, journal=self.journal))

    def keep_busy(self) -> None:
        """Start batches that are not full, so that no worker idles while there is one."""
        while self.tasks < self.jobs and self.filling:
            self._infer(max(self.filling, key=lambda shape: len(self.filling[shape])))

    def is_busy(self) -> bool:
        """Whether workers have tasks."""
        return self.tasks > 0

    def receive(self, stop: Callable[[], bool]) -> None:
        """Wait for one answer, or for ``wake``, and start the next step for its photos."""
        self._take(self._next_event(stop))

    # Tasks ---------------------------------------------------------------------------------------------------------------------

    def _start(self, jobs: Sequence[Job], task: Callable[[], _Event]) -> None:
        """Hand the workers a task about these photos."""
        numbers = [job.number for job in jobs]

        def work() -> None:
            self.journal.take(numbers)
            started = monotonic()
            answer = guarded(task)
            alone = {one.number: one.done.seconds for one in answer.finished} if isinstance(answer, Inferred) else {}
            share = (monotonic() - started - sum(alone.values())) / len(numbers)
            self.journal.rest(numbers)
            for number in numbers:  # no other worker has them
                self.worked[number] += share + alone.get(number, 0.0)
            self.events.put(answer)

        self.tasks += 1
        running = self.workers.submit(work)
        self.running.add(running)
        running.add_done_callback(self.running.discard)

    def _next_event(self, stop: Callable[[], bool]) -> _Event:
        # Checked here and not in a signal handler, so that no event is lost on its way from the queue.
        while not stop():
            with suppress(Empty):
                return self.events.get(timeout=_ATTENTION)
        raise KeyboardInterrupt

    def _take(self, event: _Event) -> None:
        """Start the next step for the photos of a worker's answer."""
        if isinstance(event, _Woken):
            return
        self.tasks -= 1
        if isinstance(event, _Broken):
            raise event.error
        if isinstance(event, Decoded):
            self.decoding -= 1
            self.bytes += event.photo.nbytes
            shape = event.photo.model_input.shape[:2]
            self.filling[shape].append(event)
            if len(self.filling[shape]) == BATCH_SIZE:
                self._infer(shape)
        elif isinstance(event, Inferred):
            for finished in event.finished:
                self._finished(finished)
            if event.error is not None:
                raise event.error
            for decoded, maps in zip(event.batch, event.maps, strict=True):
                finish = partial(finish_photo, decoded, maps, settings=self.settings, out=self.out, journal=self.journal)
                self._start([decoded.job], finish)
        else:
            if not event.was_decoded:
                self.decoding -= 1
            self._finished(event)

    def _infer(self, shape: tuple[int, int]) -> None:
        batch = self.filling.pop(shape)
        settings, out, journal = self.settings, self.out, self.journal
        self._start(
            [decoded.job for decoded in batch],
            partial(infer_and_finish, batch, self.model, settings, out, journal, hand_over=self._wants_more),
        )

    def _wants_more(self) -> bool:
        """Whether a worker is idle, or the run ends: then what is left of a batch should not stay with one worker."""
        return self.ending or self.tasks < self.jobs

    def _finished(self, finished: Finished) -> None:
        self.bytes -= finished.decoded_bytes
        self._set_aside(finished)

    def _set_aside(self, finished: Finished) -> None:
        seconds = self.worked.pop(finished.number)
        self.leaving.add(replace(finished, done=replace(finished.done, seconds=seconds)))
        del self.begun[finished.number]
        self.journal.end(finished.number)


def guarded(task: Callable[[], _Event]) -> _Event:
    """Worker: return a task's answer, or the error instead, so that the coordinator always gets an answer."""
    try:
        return task()
    except Exception as error:
        return _Broken(error)
