"""The Python API: one photo at a time, as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.boxes import choose
from cropper.geometry import Box, aspect_ratio
from cropper.imaging.resize import render
from cropper.model.saliency import Saliency


class Cropper:
    """Finds what people look at first in a photo, and crops there. Safe to share between threads.

    Args:
        model: an ONNX file that keeps the model contract; the bundled student if left out.

    Raises:
        ModelError: if the model cannot be loaded, or keeps data in other files.
    """

    def __init__(self, model: str | Path | None = None) -> None:
        self._saliency = Saliency(model)

    def saliency(self, image_bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Where people look, as a density over the photo.

        Args:
            image_bgr: uint8 [H, W, 3], BGR as OpenCV decodes it, upright, of any size.

        Returns:
            float32 [h, w], non-negative, summing to 1, with h / w near H / W. It covers the whole photo: scale it to
            [H, W] to lay it over.
        """
        return self._saliency.density(_checked(image_bgr))

    def box(self, image_bgr: NDArray[np.uint8], aspect: tuple[int, int]) -> Box:
        """The largest box of an aspect, where it keeps most of what people look at.

        Args:
            image_bgr: uint8 [H, W, 3] BGR.
            aspect: width and height of the shape, such as ``(16, 9)``.

        Raises:
            UsageError: for an aspect with a side below 1.
        """
        aspect_ratio(aspect)  # a wrong aspect is said before the model runs
        height, width = _checked(image_bgr).shape[:2]
        return choose(self.saliency(image_bgr), width, height, aspect)

    def crop(self, image_bgr: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """A thumbnail of exactly a size: uint8 [size[1], size[0], 3] BGR, enlarged where the photo is smaller.

        Args:
            image_bgr: uint8 [H, W, 3] BGR.
            size: width and height in pixels, such as ``(640, 360)``.

        Raises:
            UsageError: for a size with a side below 1.
        """
        return render(image_bgr, self.box(image_bgr, size), size)


def _checked(image_bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image_bgr.dtype != np.uint8 or image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or not image_bgr.size:
        raise ValueError(f"a photo is uint8 [H, W, 3] BGR, not {image_bgr.dtype} {list(image_bgr.shape)}")
    return image_bgr
