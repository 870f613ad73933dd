"""GIFs that one decoder refuses, whole or not, and frames that are smaller than the screen."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hostile import with_bytes
from PIL import Image

from cropper import PhotoError
from cropper.imaging.containers import gif
from cropper.imaging.decode import decode
from cropper.imaging.header import probe

PICTURE = Image.effect_noise((60, 44), 80).quantize(64)
WIDTH, HEIGHT = PICTURE.size


def file(**options: object) -> bytes:
    stream = io.BytesIO()
    PICTURE.save(stream, "GIF", **options)
    return stream.getvalue()


WHOLE = file()
BGR = np.asarray(PICTURE.convert("RGB"))[:, :, ::-1]
AT = WHOLE.index(b"\x2c\0\0\0\0")


def decoded(data: bytes) -> np.ndarray:
    header = probe(data)
    return decode(data, header, (header.width, header.height))


@pytest.mark.parametrize("behind", [b"", b"\0", b"\0junk"])
def test_gif_without_its_last_byte_is_whole(behind: bytes) -> None:
    assert np.array_equal(decoded(WHOLE.rstrip(b";\0") + behind), BGR)


@pytest.mark.parametrize("colours", [2, 4, 16, 256])
@pytest.mark.parametrize("interlace", [0, 1])
def test_whole_picture_is_known_from_one_that_lacks_its_end(colours: int, interlace: int) -> None:
    stream = io.BytesIO()
    Image.effect_noise((90, 70), 80).quantize(colours).save(stream, "GIF", interlace=interlace)
    whole = stream.getvalue()
    assert gif.is_whole(whole)
    assert not gif.is_whole(whole[:-40])
    assert not gif.is_whole(whole[:20])


def test_picture_that_lacks_its_end_is_an_error() -> None:
    for end in (-10, -60, -400):
        for trailer in (b"", b"\0", b"\0;"):
            with pytest.raises(PhotoError, match="truncated or damaged"):
                decoded(WHOLE[:end] + trailer)


def test_frame_beyond_the_screen_widens_it() -> None:
    pixels = decoded(with_bytes(WHOLE, AT + 1, b"\x0a\0\x05\0"))
    assert pixels.shape == (HEIGHT + 5, WIDTH + 10, 4)
    assert np.array_equal(pixels[5:, 10:, :3], BGR)
    assert pixels[:, :, 3].sum() == 255 * WIDTH * HEIGHT


def test_screen_is_clear_around_a_smaller_frame() -> None:
    pixels = decoded(with_bytes(WHOLE, 6, (WIDTH + 20).to_bytes(2, "little") + (HEIGHT + 8).to_bytes(2, "little")))
    assert np.array_equal(pixels[:HEIGHT, :WIDTH, :3], BGR)
    assert pixels[:, :, 3].sum() == 255 * WIDTH * HEIGHT
