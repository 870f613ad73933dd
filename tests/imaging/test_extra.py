"""HEIC, JPEG XL and RAW, with the extra ``formats``, and PSD: the right way up, in the right colours, within the limits."""

from __future__ import annotations

import io
import re
import struct

import cv2
import numpy as np
import pytest
from extra_files import BOTTOM_LEFT, HEIC, RIGHT, TOP_LEFT, corners, dng, psd, turned_jxl
from numpy.typing import NDArray
from PIL import Image

from cropper import PhotoError
from cropper.extras import install_command
from cropper.image_formats import FORMATS, RAW_ALL, RAW_ALONE
from cropper.imaging.animation.film import has_several
from cropper.imaging.decode import decode
from cropper.imaging.encode import encode
from cropper.imaging.extra import jxl, raw
from cropper.imaging.extra.library import library_for
from cropper.imaging.extra.wrapped import unwrapped
from cropper.imaging.header import Header, probe
from cropper.imaging.metadata import Metadata, kept_metadata
from cropper.imaging.resize import on_white
from cropper.settings import KEEP_COPYRIGHT, LIMITS, Limits

INSTALL = install_command("formats")

IS_HERE = {one.pillow: one.is_here for one in FORMATS}
without_heif, without_jxl, without_raw = (
    pytest.mark.skipif(not IS_HERE[name], reason=f"{name} needs {INSTALL}") for name in ("HEIF", "JXL", "RAW")
)
# Where the three colours come to lie, by EXIF's orientation: top left, bottom left, top right.
LIES = {
    1: (TOP_LEFT, BOTTOM_LEFT, RIGHT),
    2: (RIGHT, RIGHT, TOP_LEFT),
    3: (RIGHT, RIGHT, BOTTOM_LEFT),
    4: (BOTTOM_LEFT, TOP_LEFT, RIGHT),
    5: (TOP_LEFT, RIGHT, BOTTOM_LEFT),
    6: (BOTTOM_LEFT, RIGHT, TOP_LEFT),
    7: (RIGHT, BOTTOM_LEFT, RIGHT),
    8: (RIGHT, TOP_LEFT, RIGHT),
}


def opened(data: bytes) -> tuple[Header, NDArray[np.uint8]]:
    data = unwrapped(data, LIMITS)
    header = probe(data)
    return header, decode(data, header, (header.width, header.height))


def check_lies(data: bytes, orientation: int) -> Header:
    header, pixels = opened(data)
    assert (header.width, header.height) == ((96, 64) if orientation < 5 else (64, 96)) == pixels.shape[1::-1]
    seen = pixels[6, 6, :3], pixels[-6, 6, :3], pixels[6, -6, :3]
    assert np.abs(np.array(seen, int) - LIES[orientation]).max() < 8
    return header


@without_heif
@pytest.mark.parametrize(
    ("name", "orientation"),
    [("irot", 6), ("irot-imir", 5), ("imir", 2), ("exif-only", 1), ("ten-bit", 1), ("burst", 1), ("alpha", 1)],
)
def test_a_heic_lies_as_its_boxes_say_and_exif_does_not_count(name: str, orientation: int) -> None:
    header = check_lies((HEIC / f"{name}.heic").read_bytes(), orientation)
    assert (header.format, header.orientation, header.has_alpha) == ("HEIF", 1, name == "alpha")


@without_heif
def test_a_heic_takes_its_profile_along() -> None:
    data = (HEIC / "display-p3.heic").read_bytes()
    header = check_lies(data, 1)
    assert header.icc_profile is not None
    assert header.icc_profile in data
    with Image.open(io.BytesIO(encode(opened(data)[1], header, "jpg"))) as thumbnail:
        assert thumbnail.info["icc_profile"] == header.icc_profile
    assert probe((HEIC / "irot.heic").read_bytes()).icc_profile is None


