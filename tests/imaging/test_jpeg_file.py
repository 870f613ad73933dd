"""The JPEGs that cropper writes: the bytes that Pillow would write, and what no marker has room for."""

from __future__ import annotations

import io
import threading

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cropper.imaging.jpeg_file import encode_jpeg
from cropper.imaging.metadata import NOTHING, Metadata

NOISE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
PICTURE: NDArray[np.uint8] = np.asarray(cv2.GaussianBlur(np.kron(NOISE, np.ones((4, 4, 1), np.uint8)), (0, 0), 3), np.uint8)
ODD = PICTURE[:37, 5:106]  # not contiguous, and sides that are no multiple of a block
GREY = PICTURE[:, :, 1]
EXIF, XMP = b"II*\0" + bytes(range(200)), b"<x:xmpmeta>" + b"x" * 500 + b"</x:xmpmeta>"
SHORT, LONG = bytes(range(256)) * 2, bytes(range(256)) * 700  # a profile of one marker, and of three


def by_pillow(pixels: NDArray[np.uint8], profile: bytes | None, metadata: Metadata, quality: int) -> bytes:
    rgb = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[:, :, ::-1])
    exif = b"Exif\0\0" + metadata.exif if metadata.exif else b""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=quality, icc_profile=profile, exif=exif, xmp=metadata.xmp or None)
    return file.getvalue()


@pytest.mark.parametrize("pixels", [PICTURE, ODD, GREY, PICTURE[:1, :1]], ids=["colour", "odd", "grey", "dot"])
@pytest.mark.parametrize("profile", [None, SHORT, LONG], ids=["bare", "short", "long"])
@pytest.mark.parametrize("metadata", [NOTHING, Metadata(EXIF), Metadata(b"", XMP), Metadata(EXIF, XMP)])
def test_a_jpeg_has_the_bytes_that_pillow_writes(pixels: NDArray[np.uint8], profile: bytes | None, metadata: Metadata) -> None:
    for quality in (1, 60, 82, 100):
        assert encode_jpeg(pixels, profile, metadata, quality, False) == by_pillow(pixels, profile, metadata, quality)


def test_what_no_jpeg_can_hold_is_rejected() -> None:
    for progressive in (False, True):
        assert encode_jpeg(PICTURE, None, Metadata(bytes(70_000)), 80, progressive) is None
        assert encode_jpeg(PICTURE, None, Metadata(b"", bytes(70_000)), 80, progressive) is None
        assert encode_jpeg(np.zeros((1, 66_000, 3), np.uint8), None, NOTHING, 80, progressive) is None


def test_other_threads_run_while_a_jpeg_is_encoded() -> None:
    large = np.resize(PICTURE, (3000, 3000, 3))
    counted, done = 0, threading.Event()

    def count() -> None:
        nonlocal counted
        while not done.wait(0.0005):
            counted += 1

    other = threading.Thread(target=count)
    other.start()
    before = counted
    encode_jpeg(large, None, NOTHING, 80, False)
    passed = counted - before
    done.set()
    other.join()
    assert passed > 1
