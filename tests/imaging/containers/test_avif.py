"""AVIFs whose pixels are damaged, and whose EXIF is as libheif writes it."""

from __future__ import annotations

import io
import random
from contextlib import suppress

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cropper import PhotoError
from cropper.imaging.containers import avif
from cropper.imaging.decode import decode
from cropper.imaging.header import probe

EXIF = Image.Exif()
EXIF[271] = "a camera"
IMAGE = Image.effect_noise((48, 40), 60).convert("RGB")
MODES = ("RGB", "RGBA", "L")


def file(mode: str) -> bytes:
    stream = io.BytesIO()
    IMAGE.convert(mode).save(stream, "AVIF", exif=EXIF.tobytes(), quality=80, speed=10)
    return stream.getvalue()


def decoded(data: bytes) -> NDArray[np.uint8]:
    header = probe(data)
    return decode(data, header, (header.width, header.height))


@pytest.mark.parametrize("mode", MODES)
def test_exif_is_hidden_and_all_else_stays(mode: str) -> None:
    whole = file(mode)
    plain = avif.without_exif(whole)
    assert plain is not None
    assert len(plain) == len(whole)
    assert 0 < sum(a != b for a, b in zip(plain, whole, strict=True)) <= 4
    assert avif.without_exif(plain) is None
    assert np.array_equal(decoded(plain), decoded(whole))


@pytest.mark.parametrize("mode", MODES)
def test_exif_that_opencv_refuses_costs_no_pixels(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = cv2.imdecode

    def refusing(data: NDArray[np.uint8], flags: int) -> object:  # as it does with the EXIF of libheif
        return None if avif.without_exif(data.tobytes()) else read(data, flags)

    whole = file(mode)
    true = decoded(whole)
    monkeypatch.setattr("cropper.imaging.decode.cv2.imdecode", refusing)
    monkeypatch.setattr("cropper.imaging.decode._decode_by_pillow", None)
    assert np.array_equal(decoded(whole), true)


@pytest.mark.parametrize("mode", MODES)
def test_damaged_pixels_are_not_shown(mode: str) -> None:
    whole = file(mode)
    true = decoded(whole).astype(int)
    rng, start, refused = random.Random(3), whole.index(b"mdat") + 60, 0
    for _ in range(12):
        flipped = bytearray(whole)
        flipped[rng.randrange(start, len(whole) - 60)] ^= 1 << rng.randrange(8)
        refused += 1
        with suppress(PhotoError):
            assert np.abs(decoded(bytes(flipped)) - true).mean() < 2
            refused -= 1
    assert refused > 6