@without_heif
def test_a_heic_of_grey_and_one_with_alpha() -> None:
    header, pixels = opened((HEIC / "grey.heic").read_bytes())
    assert header.is_grey
    assert np.abs(pixels[6, 6].astype(int) - TOP_LEFT[2]).max() < 4
    _, pixels = opened((HEIC / "alpha.heic").read_bytes())
    assert (pixels[6, 6, 3], pixels[6, -6, 3]) == (255, 0)


@without_heif
def test_the_photographer_of_a_heic_is_kept_where_asked() -> None:
    data = (HEIC / "irot.heic").read_bytes()
    assert b"Ann of the tests" in kept_metadata(data, "HEIF", KEEP_COPYRIGHT).exif


@without_heif
def test_pixels_of_a_heic_outlive_the_library_s() -> None:
    """The library frees its pixels with its picture: a view of them reads memory of somebody else, or crashes."""
    data = (HEIC / "burst.heic").read_bytes()
    header = probe(data)
    kept = [decode(data, header, (96, 64)) for _ in range(20)]
    assert all(np.array_equal(pixels, kept[0]) for pixels in kept)
    assert all(pixels.flags.owndata for pixels in kept)


@pytest.mark.parametrize("name", ["irot", "display-p3"])
@without_heif
def test_a_heic_that_breaks_off_fails_as_a_photo(name: str) -> None:
    data = (HEIC / f"{name}.heic").read_bytes()
    for length in range(16, len(data), 23):
        with pytest.raises(PhotoError):
            opened(data[:length])


@without_heif
def test_a_heic_with_names_that_are_no_text_does_not_crash_the_library() -> None:
    """Found by changing bytes at random: ``pi_heif`` makes text of an item's type without a look at what comes of it."""
    data = bytearray((HEIC / "irot.heic").read_bytes())
    data[data.index(b"infe\2\0\0\1\0\2\0\0Exif") + 13] = 255
    with pytest.raises(PhotoError, match=r"truncated or damaged \(a name in it is not text\)"):
        opened(bytes(data))


@without_heif
def test_a_heic_of_no_width_is_damaged() -> None:
    data = bytearray((HEIC / "ten-bit.heic").read_bytes())
    at = data.index(b"ispe") + 8
    data[at : at + 4] = bytes(4)
    with pytest.raises(PhotoError, match="damaged"):
        opened(bytes(data))


def jxl_of(pixels: NDArray[np.uint8], quality: int = 90) -> bytes:
    data = jxl.encode(pixels, Metadata(), quality)
    assert data is not None
    return data


@without_jxl
@pytest.mark.parametrize("orientation", LIES)
def test_a_jxl_lies_as_its_header_says(orientation: int) -> None:
    data = jxl_of(corners(), 80)
    check_lies(turned_jxl(data, orientation) if orientation > 1 else data, orientation)


@without_jxl
@pytest.mark.parametrize(("width", "height"), [(1, 1), (8, 8), (300, 200), (257, 64), (96, 96), (4000, 3)])
def test_the_size_of_a_jxl_is_known_before_it_is_decoded(width: int, height: int) -> None:
    data = jxl_of(np.zeros((height, width, 4), np.uint8), 100)
    assert jxl.facts_of(data) == jxl.Facts(width, height, 1)


@pytest.mark.parametrize("is_animated", [False, True])
def test_an_animated_jxl_is_told_by_its_header(is_animated: bool) -> None:
    # 8 by 8 pixels. Not all default, more fields; upright, no size of its own, no preview; an animation of 100 ticks a second
    # that plays for ever, without time codes; 8 bits of whole numbers in short buffers, one more channel.
    animation = [(0, 2), (0, 2), (0, 2), (0, 1)] if is_animated else []
    fields = [
        (1, 1),
        (0, 5),
        (1, 3),
        (0, 1),
        (1, 1),
        (0, 3),
        (0, 1),
        (0, 1),
        (is_animated, 1),
        *animation,
        (0, 1),
        (0, 2),
        (1, 1),
        (1, 2),
    ]
    bits = at = 0
    for value, count in fields:
        bits |= value << at
        at += count
    data = b"\xff\x0a" + bits.to_bytes((at + 7) // 8, "little")
    assert jxl.facts_of(data) == jxl.Facts(8, 8, 1, is_animated)
    assert has_several(data, "JXL") == is_animated


@without_jxl
def test_a_jxl_beyond_the_limit_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jxl, "library_for", None)
    # 2**30 by 2**30 pixels, and the default metadata.
    bits = 0 | 3 << 1 | (2**30 - 1) << 3 | 1 << 33 | 3 << 36
    data = b"\xff\x0a" + bits.to_bytes(6, "little")
    for made in (data, b"\0\0\0\x0cJXL \r\n\x87\n" + struct.pack(">I4s", 8 + len(data), b"jxlc") + data + b"jbrd"):
        with pytest.raises(PhotoError, match="more pixels than is safe to decode"):
            probe(unwrapped(made, LIMITS))


