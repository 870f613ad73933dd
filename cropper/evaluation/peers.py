"""Boxes that another cropper chose, from CSV tables: ``path,x,y`` and ``w,h`` or ``width,height``, as our ledger has."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.errors import UsageError
from cropper.evaluation.crops import Aspect, Rectangle, kept
from cropper.evaluation.gaze import GazePhoto
from cropper.settings import Target

# Stands in a file's name for the aspect, written 16x9, where there is one table for each.
PLACEHOLDER = "{aspect}"
# Boxes are rounded to whole pixels one way or another; by more than this off, a box is not of the aspect or not of the photo.
TOLERANCE = 1.0


def kept_by(pattern: str, photos: Sequence[GazePhoto], aspects: Sequence[Aspect]) -> NDArray[np.float64]:
    """What a cropper's boxes keep: float64 [photos, aspects], NaN where it has none.

    Args:
        pattern: the table. Which aspect a box is for is said by its column ``size`` (``16:9`` or ``640x360``), or by
            ``{aspect}`` in the file's name, which stands for ``16x9``. Neither is needed for a single aspect.
        photos: the photos, known by their file's name.
        aspects: the shapes to score.

    Raises:
        UsageError: if a table cannot be read, has no boxes for an aspect, or has boxes that are not of the aspect or lie outside
            their photo.
    """
    columns = []
    for aspect in aspects:
        path = Path(pattern.replace(PLACEHOLDER, f"{aspect[0]}x{aspect[1]}"))
        boxes = read_boxes(path, aspect, told=PLACEHOLDER in pattern or len(aspects) == 1)
        column = []
        for photo in photos:
            box = boxes.get(photo.name)
            if box is not None:
                _check(box, photo, aspect, path)
            column.append(float("nan") if box is None else kept(photo.points, box))
        if np.isnan(column).all():
            remedy = f"the gaze set's photos are named like {photos[0].name}"
            raise UsageError(f"there is no box of {Target(aspect).label} for any photo of the set", path=path, remedy=remedy)
        columns.append(column)
    return np.array(columns, np.float64).T


def read_boxes(path: Path, aspect: Aspect, told: bool) -> dict[str, Rectangle]:
    """The boxes of an aspect: file name -> box. Rows without one, as a ledger has for failed photos, are left out.

    Args:
        path: the table.
        aspect: the shape. Where there is a column ``size``, only its rows are read.
        told: whether the table's boxes are known to be of the aspect where it has no such column.

    Raises:
        UsageError: if the table cannot be read, does not tell its aspect, or has two boxes for one photo.
    """
    boxes: dict[str, Rectangle] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            table = csv.DictReader(file)
            header = table.fieldnames or ()
            sides = ("w", "h") if "w" in header else ("width", "height")
            missing = [column for column in ("path", "x", "y", *sides) if column not in header]
            if missing:
                remedy = "a table of boxes has the columns path,x,y,width,height"
                raise UsageError(f"there is no column {missing[0]!r}", path=path, remedy=remedy)
            if "size" not in header and not told:
                remedy = f"add a column 'size', or give a table for each aspect with {PLACEHOLDER} in its name for 16x9"
                raise UsageError("it does not say which aspect its boxes are for", path=path, remedy=remedy)
            for row in table:
                if not row["x"] or ("size" in header and not _is_size_of(row["size"], aspect, path, table.line_num)):
                    continue
                name = row["path"].rpartition("/")[2]
                box = _box([row[column] for column in ("x", "y", *sides)], path, table.line_num)
                if boxes.setdefault(name, box) != box:
                    raise UsageError(f"line {table.line_num}: there is another box for {name} already", path=path)
    except OSError as error:
        raise UsageError(f"it cannot be read ({error.strerror})", path=path) from error
    except csv.Error as error:
        raise UsageError(f"it is no CSV table ({error})", path=path) from error
    return boxes


def _is_size_of(size: str | None, aspect: Aspect, path: Path, line: int) -> bool:
    """Whether a ledger's size, ``640x360`` or ``16:9``, is of an aspect."""
    match = re.fullmatch(r"([1-9]\d*)[x:]([1-9]\d*)", size or "", re.ASCII)
    if match is None:
        raise UsageError(f"line {line}: size is neither like 640x360 nor like 16:9: {size!r}", path=path)
    return Fraction(int(match[1]), int(match[2])) == Fraction(*aspect)


def _box(texts: Sequence[str | None], path: Path, line: int) -> Rectangle:
    try:
        x, y, width, height = (float(text or "") for text in texts)
    except ValueError:
        x = y = width = height = math.nan
    if not all(map(math.isfinite, (x, y, width, height))) or width <= 0 or height <= 0:
        raise UsageError(f"line {line}: {','.join(text or '' for text in texts)} is no box", path=path)
    return x, y, width, height


def _check(box: Rectangle, photo: GazePhoto, aspect: Aspect, path: Path) -> None:
    x, y, width, height = box
    ratio = aspect[0] / aspect[1]
    if abs(width - height * ratio) > TOLERANCE and abs(height - width / ratio) > TOLERANCE:
        raise UsageError(f"the box of {photo.name}, {width:g}x{height:g}, is not of the aspect {Target(aspect).label}", path=path)
    if min(x, y, photo.width - x - width, photo.height - y - height) < -TOLERANCE:
        outside = f"the box of {photo.name} lies outside the photo of {photo.width}x{photo.height}"
        raise UsageError(outside, path=path, remedy="were the boxes chosen on this gaze set, off-centre or not?")
