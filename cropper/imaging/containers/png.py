"""Take PNGs apart: their chunks, those that no decoder needs, and pixels that are whole although a check sum is wrong."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Sequence

from cropper.errors import EXPORT_AGAIN, PhotoError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# The number of channels for each colour type.
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
XMP = b"XML:com.adobe.xmp\0"
# The most bytes of an unpacked profile. libpng's decoders in browsers stop there too.
MOST_PROFILE = 8_000_000
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# The chunks that animate a PNG. Without them it is the still picture that viewers without animation show.
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
# The most chunks of a PNG to look at: 2 GB in those of 8 KB that encoders write.
_MOST_CHUNKS = 250_000
# The lengths of chunks that have only one. A decoder that reads a shorter one fails.
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"pHYs": 9, b"tIME": 7, b"acTL": 8, b"fcTL": 26}
# The lengths of the transparent colour for each colour type; a palette has up to one byte a colour.
_TRANSPARENT = {0: range(2, 3), 2: range(6, 7), 3: range(1, 257)}
# The most bytes of one unpacked text, and of all. Pillow unpacks every text, and refuses a photo with more than 1 MB of one or
# 64 MB of all. Deflate packs at most 1032 bytes into one, so a packed text that is shorter than a KB needs no look.
_MOST_UNPACKED, _MOST_TEXT, _FACTOR = 1 << 20, 60_000_000, 1032
# The chunks to look for behind a chunk with a wrong length.
_KNOWN = re.compile(b"IDAT|PLTE|tRNS|IEND|gAMA|cHRM|sRGB|iCCP|cICP|pHYs|tEXt|zTXt|iTXt|eXIf|bKGD|sBIT|tIME|acTL|fcTL|fdAT")
# The most searches in a file for the next chunk, and the most names to try in each.
_MOST_RESUMED, _MOST_TRIES = 16, 100
# The first column and row and the steps of each pass of an interlaced PNG.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 1 << 20


def chunks_of(png: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the start of the content and the stated length of each chunk of a PNG.

    Raises:
        PhotoError: if there are far more of them than a photo has.
    """
    at = 8
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(png):
            return
        length, name = struct.unpack_from(">I4s", png, at)
        yield name, at + 8, length
        at += length + 12
    raise PhotoError("it has more parts than is safe to read", remedy=EXPORT_AGAIN)


def breaks_off(png: bytes) -> bool:
    """Tell whether a chunk of a PNG claims more bytes than the file has left. OpenCV allocates all of them, up to 2 GB."""
    end = 8
    for name, start, length in chunks_of(png):
        if name == b"IEND":
            return False
        end = start + length + 4
    return end > len(png)


def still(png: bytes) -> bytes:
    """Return a PNG without its animation.

    OpenCV composes an animated PNG itself. If a frame is short, damaged or smaller than the canvas, OpenCV reports no error and
    returns uninitialised memory, which can hold other photos. It decodes a still PNG with libpng, which reports the damage.
    """
    if b"acTL" not in png:
        return png
    return _joined(png, [(start, length) for name, start, length in chunks_of(png) if name not in _ANIMATION])


def first_frame(png: bytes) -> tuple[bytes, tuple[int, int, int, int]] | None:
    """Return the first frame of an animation whose still picture is none of its frames; None for all other PNGs.

    Browsers show the animation, and the still picture nowhere.

    Returns:
        A PNG of the frame alone, and its left, upper, right and lower border on the canvas.
    """
    if b"acTL" not in png or len(png) < 33:
        return None
    before: list[tuple[int, int]] = []
    pixels, control, is_behind = [], b"", False
    for name, start, length in chunks_of(png):
        if name == b"fcTL" and length == 26:
            if not is_behind or control:  # the still picture is a frame, or the next frame begins
                break
            control = png[start : start + length]
        elif name == b"fdAT" and control and 4 <= length <= len(png) - start:
            pixels.append(memoryview(png)[start + 4 : start + length])
        elif name == b"IDAT":
            is_behind = True
        elif name not in (*_ANIMATION, b"IHDR", b"IEND") and not is_behind:
            before.append((start, length))
    if not pixels:
        return None
    width, height, x, y = struct.unpack_from(">4I", control, 4)
    canvas = struct.unpack_from(">II", png, 16)
    if not width or not height or x + width > canvas[0] or y + height > canvas[1]:
        return None
    parts = chunk(b"IHDR", struct.pack(">II", width, height) + png[24:29]), _joined(png, before)[8:], chunk(b"IDAT", *pixels)
    return b"".join([SIGNATURE, *parts, chunk(b"IEND")]), (x, y, x + width, y + height)


