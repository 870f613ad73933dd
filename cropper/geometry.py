"""Whole-pixel geometry: boxes, aspects, how one size fits into another. Loads no numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from cropper.errors import UsageError


@dataclass(frozen=True)
class Box:
    """A crop in whole pixels of the upright original.

    Attributes:
        x, y: the left and top edge.
        width, height: at least 1.
        kept: the share of the density inside, 0..1.
        focus: the point the box is chosen around, ``(x, y)``, inside the box.
    """

    x: int
    y: int
    width: int
    height: int
    kept: float
    focus: tuple[int, int]

    def scaled(self, across: float, down: float) -> Box:
        """The same box in the pixels of the photo scaled by these factors, for drawing."""
        left, top = round(self.x * across), round(self.y * down)
        right, bottom = round((self.x + self.width) * across), round((self.y + self.height) * down)
        focus = int((self.focus[0] + 0.5) * across), int((self.focus[1] + 0.5) * down)
        return Box(left, top, max(1, right - left), max(1, bottom - top), self.kept, focus)


def largest_size(image_width: int, image_height: int, aspect: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the largest box of an aspect that fits, exact to half a pixel on its free side, at least 1."""
    ratio = aspect_ratio(aspect)
    if Fraction(image_width, image_height) < ratio:
        return image_width, max(1, round(image_width / ratio))
    return max(1, round(image_height * ratio)), image_height


def central_place(image_width: int, image_height: int, aspect: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where ``(x, y, width, height)`` the largest box of an aspect lies in the middle of a photo."""
    width, height = largest_size(image_width, image_height, aspect)
    return (image_width - width) // 2, (image_height - height) // 2, width, height


def aspect_ratio(aspect: tuple[int, int]) -> Fraction:
    """Width over height, exactly. Raises UsageError for sides below 1."""
    if min(aspect) < 1:
        raise UsageError(f"the aspect {aspect[0]}:{aspect[1]} has no area", remedy="give whole numbers from 1, as 16:9")
    return Fraction(*aspect)


def fitted(image_width: int, image_height: int, room: tuple[int, int], enlarge: bool = True) -> tuple[int, int]:
    """Width and height of a photo scaled to just fit into a room, each at least 1; without enlarging, at most its own."""
    scale = min(Fraction(room[0], image_width), Fraction(room[1], image_height))
    if not enlarge:
        scale = min(scale, Fraction(1))
    return max(1, round(image_width * scale)), max(1, round(image_height * scale))


def pixels_of_share(image_width: int, image_height: int, share: Fraction | float) -> tuple[int, int]:
    """The pixels, width and height, that a share of a photo's sides takes at least, and at most all it has."""
    share = min(share, 1)
    return math.ceil(image_width * share), math.ceil(image_height * share)


def thumbnail_size(box: Box, size: tuple[int, int] | None, enlarge: bool) -> tuple[int, int]:
    """Width and height of a thumbnail: the size asked for, or the box's own where that is None or larger than the box."""
    if size is None or (not enlarge and (size[0] > box.width or size[1] > box.height)):
        return box.width, box.height
    return size


def placed(centre: tuple[float, float], size: tuple[int, int], image: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where ``(x, y, width, height)`` a box of a size lies around a centre, or as near to that as the photo allows."""
    x, y = (min(max(round(middle - side / 2), 0), whole - side) for middle, side, whole in zip(centre, size, image, strict=True))
    return x, y, *size
