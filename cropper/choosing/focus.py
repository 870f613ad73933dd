"""The last word: points and boxes that a user gives, which win over the model's.

A focus file is a CSV table with the columns ``path,x,y``, or ``path,x,y,width,height`` for boxes, and where wanted ``size`` with
the label of the one size or aspect a row is for. Columns may stand in any order, and others beside them; pixels are those of
the upright original, so that a ledger is a focus file too: it fixes what was decided. Of several rows for one photo and size the
last counts, and a row for its size before one for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.boxes import box_at, normalised
from cropper.errors import PhotoError
from cropper.geometry import Box, aspect_ratio, largest_size, placed


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
