"""Photos of every kind, made here or real ones, against what is known of their pixels or what Pillow makes of them."""

from __future__ import annotations

import io
import math
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from colour import SPACES, profile_of
from fixtures import OUTPUTS, imread
from hostile import chunk
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngInfo

from cropper import PhotoError
from cropper.geometry import Box, thumbnail_size
from cropper.image_formats import PHOTO_EXTENSIONS, QUALITY
from cropper.imaging.decode import decode, decode_or_salvage
from cropper.imaging.encode import encode
from cropper.imaging.header import Header, probe
from cropper.imaging.resize import on_white, render, resized
from cropper.settings import LIMITS, Limits

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of files that are broken on purpose

WIDTH, HEIGHT = 60, 44
SAMPLES = sorted(p for p in (Path(__file__).parents[2] / "sample_images").rglob("*") if p.suffix in PHOTO_EXTENSIONS)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def scene() -> np.ndarray:
    """uint8 [44, 60, 3] RGB: smooth, so that JPEG keeps it, and like itself in no mirror."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    rgb = np.stack([x * 255 / (WIDTH - 1), y * 255 / (HEIGHT - 1), 128 + 100 * np.sin(x / 9) * np.cos(y / 7)], -1)
    return rgb.round().astype(np.uint8)


RGB = scene()
BGR = RGB[:, :, ::-1]
ALPHA = np.tile(np.linspace(0, 255, WIDTH).round().astype(np.uint8), (HEIGHT, 1))
BGRA = np.dstack([BGR, ALPHA])


def image(mode: str = "RGB") -> Image.Image:
    full = Image.fromarray(np.dstack([RGB, ALPHA]))
    return full.convert(mode) if mode in ("RGBA", "LA") else full.convert("RGB").convert(mode)


def file(picture: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **({"speed": 10} if format == "AVIF" else {}), **options)
    return stream.getvalue()


def cv_file(extension: str, pixels: np.ndarray) -> bytes:
    done, data = cv2.imencode(extension, pixels)
    assert done
    return data.tobytes()


def decoded(data: bytes) -> np.ndarray:
    header = probe(data)
    pixels = decode(data, header, (header.width, header.height))
    assert pixels.dtype == np.uint8
    assert (pixels.shape[1], pixels.shape[0]) == (header.width, header.height)
    return pixels


def by_pillow(data: bytes) -> np.ndarray:
    """BGR or BGRA of the first frame, upright: the other opinion."""
    with Image.open(io.BytesIO(data)) as opened:
        upright = ImageOps.exif_transpose(opened)
        has_alpha = upright.mode in ("RGBA", "LA") or "transparency" in upright.info
        pixels = np.asarray(upright.convert("RGBA" if has_alpha else "RGB"))
    return pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]]


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The mean absolute difference, after the shapes were found equal."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


def header_of(**changes: Any) -> Header:
    return replace(probe(file(image(), "PNG")), **changes)


# Reading ----------------------------------------------------------------------------------------------------------------------

GREY = np.asarray(image("L"))
PALETTE = image().quantize(64)
DEEP = RGB.astype(np.uint16) * 256 + 77  # their upper byte is the scene

# What loses nothing, and so must come back to the bit.
EXACT = {
    "PNG": file(image(), "PNG"),
    "PNG of 16 bits": cv_file(".png", DEEP[:, :, ::-1]),
    "animated PNG": file(image(), "PNG", save_all=True, append_images=[ImageOps.invert(image())]),
    "WebP, lossless": file(image(), "WEBP", lossless=True),
    "animated WebP": file(image(), "WEBP", lossless=True, save_all=True, append_images=[ImageOps.invert(image())]),
    "TIFF": file(image(), "TIFF"),
    "TIFF, LZW": file(image(), "TIFF", compression="tiff_lzw"),
    "TIFF, Deflate": file(image(), "TIFF", compression="tiff_adobe_deflate"),
    "TIFF of two pages": file(image(), "TIFF", save_all=True, append_images=[ImageOps.invert(image())]),
    "BMP": file(image(), "BMP"),
}
EXACT_GREY = {
    "PNG": file(image("L"), "PNG"),
    "PNG of 16 bits": file(Image.fromarray(GREY.astype(np.uint16) * 256 + 77), "PNG"),
    "TIFF": file(image("L"), "TIFF"),
    "TIFF of 16 bits": file(Image.fromarray(GREY.astype(np.uint16) * 256 + 77), "TIFF"),
    "BMP": file(image("L"), "BMP"),
}
EXACT_ALPHA = {
    "PNG": file(image("RGBA"), "PNG"),
    "PNG of 16 bits": cv_file(".png", BGRA.astype(np.uint16) * 256 + 77),
    "animated PNG": file(image("RGBA"), "PNG", save_all=True, append_images=[ImageOps.mirror(image("RGBA"))]),
    "WebP, lossless": file(image("RGBA"), "WEBP", lossless=True, exact=True),
    "TIFF": file(image("RGBA"), "TIFF"),
    "TIFF, LZW": file(image("RGBA"), "TIFF", compression="tiff_lzw"),
    "TIFF of 16 bits": cv_file(".tiff", BGRA.astype(np.uint16) * 256 + 77),
}
# What loses a little, or has colours of its own: as Pillow decodes it, give or take a rounding.
LIKE_PILLOW = {
    "JPEG": file(image(), "JPEG", quality=90),
    "JPEG, progressive": file(image(), "JPEG", quality=90, progressive=True),
    "JPEG, grey": file(image("L"), "JPEG", quality=90),
    "MPO": file(image(), "MPO", quality=90, save_all=True, append_images=[ImageOps.invert(image())]),
    "PNG, palette": file(PALETTE, "PNG"),
    "PNG, palette of four": file(image().quantize(4), "PNG", bits=2),
    "PNG, one bit": file(image("1"), "PNG"),
    "PNG, palette with alpha": file(PALETTE, "PNG", transparency=bytes([0, 128] + [255] * 62)),
    "PNG, palette with a transparent colour": file(PALETTE, "PNG", transparency=3),
    "PNG with a transparent colour": file(image(), "PNG", transparency=tuple(int(c) for c in RGB[5, 5])),
    "PNG, grey with a transparent shade": file(image("L"), "PNG", transparency=80),
    "PNG, one bit with a transparent shade": file(image("1"), "PNG", transparency=0),
    "PNG, grey with alpha": file(image("LA"), "PNG"),
    "WebP": file(image(), "WEBP", quality=90),
    "WebP with alpha": file(image("RGBA"), "WEBP", quality=90),
    "AVIF": file(image(), "AVIF", quality=90),
    "AVIF with alpha": file(image("RGBA"), "AVIF", quality=90),
    "AVIF, grey": file(image("L"), "AVIF", quality=90),
    "animated AVIF": file(image(), "AVIF", quality=90, save_all=True, append_images=[ImageOps.invert(image())]),
    "TIFF, JPEG inside": file(image(), "TIFF", compression="jpeg", quality=90),
    "TIFF, palette": file(PALETTE, "TIFF"),
    "TIFF, fax": file(image("1"), "TIFF", compression="group4"),
    "TIFF, grey with alpha": file(image("LA"), "TIFF"),
    "BMP, palette": file(PALETTE, "BMP"),
    "GIF": file(PALETTE, "GIF"),
    "GIF with a transparent colour": file(PALETTE, "GIF", transparency=3),
    "animated GIF": file(PALETTE, "GIF", save_all=True, append_images=[ImageOps.invert(image()).quantize(64)]),
}


@pytest.mark.parametrize("kind", EXACT)
def test_lossless_photo_comes_back_to_the_bit(kind: str) -> None:
    assert np.array_equal(decoded(EXACT[kind]), BGR)


@pytest.mark.parametrize("kind", EXACT_GREY)
def test_grey_photo_comes_back_to_the_bit_in_three_channels(kind: str) -> None:
    assert probe(EXACT_GREY[kind]).is_grey
    assert np.array_equal(decoded(EXACT_GREY[kind]), np.dstack([GREY] * 3))


@pytest.mark.parametrize("kind", EXACT_ALPHA)
def test_photo_with_alpha_comes_back_to_the_bit(kind: str) -> None:
    assert np.array_equal(decoded(EXACT_ALPHA[kind]), BGRA)


def test_transparent_shade_of_16_bits_is_transparent_and_no_other() -> None:
    shade = int(GREY[5, 5]) * 256 + 77
    deep = GREY.astype(np.uint16) * 256 + 77
    deep[0, 0] = shade + 1  # the same in 8 bits
    data = file(Image.fromarray(deep), "PNG", transparency=shade)
    header = probe(data)
    assert header.has_alpha
    assert header.is_grey
    pixels = decoded(data)
    assert np.array_equal(pixels[:, :, 3], np.where(deep == shade, 0, 255))
    assert np.array_equal(pixels[:, :, 0], deep >> 8)
    assert pixels[5, 5, 3] == 0


def test_tiff_of_16_bits_comes_back_to_a_rounding() -> None:
    assert np.abs(decoded(cv_file(".tiff", DEEP[:, :, ::-1])).astype(int) - BGR).max() <= 1


@pytest.mark.parametrize("kind", LIKE_PILLOW)
def test_photo_looks_as_pillow_sees_it(kind: str) -> None:
    ours, theirs = decoded(LIKE_PILLOW[kind]), by_pillow(LIKE_PILLOW[kind])
    assert ours.shape == theirs.shape
    if ours.shape[2] == 4:  # the colour of what is fully transparent is nobody's
        assert np.array_equal(ours[:, :, 3], theirs[:, :, 3])
        assert not np.all(ours[:, :, 3] == 255)
        ours, theirs = on_white(ours), on_white(theirs)
    assert np.abs(ours.astype(int) - theirs).max() <= 1


# How an upright scene is stored so that its orientation tag puts it right.
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(
    ("format", "channels", "options"),
    [
        ("JPEG", 3, {"quality": 98, "subsampling": 0}),
        ("PNG", 3, {}),
        ("PNG", 4, {}),
        ("WEBP", 3, {"lossless": True}),
        ("WEBP", 4, {"lossless": True, "exact": True}),
        ("AVIF", 3, {"quality": 100, "subsampling": "4:4:4"}),
        ("AVIF", 4, {"quality": 100, "subsampling": "4:4:4"}),
        ("TIFF", 3, {}),
        ("TIFF", 4, {}),
        ("TIFF", 3, {"compression": "tiff_lzw"}),
        ("TIFF", 4, {"compression": "tiff_lzw"}),
    ],
)
def test_every_orientation_is_put_upright(format: str, channels: int, options: dict[str, Any], orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.dstack([RGB, ALPHA])[:, :, :channels])))
    if format == "TIFF":
        data = file(stored, format, tiffinfo={274: orientation}, **options)
    else:
        exif = Image.Exif()
        exif[274] = orientation
        data = file(stored, format, exif=exif, **options)
    header = probe(data)
    assert (header.width, header.height) == (WIDTH, HEIGHT)
    assert difference(decoded(data), BGRA[:, :, :channels]) < 1


@pytest.mark.parametrize("exif", [b"Exif\0\0" + b"\xff" * 40, b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"garbage", b"Exif\0\0"])
def test_broken_exif_leaves_the_photo_as_it_is_stored(exif: bytes) -> None:
    assert difference(decoded(file(image(), "JPEG", quality=98, subsampling=0, exif=exif)), BGR) < 1


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientation_without_a_meaning_is_none(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    assert probe(file(image(), "PNG", exif=exif)).orientation == 1


def test_orientation_is_not_taken_from_xmp() -> None:
    """Browsers and viewers do not heed it there either."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert probe(file(image(), "JPEG", xmp=xmp)).orientation == 1


