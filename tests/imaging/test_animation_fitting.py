"""Animations within a number of bytes and of colours."""

from __future__ import annotations

import io
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
from films import encoded
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from cropper.image_formats import ANIMATED, LOSSLESS, QUALITY
from cropper.imaging.animation.write import PreparedAnimation, Timing, prepared_animation
from cropper.imaging.containers import png
from cropper.imaging.fitting import MOST_ENCODES, fitted_file
from cropper.imaging.header import Header
from cropper.settings import DEFAULT_TARGET, FEWEST_COLOURS, LOWEST_QUALITY, Encoding, Settings

SIDE, COUNT = 64, 4
HEADER = Header("PNG", SIDE, SIDE, 1, True, False, False, None)
TIMING = Timing((50.0,) * COUNT, 0, False)


def moving(has_alpha: bool = False) -> list[NDArray[np.uint8]]:
    """Frames of many colours, each with shades of its own; with alpha, a soft edge too."""
    down, across = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    noise = np.random.default_rng(0).normal(0, 12, (SIDE, SIDE))
    made = []
    for number in range(COUNT):
        wave = 128 + 90 * np.sin(6 * (across + number / COUNT)) + noise
        frame = np.stack([wave, 255 * down, np.full_like(down, 60 * number)], axis=2).clip(0, 255).astype(np.uint8)
        if has_alpha:
            frame = np.dstack([frame, (255 * (2 * across).clip(0, 1)).astype(np.uint8)])
        made.append(frame)
    return made


def animation(format: str, has_alpha: bool = False) -> PreparedAnimation:
    def frames() -> Generator[NDArray[np.uint8], None, None]:
        yield from moving(has_alpha)

    return prepared_animation(frames, Timing(TIMING.durations, 0, has_alpha), HEADER, format)


def frames_of(data: bytes) -> list[NDArray[np.uint8]]:
    with Image.open(io.BytesIO(data)) as image:
        return [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]


def colours_of(frames: list[NDArray[np.uint8]]) -> int:
    return len(np.unique(np.concatenate([np.where(one[:, :, 3:] > 0, one, 0).reshape(-1, 4) for one in frames]), axis=0))


@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("colours", [2, 5, 16, 100, 256])
def test_a_png_has_so_many_colours_in_all_frames_and_a_gif_in_each(colours: int, has_alpha: bool) -> None:
    of_png = frames_of(animation("png", has_alpha).file(colours=colours))
    of_gif = frames_of(animation("gif", has_alpha).file(colours=colours))
    assert len(of_png) == len(of_gif) == COUNT
    assert colours_of(of_png) <= colours
    assert max(colours_of([one]) for one in of_gif) <= colours


def test_frames_of_a_png_share_a_palette_of_all_of_them() -> None:
    data = animation("png").file(colours=100)
    names = [name for name, _, _ in png.chunks_of(data)]
    assert data[25] == 3  # of mode palette
    assert names.count(b"PLTE") == 1
    for one, other in zip(frames_of(data), moving(), strict=True):
        assert np.abs(one[:, :, 2::-1].astype(int) - other).mean() < 10
    assert len(data) < 0.7 * len(animation("png").file())


@pytest.mark.parametrize("format", ["png", "gif"])
def test_few_colours_are_kept_exactly(format: str) -> None:
    """Also one that a single pixel of a later frame has."""
    frames = [np.full((SIDE, SIDE, 3), shade, np.uint8) for shade in (10, 90, 200)]
    frames[2][7, 9] = (1, 2, 3)
    data = encoded(frames, Timing((50.0,) * 3, 0, False), HEADER, format, colours=4)
    assert all(np.array_equal(one[:, :, 2::-1], other) for one, other in zip(frames_of(data), frames, strict=True))


def test_a_long_animation_has_a_palette_of_its_first_and_last_frames() -> None:
    noise = np.random.default_rng(0)
    shades = [40, 200]
    frames = [noise.integers(shade - 20, shade + 20, (SIDE, SIDE, 3), np.uint8) for shade in shades for _ in range(30)]
    data = encoded(frames, Timing((50.0,) * 60, 0, False), HEADER, "png", colours=64)
    seen = frames_of(data)
    for one, other in ((seen[0], frames[0]), (seen[-1], frames[-1])):
        assert np.abs(one[:, :, 2::-1].astype(int) - other).mean() < 12


@pytest.mark.parametrize("format", ANIMATED)
def test_a_limit_takes_quality_or_colours_of_all_frames(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = animation(format).file()
    encodes = []
    write = PreparedAnimation.file

    def counted(*args: Any, **named: Any) -> bytes:
        encodes.append(args)
        return write(*args, **named)

    monkeypatch.setattr(PreparedAnimation, "file", counted)
    settings = Settings((DEFAULT_TARGET,), encoding=Encoding(max_bytes=len(whole) * 3 // 4))
    data, message = fitted_file(animation(format), settings)
    assert (message, len(frames_of(data))) == ("", COUNT)
    assert len(whole) // 4 < len(data) <= len(whole) * 3 // 4
    assert len(encodes) <= MOST_ENCODES
    assert fitted_file(animation(format), Settings((DEFAULT_TARGET,), encoding=Encoding(max_bytes=len(whole)))) == (whole, "")


@pytest.mark.parametrize("format", ANIMATED)
def test_what_does_not_fit_is_said(format: str) -> None:
    data, message = fitted_file(animation(format), Settings((DEFAULT_TARGET,), encoding=Encoding(max_bytes=200)))
    lowest = f"with {FEWEST_COLOURS} colours" if QUALITY[format] == LOSSLESS else f"at quality {LOWEST_QUALITY}"
    assert message == f"larger than 200 bytes, even {lowest}"
    assert len(frames_of(data)) == COUNT
