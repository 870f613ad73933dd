"""Choose the photos of a sheet from a ledger, and recognise the ledger's own files."""

from __future__ import annotations

import heapq
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from cropper.errors import UsageError
from cropper.ledger.table import FAILED, OK, TABLE_NAME, Row, read_rows
from cropper.settings import Order
from cropper.storage.places import is_inside


@dataclass(frozen=True)
class SheetPhoto:
    """A photo and its rows in the ledger, one per size."""

    path: str
    rows: tuple[Row, ...]

    @property
    def kept(self) -> float:
        """The least that one of its crops keeps; infinite if it has no crop."""
        return min((share_of(row.kept) for row in self.rows if row.status == OK), default=math.inf)

    @property
    def whole(self) -> tuple[float, float]:
        """Less, the more its crops cut: minus the most heads that one cuts, then the least that one keeps of the subject."""
        made = [row for row in self.rows if row.status == OK]
        heads = max((share_of(row.heads_cut) for row in made), default=0.0)
        return -heads, min((share_of(row.subject_kept) if row.subject_kept else 1.0 for row in made), default=math.inf)


# What a photo is sorted by in each order: what is least comes first. None keeps the ledger's order.
_KEYS: dict[Order, Callable[[SheetPhoto], Any] | None] = {
    Order.LEDGER: None,
    Order.KEPT: lambda photo: photo.kept,
    Order.CUT: lambda photo: photo.whole,
}


@dataclass(frozen=True)
class Selection:
    """The photos of a ledger that a sheet shows.

    Attributes:
        entries: the photos, in the order to show them.
        photos: how many photos the ledger has.
        failed: how many of those have a failed row.
    """

    entries: tuple[SheetPhoto, ...]
    photos: int
    failed: int


def select(out: Path, most: int, order: Order) -> Selection:
    """Choose at most ``most`` photos from the ledger of an output folder, in an order.

    Raises:
        UsageError: if there is no ledger, or it is empty.
        OutputError: if the file is not a ledger.
    """
    photos = failed = 0

    def entries() -> Iterator[SheetPhoto]:
        nonlocal photos, failed
        for path, rows in groupby(read_rows(out / TABLE_NAME), key=lambda row: row.path):
            entry = SheetPhoto(path, tuple(rows))
            photos += 1
            failed += any(row.status == FAILED for row in entry.rows)
            yield entry

    key = _KEYS[order]
    if key is not None:
        chosen = heapq.nsmallest(most, entries(), key=key)
    else:
        chosen = [entry for number, entry in enumerate(entries()) if number < most]
    if not photos:
        raise UsageError(
            f"there is no {TABLE_NAME} with photos in it", path=out, remedy="give a folder that 'cropper batch' wrote"
        )
    return Selection(tuple(chosen), photos, failed)


def is_of_the_ledger(path: Path, out: Path, source: Path) -> bool:
    """Tell whether a path leads to a photo or a thumbnail of a ledger, through links too."""
    here = os.path.join(os.path.realpath(path.parent), path.name)
    for folder, column in ((source, "path"), (out, "output")):
        root = os.path.realpath(folder)
        inside = {os.path.relpath(p, root).replace(os.sep, "/") for p in (here, os.path.realpath(path)) if is_inside(p, root)}
        # Where A and a are different files, refusing both does no harm.
        names = {name.casefold() for name in inside}
        if names and any(getattr(row, column).casefold() in names for row in read_rows(out / TABLE_NAME)):
            return True
    return False


def share_of(text: str) -> float:
    """Read a share in a ledger's row; 0 if it is not a number, as after someone's edit in a spreadsheet."""
    try:
        return float(text)
    except ValueError:
        return 0.0
