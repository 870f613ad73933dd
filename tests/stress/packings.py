"""A small photo in every way of packing that a decoder has code of its own for, those too that Pillow does not write.

Beside the photos stand the chunks of PNG and WebP, to take files apart and put them together again with right check sums.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache
from itertools import accumulate
from typing import NamedTuple

import hostile
import numpy as np
from PIL import Image

WIDTH, HEIGHT = hostile.SIZE
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Chunk(NamedTuple):
    """One chunk of a PNG or a WebP."""

    name: bytes
    data: bytes


@cache
def whole() -> dict[str, bytes]:
    """A small photo in every way of packing that a decoder has code of its own for: those of `hostile.kinds`, and rarer ones."""
    with Image.open(hostile.SAMPLE) as sample:
        rgb = sample.convert("RGB").resize(hostile.SIZE)
    small = rgb.resize((WIDTH // 2, HEIGHT // 2))
    palette = rgb.quantize(16)
    found = {kind: data for kind, (_, data) in hostile.kinds().items()}
    for name, colour, depth, mode in (("grey", 0, 8, "L"), ("4 bits", 3, 4, "P"), ("1 bit", 0, 1, "1"), ("colour", 2, 8, "RGB")):
        found[f"png, interlaced, {name}"] = _interlaced(palette if mode == "P" else rgb.convert(mode), colour, depth)
    found["png, 4 bits"] = hostile.saved(palette, "PNG", bits=4)
    found["png, 1 bit"] = hostile.saved(rgb.convert("1"), "PNG")
    found["png, grey and alpha"] = hostile.saved(rgb.convert("LA"), "PNG")
    found["png, animated, small first"] = _with_small_first(found["png, animated"])
    found["gif, interlaced"] = hostile.saved(palette, "GIF", interlace=1)
    found["gif, small first"] = _small_gif(found["gif, transparent"])
    found["webp, animated, small first"] = webp_of(
        [Chunk(c.name, _small_frame(c.data, small) if c.name == b"ANMF" else c.data) for c in webp_parts(found["webp, animated"])]
    )
    for name, options in (("lzw", "tiff_lzw"), ("raw", "raw"), ("jpeg", "jpeg"), ("deflate", "tiff_adobe_deflate")):
        found[f"tiff, {name}, strips"] = hostile.saved(rgb, "TIFF", compression=options, strip_size=WIDTH * 3 * 16)
    found["tiff, grey, lzw"] = hostile.saved(rgb.convert("L"), "TIFF", compression="tiff_lzw")
    found["tiff, palette"] = hostile.saved(palette, "TIFF")
    found["tiff, tiles"] = _tiled(np.asarray(rgb))
    found["tiff, planes"] = _planar(np.asarray(rgb))
    found["bmp, 32 bits"] = hostile.saved(rgb.convert("RGBA"), "BMP")
    found["bmp, 1 bit"] = hostile.saved(rgb.convert("1"), "BMP")
    found["bmp, packed"] = _rle(np.asarray(palette), 8)
    found["bmp, packed, 4 bits"] = _rle(np.asarray(palette), 4)
    return found


def _interlaced(image: Image.Image, colour: int, depth: int) -> bytes:
    """A PNG in the seven passes of Adam7, which Pillow does not write."""
    pixels = np.asarray(image).astype(np.uint8)
    rows = []
    for x, y, right, down in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        for row in pixels[y::down, x::right]:
            if depth == 8:
                rows.append(b"\0" + row.tobytes())
            else:
                bits = np.unpackbits(row.reshape(-1, 1), axis=1)[:, 8 - depth :]
                rows.append(b"\0" + np.packbits(bits).tobytes())
    ihdr = struct.pack(">IIBBBBB", image.width, image.height, depth, colour, 0, 0, 1)
    shades = [Chunk(b"PLTE", bytes(range(48)))] if colour == 3 else []
    return png_of([Chunk(b"IHDR", ihdr), *shades, Chunk(b"IDAT", zlib.compress(b"".join(rows))), Chunk(b"IEND", b"")])


def _with_small_first(png: bytes) -> bytes:
    """An animated PNG whose first frame covers a quarter of the canvas, by its control chunk alone."""
    chunks = png_chunks(png)
    first = next(i for i, c in enumerate(chunks) if c.name == b"fcTL")
    control = chunks[first].data
    chunks[first] = Chunk(b"fcTL", control[:4] + struct.pack(">IIII", WIDTH // 2, HEIGHT // 2, 0, 0) + control[20:])
    return png_of(chunks)


def _small_gif(gif: bytes) -> bytes:
    """A GIF whose frame begins beside the canvas's corner, on a canvas that is larger."""
    at = gif.index(b"\x2c\0\0\0\0" + struct.pack("<HH", *hostile.SIZE))
    canvas = hostile.with_bytes(gif, 6, struct.pack("<HH", WIDTH + 40, HEIGHT + 30))
    return hostile.with_bytes(canvas, at + 1, struct.pack("<HH", 20, 10))


