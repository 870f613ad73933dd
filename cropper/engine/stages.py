"""Steps of the way of a photo that more than one engine takes: pixels needed, header, pixels, thumbnail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.decide import Decision, smallest_box
from cropper.choosing.focus import Focus
from cropper.geometry import fitted, largest_size, pixels_of_share, thumbnail_size
from cropper.imaging.decode import decode_or_salvage, scale_of
from cropper.imaging.header import Header, probe
from cropper.imaging.metadata import kept_metadata
from cropper.imaging.pad import canvas_for, padded
from cropper.imaging.resize import on_white, render
from cropper.model.inputs import prepare, shape_for, share_needed
from cropper.settings import KEEP_NOTHING, Fit, Settings, Target

# Photos that are decoded to more pixels than this go one at a time, so that a folder of bombs takes no more memory than one.
LARGE = 40_000_000
_one_large = Lock()


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


def header_of(data: bytes, settings: Settings) -> Header:
    """What a photo's header says, with what is to go along of its metadata."""
    header = probe(data, settings.limits)
    return (
        header if settings.keep == KEEP_NOTHING else replace(header, metadata=kept_metadata(data, header.format, settings.keep))
    )


def pixels_of(
    data: bytes, settings: Settings, given: Sequence[Focus | None] = (), clock: Callable[[bool], None] = lambda runs: None
) -> tuple[Header, NDArray[np.uint8], NDArray[np.uint8], bool]:
    """A photo's header, its pixels for what is asked for, what the model sees of them, and whether some were missing.

    ``clock`` is told False when the photo begins to wait for another one, and True when it goes on.
    """
    header = header_of(data, settings)
    needed = pixels_needed(header.width, header.height, settings, given)
    is_large = header.width * header.height > LARGE * scale_of(header, needed) ** 2
    with _alone(is_large, clock):
        pixels, salvaged = decode_or_salvage(data, header, needed, settings.limits)
        return header, pixels, prepare(on_white(pixels), shape_for(header.width, header.height)), salvaged


@contextmanager
def _alone(is_large: bool, clock: Callable[[bool], None]) -> Iterator[None]:
    """Have a large photo wait until no other one is under way."""
    if not is_large:
        yield
        return
    clock(False)
    with _one_large:
        clock(True)
        yield


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