@without_jxl
def test_a_jxl_s_header_in_parts_is_read() -> None:
    data = jxl_of(corners())
    pieces = enumerate((data[:3], data[3:5], data[5:]))
    parts = b"".join(struct.pack(">I4sI", 12 + len(piece), b"jxlp", number) + piece for number, piece in pieces)
    assert jxl.facts_of(b"\0\0\0\x0cJXL \r\n\x87\n" + parts) == jxl.Facts(96, 64, 0)


@without_jxl
def test_a_thumbnail_in_jxl_has_srgb_and_what_is_kept() -> None:
    exif = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x8298, 2, 4, 0x006E6E41) + bytes(4)
    header = Header("PNG", 96, 64, 1, False, False, False, None, Metadata(exif, b"<x/>"))
    data = encode(corners(), header, "jxl")
    assert kept_metadata(data, "JXL", KEEP_COPYRIGHT).exif == exif
    assert jxl.metadata_of(data) == (exif, b"<x/>")
    check_lies(data, 1)
    clear = np.dstack([corners(), np.full((64, 96), 7, np.uint8)])
    assert np.array_equal(opened(encode(clear, header, "jxl", 100))[1], clear)


@without_jxl
def test_the_colours_of_a_wide_profile_are_converted_for_jxl() -> None:
    from cropper.imaging.colour import in_srgb
    from cropper.imaging.icc import PRIMARIES, Colours, profile_of

    profile = profile_of(Colours(PRIMARIES[12]), False)
    assert profile is not None
    header = Header("PNG", 96, 64, 1, False, False, False, profile)
    _, pixels = opened(encode(corners(), header, "jxl", 100))
    assert np.array_equal(pixels, in_srgb(corners(), profile))


@without_jxl
def test_a_jpeg_packed_as_jxl_comes_out_as_it_was() -> None:
    jpeg = cv2.imencode(".jpg", corners())[1].tobytes()
    encoder = library_for("JXL").Encoder(mode="RGB", lossless=True, quality=100, num_threads=0)
    packed = encoder(jpeg, 96, 64, jpeg_encode=True)
    assert unwrapped(packed, LIMITS) == jpeg
    assert unwrapped(packed, Limits(max_pixels=96 * 64 - 1)) == packed
    for length in range(60, len(packed) - 1, 37):
        with pytest.raises(PhotoError):
            opened(packed[:length])


