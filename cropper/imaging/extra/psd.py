"""PSD: what Pillow does not say of the composite that it reads: whether there is one, and whether it is transparent."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from cropper.errors import PhotoError

# Where the header says how many bits a channel has, and the length of the first of three sections ends (Photoshop file formats).
_DEPTH_AT, _SECTIONS_AT = 22, 26
_VERSION_INFO = 1057
# How many pixels are worked on at a time, because the work needs several times their memory.
_STRIP = 1 << 18


def check_depth(data: bytes) -> None:
    """Refuse a PSD of 16 or 32 bits a channel, in words that fit it. Raises PhotoError."""
    depth = struct.unpack_from(">H", data, _DEPTH_AT)[0] if len(data) >= _SECTIONS_AT else 8
    if depth in (16, 32):
        raise PhotoError(f"it is a PSD of {depth} bits per channel, which is not read", remedy="save it with 8")


def check_composite(resources: list[tuple[int, bytes, bytes]]) -> None:
    """Refuse a PSD whose composite is blank, which Photoshop writes if compatibility is not asked for. Raises PhotoError."""
    for number, _, data in resources:
        if number == _VERSION_INFO and data[4:5] == b"\0":
            what = "it was saved without a picture of all its layers"
            raise PhotoError(what, remedy="save it again with 'Maximize Compatibility'")


def is_transparent(data: bytes) -> bool:
    """Tell whether the fourth channel of the composite is its transparency. Otherwise it is a selection that somebody kept."""
    at = _SECTIONS_AT
    try:
        for _ in range(2):  # colour mode data, image resources
            at += 4 + struct.unpack_from(">I", data, at)[0]
        section, length, layers = struct.unpack_from(">IIh", data, at)
    except struct.error:
        return False
    return bool(section and length) and layers < 0


def without_matte(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a composite, uint8 [h, w, 4] BGRA, with the colours that it has without the white that Photoshop mixes in."""
    height, width = pixels.shape[:2]
    clear = np.empty_like(pixels)
    rows = max(1, _STRIP // width)
    for y in range(0, height, rows):
        strip = pixels[y : y + rows].astype(np.int32)
        alpha = np.maximum(strip[:, :, 3:], 1)
        colours = 255 - ((255 - strip[:, :, :3]) * 255 + alpha // 2) // alpha
        clear[y : y + rows, :, :3] = colours.clip(0, 255)
        clear[y : y + rows, :, 3] = strip[:, :, 3]
    return clear
