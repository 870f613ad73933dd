"""Write a thumbnail as the settings say, and within the number of bytes that they allow."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cropper.image_formats import LOSSLESS, QUALITY
from cropper.imaging.animation.write import PreparedAnimation
from cropper.imaging.encode import Prepared, prepared
from cropper.imaging.header import Header
from cropper.settings import FEWEST_COLOURS, LOWEST_QUALITY, MOST_COLOURS, Settings

# The most times that one thumbnail is encoded.
MOST_ENCODES = 5
# The message about a thumbnail that does not fit begins with TOO_LARGE. Behind _SINCE stands the reason, which differs between
# thumbnails.
TOO_LARGE = "larger than "
_SINCE = ", since "


def thumbnail_file(thumbnail: NDArray[np.uint8], header: Header, format: str, settings: Settings) -> tuple[bytes, str]:
    """Encode a thumbnail at the highest quality found that fits into ``max_bytes``, or at the lowest if none fits.

    Args:
        thumbnail: uint8 [h, w, 3] BGR or [h, w, 4] BGRA.
        header: the photo's header: its profile, the metadata to write, and whether the photo is grey.
        format: a key of ``QUALITY``.
        settings: quality, colours and what else decides the file.

    Returns:
        The bytes of the file, and a message if they are more than ``max_bytes``; else it is empty.

    Raises:
        PhotoError: if the encoder rejects the thumbnail.
    """
    return fitted_file(prepared(thumbnail, header, format, settings.srgb), settings)


def fitted_file(picture: Prepared | PreparedAnimation, settings: Settings) -> tuple[bytes, str]:
    """Encode a thumbnail that is brought into the colours of its file, as ``thumbnail_file`` does. Raises PhotoError."""
    encoding, format = settings.encoding, picture.format
    if QUALITY[format] == LOSSLESS:
        choices, words = _choices_of_colours(encoding.colours), "with {} colours"

        def write(number: int) -> bytes:
            return picture.file(colours=choices[number])
    else:
        top = QUALITY[format] if settings.quality is None else settings.quality
        choices, words = [*range(min(top, LOWEST_QUALITY), top + 1)], "at quality {}"

        def write(number: int) -> bytes:
            return picture.file(choices[number], encoding.progressive)

    if encoding.max_bytes is None:
        return write(len(choices) - 1), ""
    number, data = largest_within(write, len(choices), encoding.max_bytes)
    if len(data) <= encoding.max_bytes:
        return data, ""
    return data, _message(encoding.max_bytes, words.format(choices[number]), len(data), _beside_the_pixels(picture))


def largest_within(write: Callable[[int], bytes], count: int, limit: int) -> tuple[int, bytes]:
    """Find the largest file within a limit, in at most ``MOST_ENCODES`` tries.

    Args:
        write: returns the file at a step, 0..count - 1. Higher steps are better, and mostly larger.
        count: the number of steps, at least 1.
        limit: the most bytes.

    Returns:
        The highest step found that fits, and its file; those of step 0 if none does.
    """
    high, largest = count - 1, write(count - 1)
    if len(largest) <= limit or count == 1:
        return high, largest
    low, best = 0, write(0)
    if len(best) > limit:
        return low, best
    above = len(largest)
    for _ in range(MOST_ENCODES - 2):
        if high - low < 2:
            break
        # Sizes grow about exponentially with the steps.
        share = (math.log(limit) - math.log(len(best))) / (math.log(above) - math.log(len(best)))
        step = min(max(low + int(share * (high - low)), low + 1), high - 1)
        data = write(step)
        if len(data) <= limit:
            low, best = step, data
        else:
            high, above = step, len(data)
    return low, best


def without_reason(message: str) -> str:
    """Return what a message says of every thumbnail that does not fit, without what holds of one alone."""
    return message.partition(_SINCE)[0]


def _choices_of_colours(most: int | None) -> list[int | None]:
    """Return numbers of colours to try, rising to the most; None is all colours."""
    steps = [1 << bit for bit in range(1, 9) if FEWEST_COLOURS <= 1 << bit < (most or MOST_COLOURS + 1)]
    return [*steps, most]


def _beside_the_pixels(picture: Prepared | PreparedAnimation) -> int:
    """Return about how many bytes of a file are its profile and metadata."""
    profile = picture.profile or b""
    if picture.format == "png":
        profile = zlib.compress(profile)
    return len(profile) + len(picture.metadata.exif) + len(picture.metadata.xmp)


def _message(limit: int, lowest: str, size: int, beside: int) -> str:
    message = f"{TOO_LARGE}{in_words(limit)}, even {lowest}"
    if size - beside > limit:
        return message
    return f"{message}{_SINCE}its colour profile and metadata take {in_words(beside)}"


def in_words(size: int) -> str:
    """Return a number of bytes for a sentence, exact to a tenth: ``100 kB``, ``1.5 MB``, ``800 bytes``."""
    for unit, name in ((1_000_000, "MB"), (1000, "kB")):
        if size >= unit:
            return f"{round(size / unit, 1):g} {name}"
    return f"{size} bytes"
