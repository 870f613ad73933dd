"""TIFFs of every layout of channels that is read, against what was written; and what is not read, by name."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from packings import tiff_of
from PIL import Image, ImageCms

from cropper import PhotoError
from cropper.imaging.containers import tiff
from cropper.imaging.decode import decode
from cropper.imaging.header import probe

WIDTH, HEIGHT = 48, 36
y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
RGB = np.dstack([x * 5, y * 7, 128 + 100 * np.sin(x / 9) * np.cos(y / 7)]).astype(np.uint8)
GREY = RGB[:, :, :1]
ALPHA = np.full((HEIGHT, WIDTH, 1), 200, np.uint8)
GREY_ALPHA, RGB_ALPHA = np.dstack([GREY, ALPHA]), np.dstack([RGB, ALPHA])
INKS_ALPHA = np.dstack([255 - RGB, np.zeros_like(GREY), ALPHA])
TO_LAB = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
LAB: NDArray[np.uint8] = np.frombuffer(
    ImageCms.applyTransform(Image.fromarray(RGB), TO_LAB).tobytes("raw", "LAB"),  # type: ignore[union-attr]
    np.uint8,
).reshape(RGB.shape)
LAB_DEEP = LAB.astype(np.uint16) * [257, 256, 256]


def deep(pixels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return pixels.astype(np.uint16) * np.uint16(257)


def tags_of(pixels: NDArray[Any], kind: int, **more: int) -> dict[int, tuple[int, list[int]]]:
    channels = pixels.shape[2]
    tags = {256: [WIDTH], 257: [HEIGHT], 258: [pixels.itemsize * 8] * channels, 259: [1], 262: [kind], 277: [channels], 284: [1]}
    tags |= {int(tag.lstrip("t")): [value] * (channels if tag == "t339" else 1) for tag, value in more.items()}
    return {tag: (3, values) for tag, values in tags.items()}


def file(pixels: NDArray[Any], kind: int, rows: int = 16, **more: int) -> bytes:
    """A little-endian TIFF in strips, or tiles of 16 pixels, with more tags, ``t338=2``."""
    planes = [pixels[:, :, [i]] for i in range(pixels.shape[2])] if more.get("t284") == 2 else [pixels]
    pieces = []
    for plane in planes:
        for top in range(0, HEIGHT, rows):
            for left in range(0, WIDTH, 16 if "t322" in more else WIDTH):
                piece = plane[top : top + rows, left : left + (16 if "t322" in more else WIDTH)]
                if "t322" in more:
                    piece = np.pad(piece, ((0, 16 - len(piece)), (0, 0), (0, 0)))
                if more.get("t317") == 2:
                    piece = np.concatenate([piece[:, :1], np.diff(piece, axis=1)], axis=1)
                pieces.append(zlib.compress(piece.tobytes()) if more.get("t259") == 8 else piece.tobytes())
    tags = tags_of(pixels, kind, **more)
    if "t322" in more:
        return tiff_of(tags, pieces, 324, 325)
    return tiff_of({**tags, 278: (3, [rows])}, pieces, 273, 279)


def big_endian(pixels: NDArray[Any], kind: int, is_big: bool, **more: int) -> bytes:
    """A big-endian TIFF or BigTIFF of one strip."""
    data = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    data += bytes(len(data) % 2)
    start = 16 if is_big else 8
    tags = {**tags_of(pixels, kind, **more), 278: (3, [HEIGHT]), 273: (4, [start]), 279: (4, [len(data)])}
    directory, outside, room = b"", b"", 8 if is_big else 4
    behind = start + len(data) + (16 + 20 * len(tags) if is_big else 6 + 12 * len(tags))
    for tag, (form, values) in sorted(tags.items()):
        packed = struct.pack(f">{len(values)}{'H' if form == 3 else 'I'}", *values)
        directory += struct.pack(">HHQ" if is_big else ">HHI", tag, form, len(values))
        is_inside = len(packed) <= room
        directory += packed.ljust(room, b"\0") if is_inside else struct.pack(">Q" if is_big else ">I", behind + len(outside))
        outside += b"" if is_inside else packed
    at = start + len(data)
    head = struct.pack(">2sHHHQ", b"MM", 43, 8, 0, at) if is_big else struct.pack(">2sHI", b"MM", 42, at)
    return head + data + struct.pack(">Q" if is_big else ">H", len(tags)) + directory + bytes(room) + outside


def decoded(data: bytes) -> NDArray[np.uint8]:
    header = probe(data)
    pixels = decode(data, header, (header.width, header.height))
    assert header.has_alpha == (pixels.shape[2] == 4)
    return pixels


READ = {
    "grey and alpha": (file(deep(GREY_ALPHA), 1, t338=2), GREY_ALPHA),
    "grey and alpha, differences": (file(deep(GREY_ALPHA), 1, t338=2, t259=8, t317=2), GREY_ALPHA),
    "grey and alpha, tiles": (file(deep(GREY_ALPHA), 1, t338=2, t259=8, t317=2, t322=16, t323=16), GREY_ALPHA),
    "grey and alpha, planes": (file(deep(GREY_ALPHA), 1, t338=2, t284=2), GREY_ALPHA),
    "grey and alpha, white is 0": (file(np.dstack([65535 - deep(GREY), deep(ALPHA)]), 0, t338=2), GREY_ALPHA),
    "grey and alpha, big-endian": (big_endian(deep(GREY_ALPHA), 1, False, t338=2), GREY_ALPHA),
    "colours, big-endian BigTIFF": (big_endian(deep(RGB), 2, True), RGB),
    "colours of 8 bits, big-endian BigTIFF": (big_endian(RGB, 2, True), RGB),
    "colours and alpha, big-endian BigTIFF": (big_endian(deep(RGB_ALPHA), 2, True, t338=2), RGB_ALPHA),
    "colours and alpha, planes": (file(deep(RGB_ALPHA), 2, t338=2, t284=2), RGB_ALPHA),
}


@pytest.mark.parametrize("kind", READ)
def test_channels_come_back_to_the_bit(kind: str) -> None:
    data, expected = READ[kind]
    pixels = decoded(data)
    if expected.shape[2] == 2:
        assert probe(data).is_grey
        expected = np.dstack([expected[:, :, :1]] * 3 + [expected[:, :, 1:]])
    order = [2, 1, 0, 3][: expected.shape[2]]
    assert np.array_equal(pixels[:, :, order], expected)


def test_premultiplied_colours_are_divided() -> None:
    share = np.dstack([(deep(GREY) * (200 / 255)).round().astype(np.uint16), deep(ALPHA)])
    assert np.abs(decoded(file(share, 1, t338=1))[:, :, :1].astype(int) - GREY).max() <= 1


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_rare_layouts_are_turned_upright(orientation: int) -> None:
    stored = np.rot90(GREY_ALPHA, 2) if orientation == 3 else GREY_ALPHA
    pixels = decoded(file(np.ascontiguousarray(deep(stored)), 1, t338=2, t274=orientation))
    assert np.array_equal(pixels[:, :, 0], np.rot90(GREY[:, :, 0], -1) if orientation == 6 else GREY[:, :, 0])


@pytest.mark.parametrize(
    "data",
    [
        file(LAB, 8),
        file(LAB_DEEP.astype(np.uint16), 8),
        file(LAB, 8, t259=8, t317=2),
        file(LAB_DEEP.astype(np.uint16), 8, t284=2),
        file(LAB ^ np.array([0, 128, 128], np.uint8), 9),
    ],
    ids=["8 bits", "16 bits", "differences", "planes", "as in ICC"],
)
def test_cielab_is_shown_in_srgb(data: bytes) -> None:
    assert np.abs(decoded(data)[:, :, ::-1].astype(int) - RGB).mean() < 1.5  # 8 bits of CIELAB are coarse in deep blue
    assert probe(data).icc_profile is None


@pytest.mark.parametrize("is_deep", [False, True])
def test_inks_with_alpha_are_read(is_deep: bool) -> None:
    pixels = decoded(file(deep(INKS_ALPHA) if is_deep else INKS_ALPHA, 5, t338=2))
    plain = decoded(file(INKS_ALPHA[:, :, :4], 5))
    assert np.array_equal(pixels[:, :, :3], plain)
    assert np.array_equal(pixels[:, :, 3:], ALPHA)


@pytest.mark.parametrize("compression", ["zstd", "lzma"])
@pytest.mark.parametrize("bits", [8, 16])
def test_compressions_that_opencv_lacks_are_read(compression: str, bits: int) -> None:
    stream = io.BytesIO()
    Image.fromarray(deep(GREY)[:, :, 0] if bits == 16 else GREY[:, :, 0]).save(stream, "TIFF", compression=compression)
    assert np.array_equal(decoded(stream.getvalue())[:, :, :1], GREY)
    with pytest.raises(PhotoError, match=r"truncated|not an image"):
        decoded(stream.getvalue()[: len(stream.getvalue()) * 2 // 3])


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_of_few_bits_is_read(bits: int) -> None:
    shades = np.asarray(GREY[:, :, 0] >> (8 - bits), np.uint8)
    packed = np.packbits(np.unpackbits(shades[:, :, None], axis=2)[:, :, 8 - bits :].reshape(HEIGHT, -1), axis=1)
    tags = {256: [WIDTH], 257: [HEIGHT], 258: [bits], 259: [1], 262: [1], 277: [1], 278: [HEIGHT]}
    data = tiff_of({tag: (3, values) for tag, values in tags.items()}, [packed.tobytes()], 273, 279)
    assert np.array_equal(decoded(data)[:, :, 0], shades * (255 // ((1 << bits) - 1)))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_rows_that_are_missing_are_an_error(share: float) -> None:
    whole = file(deep(GREY_ALPHA), 1, t338=2)
    with pytest.raises(PhotoError, match="truncated or damaged"):
        decoded(whole[: int(len(whole) * share)])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (file(RGB, 2, t259=34712), r"its compression \(JPEG 2000\) is not one that cropper reads; save it with LZW or Deflate"),
        (file(RGB, 2, t259=777), r"its compression \(number 777\) is not one"),
        (file(RGB.astype(np.float32), 2, t339=3), "32 bits per channel; save it with 8 or 16"),
        (file(RGB.astype(np.uint32), 2), "32 bits per channel; save it with 8 or 16"),
        (file(RGB.astype(np.float16), 2, t339=3), "floating-point"),
        (file(deep(GREY), 1, t339=2), "signed"),
        (file(RGB, 2, t258=4), "stored in a way that cropper does not read"),
    ],
    ids=["JPEG 2000", "unknown", "float", "32 bits", "half", "signed", "4 bits"],
)
def test_what_is_not_supported_is_said_and_not_called_damaged(data: bytes, said: str) -> None:
    with pytest.raises(PhotoError, match=said) as caught:
        decoded(data)
    assert "copy" not in caught.value.remedy


def test_directory_that_breaks_off_or_lies_is_no_layout() -> None:
    data = file(deep(GREY_ALPHA), 1, t338=2)
    assert tiff.layout_of(data[:40]) is None
    assert tiff.layout_of(b"II*\0" + bytes(4)) is None
    assert tiff.layout_of(b"\x89PNG" + bytes(40)) is None
