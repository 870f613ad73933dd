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

import logging
import os
import pickle
import signal
import socket
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from queue import Empty, Full, Queue
from tempfile import TemporaryDirectory
from typing import Any

from cropper import __version__, batch, ledger, outputs
from cropper.allocator import keep_memory
from cropper.device import CUDA
from cropper.errors import CropperError, DependencyError, UsageError, printable, unexpected
from cropper.journal import Clocks, Journal
from cropper.pipeline import BATCH_SIZE, WORKERS, Done, Finished, Job, Pipeline, Settings, failed
from cropper.saliency import BUNDLED_MODEL, Saliency
from cropper.storage import Place, Remote
from cropper.supervise import deadly, took_too_long

# Photos in a chunk at most: what a lost worker does again. With 32 a photo cost half a millisecond of 17 more, when workers gave
# their memory back to the system between two chunks; since they keep it that has not been measured again.
CHUNK = 128
# A window ends with as many photos to do, for a few workers and for each of many, or with so many more that are done already.
# Every window starts its workers anew, which takes seconds; and it is what this process holds.
WINDOW, WINDOW_OF_ONE, UNCHANGED = 10_000, 1_000, 4
# Deaths of workers at a chunk that are no photo's of it, and at a photo alone, until it is given up: Ray would try for ever.
TRIES, TRIES_ALONE = 5, 2
# Threads of a worker that waits for a storage.
WAITING = 4
# Answers that have come and wait for the ledger.
_AHEAD = 8
# Chunks and answers are small, and Ray reckons with outputs as large as it allows.
_STORE, _BLOCK = 128 << 20, 1 << 20
# Seconds between two looks at whether to stop, and for a data set to come to its end then.
_ATTENTION, _GRACE = 0.1, 2.0
# Seconds until an address where nobody answers is given up.
_PATIENCE = 10.0
_GOES_ON = "run again: it goes on from here"


@dataclass(frozen=True)
class Task:
    """What a worker knows before the first photo.

    Attributes:
        source, out: the folders IN and OUT.
        settings: what to make; the model is not read from its path.
        model: the ONNX file's content, so that all work with the same; or Ray's reference to it, which weighs nothing.
        version: of cropper, which must be the worker's too.
        folder: in which relative paths begin.
        name: of this run, as no other's.
        deadline: seconds that a photo's pixels may take; 0 for as long as they want.
    """

    source: Place
    out: Place
    settings: Settings
    model: Any
    version: str
    folder: str
    name: str
    deadline: float = 0


@dataclass(frozen=True)
class _Answer:
    """What became of a chunk, in the photos' order; if there is an error, of its beginning, with photos that were begun."""

    photos: list[Finished | Job] = field(default_factory=list)
    error: Exception | None = None
    was_lost: bool = False  # whether the worker stands in for one that died


