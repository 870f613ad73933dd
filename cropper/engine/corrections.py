"""Collect what a person corrected or approved in an output folder, with what the model sees in those photos."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Collection, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from cropper.choosing.decide import is_by_hand
from cropper.choosing.tune import Correction
from cropper.choosing.view import View, view_of
from cropper.errors import CropperError, PhotoError, reading, unexpected
from cropper.geometry import largest_size, pixels_of_share
from cropper.imaging.opencv import cv2
from cropper.ledger.shards import table_in
from cropper.ledger.source import photos_of
from cropper.ledger.table import OK, Row, read_rows
from cropper.model.inputs import share_needed
from cropper.model.look import infer_maps, open_photo
from cropper.model.saliency import Saliency
from cropper.settings import Limits
from cropper.storage.local import LocalPlace
from cropper.storage.places import file_below

# Photos that are looked at: many more than weights need, and few enough for the memory.
MOST_PHOTOS = 2000
# A box is the largest of its shape if its sides are at least this share of the largest's.
_LARGEST = 0.98
_LABEL = re.compile(r"(\d+)[x:](\d+)")


@dataclass(frozen=True)
class Corrected:
    """A photo with boxes that a person gave or approved.

    Attributes:
        path: relative to IN.
        rows: of those boxes.
    """

    path: str
    rows: tuple[Row, ...]

    @property
    def by_hand(self) -> bool:
        """Whether a person gave one of the boxes."""
        return any(is_by_hand(row.message) for row in self.rows)


@dataclass(frozen=True)
class Seen:
    """What a photo tells.

    Attributes:
        corrections: of its boxes that tell something.
        tighter: how many of its boxes are tighter than the largest. They do not say where the largest goes.
        error: why the photo cannot be looked at, or None.
    """

    corrections: tuple[Correction, ...] = ()
    tighter: int = 0
    error: CropperError | None = None


def corrected(out: Path, good: Collection[str]) -> tuple[list[Corrected], list[str]]:
    """Return the photos of an output folder that a person corrected or approved, at most ``MOST_PHOTOS`` of them.

    Also returns the paths in ``good`` that the table does not have.

    Args:
        out: the output folder of a batch.
        good: the paths of the photos whose boxes are good as they are.

    Raises:
        UsageError: if OUT has no table.
        OutputError: if the file is not a table that cropper wrote.
    """
    table, strangers = table_in(out), set(good)

    def all_of() -> Generator[Corrected, None, None]:
        for path, group in groupby(read_rows(table), key=lambda row: row.path):
            strangers.discard(path)
            rows = [row for row in group if row.status == OK and row.is_best]
            if found := tuple(row for row in rows if is_by_hand(row.message) or (path in good and not row.message)):
                yield Corrected(path, found)

    # Any others are as good, but the same ones each time.
    photos = heapq.nsmallest(MOST_PHOTOS, all_of(), key=lambda one: hashlib.sha256(one.path.encode("utf-8", "replace")).digest())
    return photos, sorted(strangers)


def look_at(
    photos: Collection[Corrected], out: Path, told: Path | None, jobs: int, limits: Limits
) -> Generator[Seen, None, None]:
    """Look at corrected photos, and yield what each tells, in their order.

    Args:
        photos: of ``corrected``.
        out: the output folder.
        told: the folder of the photos; None for the one that the batch took them from.
        jobs: worker threads, at least 1.
        limits: which photos are accepted.

    Raises:
        UsageError: if the folder of the photos is not known.
        ModelError: if the model cannot be loaded.
    """
    source, model = photos_of(out, told), Saliency()
    cv2.setNumThreads(1)  # the threads work on different photos
    with ThreadPoolExecutor(jobs, thread_name_prefix="cropper") as workers:
        try:
            yield from workers.map(partial(_seen, source, model, limits), photos)
        finally:
            workers.shutdown(cancel_futures=True)


def _seen(source: Path, model: Saliency, limits: Limits, photo: Corrected) -> Seen:
    """Worker: look at a photo."""
    try:
        file = file_below(source, photo.path)
        with reading(file):
            data = (LocalPlace(source) / photo.path).read()[0]
            opened = open_photo(data, lambda width, height: pixels_of_share(width, height, share_needed(width, height)), limits)
            size = opened.header.width, opened.header.height
            if any((row.image_width, row.image_height) != (str(size[0]), str(size[1])) for row in photo.rows):
                raise PhotoError("has another size than when it was corrected", remedy="run 'cropper batch' again")
        (maps,) = infer_maps([opened], model)
        return _told(photo, size, view_of(maps))
    except CropperError as error:
        return Seen(error=error)
    except Exception as error:  # one photo must not stop the others
        return Seen(error=PhotoError(unexpected(error), path=source / photo.path))


def _told(photo: Corrected, size: tuple[int, int], view: View) -> Seen:
    """Return what the boxes of a photo tell."""
    found, tighter = [], 0
    for row in photo.rows:
        label = _LABEL.fullmatch(row.size)
        try:
            x, y, width, height = int(row.x), int(row.y), int(row.width), int(row.height)
        except ValueError:
            continue  # after someone's edit in a spreadsheet
        if label is None or 0 in (aspect := (int(label[1]), int(label[2]))):
            continue
        largest = largest_size(*size, aspect)
        if width < _LARGEST * largest[0] or height < _LARGEST * largest[1]:
            tighter += 1
            continue
        horizontal = largest[0] < size[0]
        side, length, offset = (size[0], largest[0], x) if horizontal else (size[1], largest[1], y)
        one = Correction(photo.path, view, side, length, horizontal, min(max(offset, 0), side - length))
        if one.says_something:
            found.append(one)
    return Seen(tuple(found), tighter)
