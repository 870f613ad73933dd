"""Thumbnails within a number of bytes: the highest quality that fits, in few encodes, and a floor that is said."""

from __future__ import annotations

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
from fixtures import OUTPUTS
from PIL import Image, ImageCms

from cropper.image_formats import QUALITY
from cropper.imaging.encode import Prepared, encode
from cropper.imaging.fitting import MOST_ENCODES, in_words, largest_within, thumbnail_file, without_reason
from cropper.imaging.header import Header, probe
from cropper.imaging.metadata import Metadata
from cropper.settings import DEFAULT_TARGET, FEWEST_COLOURS, LOWEST_QUALITY, Encoding, Settings

LOSSY = ("jpg", "webp", "avif")
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def picture() -> np.ndarray:
    """A picture with shades and edges, uint8 [90, 160, 3], that every encoder makes smaller bit by bit."""
    noise = np.random.default_rng(1).integers(0, 255, (45, 80, 3), np.uint8)
    smooth = cv2.GaussianBlur(cv2.resize(noise, (160, 90), interpolation=cv2.INTER_CUBIC), (0, 0), 1.2)
    cv2.circle(smooth, (80, 45), 30, (30, 60, 250), 3)
    return np.asarray(smooth, np.uint8)


def header(**changes: object) -> Header:
    file = io.BytesIO()
    Image.new("RGB", (160, 90)).save(file, "PNG")
    return replace(probe(file.getvalue()), **changes)  # type: ignore[arg-type]


def settings(quality: int | None = None, **encoding: object) -> Settings:
    return Settings((DEFAULT_TARGET,), quality=quality, encoding=Encoding(**encoding))  # type: ignore[arg-type]


@pytest.fixture
def encodes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What each encode was asked for."""
    asked: list[tuple[object, ...]] = []
    encoder = Prepared.file

    def file(self: Prepared, *arguments: object, **named: object) -> bytes:
        asked.append((*arguments, *named.values()))
        return encoder(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Prepared, "file", file)
    return asked


@pytest.mark.parametrize("share", [0.6, 0.75, 0.9])
@pytest.mark.parametrize("format", LOSSY)
def test_the_quality_is_the_highest_that_fits_or_nearly_so(encodes: list[object], format: str, share: float) -> None:
    sizes = {q: len(encode(picture(), header(), format, q)) for q in range(LOWEST_QUALITY, QUALITY[format] + 1)}
    limit = int(sizes[LOWEST_QUALITY] + share * (sizes[QUALITY[format]] - sizes[LOWEST_QUALITY]))
    encodes.clear()
    data, message = thumbnail_file(picture(), header(), format, settings(max_bytes=limit))
    assert message == ""
    assert len(data) <= limit
    assert len(encodes) <= MOST_ENCODES
    best = max(quality for quality, size in sizes.items() if size <= limit)
    found = max(quality for quality, size in sizes.items() if size == len(data))
    assert best - found <= 3
    assert thumbnail_file(picture(), header(), format, settings(max_bytes=limit))[0] == data


@pytest.mark.parametrize("format", OUTPUTS)
def test_what_fits_is_as_without_a_limit_and_encoded_once(encodes: list[object], format: str) -> None:
    whole = encode(picture(), header(), format)
    encodes.clear()
    assert thumbnail_file(picture(), header(), format, settings(max_bytes=len(whole))) == (whole, "")
    assert len(encodes) == 1


@pytest.mark.parametrize(("quality", "floor"), [(None, LOWEST_QUALITY), (90, LOWEST_QUALITY), (20, 20)])
@pytest.mark.parametrize("format", LOSSY)
def test_quality_goes_no_lower_than_the_floor_and_says_so(
    encodes: list[object], format: str, quality: int | None, floor: int
) -> None:
    data, message = thumbnail_file(picture(), header(), format, settings(quality, max_bytes=200))
    assert data == encode(picture(), header(), format, floor)
    assert message == f"larger than 200 bytes, even at quality {floor}"
    assert len(encodes) <= 3  # with that of the line above


@pytest.mark.parametrize("most", [None, 256, 100])
def test_a_png_gives_up_colours(encodes: list[object], most: int | None) -> None:
    large = len(encode(picture(), header(), "png"))
    encodes.clear()
    data, message = thumbnail_file(picture(), header(), "png", settings(max_bytes=large // 4, colours=most))
    assert message == ""
    assert len(data) <= large // 4
    colours = len(np.unique(np.asarray(Image.open(io.BytesIO(data)))))
    assert FEWEST_COLOURS <= colours <= 256
    assert len(encodes) <= MOST_ENCODES


@pytest.mark.parametrize(("colours", "floor"), [(None, FEWEST_COLOURS), (200, FEWEST_COLOURS), (5, 5)])
def test_a_png_that_cannot_be_so_small_says_so(colours: int | None, floor: int) -> None:
    data, message = thumbnail_file(picture(), header(), "png", settings(max_bytes=100, colours=colours))
    assert message == f"larger than 100 bytes, even with {floor} colours"
    assert len(np.unique(np.asarray(Image.open(io.BytesIO(data))))) <= floor


@pytest.mark.parametrize("format", [format for format in OUTPUTS if format != "gif"])  # it has neither
def test_profile_and_metadata_count_and_are_named_where_they_are_too_much(format: str) -> None:
    kept = header(icc_profile=PROFILE, metadata=Metadata(b"II*\0\x08\0\0\0" + bytes(6) + np.random.default_rng(0).bytes(9000)))
    bare, _ = thumbnail_file(picture(), header(), format, settings(max_bytes=1))
    limit = len(bare) + 500
    data, message = thumbnail_file(picture(), kept, format, settings(max_bytes=limit))
    assert len(data) > limit
    assert ", since its colour profile and metadata take 9" in message
    assert without_reason(message) == message.split(", since")[0]
    assert thumbnail_file(picture(), kept, format, settings(max_bytes=len(data) - 1))[0] == data


def test_a_floor_that_fits_alone_is_found() -> None:
    assert largest_within(lambda step: bytes(100 + step), 50, 100) == (0, bytes(100))


@pytest.mark.parametrize("limit", range(90, 180, 7))
def test_sizes_that_do_not_rise_evenly_take_no_more_encodes_and_fit(limit: int) -> None:
    asked = []

    def write(step: int) -> bytes:
        asked.append(step)
        return bytes(100 + step + step * 37 % 11)

    step, data = largest_within(write, 56, limit)
    assert data == write(step)
    assert len(data) <= limit or step == 0
    assert len(set(asked)) == len(asked) - 1 <= MOST_ENCODES


def test_bytes_in_words() -> None:
    assert [in_words(size) for size in (999, 1000, 100_000, 102_400, 1_500_000)] == [
        "999 bytes",
        "1 kB",
        "100 kB",
        "102.4 kB",
        "1.5 MB",
    ]


def test_a_progressive_jpeg_has_the_same_pixels_in_fewer_bytes() -> None:
    large = np.asarray(cv2.resize(picture(), (640, 360)), np.uint8)
    plain, message = thumbnail_file(large, header(), "jpg", settings())
    assert (plain, message) == (encode(large, header(), "jpg"), "")
    data, _ = thumbnail_file(large, header(), "jpg", settings(progressive=True))
    assert (b"\xff\xc2" in data, b"\xff\xc2" in plain) == (True, False)
    assert len(data) < len(plain)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), np.asarray(Image.open(io.BytesIO(plain))))
