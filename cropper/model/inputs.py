"""Choose the shape at which the model looks at a photo, and scale pixels to it."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cropper.imaging.opencv import cv2

# Pixels of the input per cell of the density, along each side.
STRIDE = 8
# Sides of the input are multiples of this: the stride of the network's coarsest features.
INPUT_STEP = 32

# Photos are decoded to at least this many times the sides of the input. Closer to the input's size, a JPEG decoded at a reduced
# scale looks slightly different to the model, which can move its box. The sizes that you ask for must not move boxes.
MARGIN = Fraction(3, 2)

# The input shapes (height, width) of the model. All have about the same number of pixels and sides that are multiples of 32.
# Their aspects are close enough to squash no photo between 1:10 and 10:1 by more than 15 %. They are few, so that batches fill.
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


@lru_cache(maxsize=1024)
def shape_for(image_width: int, image_height: int) -> tuple[int, int]:
    """Return the model's input shape ``(height, width)`` that is nearest to the photo's aspect.

    Photos between 1:10 and 10:1 are squashed by at most 15 %. Narrower and wider ones get the last shape.
    """
    aspect = math.log(image_width / image_height)
    return min(SHAPES, key=lambda shape: abs(aspect - math.log(shape[1] / shape[0])))


@lru_cache(maxsize=1024)
def share_needed(image_width: int, image_height: int) -> Fraction:
    """Return the least share of a photo's sides to decode so that the model sees the same as from all pixels; may exceed 1."""
    height, width = shape_for(image_width, image_height)
    return MARGIN * max(Fraction(width, image_width), Fraction(height, image_height))


def prepare(bgr: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize a photo, uint8 [H, W, 3] of any size, to a model input shape ``(height, width)``.

    It averages pairs of pixels while a side is at least twice too long, then scales bilinearly. This takes a fifth of the time of
    one area average and makes no difference to the density (correlation .998, the same NSS).
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
