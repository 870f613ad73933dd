"""Take an animation apart without decoding it: where its frames lie, how long each is shown, and how often all of them play.

Each frame of a GIF, WebP or PNG becomes a still picture of its own, which the decoders of photos read. What the file says of
blending and disposal is ours to apply: decoders differ there from browsers.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial

from cropper.imaging.containers import gif, png, webp
from cropper.imaging.extra import jxl
from cropper.imaging.pillow import opened

# A file may hold millions of frames of a pixel; each takes as long as a small photo.
MOST_FRAMES = 20_000
# Browsers show a frame of at most the first number of milliseconds for the second.
_TOO_SHORT, _SHOWN_INSTEAD = 10.0, 100.0
# The chunks that the frames of a PNG need. EXIF is not one of them: it would turn a frame before the canvas is turned.
_OF_PIXELS = (b"PLTE", b"tRNS")


class Disposal(Enum):
    """What becomes of a frame's part of the canvas before the next frame is drawn."""

    LEAVE = "leave"
    CLEAR = "clear"
    RESTORE = "restore"


@dataclass(frozen=True)
class Part:
    """One frame as the file has it.

    Attributes:
        box: left, upper, right and lower border on the canvas.
        ms: how long it is shown, in milliseconds.
        disposal: what becomes of it.
        is_over: whether it is laid over the canvas, rather than in its place.
        still: makes a still picture of it, a whole file.
    """

    box: tuple[int, int, int, int]
    ms: float
    disposal: Disposal
    is_over: bool
    still: Callable[[], bytes]


@dataclass(frozen=True)
class Film:
    """An animation, not decoded.

    Attributes:
        count: how many frames the file has, or as many as were asked for; at least 2.
        plays: how often all frames are shown; 0 for without end.
        parts: the frames; empty for AVIF, whose decoder composes them.
        is_whole: whether the file ends where its last frame does. If not, ``parts`` are those before the damage.
    """

    count: int
    plays: int
    parts: tuple[Part, ...] = ()
    is_whole: bool = True


def film_of(data: bytes, format: str, most: int = MOST_FRAMES + 1) -> Film | None:
    """Take a file apart.

    Args:
        data: the whole file.
        format: Pillow's name of its format.
        most: how many frames to look for.

    Returns:
        The film, or None for a file that shows one frame.
    """
    if format == "AVIF":
        return _avif(data)
    begin = {"GIF": _gif, "WEBP": _webp, "PNG": _png}.get(format)
    reader = begin(data) if begin is not None else None
    if reader is None:
        return None
    plays, found = reader
    parts: list[Part] = []
    is_whole = True
    for part in found:
        if part is None:
            is_whole = False
            break
        parts.append(part)
        if len(parts) == most:
            break
    # One frame of several is left of a file that breaks off behind it.
    return Film(max(len(parts), 2), plays, tuple(parts), is_whole) if len(parts) > 1 or (parts and not is_whole) else None


def has_several(data: bytes, format: str) -> bool:
    """Tell whether a file shows more than one frame, also a JPEG XL, of which we read one alone. Costs next to nothing."""
    if format == "JXL":
        return jxl.facts_of(data).is_animated
    return film_of(data, format, 2) is not None


def shown_ms(ms: float) -> float:
    """Return for how many milliseconds browsers show a frame that asks for ``ms``."""
    return _SHOWN_INSTEAD if ms <= _TOO_SHORT else ms


def moments(durations: tuple[float, ...], number: int) -> tuple[int, ...]:
    """Return the frames to look at: those shown in the middle of so many equal spans of time, each once, in order."""
    shown = [*map(shown_ms, durations)]
    total, ends, end = sum(shown), [], 0.0
    for ms in shown:
        end += ms
        ends.append(end)
    middles = (total * (2 * span + 1) / (2 * number) for span in range(number))
    return tuple(dict.fromkeys(next((i for i, end in enumerate(ends) if end > middle), len(ends) - 1) for middle in middles))


# None stands for damage: what follows cannot be read.
_Parts = Iterator[Part | None]


def _avif(data: bytes) -> Film | None:
    if b"avis" not in data[8:128]:  # among the brands of a file with a sequence
        return None
    try:
        with opened(data, ["AVIF"]) as image:
            count = getattr(image, "n_frames", 1)
    except Exception:  # Pillow's parsers raise a dozen built-in types; the first frame has said what is wrong, if anything is
        return None
    return Film(count, 0) if count > 1 else None


def _gif(data: bytes) -> tuple[int, _Parts]:
    return gif.plays(data), _gif_parts(data)


def _gif_parts(data: bytes) -> _Parts:
    for frame in gif.frames_of(data):
        if frame is None:
            yield None
            return
        # Some encoders write 4 for 3: browsers take both.
        disposal = {2: Disposal.CLEAR, 3: Disposal.RESTORE, 4: Disposal.RESTORE}.get(frame.disposal, Disposal.LEAVE)
        yield Part(frame.box, 10.0 * frame.hundredths, disposal, True, partial(gif.alone, data, frame))


