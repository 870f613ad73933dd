"""HEIC and HEIF: the primary picture, decoded by libheif. Depth maps, gain maps, thumbnails and the rest of a burst stay out.

libheif turns and mirrors the pixels as the file's ``irot`` and ``imir`` say. EXIF's orientation repeats them for programs that do
not read these, and does not count (ISO/IEC 23008-12, 6.5.10 and A.2).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cropper.errors import COPY_AGAIN, PhotoError, reason_of
from cropper.imaging.colour_tags import boxes_of
from cropper.imaging.extra.library import library_for
from cropper.imaging.opencv import cv2, is_out_of_memory

if TYPE_CHECKING:
    from cropper.imaging.extra.heif_items import Items

# The grey of missing pixels in a salvaged picture.
_MISSING = 128
# The step between the pixels that are checked for the green of a missing tile.
_STEP = 8
# The missing end of a file may be at most this many times as long as the rest.
_MOST_MISSING = 8


def primary(data: bytes, salvage: bool = False) -> Any:
    """Open the primary picture of a HEIC without decoding it: a ``HeifImage``, with ``size``, ``mode`` and ``info``.

    Args:
        data: the whole file.
        salvage: whether to open a file that breaks off, too, as if zeros followed.

    Raises:
        PhotoError: if the file is damaged, or the library for it is missing.
    """
    return _opened(data, salvage)[0]


def _opened(data: bytes, salvage: bool = False) -> tuple[Any, Items | None]:
    """Open the primary picture as ``primary`` does; return it and the items of the file, or None if it has none."""
    from cropper.imaging.extra.heif_film import still  # most runs meet no HEIC
    from cropper.imaging.extra.heif_items import end_of, is_bomb, items_of

    pi_heif = library_for("HEIF")
    data = still(data)
    _check_names(data)
    items = items_of(data)
    if salvage and items is not None:
        missing = end_of(items) - len(data)
        data += bytes(missing if 0 < missing <= _MOST_MISSING * len(data) else 0)
    try:
        file = pi_heif.open_heif(data, convert_hdr_to_8bit=True, bgr_mode=True)
        image = file[file.primary_index]
    except Exception as error:  # libheif's errors come as five built-in types
        raise _damaged(error) from error
    if not image.info["primary"]:  # the library leaves out a picture that it cannot read, and this is another one
        raise PhotoError("it is truncated or damaged (its main picture is missing)", remedy=COPY_AGAIN)
    if items is not None and is_bomb(items):
        raise PhotoError("its parts have far more pixels than the picture", remedy="export it as a JPEG")
    return image, items


def _check_names(data: bytes) -> None:
    """Refuse a HEIC whose parts have names that are not text: the library crashes on them. Raises PhotoError."""
    for _, start, end in _inside(data, b"meta", 0, len(data), 4):
        for _, first, last in _inside(data, b"iinf", start, end, 0):
            # The number of entries has 2 bytes in version 0, and 4 in others.
            entries = first + (6 if data[first : first + 1] == b"\0" else 8)
            for _, at, after in _inside(data, b"infe", entries, last, 0):
                try:
                    data[at + (8 if data[at : at + 1] < b"\3" else 10) : after].decode("utf-8")
                except UnicodeDecodeError as error:
                    raise PhotoError("it is truncated or damaged (a name in it is not text)", remedy=COPY_AGAIN) from error


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
    from cropper.imaging.extra.heif_items import lost

    image, items = _opened(data)
    missing, parts = lost(items) if items is not None else (0, 0)
    pixels = None if missing else _pixels(image)
    if items is not None and pixels is not None and parts > 1 and _may_lack_a_tile(pixels, parts):
        missing = _undecodable(items)  # the green alone does not tell: a wall may have it, too
    if pixels is None or missing:
        what = f"{missing} of its {parts} tiles" if parts > 1 else "part of its pixels"
        raise PhotoError(f"it is truncated or damaged ({what} {'is' if missing == 1 else 'are'} missing)", remedy=COPY_AGAIN)
    return pixels


def _may_lack_a_tile(pixels: NDArray[np.uint8], parts: int) -> bool:
    """Tell whether a fair share of a tile has one shade of pure green."""
    seen = pixels[::_STEP, ::_STEP]
    return bool(_pure_greens(seen)[0].max() * 4 * parts >= seen[:, :, 0].size)


def _undecodable(items: Items) -> int:
    """Count the tiles that libheif does not decode: on their own, it leaves them out or reports an error.

    Raises:
        PhotoError: if the file is damaged.
        MemoryError: if there is not enough memory.
    """
    from cropper.imaging.extra.heif_items import each_alone

    data, missing = each_alone(items)
    try:
        pictures = list(library_for("HEIF").open_heif(data, convert_hdr_to_8bit=True, bgr_mode=True))
    except Exception as error:
        raise _damaged(error) from error
    for picture in pictures:
        if picture.info["primary"]:
            continue
        try:
            picture.load()
            missing -= 1
        except Exception as error:
            if is_out_of_memory(error):
                raise
    return missing


def _pure_greens(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Count the pixels of each shade of pure green, and tell which pixels are any.

    libheif leaves zeros in all planes where it decodes nothing: a green of one shade, which depends on the matrix of the colours.
    """
    green = pixels[:, :, 1]
    is_pure = (pixels[:, :, 0] == 0) & (pixels[:, :, 2] == 0) & (green > 0)
    return np.bincount(green[is_pure], minlength=256), is_pure


def salvaged(data: bytes) -> NDArray[np.uint8] | None:
    """Decode what a damaged file still holds, as ``decode`` does; None if that is nothing. Missing pixels are grey.

    Raises:
        PhotoError: if the file cannot be decoded.
        MemoryError: if there is not enough memory.
    """
    from cropper.imaging.extra.heif_items import items_of, without_lost

    items = items_of(data)
    pixels = _pixels(primary(data if items is None else without_lost(items), salvage=True))
    if (pixels == pixels[0, 0]).all():
        return None
    shades, is_pure = _pure_greens(pixels)  # grey has none
    pixels[is_pure & (pixels[:, :, 1] == shades.argmax()), :3] = _MISSING
    return pixels


def _pixels(image: Any) -> NDArray[np.uint8]:
    """Decode an opened picture, upright. The arguments and errors are those of ``decode``."""
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
