"""Pad a photo: scale the whole photo into a shape and fill the bars around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cropper.geometry import Box, aspect_ratio, central_place, fitted
from cropper.imaging.opencv import cv2
from cropper.imaging.resize import render
from cropper.settings import BLUR, EDGE, Target

# The long side of the copy that is blurred, and the sigma of the blur, in pixels. Colours remain, objects disappear.
_BLUR_SIDE, _BLUR_SIGMA = 48, 3.0


def canvas_for(image_width: int, image_height: int, target: Target) -> tuple[int, int]:
    """Return the width and height of the padded picture: the target's size.

    If the target has no size, the canvas is the smallest of the target's shape that holds the photo at its own size.
    """
    if target.size is not None:
        return target.size
    ratio = aspect_ratio(target.aspect)
    return max(image_width, round(image_height * ratio)), max(image_height, round(image_width / ratio))


def padded(pixels: NDArray[np.uint8], picture: NDArray[np.uint8], canvas: tuple[int, int], fill: str) -> NDArray[np.uint8]:
    """Place a picture in the middle of a canvas and fill the rest.

    Args:
        pixels: uint8 [h, w, 3 or 4], the photo at any scale, for the blur.
        picture: uint8 [h, w, 3 or 4], the picture for the middle, not larger than the canvas.
        canvas: width and height of the result.
        fill: ``blur`` for a blurred copy of the photo, ``edge`` for the mean colour of the picture's nearest edge, or of all four
            where bars lie on all sides, or a colour as ``#rrggbb``.

    Returns:
        uint8 [canvas[1], canvas[0], 3 or 4].
    """
    height, width = picture.shape[:2]
    left, top = (canvas[0] - width) // 2, (canvas[1] - height) // 2
    result = np.empty((canvas[1], canvas[0], picture.shape[2]), np.uint8)
    if fill == BLUR:
        result[:] = _blurred(pixels, canvas)
    elif fill == EDGE and left and top:  # two colours would meet in a line
        result[:] = _mean(np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]))
    elif fill == EDGE:
        # The bars lie either beside the picture or above and below it.
        result[:, : left + 1], result[:, left + 1 :] = _mean(picture[:, 0]), _mean(picture[:, -1])
        if top:
            result[: top + 1], result[top + 1 :] = _mean(picture[0]), _mean(picture[-1])
    else:
        red, green, blue = bytes.fromhex(fill.removeprefix("#"))
        result[:] = (blue, green, red, 255)[: picture.shape[2]]
    result[top : top + height, left : left + width] = picture
    return result


def _blurred(pixels: NDArray[np.uint8], canvas: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the middle of the photo, blurred, at the size of the canvas."""
    height, width = pixels.shape[:2]
    box = Box(*central_place(width, height, canvas), kept=1.0, focus=(width // 2, height // 2))
    small = render(pixels, box, fitted(*canvas, (_BLUR_SIDE, _BLUR_SIDE)))
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), _BLUR_SIGMA, borderType=cv2.BORDER_REPLICATE), np.uint8)
    return np.asarray(cv2.resize(small, canvas, interpolation=cv2.INTER_CUBIC), np.uint8)


def _mean(edge: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mean colour of an edge, [n, 3 or 4] -> [3 or 4]."""
    return np.asarray(edge.mean(axis=0).round(), np.uint8)
