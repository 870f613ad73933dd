"""Which photos of a ledger a sheet shows, and which files are the ledger's own."""

from __future__ import annotations

import heapq
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from cropper.errors import UsageError
from cropper.ledger.state import TABLE_NAME
from cropper.ledger.table import FAILED, OK, Row, read_rows
from cropper.storage.places import is_inside


@dataclass(frozen=True)
class SheetPhoto:
    """A photo and its rows in the ledger, one a size."""

    path: str
    rows: tuple[Row, ...]

    @property
    def kept(self) -> float:
        """What the worst of its crops keeps; infinite where there is none."""
        return min((share_of(row.kept) for row in self.rows if row.status == OK), default=math.inf)


@dataclass(frozen=True)
class Selection:
    """What of a ledger to show.

    Attributes:
        entries: the photos to show, in the order to show them.
        photos: how many the ledger has.
        failed: how many of them have no thumbnail, or not all.
    """

    entries: tuple[SheetPhoto, ...]
    photos: int
    failed: int


def select(out: Path, most: int, least_kept_first: bool) -> Selection:
    """Choose photos from the ledger of an output folder: the first ones, or those whose crops keep least.

    Raises:
        UsageError: if there is no ledger, or nothing in it.
        OutputError: if there is a file of its name that is none.
    """
    photos = failed = 0

    def entries() -> Iterator[SheetPhoto]:
        nonlocal photos, failed
        for path, rows in groupby(read_rows(out / TABLE_NAME), key=lambda row: row.path):
            entry = SheetPhoto(path, tuple(rows))
            photos += 1
            failed += any(row.status == FAILED for row in entry.rows)
            yield entry

    if least_kept_first:
        chosen = heapq.nsmallest(most, entries(), key=lambda entry: entry.kept)
    else:
        chosen = [entry for number, entry in enumerate(entries()) if number < most]
    if not photos:
        raise UsageError(f"holds no {TABLE_NAME} with photos in it", path=out, remedy="give an OUT of 'cropper batch'")
    return Selection(tuple(chosen), photos, failed)


def is_of_the_ledger(path: Path, out: Path, source: Path) -> bool:
    """Whether a path is that of one of the photos or thumbnails of a ledger, by whichever way it is reached."""
    here = os.path.join(os.path.realpath(path.parent), path.name)
    for folder, column in ((source, "path"), (out, "output")):
        root = os.path.realpath(folder)
        inside = {os.path.relpath(p, root).replace(os.sep, "/") for p in (here, os.path.realpath(path)) if is_inside(p, root)}
        # Where A and a are two files, it is no loss to refuse both.
        names = {name.casefold() for name in inside}
        if names and any(getattr(row, column).casefold() in names for row in read_rows(out / TABLE_NAME)):
            return True
    return False


def share_of(text: str) -> float:
    """A share in a row of a ledger as a number; 0 where someone's spreadsheet left no number."""
    try:
        return float(text)
    except ValueError:
        return 0.0
