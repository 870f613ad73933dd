"""Draw a contact sheet of a ledger: the originals with their boxes, beside their crops. The work of ``cropper sheet``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.errors import PhotoError, reading, unexpected
from cropper.geometry import Box, fitted, pixels_of_share
from cropper.imaging.decode import decode
from cropper.imaging.header import probe
from cropper.imaging.resize import render, resized
from cropper.ledger.table import FAILED, OK, TABLE_NAME, Row
from cropper.model.inputs import share_needed
from cropper.model.look import infer_maps, open_photo
from cropper.model.saliency import Saliency
from cropper.settings import LIMITS, Limits
from cropper.storage.local import LocalPlace
from cropper.storage.places import file_below
from cropper.views import heatmap
from cropper.views.checks import on_checks
from cropper.views.layout import CAPTION, GAP, LETTERS, SLOT, TITLE, Layout, Page, Slot, shown
from cropper.views.lettering import lettered, text_width, wrapped, write, write_line
from cropper.views.selection import Selection, SheetPhoto, share_of

Pixels = NDArray[np.uint8]

_LINE = 2  # thickness of the boxes
# BGR. The paper is that of the legend of ``cropper show``.
_CELL, _EMPTY = (40, 40, 40), (62, 62, 62)
_INK, _FAINT, _BAD = (235, 235, 235), (160, 160, 160), (130, 150, 255)


@dataclass
class _Cell:
    """The pictures of a photo, where it has them, and the problem where it does not."""

    original: Pixels | None = None
    heat: Pixels | None = None
    crops: dict[int, Pixels] = field(default_factory=dict)  # by the number of the row among those shown
    problem: str = ""


def draw_pages(
    selection: Selection,
    layout: Layout,
    out: Path,
    source: Path,
    model: Saliency | None = None,
    limits: Limits = LIMITS,
) -> Iterator[Pixels]:
    """Draw a sheet, one cell per photo, a page at a time: only the page being drawn is in memory.

    Args:
        selection: the photos to show.
        layout: where they stand, by ``lay_out``.
        out: the output folder. The sheet shows its thumbnails; missing ones are cut from the originals.
        source: the folder of the originals. One that cannot be read does not stop the others.
        model: draws where people look, too; or None. The layout has a place for that, or not.
        limits: which photos are accepted.

    Yields:
        uint8 [h, w, 3] BGR, as large as the pages of the layout.
    """
    title, summary = _title_of(out), _summary_of(selection)
    one_label = len({row.size for entry in selection.entries for row in shown(entry)}) == 1
    cell_of = partial(_cell_of, out=out, source=source, model=model, limits=limits)
    for number, page in enumerate(layout.pages, 1):
        count = f", page {number} of {len(layout.pages)}" if len(layout.pages) > 1 else ""
        yield _draw_page(selection, layout, page, title, summary + count, one_label, cell_of)


def _draw_page(
    selection: Selection,
    layout: Layout,
    page: Page,
    title: str,
    summary: str,
    one_label: bool,
    cell_of: Callable[[SheetPhoto, Sequence[Slot]], _Cell],
) -> Pixels:
    canvas = np.full((page.height, page.width, 3), heatmap.PAPER, np.uint8)
    _write_head(canvas, title, summary)
    for number, left, top, height in page.places:
        entry = selection.entries[number]
        canvas[top : top + height, left : left + layout.cell_width] = _CELL
        slots = layout.slots_of(entry)
        wholes, crops = slots[: layout.wholes], slots[layout.wholes :]
        cell = cell_of(entry, crops)
        for slot, picture in zip(wholes, (cell.original, cell.heat), strict=False):
            _paste(canvas, picture, left, top, slot)
        for place, slot in enumerate(crops):
            _paste(canvas, cell.crops.get(place), left, top, slot)
        _write_captions(canvas, entry, left, top, slots, layout.wholes, one_label)
        if cell.problem:
            _write_problem(canvas, cell.problem, left, top, layout.cell_width)
    return canvas


def _cell_of(entry: SheetPhoto, slots: Sequence[Slot], out: Path, source: Path, model: Saliency | None, limits: Limits) -> _Cell:
    """Read the pictures of a photo. The cell reports any problem with them."""
    cell = _Cell()
    boxes: dict[int, Box] = {}
    for row in entry.rows:
        if row.status == FAILED or (row.status != OK and row.width):  # without a box, it is a candidate that there is not
            cell.problem = cell.problem or row.message or row.status
    for place, row in enumerate(shown(entry)):
        if row.status != OK:
            continue
        try:
            boxes[place] = _box_of(row)
        except ValueError:
            cell.problem = cell.problem or f"its row in {TABLE_NAME} is not one that cropper wrote"
            continue
        if row.output:
            with suppress(PhotoError):  # then the crop is cut from the original
                cell.crops[place] = _picture(LocalPlace(out) / row.output, slots[place])
    try:
        _read_original(cell, entry, boxes, source, slots, model, limits)
    except PhotoError as error:
        cell.problem = cell.problem or error.reason
    except Exception as error:  # one photo must not stop the others
        cell.problem = cell.problem or unexpected(error)
    return cell


def _read_original(
    cell: _Cell,
    entry: SheetPhoto,
    boxes: dict[int, Box],
    source: Path,
    slots: Sequence[Slot],
    model: Saliency | None,
    limits: Limits,
) -> None:
    """Read the original: draw its boxes and where people look, and cut the crops that have no thumbnail."""
    missing = [place for place in boxes if place not in cell.crops]

    def needed(width: int, height: int) -> tuple[int, int]:
        share = max([fitted(width, height, SLOT)[0] / width, *(slots[place].width / boxes[place].width for place in missing)])
        if model is not None:
            share = max(share, float(share_needed(width, height)))
        return pixels_of_share(width, height, share)

    file = file_below(source, entry.path)
    data, _ = (LocalPlace(source) / entry.path).read()
    with reading(file):
        photo = open_photo(data, needed, limits)
    size = photo.header.width, photo.header.height
    small = fitted(*size, SLOT)
    pixels = on_checks(photo.pixels)
    original = np.asarray(resized(pixels, small), np.uint8)
    if model is not None:
        (maps,) = infer_maps([photo], model)
        cell.heat = heatmap.draw(original, maps, ())
    decided_for = {(row.image_width, row.image_height) for place, row in enumerate(shown(entry)) if place in boxes}
    if decided_for - {(str(size[0]), str(size[1]))}:
        cell.original = original
        raise PhotoError("its size has changed since its boxes were chosen", remedy="run 'cropper batch' again")
    for place in missing:
        box = boxes[place]
        cell.crops[place] = render(pixels, box, fitted(box.width, box.height, SLOT), size)
    scaled = [box.scaled(small[0] / size[0], small[1] / size[1]) for box in boxes.values()]
    cell.original = _with_boxes(original, scaled) if scaled else original


def _with_boxes(picture: Pixels, boxes: list[Box]) -> Pixels:
    """Draw boxes on a picture, and darken it outside them."""
    drawn = heatmap.dimmed_outside(picture, boxes)
    heatmap.draw_boxes(drawn, boxes, _LINE)
    return drawn


def _picture(file: LocalPlace, slot: Slot) -> Pixels:
    """Read a thumbnail from disk, scaled to its slot."""
    data, _ = file.read()
    with reading(file):
        header = probe(data)
        size = fitted(header.width, header.height, (slot.width, slot.height))
        return np.asarray(resized(on_checks(decode(data, header, size)), size), np.uint8)


def _paste(canvas: Pixels, picture: Pixels | None, left: int, top: int, slot: Slot) -> None:
    """Put a picture into the middle of its slot in the cell at (left, top), or mark the slot as empty."""
    x, y = left + slot.x, top + slot.y + (SLOT[1] - slot.height) // 2
    if picture is None:
        canvas[y : y + slot.height, x : x + slot.width] = _EMPTY
        return
    height, width = min(picture.shape[0], slot.height), min(picture.shape[1], slot.width)
    x, y = x + (slot.width - width) // 2, y + (slot.height - height) // 2
    canvas[y : y + height, x : x + width] = picture[:height, :width]


def _write_head(canvas: Pixels, title: str, summary: str) -> None:
    width = canvas.shape[1]
    room = width - 3 * GAP - text_width(summary, LETTERS)
    baseline = GAP + TITLE + TITLE // 4
    if room < 4 * TITLE:  # a single narrow column: only the title fits
        room = width - 2 * GAP
    else:
        write(canvas, summary, (width - GAP, baseline), LETTERS, _FAINT, flush_right=True)
    write(canvas, title, (GAP, baseline), TITLE, _INK, width=room)


def _write_captions(
    canvas: Pixels, entry: SheetPhoto, left: int, top: int, slots: Sequence[Slot], wholes: int, one_label: bool
) -> None:
    """Write the photo's path below its picture, and below each crop what it keeps."""
    below = SLOT[1] + CAPTION - LETTERS // 2 - 2
    write(canvas, entry.path, (left + slots[0].x, top + slots[0].y + below), LETTERS, _INK, width=SLOT[0])
    made = 0
    for slot, row in zip(slots[wholes:], shown(entry), strict=True):
        if row.status != OK:
            continue
        kept = f"{share_of(row.kept):.0%}"
        words = f"keeps {kept}" if one_label else f"{row.size} {kept}"
        if row.heads_cut not in ("", "0"):
            # A narrow crop has no room for more.
            words += f", {row.heads_cut} cut"
        write(canvas, words, (left + slot.x, top + slot.y + below), LETTERS, heatmap.colour_of(made), width=slot.width + GAP)
        made += 1


