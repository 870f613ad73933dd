"""PNGs of few colours: how many, how alike, and what becomes of transparency, grey and profiles."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from cropper.imaging.encode import Prepared
from cropper.imaging.metadata import NOTHING, Metadata
from cropper.imaging.palette import with_colours


def shades() -> np.ndarray:
    """Colours that run into each other, uint8 [80, 120, 3]."""
    down, across = np.mgrid[0:80, 0:120]
    return np.dstack([down * 3, across * 2, 255 - down - across]).astype(np.uint8)


def shadow() -> np.ndarray:
    """A disc of shades with a soft black shadow around it, BGRA."""
    shape = cv2.circle(np.zeros((80, 120), np.uint8), (60, 40), 25, 255, cv2.FILLED)
    alpha = np.maximum(shape, cv2.GaussianBlur(shape, (0, 0), 8) // 2)
    return np.dstack([np.where(shape[:, :, None] > 0, shades(), 0).astype(np.uint8), alpha])


def as_read(pixels: np.ndarray, colours: int) -> np.ndarray:
    """What OpenCV reads of the PNG."""
    data = Prepared(pixels, None, NOTHING, "png").file(colours=colours)
    read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert read is not None
    return np.asarray(read, np.uint8)


def colours_of(pixels: np.ndarray) -> int:
    return len(np.unique(pixels.reshape(-1, pixels.shape[2] if pixels.ndim == 3 else 1), axis=0))


def blurred_error(one: np.ndarray, other: np.ndarray) -> float:
    """How much two pictures differ from afar, where dots run together."""
    one, other = (cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), 2) for pixels in (one, other))
    return float(np.sqrt(((one - other) ** 2).mean()))


@pytest.mark.parametrize("colours", [2, 3, 7, 8, 16, 64, 256])
@pytest.mark.parametrize("pixels", [shades(), shadow(), cv2.cvtColor(shades(), cv2.COLOR_BGR2GRAY)], ids=["bgr", "bgra", "grey"])
def test_a_picture_has_at_most_so_many_colours(pixels: np.ndarray, colours: int) -> None:
    read = as_read(pixels, colours)
    assert read.shape == pixels.shape
    assert colours_of(read) <= colours


@pytest.mark.parametrize(("colours", "most"), [(16, 20), (64, 6), (256, 3)])
def test_it_looks_alike_from_afar(colours: int, most: float) -> None:
    assert blurred_error(as_read(shades(), colours), shades()) < most


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_drawing_of_few_colours_stays_as_it_is(channels: int) -> None:
    drawing = np.zeros((40, 60, channels), np.uint8)
    for number in range(20):
        drawing[number * 2, :, 0] = 250 - number
        drawing[number * 2, :, -1] = 250 - number  # alpha, where there is one
    drawing = drawing[:, :, 0] if channels == 1 else drawing
    assert np.array_equal(as_read(drawing, 32), drawing)


def test_a_soft_shadow_keeps_its_shades() -> None:
    read = as_read(shadow(), 256)
    assert len(np.unique(read[:, :, 3])) > 24  # Pillow's own palette has 8
    assert abs(read[:, :, 3].astype(int) - shadow()[:, :, 3]).max() < 10
    assert np.array_equal(read[:, :, 3] == 255, shadow()[:, :, 3] == 255)
    assert not read[shadow()[:, :, 3] == 0].any()


def test_transparency_of_few_colours_is_all_or_nothing() -> None:
    assert set(np.unique(as_read(shadow(), 4)[:, :, 3])) == {0, 255}


def test_a_picture_without_opaque_pixels_has_its_colours_for_the_others() -> None:
    glass = np.dstack([shades(), np.full((80, 120), 100, np.uint8)])
    read = as_read(glass, 64)
    assert set(np.unique(read[:, :, 3])) == {100}
    assert colours_of(read) > 32


def test_profile_and_metadata_are_in_the_file() -> None:
    profile, exif, xmp = b"a profile" * 20, b"II*\0\x08\0\0\0" + bytes(6), b"<x:xmpmeta/>"
    data = Prepared(shades(), profile, Metadata(exif, xmp), "png").file(colours=16)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.mode == "P"
        assert image.info["icc_profile"] == profile
        assert image.info["exif"].removeprefix(b"Exif\0\0") == exif
        assert xmp in data


def test_grey_stays_grey_so_that_a_grey_profile_describes_it() -> None:
    assert with_colours(shades()[:, :, 0], 16).mode == "L"


def test_the_same_picture_has_the_same_palette() -> None:
    assert np.array_equal(as_read(shadow(), 64), as_read(shadow(), 64))
