"""Decode a JPEG's pixels as they are stored, and tell damage from bytes that only stray in the file.

libjpeg-turbo says what it meets, but goes on. It often says the same of a whole file with stray bytes and of a damaged one. So
bytes that cannot be pixels are left out, and the file is decoded again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from cropper.errors import COPY_AGAIN, PhotoError, reason_of
from cropper.imaging.containers import jpeg

# libjpeg-turbo's messages that do not mean damage: the interface does not support the JPEG, or its header is odd.
_NOT_OF_DAMAGE = (
    "Sorry",
    "precision",
    "subsampling",
    "color conversion",
    "ICC marker",
    "JFIF revision",
    "Adobe color transform",
    "SOS parameters",
)
# Fewer bytes alike than this may be the rest of a scan as well as padding.
_FEW = 8


class NotSupportedError(Exception):
    """libjpeg-turbo's interface does not support a JPEG, which may be whole; the message is its own."""


def stored_pixels(data: bytes, colours: str, size: tuple[int, int], scale: int) -> NDArray[np.uint8]:
    """Decode a JPEG, not turned.

    Args:
        data: the whole file.
        colours: ``BGR``, or ``CMYK`` for inks, which are as stored: most programs store them inverted.
        size: the least width and height.
        scale: how many times smaller than stored it may be decoded: 1, 2, 4 or 8.

    Returns:
        uint8 [h, w, 3], or [h, w, 4] of inks.

    Raises:
        NotSupportedError: if the interface cannot decode it.
        PhotoError: if it is truncated or damaged.
        MemoryError: if there is not enough memory.
    """

    def decoded(file: bytes) -> NDArray[np.uint8]:
        return simplejpeg.decode_jpeg(file, colours, min_width=size[0], min_height=size[1], min_factor=scale)

    try:
        return decoded(data)
    except ValueError as error:
        said = reason_of(error)
    if said.startswith("Insufficient memory"):  # libjpeg-turbo's words
        raise MemoryError(said)
    if any(words in said for words in _NOT_OF_DAMAGE):
        raise NotSupportedError(said)
    joined = jpeg.with_end(data) if said.startswith("Premature end of JPEG file") else jpeg.sound(data)
    if joined is not None:
        try:
            return decoded(joined)
        except ValueError as error:
            data, said = joined, reason_of(error)
        if any(words in said for words in _NOT_OF_DAMAGE):
            raise NotSupportedError(said)
    for whole in _without_extraneous(data, said):
        with suppress(ValueError):
            return decoded(whole)
    raise PhotoError(f"it is truncated or damaged ({said})", remedy=COPY_AGAIN)


def _without_extraneous(data: bytes, said: str) -> Iterator[bytes]:
    """Yield the file without the bytes that libjpeg finds extraneous before its end, if they are no rest of a damaged scan."""
    count = jpeg.extraneous_at_end(said)
    if not count:
        return
    from cropper.imaging.containers import jpeg_scan  # few JPEGs need it

    if count >= _FEW:
        yield from jpeg.without_padding(data, count)
    try:
        whole = jpeg_scan.without_stray(data)
    except ValueError:  # it is too large or too odd to tell
        if count < _FEW:
            yield from jpeg.without_padding(data, count)
        return
    if whole is not None:
        yield whole
