"""The engine of several processes, for more threads than one process has use for: each runs a ``Pipeline``.

The processes were forked before this module was loaded (``process.workers``). This process, the coordinator, keeps the walk, the
state and the order. It hands out ``Job``s, a few at a time, always to the process that has the fewest, and gets the outcome of
each photo back. The bytes of a thumbnail depend on the photo and the settings alone, so it does not matter who makes it.

A process that dies takes the coordinator along. The supervisor then finds the photo that is to blame, and begins the run again.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic

from cropper.engine.flow import Leaving, flow
from cropper.engine.job import Done, Finished, Job
from cropper.engine.pipeline import MAX_IN_FLIGHT, Pipeline
from cropper.model.saliency import Saliency
from cropper.process.journal import Journal
from cropper.process.messages import MOST_AT_ONCE, messages, send
from cropper.process.workers import WorkerProcess, end_like, end_workers
from cropper.settings import Settings
from cropper.storage.places import Place

# Photos that a process has at once: what its pipeline has in flight, and some that wait. They come in chunks, which cost both
# sides less than one by one.
_AT_ONCE, _CHUNK = MAX_IN_FLIGHT + 16, 8
# Seconds between two checks for a stop, and seconds that the processes then have to finish their photos.
_ATTENTION = 0.1
_GRACE = 1.0


@dataclass(frozen=True)
class _Ready:
    """A process has loaded the model."""


class Processes:
    """The coordinator. It does the same as ``Pipeline``, and photos leave it in their order.

    Args:
        workers: the processes.
        journal: of the run.

    Raises:
        CropperError: if a process cannot load the model.
    """

    untidy = False

    def __init__(self, workers: Sequence[WorkerProcess], journal: Journal) -> None:
        self.workers, self.journal = workers, journal
        self.abandoned = False  # whether some photos were in hand at the end
        self.leaving = Leaving()
        self._out: dict[int, dict[int, Job]] = {worker.part: {} for worker in workers}  # part -> number -> photo
        self._chunk: list[Job] = []  # photos for one process that are not sent yet
        self._next = workers[0]  # the process that they are for
        self._of = {worker.channel.fileno(): (worker, bytearray()) for worker in workers}  # what a process sent so far
        self._poll = select.poll()
        for descriptor in self._of:
            self._poll.register(descriptor, select.POLLIN)
        self._is_ready = False
        while not self._is_ready:  # a bad model is reported before anything is made
            self._receive()

    def run(
        self,
        photos: Iterator[Job | Finished | None],
        record: Callable[[Finished], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Done]:
        """Take photos through all stages; the arguments are those of ``Pipeline.run``, and so are the errors."""
        try:
            yield from flow(self, photos, record, stop)
        finally:
            self._end(stop)

    def left(self) -> Iterator[Job | Finished]:
        """After an interrupted run, yield the photos that have not left it, finished or not, in order."""
        begun = {number: job for jobs in self._out.values() for number, job in jobs.items()}
        yield from self.leaving.left(begun)

    # What ``flow`` asks for ----------------------------------------------------------------------------------------------------

    def has_room(self) -> bool:
        """Whether one more photo may start. The process that has the fewest is to get it, and those of its chunk."""
        if not self._chunk:
            self._next = min(self.workers, key=lambda worker: len(self._out[worker.part]) / worker.threads)
            if len(self._out[self._next.part]) > _AT_ONCE - _CHUNK:
                return False
        return self.leaving.has_room()

    def begin(self, job: Job) -> None:
        """Add a photo to the chunk, and send that if it is full."""
        self._out[self._next.part][job.number] = job
        self._chunk.append(job)
        if len(self._chunk) == min(_CHUNK, self._next.threads):
            self.keep_busy()

    def keep_busy(self) -> None:
        """Send the chunk, full or not."""
        if self._chunk:
            chunk, self._chunk = self._chunk, []
            with suppress(OSError):  # the process has ended, which is seen when its answers are read
                send(self._next.channel, chunk)

    def is_busy(self) -> bool:
        """Whether processes have photos."""
        return any(self._out.values())

    def receive(self, stop: Callable[[], bool]) -> None:
        """Wait a moment for answers, and take them."""
        if stop():
            raise KeyboardInterrupt
        self._receive()

    # Answers -------------------------------------------------------------------------------------------------------------------

    def _receive(self, is_end: bool = False) -> None:
        """Wait a moment for answers, and take them.

        Args:
            is_end: whether the processes are to end, and have not died if they do.

        Raises:
            CropperError, OSError: if a process met what would meet every photo.
        """
        for descriptor, _ in self._poll.poll(_ATTENTION * 1000):
            worker, buffer = self._of[descriptor]
            try:
                received = worker.channel.recv(MOST_AT_ONCE)
            except ConnectionError:
                received = b""
            if not received:
                self._poll.unregister(descriptor)
                del self._of[descriptor]
                if not is_end:
                    end_like(worker, self.workers, self.journal)
            buffer += received
            for answer in messages(buffer):
                if isinstance(answer, Finished):
                    self.leaving.add(answer)
                    del self._out[worker.part][answer.number]
                elif isinstance(answer, Exception) and not is_end:
                    raise answer
                else:
                    self._is_ready = True

    def _end(self, stop: Callable[[], bool]) -> None:
        """Let the processes finish what they are at, take their answers, and end them."""
        for worker in self.workers:
            with suppress(OSError):
                worker.channel.shutdown(socket.SHUT_WR)
        until = None
        while self.is_busy() and self._of and (until is None or monotonic() < until):
            if until is None and stop():
                until = monotonic() + _GRACE
            self._receive(is_end=True)
        self.abandoned = self.is_busy()
        end_workers(self.workers)


@contextmanager
def local_processes(
    source: Place, out: Place, settings: Settings, jobs: int, workers: Sequence[WorkerProcess], journal: Journal
) -> Generator[Processes, None, None]:
    """Yield the engine of processes that are there, and end them. The first four arguments are those of ``local_threads``.

    Raises:
        CropperError: if a process cannot load the model.
    """
    try:
        yield Processes(workers, journal)
    finally:
        end_workers(workers)


# The worker's side ------------------------------------------------------------------------------------------------------------


def work_on(channel: socket.socket, journal: Journal, threads: int, settings: Settings, out: Place) -> None:
    """In a worker process: take the photos that come through the channel through all stages, until it is closed.

    Args:
        channel: where photos come from and answers go to.
        journal: where to note what is under way.
        threads: of the pipeline, at least 1.
        settings, out: of the batch.

    Raises:
        CropperError, OSError: if the model cannot be loaded, or something meets every photo.
    """
    pipeline = Pipeline(settings, out, Saliency(settings.model, settings.device), threads, in_order=False, journal=journal)
    send(channel, _Ready())
    received: SimpleQueue[Job | Exception] = SimpleQueue()
    closed = threading.Event()
    threading.Thread(target=_read, args=(channel, received, pipeline, closed), daemon=True).start()
    try:
        for _ in pipeline.run(_jobs(received), partial(send, channel), closed.is_set):
            pass
    except KeyboardInterrupt:  # the channel is closed
        pass
    finally:
        for left in pipeline.left():
            if isinstance(left, Finished):
                send(channel, left)


def _read(channel: socket.socket, received: SimpleQueue[Job | Exception], pipeline: Pipeline, closed: threading.Event) -> None:
    """On a thread of its own: take the photos that come, or the error that keeps them from coming."""
    buffer = bytearray()
    try:
        while some := channel.recv(MOST_AT_ONCE):
            buffer += some
            for chunk in messages(buffer):
                for job in chunk:
                    received.put(job)
                pipeline.wake()
        closed.set()
    except Exception as error:  # of memory
        received.put(error)
    pipeline.wake()


def _jobs(received: SimpleQueue[Job | Exception]) -> Iterator[Job | None]:
    while True:
        try:
            upcoming = received.get_nowait()
        except Empty:
            yield None  # the pipeline looks again when it is woken
            continue
        if isinstance(upcoming, Exception):
            raise upcoming
        yield upcoming