def test_header_is_read_without_the_pixels() -> None:
    data = file(image("RGBA"), "PNG", icc_profile=SRGB)
    assert probe(data[: data.index(b"IDAT") + 4]) == probe(data)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_sample_photo_is_decoded_upright(path: Path) -> None:
    data = path.read_bytes()
    header = probe(data)
    pixels = decode(data, header, (120, 80))
    theirs = by_pillow(data)
    assert (theirs.shape[1], theirs.shape[0]) == (header.width, header.height)
    small: NDArray[Any] = cv2.resize(theirs, (pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_AREA)
    assert difference(on_white(pixels), on_white(small)) < 6


@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    needed_width=st.integers(1, 300),
    needed_height=st.integers(1, 300),
    orientation=st.integers(1, 8),
    mode=st.sampled_from(["RGB", "L", "CMYK"]),
)
@settings(deadline=None)
def test_jpeg_is_decoded_at_the_smallest_scale_that_suffices(
    width: int, height: int, needed_width: int, needed_height: int, orientation: int, mode: str
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    data = file(Image.new(mode, (width, height)), "JPEG", exif=exif)
    header = probe(data)
    pixels = decode(data, header, (needed_width, needed_height))
    sizes = [(math.ceil(header.width / scale), math.ceil(header.height / scale)) for scale in (8, 4, 2, 1)]
    enough = (size for size in sizes if size[0] >= needed_width and size[1] >= needed_height)
    size = next(enough, (header.width, header.height))
    if mode == "CMYK":  # decoded by Pillow, which at times takes the next larger scale
        assert pixels.shape[1] >= size[0]
        assert pixels.shape[0] >= size[1]
        return
    assert 0 <= pixels.shape[1] - size[0] <= (header.width % 8 > 0)  # one more where the decoder's last lies beyond the photo
    assert 0 <= pixels.shape[0] - size[1] <= (header.height % 8 > 0)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_scaled_jpeg_is_the_whole_photo_smaller(scale: int) -> None:
    large = cv2.resize(BGR, (803, 597), interpolation=cv2.INTER_CUBIC)
    data = file(Image.fromarray(np.ascontiguousarray(large[:, :, ::-1])), "JPEG", quality=95)
    pixels = decode(data, probe(data), (803 // scale, 597 // scale))
    assert pixels.shape[0] == math.ceil(597 / scale) + 1
    assert difference(pixels, cv2.resize(large, (pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_AREA)) < 2


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (5000, 500), (400, 4000)])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF"])
def test_small_photos_and_panoramas_are_read(format: str, size: tuple[int, int]) -> None:
    data = file(Image.new("RGB", size, (200, 10, 10)), format)
    header = probe(data)
    assert (header.width, header.height) == size
    pixels = decode(data, header, (1, 1))
    assert np.abs(pixels.astype(int) - [10, 10, 200]).max() <= 4


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [(649, 441), (655, 447)])
def test_photo_decoded_smaller_covers_the_same_turned_and_not(samples: Path, scale: int, size: tuple[int, int]) -> None:
    """Of sides that are no multiple of the scale the last pixels lie beyond the photo, on the other side when it is turned."""
    with Image.open(samples / "fig.jpg") as opened:
        upright = np.asarray(opened.convert("RGB").resize(size))
    needed = math.ceil(size[0] / scale), math.ceil(size[1] / scale)
    for orientation, turn in STORED.items():
        exif = Image.Exif()
        exif[274] = orientation
        data = file(Image.fromarray(np.ascontiguousarray(turn(upright))), "JPEG", quality=98, subsampling=0, exif=exif)
        pixels = decode(data, probe(data), needed)
        expected = cv2.resize(upright[:, :, ::-1], pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert difference(pixels, expected) < 2.5


def test_first_photo_of_an_mpo_is_decoded_scaled_too() -> None:
    large = Image.new("RGB", (640, 480))
    data = file(large, "MPO", save_all=True, append_images=[large])
    assert decode(data, probe(data), (80, 60)).shape == (60, 80, 3)


def test_24_megapixels_are_decoded_at_an_eighth() -> None:
    data = file(Image.new("RGB", (6000, 4000), (200, 10, 10)), "JPEG")
    assert decode(data, probe(data), (640, 360)).shape == (500, 750, 3)


def animated_png(first: bytes, frame: tuple[int, int]) -> bytes:
    """An animated PNG of 64 x 48: the packed data of its first picture, and the size that the animation gives this picture."""

    def control(number: int, size: tuple[int, int]) -> bytes:
        return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, *size, 0, 0, 1, 10, 0, 0))

    rows = zlib.compress(b"".join(b"\0" + bytes([y, 100, 200]) * 64 for y in range(48)))
    parts = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0)),
        chunk(b"acTL", struct.pack(">II", 2, 0)),
        control(0, frame) + chunk(b"IDAT", first),
        control(1, (64, 48)) + chunk(b"fdAT", struct.pack(">I", 2) + rows),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


