"""The engine for several machines: Ray Data carries photos to workers on a cluster, or to processes of this machine.

The batch stays here: the walk, the ledger and the order. What there is to do goes out in *windows*, each a Ray data set of
chunks of ``Job``s; a pool of actors, each with the model loaded and one core, takes chunks through the same ``Pipeline`` that
threads do here, writes the thumbnails, and sends back what became of each photo. Ray streams: chunks leave a worker in their
order, no more are under way than workers have room for, and what this process holds is one window at most.

A chunk may be done twice, where a worker or its machine is lost before its answer has come. That makes the same files and the
same answer again: a photo's bytes depend on nothing else, thumbnails are written under a name that each worker has for itself
and renamed, and rows are written here alone, once, when the answer is there.

It may be a photo that a worker died of, or was ended for since it took too long. So a chunk that is begun again goes one photo at
a time, the cluster's memory says how often each was begun, and one that does harm alone fails, in its row.
"""

from __future__ import annotations

import os
import pickle
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from queue import Empty, Full, Queue
from typing import Any

from cropper._version import __version__
from cropper.engine.job import Done, Finished, Job
from cropper.engine.pipeline import BATCH_SIZE, WORKERS
from cropper.engine.ray_start import load_ray, start_ray
from cropper.engine.worker import Answer, Task, Worker, forget
from cropper.errors import CropperError, DependencyError, UsageError
from cropper.model.saliency import BUNDLED_MODEL, Saliency
from cropper.settings import CUDA, Settings
from cropper.storage.places import Place

# Photos in a chunk at most: what a lost worker does again. With 32 a photo cost half a millisecond of 17 more, when workers gave
# their memory back to the system between two chunks; since they keep it that has not been measured again.
CHUNK = 128
# A window ends with as many photos to do, for a few workers and for each of many, or with so many more that are done already.
# Every window starts its workers anew, which takes seconds; and it is what this process holds.
WINDOW, WINDOW_OF_ONE, UNCHANGED = 10_000, 1_000, 4
# Answers that have come and wait for the ledger.
_AHEAD = 8
# Bytes of a block of answers at most: Ray reserves memory for outputs of that size.
_BLOCK = 1 << 20
# Seconds between two looks at whether to stop, and for a data set to come to its end then.
_ATTENTION, _GRACE = 0.1, 2.0
_GOES_ON = "run again: it goes on from here"


