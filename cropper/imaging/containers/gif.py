"""Take GIFs apart: their frames, and whether the first one is all there. Pillow fills what is missing, and says nothing."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_EXTENSION, _PICTURE, _CONTROL, _APPLICATION = 0x21, 0x2C, 0xF9, 0xFF
# The names of the block that says how often an animation plays.
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_MOST_BLOCKS = 20_000
_MOST_CODES = 4096


@dataclass(frozen=True)
class Frame:
    """One frame of a GIF, where it lies in the file and on the canvas.

    Attributes:
        box: left, upper, right and lower border on the canvas.
        hundredths: how long it is shown, in hundredths of a second.
        disposal: 0-7, what becomes of it before the next one is drawn.
        clear: the colour that stands for transparent pixels, or None.
        start, end: the first byte of its description, and the one behind its pixels.
    """

    box: tuple[int, int, int, int]
    hundredths: int
    disposal: int
    clear: int | None
    start: int
    end: int


def frames_of(gif: bytes) -> Iterator[Frame | None]:
    """Yield the frames of a GIF; None for one that breaks off, which is the last."""
    hundredths, disposal, clear, kind = 0, 0, None, 0
    try:
        at = 13 + _palette(gif[10])
        while at < len(gif):
            start, kind = at, gif[at]
            if kind == _EXTENSION:
                if gif[at + 1] == _CONTROL and gif[at + 2] == 4:
                    flags, hundredths, colour = struct.unpack_from("<BHB", gif, at + 3)
                    disposal, clear = flags >> 2 & 7, colour if flags & 1 else None
                at = _behind(gif, at + 2)
            elif kind == _PICTURE:
                x, y, width, height, flags = struct.unpack_from("<4HB", gif, at + 1)
                at = _behind(gif, at + 11 + _palette(flags))
                if width and height:
                    yield Frame((x, y, x + width, y + height), hundredths, disposal, clear, start, at)
                hundredths, disposal, clear = 0, 0, None
            else:  # the end, or what nobody knows
                return
    except (IndexError, struct.error):  # it breaks off
        if kind == _PICTURE:
            yield None


def plays(gif: bytes) -> int:
    """Return how often the frames of a GIF are shown, 0 for without end. The file says how often they are shown again."""
    try:
        at = 13 + _palette(gif[10])
        for _ in range(_MOST_BLOCKS):
            if gif[at] != _EXTENSION:
                break
            if gif[at + 1] == _APPLICATION and gif[at + 3 : at + 14] in _LOOPS and gif[at + 14] == 3 and gif[at + 15] == 1:
                again = int.from_bytes(gif[at + 16 : at + 18], "little")
                return again + 1 if again else 0
            at = _behind(gif, at + 2)
    except IndexError:  # it breaks off
        pass
    return 1


def alone(gif: bytes, frame: Frame) -> bytes:
    """Return one frame as a GIF of its own, which is as large as the frame."""
    left, upper, right, lower = frame.box
    size = struct.pack("<HH", right - left, lower - upper)
    screen = b"GIF89a" + size + gif[10:13] + gif[13 : 13 + _palette(gif[10])]
    control = struct.pack("<8B", _EXTENSION, _CONTROL, 4, 1, 0, 0, frame.clear, 0) if frame.clear is not None else b""
    return screen + control + b"\x2c\0\0\0\0" + gif[frame.start + 5 : frame.end] + b"\x3b"


def _behind(gif: bytes, at: int) -> int:
    """Return what lies behind blocks and the empty one that ends them. Raises IndexError where the file breaks off."""
    while length := gif[at]:
        at += length + 1
    return at + 1


def is_whole(gif: bytes) -> bool:
    """Tell whether the packed codes of a GIF's first frame give all of its pixels."""
    try:
        at = _picture(gif)
        if at is None:
            return False
        width, height = int.from_bytes(gif[at + 5 : at + 7], "little"), int.from_bytes(gif[at + 7 : at + 9], "little")
        start = at + 10 + _palette(gif[at + 9])
        return 1 <= gif[start] <= 8 and _gives(_joined(gif, start + 1), gif[start], width * height)
    except IndexError:  # it breaks off
        return False


def _palette(flags: int) -> int:
    """Return the bytes of the colours that a screen or a frame says it has."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _picture(gif: bytes) -> int | None:
    """Return where the first frame begins. Raises IndexError where the file breaks off."""
    at = 13 + _palette(gif[10])
    for _ in range(_MOST_BLOCKS):
        if gif[at] == _PICTURE:
            return at
        if gif[at] == _EXTENSION:
            at += 2
            while gif[at]:
                at += gif[at] + 1
        at += 1
    return None


def _joined(gif: bytes, at: int) -> bytes:
    """Join blocks up to an empty one, or to where the file breaks off."""
    blocks = []
    while at < len(gif) and gif[at]:
        blocks.append(gif[at + 1 : at + 1 + gif[at]])
        at += gif[at] + 1
    return b"".join(blocks)


def _gives(packed: bytes, depth: int, pixels: int) -> bool:
    """Tell whether LZW codes give at least so many pixels. Only the length of what each code stands for is kept."""
    clear, end = 1 << depth, (1 << depth) + 1
    lengths = [1] * clear + [0, 0]
    size, before, found, bits, held, cleared = depth + 1, 0, 0, 0, 0, 0
    for byte in packed:
        bits |= byte << held
        held += 8
        while held >= size:
            code = bits & (1 << size) - 1
            bits >>= size
            held -= size
            if code == end:
                return False
            if code == clear:
                del lengths[clear + 2 :]
                size, before, cleared = depth + 1, 0, cleared + 1
                if cleared > pixels + 1:  # it says nothing else
                    return False
                continue
            if code > len(lengths) or (code == len(lengths) and not before):
                return False
            if before and len(lengths) < _MOST_CODES:
                lengths.append(before + 1)
                if len(lengths) == 1 << size and size < 12:
                    size += 1
            before = lengths[code] if code < len(lengths) else before + 1
            found += before
            if found >= pixels:
                return True
    return False