def preview() -> bytes:
    return cv2.imencode(".jpg", corners(), [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


@without_raw
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_of_a_raw_the_preview_is_read_the_way_the_camera_was_held(orientation: int) -> None:
    header = check_lies(dng(preview(), (96, 64), orientation), orientation)
    assert header.format == "JPEG"


def test_a_preview_that_does_not_say_how_to_turn_it_learns_it_from_the_raw() -> None:
    check_lies(raw._turned(preview(), 6), 6)
    own = raw._turned(preview(), 6)
    assert raw._turned(own, 8) == own


@without_raw
def test_a_raw_without_a_preview_or_its_end_fails_as_a_photo() -> None:
    data = dng(preview(), (96, 64))
    with pytest.raises(PhotoError, match="a RAW without a preview that cropper can use; export it as a JPEG"):
        unwrapped(dng(b"", (96, 64)), LIMITS)
    for length in range(100, len(data) - 4000, 50):
        with pytest.raises(PhotoError):
            opened(data[:length])


def test_a_tiff_is_no_raw_and_a_dng_is() -> None:
    assert raw.is_raw(dng(preview(), (96, 64)))
    for tags in ({}, {271: "Canon"}, {271: "Epson", 254: 0}):
        file = io.BytesIO()
        Image.fromarray(corners()).save(file, "TIFF", tiffinfo=tags)
        assert not raw.is_raw(file.getvalue())
    assert not raw.is_raw(b"II*\0\xff\xff\xff\xff")


@pytest.mark.parametrize("name", ["HEIF", "JXL", "RAW"])
def test_without_the_extra_its_command_is_said(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def missing(module: str) -> None:
        raise ModuleNotFoundError(module)

    monkeypatch.setattr("cropper.imaging.extra.library.import_module", missing)
    data = {"HEIF": (HEIC / "irot.heic").read_bytes(), "RAW": dng(preview(), (96, 64))}.get(name, b"\xff\x0a" + bytes(20))
    with pytest.raises(PhotoError, match=rf"which this installation cannot read; run: {re.escape(INSTALL)}"):
        opened(data)


def planes(*extra: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture as a PSD stores it, uint8 [channels, h, w], RGB and more."""
    return np.concatenate([corners()[:, :, ::-1].transpose(2, 0, 1), *(one[None] for one in extra)])


def test_the_composite_of_a_psd_is_read() -> None:
    header, pixels = opened(psd(planes()))
    assert (header.format, header.has_alpha) == ("PSD", False)
    assert np.array_equal(pixels, corners())
    header, pixels = opened(psd(planes()[:1], mode=1))
    assert header.is_grey
    assert np.array_equal(pixels[:, :, 0], corners()[:, :, 2])


def test_a_selection_in_a_psd_is_no_transparency() -> None:
    selection = np.full((64, 96), 128, np.uint8)
    for layers in (None, 2):
        header, pixels = opened(psd(planes(selection), layers=layers))
        assert not header.has_alpha
        assert np.array_equal(pixels, corners())


def test_a_transparent_psd_is_on_white_as_photoshop_shows_it() -> None:
    alpha = np.full((64, 96), 128, np.uint8)
    alpha[:, 90:] = 0
    mixed = on_white(np.dstack([corners(), alpha]))  # what Photoshop stores
    header, pixels = opened(psd(np.concatenate([mixed[:, :, ::-1].transpose(2, 0, 1), alpha[None]]), layers=-1))
    assert header.has_alpha
    assert np.abs(on_white(pixels).astype(int) - mixed).max() <= 1
    assert np.abs(pixels[6, 6, :3].astype(int) - TOP_LEFT).max() <= 1


def test_what_a_psd_is_not_read_for_is_said() -> None:
    with pytest.raises(PhotoError, match="a PSD of 16 bits per channel, which is not read; save it with 8"):
        probe(psd(planes(), depth=16))
    version_info = b"8BIM" + struct.pack(">HHI", 1057, 0, 5) + b"\0\0\0\1\0\0"
    with pytest.raises(PhotoError, match="without a picture of all its layers; save it again with 'Maximize Compatibility'"):
        probe(psd(planes(), resources=version_info))


def test_choices_of_raws() -> None:
    from cropper.engine.plan import chosen_of
    from cropper.storage.places import Folder, Version

    names = ("a.CR2", "a.jpg", "b.dng", "b.HEIC", "c.nef", "c.png", "d.NEF")
    versions = tuple(Version(number, number) for number in range(len(names)))
    folder, left_out = chosen_of(Folder("", names, versions=versions), RAW_ALONE)
    assert (folder.photos, left_out) == (("a.jpg", "b.HEIC", "c.nef", "c.png", "d.NEF"), 2)
    assert [version.size for version in folder.versions] == [1, 3, 4, 5, 6]
    assert chosen_of(Folder("", names), RAW_ALL) == (Folder("", names), 0)
