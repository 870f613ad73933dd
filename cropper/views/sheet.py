"""Draw a contact sheet of a ledger: the originals with their boxes, beside their crops. The work of ``cropper sheet``."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.errors import PhotoError, UsageError, reading, unexpected
from cropper.geometry import Box, fitted, pixels_of_share
from cropper.imaging.decode import decode
from cropper.imaging.header import probe
from cropper.imaging.resize import on_white, render, resized
from cropper.ledger.table import OK, TABLE_NAME, Row
from cropper.model.inputs import share_needed
from cropper.model.look import infer_maps, open_photo
from cropper.model.saliency import Saliency
from cropper.settings import LIMITS, Limits
from cropper.storage.local import LocalPlace
from cropper.storage.places import file_below
from cropper.views import heatmap
from cropper.views.lettering import lettered, text_width, wrapped, write, write_line
from cropper.views.selection import Selection, SheetPhoto, share_of

Pixels = NDArray[np.uint8]

# All in pixels. A picture fits into SLOT; cells stand side by side up to PAGE_WIDTH.
SLOT = (280, 210)
PAGE_WIDTH = 1920
LARGEST_SIDE = 16383  # of the sheet: JPEG, PNG and WebP can all hold it
_GAP = 14
_LETTERS, _TITLE = 15, 24
_CAPTION = 2 * _LETTERS
_HEAD = 2 * _TITLE + _GAP
_LINE = 2  # thickness of the boxes
# BGR. The paper is that of the legend of ``cropper show``.
_CELL, _EMPTY = (40, 40, 40), (62, 62, 62)
_INK, _FAINT, _BAD = (235, 235, 235), (160, 160, 160), (130, 150, 255)


@dataclass
class _Cell:
    """The pictures of a photo, where it has them, and the problem where it does not."""

    original: Pixels | None = None
    heat: Pixels | None = None
    crops: dict[str, Pixels] = field(default_factory=dict)  # by size
    problem: str = ""


def draw_sheet(
    selection: Selection,
    out: Path,
    source: Path,
    columns: int | None = None,
    model: Saliency | None = None,
    limits: Limits = LIMITS,
) -> Pixels:
    """Draw the sheet, one cell per photo, left to right, then down.

    Args:
        selection: the photos to show.
        out: the output folder. The sheet shows its thumbnails; missing ones are cut from the originals.
        source: the folder of the originals. One that cannot be read does not stop the others.
        columns: cells in a row; None for as many as fit a page.
        model: draws where people look, too; or None.
        limits: which photos are accepted.

    Returns:
        uint8 [h, w, 3] BGR.

    Raises:
        UsageError: if the sheet would be wider or higher than image files can be.
    """
    entries = selection.entries
    labels = list(dict.fromkeys(row.size for entry in entries for row in entry.rows if row.size or row.status == OK))
    slots = {label: fitted(*_shape_of(label), SLOT) for label in labels}
    pictures = 1 if model is None else 2
    cell_width = _GAP + pictures * (SLOT[0] + _GAP) + sum(width + _GAP for width, _ in slots.values())
    cell_height = _GAP + SLOT[1] + _CAPTION
    if columns is None:
        columns = max(1, min(len(entries), (PAGE_WIDTH - _GAP) // (cell_width + _GAP)))
    rows = math.ceil(len(entries) / columns)
    width, height = _GAP + columns * (cell_width + _GAP), _HEAD + rows * (cell_height + _GAP)
    if max(width, height) > LARGEST_SIDE:
        reason = f"the sheet would have {width} x {height} pixels, and image files hold up to {LARGEST_SIDE} a side"
        raise UsageError(reason, remedy="show fewer photos with --most, or choose --columns")

    canvas = np.full((height, width, 3), heatmap.PAPER, np.uint8)
    corners = [
        (_GAP + number % columns * (cell_width + _GAP), _HEAD + number // columns * (cell_height + _GAP))
        for number in range(len(entries))
    ]
    problems = []
    for entry, (left, top) in zip(entries, corners, strict=True):
        canvas[top : top + cell_height, left : left + cell_width] = _CELL
        cell = _cell_of(entry, out, source, slots, model, limits)
        problems.append(cell.problem)
        _paste(canvas, cell.original, left + _GAP, top + _GAP, SLOT)
        if model is not None:
            _paste(canvas, cell.heat, left + _GAP + SLOT[0] + _GAP, top + _GAP, SLOT)
        for x, label in _places(left, slots, pictures):
            _paste(canvas, cell.crops.get(label), x, top + _GAP, slots[label])
    _write_head(canvas, _title_of(out), _summary_of(selection))
    for entry, (left, top), problem in zip(entries, corners, problems, strict=True):
        _write_caption(canvas, entry, left, top, slots, pictures)
        if problem:
            _write_problem(canvas, problem, left, top, cell_width)
    return canvas


def _cell_of(
    entry: SheetPhoto, out: Path, source: Path, slots: dict[str, tuple[int, int]], model: Saliency | None, limits: Limits
) -> _Cell:
    """Read the pictures of a photo. The cell reports any problem with them."""
    cell = _Cell()
    boxes: dict[str, Box] = {}
    for row in entry.rows:
        if row.status != OK:
            cell.problem = cell.problem or row.message or row.status
            continue
        try:
            boxes[row.size] = _box_of(row)
        except ValueError:
            cell.problem = cell.problem or f"its row in {TABLE_NAME} is not one that cropper wrote"
            continue
        if row.output:
            with suppress(PhotoError):  # then the crop is cut from the original
                cell.crops[row.size] = _picture(LocalPlace(out) / row.output, slots[row.size])
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
    boxes: dict[str, Box],
    source: Path,
    slots: dict[str, tuple[int, int]],
    model: Saliency | None,
    limits: Limits,
) -> None:
    """Read the original: draw its boxes and where people look, and cut the crops that have no thumbnail."""
    missing = [label for label in boxes if label not in cell.crops]

    def needed(width: int, height: int) -> tuple[int, int]:
        share = max([fitted(width, height, SLOT)[0] / width, *(slots[label][0] / boxes[label].width for label in missing)])
        if model is not None:
            share = max(share, float(share_needed(width, height)))
        return pixels_of_share(width, height, share)

    file = file_below(source, entry.path)
    data, _ = (LocalPlace(source) / entry.path).read()
    with reading(file):
        photo = open_photo(data, needed, limits)
    size = photo.header.width, photo.header.height
    shown = fitted(*size, SLOT)
    pixels = on_white(photo.pixels)
    original = np.asarray(resized(pixels, shown), np.uint8)
    if model is not None:
        (maps,) = infer_maps([photo], model)
        cell.heat = heatmap.draw(original, maps, ())
    decided_for = {(row.image_width, row.image_height) for row in entry.rows if row.size in boxes}
    if decided_for - {(str(size[0]), str(size[1]))}:
        cell.original = original
        raise PhotoError("its size has changed since its boxes were chosen", remedy="run 'cropper batch' again")
    for label in missing:
        cell.crops[label] = render(pixels, boxes[label], fitted(boxes[label].width, boxes[label].height, SLOT), size)
    scaled = [box.scaled(shown[0] / size[0], shown[1] / size[1]) for box in boxes.values()]
    cell.original = _with_boxes(original, scaled) if scaled else original


def _with_boxes(picture: Pixels, boxes: list[Box]) -> Pixels:
    """Draw boxes on a picture, and darken it outside them."""
    drawn = heatmap.dimmed_outside(picture, boxes)
    heatmap.draw_boxes(drawn, boxes, _LINE)
    return drawn


def _picture(file: LocalPlace, slot: tuple[int, int]) -> Pixels:
    """Read a thumbnail from disk, scaled to its slot."""
    data, _ = file.read()
    with reading(file):
        header = probe(data)
        size = fitted(header.width, header.height, slot)
        return np.asarray(resized(on_white(decode(data, header, size)), size), np.uint8)


def _paste(canvas: Pixels, picture: Pixels | None, x: int, y: int, slot: tuple[int, int]) -> None:
    """Put a picture into the middle of its slot, or mark the slot as empty."""
    y += (SLOT[1] - slot[1]) // 2
    if picture is None:
        canvas[y : y + slot[1], x : x + slot[0]] = _EMPTY
        return
    height, width = min(picture.shape[0], slot[1]), min(picture.shape[1], slot[0])
    x, y = x + (slot[0] - width) // 2, y + (slot[1] - height) // 2
    canvas[y : y + height, x : x + width] = picture[:height, :width]


def _places(left: int, slots: dict[str, tuple[int, int]], pictures: int) -> Iterator[tuple[int, str]]:
    """Yield the left edge and the label of each crop in a cell, behind one or two pictures of the whole photo."""
    x = left + _GAP + pictures * (SLOT[0] + _GAP)
    for label, (width, _) in slots.items():
        yield x, label
        x += width + _GAP


def _write_head(canvas: Pixels, title: str, summary: str) -> None:
    width = canvas.shape[1]
    room = width - 3 * _GAP - text_width(summary, _LETTERS)
    baseline = _GAP + _TITLE + _TITLE // 4
    if room < 4 * _TITLE:  # a single narrow column: only the title fits
        room = width - 2 * _GAP
    else:
        write(canvas, summary, (width - _GAP, baseline), _LETTERS, _FAINT, flush_right=True)
    write(canvas, title, (_GAP, baseline), _TITLE, _INK, width=room)


def _write_caption(
    canvas: Pixels, entry: SheetPhoto, left: int, top: int, slots: dict[str, tuple[int, int]], pictures: int
) -> None:
    baseline = top + _GAP + SLOT[1] + _CAPTION - _LETTERS // 2 - 2
    write(canvas, entry.path, (left + _GAP, baseline), _LETTERS, _INK, width=SLOT[0])
    of_size = {row.size: row for row in entry.rows}
    drawn = [row.size for row in entry.rows if row.status == OK]
    for x, label in _places(left, slots, pictures):
        row = of_size.get(label)
        if row is None or row.status != OK:
            continue
        kept = f"{share_of(row.kept):.0%}"
        words = f"keeps {kept}" if len(slots) == 1 else f"{label} {kept}"
        if row.heads_cut not in ("", "0"):
            # A narrow crop has no room for more.
            words += f", {row.heads_cut} cut"
        colour = heatmap.colour_of(drawn.index(label))
        write(canvas, words, (x, baseline), _LETTERS, colour, width=slots[label][0] + _GAP)


def _write_problem(canvas: Pixels, problem: str, left: int, top: int, cell_width: int) -> None:
    """Write the problem across the foot of the pictures."""
    words, font = lettered(problem, _LETTERS)
    lines = wrapped(words, font, cell_width - 4 * _GAP, 3)
    step = _LETTERS + 5
    foot = top + _GAP + SLOT[1]
    canvas[foot - len(lines) * step - _GAP : foot, left + _GAP : left + cell_width - _GAP] = _CELL
    for number, line in enumerate(lines):
        write_line(canvas, line, font, (left + 2 * _GAP, foot - (len(lines) - number - 1) * step - _GAP), _BAD)


def _title_of(out: Path) -> str:
    return Path(os.path.abspath(out)).name or str(out)


def _summary_of(selection: Selection) -> str:
    shown, photos = len(selection.entries), selection.photos
    words = f"{shown} of {photos} photos" if shown < photos else "1 photo" if photos == 1 else f"{photos} photos"
    return f"{words}, {selection.failed} failed" if selection.failed else words


def _shape_of(label: str) -> tuple[int, int]:
    """Return the width and height that a label such as ``640x360`` or ``16:9`` stands for; a square for other labels."""
    sides = re.fullmatch("([1-9][0-9]{0,4})[x:]([1-9][0-9]{0,4})", label)
    return (int(sides[1]), int(sides[2])) if sides else (1, 1)


def _box_of(row: Row) -> Box:
    x, y, width, height = (int(side) for side in (row.x, row.y, row.width, row.height))
    if min(x, y) < 0 or min(width, height) < 1:
        raise ValueError("not a box")
    return Box(x, y, width, height, float(row.kept), (int(row.focus_x), int(row.focus_y)))
