"""Animations: what each frame shows, as browsers do, and what is written. ``films.shown`` is what Chromium shows."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from films import (
    BLUE,
    CANVAS,
    CLEAR,
    FILMS,
    GREEN,
    NONE,
    PALE,
    RED,
    WHOLE,
    Drawn,
    encoded,
    film,
    gif_film,
    png_film,
    shown,
    webp_film,
)
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageSequence

from cropper.errors import PhotoError
from cropper.image_formats import ANIMATED
from cropper.imaging.animation.film import MOST_FRAMES, film_of, has_several, moments
from cropper.imaging.animation.gif_file import gif_file
from cropper.imaging.animation.play import Shown, check_frames, frames
from cropper.imaging.animation.write import Timing
from cropper.imaging.decode import decode
from cropper.imaging.header import Header, probe
from cropper.imaging.metadata import Metadata
from cropper.settings import Limits

KINDS = ("gif", "webp", "png")
MAKERS: dict[str, Callable[[tuple[int, int], list[Drawn]], bytes]] = {"gif": gif_film, "webp": webp_film, "png": png_film}
HEADER = Header("PNG", *CANVAS, 1, True, False, False, None)
CASES = [pytest.param(kind, name, id=f"{kind}-{name}") for kind in KINDS for name in FILMS if film(kind, name) is not None]


def made(kind: str, name: str, plays: int = 0) -> bytes:
    data = film(kind, name, plays)
    assert data is not None
    return data


def played(data: bytes, kind: str) -> list[Shown]:
    found = film_of(data, kind.upper())
    assert found is not None
    return list(frames(data, found, probe(data)))


def rgba(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = bgr[:, :, 3:] if bgr.shape[2] == 4 else np.full((*bgr.shape[:2], 1), 255, np.uint8)
    return np.dstack([bgr[:, :, 2::-1], alpha])


def looks(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """RGBA without the colours of what is clear."""
    return np.where(pixels[:, :, 3:] > 0, pixels, 0).astype(np.int64)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_frames_are_composed_as_in_browsers(kind: str, name: str) -> None:
    seen = played(made(kind, name), kind)
    expected = shown(CANVAS, FILMS[name])
    assert len(seen) == len(expected)
    for one, other in zip(seen, expected, strict=True):
        assert np.abs(looks(rgba(one.pixels)) - looks(other)).max() <= 1
        assert (one.pixels.shape[2] == 3) == bool(other[:, :, 3].min() == 255)
    assert [one.ms for one in seen] == [frame.ms for frame in FILMS[name]]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_first_frame_is_the_still_picture_of_the_photo(kind: str, name: str) -> None:
    data = made(kind, name)
    still = decode(data, probe(data), CANVAS)
    assert np.array_equal(looks(rgba(still)), looks(rgba(played(data, kind)[0].pixels)))


@pytest.mark.parametrize("plays", [0, 1, 2, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_plays_are_those_of_the_file(kind: str, plays: int) -> None:
    found = film_of(made(kind, "whole frames", plays), kind.upper())
    assert found is not None
    assert (found.plays, found.count, found.is_whole) == (plays, 3, True)


@pytest.mark.parametrize("kind", KINDS)
def test_one_frame_is_no_animation(kind: str) -> None:
    data = MAKERS[kind](CANVAS, FILMS["whole frames"][:1])
    assert film_of(data, kind.upper()) is None
    assert not has_several(data, kind.upper())
    assert has_several(made(kind, "whole frames"), kind.upper())


def test_still_picture_beside_an_animation_is_not_in_it() -> None:
    hidden = np.full((*CANVAS[::-1], 4), BLUE, np.uint8)
    data = png_film(CANVAS, FILMS["smaller first frame"], 0, hidden)
    for one, other in zip(played(data, "png"), shown(CANVAS, FILMS["smaller first frame"]), strict=True):
        assert np.array_equal(looks(rgba(one.pixels)), looks(other))
    assert film_of(png_film(CANVAS, [Drawn(RED, WHOLE)], 0, hidden), "PNG") is None


def test_frame_beyond_the_canvas_is_cut_off() -> None:
    data = gif_film(CANVAS, [Drawn(RED, WHOLE), Drawn(GREEN, (30, 20, 50, 40)), Drawn(BLUE, (60, 60, 70, 70))])
    second, third = played(data, "gif")[1:]
    assert rgba(second.pixels)[25, 35].tolist() == list(GREEN)
    assert second.pixels.shape == (*CANVAS[::-1], 3)
    assert np.array_equal(second.pixels, third.pixels)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left", [0.6, 0.8, 0.95])
def test_frames_before_the_damage_are_right(kind: str, left: float) -> None:
    """A file that breaks off in a later frame gives the frames before it, and then the error."""
    noise = np.random.default_rng(1).integers(0, 255, (5, *CANVAS[::-1], 4)).astype(np.uint8) & 0xC0
    noise[..., 3] = 255
    drawn = [Drawn(one, WHOLE) for one in noise]
    data = MAKERS[kind](CANVAS, drawn)
    data = data[: round(len(data) * left)]
    found = film_of(data, kind.upper())
    assert found is not None
    seen: list[NDArray[np.uint8]] = []
    with pytest.raises(PhotoError, match=r"it is truncated or damaged \(in frame [2-5]"):
        seen.extend(one.pixels for one in frames(data, found, HEADER))
    assert 1 <= len(seen) < 5
    for one, other in zip(seen, noise, strict=False):
        assert np.array_equal(rgba(one), other)


def test_wrong_check_sum_ends_an_animated_png() -> None:
    data = made("png", "whole frames")
    at = data.rindex(b"fdAT") + 10
    found = film_of(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], "PNG")
    assert found is not None
    assert (len(found.parts), found.is_whole) == (2, False)


@pytest.mark.parametrize("format", ["webp", "png"])
def test_frames_are_turned_upright(format: str) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    header = replace(HEADER, metadata=Metadata(tags.tobytes().removeprefix(b"Exif\0\0")))
    data = encoded(bgra_of("smaller frames"), Timing((50.0,) * 3, 0, True), header, format, 100)
    seen = played(data, format)
    assert {one.pixels.shape[:2] for one in seen} == {(CANVAS[0], CANVAS[1])}
    for one, other in zip(seen, shown(CANVAS, FILMS["smaller frames"]), strict=True):
        turned = np.rot90(other, -1)
        assert np.abs(looks(rgba(one.pixels)) - looks(turned)).mean() < (8 if format == "webp" else 1e-9)


def test_garbage_is_no_animation() -> None:
    rng = np.random.default_rng(0)
    for kind in (*KINDS, "avif"):
        data = made(kind, "cleared") if kind != "avif" else b"\0\0\0\x20ftypavis" + bytes(40)
        for _ in range(200):
            broken = bytearray(data)
            for at in rng.integers(12, len(data), 3):
                broken[at] = rng.integers(256)
            found = film_of(bytes(broken[: rng.integers(12, len(data))]), kind.upper())
            assert found is None or found.count >= 2


@pytest.mark.parametrize(
    ("durations", "expected"),
    [((100.0,) * 8, (1, 3, 5, 7)), ((100.0, 100.0), (0, 1)), ((10.0, 9000.0, 10.0), (1,)), ((0.0, 0.0, 0.0, 0.0), (0, 1, 2, 3))],
)
def test_frames_to_look_at_are_spread_over_the_time(durations: tuple[float, ...], expected: tuple[int, ...]) -> None:
    assert moments(durations, 4) == expected


def test_more_frames_than_the_limits_allow_are_refused() -> None:
    found = film_of(made("gif", "whole frames"), "GIF")
    assert found is not None
    pixels = CANVAS[0] * CANVAS[1]
    check_frames(found, HEADER, Limits(pixels))
    with pytest.raises(PhotoError, match=r"more frames than is safe to decode \(31 of 40 x 30, 0 megapixels\)"):
        check_frames(replace(found, count=31), HEADER, Limits(3 * pixels))
    with pytest.raises(PhotoError, match=f"more than {MOST_FRAMES} of 40 x 30"):
        check_frames(replace(found, count=MOST_FRAMES + 1), HEADER, Limits())


# Writing.


def reread(data: bytes, format: str) -> list[Shown]:
    if format != "avif":
        return played(data, format)
    found = film_of(data, "AVIF")
    assert found is not None
    return list(frames(data, found, probe(data)))


def bgra_of(name: str) -> list[NDArray[np.uint8]]:
    return [one[:, :, [2, 1, 0, 3]] for one in shown(CANVAS, FILMS[name])]


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("format", ANIMATED)
def test_what_is_written_shows_the_same(format: str, name: str) -> None:
    written = bgra_of(name)
    timing = Timing(tuple(float(frame.ms) for frame in FILMS[name]), 3, any(one[:, :, 3].min() < 255 for one in written))
    if not timing.has_alpha:
        written = [np.ascontiguousarray(one[:, :, :3]) for one in written]
    data = encoded(written, timing, HEADER, format, 100)
    seen = reread(data, format)
    assert len(seen) == len(written)
    for one, other in zip(seen, written, strict=True):
        expected = looks(rgba(other))
        if format == "gif":  # it has nothing between clear and opaque
            expected = np.where(expected[:, :, 3:] >= 128, expected | [0, 0, 0, 255], 0)
        off = np.abs(looks(rgba(one.pixels)) - expected)
        assert off.max() <= 0 if format in ("png", "gif") else off.mean() < 8
    found = film_of(data, format.upper())
    assert found is not None
    assert found.plays == (3 if format != "avif" else 0)
    shortest = {0: 100, 10: 100} if format == "avif" else {}
    assert [one.ms for one in seen] == pytest.approx([shortest.get(frame.ms, frame.ms) for frame in FILMS[name]])


@pytest.mark.parametrize("plays", [0, 1, 4])
@pytest.mark.parametrize("format", ["gif", "webp", "png"])
def test_plays_are_written(format: str, plays: int) -> None:
    data = encoded(bgra_of("whole frames"), Timing((50.0,) * 3, plays, True), HEADER, format)
    found = film_of(data, format.upper())
    assert found is not None
    assert found.plays == plays


@pytest.mark.parametrize(("format", "rounded"), [("gif", [30, 40, 30]), ("webp", [33, 34, 33]), ("png", [100 / 3] * 3)])
def test_errors_of_rounded_times_do_not_add_up(format: str, rounded: list[float]) -> None:
    data = encoded(bgra_of("whole frames"), Timing((100 / 3,) * 3, 0, True), HEADER, format)
    assert [one.ms for one in played(data, format)] == pytest.approx(rounded)


def test_times_that_browsers_honour_are_not_written_as_such_that_they_do_not() -> None:
    """Browsers show a frame of a hundredth of a second for a tenth, but one of 12 milliseconds for 12."""
    data = encoded(bgra_of("whole frames"), Timing((12.0, 5.0, 10.0), 0, True), HEADER, "gif")
    times = [one.ms for one in played(data, "gif")]
    assert times[0] == 20
    assert max(times[1:]) <= 10


def test_only_what_changes_is_packed() -> None:
    rng = np.random.default_rng(0)
    still = rng.integers(0, 255, (120, 160, 3)).astype(np.uint8)
    moved = [still.copy() for _ in range(8)]
    for number, one in enumerate(moved):
        one[10:14, 10 + number : 14 + number] = 0
    for format in ("png", "webp", "gif"):
        header = replace(HEADER, width=160, height=120)
        sizes = [len(encoded(moved[:count], Timing((50.0,) * count, 0, False), header, format)) for count in (2, 8)]
        assert sizes[1] < 1.2 * sizes[0]


@pytest.mark.parametrize("format", ["png", "webp", "avif"])
def test_profile_and_metadata_go_along_once(format: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tags = Image.Exif()
    tags[0x8298] = "somebody"
    header = replace(HEADER, icc_profile=profile, metadata=Metadata(tags.tobytes().removeprefix(b"Exif\0\0")))
    pixels = [one[:, :, :3].copy() for one in bgra_of("whole frames")]
    data = encoded(pixels, Timing((50.0,) * 3, 0, False), header, format)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == profile
        assert image.getexif()[0x8298] == "somebody"
    assert data.count(b"somebody") == 1


@pytest.mark.parametrize("format", ANIMATED)
def test_frames_are_taken_one_after_the_other(format: str) -> None:
    """Memory holds a few of them: what comes out grows while frames go in."""
    alive, most = set[int](), 0

    class Counted(np.ndarray):
        def __del__(self) -> None:
            alive.discard(id(self))

    def each() -> Iterator[NDArray[np.uint8]]:
        nonlocal most
        for number in range(12):
            one = np.full((20, 20, 3), number, np.uint8).view(Counted)
            alive.add(id(one))
            most = max(most, len(alive))
            yield one
            del one

    encoded(each(), Timing((50.0,) * 12, 0, False), HEADER, format)
    assert most <= 4


def test_gif_of_few_colours_has_these() -> None:
    pixels = np.zeros((8, 200, 3), np.uint8)
    pixels[:, :, 1] = np.arange(200)
    with Image.open(io.BytesIO(gif_file([(pixels, 0.0)]))) as image:
        assert np.array_equal(np.asarray(image.convert("RGB"))[:, :, ::-1], pixels)
        assert getattr(image, "n_frames", 1) == 1


def test_gif_of_many_colours_is_close() -> None:
    y, x = np.mgrid[0:90, 0:120]
    pixels = np.stack([x * 2, y * 2, (x + y)], axis=2).astype(np.uint8)
    pixels = np.dstack([pixels, np.where(x < 60, 255, 0).astype(np.uint8)])
    with Image.open(io.BytesIO(gif_file([(pixels, 0.0)]))) as image:
        seen = np.asarray(image.convert("RGBA"))
    assert np.array_equal(seen[:, :, 3], pixels[:, :, 3])
    assert np.abs(seen[:, :60, :3].astype(int) - pixels[:, :60, 2::-1]).mean() < 5


def test_a_gif_may_uncover_what_is_clear() -> None:
    written = [np.zeros((10, 10, 4), np.uint8) for _ in range(3)]
    written[0][2:8, 2:8], written[1][5:, 5:], written[2][:3] = RED, GREEN, BLUE
    data = gif_file([(one, 50.0) for one in written], 0)
    for one, other in zip(played(data, "gif"), written, strict=True):
        assert np.array_equal(looks(one.pixels), looks(other))
    with Image.open(io.BytesIO(data)) as image:  # others read the same
        for frame, other in zip(ImageSequence.Iterator(image), written, strict=True):
            assert np.array_equal(looks(np.asarray(frame.convert("RGBA"))), looks(other[:, :, [2, 1, 0, 3]]))


def test_colours_of_this_test_are_of_every_kind() -> None:
    assert {colour[3] for colour in (RED, PALE, NONE)} == {255, 128, 0}
    assert any(frame.disposal == CLEAR for frames in FILMS.values() for frame in frames)


def test_an_avif_does_not_say_when_it_was_written() -> None:
    frames = [np.full((24, 40, 3), shade, np.uint8) for shade in (0, 90, 180)]
    data = encoded(frames, Timing((100.0,) * 3, 0, False), HEADER, "avif")
    for box in (b"mvhd", b"tkhd", b"mdhd"):
        version = data[data.index(box) + 4]
        times = data.index(box) + 8
        assert data[times : times + (16 if version else 8)] == bytes(16 if version else 8)
    with Image.open(io.BytesIO(data)) as image:
        assert [int(np.asarray(frame)[0, 0, 0]) for frame in ImageSequence.Iterator(image)] == pytest.approx([0, 90, 180], abs=4)
