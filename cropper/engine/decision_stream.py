"""Choose the boxes of photos from a stream of paths. Writes nothing, and memory does not grow with the number of paths."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

from cropper.engine.job import Done, Finished, Job
from cropper.engine.pipeline import Pipeline
from cropper.engine.plan import chosen_of
from cropper.errors import UsageError
from cropper.image_formats import RAW_ALONE, extensions_here
from cropper.ledger.focus_file import Gifts
from cropper.ledger.given import given_for_all
from cropper.model.saliency import Saliency
from cropper.settings import Settings
from cropper.storage.local import LocalPlace
from cropper.storage.patterns import EVERYTHING, Selection
from cropper.storage.places import LeftOut, join

# Paths to read ahead of the pipeline.
_AHEAD = 64


class _End:
    """After the last path."""


@dataclass(frozen=True)
class _Photo:
    """A photo, or with ``report`` what there is to say of a folder."""

    path: str  # as it was given, or below a folder that was
    file: LocalPlace
    report: Done | None = None


_Found = _Photo | BaseException | _End


def stream(
    paths: Iterable[str],
    settings: Settings,
    jobs: int,
    in_order: bool = True,
    given: Gifts | None = None,
    selection: Selection = EVERYTHING,
    raw: str = RAW_ALONE,
) -> Generator[Done, None, None]:
    """Choose the boxes of photos, and yield what became of each as soon as it is known.

    Args:
        paths: paths of photos, and of folders; the photos of a folder come in the order of the walk. A thread of its own reads
            them, so that finished photos never wait for the next path.
        settings: only the targets, the choosing, the limits, the model and its device matter.
        jobs: worker threads, at least 1.
        in_order: whether photos leave in the order of their paths, rather than the fastest first.
        given: what you give by hand, by these paths.
        selection: which files of a folder to take; of a photo that is given by its own path,
            only what the user excludes or does not include.
        raw: which RAWs of a folder count, one of ``image_formats.RAW_CHOICES``.

    Raises:
        DependencyError: if the device cannot be used here.
        ModelError: if the model cannot be loaded.
        OSError: if no more paths can be read.
    """
    settings = replace(settings, dry_run=True)
    pipeline = Pipeline(settings, Path(), Saliency(settings.model, settings.device), jobs, in_order)
    found: Queue[_Found] = Queue(_AHEAD)
    Thread(target=_find, args=(paths, found, pipeline, selection, raw), daemon=True, name="cropper-paths").start()
    yield from pipeline.run(_jobs(found, settings, given or Gifts.of_file(None)), record=lambda finished: None)


def _find(paths: Iterable[str], found: Queue[_Found], pipeline: Pipeline, selection: Selection, raw: str) -> None:
    """On a thread of its own: pass every photo's path to the pipeline, then the end or the error that ended the paths."""
    try:
        for photo in _photos(paths, selection, raw):
            found.put(photo)
            pipeline.wake()
        found.put(_End())
    except BaseException as error:
        found.put(error)
    pipeline.wake()


def _photos(paths: Iterable[str], selection: Selection, raw: str) -> Iterator[_Photo]:
    for path in paths:
        given = LocalPlace(Path(path))
        if not os.path.isdir(path):
            is_taken = selection.takes_listed(path)
            yield _Photo(path, given, None if is_taken else Done(path, left_out=LeftOut(files=1)))
            continue
        try:
            chosen = selection.in_folder(given)
        except UsageError as error:  # costs this folder alone
            yield _Photo(path, given, Done(path, error=error))
            continue
        for walked in given.walk(extensions_here(), selection=chosen):
            folder, developed = chosen_of(walked, raw)
            inside = os.path.join(path, folder.path) if folder.path else path
            report = Done(
                inside,
                error=folder.error,
                kinds=folder.kinds,
                developed=developed,
                is_out=folder.is_out,
                left_out=folder.left_out,
            )
            if report != Done(inside):
                yield _Photo(inside, given, report)
            for name in folder.photos:
                yield _Photo(os.path.join(inside, name), given / join(folder.path, name))


def _jobs(found: Queue[_Found], settings: Settings, given: Gifts) -> Iterator[Job | Finished | None]:
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
        if item.report is not None:
            yield Finished(number, item.report)
        else:
            for_photo = given.of(item.path)
            no_outputs = ("",) * settings.rows
            for_targets = given_for_all(for_photo, settings)
            yield Job(number=number, path=item.path, file=item.file, outputs=no_outputs, given=for_targets)
        number += 1
