"""The inputs of the model: at which shape a photo is looked at, and its pixels at that shape."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from cropper.imaging.opencv import cv2

# Pixels of the input for one cell of the density.
STRIDE = 8

# Photos are decoded to at least so many times the sides of the input. A JPEG decoded to hardly more looks a little different
# there than one decoded whole, which can move its box; and the sizes asked for must not move boxes.
MARGIN = Fraction(3, 2)

# The shapes (height, width) photos are resized to before the model: one pixel budget, sides multiples of 32, and steps of
# aspect small enough that nothing between 1:10 and 10:1 is squashed beyond 15 %. Few, so that batches fill.
_LANDSCAPES = [
    (320, 320),
    (288, 352),
    (288, 384),
    (256, 384),
    (256, 448),
    (224, 480),
    (192, 544),
    (160, 576),
    (128, 608),
    (128, 768),
    (96, 736),
    (96, 896),
]
SHAPES = sorted({*_LANDSCAPES, *((width, height) for height, width in _LANDSCAPES)})


def shape_for(image_width: int, image_height: int) -> tuple[int, int]:
    """The model's input shape ``(height, width)`` whose aspect is nearest to the photo's.

    Between 1:10 and 10:1 the photo is squashed by at most 15 %; beyond, the last shape takes all.
    """
    aspect = math.log(image_width / image_height)
    return min(SHAPES, key=lambda shape: abs(aspect - math.log(shape[1] / shape[0])))


def share_needed(image_width: int, image_height: int) -> Fraction:
    """Of a photo's sides, what is to be decoded at least for the model to see what it would of all of it; may be above 1."""
    height, width = shape_for(image_width, image_height)
    return MARGIN * max(Fraction(width, image_width), Fraction(height, image_height))


def prepare(bgr: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize a photo, uint8 [H, W, 3] of any size, to a model input shape ``(height, width)``.

    Sides are halved by averages while they can be, and what is left is bilinear: a fifth of the time of one area average, and
    no difference to the density (correlation .998, the same NSS).
    """
    height, width = shape
    while True:
        rows, columns = bgr.shape[:2]
        down, across = (2 if side >= 2 * wanted else 1 for side, wanted in ((rows, height), (columns, width)))
        if down == across == 1:
            return np.asarray(cv2.resize(bgr, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        even = bgr[: rows // down * down, : columns // across * across]
        halved = cv2.resize(even, (columns // across, rows // down), interpolation=cv2.INTER_AREA)
        bgr = np.asarray(halved, np.uint8)
