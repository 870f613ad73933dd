"""A point or a box that a person gives by hand, and which of a photo's sizes it is for. Loads no database."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from cropper.settings import Settings, Target

# Whole pixels, or as a float a share of the photo's width or height, 0..1.
Length = int | float

# What a float lacks at an edge between two pixels: 0.29 of 100.
_NEARLY = 1e-6
_SHARE = re.compile(r"([0-9]*\.[0-9]+|[0-9]+\.)|([0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?%")


@dataclass(frozen=True)
class Given:
    """A point in the upright original, or a box with ``x, y`` as its corner, given by hand.

    Attributes:
        x, y: the point, or the left and top edge.
        width, height: of the box, above 0; None for a point.
        image: width and height of the photo that it was given for; None until that photo was read.
    """

    x: Length
    y: Length
    width: Length | None = None
    height: Length | None = None
    image: tuple[int, int] | None = None

    def in_pixels(self, image: tuple[int, int]) -> tuple[int, int, int | None, int | None]:
        """Return x, y, width and height in pixels of a photo of this width and height."""
        (x, width), (y, height) = (
            _in_pixels(begin, length, side)
            for begin, length, side in zip((self.x, self.y), (self.width, self.height), image, strict=True)
        )
        return x, y, width, height


def _in_pixels(begin: Length, length: Length | None, side: int) -> tuple[int, int | None]:
    """Return where a point or a box lies on one side of a photo, in pixels: the pixel that holds a point, the nearest edges."""
    if length is None:
        return (min(int(begin * side + _NEARLY), side - 1) if isinstance(begin, float) else begin), None
    first = round(begin * side) if isinstance(begin, float) else begin
    if not isinstance(length, float):
        return first, length
    most = side - first if begin + length <= 1 else side  # two halves may be rounded up
    return first, max(1, min(round(length * side), most))


def length_of(text: str) -> Length:
    """Read a length: whole pixels, ``320``, or a share of the photo with a point or in percent, ``0.25`` or ``25%``.

    Raises:
        ValueError: if it is neither; the message goes behind the text.
    """
    if (share := _SHARE.fullmatch(text)) is not None:
        length = float(share[1]) if share[1] else float(share[2]) / 100
        if length > 1:
            raise ValueError("which is more than all of the photo; pixels are whole numbers, shares are 0.0 to 1.0 or 0% to 100%")
        return length
    try:
        pixels = int(text)
    except ValueError:
        raise ValueError("which is not a whole number, nor a share as in 0.5 or 50%") from None
    if abs(pixels) > 1 << 31:
        raise ValueError("which no photo reaches")
    return pixels


# What is given for a photo, by the labels of sizes: nothing.
NOTHING: Mapping[str, Given] = MappingProxyType({})


def point_of(text: str) -> Given:
    """Read a point, ``320,200`` or ``50%,0.25``. Raises ValueError, which says what is wrong with it."""
    x, comma, y = text.partition(",")
    if not comma:
        raise ValueError(f"{text!r} is not a point, as in 320,200 or 50%,25%")

    def length(number: str) -> Length:
        try:
            return length_of(number.strip())
        except ValueError as error:
            raise ValueError(f"{text!r} has {number.strip()!r}, {error}") from None

    return Given(length(x), length(y))


def given_for_all(gifts: Mapping[str, Given], settings: Settings) -> tuple[Given | None, ...]:
    """Return what is given for each target, or None.

    Where a photo gets one of the targets, and something is given for the labels of some, it is for these alone.
    """
    if settings.one and any(target.label in gifts for target in settings.targets):
        return tuple(gifts.get(target.label) for target in settings.targets)
    return given_for(gifts, settings.targets)


def given_for(gifts: Mapping[str, Given], targets: Sequence[Target]) -> tuple[Given | None, ...]:
    """Return what is given for each target, or None.

    What is given for one of several widths, or for their aspect, is for all of them, since they share a box: the last one counts.

    Args:
        gifts: what is given for a photo, by the labels of sizes, in the order in which it was given.
        targets: the targets.
    """
    if not gifts:  # as of nearly every photo
        return (None,) * len(targets)
    labels: dict[Target, set[str]] = {}
    for target in targets:
        of_aspect = {Target(target.aspect).label} if target.chosen_for else set()
        labels.setdefault(target.shape, of_aspect).add(target.label)
    found = {
        shape: next((gifts[label] for label in reversed([*gifts]) if label in ours), gifts.get(""))
        for shape, ours in labels.items()
    }
    return tuple(found[target.shape] for target in targets)
