"""Choose the boxes of photos from a stream of paths. Writes nothing, and memory does not grow with the number of paths."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import BinaryIO

from cropper.engine.job import Done, Finished, Job
from cropper.engine.pipeline import Pipeline
from cropper.errors import CropperError, PhotoError
from cropper.image_formats import PHOTO_EXTENSIONS
from cropper.ledger.focus_file import Given, focus_for
from cropper.model.saliency import Saliency
from cropper.settings import Settings
from cropper.storage.local import LocalPlace
from cropper.storage.walk import walk

# Paths to read ahead of the pipeline.
_AHEAD = 64
_CHUNK = 1 << 16


class _End:
    """After the last path."""


_Found = str | tuple[str, CropperError] | BaseException | _End


def stream(
    paths: Iterable[str], settings: Settings, jobs: int, in_order: bool = True, given: Given | None = None
) -> Generator[Done, None, None]:
    """Choose the boxes of photos, and yield what became of each as soon as it is known.

    Args:
        paths: paths of photos, and of folders; the photos of a folder come in the order of the walk. A thread of its own reads
            them, so that finished photos never wait for the next path.
        settings: only the targets, the choosing, the limits, the model and its device matter.
        jobs: worker threads, at least 1.
        in_order: whether photos leave in the order of their paths, rather than the fastest first.
        given: what you give by hand, by these paths.

    Raises:
        DependencyError: if the device cannot be used here.
        ModelError: if the model cannot be loaded.
        OSError: if no more paths can be read.
    """
    settings = replace(settings, dry_run=True)
    pipeline = Pipeline(settings, Path(), Saliency(settings.model, settings.device), jobs, in_order)
    found: Queue[_Found] = Queue(_AHEAD)
    Thread(target=_find, args=(paths, found, pipeline), daemon=True, name="cropper-paths").start()
    yield from pipeline.run(_jobs(found, settings, given or {}), record=lambda finished: None)


def split(stream: BinaryIO, separator: bytes) -> Iterator[str]:
    """Split a stream of bytes into paths, and yield each as soon as its separator comes. Leaves out empty ones."""
    rest = b""
    while chunk := os.read(stream.fileno(), _CHUNK):
        *whole, rest = (rest + chunk).split(separator)
        yield from (os.fsdecode(path) for path in whole if path)
    if rest:
        yield os.fsdecode(rest)


def _find(paths: Iterable[str], found: Queue[_Found], pipeline: Pipeline) -> None:
    """On a thread of its own: pass every photo's path to the pipeline, then the end or the error that ended the paths."""
    try:
        for path in _photos(paths):
            found.put(path)
            pipeline.wake()
        found.put(_End())
    except BaseException as error:
        found.put(error)
    pipeline.wake()


def _photos(paths: Iterable[str]) -> Iterator[str | tuple[str, PhotoError]]:
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        for folder in walk(Path(path), PHOTO_EXTENSIONS):
            inside = os.path.join(path, folder.path) if folder.path else path
            if folder.error is not None:
                yield inside, folder.error
            yield from (os.path.join(inside, name) for name in folder.photos)


def _jobs(found: Queue[_Found], settings: Settings, given: Given) -> Iterator[Job | Finished | None]:
    number = 0
    while True:
        try:
            item = found.get_nowait()
        except Empty:
            yield None
            continue
        if isinstance(item, _End):
            return
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, tuple):
            yield Finished(number, Done(item[0], error=item[1]))
        else:
            foci = tuple(focus_for(given, item, target.label) for target in settings.targets)
            yield Job(number=number, path=item, file=LocalPlace(Path(item)), outputs=("",) * len(settings.targets), given=foci)
        number += 1
