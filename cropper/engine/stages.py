"""Steps of the way of a photo that depend on the settings and that more than one engine takes: pixels needed, thumbnail."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.decide import Decision, smallest_box
from cropper.choosing.focus import Focus
from cropper.geometry import fitted, largest_size, pixels_of_share, thumbnail_size
from cropper.imaging.header import Header
from cropper.imaging.pad import canvas_for, padded
from cropper.imaging.resize import render
from cropper.model.inputs import share_needed
from cropper.settings import Fit, Settings, Target


def pixels_needed(width: int, height: int, settings: Settings, given: Sequence[Focus | None] = ()) -> tuple[int, int]:
    """Of a photo of this size, the width and height to decode at least: to fill the sizes asked for, and the model amply.

    The same for a dry run, which must decide as the real one will.

    Raises:
        PhotoError: if a focus is not in the photo.
    """
    # Exact: a pixel too much by rounding would cost a JPEG twice the scale.
    share = share_needed(width, height)
    for target, focus in zip(settings.targets, given or (None,) * len(settings.targets), strict=True):
        share = max(share, _share_to_fill(smallest_box(width, height, target, settings.choosing, focus), target))
    return pixels_of_share(width, height, share)


def pixels_to_fill(width: int, height: int, targets: tuple[Target, ...]) -> tuple[int, int]:
    """Of a photo of this size, the width and height to decode at least to fill the sizes asked for with the largest boxes."""
    share = max(_share_to_fill(largest_size(width, height, target.aspect), target) for target in targets)
    return pixels_of_share(width, height, share)


def _share_to_fill(box: tuple[int, int], target: Target) -> Fraction:
    size = target.size or box
    return max(Fraction(size[0], box[0]), Fraction(size[1], box[1]))


def thumbnail_of(
    pixels: NDArray[np.uint8], header: Header, decision: Decision, target: Target, settings: Settings
) -> NDArray[np.uint8]:
    """The thumbnail that a decision makes of decoded pixels, uint8 [h, w, 3 or 4]."""
    image = header.width, header.height
    if decision.fit is Fit.PAD:
        canvas = canvas_for(*image, target, settings.enlarge)
        picture = render(pixels, decision.box, fitted(*image, canvas), image)
        return padded(pixels, picture, canvas, settings.fill)
    if decision.fit is Fit.KEEP:
        size = fitted(*image, target.size or image, settings.enlarge)
    else:
        size = thumbnail_size(decision.box, target.size, settings.enlarge)
    return render(pixels, decision.box, size, image)