class Cluster:
    """Photos on their way through a cluster; it does what ``Pipeline`` does, and leaves the photos in their order.

    Args:
        task: what to do.
        workers: how many actors, at least 1.
        gpus: the share of a graphics card that each has.
    """

    def __init__(self, task: Task, workers: int, gpus: float) -> None:
        self.task, self.workers, self.gpus = task, workers, gpus
        self.abandoned = False  # whether workers may still be at photos at the end
        self.untidy = False  # whether a worker that died may have left files half made
        self._order: deque[Finished | None] = deque()  # of the window; None for a photo whose answer is to come
        self._received: deque[Finished | Job] = deque()  # these answers, those that have come
        self._sent: deque[int] = deque()  # numbers of the window's photos whose answers are to come
        self._broken = False  # whether one has an error: what comes behind it would be taken for others
        self._jobs: list[bytes] = []  # of the window that fills, pickled, which takes less memory

    def run(
        self,
        photos: Iterator[Job | Finished | None],
        record: Callable[[Finished], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Done]:
        """Take photos through all stages; arguments are those of ``Pipeline.run``.

        Raises:
            CropperError: what would meet every photo alike, of the workers too; or the cluster fails.
            KeyboardInterrupt: if ``stop`` said so.
        """
        most = max(WINDOW, WINDOW_OF_ONE * self.workers)
        for upcoming in photos:
            if stop():
                raise KeyboardInterrupt
            if isinstance(upcoming, Finished):
                self._order.append(upcoming)
                if not self._jobs:
                    yield from self._leave(record)
            elif upcoming is not None:
                self._order.append(None)
                self._jobs.append(pickle.dumps(upcoming))
                self._sent.append(upcoming.number)
            if len(self._jobs) == most or len(self._order) == most * (1 + UNCHANGED):
                yield from self._through(record, stop)
        if self._jobs:
            yield from self._through(record, stop)

    def left(self) -> Iterator[Job | Finished]:
        """After a run that was interrupted, in their order: what had come back and has not left it.

        What had not come back is no loss: its old rows are those behind the last one that was recorded.
        """
        while self._order and (self._order[0] is not None or self._received):
            finished = self._order.popleft()
            yield finished if finished is not None else self._received.popleft()

    def _leave(self, record: Callable[[Finished], None]) -> Iterator[Done]:
        """What is finished and first goes to the record and to the caller."""
        while self._order and (self._order[0] is not None or self._received):
            finished = self._order[0] or self._received[0]
            assert isinstance(finished, Finished)
            record(finished)
            if self._order.popleft() is None:
                self._received.popleft()
            yield finished.done

    def _through(self, record: Callable[[Finished], None], stop: Callable[[], bool]) -> Iterator[Done]:
        """A window: out to the workers and, as answers come, to the record and to the caller."""
        jobs = iter(self._jobs)
        chunks = [list(islice(jobs, size)) for size in chunk_sizes(len(self._jobs), self.workers)]
        self._jobs = []
        answers: Queue[Answer] = Queue(_AHEAD)
        ended = threading.Event()
        # On a thread of its own, since nothing else could be looked at while Ray is waited for.
        carrier = threading.Thread(target=_carry, args=(self, chunks, answers, ended), daemon=True, name=f"{WORKERS}-ray")
        carrier.start()
        whole = False
        try:
            while self._order:
                yield from self._leave(record)
                if self._order and (error := self._receive(_next(answers, stop))):
                    raise error
            whole = True
        finally:
            ended.set()
            with suppress(Empty):
                while not (whole or self._broken):
                    self._receive(answers.get_nowait())
            carrier.join(None if whole else _GRACE)
            self.abandoned = not whole

    def _receive(self, answer: Answer) -> Exception | None:
        self.untidy = self.untidy or answer.was_lost
        error = answer.error
        if [photo.number for photo in answer.photos] == [self._sent.popleft() for _ in answer.photos[: len(self._sent)]]:
            self._received.extend(answer.photos)
        else:
            error = CropperError("the cluster gave an answer about other photos than it was asked about", remedy=_GOES_ON)
        self._broken = error is not None
        return error


def _next(answers: Queue[Answer], stop: Callable[[], bool]) -> Answer:
    while not stop():
        with suppress(Empty):
            return answers.get(timeout=_ATTENTION)
    raise KeyboardInterrupt


def chunk_sizes(photos: int, workers: int) -> Iterator[int]:
    """How many photos each chunk of a window has: fewer towards the end, so that all workers come to it together.

    Source: C. Polychronopoulos and D. Kuck, "Guided self-scheduling", IEEE Transactions on Computers, 1987.
    """
    while photos:
        size = min(photos, CHUNK, max(BATCH_SIZE, photos // (4 * workers)))
        yield size
        photos -= size


def _carry(cluster: Cluster, chunks: list[list[bytes]], answers: Queue[Answer], ended: threading.Event) -> None:
    """On a thread of its own: chunks to the workers, and their answers back in the same order."""
    with suppress(_EndedError):
        try:
            # None ahead: else an answer would wait here for the next one.
            for table in _data_set(cluster, chunks).iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for answer in table["answer"].to_pylist():
                    _put(answers, pickle.loads(answer), ended)
            # Nobody looks at it where all are there.
            _put(answers, Answer(error=CropperError("the cluster gave too few answers", remedy=_GOES_ON)), ended)
        except _EndedError:
            raise
        except BaseException as error:
            _put(answers, Answer(error=_explained(error)), ended)


class _EndedError(Exception):
    """Nobody waits for answers any more."""


def _put(answers: Queue[Answer], answer: Answer, ended: threading.Event) -> None:
    while not ended.is_set():
        with suppress(Full):
            return answers.put(answer, timeout=_ATTENTION)
    raise _EndedError


def _data_set(cluster: Cluster, chunks: list[list[bytes]]) -> Any:
    """The photos as a data set, a chunk a block, and the workers that it goes through."""
    from ray.data import ActorPoolStrategy, DataContext, from_items

    context = DataContext.get_current().copy()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = _BLOCK
    with DataContext.current(context):
        photos = from_items([{"jobs": chunk} for chunk in chunks], override_num_blocks=len(chunks))
        return photos.map_batches(
            Worker,
            batch_size=None,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=min(cluster.workers, len(chunks))),
            fn_constructor_args=(cluster.task,),
            num_cpus=1,
            num_gpus=cluster.gpus,
        )


def _explained(error: BaseException) -> CropperError:
    """Why Ray could not go on, in one line."""
    text = str(error)
    if "ModuleNotFoundError" in text or "ImportError" in text:
        reason = next(line for line in reversed(text.splitlines()) if "Error" in line).strip()
        return DependencyError(f"cropper cannot be loaded on the cluster ({reason})", remedy="install it on all machines")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return CropperError(f"the cluster failed ({type(error).__name__}: {lines[-1] if lines else ''})", remedy=_GOES_ON)


@contextmanager
def ray_cluster(
    source: Place,
    out: Place,
    settings: Settings,
    jobs: int,
    address: str | None = None,
    every_core: bool = False,
    deadline: float = 0,
) -> Iterator[Cluster]:
    """The engine, with Ray begun: in a program that has begun Ray already, just that; else it is ended with the engine.

    Args:
        source, out, settings: of the batch.
        jobs: workers, a core each, at least 1.
        address: of a running cluster, ``host:6379`` or ``auto``; one on this machine, for this run alone, if left out.
        every_core: whether a cluster of an address gets a worker for each of its cores rather than ``jobs``.
        deadline: seconds that a photo's pixels may take; 0 for as long as they want.

    Raises:
        DependencyError: if Ray is not installed.
        ModelError: if the model cannot be loaded.
        UsageError: if the cluster cannot be reached, or has no graphics card for a device that needs one.
    """
    Saliency(settings.model)  # that it is one is said here, once, rather than by each worker
    ray = load_ray()
    begun = not ray.is_initialized()
    if begun:
        start_ray(ray, jobs, address)
    try:
        resources = ray.cluster_resources()
        if address is not None and every_core:
            jobs = max(1, int(resources.get("CPU", 1)))
        gpus = 0.0
        if settings.device == CUDA:
            cards = int(resources.get("GPU", 0))
            if not cards:
                raise UsageError("the cluster has no graphics card", remedy="take --device cpu")
            gpus = 1 / -(-jobs // cards)
        model = ray.put((settings.model or BUNDLED_MODEL).read_bytes())
        name = uuid.uuid4().hex
        task = Task(
            source=source,
            out=out,
            settings=replace(settings, model=None),
            model=model,
            version=__version__,
            folder=os.getcwd(),
            name=name,
            deadline=deadline,
        )
        yield Cluster(task, jobs, gpus)
        forget(f"{name}/", with_all_below=True)
    finally:
        if begun:
            ray.shutdown()
