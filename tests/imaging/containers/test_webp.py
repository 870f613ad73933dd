"""WebPs whose stated length is wrong, or that break off behind their pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cropper import PhotoError
from cropper.imaging.animation import play
from cropper.imaging.animation.film import film_of
from cropper.imaging.containers import webp
from cropper.imaging.decode import decode
from cropper.imaging.header import probe

IMAGE = Image.effect_noise((40, 32), 60).convert("RGB")


def file(is_lossless: bool, mode: str) -> bytes:
    stream = io.BytesIO()
    IMAGE.convert(mode).save(stream, "WEBP", lossless=is_lossless)
    return stream.getvalue()


def decoded(data: bytes) -> NDArray[np.uint8]:
    header = probe(data)
    return decode(data, header, (header.width, header.height))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("is_lossless", [False, True])
def test_chunks_that_are_whole_are_the_picture_whatever_length_the_file_states(is_lossless: bool, mode: str) -> None:
    whole = file(is_lossless, mode)
    stated = whole[:4] + (1 << 20).to_bytes(4, "little") + whole[8:]
    for data in (stated, stated + b"XMP \xff\xff\0\0<x", stated + b"XM"):
        assert np.array_equal(decoded(data), decoded(whole))


@pytest.mark.parametrize("is_lossless", [False, True])
def test_pixels_that_break_off_are_damaged(is_lossless: bool) -> None:
    whole = file(is_lossless, "RGB")
    for missing in (2, 60, len(whole) // 2):
        with pytest.raises(PhotoError, match="damaged"):
            decoded(whole[:-missing])


def test_sound_file_is_left_alone() -> None:
    for data in (file(True, "RGB"), file(True, "RGB") + b"more", b"RIFF", b"\x89PNG"):
        assert webp.sound(data) is data


def test_first_frame_is_shown_where_a_later_one_breaks_off() -> None:
    stream = io.BytesIO()
    frames = [IMAGE, IMAGE.rotate(90), IMAGE.rotate(180)]
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:], duration=90)
    whole = stream.getvalue()
    second = whole.index(b"ANMF", whole.index(b"ANMF") + 4)
    for length in (second, second + 5, second + 100, len(whole) - 3):
        assert np.array_equal(decoded(whole[:length]), decoded(whole))
        film = film_of(whole[:length], "WEBP")
        with pytest.raises(PhotoError, match="damaged"):  # with all frames, the rest is missed
            assert film is None or list(play.frames(whole[:length], film, probe(whole[:length])))
    with pytest.raises(PhotoError, match="damaged"):
        decoded(whole[: second - 100])