PICTURE = b"".join(b"\0" + bytes([200, 100, y]) * 64 for y in range(48))


@pytest.mark.parametrize("frame", [(64, 48), (32, 24)])
@pytest.mark.parametrize(
    "first",
    [
        zlib.compress(PICTURE[: len(PICTURE) // 2]),
        zlib.compress(PICTURE)[:-20],
        zlib.compress(PICTURE)[:40] + b"\xff" * 40,
        zlib.compress(b""),
    ],
    ids=["ends early", "cut off", "garbled", "empty"],
)
def test_animated_png_shows_no_memory_that_nobody_wrote(first: bytes, frame: tuple[int, int]) -> None:
    """OpenCV composes the animation in memory that it does not clear: what is missing there may be another photo."""
    data = animated_png(first, frame)
    with pytest.raises(PhotoError, match="truncated or damaged"):
        decode(data, probe(data), (64, 48))


@pytest.mark.parametrize("frame", [(64, 48), (32, 24)])
def test_animated_png_gives_its_first_picture(frame: tuple[int, int]) -> None:
    data = animated_png(zlib.compress(PICTURE), frame)
    pixels = decode(data, probe(data), (64, 48))
    np.testing.assert_array_equal(pixels[:, :, ::-1], np.frombuffer(PICTURE, np.uint8).reshape(48, 193)[:, 1:].reshape(48, 64, 3))


def cmyk_profile() -> bytes:
    """A small CMYK printer whose cyan ink prints red, so that heeding the profile shows."""
    white, red, black = (255, 128, 128), (136, 208, 195), (0, 128, 128)  # Lab as lut8 has it: L*2.55, a+128, b+128
    grid = [(black if k or m or y else red if c else white) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    ramp = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + bytes(sum(grid, ())) + ramp * 3
    lut += bytes(-len(lut) % 4)
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(lut))
    head = struct.pack(">I4sI4s4s4s", 144 + len(lut), b"test", 0x02400000, b"prtr", b"CMYK", b"Lab ") + bytes(12) + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + tags + lut


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_cmyk_photo_is_seen_as_its_profile_says(format: str, orientation: int) -> None:
    inks = Image.new("CMYK", (80, 160), (255, 0, 0, 0))
    inks.paste((0, 0, 0, 0), (0, 0, 80, 80))
    exif = Image.Exif()
    exif[274] = orientation
    data = file(inks, format, icc_profile=cmyk_profile(), **({"quality": 100} if format == "JPEG" else {}), exif=exif)
    header = probe(data)
    pixels = decode(data, header, (header.width // 2, header.height // 2))
    if format == "JPEG":
        assert max(pixels.shape[:2]) == 80
    white, printed = (pixels[5, -6], pixels[-6, 5]) if orientation == 6 else (pixels[5, 5], pixels[-6, -6])
    assert white.min() > 240
    assert printed[2] > 200
    assert printed[:2].max() < 80
    assert b"ICC_PROFILE" not in encode(pixels, header, "jpg")


def test_cmyk_photo_with_a_broken_profile_is_read_without_it() -> None:
    profile = b"\0" * 16 + b"CMYK" + b"\0" * 200
    broken, plain = (file(image("CMYK"), "JPEG", icc_profile=icc_profile) for icc_profile in (profile, None))
    assert np.array_equal(decoded(broken), decoded(plain))


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("inks", "rgb"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((255, 0, 0, 0), (0, 160, 225)),
        ((0, 255, 0, 0), (235, 30, 132)),
        ((0, 0, 255, 0), (255, 240, 0)),
        ((0, 0, 0, 255), (45, 35, 40)),
    ],
)
def test_cmyk_photo_without_a_profile_is_seen_as_on_coated_paper(
    format: str, inks: tuple[int, int, int, int], rgb: tuple[int, int, int]
) -> None:
    data = file(Image.new("CMYK", (32, 32), inks), format, **({"quality": 100} if format == "JPEG" else {}))
    assert np.abs(decoded(data)[5, 5, ::-1].astype(int) - rgb).max() <= (15 if any(inks) else 0)


# What cannot be read ----------------------------------------------------------------------------------------------------------

WHOLE = {
    **{f"{kind}, exact": EXACT[kind] for kind in ("PNG", "WebP, lossless", "TIFF", "TIFF, LZW", "BMP")},
    **{f"{kind} with alpha": EXACT_ALPHA[kind] for kind in ("PNG", "WebP, lossless", "TIFF")},
    "JPEG, CMYK without a profile": file(image("CMYK"), "JPEG", quality=90),
    **{kind: LIKE_PILLOW[kind] for kind in ("JPEG", "JPEG, progressive", "WebP", "AVIF", "AVIF with alpha", "GIF")},
    "JPEG, CMYK with a profile": file(image("CMYK"), "JPEG", icc_profile=cmyk_profile()),
    "GIF with alpha": LIKE_PILLOW["GIF with a transparent colour"],
}


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", WHOLE)
def test_truncated_photo_is_an_error(kind: str, share: float) -> None:
    decoded(WHOLE[kind])
    with pytest.raises(PhotoError, match=r"truncated|not an image") as caught:
        decoded(WHOLE[kind][: int(len(WHOLE[kind]) * share)])
    assert caught.value.remedy


def test_jpeg_that_lacks_its_last_bytes_is_an_error_at_every_scale() -> None:
    data = file(image().resize((640, 480)), "JPEG")
    header = probe(data)
    for needed in ((640, 480), (320, 240), (160, 120), (80, 60)):
        with pytest.raises(PhotoError, match="truncated"):
            decode(data[:-200], header, needed)


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
@pytest.mark.parametrize("sample", [p for p in SAMPLES if probe(p.read_bytes()).format == "JPEG"][:4], ids=lambda p: p.name)
def test_jpeg_damaged_within_is_an_error_and_salvaged_where_that_is_asked_for(sample: Path, options: dict[str, Any]) -> None:
    picture = Image.open(sample).convert("RGB")
    picture.thumbnail((640, 640))
    whole = file(picture, "JPEG", **options)
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 512] = bytes(512)  # a block of a disk that came back empty
    header = probe(bytes(damaged))
    for needed in ((640, 640), (80, 80)):
        assert decode(whole, header, needed).any()
        with pytest.raises(PhotoError, match=r"truncated or damaged \(Corrupt JPEG data"):
            decode(bytes(damaged), header, needed)
    pixels, partial = decode_or_salvage(bytes(damaged), header, (640, 640), Limits(salvage=True))
    assert partial
    assert pixels.shape[:2] == (header.height, header.width)


@pytest.mark.parametrize("behind", [b"", b"behind\xff\xd9", file(image(), "JPEG")], ids=["nothing", "bytes", "another picture"])
@pytest.mark.parametrize("padding", [b"\0", b"\0" * 7, b"\x20" * 5000, b"\xff" * 3], ids=len)
def test_jpeg_that_a_camera_has_filled_up_before_its_end_is_whole(padding: bytes, behind: bytes) -> None:
    whole = file(image(), "JPEG")
    padded = whole.removesuffix(b"\xff\xd9") + padding + b"\xff\xd9" + behind
    assert (decoded(padded) == decoded(whole)).all()


def test_jpeg_whose_end_came_back_empty_is_no_padded_one() -> None:
    whole = bytearray(file(image().resize((640, 480)), "JPEG", restart_marker_rows=1))
    whole[-600:-2] = bytes(598)
    with pytest.raises(PhotoError, match="damaged"):
        decoded(bytes(whole))


def test_jpeg_with_an_odd_header_is_whole() -> None:
    whole = file(image(), "JPEG", icc_profile=SRGB)
    revision = whole.index(b"JFIF\0") + 5
    numbered = whole.index(b"ICC_PROFILE\0") + 12
    for odd in (
        whole[:revision] + b"\2" + whole[revision + 1 :],
        whole[: numbered + 1] + b"\2" + whole[numbered + 2 :],  # says that the profile has another part
    ):
        header = probe(odd)
        assert (decode(odd, header, (header.width, header.height)) == decoded(file(image(), "JPEG"))).all()


@pytest.mark.skipif(shutil.which("cjpeg") is None, reason="needs cjpeg, which subsamples colours in any way")
@pytest.mark.parametrize("way", ["4x1", "3x1", "1x3", "4x2", "1x1,2x2,1x1", "2x2,2x1,1x2"])
def test_jpeg_with_rare_subsampling_is_decoded(way: str, tmp_path: Path) -> None:
    image().resize((333, 333)).save(tmp_path / "a.ppm")
    data = subprocess.run(["cjpeg", "-quality", "95", "-sample", way, tmp_path / "a.ppm"], capture_output=True, check=True).stdout
    assert difference(decoded(data), np.asarray(image().resize((333, 333)))[:, :, ::-1]) < 3


def test_empty_file_is_an_error() -> None:
    with pytest.raises(PhotoError, match="the file is empty"):
        probe(b"")


@pytest.mark.parametrize(
    "data", [b"Dear diary,\n" * 50, bytes(1000), b"\xff", b"\xff\xd8", b"<svg/>", b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_image_is_an_error(data: bytes) -> None:
    with pytest.raises(PhotoError, match=r"not an image|header"):
        probe(data)


def png_of(width: int, height: int) -> bytes:
    """The beginning of a PNG that says it has so many pixels."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
    return head + struct.pack(">I", 0) + b"IDAT"


@pytest.mark.parametrize("size", [(50_000, 50_000), (65_535, 65_535), (20_000, 20_000), (15_000, 10_001)])
def test_more_pixels_than_is_safe_is_an_error(size: tuple[int, int]) -> None:
    with pytest.raises(PhotoError, match="more pixels than is safe"):
        probe(png_of(*size))


def test_limit_on_pixels_is_the_callers() -> None:
    data = file(image(), "BMP")
    assert probe(data, Limits(WIDTH * HEIGHT)).width == WIDTH
    with pytest.raises(PhotoError, match=r"\(60 x 44, 1 megapixels\); allow them with --max-pixels"):
        probe(data, Limits(WIDTH * HEIGHT - 1))


def test_png_that_says_more_than_deflate_could_hold_is_refused_before_room_is_made() -> None:
    with pytest.raises(PhotoError, match="declares more pixels than it can hold"):
        probe(png_of(10_000, 10_000))
    assert probe(file(Image.new("L", (3000, 3000)), "PNG", compress_level=9)).width == 3000  # as small as it gets


@pytest.mark.parametrize("kind", ["PNG", "animated PNG"])
def test_png_chunk_that_says_more_than_there_is_costs_no_memory(kind: str) -> None:
    """A bit flipped in a length: OpenCV would take 2 GB."""
    resource = pytest.importorskip("resource")
    data = bytearray(EXACT[kind])
    data[data.index(b"IDAT") - 4] ^= 0x80
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PhotoError, match="truncated"):
        decoded(bytes(data))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_what_stands_behind_a_pngs_end_is_left_alone() -> None:
    assert np.array_equal(decoded(EXACT["PNG"] + b"\xff" * 99), BGR)


def test_pixels_that_are_not_what_the_header_said_are_an_error() -> None:
    for kind in ("PNG", "JPEG"):
        data = file(image(), kind)
        lying = replace(probe(data), width=WIDTH + 9)
        with pytest.raises(PhotoError, match="decoded size does not match its header"):
            decode(data, lying, (1, 1))


SALVAGEABLE = {
    kind: WHOLE[kind] for kind in ("PNG, exact", "TIFF, exact", "BMP, exact", "PNG with alpha", "JPEG, CMYK without a profile")
} | {
    "JPEG": file(image().resize((640, 480)), "JPEG"),
    "JPEG, progressive": file(image().resize((640, 480)), "JPEG", progressive=True),
    "PNG of 16 bits": EXACT_GREY["PNG of 16 bits"],
    "GIF": file(image().resize((640, 480)).quantize(64), "GIF"),
}


@pytest.mark.parametrize("kind", SALVAGEABLE)
def test_truncated_photo_is_salvaged_where_that_is_asked_for(kind: str) -> None:
    whole = SALVAGEABLE[kind]
    cut = whole[: int(len(whole) * 0.7)]
    header = probe(cut)
    needed = header.width, header.height
    with pytest.raises(PhotoError):
        decode_or_salvage(cut, header, needed, LIMITS)
    pixels, partial = decode_or_salvage(cut, header, needed, Limits(salvage=True))
    assert partial
    original = decode(whole, header, needed)
    rows = header.height // 4  # a BMP begins at its foot
    there = slice(-rows, None) if header.format == "BMP" else slice(rows)
    assert difference(on_white(pixels)[there], on_white(original)[there]) < 8
    assert decode_or_salvage(whole, header, needed, Limits(salvage=True))[1] is False


@pytest.mark.parametrize("kind", ["JPEG", "PNG, exact", "AVIF"])
def test_photo_of_which_nothing_is_left_cannot_be_salvaged(kind: str) -> None:
    whole = WHOLE[kind]
    header = probe(whole)
    with pytest.raises(PhotoError, match="no part of it can be salvaged"):
        decode_or_salvage(whole[:-300] if kind == "AVIF" else whole[:40], header, (1, 1), Limits(salvage=True))


@pytest.mark.parametrize("type", [np.float32, np.int32])
def test_32_bits_a_channel_are_refused_by_name(type: type[np.generic]) -> None:
    with pytest.raises(PhotoError, match="32 bits per channel; save it with 8 or 16"):
        probe(file(Image.fromarray(GREY.astype(type)), "TIFF"))


# Cutting ----------------------------------------------------------------------------------------------------------------------


def box_of(x: int, y: int, width: int, height: int) -> Box:
    return Box(x, y, width, height, 1.0, (x, y))


@given(st.data())
@settings(deadline=None)
def test_thumbnail_has_exactly_the_size_asked_for(data: st.DataObject) -> None:
    original = data.draw(st.tuples(st.integers(1, 4000), st.integers(1, 4000)), "original")
    scale = data.draw(st.sampled_from([1, 2, 4, 8]), "scale")
    x, y = data.draw(st.integers(0, original[0] - 1), "x"), data.draw(st.integers(0, original[1] - 1), "y")
    width, height = data.draw(st.integers(1, original[0] - x), "width"), data.draw(st.integers(1, original[1] - y), "height")
    size = data.draw(st.tuples(st.integers(1, 300), st.integers(1, 300)), "size")
    channels = data.draw(st.sampled_from([3, 4]), "channels")
    # One row or column repeated: as large as it says, without its memory.
    pixels = np.broadcast_to(np.uint8(90), (math.ceil(original[1] / scale), math.ceil(original[0] / scale), channels))
    thumbnail = render(pixels, box_of(x, y, width, height), size, original)
    assert thumbnail.shape == (size[1], size[0], channels)
    assert thumbnail.dtype == np.uint8
    assert np.all(np.abs(thumbnail.astype(int) - 90) <= 1)


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_thumbnail_shows_the_box_whatever_the_scale(scale: int) -> None:
    """The pixels say where they come from: blue their column, green their row, both in 16ths of the original."""
    columns, rows = np.meshgrid(np.arange(2400 // scale), np.arange(1600 // scale))
    pixels = np.dstack([(columns + 0.5) * scale / 16, (rows + 0.5) * scale / 16, np.zeros(rows.shape)]).astype(np.uint8)
    thumbnail = render(pixels, box_of(801, 403, 1280, 720), (160, 90), (2400, 1600))
    blue = (801 + (np.arange(160) + 0.5) * 8) / 16
    green = (403 + (np.arange(90) + 0.5) * 8) / 16
    assert np.abs(thumbnail[:, :, 0] - blue).max() <= 1.5
    assert np.abs(thumbnail[:, :, 1] - green[:, None]).max() <= 1.5


def test_last_pixel_of_a_photo_decoded_smaller_can_be_cut() -> None:
    assert render(np.zeros((2, 2, 3), np.uint8), box_of(11, 11, 1, 1), (5, 5), (12, 12)).shape == (5, 5, 3)


def test_box_of_the_size_asked_for_is_copied_pixel_by_pixel() -> None:
    thumbnail = render(BGR, box_of(7, 5, 30, 20), (30, 20))
    assert np.array_equal(thumbnail, BGR[5:25, 7:37])
    assert not np.shares_memory(thumbnail, BGR)


def test_enlarging_makes_no_steps() -> None:
    ramp = np.zeros((8, 8, 3), np.uint8) + (np.arange(8) * 32).astype(np.uint8)[None, :, None]
    row = render(ramp, box_of(0, 0, 8, 8), (64, 64))[0, :, 0].astype(int)
    assert np.abs(np.diff(row)).max() <= 8


def test_shrinking_averages_what_it_joins() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(render(stripes, box_of(0, 0, 64, 64), (16, 16)).astype(int) - 127).max() <= 1


@pytest.mark.parametrize("factor", [1.1, 1.5, 1.9])
def test_a_little_scaled_down_is_the_mean_over_each_pixels_area(samples: Path, factor: float) -> None:
    pixels = imread(str(samples / "cat.jpg"))
    size = round(pixels.shape[1] / factor), round(pixels.shape[0] / factor)
    difference = resized(pixels, size).astype(float) - cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    assert abs(difference.mean()) < 0.1  # no brighter
    assert np.abs(difference).mean() < 1
    noise = np.random.default_rng(0).integers(0, 256, (640, 960, 3), dtype=np.uint8)
    spread = resized(noise, (round(960 / factor), round(640 / factor))).std()
    assert spread < 0.9 * cv2.resize(noise, (round(960 / factor), round(640 / factor)), interpolation=cv2.INTER_LINEAR).std()


@pytest.mark.parametrize("size", [(16, 16), (200, 200)])
def test_colours_under_transparency_do_not_bleed_into_the_edge(size: tuple[int, int]) -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, :33] = (40, 160, 220, 255)
    pixels[:, 33:] = (255, 0, 255, 0)  # a garish colour no one is meant to see
    thumbnail = render(pixels, box_of(0, 0, 64, 64), size)
    seen = thumbnail[thumbnail[:, :, 3] > 8].astype(int)
    assert thumbnail[:, :, 3].min() == 0
    assert np.abs(seen[:, :3] - (40, 160, 220)).max() <= 2


def test_opaque_alpha_changes_no_colour() -> None:
    opaque = np.dstack([BGR, np.full((HEIGHT, WIDTH), 255, np.uint8)])
    thumbnail = render(opaque, box_of(3, 3, 50, 40), (25, 20))
    assert np.array_equal(thumbnail[:, :, :3], render(BGR, box_of(3, 3, 50, 40), (25, 20)))
    assert np.all(thumbnail[:, :, 3] == 255)


def test_transparency_goes_onto_white() -> None:
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 200, 128], [5, 5, 5, 100]]], np.uint8)
    assert on_white(pixels).tolist() == [[[10, 20, 30], [255, 255, 255], [127, 177, 227], [157, 157, 157]]]


@pytest.mark.parametrize(
    ("box", "size", "enlarge", "expected"),
    [
        ((1280, 720), (640, 360), False, (640, 360)),
        ((640, 360), (640, 360), False, (640, 360)),
        ((639, 359), (640, 360), False, (639, 359)),
        ((640, 359), (640, 360), False, (640, 359)),
        ((320, 180), (640, 360), True, (640, 360)),
        ((1280, 720), None, False, (1280, 720)),
        ((1280, 720), None, True, (1280, 720)),
    ],
)
def test_small_photo_is_enlarged_only_when_asked(
    box: tuple[int, int], size: tuple[int, int] | None, enlarge: bool, expected: tuple[int, int]
) -> None:
    assert thumbnail_size(box_of(0, 0, *box), size, enlarge) == expected


# Writing ----------------------------------------------------------------------------------------------------------------------

LARGE_PROFILE = struct.pack(">I", 200_000) + SRGB[4:128] + bytes(200_000 - 128)


def reopened(data: bytes) -> Image.Image:
    opened = Image.open(io.BytesIO(data))
    opened.load()
    return opened


@pytest.mark.parametrize("format", OUTPUTS)
def test_thumbnail_is_written_in_the_format_asked_for(format: str) -> None:
    opened = reopened(encode(BGR, header_of(), format))
    assert opened.format == {"jpg": "JPEG"}.get(format, format.upper())
    assert opened.mode == ("P" if format == "gif" else "RGB")
    assert difference(np.asarray(opened.convert("RGB")), RGB) < (6 if format != "png" else 1e-9)


@pytest.mark.parametrize("profile", [SRGB, LARGE_PROFILE], ids=["small", "beyond one JPEG marker"])
@pytest.mark.parametrize("format", ["jpg", "webp", "avif"])
def test_colour_profile_goes_along_byte_by_byte(format: str, profile: bytes) -> None:
    data = encode(BGR, header_of(icc_profile=profile), format)
    assert reopened(data).info["icc_profile"] == profile


def test_colour_profile_goes_along_byte_by_byte_in_png() -> None:
    for pixels in (BGR, BGRA):
        assert reopened(encode(pixels, header_of(icc_profile=SRGB), "png")).info["icc_profile"] == SRGB


@pytest.mark.parametrize("format", OUTPUTS)
def test_broken_profile_does_not_stop_a_thumbnail(format: str) -> None:
    broken = SRGB[:128] + b"nonsense"
    assert reopened(encode(BGR, header_of(icc_profile=broken), format)).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("format", ["jpg", "png"])
def test_grey_photo_stays_grey_with_a_profile_for_grey(format: str) -> None:
    profile = struct.pack(">I", 128) + SRGB[4:16] + b"GRAY" + SRGB[20:128]
    profile = struct.pack(">I", 132) + profile[4:] + bytes(4)
    grey = np.dstack([GREY] * 3)
    opened = reopened(encode(grey, header_of(is_grey=True, icc_profile=profile), format))
    assert opened.mode == "L"
    assert difference(np.asarray(opened), GREY) < 2
    assert opened.info["icc_profile"] == profile
    # A profile for three channels says nothing of one, nor the other way round.
    assert "icc_profile" not in reopened(encode(grey, header_of(is_grey=True, icc_profile=SRGB), format)).info
    assert "icc_profile" not in reopened(encode(BGR, header_of(icc_profile=profile), format)).info


@pytest.mark.parametrize("format", ["png", "webp", "avif"])
def test_transparency_stays_where_the_format_has_it(format: str) -> None:
    opened = reopened(encode(BGRA, header_of(has_alpha=True), format, 100))
    assert opened.mode == "RGBA"
    assert difference(np.asarray(opened)[:, :, 3], ALPHA) < 2
    assert difference(on_white(np.asarray(opened)[:, :, [2, 1, 0, 3]]), on_white(BGRA)) < 3


def test_transparency_goes_onto_white_in_jpeg() -> None:
    opened = reopened(encode(BGRA, header_of(has_alpha=True), "jpg", 95))
    assert difference(np.asarray(opened)[:, :, ::-1], on_white(BGRA)) < 3
    assert np.asarray(opened)[:, 0].min() > 245


def to_srgb(rgb: np.ndarray, space: str) -> np.ndarray:
    """What sRGB has for colours of a space, by hand: uint8 [h, w, 3], clipped."""
    columns, gamma = SPACES[space]
    codes = rgb / 255.0
    light = codes**gamma if gamma else np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    xyz = light @ np.array(columns)
    primaries = np.array([(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)])
    linear = (xyz @ np.linalg.inv(primaries)).clip(0, 1)
    return (np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255).round().astype(np.uint8)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("format", [format for format in OUTPUTS if format != "gif"])
def test_colours_are_converted_to_srgb_where_asked(format: str, space: str) -> None:
    header = header_of(icc_profile=profile_of(space))
    opened = reopened(encode(BGR, header, format, 100, srgb=True))
    assert "icc_profile" not in opened.info
    inside = np.all((to_srgb(RGB, space) > 8) & (to_srgb(RGB, space) < 247), axis=2)  # what sRGB has, without a choice
    assert np.abs(np.asarray(opened).astype(int) - to_srgb(RGB, space))[inside].mean() < (1.6 if format != "png" else 0.6)
    kept = reopened(encode(BGR, header, format, 100))
    assert kept.info["icc_profile"] == header.icc_profile


@pytest.mark.parametrize("space", SPACES)
def test_a_gif_has_no_place_for_a_profile_and_so_is_in_srgb(space: str) -> None:
    header = header_of(icc_profile=profile_of(space))
    converted = np.asarray(reopened(encode(BGR, header, "png", srgb=True)))[:, :, ::-1]
    assert encode(BGR, header, "gif") == encode(BGR, header, "gif", srgb=True) == encode(converted, header_of(), "gif")


def test_transparency_and_grey_are_converted_to_srgb() -> None:
    converted = reopened(encode(BGRA, header_of(has_alpha=True, icc_profile=profile_of("Adobe RGB")), "png", srgb=True))
    assert np.array_equal(np.asarray(converted)[:, :, 3], ALPHA)
    assert difference(np.asarray(converted)[:, :, :3], to_srgb(RGB, "Adobe RGB")) < 3
    header = header_of(is_grey=True, icc_profile=profile_of("ProPhoto", grey=True))
    grey = reopened(encode(np.dstack([GREY] * 3), header, "png", srgb=True))
    assert grey.mode == "L"
    # A shade of gamma 1.8 is lighter in sRGB's, by the same light.
    light = (GREY / 255.0) ** 1.8
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(np.asarray(grey) - expected).mean() < 1


@pytest.mark.parametrize("format", OUTPUTS)
def test_profile_without_sense_converts_nothing(format: str) -> None:
    broken = SRGB[:128] + b"nonsense"
    thumbnail = encode(BGR, header_of(icc_profile=broken), format, srgb=True)
    assert thumbnail == encode(BGR, header_of(), format)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_nothing_but_the_profile_is_told_of_a_photo(input: str, output: str) -> None:
    exif = Image.Exif()
    exif[271] = "SECRET maker"
    exif[274] = 3
    if input != "TIFF":
        exif[34853] = {1: "N", 2: (52.0, 31.0, 12.5), 29: "SECRET:01"}
    options: dict[str, Any] = {"exif": exif, "icc_profile": SRGB}
    if input in ("JPEG", "WEBP", "AVIF"):
        options["xmp"] = b"<x>SECRET place</x>"
    if input == "JPEG":
        options["comment"] = b"SECRET note"
    if input == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("Comment", "SECRET note")
    data = file(image(), input, **options)
    assert b"SECRET" in data
    header = probe(data)
    thumbnail = encode(decode(data, header, (WIDTH, HEIGHT)), header, output)
    assert b"SECRET" not in thumbnail
    opened = reopened(thumbnail)
    assert opened.info.get("icc_profile") == (SRGB if output != "gif" else None)
    assert not dict(opened.getexif())
    assert not {"exif", "xmp", "comment", "Comment", "XML:com.adobe.xmp"} & set(opened.info)


@pytest.mark.parametrize("format", ["jpg", "webp", "avif"])
def test_quality_trades_bytes_for_looks(format: str) -> None:
    rng = np.random.default_rng(0)
    noisy = np.clip(BGR.astype(int) + rng.integers(-30, 30, BGR.shape), 0, 255).astype(np.uint8)
    poor, default, best = (encode(noisy, header_of(), format, quality) for quality in (10, None, 100))
    assert len(poor) < len(default) < len(best)
    assert default == encode(noisy, header_of(), format, QUALITY[format])


@pytest.mark.parametrize(("format", "limit"), [("jpg", 65535), ("webp", 16383), ("avif", 65536)])
def test_thumbnail_beyond_a_formats_limit_is_an_error(format: str, limit: int) -> None:
    with pytest.raises(PhotoError, match=f"the {format} encoder rejected the thumbnail"):
        encode(np.zeros((1, limit + 1, 3), np.uint8), header_of(), format)
