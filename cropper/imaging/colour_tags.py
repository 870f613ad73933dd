"""Read the colour tags of files without a profile, or beside one: AVIF's and HEIC's ``colr`` box and PNG's colour chunks.

Neither Pillow nor OpenCV uses them. A file can state any length, so none is trusted and invalid tags are ignored.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from cropper.imaging.containers.png import chunks_of
from cropper.imaging.icc import PRIMARIES, SRGB_PRIMARIES, Colours

_UNSPECIFIED = 2
# The least and the greatest plausible power.
_POWERS = (1 / 3, 4)
# The most sibling boxes, and pictures of a file, to look at: a hostile file could hold nothing else.
_MOST = 10_000


def colours_of(data: bytes, format: str) -> tuple[Colours | None, bool]:
    """Return the colours of a photo's tags.

    Args:
        data: the whole file.
        format: Pillow's name of its format.

    Returns:
        The colours, or None if the file has no valid tags; and whether the tags override an embedded profile.
    """
    try:
        if format in ("AVIF", "HEIF"):
            return _of_heif(data), False
        if format == "PNG":
            return _of_png(data)
    except (struct.error, IndexError, ZeroDivisionError):  # a truncated or forged file
        pass
    return None, False


def _of_codes(primaries: int, transfer: int) -> Colours | None:
    """Return the colours of the numbers of ITU-T H.273; None if both are unspecified."""
    if primaries == transfer == _UNSPECIFIED:
        return None
    return Colours(PRIMARIES.get(primaries, SRGB_PRIMARIES), transfer)


def _of_png(data: bytes) -> tuple[Colours | None, bool]:
    """Use the ``cICP`` chunk, else ``gAMA`` and ``cHRM`` unless there is an ``sRGB`` chunk (PNG, third edition, 4.3)."""
    power, primaries, is_srgb = None, SRGB_PRIMARIES, False
    for name, start, length in chunks_of(data):
        if name in (b"IDAT", b"IEND"):  # the colour chunks come before the pixels
            break
        if name == b"cICP" and length == 4:
            return _of_codes(data[start], data[start + 1]), True
        if name == b"gAMA" and length == 4:
            power = 100_000 / struct.unpack_from(">I", data, start)[0]
        elif name == b"cHRM" and length == 32:
            x_and_y = [number / 100_000 for number in struct.unpack_from(">8I", data, start)]
            white, red, green, blue = zip(x_and_y[::2], x_and_y[1::2], strict=True)
            primaries = red, green, blue, white
        is_srgb = is_srgb or name == b"sRGB"
    if is_srgb or (power is None and primaries is SRGB_PRIMARIES):
        return None, False
    if power is not None and not _POWERS[0] <= power <= _POWERS[1]:
        return None, False
    return Colours(primaries, power=power), False


def _of_heif(data: bytes) -> Colours | None:
    """Use the ``colr`` box of the primary picture (ISO/IEC 23008-12, 9.3; 14496-12, 12.1.5)."""
    meta = _find(data, (b"meta",), 0, len(data))
    if meta is None:
        return None
    meta = meta[0] + 4, meta[1]
    primary, properties, links = (_find(data, path, *meta) for path in ((b"pitm",), (b"iprp", b"ipco"), (b"iprp", b"ipma")))
    if primary is None or properties is None or links is None:
        return None
    item = struct.unpack_from(">I" if data[primary[0]] else ">H", data, primary[0] + 4)[0]
    boxes = list(boxes_of(data, *properties))
    for number in _properties_of(data, links, item):
        name, start, _ = boxes[number - 1] if 0 < number <= len(boxes) else (b"", 0, 0)
        if name == b"colr" and data[start : start + 4] == b"nclx":
            return _of_codes(*struct.unpack_from(">HH", data, start + 4))
    return None


def _properties_of(data: bytes, links: tuple[int, int], item: int) -> Iterator[int]:
    """Yield the numbers, from 1, of an item's properties, from the ``ipma`` box."""
    at = links[0] + 8
    is_long, is_wide = data[links[0]] > 0, data[links[0] + 3] & 1
    for _ in range(min(struct.unpack_from(">I", data, links[0] + 4)[0], _MOST)):
        current = struct.unpack_from(">I" if is_long else ">H", data, at)[0]
        at += 4 if is_long else 2
        count = data[at]
        numbers = struct.unpack_from(f">{count}{'H' if is_wide else 'B'}", data, at + 1)
        at += 1 + count * (2 if is_wide else 1)
        if current == item:
            yield from (number & (0x7FFF if is_wide else 0x7F) for number in numbers)
            return


def _find(data: bytes, path: tuple[bytes, ...], start: int, end: int) -> tuple[int, int] | None:
    """Return the start and end of the content of the first box at a path, or None."""
    for name, inner, after in boxes_of(data, start, end):
        if name == path[0]:
            return _find(data, path[1:], inner, after) if len(path) > 1 else (inner, after)
    return None


def boxes_of(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name and the start and end of the content of each box in a range; of the file by default."""
    end = len(data) if end is None else end
    for _ in range(_MOST):
        if start + 8 > end:
            return
        length, name = struct.unpack_from(">I4s", data, start)
        inner = start + 8
        if length == 1:
            length = struct.unpack_from(">Q", data, inner)[0]
            inner += 8
        elif length == 0:
            length = end - start
        if length < inner - start:
            return
        yield name, inner, min(start + length, end)
        start += length
