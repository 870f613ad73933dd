"""From a photo's bytes to its pixels and maps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures import imread

from cropper import PhotoError
from cropper.choosing.boxes import best_box
from cropper.choosing.view import Maps, view_of
from cropper.model import look
from cropper.model.look import infer_maps, model_input_of, open_photo, read_header
from cropper.model.saliency import Saliency
from cropper.settings import KEEP_ALL, Limits


def jpeg(width: int, height: int) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    return cv2.imencode(".jpg", cv2.resize(noise, (width, height)))[1].tobytes()


def whole(width: int, height: int) -> tuple[int, int]:
    return width, height


def test_a_photo_is_decoded_to_what_is_needed_and_prepared_for_the_model() -> None:
    asked = []

    def an_eighth(width: int, height: int) -> tuple[int, int]:
        asked.append((width, height))
        return width // 8, height // 8

    photo = open_photo(jpeg(1600, 800), an_eighth)
    assert asked == [(1600, 800)]
    assert (photo.header.width, photo.header.height) == (1600, 800)
    assert photo.pixels.shape == (100, 200, 3)
    np.testing.assert_array_equal(photo.model_input, model_input_of(photo.pixels, photo.header))
    assert not photo.salvaged


def test_transparency_lies_on_white_for_the_model_alone() -> None:
    photo = open_photo(cv2.imencode(".png", np.zeros((40, 60, 4), np.uint8))[1].tobytes(), whole)
    assert photo.pixels.shape == (40, 60, 4)
    assert photo.model_input.min() == 255


def test_what_is_needed_may_refuse_a_photo_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(width: int, height: int) -> tuple[int, int]:
        raise PhotoError("not this one")

    monkeypatch.setattr(look, "decode_or_salvage", lambda *arguments: pytest.fail("it was decoded"))
    with pytest.raises(PhotoError, match="not this one"):
        open_photo(jpeg(160, 160), refuse)


def test_a_damaged_photo_is_salvaged_only_where_the_limits_allow_it() -> None:
    damaged = jpeg(320, 320)[:-400]
    with pytest.raises(PhotoError):
        open_photo(damaged, whole)
    assert open_photo(damaged, whole, Limits(salvage=True)).salvaged


def test_metadata_comes_with_the_header_only_where_it_is_kept(samples: Path) -> None:
    data = (samples / "wren.jpg").read_bytes()
    assert read_header(data, Limits()) == open_photo(data, whole).header
    assert read_header(data, Limits(), KEEP_ALL) == open_photo(data, whole, keep=KEEP_ALL).header


def test_the_maps_of_a_batch_are_those_of_each_photo_alone() -> None:
    model = Saliency()
    photos = [open_photo(jpeg(320, 320), whole), open_photo(jpeg(640, 640), whole)]
    together = infer_maps(photos, model)
    for photo, maps in zip(photos, together, strict=True):
        assert isinstance(maps, Maps)
        assert maps.density.sum() == pytest.approx(1, abs=1e-4)
        np.testing.assert_array_equal(maps.density, infer_maps([photo], model)[0].density)


def test_large_photos_wait_for_each_other_and_their_clocks_stand_still_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "LARGE", 100_000)
    order: list[tuple[str, bool]] = []
    waits = threading.Event()

    def clock_of(name: str) -> Callable[[bool], None]:
        def clock(runs: bool) -> None:
            order.append((name, runs))
            waits.set()

        return clock

    with look._one_large:
        other = threading.Thread(target=open_photo, args=(jpeg(640, 640), whole), kwargs={"clock": clock_of("large")})
        other.start()
        assert waits.wait(10)
        open_photo(jpeg(160, 160), whole, clock=clock_of("small"))  # does not wait
        assert order == [("large", False)]
    other.join(10)
    assert order == [("large", False), ("large", True)]


@pytest.mark.parametrize(("shade", "ground"), [(255, 0), (230, 0), (120, 255), (0, 255)])
def test_pale_cut_outs_lie_on_dark_for_the_model(shade: int, ground: int) -> None:
    """On white it would see nothing."""
    logo = np.zeros((320, 320, 4), np.uint8)
    logo[60:140, 200:300] = (shade, shade, shade, 255)
    photo = open_photo(cv2.imencode(".png", logo)[1].tobytes(), whole)
    assert photo.pixels.shape[2] == 4
    assert abs(int(photo.model_input[5, 5, 0]) - ground) <= 1
    assert abs(int(photo.model_input[100, 250, 0]) - shade) <= 1


def test_pale_photo_with_round_corners_lies_on_white_for_the_model() -> None:
    framed = np.full((320, 320, 4), 240, np.uint8)
    framed[:, :, 3] = 255
    framed[:20, :20, 3] = 0
    assert open_photo(cv2.imencode(".png", framed)[1].tobytes(), whole).model_input.min() == 240


def test_no_head_is_seen_in_what_is_transparent() -> None:
    opaque = np.zeros((40, 40), np.float32)
    opaque[:20] = 1
    ones = np.ones((40, 40), np.float32)
    maps = look._of_opaque(Maps(ones / np.float32(1600), ones, ones), opaque)
    assert maps.head is not None
    assert (maps.head[20:].max(), maps.head[:20].min()) == (0, 1)


@pytest.mark.parametrize("colour", [255, 40])
def test_nobody_looks_at_what_is_transparent(colour: int) -> None:
    """A logo on nothing, white or dark: it is the subject, and all of the density is on it."""
    logo = np.zeros((240, 320, 4), np.uint8)
    logo[60:140, 200:300] = (colour, colour, colour, 255)
    (maps,) = infer_maps([open_photo(cv2.imencode(".png", logo)[1].tobytes(), whole)], Saliency())
    view = view_of(maps)
    (part,) = view.subjects
    assert (part.left, part.top, part.right, part.bottom) == pytest.approx((200 / 320, 60 / 240, 300 / 320, 140 / 240), abs=0.02)
    assert part.density > 0.95
    box = best_box(view, 320, 240, (9, 16))
    assert box.x <= 200
    assert box.x + box.width >= 300


def test_round_corners_make_no_subject_of_a_photo() -> None:
    framed = np.full((240, 320, 4), 255, np.uint8)
    framed[:12, :12, 3] = 0
    (maps,) = infer_maps([open_photo(cv2.imencode(".png", framed)[1].tobytes(), whole)], Saliency())
    assert maps.subject is not None
    assert maps.subject.max() < 0.5
    assert maps.density[0, 0] == 0


@pytest.mark.parametrize("alpha", [254, 128])
def test_even_translucency_makes_no_subject_of_a_photo(samples: Path, alpha: int) -> None:
    photo = imread(str(samples / "wren.jpg"))
    pale = np.dstack([photo, np.full(photo.shape[:2], alpha, np.uint8)])
    (maps,) = infer_maps([open_photo(cv2.imencode(".png", pale)[1].tobytes(), whole)], Saliency())
    assert maps.subject is not None
    assert maps.subject.mean() < 0.9
