"""One worker of a cluster: the model, loaded once, and a pipeline of one thread.

A worker raises nothing; its errors travel in the answers. The cluster's memory counts the starts of each chunk and each photo. So
a photo that kills workers is identified and fails in its own row.
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cropper._version import __version__
from cropper.engine.job import Finished, Job
from cropper.engine.pipeline import Pipeline
from cropper.engine.tasks import failed, try_alone
from cropper.errors import CropperError, DependencyError, UsageError, printable, unexpected
from cropper.model.saliency import Saliency
from cropper.process.journal import Clocks, Journal
from cropper.process.memory import keep_memory
from cropper.process.supervisor import deadly, took_too_long
from cropper.settings import Settings
from cropper.storage.access import place
from cropper.storage.naming import STATE_FOLDER, marked
from cropper.storage.places import Place

# How many workers may die at a chunk, not counting deaths at one photo alone, and how many at one photo alone, before cropper
# gives it up. Ray itself would try forever.
TRIES, TRIES_ALONE = 5, 2
# Threads of a worker that reads from or writes to a bucket, and so mostly waits.
WAITING = 4


@dataclass(frozen=True)
class Task:
    """What a worker receives before the first photo.

    Attributes:
        source, out: the folders IN and OUT.
        settings: what to make; its model path is not used.
        model: the content of the ONNX file, so that all workers use the same; or Ray's reference to it.
        version: of the cropper that starts the run; the worker must have the same.
        folder: the folder that relative paths start from.
        name: of this run; no other run has it.
        deadline: seconds that the work on one photo may take; 0 for no limit.
    """

    source: Path | Place
    out: Path | Place
    settings: Settings
    model: Any
    version: str
    folder: str
    name: str
    deadline: float = 0


@dataclass(frozen=True)
class Answer:
    """The outcome of a chunk.

    Attributes:
        photos: the finished photos, in order. After an error, those that finished or started before it.
        error: why the run cannot go on, or None.
        was_lost: whether the worker replaces one that died.
    """

    photos: list[Finished | Job] = field(default_factory=list)
    error: Exception | None = None
    was_lost: bool = False


class Worker:
    """A Ray actor: the model, loaded once, and a pipeline of one thread. It raises nothing; errors are in the answers."""

    def __init__(self, task: Task) -> None:
        from PIL import Image
        from ray import get, get_runtime_context

        self._task, self._mark = task, uuid.uuid4().hex[:12]
        self._parent = os.getppid()
        self._is_sound = False  # whether a known good photo came through here
        context = get_runtime_context()
        self._was_lost = context.get_actor_id() is not None and bool(context.was_current_actor_reconstructed)
        Image.MAX_IMAGE_PIXELS = None  # as in the command: cropper has its own limit
        keep_memory(1)
        try:
            self._check()
            with _counted(f"{task.name}/{context.get_actor_id()}") as tries:
                if tries > TRIES:
                    raise CropperError("a worker died again and again at its start", remedy="lower --jobs if memory is short")
                with TemporaryDirectory(prefix="cropper-model-") as folder:
                    file = Path(folder) / "model.onnx"
                    file.write_bytes(task.model if isinstance(task.model, bytes) else get(task.model))
                    self._model: Saliency | Exception = Saliency(file, task.settings.device)
        except Exception as error:
            self._model = error

    def __call__(self, chunks: Any) -> Any:
        """Take a table of chunks, lists of pickled jobs, and return a table of as many pickled answers."""
        import pyarrow

        answers = [_packed(self._answer_or_give_up([*map(pickle.loads, jobs)])) for jobs in chunks["jobs"].to_pylist()]
        return pyarrow.table({"answer": pyarrow.array(answers, pyarrow.large_binary())})

    def _check(self) -> None:
        """Check that this machine has the same cropper and sees the same folders."""
        task, host = self._task, socket.gethostname()
        if task.version != __version__:
            reason = f"the worker on {host} has cropper {__version__}, this machine has {task.version}"
            raise DependencyError(reason, remedy="install the same version on all machines")
        with suppress(OSError):  # only relative paths need it
            os.chdir(task.folder)
        # The state folder tells this OUT from another folder with the same path.
        for folder, proof in ((task.source, task.source), (task.out, task.out / STATE_FOLDER)):
            if place(proof).is_gone():
                remedy = "give folders of a file system that all machines share, or of a bucket"
                raise UsageError(f"the worker on {host} does not see it", path=folder, remedy=remedy)

    def _answer_or_give_up(self, jobs: list[Job]) -> Answer:
        with _counted(f"{self._task.name}/chunk/{jobs[0].number}") as tries:
            if tries == 1 or isinstance(self._model, Exception):
                return self._answer(jobs)
            # Deaths at one photo alone have their own counts.
            if tries - sum(_count(self._alone(job)) for job in jobs) <= TRIES:
                return self._one_by_one(jobs)
        reason = f"workers died again and again at photos from {printable(jobs[0].path)} to {printable(jobs[-1].path)}"
        remedy = "move away the photo that they cannot process, or run again"
        return Answer(error=CropperError(reason, remedy=remedy), was_lost=self._was_lost)

    def _one_by_one(self, jobs: list[Job]) -> Answer:
        """Process a chunk at which workers died: each photo alone, without photos that killed a worker."""
        if not self._is_sound:
            with suppress(Exception):  # only this worker's death matters
                try_alone(self._task.source, "", self._task.settings, {}, Journal())
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
        return Answer(photos=photos, was_lost=self._was_lost)

    def _alone(self, job: Job) -> str:
        """Return the key under which the cluster counts how often a photo was started alone."""
        return f"{self._task.name}/photo/{job.number}"

    def _answer(self, jobs: list[Job], alone: str = "") -> Answer:
        if isinstance(self._model, Exception):
            return Answer(error=self._model, was_lost=self._was_lost)
        mine = (replace(job, temporary=marked(job.temporary, self._mark)) for job in jobs)
        threads = WAITING if any(place(folder).is_remote for folder in (self._task.source, self._task.out)) else 1
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
                    if os.getppid() != self._parent:  # our parent is dead, and OUT may belong to another run by now
                        os._exit(1)
        except Exception as broken:
            error = broken
            done += pipeline.left()
        return Answer(photos=sorted(done, key=lambda photo: photo.number), error=error, was_lost=self._was_lost)


@contextmanager
def _watched(journal: Journal, deadline: float, note: Callable[[], None]) -> Iterator[None]:
    """While the body runs, end this process if a photo exceeds the deadline; call ``note`` first."""
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
            os._exit(1)  # nothing else stops a decoder


# Counts in the cluster's memory, which outlive a worker. Keys start with the run's name.
_PREFIX, _LATE = "cropper/", "/late"


def _memory() -> Any:
    """Return the cluster's key-value memory; None where there is no cluster."""
    from ray.experimental import internal_kv

    memory: Any = internal_kv  # it has no type hints
    return memory if memory._internal_kv_initialized() else None


def _count(key: str) -> int:
    memory = _memory()
    return int(memory._internal_kv_get(_PREFIX + key) or b"0") if memory else 0


def _put_count(key: str, count: int) -> None:
    if memory := _memory():
        memory._internal_kv_put(_PREFIX + key, b"%d" % count, overwrite=True)


def forget(key: str, with_all_below: bool = False) -> None:
    """Drop a count from the cluster's memory, or all counts with keys that start with this one."""
    if memory := _memory():
        memory._internal_kv_del(_PREFIX + key, del_by_prefix=with_all_below)


@contextmanager
def _counted(key: str) -> Iterator[int]:
    """Yield how often the cluster has started the body without reaching its end, this time included."""
    tries = _count(key) + 1
    _put_count(key, tries)
    yield tries
    forget(key)


def _packed(answer: Answer) -> bytes:
    try:
        packed = pickle.dumps(answer)
        pickle.loads(packed)
        return packed
    except Exception:  # the error cannot be pickled, or not unpickled
        return pickle.dumps(replace(answer, error=CropperError(unexpected(answer.error)) if answer.error else None))
