"""Write a GIF, of one frame or several: each with a palette of its own, and only what changes since the one before it."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cropper.imaging.animation.changes import changed_box
from cropper.imaging.containers import gif
from cropper.imaging.opencv import cv2
from cropper.settings import MOST_COLOURS

# From what alpha on a pixel is seen. A GIF knows nothing between.
_OPAQUE = 128
_LEAVE, _CLEARED = 1, 2
_MOST_PLAYS, _MOST_HUNDREDTHS = 65535, 65535


@dataclass(frozen=True)
class _Drawn:
    """A frame and what is on the canvas before it, None for nothing: both uint8 [h, w, 4] BGRA, opaque or clear."""

    pixels: NDArray[np.uint8]
    before: NDArray[np.uint8] | None
    hundredths: int


def gif_file(frames: Iterable[tuple[NDArray[np.uint8], float]], plays: int = 1, colours: int | None = None) -> bytes:
    """Write a GIF.

    Args:
        frames: at least one, all of one size: uint8 [h, w], [h, w, 3] BGR or [h, w, 4] BGRA in sRGB; and how long each is shown,
            in milliseconds. They are taken one after the other.
        plays: how often all of them are shown; 0 for without end.
        colours: the most colours of a frame, at least 2, with one for what is clear; None for as many as there can be.
    """
    written = bytearray()
    most = MOST_COLOURS if colours is None else colours
    for drawn, is_cleared in _disposed(_timed(frames)):
        if not written:
            height, width = drawn.pixels.shape[:2]
            written += b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0)
            if plays != 1:
                again = max(0, min(plays, _MOST_PLAYS) - 1)
                written += b"\x21\xff\x0bNETSCAPE2.0" + struct.pack("<BBHB", 3, 1, again, 0)
        written += _frame(drawn, is_cleared, most)
    return bytes(written + b"\x3b")


def _timed(frames: Iterable[tuple[NDArray[np.uint8], float]]) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Round times to hundredths of a second so that their errors do not add up, and pixels to opaque or clear."""
    owed = 0.0
    for pixels, ms in frames:
        exact = ms / 10 + owed
        # Browsers show a frame of a hundredth of a second for a tenth.
        hundredths = min(max(2 if ms > 10 else 0, round(exact)), _MOST_HUNDREDTHS)
        owed = max(-1.0, min(exact - hundredths, 1.0)) if ms > 10 else 0.0
        yield _two_valued(pixels), hundredths


def _two_valued(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGRA), np.uint8)
    if pixels.shape[2] == 3:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA), np.uint8)
    return np.where(pixels[:, :, 3:] >= _OPAQUE, pixels | np.array([0, 0, 0, 255], np.uint8), 0).astype(np.uint8)


def _disposed(frames: Iterator[tuple[NDArray[np.uint8], int]]) -> Iterator[tuple[_Drawn, bool]]:
    """Yield each frame with whether it is cleared away: where the next one is clear in a place that this one has filled."""
    held: _Drawn | None = None
    for pixels, hundredths in frames:
        before = None
        if held is not None:
            uncovers = bool(((pixels[:, :, 3] == 0) & (held.pixels[:, :, 3] > 0)).any())
            yield held, uncovers
            before = None if uncovers else held.pixels
        held = _Drawn(pixels, before, hundredths)
    if held is not None:
        yield held, False


def _frame(drawn: _Drawn, is_cleared: bool, colours: int) -> bytes:
    """Return the blocks of one frame. One that is cleared covers the whole canvas, so that nothing older stays."""
    height, width = drawn.pixels.shape[:2]
    left, upper, right, lower = (0, 0, width, height) if is_cleared else changed_box(drawn.before, drawn.pixels)
    cut = drawn.pixels[upper:lower, left:right]
    unseen = cut[:, :, 3] == 0
    is_clear = bool((drawn.pixels[:, :, 3] == 0).any())
    colours = min(colours - is_clear, MOST_COLOURS - 1)  # what does not change takes an index too
    if drawn.before is not None:
        # What has not changed is left out: long runs of one index pack well.
        unseen = unseen | (cut == drawn.before[upper:lower, left:right]).all(axis=2)
    file = _packed(np.asarray(cv2.cvtColor(np.ascontiguousarray(cut), cv2.COLOR_BGRA2RGB), np.uint8), unseen, colours)
    frame = next(gif.frames_of(file))
    assert frame is not None  # we wrote it
    disposal = _CLEARED if is_cleared else _LEAVE
    control = struct.pack("<BBBBHBB", 0x21, 0xF9, 4, disposal << 2 | bool(unseen.any()), drawn.hundredths, colours, 0)
    return control + _with_palette(file, frame, left, upper)


def _packed(rgb: NDArray[np.uint8], unseen: NDArray[np.bool_], colours: int) -> bytes:
    """Return a GIF of one frame, RGB uint8 [h, w, 3], where ``unseen`` pixels have the index behind those of the colours."""
    # Little of the palette goes to what is not seen: it has the colour of a pixel that is.
    seen = ~unseen
    if seen.any() and not seen.all():
        rgb = np.where(unseen[:, :, None], rgb[seen][0], rgb).astype(np.uint8)
    image = Image.fromarray(rgb)
    palette = image.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    is_exact = image.getcolors(colours) is not None
    indexed = palette if is_exact else image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    indices = np.where(unseen, np.uint8(colours), np.asarray(indexed)).astype(np.uint8)
    held = (palette.getpalette() or [])[: 3 * colours]
    made = Image.fromarray(indices, "P")
    made.putpalette(bytes(held + [0] * (3 * colours + 3 - len(held))))
    file = io.BytesIO()
    made.save(file, "GIF", optimize=False, interlace=False)
    return file.getvalue()


def _with_palette(file: bytes, frame: gif.Frame, left: int, upper: int) -> bytes:
    """Return the description and pixels of the one frame of a file, with the file's palette as its own, at its place."""
    flags = file[frame.start + 9]
    if flags & 0x80:  # it has one already
        return file[frame.start : frame.start + 1] + struct.pack("<HH", left, upper) + file[frame.start + 5 : frame.end]
    size = file[10] & 7
    description = b"\x2c" + struct.pack("<HH", left, upper) + file[frame.start + 5 : frame.start + 9]
    palette = file[13 : 13 + (3 << size + 1)]
    return description + bytes([flags & 0x40 | 0x80 | size]) + palette + file[frame.start + 10 : frame.end]