def _write_problem(canvas: Pixels, problem: str, left: int, top: int, cell_width: int) -> None:
    """Write the problem across the foot of the pictures."""
    words, font = lettered(problem, LETTERS)
    lines = wrapped(words, font, cell_width - 4 * GAP, 3)
    step = LETTERS + 5
    foot = top + GAP + SLOT[1]
    canvas[foot - len(lines) * step - GAP : foot, left + GAP : left + cell_width - GAP] = _CELL
    for number, line in enumerate(lines):
        write_line(canvas, line, font, (left + 2 * GAP, foot - (len(lines) - number - 1) * step - GAP), _BAD)


def _title_of(out: Path) -> str:
    return Path(os.path.abspath(out)).name or str(out)


def _summary_of(selection: Selection) -> str:
    shown, photos = len(selection.entries), selection.photos
    words = f"{shown} of {photos} photos" if shown < photos else "1 photo" if photos == 1 else f"{photos} photos"
    return f"{words}, {selection.failed} failed" if selection.failed else words


def _box_of(row: Row) -> Box:
    x, y, width, height = (int(side) for side in (row.x, row.y, row.width, row.height))
    if min(x, y) < 0 or min(width, height) < 1:
        raise ValueError("not a box")
    return Box(x, y, width, height, float(row.kept), (int(row.focus_x), int(row.focus_y)))
