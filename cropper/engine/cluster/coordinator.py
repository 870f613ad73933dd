"""The engine for several machines: Ray Data carries photos to workers on a cluster, or to processes of this machine.

This process keeps the walk, the ledger and the order. Photos go out in *windows*; a window is a Ray data set of chunks of
``Job``s. A pool of actors takes the chunks. Each actor has one core and the model loaded; it runs the same ``Pipeline`` as local
threads do, writes the thumbnails and returns the outcome of each photo. Ray streams: chunks leave a worker in order, only as many
are under way as the workers have room for, and this process holds one window at most.

A chunk may be processed twice, if a worker or its machine is lost before the answer arrives. The second time gives the same files
and the same answer: a thumbnail depends on its photo and the settings alone, each worker writes under a temporary name of its own
and then renames, and only this process writes rows, once the answer is here.

The cause may be a photo that kills its worker, or one that exceeds the deadline, for which the worker is ended. So a chunk that
starts again goes one photo at a time, and the cluster's memory counts the starts of each photo. A photo that kills workers alone
fails in its own row.
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
from cropper.engine.cluster.start import load_ray, start_ray
from cropper.engine.cluster.worker import Answer, Task, Worker, forget
from cropper.engine.job import Done, Finished, Job
from cropper.engine.pipeline import BATCH_SIZE, WORKERS
from cropper.errors import RUN_AGAIN, CropperError, DependencyError, UsageError
from cropper.model.saliency import BUNDLED_MODEL, Saliency
from cropper.settings import CUDA, Settings
from cropper.storage.places import Place

# Photos in a chunk at most: the work to repeat for a lost worker. With 32, a photo took half a millisecond longer, of 17, while
# workers returned their memory to the system between two chunks. Workers keep it now, and this has not been measured again.
CHUNK = 128
# A window is full with WINDOW photos to make, or WINDOW_OF_ONE per worker if that is more. It also ends at 1 + UNCHANGED times as
# many photos, those that are unchanged included. Each window starts new workers, which takes seconds; this process holds one.
WINDOW, WINDOW_OF_ONE, UNCHANGED = 10_000, 1_000, 4
# Answers that may wait for the ledger.
_AHEAD = 8
# Bytes of a block of answers at most: Ray reserves memory for outputs of that size.
_BLOCK = 1 << 20
# Seconds between two checks for a stop, and seconds that a data set then has to end.
_ATTENTION, _GRACE = 0.1, 2.0


class Cluster:
    """The engine of a cluster. It does the same as ``Pipeline``, and photos leave it in their order.

    Args:
        task: what the workers do.
        workers: how many actors, at least 1.
        gpus: the share of a graphics card that each actor gets.
    """

    def __init__(self, task: Task, workers: int, gpus: float) -> None:
        self.task, self.workers, self.gpus = task, workers, gpus
        self.abandoned = False  # whether workers may still be at work at the end
        self.untidy = False  # whether a worker that died may have left incomplete files
        self._order: deque[Finished | None] = deque()  # of the window; None stands for a photo that is out
        self._received: deque[Finished | Job] = deque()  # the answers so far, for each None
        self._sent: deque[int] = deque()  # numbers of the window's photos without an answer
        self._broken = False  # whether an answer has an error; later ones would be matched wrongly
        self._jobs: list[bytes] = []  # of the next window, pickled to save memory

    def run(
        self,
        photos: Iterator[Job | Finished | None],
        record: Callable[[Finished], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Done]:
        """Take photos through all stages; the arguments are those of ``Pipeline.run``.

        Raises:
            CropperError: if a problem would affect every photo, here or on a worker, or if the cluster fails.
            KeyboardInterrupt: if ``stop`` says so.
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
        """After an interrupted run, yield the photos that came back and have not left it, in order.

        The others lose nothing: their old rows follow the last row that was recorded.
        """
        while self._order and (self._order[0] is not None or self._received):
            finished = self._order.popleft()
            yield finished if finished is not None else self._received.popleft()

    def _leave(self, record: Callable[[Finished], None]) -> Iterator[Done]:
        """Record and yield the photos at the front that are finished."""
        while self._order and (self._order[0] is not None or self._received):
            finished = self._order[0] or self._received[0]
            assert isinstance(finished, Finished)
            record(finished)
            if self._order.popleft() is None:
                self._received.popleft()
            yield finished.done

    def _through(self, record: Callable[[Finished], None], stop: Callable[[], bool]) -> Iterator[Done]:
        """Send a window to the workers; record and yield its photos as answers arrive."""
        jobs = iter(self._jobs)
        chunks = [list(islice(jobs, size)) for size in chunk_sizes(len(self._jobs), self.workers)]
        self._jobs = []
        answers: Queue[Answer] = Queue(_AHEAD)
        ended = threading.Event()
        # On its own thread: waiting for Ray would block the check for a stop.
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
            error = CropperError("the cluster answered about other photos than the ones it received", remedy=RUN_AGAIN)
        self._broken = error is not None
        return error


