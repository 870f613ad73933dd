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

from cropper.engine.job import Done, Finished, Job
from cropper.engine.pipeline import MAX_IN_FLIGHT, MAX_WAITING_ROWS, Pipeline
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
        self._waiting: dict[int, Finished] = {}  # number -> finished photo that waits for an earlier one
        self._out: dict[int, dict[int, Job]] = {worker.part: {} for worker in workers}  # part -> number -> photo
        self._next_number = 0  # the photo that leaves next
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
        more = True
        try:
            while True:
                while more and (worker := self._with_room()) is not None:
                    chunk: list[Job] = []
                    while len(chunk) < min(_CHUNK, worker.threads):
                        try:
                            upcoming = next(photos)
                        except StopIteration:
                            more = False
                            break
                        if upcoming is None:
                            break
                        if isinstance(upcoming, Finished):
                            self._waiting[upcoming.number] = upcoming
                            if len(self._waiting) >= MAX_WAITING_ROWS:
                                break
                            yield from self._leave(record)
                        else:
                            self._out[worker.part][upcoming.number] = upcoming
                            chunk.append(upcoming)
                        if stop():
                            raise KeyboardInterrupt
                    if not chunk:
                        break
                    with suppress(OSError):  # it has ended, which is seen when its answers are read
                        send(worker.channel, chunk)
                yield from self._leave(record)
                if not more and not any(self._out.values()):
                    break
                if stop():
                    raise KeyboardInterrupt
                self._receive()
                yield from self._leave(record)
        finally:
            self._end(stop)

    def left(self) -> Iterator[Job | Finished]:
        """After an interrupted run, yield the photos that have not left it, finished or not, in order."""
        begun = {number: job for jobs in self._out.values() for number, job in jobs.items()}
        for number in sorted({*self._waiting, *begun}):
            yield self._waiting[number] if number in self._waiting else begun[number]

    def _with_room(self) -> WorkerProcess | None:
        """Return the process that has the fewest photos, if there is room for more."""
        worker = min(self.workers, key=lambda worker: len(self._out[worker.part]) / worker.threads)
        has_room = len(self._out[worker.part]) <= _AT_ONCE - _CHUNK and len(self._waiting) < MAX_WAITING_ROWS
        return worker if has_room else None

    def _leave(self, record: Callable[[Finished], None]) -> Iterator[Done]:
        """Record and yield the finished photos that may leave."""
        while (finished := self._waiting.get(self._next_number)) is not None:
            record(finished)
            del self._waiting[self._next_number]
            self._next_number += 1
            yield finished.done

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
                    self._waiting[answer.number] = answer
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
        while any(self._out.values()) and self._of and (until is None or monotonic() < until):
            if until is None and stop():
                until = monotonic() + _GRACE
            self._receive(is_end=True)
        self.abandoned = any(self._out.values())
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
