"""The steps that depend on the settings and that several engines share: how many pixels to decode, and the thumbnail."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.decide import Decision, decide, smallest_box
from cropper.choosing.focus import Focus
from cropper.choosing.one import decide_one
from cropper.choosing.view import View
from cropper.geometry import Box, fitted, largest_size, pixels_of_share, thumbnail_size
from cropper.imaging.animation.write import prepared_animation
from cropper.imaging.fitting import fitted_file
from cropper.imaging.header import Header
from cropper.imaging.pad import canvas_for, padded
from cropper.imaging.resize import render
from cropper.imaging.sharpen import sharpened
from cropper.ledger.given import Given
from cropper.model.inputs import share_needed
from cropper.model.look import Animation, frames_again
from cropper.settings import Fit, Settings, Target

# The ledger's message for a damaged photo of which a part could be decoded.
SALVAGED = "salvaged: part of the photo is missing"


def foci_for(given: Sequence[Given | None], image: tuple[int, int]) -> tuple[Focus | None, ...]:
    """Return the focus of each target in a photo of this width and height; None also for what was given for another size."""
    return tuple(Focus(*one.in_pixels(image)) if one is not None and one.image in (None, image) else None for one in given)


def pixels_needed(width: int, height: int, settings: Settings, given: Sequence[Focus | None] = ()) -> tuple[int, int]:
    """Return the least width and height to decode of a photo, so that all sizes and the model have enough pixels.

    A dry run needs the same, because it must decide as the real run does.

    Args:
        width, height: of the upright photo, in pixels.
        settings: what to make.
        given: the focus that you give by hand, or None, one per target; empty for none.

    Raises:
        PhotoError: if a focus lies outside the photo.
    """
    # Exact fractions: one pixel too many after rounding would double the scale at which a JPEG is decoded.
    share = share_needed(width, height)
    for target, focus in zip(settings.targets, given or (None,) * len(settings.targets), strict=True):
        share = max(share, _share_to_fill(smallest_box(width, height, target, settings.choosing, focus), target))
    return pixels_of_share(width, height, share)


# What was decided of a photo by the shapes, as ``Target.shape`` has them, and what was given for them.
Chosen: TypeAlias = dict[tuple[Target, Focus | None], tuple[Decision, ...]]


def decided(
    number: int,
    view: View,
    image: tuple[int, int],
    settings: Settings,
    foci: Sequence[Focus | None],
    chosen: Chosen | None = None,
) -> tuple[Target, tuple[Decision, ...]]:
    """Decide how a photo fits one of the shapes asked for, or the shape that keeps most of it, if the settings ask for one.

    Args:
        number: which of the photo's outputs it is for, from 0 and below ``settings.rows``.
        view: what the photo shows.
        image: width and height of the upright original.
        settings: what to make.
        foci: the focus that you give by hand, or None, one per target.
        chosen: the decisions of the same photo until now, to which this one is added: widths of one shape share theirs.

    Returns:
        The shape, and its decision, or several candidates, the best first. Where the output is for one of the candidates, that
        one alone; nothing if the photo has fewer.

    Raises:
        PhotoError: if the focus is not inside the photo.
    """
    if settings.one:
        number, decisions = decide_one(view, *image, settings.targets, settings.choosing, foci)
        return settings.targets[number], decisions
    target, focus = settings.targets[number], foci[number]
    chosen = {} if chosen is None else chosen
    if (target.shape, focus) not in chosen:
        chosen[target.shape, focus] = decide(view, *image, target, settings.choosing, focus)
    decisions = chosen[target.shape, focus]
    return target, decisions if target.candidate is None else decisions[target.candidate - 1 : target.candidate]


def pixels_to_fill(width: int, height: int, targets: tuple[Target, ...]) -> tuple[int, int]:
    """Return the least width and height to decode of a photo, so that the largest boxes fill all sizes."""
    share = max(_share_to_fill(largest_size(width, height, target.aspect), target) for target in targets)
    return pixels_of_share(width, height, share)


def _share_to_fill(box: tuple[int, int], target: Target) -> Fraction:
    size = target.size or box
    return max(Fraction(size[0], box[0]), Fraction(size[1], box[1]))


def thumbnail_of(
    pixels: NDArray[np.uint8], header: Header, decision: Decision, target: Target, settings: Settings
) -> NDArray[np.uint8]:
    """Make the thumbnail that was decided on from decoded pixels: uint8 [h, w, 3 or 4]."""
    image, box = (header.width, header.height), decision.box
    size = output_size(decision.fit, box, image, target, settings.enlarge)
    if decision.fit is Fit.PAD:
        picture = _sharp(pixels, decision, fitted(*image, size, settings.enlarge), image, settings)
        return padded(pixels, picture, size, settings.fill)
    return _sharp(pixels, decision, size, image, settings)


def output_size(fit: Fit, box: Box, image: tuple[int, int], target: Target, enlarge: bool) -> tuple[int, int]:
    """Return the width and height of the thumbnail of a box in a photo of this width and height."""
    if fit is Fit.PAD:
        return canvas_for(*image, target)
    if fit is Fit.KEEP:
        return fitted(*image, target.size or image, enlarge)
    return thumbnail_size(box, target.size, enlarge)


def _sharp(
    pixels: NDArray[np.uint8], decision: Decision, size: tuple[int, int], image: tuple[int, int], settings: Settings
) -> NDArray[np.uint8]:
    """Cut the box out, scale it, and sharpen it if that made it smaller: pixels that are enlarged or the photo's own are not."""
    made = render(pixels, decision.box, size, image)
    is_smaller = size[0] < decision.box.width and size[1] < decision.box.height
    return sharpened(made, settings.encoding.sharpen) if is_smaller else made


def animated_thumbnail(
    animation: Animation, header: Header, decision: Decision, target: Target, settings: Settings, format: str
) -> tuple[bytes, tuple[int, int], str]:
    """Cut all frames of an animation as was decided.

    They are decoded anew each time that they are encoded: memory would not hold them.

    Returns:
        An encoded thumbnail of as many frames, its width and height, and a message if it is larger than the settings allow.
    """

    def cut() -> Generator[NDArray[np.uint8], None, None]:
        with closing(frames_again(animation, header)) as frames:
            for pixels in frames:
                yield thumbnail_of(pixels, header, decision, target, settings)

    file, too_large = fitted_file(prepared_animation(cut, animation.timing, header, format, settings.srgb), settings)
    return file, output_size(decision.fit, decision.box, (header.width, header.height), target, settings.enlarge), too_large
