"""What stands in for a picture until it is loaded: its dominant colour and its ThumbHash."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from cropper.geometry import Box, fitted
from cropper.imaging.colour import describes, in_srgb
from cropper.imaging.decode import decode
from cropper.imaging.header import probe
from cropper.imaging.resize import render

# The long side of the picture that is looked at, in pixels. ThumbHash takes up to 100.
_SIDE = 64
# Colours are counted in this many steps a channel, each with its neighbours.
_STEPS = 16
_OPAQUE = 128


def can_hash() -> bool:
    """Whether the library for ThumbHash is installed."""
    try:
        import thash  # noqa: F401
    except ImportError:
        return False
    return True


def placeholder_of(data: bytes, hashed: bool) -> tuple[str, str | None, int, int]:
    """Return the dominant colour of a picture as ``#rrggbb``, in sRGB, its ThumbHash in Base64, its width and its height.

    Args:
        data: the whole file.

    Raises:
        PhotoError: if it cannot be decoded.
    """
    header = probe(data)
    size = fitted(header.width, header.height, (_SIDE, _SIDE), enlarge=False)
    pixels = decode(data, header, size)
    height, width = pixels.shape[:2]
    small = render(pixels, Box(0, 0, width, height, 1.0, (0, 0)), size)
    if header.icc_profile is not None and describes(header.icc_profile, small):
        small = in_srgb(small, header.icc_profile)
    if small.shape[2] == 3:
        small = np.dstack([small, np.full(small.shape[:2], 255, np.uint8)])
    rgba = np.ascontiguousarray(small[:, :, [2, 1, 0, 3]])
    return dominant(rgba), _hash(rgba) if hashed else None, header.width, header.height


def _hash(rgba: NDArray[np.uint8]) -> str:
    from thash import rgba_to_thumb_hash

    hashed = bytes(rgba_to_thumb_hash(rgba.shape[1], rgba.shape[0], rgba.ravel().tolist()))
    return base64.b64encode(hashed).decode()


def dominant(rgba: NDArray[np.uint8]) -> str:
    """Return the dominant colour of a picture, uint8 [h, w, 4] RGBA, as ``#rrggbb``: the mean of the most frequent ones.

    What is transparent does not count, unless all is.
    """
    colours = rgba.reshape(-1, 4)
    seen = colours[colours[:, 3] >= _OPAQUE]
    colours = (seen if len(seen) else colours)[:, :3].astype(np.intp)
    steps = colours * _STEPS // 256
    counts = np.zeros((_STEPS + 2,) * 3, np.int64)
    np.add.at(counts, tuple(steps.T + 1), 1)
    around = sum(counts[r : r + _STEPS, g : g + _STEPS, b : b + _STEPS] for r in range(3) for g in range(3) for b in range(3))
    # One that the picture has: between two frequent ones may lie more, around nothing.
    peak = np.unravel_index(np.argmax(np.where(counts[1:-1, 1:-1, 1:-1] > 0, around, 0)), (_STEPS,) * 3)
    near = (np.abs(steps - np.array(peak)) <= 1).all(axis=1)
    red, green, blue = colours[near].mean(axis=0).round().astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"
