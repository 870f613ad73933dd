"""Show what is transparent in a picture as image editors do: on a light checkerboard, where a white logo can be seen too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cropper.imaging.resize import on_white

# Squares along the longer side, and how much darker than white every other square is, 0..255.
_SQUARES, _DARKER = 24, 56


def on_checks(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Composite BGRA, uint8 [h, w, 4], onto a checkerboard: BGR, uint8 [h, w, 3]. Return BGR unchanged."""
    if pixels.shape[2] == 3:
        return pixels
    side = -(-max(pixels.shape[:2]) // _SQUARES)
    rows, columns = (np.arange(length) // side % 2 for length in pixels.shape[:2])
    clear = 255 - pixels[:, :, 3].astype(np.uint16)
    darker = clear * ((rows[:, None] != columns) * np.uint16(_DARKER)) // 255
    # White takes at least this share of each pixel, so no value falls below 0.
    return np.asarray(on_white(pixels) - darker[:, :, None], np.uint8)
