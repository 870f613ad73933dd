"""Sharpen a thumbnail: averaging many pixels into one softens its edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cropper.imaging.opencv import cv2

# The radius of the blur that edges are compared with, in pixels of the thumbnail. A wider one makes halos that show.
_SIGMA = 0.6


def sharpened(pixels: NDArray[np.uint8], amount: float) -> NDArray[np.uint8]:
    """Add to each pixel how much it differs from its surroundings, ``amount`` times.

    Args:
        pixels: uint8 [h, w, 3 or 4], BGR or BGRA. Alpha stays as it is.
        amount: 0 or more; 0 changes nothing.

    Returns:
        uint8, of the same shape.
    """
    if not amount:
        return pixels
    if pixels.shape[2] == 3:
        return np.asarray(cv2.addWeighted(pixels, 1 + amount, cv2.GaussianBlur(pixels, (0, 0), _SIGMA), -amount, 0), np.uint8)
    # Transparent pixels have no say in what surrounds a visible one.
    alpha = pixels[:, :, 3:].astype(np.float32)
    weights = cv2.GaussianBlur(alpha, (0, 0), _SIGMA)[:, :, None]
    colours = pixels[:, :, :3].astype(np.float32)
    around = np.divide(cv2.GaussianBlur(colours * alpha, (0, 0), _SIGMA), weights, out=colours.copy(), where=weights > 0)
    sharp = colours + amount * (colours - around)
    return np.concatenate([sharp.round().clip(0, 255).astype(np.uint8), pixels[:, :, 3:]], axis=2)