def _webp(data: bytes) -> tuple[int, _Parts] | None:
    if len(data) < 30 or data[12:16] != b"VP8X" or not data[20] & 2:
        return None
    for name, start, length in webp.chunks_of(data):
        if name == b"ANIM" and length >= 6:
            return int.from_bytes(data[start + 4 : start + 6], "little"), _webp_parts(data)
        if name == b"ANMF":
            return None
    return None


def _webp_parts(data: bytes) -> _Parts:
    end = min(8 + int.from_bytes(data[4:8], "little"), len(data))
    at = webp.FIRST
    for name, start, length in webp.chunks_of(data, at, end):
        if name == b"ANMF":
            if start + length > len(data) or length < 16:
                yield None
                return
            x, y, width, height, ms = (int.from_bytes(data[start + i : start + i + 3], "little") for i in range(0, 15, 3))
            flags = data[start + 15]
            box = 2 * x, 2 * y, 2 * x + width + 1, 2 * y + height + 1
            disposal = Disposal.CLEAR if flags & 1 else Disposal.LEAVE
            yield Part(box, float(ms), disposal, not flags & 2, partial(_webp_alone, data, start, length))
        at = start + length + (length & 1)
    if at < 8 + int.from_bytes(data[4:8], "little") - 1 and end == len(data):  # the header says more
        yield None


def _webp_alone(data: bytes, start: int, length: int) -> bytes:
    """Return a frame of an animated WebP as a file of its own."""
    pixels, alpha = b"", b""
    for name, begins, size in webp.chunks_of(data, start + 16, start + length):
        chunk = data[begins - 8 : begins + size] + b"\0" * (size & 1)
        if name == b"ALPH":
            alpha = chunk
        elif name in (b"VP8 ", b"VP8L"):
            pixels = chunk
            break
    extended = webp.chunk(b"VP8X", bytes([0x10, 0, 0, 0]) + data[start + 6 : start + 12]) if alpha else b""
    return webp.file_of(extended + alpha + pixels)


def _png(data: bytes) -> tuple[int, _Parts] | None:
    if not data.startswith(png.SIGNATURE):
        return None
    for name, start, length in png.chunks_of(data):
        if name == b"acTL" and length == 8 and start + 8 <= len(data):
            frames, plays = struct.unpack_from(">II", data, start)
            return (plays, _png_parts(data)) if frames > 1 else None
        if name == b"IDAT":
            return None
    return None


def _png_parts(data: bytes) -> _Parts:
    """Yield the frames of an animated PNG; its still picture only if it is one of them."""
    before: list[tuple[int, int]] = []
    pixels: list[tuple[int, int]] = []
    control, is_behind, is_first = b"", False, True
    for name, start, length in png.chunks_of(data):
        is_ours = name in (b"fcTL", b"fdAT") or (name == b"IDAT" and control)
        end = start + length
        if is_ours and (end + 4 > len(data) or zlib.crc32(memoryview(data)[start - 4 : end]) != _number(data, end)):
            break
        if name == b"fcTL":
            if control and pixels:
                yield _png_part(data, control, before, pixels)
                is_first = False
            control, pixels = data[start:end], []
            if length != 26:
                break
        elif name == b"IDAT":
            is_behind = True
            if control and is_first:
                pixels.append((start, end))
        elif name == b"fdAT" and control and length > 4:
            pixels.append((start + 4, end))
        elif name == b"IEND":
            if control and pixels:
                yield _png_part(data, control, before, pixels)
            return
        elif not is_behind and name in _OF_PIXELS and end + 4 <= len(data):
            before.append((start - 8, end + 4))
    yield None


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _png_part(data: bytes, control: bytes, before: list[tuple[int, int]], pixels: list[tuple[int, int]]) -> Part:
    width, height, x, y, above, below, disposal, blend = struct.unpack_from(">4IHHBB", control, 4)
    kind = {1: Disposal.CLEAR, 2: Disposal.RESTORE}.get(disposal, Disposal.LEAVE)
    still = partial(_png_alone, data, (width, height), tuple(before), tuple(pixels))
    return Part((x, y, x + width, y + height), 1000.0 * above / (below or 100), kind, blend == 1, still)


def _png_alone(
    data: bytes, size: tuple[int, int], before: tuple[tuple[int, int], ...], pixels: tuple[tuple[int, int], ...]
) -> bytes:
    """Return a frame of an animated PNG as a file of its own."""
    view = memoryview(data)
    header = png.chunk(b"IHDR", struct.pack(">II", *size) + data[24:29])
    chunks = (view[start:end] for start, end in before)
    packed = png.chunk(b"IDAT", *(view[start:end] for start, end in pixels))
    return b"".join([png.SIGNATURE, header, *chunks, packed, png.chunk(b"IEND")])
