"""Masks and equal faces: how labels become targets, and what is measured."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures import imread
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from cropper.training.data import WHOLE, Photo, Window, head_mask, make_batch, masks_of, with_masks  # noqa: E402
from cropper.training.fit import mask_losses  # noqa: E402
from cropper.training.masks import write_masks  # noqa: E402
from cropper.training.parity import (  # noqa: E402
    Cast,
    Face,
    exposed,
    faces_of,
    is_held_out,
    parity_loss,
    preference,
    random_scene,
    scene_batch,
    typology,
)

SAMPLES = Path(__file__).parents[2] / "sample_images"
# The astronaut's head, as shares of the photo's sides.
HEAD = np.array([[0.32, 0.03, 0.56, 0.37]], np.float32)


@pytest.fixture(scope="module")
def astronaut() -> Photo:
    bgr = np.asarray(imread(str(SAMPLES / "astronaut.jpg")), np.uint8)
    return Photo("set", "astronaut.jpg", bgr, subject=np.full((96, 96), 255, np.uint8), heads=HEAD)


@given(st.floats(0.2, 0.8), st.floats(0.2, 0.8), st.floats(0.1, 0.4))
def test_a_head_is_drawn_where_it_is_with_its_area(x: float, y: float, side: float) -> None:
    mask = head_mask(np.array([[x - side / 2, y - side / 2, x + side / 2, y + side / 2]]), WHOLE, 36, 48)
    inside = np.clip([x - side / 2, x + side / 2, y - side / 2, y + side / 2], 0, 1)
    assert mask.sum() / mask.size <= np.pi / 4 * side**2 * 1.25
    if (inside == [x - side / 2, x + side / 2, y - side / 2, y + side / 2]).all():
        assert mask.sum() / mask.size == pytest.approx(np.pi / 4 * side**2, rel=0.2)
        assert (mask.sum(axis=0) @ (np.arange(48) + 0.5)) / mask.sum() / 48 == pytest.approx(x, abs=0.01)


def test_a_window_shows_its_part_of_the_masks(astronaut: Photo) -> None:
    left, right = (masks_of(astronaut, Window(x, 0, 0.5, 0.5), 36, 48)[1] for x in (0.0, 0.5))
    assert left[:, -10:].max() > 0.99
    assert left[:, :20].max() == 0
    assert right[:, :4].max() > 0.9
    assert right[:, 20:].max() == 0


def test_a_mirrored_photo_has_mirrored_masks(astronaut: Photo) -> None:
    batch = make_batch([astronaut, astronaut], [WHOLE, WHOLE], [False, True], (96, 128), ("set",))
    torch.testing.assert_close(batch.masks[0], batch.masks[1].flip(2))
    assert batch.has_masks.tolist() == [True, True]


def test_masks_are_written_and_read_by_the_name_of_the_photo(astronaut: Photo, tmp_path: Path) -> None:
    other = Photo("other", "b.jpg", astronaut.bgr)
    write_masks([astronaut, other], tmp_path, "head", lambda bgr: HEAD)
    write_masks([astronaut], tmp_path, "subject", lambda bgr: np.ones((3, 4), np.uint8))
    labelled, without = with_masks([Photo("set", "astronaut.jpg", astronaut.bgr), other], tmp_path)
    assert labelled.heads is not None
    np.testing.assert_array_equal(labelled.heads, HEAD)
    assert labelled.subject is not None
    assert without.subject is None


def test_the_loss_of_masks_is_least_where_they_are_right() -> None:
    target = torch.zeros(1, 2, 8, 8)
    target[:, :, 2:5, 2:5] = 1
    right, none, all_of_it = (8 * logits for logits in (2 * target - 1, -torch.ones_like(target), torch.ones_like(target)))
    losses = [mask_losses(logits, target) for logits in (right, none, all_of_it)]
    assert (losses[0] < 0.01).all()
    assert (losses[1] > 1).all()
    assert (losses[2] > 1).all()


def face(grey: int) -> Face:
    bgr = np.full((80, 60, 3), grey, np.uint8)
    cv2.circle(bgr, (30, 30), 12, (grey // 2, grey // 2, grey), -1)
    return Face(bgr, float(grey))


CAST = Cast([face(grey) for grey in range(60, 240, 20)], [Photo("pool", "a", np.full((90, 120, 3), 128, np.uint8))])


@given(st.integers(0, 999))
def test_faces_of_a_scene_do_not_touch_and_are_of_one_size(seed: int) -> None:
    scene = random_scene(CAST, np.random.default_rng(seed))
    assert 2 <= len(scene.regions) <= 4
    assert scene.regions.sum(axis=0).max() == 1
    sizes = scene.regions.sum(axis=(1, 2))
    assert sizes.min() == sizes.max() > 0


def test_equal_faces_cost_nothing_and_a_preferred_one_does() -> None:
    rng = np.random.default_rng(0)
    scenes = [random_scene(CAST, rng) for _ in range(3)]
    _, regions = scene_batch(scenes)
    even = torch.zeros(3, *scenes[0].regions.shape[1:])
    assert parity_loss(even, regions).abs().max() < 1e-6
    preferred = even + torch.stack([2 * of_scene[0] for of_scene in regions])
    assert (parity_loss(preferred, regions) > 1).all()


def brightness(bgr: NDArray[np.uint8], power: float) -> NDArray[np.floating]:
    cells = bgr.astype(np.float64).mean(axis=2).reshape(bgr.shape[0] // 8, 8, bgr.shape[1] // 8, 8).mean(axis=(1, 3)) + 1
    return cells**power / (cells**power).sum()


def test_a_preference_for_light_or_dark_is_found_and_a_side_too() -> None:
    light, dark = (preference(partial(brightness, power=power), CAST, 8, False) for power in (2, -2))
    assert light.darker == light.darker_exposure == 0
    assert dark.darker == dark.darker_exposure == 1
    assert light.left == dark.left == 0.5
    leaning = preference(lambda bgr: np.tile(np.linspace(2, 1, bgr.shape[1] // 8), (bgr.shape[0] // 8, 1)), CAST, 8, True)
    assert leaning.left == 1
    assert leaning.darker == leaning.darker_exposure == 0.5


def test_lighter_skin_has_the_larger_angle(astronaut: Photo) -> None:
    (found,) = faces_of([astronaut])
    darker, lighter = exposed(found, 1 / 1.5), exposed(found, 1.5)
    assert darker.typology < found.typology < lighter.typology
    assert typology(np.full((4, 4, 3), (120, 150, 200), np.uint8)) > typology(np.full((4, 4, 3), (30, 50, 80), np.uint8))


def test_a_fixed_part_of_the_photos_is_held_out() -> None:
    held = [is_held_out(Photo("pool", f"{i}.jpg", np.zeros((1, 1, 3), np.uint8))) for i in range(400)]
    assert 70 < sum(held) < 130
