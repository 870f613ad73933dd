"""PNGs whose chunks are broken or very long: what is not pixels costs no pixels, and what is missing is still found."""

from __future__ import annotations

import struct
import time
import zlib

import numpy as np
import pytest
from hostile import chunk
from numpy.typing import NDArray

from cropper import PhotoError
from cropper.imaging.containers import png
from cropper.imaging.decode import decode
from cropper.imaging.header import probe
from cropper.imaging.metadata import kept_metadata
from cropper.settings import KEEP_ALL

WIDTH, HEIGHT = 24, 16
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
ROWS = b"".join(b"\0" + row.tobytes() for row in RGB)
IDAT, IEND = chunk(b"IDAT", zlib.compress(ROWS)), chunk(b"IEND", b"")
MB = bytes(1 << 20)


def head(colour: int = 2, depth: int = 8, size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    return png.SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0))


def decoded(data: bytes) -> NDArray[np.uint8]:
    header = probe(data)
    return decode(data, header, (header.width, header.height))


def broken(name: bytes, content: bytes) -> bytes:
    """A chunk with a wrong check sum."""
    return struct.pack(">I", len(content)) + name + content + b"\1\2\3\4"


BESIDE = {
    "gAMA, short": chunk(b"gAMA", b"\0"),
    "cHRM, short": chunk(b"cHRM", bytes(7)),
    "pHYs, check sum": broken(b"pHYs", bytes(9)),
    "gAMA, check sum": broken(b"gAMA", struct.pack(">I", 100_000)),
    "private, check sum": broken(b"prVt", bytes(30)),
    "private, length": struct.pack(">I", 9) + chunk(b"prVt", bytes(30))[4:],
    "private, beyond the end": struct.pack(">I", 1 << 30) + chunk(b"prVt", bytes(30))[4:],
    "tRNS of another kind": chunk(b"tRNS", b"\0\1"),
    "animation, check sum": broken(b"acTL", bytes(8)),
    "packed text": chunk(b"zTXt", b"k\0\0" + zlib.compress(MB * 2)),
    "packed XMP": chunk(b"iTXt", png.XMP + b"\1\0\0\0" + zlib.compress(MB * 2)),
    "text packed in another way": chunk(b"zTXt", b"k\0\5" + zlib.compress(b"text")),
    "many packed texts": chunk(b"zTXt", b"k\0\0" + zlib.compress(MB[: 1 << 19])) * 200,
    "long text": chunk(b"tEXt", b"k\0" + MB * 70),
    "broken profile": chunk(b"iCCP", b"p\0\7" + zlib.compress(MB)),
}


@pytest.mark.parametrize("what", BESIDE)
@pytest.mark.parametrize("has_alpha", [False, True])
def test_what_is_not_pixels_costs_no_pixels(what: str, has_alpha: bool) -> None:
    rows = b"".join(b"\0" + np.dstack([row, np.full(WIDTH, 9, np.uint8)]).tobytes() for row in RGB[:, None])
    idat = chunk(b"IDAT", zlib.compress(rows)) if has_alpha else IDAT
    for data in (
        head(6 if has_alpha else 2) + BESIDE[what] + idat + IEND,
        head(6 if has_alpha else 2) + idat + BESIDE[what] + IEND,
    ):
        assert np.array_equal(decoded(data)[:, :, 2::-1], RGB)
        assert probe(data).icc_profile is None


def test_sound_png_is_left_alone() -> None:
    data = head() + chunk(b"gAMA", struct.pack(">I", 45_455)) + chunk(b"tEXt", b"k\0text") + chunk(b"prVt", b"x") + IDAT + IEND
    assert png.sound(data) is data


def test_profile_of_more_than_a_megabyte_is_kept_and_one_beyond_the_bound_is_not() -> None:
    for size, is_kept in ((1_500_000, True), (png.MOST_PROFILE + 1, False)):
        profile = struct.pack(">I", size) + bytes(12) + b"RGB " + bytes(size - 20)
        data = head() + chunk(b"iCCP", b"p\0\0" + zlib.compress(profile)) + IDAT + IEND
        assert probe(data).icc_profile == (profile if is_kept else None)
        assert np.array_equal(decoded(data)[:, :, ::-1], RGB)