def _next(answers: Queue[Answer], stop: Callable[[], bool]) -> Answer:
    while not stop():
        with suppress(Empty):
            return answers.get(timeout=_ATTENTION)
    raise KeyboardInterrupt


def chunk_sizes(photos: int, workers: int) -> Iterator[int]:
    """Yield the number of photos in each chunk of a window: fewer towards the end, so that all workers end together.

    Source: C. Polychronopoulos and D. Kuck, "Guided self-scheduling", IEEE Transactions on Computers, 1987.
    """
    while photos:
        size = min(photos, CHUNK, max(BATCH_SIZE, photos // (4 * workers)))
        yield size
        photos -= size


def _carry(cluster: Cluster, chunks: list[list[bytes]], answers: Queue[Answer], ended: threading.Event) -> None:
    """On its own thread: send the chunks to the workers, and queue their answers in the same order."""
    with suppress(_EndedError):
        try:
            # No prefetching: it would hold an answer back until the next one arrives.
            for table in _data_set(cluster, chunks).iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for answer in table["answer"].to_pylist():
                    _put(answers, pickle.loads(answer), ended)
            # Read only if answers are missing.
            _put(answers, Answer(error=CropperError("the cluster sent too few answers", remedy=RUN_AGAIN)), ended)
        except _EndedError:
            raise
        except BaseException as error:
            _put(answers, Answer(error=_explained(error)), ended)


class _EndedError(Exception):
    """The window has ended, so no answers are needed any more."""


def _put(answers: Queue[Answer], answer: Answer, ended: threading.Event) -> None:
    while not ended.is_set():
        with suppress(Full):
            return answers.put(answer, timeout=_ATTENTION)
    raise _EndedError


def _data_set(cluster: Cluster, chunks: list[list[bytes]]) -> Any:
    """Build the data set of a window, one block per chunk, and send it through the workers."""
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
    """Explain an error of Ray in one line."""
    text = str(error)
    if "ModuleNotFoundError" in text or "ImportError" in text:
        reason = next(line for line in reversed(text.splitlines()) if "Error" in line).strip()
        return DependencyError(f"cropper cannot be loaded on the cluster ({reason})", remedy="install it on all machines")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return CropperError(f"the cluster failed ({type(error).__name__}: {lines[-1] if lines else ''})", remedy=RUN_AGAIN)


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
    """Start Ray and yield the engine; shut Ray down at the end. In a program that runs Ray already, use that one.

    Args:
        source, out, settings: of the batch.
        jobs: workers, one core each, at least 1.
        address: of a running cluster, ``host:6379`` or ``auto``; None starts one on this machine for this run alone.
        every_core: whether a cluster at an address gets one worker per core instead of ``jobs``.
        deadline: seconds that the work on one photo may take; 0 for no limit.

    Raises:
        DependencyError: if Ray is not installed.
        ModelError: if the model cannot be loaded.
        UsageError: if the cluster cannot be reached, or has no graphics card and the device needs one.
    """
    Saliency(settings.model)  # a bad model is reported here, once, not by each worker
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
                raise UsageError("the cluster has no graphics card", remedy="use --device cpu")
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
