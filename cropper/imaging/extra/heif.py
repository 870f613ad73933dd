"""HEIC and HEIF: the primary picture, decoded by libheif. Depth maps, gain maps, thumbnails and the rest of a burst stay out.

libheif turns and mirrors the pixels as the file's ``irot`` and ``imir`` say. EXIF's orientation repeats them for programs that do
not read these, and does not count (ISO/IEC 23008-12, 6.5.10 and A.2).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cropper.errors import COPY_AGAIN, PhotoError, reason_of
from cropper.imaging.colour_tags import boxes_of
from cropper.imaging.extra.library import library_for
from cropper.imaging.opencv import cv2, is_out_of_memory


def primary(data: bytes) -> Any:
    """Open the primary picture of a HEIC without decoding it: a ``HeifImage``, with ``size``, ``mode`` and ``info``.

    Raises:
        PhotoError: if the file is damaged, or the library for it is missing.
    """
    pi_heif = library_for("HEIF")
    _check_names(data)
    try:
        file = pi_heif.open_heif(data, convert_hdr_to_8bit=True, bgr_mode=True)
        return file[file.primary_index]
    except Exception as error:  # libheif's errors come as five built-in types
        raise _damaged(error) from error


def _check_names(data: bytes) -> None:
    """Refuse a HEIC with names of its parts that are no text: the library crashes on them. Raises PhotoError."""
    for _, start, end in _inside(data, b"meta", 0, len(data), 4):
        for _, first, last in _inside(data, b"iinf", start, end, 0):
            # The number of entries has 2 bytes in version 0, and 4 in others.
            entries = first + (6 if data[first : first + 1] == b"\0" else 8)
            for _, at, after in _inside(data, b"infe", entries, last, 0):
                try:
                    data[at + (8 if data[at : at + 1] < b"\3" else 10) : after].decode("utf-8")
                except UnicodeDecodeError as error:
                    raise PhotoError("it is truncated or damaged (a name in it is no text)", remedy=COPY_AGAIN) from error


def _inside(data: bytes, name: bytes, start: int, end: int, skipped: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the boxes of a name in a range, as ``boxes_of`` does, from so many bytes behind their beginning on."""
    with suppress(struct.error):  # the file ends within a box
        for found, inner, after in boxes_of(data, start, end):
            if found == name:
                yield found, inner + skipped, after


def decode(data: bytes) -> NDArray[np.uint8]:
    """Decode the primary picture, upright: uint8 [h, w, 3] BGR or [h, w, 4] BGRA.

    Raises:
        PhotoError: if the file is damaged.
        MemoryError: if there is not enough memory.
    """
    image = primary(data)
    try:
        raw, stride = image.data, image.stride
        width, height = image.size
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise _damaged(error) from error
    if "16" in image.mode:  # grey of 10 or 12 bits, which comes as 16
        grey = np.frombuffer(raw, "<u2").reshape(height, stride // 2)[:, :width]
        return cv2.cvtColor((grey >> 8).astype(np.uint8), cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
    channels = {"L": 1, "BGR": 3, "BGRA": 4, "BGRa": 4}[image.mode]
    pixels = np.frombuffer(raw, np.uint8).reshape(height, stride)[:, : width * channels].reshape(height, width, channels)
    if channels == 1:
        return cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
    # A copy, because the library frees its pixels with the picture, whoever still looks at them.
    return _straight(pixels) if image.mode == "BGRa" else pixels.copy()


def _straight(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo the multiplication of colours by their alpha, uint8 [h, w, 4]."""
    alpha = np.maximum(pixels[:, :, 3:], 1).astype(np.uint16)
    colours = np.minimum((pixels[:, :, :3].astype(np.uint16) * 255 + alpha // 2) // alpha, 255).astype(np.uint8)
    return np.dstack([colours, pixels[:, :, 3:]])


def _damaged(error: Exception) -> PhotoError:
    said = reason_of(error)
    if "nsupported" in said or "limit" in said:  # of a codec or a layout that libheif does not decode, or beyond its own limits
        return PhotoError(f"the HEIC is of a kind that is not read ({said})", remedy="export it as a JPEG")
    return PhotoError(f"it is truncated or damaged ({said})", remedy=COPY_AGAIN)
