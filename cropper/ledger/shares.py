"""The box and the focus of a row as the web writes them: shares of the photo, CSS's ``object-position``, IIIF's region."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import gcd

from cropper.geometry import Box, largest_size
from cropper.ledger.table import Row
from cropper.settings import DONE, Fit

# Digits behind the point: a hundredth of a pixel of a photo of ten thousand.
_DIGITS = 6
_SHAPE = re.compile("([0-9]+)([x:])([0-9]+)")


@dataclass(frozen=True)
class Shares:
    """Where a box lies in its photo, whatever size that is shown at.

    Attributes:
        left, top, right, bottom: the box, 0..1 of the photo's width or height.
        focus_left, focus_top: the middle of the focus' pixel, 0..1.
        object_position: for CSS's ``object-position`` beside ``object-fit: cover``, in an element of the row's shape that shows
            the photo.
        iiif_region: the box as a region of the IIIF Image API, ``pct:x,y,w,h``.
    """

    left: float
    top: float
    right: float
    bottom: float
    focus_left: float
    focus_top: float
    object_position: str
    iiif_region: str


NUMBERS = ("left", "top", "right", "bottom", "focus_left", "focus_top")
TEXTS = ("object_position", "iiif_region")


def shape_of(label: str) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """Return the aspect and the size that a target's label asks for; the size is None for an aspect alone.

    Raises:
        ValueError: if the label begins with no shape.
    """
    match = _SHAPE.match(label)
    if match is None:
        raise ValueError(f"{label!r} is no shape")
    sides = int(match[1]), int(match[3])
    return sides, sides if match[2] == "x" else None


def aspect_of(label: str) -> str:
    """Return the aspect that a target's label asks for, in lowest terms: ``16:9`` for ``640x360``.

    Raises:
        ValueError: if the label begins with no shape.
    """
    (across, down), _ = shape_of(label)
    return f"{across // gcd(across, down)}:{down // gcd(across, down)}"


def fit_of(row: Row) -> Fit:
    """Return how a photo fills its shape, which the row's message says."""
    return next((fit for fit, words in DONE.items() if row.message.startswith(f"{words}: ")), Fit.CROP)


def box_of(row: Row) -> Box:
    """Return the box of a row that has one, whether its share is known or not."""
    place = int(row.x), int(row.y), int(row.width), int(row.height)
    return Box(*place, float(row.kept or 0), (int(row.focus_x), int(row.focus_y)))


def shares_of(row: Row) -> Shares | None:
    """Return the box and the focus of a row as shares; None for a row without a box."""
    if not (row.width and row.image_width):
        return None
    box, image = box_of(row), (int(row.image_width), int(row.image_height))
    place = box.x, box.y, box.width, box.height
    region = ",".join(_trimmed(Fraction(100 * side, image[number % 2]), _DIGITS) for number, side in enumerate(place))
    left, top, right, bottom = (round(edge, _DIGITS) for edge in box.fractions(*image))
    focus_left, focus_top = (round((2 * box.focus[axis] + 1) / (2 * image[axis]), _DIGITS) for axis in (0, 1))
    return Shares(
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        focus_left=focus_left,
        focus_top=focus_top,
        object_position=object_position(place, box.focus, image, shape_of(row.size)[0]),
        iiif_region=f"pct:{region}",
    )


def object_position(
    place: tuple[int, int, int, int], focus: tuple[int, int], image: tuple[int, int], aspect: tuple[int, int]
) -> str:
    """Return the ``object-position`` with which ``object-fit: cover`` shows a box: ``62.5% 50%``.

    An element of the aspect shows the largest part of the photo that has its shape. A percentage says which share of what does
    not fit is cut off at the left or the top; 50% where all fits. A box that is smaller than that part lies in its middle, or as
    near as the photo allows; of a box that is larger, its focus does.

    Args:
        place: the box ``(x, y, width, height)``, in pixels of the upright original.
        focus: the point that it is chosen around.
        image: width and height of the upright original.
        aspect: of the element.
    """
    shown = largest_size(*image, aspect)
    words = []
    for axis in (0, 1):
        spare = image[axis] - shown[axis]
        middle = Fraction(2 * place[axis] + place[axis + 2], 2)
        if place[axis + 2] > shown[axis]:
            middle = focus[axis] + Fraction(1, 2)
        cut = min(max(middle - Fraction(shown[axis], 2), Fraction(0)), Fraction(spare))
        words.append(f"{_trimmed(100 * cut / spare if spare else Fraction(50), 2)}%")
    return " ".join(words)


def _trimmed(number: Fraction, digits: int) -> str:
    """Return a number with at most so many digits behind the point, and no zeros at the end."""
    text = f"{float(number):.{digits}f}"
    return text.rstrip("0").rstrip(".")