class Worker:
    """An actor: the model, loaded once, and a pipeline of one thread. It raises nothing; errors are in the answers."""

    def __init__(self, task: Task) -> None:
        from PIL import Image
        from ray import get, get_runtime_context

        self._task, self._mark = task, uuid.uuid4().hex[:12]
        self._parent = os.getppid()
        self._is_sound = False  # whether a photo that is known to be good came through here
        context = get_runtime_context()
        self._was_lost = context.get_actor_id() is not None and bool(context.was_current_actor_reconstructed)
        Image.MAX_IMAGE_PIXELS = None  # as in the command itself: the limit is ours
        keep_memory(1)
        try:
            self._check()
            with _counted(f"{task.name}/{context.get_actor_id()}") as tries:
                if tries > TRIES:
                    raise CropperError("a worker died again and again as it began", remedy="is there memory enough for --jobs?")
                with TemporaryDirectory(prefix="cropper-model-") as folder:
                    file = Path(folder) / "model.onnx"
                    file.write_bytes(task.model if isinstance(task.model, bytes) else get(task.model))
                    self._model: Saliency | Exception = Saliency(file, task.settings.device)
        except Exception as error:
            self._model = error

    def __call__(self, chunks: Any) -> Any:
        """A table of chunks, lists of pickled jobs -> a table of as many pickled answers."""
        import pyarrow

        answers = [_packed(self._answer_or_give_up([*map(pickle.loads, jobs)])) for jobs in chunks["jobs"].to_pylist()]
        return pyarrow.table({"answer": pyarrow.array(answers, pyarrow.large_binary())})

    def _check(self) -> None:
        """Make sure that work here is as good as there."""
        task, host = self._task, socket.gethostname()
        if task.version != __version__:
            reason = f"the worker on {host} has cropper {__version__}, and this is {task.version}"
            raise DependencyError(reason, remedy="install the same version on all machines")
        with suppress(OSError):  # needed for relative paths only
            os.chdir(task.folder)
        # The state folder tells this OUT from another of the same path.
        for place, proof in ((task.source, task.source), (task.out, task.out / ledger.STATE_FOLDER)):
            if isinstance(proof, Path) and not proof.is_dir():
                remedy = "give folders of a file system that all machines share, or of a storage"
                raise UsageError(f"the worker on {host} does not see it", path=place, remedy=remedy)

    def _answer_or_give_up(self, jobs: list[Job]) -> _Answer:
        with _counted(f"{self._task.name}/chunk/{jobs[0].number}") as tries:
            if tries == 1 or isinstance(self._model, Exception):
                return self._answer(jobs)
            # What is counted beside the chunk are deaths that a photo of it was alone at.
            if tries - sum(_count(self._alone(job)) for job in jobs) <= TRIES:
                return self._one_by_one(jobs)
        reason = f"workers died again and again at photos from {printable(jobs[0].path)} to {printable(jobs[-1].path)}"
        remedy = "move away the one that is too much for them, or run again"
        return _Answer(error=CropperError(reason, remedy=remedy), was_lost=self._was_lost)

    def _one_by_one(self, jobs: list[Job]) -> _Answer:
        """A chunk that workers died at: each photo alone, but not one that they died of."""
        if not self._is_sound:
            with suppress(Exception):  # only its death would tell
                batch.try_alone(self._task.source, "", self._task.settings, {}, Journal())
            self._is_sound = True
        photos: list[Finished | Job] = []
        for job in jobs:
            key = self._alone(job)
            if _count(key + _LATE):
                photos.append(failed(job, self._task.settings, took_too_long(self._task.deadline)))
            elif _count(key) >= TRIES_ALONE:
                photos.append(failed(job, self._task.settings, deadly()))
            else:
                with _counted(key):
                    answer = self._answer([job], key)
                photos += answer.photos
                if answer.error is not None:
                    return replace(answer, photos=photos)
        return _Answer(photos, was_lost=self._was_lost)

    def _alone(self, job: Job) -> str:
        """What the cluster counts a photo's begins alone under."""
        return f"{self._task.name}/photo/{job.number}"

    def _answer(self, jobs: list[Job], alone: str = "") -> _Answer:
        if isinstance(self._model, Exception):
            return _Answer(error=self._model, was_lost=self._was_lost)
        mine = (replace(job, temporary=outputs.marked(job.temporary, self._mark)) for job in jobs)
        threads = WAITING if isinstance(self._task.source, Remote) or isinstance(self._task.out, Remote) else 1
        journal = Journal()

        def note() -> None:
            if alone:
                _put_count(alone + _LATE, 1)

        pipeline = Pipeline(self._task.settings, self._task.out, self._model, threads, in_order=False, journal=journal)
        done: list[Finished | Job] = []
        error = None
        try:
            with _watched(journal, self._task.deadline, note):
                for _ in pipeline.run(mine, done.append):
                    if os.getppid() != self._parent:  # who began us is dead, and OUT perhaps another run's by now
                        os._exit(1)
        except Exception as broken:
            error = broken
            done += pipeline.left()
        return _Answer(sorted(done, key=lambda photo: photo.number), error, self._was_lost)


