"""Read what decoders get wrong in BMPs: pixels of 16 and 32 bits whose masks say where each colour is, and embedded profiles."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cropper.errors import COPY_AGAIN, PhotoError

_RGB, _MASKS, _ALPHA_MASKS = 0, 3, 6
# Rows packed as runs of 8 or 4 bits. A zero begins a code: the end of a row, the end of the picture, a step, or literal pixels.
_RUNS, _ROW_ENDS, _PICTURE_ENDS, _STEP = (1, 2), 0, 1, 2
# Compressions that Windows uses for printers only, and the format of the packed data.
_FOREIGN = {4: "JPEG", 5: "PNG"}
_DEFAULT_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
# The depths that are read, in bits a pixel, and the offset of the number of colours in the palette. 0 stands for all that the
# depth allows.
_DEPTHS, _COLOURS_AT = (1, 4, 8, 16, 24, 32), 46
# The offset of the masks, the least length of a header that has a mask for alpha, and the length of the fourth version. From that
# version on, browsers heed the mask for alpha even without the others.
_MASKS_AT, _HAS_ALPHA, _HAS_ALPHA_ALONE = 54, 56, 108
# The header with a profile: its length, and the offsets of its colour space and its profile.
_LATEST, _SPACE_AT, _PROFILE_AT, _EMBEDDED = 124, 70, 126, b"DEBM"


@dataclass(frozen=True)
class Layout:
    """How a BMP is stored.

    Attributes:
        width, height: in pixels.
        is_upright: whether the first row stored is the highest. Most BMPs begin at their foot.
        bits: bits of a pixel.
        compression: its number; 0 is none.
        start: where the pixels begin.
        masks: the bits of red, green, blue and alpha, 0 for none.
        profile: the embedded colour profile, or None.
    """

    width: int
    height: int
    is_upright: bool
    bits: int
    compression: int
    start: int
    masks: tuple[int, int, int, int]
    profile: bytes | None

    @property
    def is_masked(self) -> bool:
        """Whether ``pixels`` reads it: OpenCV and Pillow know few masks, and OpenCV makes white of 16 bits grey."""
        has_own = self.compression in (_MASKS, _ALPHA_MASKS)
        return self.bits in (16, 32) and (has_own or (not self.compression and (self.bits == 16 or self.masks[3] > 0)))

    @property
    def has_alpha(self) -> bool:
        """Whether a mask says how opaque a pixel is."""
        return self.is_masked and self.masks[3] > 0


def layout_of(data: bytes) -> Layout | None:
    """Read the header of a BMP; None if the file is none, has a header of OS/2 or breaks off."""
    if data[:2] != b"BM" or len(data) < 54:
        return None
    start, length, width, height, _, bits, compression = struct.unpack_from("<IIiiHHI", data, 10)
    if not 40 <= length <= 1024 or length == 64 or width <= 0 or height == 0:
        return None
    masks = _DEFAULT_MASKS.get(bits, (0, 0, 0, 0))
    if compression in (_MASKS, _ALPHA_MASKS) and len(data) >= _MASKS_AT + 16:
        red, green, blue, alpha = struct.unpack_from("<4I", data, _MASKS_AT)
        masks = red, green, blue, alpha if length >= _HAS_ALPHA or compression == _ALPHA_MASKS else 0
    elif bits == 32 and compression == _RGB and length >= _HAS_ALPHA_ALONE and len(data) >= _MASKS_AT + 16:
        masks = *masks[:3], struct.unpack_from("<I", data, _MASKS_AT + 12)[0]
    profile = None
    if length >= _LATEST and data[_SPACE_AT : _SPACE_AT + 4] == _EMBEDDED and len(data) >= 14 + _LATEST:
        at, size = struct.unpack_from("<II", data, _PROFILE_AT)
        profile = data[14 + at : 14 + at + size]
        profile = profile if len(profile) == size > 0 else None
    return Layout(width, abs(height), height < 0, bits, compression, start, masks, profile)


def sound(data: bytes) -> bytes:
    """Return a BMP with as many colours in its palette as its pixels can have, where the header names more."""
    layout = layout_of(data)
    if layout is None or layout.bits > 8 or struct.unpack_from("<I", data, _COLOURS_AT)[0] <= 1 << layout.bits:
        return data
    return data[:_COLOURS_AT] + bytes(4) + data[_COLOURS_AT + 4 :]


def are_rows_missing(data: bytes, pixels: NDArray[np.uint8]) -> bool:
    """Tell whether the packed rows of a BMP end before its last row, whose rest decoders fill with its first colour.

    Args:
        data: the whole file.
        pixels: what a decoder made of it, [h, w, 3]. Rows that are missing are of one colour, so the codes are read only if the
            last row stored is.
    """
    layout = layout_of(data)
    if layout is None or layout.compression not in _RUNS:
        return False
    last = pixels[-1 if layout.is_upright else 0]
    if (last != last[0]).any():
        return False
    at, x, y = layout.start, 0, 0
    while at + 1 < len(data) and y < layout.height:
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            x += count
        elif value == _ROW_ENDS:
            x, y = 0, y + 1
        elif value == _PICTURE_ENDS:
            break
        elif value == _STEP:
            x, y = x + data[at] if at < len(data) else x, y + (data[at + 1] if at + 1 < len(data) else 0)
            at += 2
        else:
            x += value
            size = value if layout.compression == _RUNS[0] else (value + 1) // 2
            at += size + size % 2
    return y < layout.height - 1 or (y == layout.height - 1 and x < layout.width)


def with_end(data: bytes) -> bytes | None:
    """Return a BMP whose packed rows break off with an end behind them; None if its rows are not packed."""
    layout = layout_of(data)
    if layout is None or layout.compression not in _RUNS:
        return None
    # Codes have two bytes each. The pixels that follow one may take some of these ends.
    return data[: len(data) - (len(data) - layout.start) % 2] + bytes([0, _PICTURE_ENDS]) * 130


def unreadable(layout: Layout | None) -> PhotoError | None:
    """Return the error for a BMP that is packed in a way that cropper does not read, or None."""
    if layout is not None and layout.compression in _FOREIGN:
        packed = _FOREIGN[layout.compression]
        return PhotoError(f"it is a {packed} packed as a BMP, which cropper does not read", remedy=f"save it as a {packed}")
    if layout is not None and layout.bits not in _DEPTHS:
        return PhotoError(f"it has {layout.bits} bits per pixel", remedy="save it with 24")
    return None


def pixels(data: bytes, layout: Layout) -> NDArray[np.uint8]:
    """Return the pixels of a BMP with masks: uint8 [h, w, 3] BGR, or [h, w, 4] BGRA if a mask says how opaque they are.

    Raises:
        PhotoError: if rows are missing.
    """
    each = layout.bits // 8
    row = -(-layout.width * each // 4) * 4
    if layout.start < 54 or layout.start + row * layout.height > len(data):
        raise PhotoError("it is truncated or damaged", remedy=COPY_AGAIN)
    rows = np.frombuffer(data, np.uint8, row * layout.height, layout.start).reshape(layout.height, row)
    stored = np.ascontiguousarray(rows[:, : layout.width * each]).view(f"<u{each}")
    red, green, blue, alpha = layout.masks
    found = np.dstack([_channel(stored, mask) for mask in ((blue, green, red, alpha) if alpha else (blue, green, red))])
    return np.ascontiguousarray(found if layout.is_upright else found[::-1])


def _channel(stored: NDArray[np.uint16] | NDArray[np.uint32], mask: int) -> NDArray[np.uint8]:
    """Return the bits of a mask as uint8, the most that they can say as 255."""
    if not mask:
        return np.zeros(stored.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    values = (stored & stored.dtype.type(mask & np.iinfo(stored.dtype).max)) >> stored.dtype.type(shift)
    if most == 255:
        return values.astype(np.uint8)
    return np.asarray((values.astype(np.float32) * np.float32(255 / most)).round(), np.uint8)
