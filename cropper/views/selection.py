"""Choose the photos of a sheet from a ledger, and recognise the ledger's own files."""

from __future__ import annotations

import heapq
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from cropper.errors import UsageError
from cropper.ledger.shards import table_in
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
    table = table_in(out)

    def entries() -> Iterator[SheetPhoto]:
        nonlocal photos, failed
        for path, rows in groupby(read_rows(table), key=lambda row: row.path):
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


def first_of_the_ledger(paths: Iterable[Path], out: Path, source: Path) -> Path | None:
    """Return the first of some paths that leads to a photo or a thumbnail of a ledger, through links too; None if none does."""
    folders = [(os.path.realpath(folder), column) for folder, column in ((source, "path"), (out, "output"))]
    known: dict[str, set[str]] = {column: set() for _, column in folders}
    names = {path: [(column, name) for root, column in folders for name in _names_in(root, path)] for path in paths}
    wanted = {column: {name for pairs in names.values() for of, name in pairs if of == column} for column in known}
    if any(wanted.values()):
        for row in read_rows(out / TABLE_NAME):
            for column, of_it in known.items():
                name = getattr(row, column).casefold()
                if name in wanted[column]:
                    of_it.add(name)
    return next((path for path, pairs in names.items() if any(name in known[column] for column, name in pairs)), None)


def _names_in(root: str, path: Path) -> set[str]:
    """Return the names of a file in a folder, none if elsewhere. Where A and a are two files, refusing both does no harm."""
    here = os.path.join(os.path.realpath(path.parent), path.name)
    inside = [each for each in (here, os.path.realpath(path)) if is_inside(each, root)]
    return {os.path.relpath(each, root).replace(os.sep, "/").casefold() for each in inside}


def share_of(text: str) -> float:
    """Read a share in a ledger's row; 0 if it is not a number, as after someone's edit in a spreadsheet."""
    try:
        return float(text)
    except ValueError:
        return 0.0
