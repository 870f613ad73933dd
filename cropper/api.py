"""The Python interface: one photo at a time, as an array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.boxes import best_box
from cropper.choosing.view import view_of
from cropper.geometry import Box, aspect_ratio
from cropper.imaging.resize import render
from cropper.model.saliency import Saliency


class Cropper:
    """Finds what people look at first in a photo, and crops there. Threads may share it.

    Args:
        model: an ONNX file that keeps the model contract; None for the bundled student.

    Raises:
        ModelError: if the model cannot be loaded, or keeps data in other files.
    """

    def __init__(self, model: str | Path | None = None) -> None:
        self._saliency = Saliency(model)

    def saliency(self, image_bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return where people look, as a density over the photo.

        Args:
            image_bgr: uint8 [H, W, 3], BGR as OpenCV decodes it, upright, of any size.

        Returns:
            float32 [h, w], non-negative, summing to 1, with h / w near H / W. It covers the whole photo; scale it to [H, W] for
            an overlay.
        """
        return self._saliency.density(_checked(image_bgr))

    def box(self, image_bgr: NDArray[np.uint8], aspect: tuple[int, int]) -> Box:
        """Place the largest box of an aspect: heads and the subject whole where they fit, then what people look at.

        Args:
            image_bgr: uint8 [H, W, 3] BGR.
            aspect: width and height of the shape, for example ``(16, 9)``.

        Raises:
            UsageError: for an aspect with a side below 1.
        """
        aspect_ratio(aspect)  # report a wrong aspect before the model runs
        height, width = _checked(image_bgr).shape[:2]
        return best_box(view_of(self._saliency.maps(image_bgr)), width, height, aspect)

    def crop(self, image_bgr: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Make a thumbnail of exactly this size. A smaller photo is enlarged.

        Args:
            image_bgr: uint8 [H, W, 3] BGR.
            size: width and height in pixels, for example ``(640, 360)``.

        Returns:
            uint8 [size[1], size[0], 3] BGR.

        Raises:
            UsageError: for a size with a side below 1.
        """
        return render(image_bgr, self.box(image_bgr, size), size)


def _checked(image_bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image_bgr.dtype != np.uint8 or image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or not image_bgr.size:
        raise ValueError(f"a photo must be uint8 [H, W, 3] BGR, not {image_bgr.dtype} {list(image_bgr.shape)}")
    return image_bgr
