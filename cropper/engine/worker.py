"""One worker of a cluster: the model, loaded once, and a pipeline of one thread.

A worker raises nothing: its errors travel in the answers. The cluster's memory counts how often each chunk and each photo was
begun, so that a photo that ends workers is found out and fails in its own row.
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
from cropper.ledger.state import STATE_FOLDER
from cropper.model.saliency import Saliency
from cropper.process.journal import Clocks, Journal
from cropper.process.memory import keep_memory
from cropper.process.supervisor import deadly, took_too_long
from cropper.settings import Settings
from cropper.storage.access import place
from cropper.storage.naming import marked
from cropper.storage.places import Place

# Deaths of workers at a chunk that are no photo's of it, and at a photo alone, until it is given up: Ray would try for ever.
TRIES, TRIES_ALONE = 5, 2
# Threads of a worker that waits for a storage.
WAITING = 4


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
        for folder, proof in ((task.source, task.source), (task.out, task.out / STATE_FOLDER)):
            if place(proof).is_gone():
                remedy = "give folders of a file system that all machines share, or of a storage"
                raise UsageError(f"the worker on {host} does not see it", path=folder, remedy=remedy)

    def _answer_or_give_up(self, jobs: list[Job]) -> Answer:
        with _counted(f"{self._task.name}/chunk/{jobs[0].number}") as tries:
            if tries == 1 or isinstance(self._model, Exception):
                return self._answer(jobs)
            # What is counted beside the chunk are deaths that a photo of it was alone at.
            if tries - sum(_count(self._alone(job)) for job in jobs) <= TRIES:
                return self._one_by_one(jobs)
        reason = f"workers died again and again at photos from {printable(jobs[0].path)} to {printable(jobs[-1].path)}"
        remedy = "move away the one that is too much for them, or run again"
        return Answer(error=CropperError(reason, remedy=remedy), was_lost=self._was_lost)

    def _one_by_one(self, jobs: list[Job]) -> Answer:
        """A chunk that workers died at: each photo alone, but not one that they died of."""
        if not self._is_sound:
            with suppress(Exception):  # only its death would tell
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
        return Answer(photos, was_lost=self._was_lost)

    def _alone(self, job: Job) -> str:
        """What the cluster counts a photo's begins alone under."""
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
                    if os.getppid() != self._parent:  # who began us is dead, and OUT perhaps another run's by now
                        os._exit(1)
        except Exception as broken:
            error = broken
            done += pipeline.left()
        return Answer(sorted(done, key=lambda photo: photo.number), error, self._was_lost)


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


def forget(key: str, with_all_below: bool = False) -> None:
    """Drop a count from the cluster's memory, or all whose keys begin so."""
    if memory := _memory():
        memory._internal_kv_del(_PREFIX + key, del_by_prefix=with_all_below)


@contextmanager
def _counted(key: str) -> Iterator[int]:
    """How many times the body has been begun in the cluster and not ended, this one included."""
    tries = _count(key) + 1
    _put_count(key, tries)
    yield tries
    forget(key)


def _packed(answer: Answer) -> bytes:
    try:
        packed = pickle.dumps(answer)
        pickle.loads(packed)
        return packed
    except Exception:  # an error that holds what cannot travel, or not back
        return pickle.dumps(replace(answer, error=CropperError(unexpected(answer.error)) if answer.error else None))