def sound(png: bytes) -> bytes:
    """Return a PNG without the parts that are not pixels and that a decoder could refuse it for; ``png`` itself if it has none.

    These are ancillary chunks with a wrong check sum or length, profiles that unpack to more than 1 MB (``profile`` reads them),
    and long texts. What a broken chunk says is lost, as in browsers. If part of an animation is broken, all of it goes.
    """
    if not png.startswith(SIGNATURE) or len(png) < 33:
        return png
    kept: list[tuple[int, int]] = []
    text, resumed, has_profile, is_dropped, is_animation_broken, at = 0, 0, False, False, False, 8
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(png):
            break
        length, name = struct.unpack_from(">I4s", png, at)
        start, at = at + 8, at + length + 12
        if name[0] & 0x20:
            text += length * (_FACTOR if _is_packed(png, name, start) else 1) if name in _TEXTS else 0
            is_broken = not _is_right(png, name, start, length)
            if is_broken:
                is_animation_broken = is_animation_broken or name in _ANIMATION
                if resumed < _MOST_RESUMED and not png[at + 4 : at + 8].isalpha():
                    at, resumed = _next_chunk(png, start, at), resumed + 1
            is_again = name == b"iCCP" and has_profile
            has_profile = has_profile or name == b"iCCP"
            if is_broken or is_again or _is_too_long(png, name, start, length, text):
                is_dropped = True
                continue
        kept.append((start, length))
        if name == b"IEND":
            break
    else:
        return png  # ``chunks_of`` refuses it
    if is_animation_broken:
        kept = [(start, length) for start, length in kept if png[start - 4 : start] not in _ANIMATION]
    return _joined(png, kept) if is_dropped else png


def profile(png: bytes) -> bytes | None:
    """Return the embedded profile of a PNG, of up to ``MOST_PROFILE`` bytes, or None. Pillow reads no more than 1 MB."""
    for name, start, length in chunks_of(png):
        if name == b"IDAT":
            break
        if name == b"iCCP" and _is_right(png, name, start, length):
            _, _, packed = png[start : start + length].partition(b"\0")
            return _unpacked(packed[1:], MOST_PROFILE)
    return None


def revived(png: bytes) -> bytes | None:
    """Return a PNG with right check sums and an end, if zlib's own check sum says that all pixels are there; else None.

    Every row is unpacked, without being stored, and counted.
    """
    if len(png) < 33 or not png.startswith(SIGNATURE) or png[12:16] != b"IHDR":
        return None
    before, packed = [], []
    for name, start, length in chunks_of(png):
        if name == b"IDAT":
            if start + length > len(png):
                return None
            packed.append(memoryview(png)[start : start + length])
        elif name == b"IEND":
            break
        elif not packed and name not in _ANIMATION and start + length + 4 <= len(png):
            before.append((start, length))
    if not _is_whole(packed, _unpacked_size(png)):
        return None
    return b"".join([_joined(png, before), chunk(b"IDAT", *packed), chunk(b"IEND")])


