"""Lay out a contact sheet: which photos stand on which page, and where each of their pictures goes. Pure arithmetic."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cropper.errors import UsageError
from cropper.geometry import fitted
from cropper.ledger.table import OK, Row
from cropper.views.selection import SheetPhoto

# All in pixels. A picture fits into SLOT; the slots of a cell stand in lines, and cells side by side.
SLOT = (280, 210)
GAP = 14
LETTERS, TITLE = 15, 24
CAPTION = 2 * LETTERS
HEAD = 2 * TITLE + GAP
PAGE_SIDE = 2000  # the longest side of a page: mail programs and pull requests show it without scaling
LARGEST_SIDE = 16383  # of one large sheet: JPEG, PNG and WebP can all hold it
_LINE = SLOT[1] + CAPTION  # the height of a line of pictures with what is written below


@dataclass(frozen=True)
class Slot:
    """The place of a picture in a cell.

    Attributes:
        x, y: its upper left corner, from that of the cell.
        width, height: of the picture; it stands in the middle of a line that is SLOT[1] high.
    """

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Page:
    """What stands on one page.

    Attributes:
        width, height: of the page.
        places: the numbers of its photos in the selection, each with the left, the top and the height of its cell.
    """

    width: int
    height: int
    places: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Layout:
    """A whole sheet.

    Attributes:
        cell_width: the same for all photos, so that they stand in columns.
        pages: at least one, in order.
        wholes: how many pictures of the whole photo stand before its crops.
    """

    cell_width: int
    pages: tuple[Page, ...]
    wholes: int

    def slots_of(self, entry: SheetPhoto) -> tuple[Slot, ...]:
        """Return the slots of a photo: those of its ``wholes``, then one for each of ``shown(entry)``."""
        return tuple(_slots(_shapes(entry, self.wholes), self.cell_width))


def shown(entry: SheetPhoto) -> list[Row]:
    """Return the rows of a photo that have a slot: those with a box. A photo that failed has none, nor a missing candidate."""
    return [row for row in entry.rows if row.width or row.status == OK]


def lay_out(entries: Sequence[SheetPhoto], columns: int | None = None, wholes: int = 1, one_page: bool = False) -> Layout:
    """Lay out photos left to right, then down, then onto the next page.

    Args:
        entries: the photos.
        columns: cells in a row; None for as many as fit a page.
        wholes: how many pictures of the whole photo stand before its crops: 1, or 2 with where people look.
        one_page: whether all stand on one page, as large as it needs.

    Raises:
        UsageError: if what was asked for does not fit a page, or the only page would be larger than image files can be.
    """
    widest = PAGE_SIDE - 2 * GAP
    if columns is not None and not one_page:
        widest = (PAGE_SIDE - GAP) // columns - GAP
        if widest < SLOT[0] + 2 * GAP:
            most = (PAGE_SIDE - GAP) // (SLOT[0] + 3 * GAP)
            reason = f"a page of {PAGE_SIDE} pixels has no room for {columns} photos in a row"
            raise UsageError(reason, remedy=f"ask for at most --columns {most}, or for one large picture with --one-page")
    cell_width = max(slot.x + slot.width + GAP for entry in entries for slot in _slots(_shapes(entry, wholes), widest))
    if columns is None:
        columns = max(1, (PAGE_SIDE - GAP) // (cell_width + GAP))
    columns = min(columns, len(entries))
    heights = [max(slot.y for slot in _slots(_shapes(entry, wholes), cell_width)) + _LINE for entry in entries]
    rows = [range(first, min(first + columns, len(entries))) for first in range(0, len(entries), columns)]
    width = GAP + columns * (cell_width + GAP)

    pages: list[Page] = []
    places: list[tuple[int, int, int, int]] = []
    top = HEAD
    for row in rows:
        height = max(heights[number] for number in row)
        if not one_page and HEAD + height + GAP > PAGE_SIDE:
            reason = f"a page of {PAGE_SIDE} x {PAGE_SIDE} pixels has no room for all crops of {entries[row[0]].path}"
            raise UsageError(reason, remedy="choose fewer --columns, or ask for one large picture with --one-page")
        if not one_page and top + height + GAP > PAGE_SIDE:
            pages.append(Page(width, top, tuple(places)))
            places, top = [], HEAD
        places += [(number, GAP + (number - row[0]) * (cell_width + GAP), top, height) for number in row]
        top += height + GAP
    pages.append(Page(width, top, tuple(places)))
    if max(width, top) > LARGEST_SIDE:
        reason = f"the sheet would have {width} x {top} pixels, and image files hold up to {LARGEST_SIDE} a side"
        raise UsageError(
            reason, remedy="show fewer photos with --most, choose --columns, or make several pages, without --one-page"
        )
    return Layout(cell_width, tuple(pages), wholes)


def _shapes(entry: SheetPhoto, wholes: int) -> list[tuple[int, int]]:
    return [SLOT] * wholes + [fitted(*_shape_of(row.size), SLOT) for row in shown(entry)]


def _slots(shapes: Sequence[tuple[int, int]], cell_width: int) -> Iterator[Slot]:
    """Yield the place of each picture of a cell: from left to right, then in the next line."""
    x, y = GAP, GAP
    for width, height in shapes:
        if x > GAP and x + width + GAP > cell_width:
            x, y = GAP, y + _LINE + GAP
        yield Slot(x, y, width, height)
        x += width + GAP


def _shape_of(label: str) -> tuple[int, int]:
    """Return the width and height that a label such as ``640x360`` or ``16:9`` stands for; a square for other labels."""
    sides = re.fullmatch("([1-9][0-9]{0,4})[x:]([1-9][0-9]{0,4})", label)
    return (int(sides[1]), int(sides[2])) if sides else (1, 1)
