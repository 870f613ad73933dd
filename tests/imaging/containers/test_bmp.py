"""BMPs of 16 and 32 bits, whose masks say where each colour is, their profiles, and odd palettes: as Chromium shows them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from cropper import PhotoError
from cropper.imaging.decode import decode, decode_or_salvage
from cropper.imaging.header import probe
from cropper.settings import Limits

RGBA = np.random.default_rng(0).integers(0, 256, (7, 9, 4), np.uint8)
RGBA[0, :2, :3], RGBA[0, 0, :3] = 255, 0
C565, C555, C444 = (0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0x8000), (0xF00, 0xF0, 0xF, 0xF000)
C8888, CBGR, C1010 = (0xFF0000, 0xFF00, 0xFF, 0xFF << 24), (0xFF, 0xFF00, 0xFF0000, 0xFF << 24), (0x3FF00000, 0xFFC00, 0x3FF, 0)


def bmp(
    bits: int, compression: int, masks: tuple[int, ...], length: int = 40, profile: bytes = b"", is_upright: bool = False
) -> bytes:
    pixels = np.zeros(RGBA.shape[:2], np.uint64)
    for channel, mask in enumerate(masks):
        if mask:
            shift = (mask & -mask).bit_length() - 1
            pixels |= (RGBA[:, :, channel] * ((mask >> shift) / 255)).round().astype(np.uint64) << np.uint64(shift)
    stored = pixels.astype(f"<u{bits // 8}")[:: 1 if is_upright else -1]
    rows = b"".join(row.tobytes() + bytes(-row.nbytes % 4) for row in stored)
    height = -len(RGBA) if is_upright else len(RGBA)
    head = struct.pack("<IiiHHIIiiII", length, RGBA.shape[1], height, 1, bits, compression, len(rows), 0, 0, 0, 0)
    head += struct.pack("<4I", *masks)[: max(length - 40, {3: 12, 6: 16}.get(compression, 0))]
    head = head.ljust(length, b"\0")
    if profile:
        head = head[:56] + b"DEBM" + head[60:112] + struct.pack("<III", len(head) + len(rows), len(profile), 0)
    start = 14 + len(head)
    return b"BM" + struct.pack("<IHHI", start + len(rows) + len(profile), 0, 0, start) + head + rows + profile


def decoded(data: bytes) -> NDArray[np.uint8]:
    header = probe(data)
    pixels = decode(data, header, (header.width, header.height))
    assert header.has_alpha == (pixels.shape[2] == 4)
    return pixels


@pytest.mark.parametrize(
    ("bits", "compression", "masks", "length", "has_alpha", "step"),
    [
        (16, 0, C555, 40, False, 8),
        (16, 3, C565, 40, False, 8),
        (16, 3, C444, 40, False, 17),
        (16, 3, C444, 124, True, 17),
        (32, 3, C1010, 40, False, 1),
        (32, 3, CBGR, 108, True, 1),
        (32, 3, C8888, 56, True, 1),
        (32, 6, C8888, 40, True, 1),
        (32, 0, C8888, 40, False, 1),
        (32, 0, C8888, 56, False, 1),
        (32, 0, C8888, 108, True, 1),
        (32, 0, (*C8888[:3], 0), 124, False, 1),
    ],
)
def test_masks_say_where_colours_are(
    bits: int, compression: int, masks: tuple[int, ...], length: int, has_alpha: bool, step: int
) -> None:
    pixels = decoded(bmp(bits, compression, masks, length))
    assert (pixels.shape[2] == 4) == has_alpha
    assert pixels[0, 0, :3].tolist() == [0, 0, 0]
    assert pixels[0, 1, :3].tolist() == [255, 255, 255]
    order = [2, 1, 0, 3] if has_alpha else [2, 1, 0]
    assert np.abs(pixels[:, :, order].astype(int) - RGBA[:, :, : len(order)]).max() <= step / 2


def test_rows_from_the_top_are_read() -> None:
    assert np.array_equal(decoded(bmp(16, 3, C565, is_upright=True)), decoded(bmp(16, 3, C565)))


def test_rows_that_are_missing_are_an_error() -> None:
    with pytest.raises(PhotoError, match="truncated or damaged"):
        decoded(bmp(16, 3, C565)[:-2])


def test_embedded_profile_is_taken_along() -> None:
    profile = bytes(16) + b"RGB " + bytes(200)
    for bits, compression, masks in ((16, 3, C565), (32, 3, C8888)):
        assert probe(bmp(bits, compression, masks, 124, profile)).icc_profile == profile
        assert probe(bmp(bits, compression, masks, 124, profile)[:-1]).icc_profile is None


def test_picture_packed_for_a_printer_is_said_to_be_not_supported() -> None:
    with pytest.raises(PhotoError, match=r"it is a JPEG packed as a BMP.*; save it as a JPEG"):
        decoded(bmp(32, 4, C8888))


def with_palette(bits: int, stated: int) -> bytes:
    """A BMP of 8 x 1 pixels, black and white in turn, of a palette from black to white, that states so many colours."""
    count = 1 << bits
    palette = b"".join(bytes([255 * i // (count - 1)] * 3 + [0]) for i in range(count))
    row = np.packbits(np.unpackbits(np.array([0, count - 1] * 4, np.uint8)[:, None], axis=1)[:, 8 - bits :].reshape(-1)).tobytes()
    head = struct.pack("<IiiHHIIiiII", 40, 8, 1, 1, bits, 0, 0, 0, 0, stated, 0)
    start = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + 8, 0, 0, start) + head + palette + row.ljust(8, b"\0")


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("more", [0, 4, 5000])
def test_colours_beyond_those_of_the_pixels_do_not_count(bits: int, more: int) -> None:
    assert decoded(with_palette(bits, (1 << bits) + more))[0, :, 0].tolist() == [0, 255] * 4


def test_two_bits_are_said_to_be_not_supported() -> None:
    with pytest.raises(PhotoError, match="it has 2 bits per pixel; save it with 24"):
        decoded(with_palette(2, 4))


def packed(bits: int, rows: list[bytes], end: bytes = b"\0\1", height: int = 12) -> bytes:
    """A BMP of 16 pixels a row, packed in runs; each row is what its codes are."""
    colours, content = b"".join(bytes([i * 9 % 256] * 3 + [0]) for i in range(1 << bits)), b"".join(rows) + end
    start = 54 + len(colours)
    head = struct.pack("<IiiHHIIiiII", 40, 16, height, 1, bits, 2 if bits == 4 else 1, len(content), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", start + len(content), 0, 0, start) + head + colours + content


def runs(bits: int, count: int) -> list[bytes]:
    """Rows of two runs, two pixels as they are, and the end."""
    as_they_are = b"\0\3\1\2\3\0" if bits == 8 else b"\0\3\x12\x30"
    return [bytes([6, row + 1]) + as_they_are + bytes([7, row + 2]) + b"\0\0" for row in range(count)]


@pytest.mark.parametrize("bits", [4, 8])
def test_packed_rows_that_end_early_are_missing(bits: int) -> None:
    whole = packed(bits, runs(bits, 12))
    assert np.array_equal(decoded(packed(bits, runs(bits, 12), b"")), decoded(whole))
    plain = [bytes([16, 3 if bits == 8 else 0x33]) + b"\0\0"] * 12  # of one colour, and whole
    assert (decoded(packed(bits, plain)) == 27).all()
    for early in (packed(bits, runs(bits, 7)), packed(bits, runs(bits, 7), b""), whole[:-30], whole[:-31]):
        with pytest.raises(PhotoError, match="truncated or damaged"):
            decoded(early)
        header = probe(early)
        pixels, is_partial = decode_or_salvage(early, header, (header.width, header.height), Limits(salvage=True))
        assert is_partial
        assert np.array_equal(pixels[-7:], decoded(whole)[-7:])
