"""Read boxes of other croppers from CSV tables with ``path,x,y`` and ``w,h`` or, as in our ledger, ``width,height``."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.errors import UsageError
from cropper.evaluation.crops import Aspect, Rectangle, kept
from cropper.evaluation.gaze import GazePhoto
from cropper.settings import Target

# In a file name, stands for the aspect (16x9) if each aspect has its own table.
PLACEHOLDER = "{aspect}"
# Croppers round boxes differently. A box that is off by more pixels than this has the wrong aspect or lies outside the photo.
TOLERANCE = 1.0


def kept_by(pattern: str, photos: Sequence[GazePhoto], aspects: Sequence[Aspect]) -> NDArray[np.float64]:
    """Return the share of fixations that a cropper's boxes keep: float64 [photos, aspects], NaN where it has no box.

    Args:
        pattern: path of the table. The column ``size`` gives the aspect of each box (``16:9`` or ``640x360``). Alternatively,
            ``{aspect}`` in the file name stands for ``16x9``. A single aspect needs neither.
        photos: the photos, matched to boxes by file name.
        aspects: the shapes to score.

    Raises:
        UsageError: if a table cannot be read, has no boxes for an aspect, or has a box of the wrong aspect or outside its photo.
    """
    columns = []
    for aspect, (path, boxes) in zip(aspects, tables_of(pattern, aspects), strict=True):
        column = []
        for photo in photos:
            box = boxes.get(photo.name)
            if box is not None:
                _check(box, photo, aspect, path)
            column.append(float("nan") if box is None else kept(photo.points, box))
        if np.isnan(column).all():
            remedy = f"name the photos as the gaze set does, for example {photos[0].name}"
            raise UsageError(f"no photo of the set has a box of {Target(aspect).label}", path=path, remedy=remedy)
        columns.append(column)
    return np.array(columns, np.float64).T


def tables_of(pattern: str, aspects: Sequence[Aspect]) -> Iterator[tuple[Path, dict[str, Rectangle]]]:
    """Yield the table of each aspect and its boxes; arguments and errors as in ``kept_by``."""
    for aspect in aspects:
        path = Path(pattern.replace(PLACEHOLDER, f"{aspect[0]}x{aspect[1]}"))
        yield path, read_boxes(path, aspect, told=PLACEHOLDER in pattern or len(aspects) == 1)


def read_boxes(path: Path, aspect: Aspect, told: bool) -> dict[str, Rectangle]:
    """Read the boxes of an aspect: file name -> box. Skip rows without a box, such as failed photos in a ledger, and
    candidates behind the best.

    Args:
        path: the table.
        aspect: the shape. If the table has a column ``size``, only rows of this aspect are read.
        told: whether all boxes are of this aspect if the table has no such column.

    Raises:
        UsageError: if the table cannot be read, does not give its aspect, or has two boxes for one photo.
    """
    boxes: dict[str, Rectangle] = {}
    for line, row, box in _rows(path):
        if "size" not in row and not told:
            remedy = f"add a column 'size', or use one table for each aspect and write {PLACEHOLDER} for 16x9 in the file name"
            raise UsageError("it does not say which aspect its boxes are for", path=path, remedy=remedy)
        if "size" in row and not _is_size_of(row["size"], aspect, path, line):
            continue
        if row.get("candidate") not in (None, "", "1"):
            continue  # behind the best
        name = row["path"].rpartition("/")[2]
        if boxes.setdefault(name, box) != box:
            raise UsageError(f"line {line}: {name} already has a different box", path=path)
    return boxes


def boxes_in(path: Path) -> dict[str, list[Rectangle]]:
    """Read any number of boxes for each photo, such as heads: path -> boxes.

    Raises:
        UsageError: if the table cannot be read.
    """
    boxes: dict[str, list[Rectangle]] = {}
    for _, row, box in _rows(path):
        boxes.setdefault(row["path"], []).append(box)
    return boxes


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str], Rectangle]]:
    """Yield the number of each line of a table of boxes, its values and its box. Leaves out rows without a box."""
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            table = csv.DictReader(file)
            header = table.fieldnames or ()
            sides = ("w", "h") if "w" in header else ("width", "height")
            missing = [column for column in ("path", "x", "y", *sides) if column not in header]
            if missing:
                remedy = "a table of boxes has the columns path,x,y,width,height"
                raise UsageError(f"there is no column {missing[0]!r}", path=path, remedy=remedy)
            for row in table:
                if row["x"]:
                    if not row["path"]:
                        raise UsageError(f"line {table.line_num} names no photo", path=path)
                    yield table.line_num, row, _box([row[column] for column in ("x", "y", *sides)], path, table.line_num)
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", path=path) from error
    except csv.Error as error:
        raise UsageError(f"it is not a CSV table ({error})", path=path) from error


def _is_size_of(size: str | None, aspect: Aspect, path: Path, line: int) -> bool:
    """Return whether a size, ``640x360`` or ``16:9``, has an aspect."""
    match = re.fullmatch(r"([1-9]\d*)[x:]([1-9]\d*)", size or "", re.ASCII)
    if match is None:
        raise UsageError(f"line {line}: size is not of the form 640x360 or 16:9: {size!r}", path=path)
    return Fraction(int(match[1]), int(match[2])) == Fraction(*aspect)


def _box(texts: Sequence[str | None], path: Path, line: int) -> Rectangle:
    try:
        x, y, width, height = (float(text or "") for text in texts)
    except ValueError:
        x = y = width = height = math.nan
    if not all(map(math.isfinite, (x, y, width, height))) or width <= 0 or height <= 0:
        raise UsageError(f"line {line}: {','.join(text or '' for text in texts)} is not a box", path=path)
    return x, y, width, height


def _check(box: Rectangle, photo: GazePhoto, aspect: Aspect, path: Path) -> None:
    x, y, width, height = box
    ratio = aspect[0] / aspect[1]
    if abs(width - height * ratio) > TOLERANCE and abs(height - width / ratio) > TOLERANCE:
        raise UsageError(
            f"the box of {photo.name}, {width:g}x{height:g}, does not have the aspect {Target(aspect).label}", path=path
        )
    if min(x, y, photo.width - x - width, photo.height - y - height) < -TOLERANCE:
        outside = f"the box of {photo.name} lies outside the photo of {photo.width}x{photo.height}"
        raise UsageError(outside, path=path, remedy="use boxes chosen on this gaze set, with or without --off-centre as here")
