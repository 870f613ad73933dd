"""The last word: points and boxes that a user gives, which win over the model's.

A focus file is a CSV table with the columns ``path,x,y``, or ``path,x,y,width,height`` for boxes, and where wanted ``size`` with
the label of the one size or aspect a row is for. Columns may stand in any order, and others beside them; pixels are those of
the upright original, so that a ledger is a focus file too: it fixes what was decided. Of several rows for one photo and size the
last counts, and a row for its size before one for all.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.boxes import Box, aspect_ratio, box_at, largest_size, normalised
from cropper.errors import PhotoError, UsageError
from cropper.ledger import FAILED, SKIPPED
from cropper.zoom import placed

# What ``cropper batch`` looks for in IN by itself.
NAME = ".focus.csv"


@dataclass(frozen=True)
class Focus:
    """A point in pixels of the upright original, or a box with ``x, y`` as its corner.

    Attributes:
        x, y: the point, or the left and top edge.
        width, height: of the box, at least 1; None of a point.
    """

    x: int
    y: int
    width: int | None = None
    height: int | None = None


# A photo's path -> the label of a size or aspect, or "" for all -> the focus.
Given = Mapping[str, Mapping[str, Focus]]


def read(path: Path, copy: Path | None = None) -> Given:
    """The table in a focus file; read from its copy, if there is one.

    Raises:
        UsageError: if it cannot be read or is no such table; it names the line.
    """
    given: dict[str, dict[str, Focus]] = {}
    try:
        with (copy or path).open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            lines = csv.DictReader(file)
            missing = {"path", "x", "y"} - set(lines.fieldnames or ())
            if missing:
                remedy = "begin it with the line path,x,y or path,x,y,width,height"
                raise UsageError(
                    f"the focus file has no column {' and no column '.join(sorted(missing))}", path=path, remedy=remedy
                )
            for line in lines:
                if line.get("status") in (SKIPPED, FAILED):
                    continue  # of a ledger
                try:
                    focus = _focus(line)
                except ValueError as error:
                    raise UsageError(f"line {lines.line_num} of the focus file {error}", path=path) from error
                given.setdefault(line["path"], {})[line.get("size") or ""] = focus
    except OSError as error:
        raise UsageError(f"the focus file cannot be read ({error.strerror})", path=path) from error
    except csv.Error as error:
        raise UsageError(f"the focus file is no table from line {lines.line_num} on ({error})", path=path) from error
    return given


def of(given: Given, path: str, label: str) -> Focus | None:
    """What is given for a photo and the label of a target, or None."""
    for_photo = given.get(path, {})
    return for_photo.get(label) or for_photo.get("")


def around(focus: Focus, density: NDArray[np.floating], image_width: int, image_height: int, aspect: tuple[int, int]) -> Box:
    """The box that a focus makes, with what it keeps of a density.

    Raises:
        PhotoError: if the focus is not in the photo.
    """
    place, point = place_of(focus, image_width, image_height, aspect)
    return box_at(normalised(density), image_width, image_height, place, point)


def place_of(
    focus: Focus, image_width: int, image_height: int, aspect: tuple[int, int]
) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """The box ``(x, y, width, height)`` that a focus makes, and its focus point.

    Around a point it is the largest box of the aspect. A given box stays as it is where it has the aspect, to a pixel; else it is
    the smallest box of the aspect that holds the given one, or as much of it as can be.

    Raises:
        PhotoError: if the focus is not in the photo.
    """
    image = image_width, image_height
    x, y, width, height = focus.x, focus.y, focus.width or 1, focus.height or 1
    if x < 0 or y < 0 or x + width > image_width or y + height > image_height:
        what = f"the focus {','.join(str(n) for n in (x, y, focus.width, focus.height) if n is not None)} is not in the photo"
        raise PhotoError(f"{what} of {image_width}x{image_height}", remedy="correct it in the focus file")
    largest = largest_size(image_width, image_height, aspect)
    centre = x + width / 2, y + height / 2
    point = int(centre[0]), int(centre[1])
    if focus.width is None:
        return placed(centre, largest, image), point
    ratio = aspect_ratio(aspect)
    wanted = max(width, round(height * ratio)), max(height, round(width / ratio))
    if max(wanted[0] - width, wanted[1] - height) <= 1:
        return (x, y, width, height), point
    return placed(centre, largest if wanted[0] > largest[0] or wanted[1] > largest[1] else wanted, image), point


def _focus(line: Mapping[str, str | None]) -> Focus:
    """The focus in a line; ValueError says what is wrong with it."""
    names = ("x", "y", "width", "height")
    texts = {name: (line.get(name) or "").strip() for name in names}
    if not line["path"]:
        raise ValueError("names no photo")
    if bool(texts["width"]) != bool(texts["height"]):
        raise ValueError("has a width or a height alone")
    numbers: dict[str, int] = {}
    for name in names[: 4 if texts["width"] else 2]:
        try:
            numbers[name] = int(texts[name])
        except ValueError:
            raise ValueError(f"has {texts[name]!r} for {name}, which is no whole number") from None
    if numbers.get("width", 1) < 1 or numbers.get("height", 1) < 1:
        raise ValueError("has a box without area")
    return Focus(**numbers)