@contextmanager
def _watched(journal: Journal, deadline: float, note: Callable[[], None]) -> Iterator[None]:
    """While photos are under way: end this process if one takes longer than it may, with a note before."""
    ended = threading.Event()
    if deadline:
        threading.Thread(target=_end_if_late, args=(journal, deadline, note, ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _end_if_late(journal: Journal, deadline: float, note: Callable[[], None], ended: threading.Event) -> None:
    clocks = Clocks(journal, deadline)
    while not ended.wait(clocks.attention):
        if clocks.late(lambda path: deadline):
            note()
            os._exit(1)  # nothing else ends a decoder


# Numbers in the memory of the cluster, which outlive a worker. Keys begin with the run's name.
_PREFIX, _LATE = "cropper/", "/late"


def _memory() -> Any:
    """The cluster's; None where there is no cluster."""
    from ray.experimental import internal_kv

    memory: Any = internal_kv  # which says no types
    return memory if memory._internal_kv_initialized() else None


def _count(key: str) -> int:
    memory = _memory()
    return int(memory._internal_kv_get(_PREFIX + key) or b"0") if memory else 0


def _put_count(key: str, count: int) -> None:
    if memory := _memory():
        memory._internal_kv_put(_PREFIX + key, b"%d" % count, overwrite=True)


def _forget(key: str, with_all_below: bool = False) -> None:
    if memory := _memory():
        memory._internal_kv_del(_PREFIX + key, del_by_prefix=with_all_below)


@contextmanager
def _counted(key: str) -> Iterator[int]:
    """How many times the body has been begun in the cluster and not ended, this one included."""
    tries = _count(key) + 1
    _put_count(key, tries)
    yield tries
    _forget(key)


def _packed(answer: _Answer) -> bytes:
    try:
        packed = pickle.dumps(answer)
        pickle.loads(packed)
        return packed
    except Exception:  # an error that holds what cannot travel, or not back
        return pickle.dumps(replace(answer, error=CropperError(unexpected(answer.error)) if answer.error else None))


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
        answers: Queue[_Answer] = Queue(_AHEAD)
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

    def _receive(self, answer: _Answer) -> Exception | None:
        self.untidy = self.untidy or answer.was_lost
        error = answer.error
        if [photo.number for photo in answer.photos] == [self._sent.popleft() for _ in answer.photos[: len(self._sent)]]:
            self._received.extend(answer.photos)
        else:
            error = CropperError("the cluster gave an answer about other photos than it was asked about", remedy=_GOES_ON)
        self._broken = error is not None
        return error


def _next(answers: Queue[_Answer], stop: Callable[[], bool]) -> _Answer:
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


def _carry(cluster: Cluster, chunks: list[list[bytes]], answers: Queue[_Answer], ended: threading.Event) -> None:
    """On a thread of its own: chunks to the workers, and their answers back in the same order."""
    with suppress(_EndedError):
        try:
            # None ahead: else an answer would wait here for the next one.
            for table in _data_set(cluster, chunks).iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for answer in table["answer"].to_pylist():
                    _put(answers, pickle.loads(answer), ended)
            # Nobody looks at it where all are there.
            _put(answers, _Answer(error=CropperError("the cluster gave too few answers", remedy=_GOES_ON)), ended)
        except _EndedError:
            raise
        except BaseException as error:
            _put(answers, _Answer(error=_explained(error)), ended)


class _EndedError(Exception):
    """Nobody waits for answers any more."""


def _put(answers: Queue[_Answer], answer: _Answer, ended: threading.Event) -> None:
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
def cluster(
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
    ray = _ray()
    begun = not ray.is_initialized()
    if begun:
        _begin(ray, jobs, address)
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
        task = Task(source, out, replace(settings, model=None), model, __version__, os.getcwd(), name, deadline)
        yield Cluster(task, jobs, gpus)
        _forget(f"{name}/", with_all_below=True)
    finally:
        if begun:
            ray.shutdown()


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no photo's fate is anybody's business
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or each worker announces that it will be so
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise DependencyError(f"--engine ray needs a library ({error})", remedy="pip install 'cropper[ray]'") from error
    return ray


def _begin(ray: Any, jobs: int, address: str | None) -> None:
    """Connect to a cluster, or start one, without a word."""
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # or a thread that comes late would begin another one
    silent = logging.CRITICAL + 1
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(silent)
    own: dict[str, Any] = {"num_cpus": jobs, "object_store_memory": _STORE, "include_dashboard": False}
    if address is not None:
        _check_reachable(address)
    # Ray takes SIGTERM for itself.
    ours = signal.getsignal(signal.SIGTERM) if threading.current_thread() is threading.main_thread() else None
    try:
        ray.init(address or "local", log_to_driver=False, logging_level=silent, **(own if address is None else {}))
    except Exception as error:
        reason = _reason(error)
        if address is None:
            raise CropperError(f"Ray cannot be started here ({reason})", remedy="take --engine local") from error
        raise _unreachable(address, reason) from error
    finally:
        if ours is not None:
            signal.signal(signal.SIGTERM, ours)


def _reason(error: BaseException) -> str:
    """The first sentence of what an error is about at bottom, which Ray may keep in the text of a traceback."""
    while (below := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        error = below
    text = " ".join(str(error).rpartition("Error: ")[2].split())
    return text.split(". ")[0] or type(error).__name__


def _check_reachable(address: str) -> None:
    """Make sure that somebody listens there: Ray itself would try for minutes."""
    host, _, port = address.rsplit("/", 1)[-1].rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
        except (OSError, OverflowError) as error:
            raise _unreachable(address, str(error)) from error


def _unreachable(address: str, reason: str) -> UsageError:
    remedy = "check --address"
    if "token" in reason.lower():
        remedy = "set RAY_AUTH_MODE=token, with the cluster's token in ~/.ray/auth_token or RAY_AUTH_TOKEN"
    return UsageError(f"no Ray cluster can be reached at {address} ({reason})", remedy=remedy)