def test_packed_xmp_of_some_kilobytes_is_kept() -> None:
    noise = "".join(map(chr, np.random.default_rng(0).integers(97, 123, 3000)))
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="{noise}"/></rdf:RDF></x:xmpmeta>'
    )
    data = head() + chunk(b"iTXt", png.XMP + b"\1\0\0\0" + zlib.compress(xmp.encode())) + broken(b"pHYs", bytes(9)) + IDAT + IEND
    assert noise.encode() in kept_metadata(data, "PNG", KEEP_ALL).xmp


def test_very_many_broken_chunks_cost_no_time() -> None:
    junk = struct.pack(">I", 5) + b"prVt" + bytes(30)
    profile = chunk(b"iCCP", b"p\0\0" + zlib.compress(MB * 2))
    for parts in (junk * 20_000, (struct.pack(">I", 1 << 29) + b"IDAT") * 200_000, profile * 5000):
        start = time.perf_counter()
        png.sound(head() + broken(b"prVt", b"") + parts + IDAT + IEND)
        assert time.perf_counter() - start < 2


def test_pixels_whose_own_check_sum_is_right_are_whole() -> None:
    for data in (head() + IDAT[:-4] + b"\1\2\3\4" + IEND, head() + IDAT, head() + IDAT + IEND[:-2]):
        assert np.array_equal(decoded(data)[:, :, ::-1], RGB)


@pytest.mark.parametrize(
    "packed",
    [zlib.compress(ROWS)[:-4] + b"\1\2\3\4", zlib.compress(ROWS)[:-9], zlib.compress(ROWS[:-80]), zlib.compress(b"")],
    ids=["check sum", "cut off", "rows missing", "empty"],
)
def test_pixels_that_are_damaged_or_missing_are_an_error(packed: bytes) -> None:
    data = head() + broken(b"IDAT", packed)
    with pytest.raises(PhotoError, match="truncated or damaged"):
        decoded(data)
    assert png.revived(data) is None


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_transparent_shade_of_few_bits_is_transparent(depth: int) -> None:
    shades = np.random.default_rng(0).integers(0, 1 << depth, (HEIGHT, WIDTH), np.uint8)
    bits = np.unpackbits(shades[:, :, None], axis=2)[:, :, 8 - depth :].reshape(HEIGHT, -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(bits, axis=1))
    data = head(0, depth) + chunk(b"tRNS", b"\0\1") + chunk(b"IDAT", zlib.compress(rows)) + IEND
    pixels = decoded(data)
    assert np.array_equal(pixels[:, :, 3] == 0, shades == 1)
    assert np.array_equal(pixels[:, :, 0][shades != 1], (shades * (255 // ((1 << depth) - 1)))[shades != 1])


def apng(size: tuple[int, int], at: tuple[int, int]) -> bytes:
    """An animation whose still picture is none of its frames, and whose first frame shows the photo's corner, inverted."""
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in 255 - RGB[: size[1], : size[0]]))
    control = struct.pack(">IIIIIHHBB", 0, *size, *at, 1, 10, 0, 0)
    last = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0))
    frames = chunk(b"fcTL", control) + chunk(b"fdAT", struct.pack(">I", 1) + rows) + last
    return (
        head()
        + chunk(b"acTL", struct.pack(">II", 2, 0))
        + IDAT
        + frames
        + chunk(b"fdAT", struct.pack(">I", 3) + IDAT[8:-4])
        + IEND
    )


def test_animation_is_shown_and_not_the_still_picture_beside_it() -> None:
    assert np.array_equal(decoded(apng((WIDTH, HEIGHT), (0, 0)))[:, :, ::-1], 255 - RGB)


def test_frame_of_an_animation_is_clear_around() -> None:
    pixels = decoded(apng((10, 8), (5, 4)))
    assert np.array_equal(pixels[4:12, 5:15, 2::-1], 255 - RGB[:8, :10])
    assert pixels[:, :, 3].sum() == 255 * 80
    assert probe(apng((10, 8), (5, 4))).has_alpha


def test_still_picture_is_shown_where_the_animation_is_broken() -> None:
    for data in (apng((WIDTH, HEIGHT), (3, 0)), apng((WIDTH, HEIGHT), (0, 0)).replace(b"fdAT\0\0\0\1x", b"fdAT\0\0\0\1z")):
        assert np.array_equal(decoded(data)[:, :, 2::-1], RGB)
