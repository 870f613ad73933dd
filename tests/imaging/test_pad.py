"""Photos that stay whole in another shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropper.geometry import fitted
from cropper.imaging.pad import canvas_for, padded
from cropper.settings import Target

SIDES = st.integers(1, 6000)


def halves() -> np.ndarray:
    """Blue over red, [40, 60, 3]."""
    picture = np.empty((40, 60, 3), np.uint8)
    picture[:20], picture[20:] = (200, 10, 10), (10, 10, 200)
    return picture


@given(SIDES, SIDES, SIDES, SIDES, st.booleans())
def test_a_photo_fits_into_its_canvas_and_touches_two_sides_unless_it_is_small(
    width: int, height: int, across: int, down: int, enlarge: bool
) -> None:
    canvas = canvas_for(width, height, Target((across, down), (across, down)))
    assert canvas == (across, down)  # a page that asks for squares gets squares
    fit = fitted(width, height, canvas, enlarge)
    assert fit[0] <= canvas[0]
    assert fit[1] <= canvas[1]
    assert fit[0] == canvas[0] or fit[1] == canvas[1] or (not enlarge and fit == (width, height))


@given(SIDES, SIDES)
def test_a_canvas_without_a_size_holds_the_photos_own_pixels(width: int, height: int) -> None:
    canvas = canvas_for(width, height, Target((1, 1)))
    assert canvas == (max(width, height),) * 2


def test_a_kept_photo_is_not_enlarged_unless_asked() -> None:
    assert fitted(100, 50, (400, 400), enlarge=False) == (100, 50)
    assert fitted(100, 50, (400, 400)) == (400, 200)
    assert fitted(1000, 500, (400, 400), enlarge=False) == (400, 200)
    assert fitted(6000, 1, (100, 100)) == (100, 1)


@pytest.mark.parametrize("fill", ["blur", "edge", "#102030"])
@pytest.mark.parametrize("canvas", [(60, 90), (101, 40), (60, 40), (99, 81)])
def test_the_picture_stands_whole_in_the_middle(fill: str, canvas: tuple[int, int]) -> None:
    picture = halves()
    result = padded(picture, picture, canvas, fill)
    assert result.shape == (canvas[1], canvas[0], 3)
    left, top = (canvas[0] - 60) // 2, (canvas[1] - 40) // 2
    assert np.array_equal(result[top : top + 40, left : left + 60], picture)


def test_padding_is_of_the_colour_asked_for() -> None:
    assert padded(halves(), halves(), (60, 90), "#102030")[0, 0].tolist() == [0x30, 0x20, 0x10]


def test_padding_is_of_the_edges_colour_on_either_side() -> None:
    tall = padded(halves(), halves(), (60, 90), "edge")
    assert tall[0, 30].tolist() == [200, 10, 10]
    assert tall[-1, 30].tolist() == [10, 10, 200]
    wide = padded(halves(), halves(), (100, 40), "edge")
    assert wide[5, 0].tolist() == wide[35, -1].tolist() == [105, 10, 105]


def test_padding_on_all_sides_is_of_one_colour() -> None:
    around = padded(halves(), halves(), (100, 90), "edge")
    assert len(np.unique(np.concatenate([around[:20].reshape(-1, 3), around[:, :15].reshape(-1, 3)]), axis=0)) == 1


def test_padding_is_the_photo_without_its_details() -> None:
    rng = np.random.default_rng(0)
    noisy = np.clip(halves().astype(int) + rng.integers(-60, 60, (40, 60, 3)), 0, 255).astype(np.uint8)
    bar = padded(noisy, noisy, (60, 140), "blur")[:40].astype(float)
    assert np.abs(np.diff(bar, axis=1)).mean() < 3  # the noise itself: some 40
    assert bar[2, :, 0].mean() > 150  # above it is blue, as in the photo
    assert bar[2, :, 2].mean() < 60


def test_transparent_photos_are_padded_with_what_is_at_their_edges() -> None:
    picture = np.zeros((40, 60, 4), np.uint8)
    picture[10:30, 20:40] = (0, 0, 255, 255)
    assert padded(picture, picture, (60, 90), "edge")[0, 0, 3] == 0
    assert padded(picture, picture, (60, 90), "#ffffff")[0, 0].tolist() == [255] * 4