def _small_frame(frame: bytes, picture: Image.Image) -> bytes:
    """The content of an ANMF chunk with a smaller picture, away from the corner."""
    bitstream = b"".join(_packed_part(c) for c in webp_parts(hostile.saved(picture, "WEBP")))
    sides = (5, 5, picture.width - 1, picture.height - 1)
    return b"".join(struct.pack("<I", side)[:3] for side in sides) + frame[12:16] + bitstream


def tiff_of(entries: dict[int, tuple[int, list[int]]], data: list[bytes], offsets: int, counts: int) -> bytes:
    """A little-endian TIFF: tags with their form and values, and pieces of data that two of the tags point to."""
    entries = {**entries, counts: (4, [len(piece) for piece in data]), offsets: (4, [0] * len(data))}
    at = 8 + 2 + 12 * len(entries) + 4
    longer = {tag: 4 * len(values) if form == 4 else 2 * len(values) for tag, (form, values) in entries.items()}
    start = at + sum(length for length in longer.values() if length > 4)
    entries[offsets] = (4, list(accumulate(map(len, data[:-1]), initial=start)))
    directory, outside = struct.pack("<H", len(entries)), b""
    for tag, (form, values) in sorted(entries.items()):
        packed = struct.pack(f"<{len(values)}{'I' if form == 4 else 'H'}", *values)
        directory += struct.pack("<HHI", tag, form, len(values))
        directory += packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", at + len(outside))
        outside += packed if len(packed) > 4 else b""
    return b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + outside + b"".join(data)


def _tiled(rgb: np.ndarray) -> bytes:
    """A TIFF in deflated tiles of 64 pixels; the last ones lie half outside."""
    tiles = []
    for y in range(0, HEIGHT, 64):
        for x in range(0, WIDTH, 64):
            tile = np.zeros((64, 64, 3), np.uint8)
            part = rgb[y : y + 64, x : x + 64]
            tile[: part.shape[0], : part.shape[1]] = part
            tiles.append(zlib.compress(tile.tobytes()))
    sides = {256: (4, [WIDTH]), 257: (4, [HEIGHT]), 322: (4, [64]), 323: (4, [64])}
    form = {258: (3, [8, 8, 8]), 259: (3, [8]), 262: (3, [2]), 277: (3, [3]), 284: (3, [1])}
    return tiff_of({**sides, **form}, tiles, 324, 325)


def _planar(rgb: np.ndarray) -> bytes:
    """A TIFF with a deflated strip for each of its channels."""
    planes = [zlib.compress(np.ascontiguousarray(rgb[:, :, i]).tobytes()) for i in range(3)]
    sides = {256: (4, [WIDTH]), 257: (4, [HEIGHT]), 278: (4, [HEIGHT])}
    form = {258: (3, [8, 8, 8]), 259: (3, [8]), 262: (3, [2]), 277: (3, [3]), 284: (3, [2])}
    return tiff_of({**sides, **form}, planes, 273, 279)


def _rle(shades: np.ndarray, depth: int) -> bytes:
    """A BMP packed in runs of 8 or 4 bits a pixel, which Pillow does not write."""
    packed = bytearray()
    for row in shades[::-1]:
        for shade in row:
            packed += bytes([1, int(shade) if depth == 8 else int(shade) << 4])
        packed += b"\0\0"
    packed += b"\0\1"
    colours = b"".join(bytes([16 * i, 255 - 16 * i, 8 * i, 0]) for i in range(16))
    info = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, depth, 1 if depth == 8 else 2, len(packed), 2835, 2835, 16, 0)
    start = 14 + len(info) + len(colours)
    return b"BM" + struct.pack("<IHHI", start + len(packed), 0, 0, start) + info + colours + bytes(packed)


def png_chunks(png: bytes) -> list[Chunk]:
    found, at = [], 8
    while at + 12 <= len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        found.append(Chunk(name, png[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png_of(chunks: list[Chunk]) -> bytes:
    return PNG_SIGNATURE + b"".join(hostile.chunk(*c) for c in chunks)


def webp_parts(webp: bytes) -> list[Chunk]:
    found, at = [], 12
    while at + 8 <= len(webp):
        name, length = struct.unpack_from("<4sI", webp, at)
        found.append(Chunk(name, webp[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return found


def _packed_part(part: Chunk) -> bytes:
    return part.name + struct.pack("<I", len(part.data)) + part.data + bytes(len(part.data) % 2)


def webp_of(parts: list[Chunk]) -> bytes:
    body = b"WEBP" + b"".join(map(_packed_part, parts))
    return b"RIFF" + struct.pack("<I", len(body)) + body
