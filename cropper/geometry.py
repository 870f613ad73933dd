"""Whole-pixel geometry: boxes, aspects, and how one size fits into another. Does not load numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from cropper.errors import UsageError


class Fractions(NamedTuple):
    """The edges of a box as fractions of the photo's sides, 0..1: ``right`` and ``bottom`` are 1 at the photo's own edges."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Box:
    """A crop in whole pixels of the upright original.

    Attributes:
        x, y: the left and top edge.
        width, height: at least 1.
        kept: the share of the density inside, 0..1.
        focus: the point ``(x, y)`` that the box is chosen around, inside the box.
        subject_kept: the share of the subject inside, 0..1; 1 if the photo shows none, None if the model does not tell.
        heads_cut: how many heads the box shows without showing them whole; None if the model does not tell.
    """

    x: int
    y: int
    width: int
    height: int
    kept: float
    focus: tuple[int, int]
    subject_kept: float | None = None
    heads_cut: int | None = None

    def fractions(self, image_width: int, image_height: int) -> Fractions:
        """Return the edges as fractions of the sides of the upright original, whose width and height in pixels are given."""
        right, bottom = (self.x + self.width) / image_width, (self.y + self.height) / image_height
        return Fractions(self.x / image_width, self.y / image_height, right, bottom)

    def scaled(self, across: float, down: float) -> Box:
        """Return the box in the pixels of the photo scaled by these factors, for drawing."""
        left, top = round(self.x * across), round(self.y * down)
        right, bottom = round((self.x + self.width) * across), round((self.y + self.height) * down)
        focus = int((self.focus[0] + 0.5) * across), int((self.focus[1] + 0.5) * down)
        return replace(self, x=left, y=top, width=max(1, right - left), height=max(1, bottom - top), focus=focus)


def largest_size(image_width: int, image_height: int, aspect: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height, at least 1, of the largest box of an aspect in a photo, rounded to whole pixels."""
    ratio = aspect_ratio(aspect)
    if Fraction(image_width, image_height) < ratio:
        return image_width, max(1, round(image_width / ratio))
    return max(1, round(image_height * ratio)), image_height


def central_place(image_width: int, image_height: int, aspect: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the place ``(x, y, width, height)`` of the largest box of an aspect in the middle of a photo."""
    width, height = largest_size(image_width, image_height, aspect)
    return (image_width - width) // 2, (image_height - height) // 2, width, height


def aspect_ratio(aspect: tuple[int, int]) -> Fraction:
    """Return width over height as an exact fraction.

    Raises:
        UsageError: if a side is below 1.
    """
    if min(aspect) < 1:
        raise UsageError(f"the aspect {aspect[0]}:{aspect[1]} has no area", remedy="give whole numbers from 1, such as 16:9")
    return Fraction(*aspect)


def fitted(image_width: int, image_height: int, room: tuple[int, int], enlarge: bool = True) -> tuple[int, int]:
    """Return the width and height, at least 1, of a photo scaled to just fit into a room.

    Without ``enlarge``, the result is not larger than the photo.
    """
    scale = min(Fraction(room[0], image_width), Fraction(room[1], image_height))
    if not enlarge:
        scale = min(scale, Fraction(1))
    return max(1, round(image_width * scale)), max(1, round(image_height * scale))


def pixels_of_share(image_width: int, image_height: int, share: Fraction | float) -> tuple[int, int]:
    """Return a share of a photo's width and height in whole pixels, rounded up; a share above 1 counts as 1."""
    share = min(share, 1)
    return math.ceil(image_width * share), math.ceil(image_height * share)


def thumbnail_size(box: Box, size: tuple[int, int] | None, enlarge: bool) -> tuple[int, int]:
    """Return the width and height of a thumbnail: the size, or the box's own size if that is None.

    Without ``enlarge``, a size larger than the box on either side also gives the box's own size.
    """
    if size is None or (not enlarge and (size[0] > box.width or size[1] > box.height)):
        return box.width, box.height
    return size


def placed(centre: tuple[float, float], size: tuple[int, int], image: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the place ``(x, y, width, height)`` of a box around a centre, or as near to it as the photo allows."""
    x, y = (min(max(round(middle - side / 2), 0), whole - side) for middle, side, whole in zip(centre, size, image, strict=True))
    return x, y, *size
