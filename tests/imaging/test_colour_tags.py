"""What files say of their colours without a profile: AVIF by numbers, PNG by chunks; and what makes no sense and says nothing."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from colour import profile_of, sample, tagged_avif, with_chunks
from fixtures import OUTPUTS, Command
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cropper.imaging.colour_tags import colours_of
from cropper.imaging.decode import decode
from cropper.imaging.encode import encode
from cropper.imaging.header import probe
from cropper.imaging.icc import Colours, ink_profile, is_srgb
from cropper.imaging.icc import profile_of as profile_of_tags

RGB = sample(size=(60, 44))
SRGB_POINTS = struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
P3_POINTS = struct.pack(">8I", 31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)
GAMMA = struct.pack(">I", 45_455)
LINEAR = struct.pack(">I", 100_000)


def converted(data: bytes) -> np.ndarray:
    """RGB of a photo in sRGB."""
    header = probe(data)
    file = encode(decode(data, header, (header.width, header.height)), header, "png", srgb=True)
    with Image.open(io.BytesIO(file)) as opened:
        assert "icc_profile" not in opened.info
        return np.asarray(opened.convert("RGB")).astype(int)


@pytest.mark.parametrize(
    "data",
    [
        tagged_avif(RGB, 1, 13),
        tagged_avif(RGB, 1, 1),
        tagged_avif(RGB, 2, 2),
        with_chunks(RGB, gAMA=GAMMA),
        with_chunks(RGB, gAMA=GAMMA, cHRM=SRGB_POINTS),
        with_chunks(RGB, sRGB=b"\0", gAMA=LINEAR, cHRM=P3_POINTS),
        with_chunks(RGB, cICP=bytes([1, 13, 0, 1]), gAMA=LINEAR),
    ],
    ids=["nclx sRGB", "nclx video", "nclx nothing", "gAMA", "gAMA cHRM", "sRGB goes before gAMA", "cICP goes before gAMA"],
)
def test_what_says_srgb_needs_no_profile(data: bytes) -> None:
    assert probe(data).icc_profile is None


@pytest.mark.parametrize(
    "data",
    [
        with_chunks(RGB, gAMA=bytes(4)),
        with_chunks(RGB, gAMA=struct.pack(">I", 1)),
        with_chunks(RGB, gAMA=GAMMA, cHRM=bytes(32)),
        with_chunks(RGB, gAMA=GAMMA, cHRM=struct.pack(">8I", *[31_270, 32_900] * 4)),
        with_chunks(RGB, gAMA=GAMMA, cHRM=b"\xff" * 32),
    ],
)
def test_what_makes_no_sense_says_nothing(data: bytes) -> None:
    assert probe(data).icc_profile is None


def test_embedded_profile_goes_before_all_but_cicp() -> None:
    profile = profile_of("Adobe RGB")
    assert probe(tagged_avif(RGB, 1, 13)).icc_profile is None
    file = io.BytesIO()
    RGB.save(file, "AVIF", icc_profile=profile)
    assert probe(file.getvalue()).icc_profile == profile
    file = io.BytesIO()
    RGB.save(file, "PNG", icc_profile=profile)
    png = file.getvalue()
    at = with_chunks(RGB, gAMA=LINEAR)[33:49]
    assert probe(png[:33] + at + png[33:]).icc_profile == profile
    at = with_chunks(RGB, cICP=bytes([1, 13, 0, 1]))[33:49]
    assert probe(png[:33] + at + png[33:]).icc_profile is None


@pytest.mark.parametrize("data", [tagged_avif(RGB, 12, 13), with_chunks(RGB, cICP=bytes([12, 13, 0, 1]))], ids=["AVIF", "PNG"])
@pytest.mark.parametrize("format", [format for format in OUTPUTS if format != "gif"])
def test_colours_by_numbers_go_along_as_a_profile(data: bytes, format: str) -> None:
    header = probe(data)
    file = encode(decode(data, header, (60, 44)), header, format)
    with Image.open(io.BytesIO(file)) as opened:
        assert opened.info["icc_profile"] == header.icc_profile
    assert header.icc_profile
    assert len(header.icc_profile) < 1000
    assert np.abs(converted(data) - np.asarray(RGB)).mean() > 4  # brighter colours than the same numbers in sRGB


def test_grey_of_another_gamma_stays_grey() -> None:
    grey = RGB.convert("L")
    data = with_chunks(grey, gAMA=LINEAR)
    header = probe(data)
    file = encode(decode(data, header, (60, 44)), header, "jpg")
    with Image.open(io.BytesIO(file)) as opened:
        assert opened.mode == "L"
        assert opened.info["icc_profile"][16:20] == b"GRAY"
    light = np.asarray(grey) / 255
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(converted(data)[:, :, 0] - expected).mean() < 1


@pytest.mark.parametrize("transfer", [16, 18], ids=["PQ", "HLG"])
def test_light_of_hdr_is_squeezed_into_what_a_screen_shows(transfer: int) -> None:
    """A ramp stays a ramp: darkest black, brightest white, every step up, the white of paper at about three quarters."""
    ramp = Image.fromarray(np.repeat(np.arange(0, 256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(8, axis=0))
    data = with_chunks(ramp, cICP=bytes([9, transfer, 0, 1]))
    grey = converted(data)[4]
    assert np.all(np.diff(grey[:, 1]) >= 0)
    assert grey[0].max() == 0
    assert grey[255].min() == 255
    assert np.ptp(grey, axis=1).max() <= 2
    paper = round(255 * (0.58 if transfer == 16 else 0.75))
    assert 180 < grey[paper, 1] < 200


def test_gain_map_leaves_no_trace(cropper: Command, tmp_path: Path) -> None:
    from colour import gain_mapped

    (tmp_path / "photo.jpg").write_bytes(gain_mapped(sample()))
    data = (tmp_path / "photo.jpg").read_bytes()
    assert b"hdrgm" in data
    assert b"MPF" in data
    for keep in ("none", "all"):
        assert cropper("crop", "photo.jpg", "--size", "120x80", "--keep", keep, "-o", "thumbnail.jpg")[0] == 0
        made = (tmp_path / "thumbnail.jpg").read_bytes()
        assert b"hdrgm:" not in made
        assert b"MPF" not in made
        assert made.count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize("data", [tagged_avif(RGB, 12, 13), with_chunks(RGB, cHRM=P3_POINTS, gAMA=GAMMA)], ids=["AVIF", "PNG"])
def test_tags_that_break_off_say_nothing_or_the_same(data: bytes) -> None:
    format = "PNG" if data[1:4] == b"PNG" else "AVIF"
    whole = colours_of(data, format)
    for length in range(min(len(data), 600)):
        colours, _ = colours_of(data[:length], format)
        assert colours is None or colours == whole[0] or format == "PNG"


@given(st.integers(0, 400), st.binary(min_size=1, max_size=12))
def test_tags_of_noise_stop_no_photo(at: int, noise: bytes) -> None:
    for format, data in (("AVIF", NOISY[0]), ("PNG", NOISY[1])):
        colours, _ = colours_of(data[:at] + noise + data[at + len(noise) :], format)
        if colours is not None and not is_srgb(colours):
            profile_of_tags(colours)


NOISY = tagged_avif(RGB, 12, 13), with_chunks(RGB, cHRM=P3_POINTS, gAMA=GAMMA)


def test_profiles_made_here_say_how_long_they_are() -> None:
    for profile in (ink_profile(), profile_of_tags(Colours(((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), (0.3127, 0.329)), 16))):
        assert profile
        assert struct.unpack_from(">I", profile)[0] == len(profile)
        assert len(profile) % 4 == 0