def _is_whole(packed: Sequence[memoryview], size: int) -> bool:
    """Tell whether packed rows have exactly so many bytes, and the check sum that ends them is right."""
    unpacker, found = zlib.decompressobj(), 0
    try:
        for piece in packed:
            rest: bytes | memoryview = piece
            while len(rest) and not unpacker.eof:
                found += len(unpacker.decompress(rest, _PIECE))
                rest = unpacker.unconsumed_tail
                if found > size:
                    return False
    except zlib.error:
        return False
    return unpacker.eof and found == size


def _unpacked_size(png: bytes) -> int:
    """Return the bytes of a PNG's unpacked rows, with the filter of each."""
    width, height, depth, colour, _, _, interlace = struct.unpack_from(">IIBBBBB", png, 16)
    bits = depth * CHANNELS.get(colour, 1)
    total = 0
    for x, y, across, down in _PASSES if interlace else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        total += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    return int(total)


def chunk(name: bytes, *content: bytes | memoryview) -> bytes:
    """Return a chunk with its length and check sum."""
    body = b"".join([name, *content])
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _joined(png: bytes, chunks: Sequence[tuple[int, int]]) -> bytes:
    """Return a PNG of the chunks that begin and are as long as stated."""
    view = memoryview(png)
    return b"".join([view[:8], *(view[start - 8 : start + length + 4] for start, length in chunks)])


def _is_right(png: bytes, name: bytes, start: int, length: int) -> bool:
    """Tell whether an ancillary chunk has the check sum and the length that it should have."""
    end = start + length
    if end + 4 > len(png) or length not in (_LENGTHS.get(name, length),):
        return False
    if name == b"tRNS" and length not in _TRANSPARENT.get(png[25], ()):
        return False
    if name in (b"iCCP", b"zTXt"):  # a name, and the only method of packing; Pillow refuses a photo for another one
        at = png.find(b"\0", start, end)
        if not start < at < end - 1 or png[at + 1] != 0:
            return False
    return zlib.crc32(memoryview(png)[start - 4 : end]) == struct.unpack_from(">I", png, end)[0]


def _next_chunk(png: bytes, start: int, end: int) -> int:
    """Return where a known chunk begins, and another one behind it, behind a chunk with a wrong length; its end if nowhere."""
    for _, found in zip(range(_MOST_TRIES), _KNOWN.finditer(png, start), strict=False):
        at = found.start() - 4
        after = at + 12 + int.from_bytes(png[at : at + 4], "big")
        if after == len(png) or png[after + 4 : after + 8].isalpha():
            return at
    return end


def _is_too_long(png: bytes, name: bytes, start: int, length: int, text: int) -> bool:
    """Tell whether a text or a profile unpacks, or may unpack, to more than decoders take."""
    if name in _TEXTS and text > _MOST_TEXT:
        return True
    if name not in (b"iCCP", b"zTXt", b"iTXt") or length * _FACTOR < _MOST_UNPACKED:
        return name in _TEXTS and length > _MOST_UNPACKED
    content = png[start : start + length]
    if name == b"iCCP":
        return _unpacked(content.partition(b"\0")[2][1:], _MOST_UNPACKED) is None
    if not content.startswith(XMP) or not _is_packed(png, name, start):
        return _is_packed(png, name, start) or length > _MOST_UNPACKED
    return _unpacked(content.split(b"\0", 4)[-1], _MOST_UNPACKED) is None


def _is_packed(png: bytes, name: bytes, start: int) -> bool:
    """Tell whether a text is compressed: all of ``zTXt``, and ``iTXt`` with a flag behind its keyword of up to 79 letters."""
    if name != b"iTXt":
        return name == b"zTXt"
    at = png.find(b"\0", start, start + 80)
    return at > 0 and png[at + 1 : at + 2] == b"\1"


def _unpacked(packed: bytes, most: int) -> bytes | None:
    """Unpack up to so many bytes; None if there are more, or the data are damaged."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, most)
    except zlib.error:
        return None
    return None if unpacker.unconsumed_tail else data
