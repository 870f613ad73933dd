"""Files that no library of the tests writes: a PSD's composite, a camera's DNG with its preview, and a turned JPEG XL.

The HEICs in the folder ``imaging/heic`` are of our own making, with libheif, from ``corners()``: 96 x 64 pixels of three colours.
The two of ``tiles`` hold a picture of 128 x 128 pixels, where blue is 2x, green 2y and red 255 - x - y, in four of 64 x 64, the
upper two first; libheif and x265 coded them.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HEIC = Path(__file__).parent / "imaging" / "heic"
# BGR.
TOP_LEFT, BOTTOM_LEFT, RIGHT = (40, 40, 220), (60, 240, 240), (200, 120, 30)


def corners() -> NDArray[np.uint8]:
    """A picture whose turns and flips all differ: uint8 [64, 96, 3] BGR."""
    picture = np.empty((64, 96, 3), np.uint8)
    picture[:] = RIGHT
    picture[:32, :48], picture[32:, :48] = TOP_LEFT, BOTTOM_LEFT
    return picture


def psd(planes: NDArray[np.uint8], mode: int = 3, depth: int = 8, layers: int | None = None, resources: bytes = b"") -> bytes:
    """A PSD of a composite alone, uint8 [channels, h, w]. A number of layers below 0 says that the last one is transparency."""
    channels, height, width = planes.shape
    section = struct.pack(">I", 0) if layers is None else struct.pack(">IIh", 6, 2, layers)
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHHI", channels, height, width, depth, mode, 0)
    return head + struct.pack(">I", len(resources)) + resources + section + b"\0\0" + planes.tobytes()


Entry = tuple[int, int, bytes]


def _directory(entries: list[Entry], at: int) -> bytes:
    """A directory of a TIFF at an offset, with its values behind it."""
    head, values = struct.pack("<H", len(entries)), b""
    values_at = at + 2 + 12 * len(entries) + 4
    for tag, type, value in sorted(entries):
        head += struct.pack("<HHI", tag, type, len(value) // {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 10: 8}[type])
        head += value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", values_at + len(values))
        values += value + bytes(len(value) % 2) if len(value) > 4 else b""
    return head + bytes(4) + values


def dng(jpeg: bytes, size: tuple[int, int], orientation: int = 1) -> bytes:
    """A DNG of 24 x 24 pixels of the sensor, and a JPEG of a size in pixels as its preview."""
    side = 24
    sensor = bytes(2 * side * side)

    def shorts(*numbers: int) -> bytes:
        return struct.pack(f"<{len(numbers)}H", *numbers)

    def longs(*numbers: int) -> bytes:
        return struct.pack(f"<{len(numbers)}I", *numbers)

    def directories(second_at: int, sensor_at: int, jpeg_at: int) -> tuple[bytes, bytes]:
        first: list[Entry] = [
            *((254, 4, longs(0)), (256, 4, longs(side)), (257, 4, longs(side)), (258, 3, shorts(16)), (259, 3, shorts(1))),
            *((262, 3, shorts(32803)), (271, 2, b"Ann\0"), (272, 2, b"Ann One\0"), (273, 4, longs(sensor_at))),
            *((274, 3, shorts(orientation)), (277, 3, shorts(1)), (278, 4, longs(side)), (279, 4, longs(len(sensor)))),
            *((330, 4, longs(second_at)), (33421, 3, shorts(2, 2)), (33422, 1, bytes([0, 1, 1, 2])), (50706, 1, b"\1\4\0\0")),
            *((50708, 2, b"Ann One\0"), (50714, 3, shorts(0)), (50717, 3, shorts(1023)), (50728, 5, longs(1, 1, 1, 1, 1, 1))),
            (50721, 10, longs(*(1, 1, 0, 1, 0, 1), *(0, 1, 1, 1, 0, 1), *(0, 1, 0, 1, 1, 1))),
        ]
        second: list[Entry] = [
            *((254, 4, longs(1)), (256, 4, longs(size[0])), (257, 4, longs(size[1])), (258, 3, shorts(8, 8, 8))),
            *((259, 3, shorts(7)), (262, 3, shorts(6)), (273, 4, longs(jpeg_at)), (277, 3, shorts(3))),
            *((278, 4, longs(size[1])), (279, 4, longs(len(jpeg)))),
        ]
        return _directory(first, 8), _directory(second, second_at)

    first, second = map(len, directories(0, 0, 0))
    at = 8 + first + second
    return b"II*\0" + longs(8) + b"".join(directories(8 + first, at, at + len(sensor))) + sensor + jpeg


def turned_jxl(jxl: bytes, orientation: int) -> bytes:
    """A bare JPEG XL of default metadata, such as a lossy one in sRGB, with an orientation in its header."""
    number, at = int.from_bytes(jxl[2:], "little"), 0

    def read(count: int) -> int:
        nonlocal at
        at += count
        return number >> (at - count) & (1 << count) - 1

    def side() -> None:
        read(5) if in_eights else read((9, 13, 18, 30)[read(2)])

    in_eights = read(1)
    side()
    if not read(3):
        side()
    size, size_bits = number & (1 << at) - 1, at
    assert read(2) == 0b11  # default metadata, default transform
    pixels = jxl[2 + (at + 7) // 8 :]
    # Not all default, more fields, the orientation, none of three, 8 bits of whole numbers in short buffers, no more channels,
    # XYB, default colours and tones, no extensions; the default transform.
    fields = ((0, 1), (1, 1), (orientation - 1, 3), (0, 3), (0, 3), (1, 1), (0, 2), (1, 1), (1, 1), (1, 1), (0, 2), (1, 1))
    for value, count in fields:
        size |= value << size_bits
        size_bits += count
    return jxl[:2] + size.to_bytes((size_bits + 7) // 8, "little") + pixels
