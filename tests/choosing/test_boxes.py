"""Geometry by properties: whatever the density and the shapes, these hold."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from fixtures import choose
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cropper import UsageError
from cropper.geometry import largest_size
from cropper.settings import Target

SIDES = st.integers(1, 7000)
ASPECTS = st.tuples(st.integers(1, 40), st.integers(1, 40))


@st.composite
def densities(draw: st.DrawFn) -> np.ndarray:
    rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = rng.random((rows, columns)) ** draw(st.integers(1, 12))
    return density / density.sum()


@given(densities(), SIDES, SIDES, ASPECTS)
def test_box_is_the_largest_of_its_aspect_inside_the_photo(
    density: NDArray[np.float64], width: int, height: int, aspect: tuple[int, int]
) -> None:
    box = choose(density, width, height, aspect)
    assert box.x >= 0
    assert box.x + box.width <= width
    assert box.y >= 0
    assert box.y + box.height <= height
    assert box.width == width or box.height == height
    ratio: Any = Fraction(*aspect)  # else mypy joins int and Fraction to what is no number
    if box.width == width:
        assert abs(box.height - min(height, max(1, width / ratio))) <= Fraction(1, 2)
    if box.height == height:
        assert abs(box.width - min(width, max(1, height * ratio))) <= Fraction(1, 2)
    assert 0 <= box.kept <= 1
    assert box.x <= box.focus[0] < box.x + box.width
    assert box.y <= box.focus[1] < box.y + box.height


@given(densities(), SIDES, SIDES, ASPECTS)
def test_mirrored_photo_gives_the_mirrored_box_to_a_pixel(
    density: NDArray[np.float64], width: int, height: int, aspect: tuple[int, int]
) -> None:
    box = choose(density, width, height, aspect)
    mirrored = choose(density[:, ::-1], width, height, aspect)
    assert abs(mirrored.x - (width - box.x - box.width)) <= 1
    assert mirrored.y == box.y
    assert mirrored.kept == pytest.approx(box.kept, abs=2 / width)
    assert abs(mirrored.focus[0] - (width - 1 - box.focus[0])) <= 1


@given(densities(), SIDES, SIDES, ASPECTS, st.integers(1, 50))
def test_every_size_of_an_aspect_has_the_same_box(
    density: NDArray[np.float64], width: int, height: int, aspect: tuple[int, int], times: int
) -> None:
    scaled = aspect[0] * times, aspect[1] * times
    assert choose(density, width, height, scaled) == choose(density, width, height, aspect)


@given(st.integers(2, 60), st.integers(2, 60), SIDES, SIDES, ASPECTS)
def test_flat_density_gives_the_centre(rows: int, columns: int, width: int, height: int, aspect: tuple[int, int]) -> None:
    for density in (np.full((rows, columns), 1 / (rows * columns)), np.zeros((rows, columns))):
        box = choose(density, width, height, aspect)
        assert abs(box.x - (width - box.width) / 2) <= 0.5
        assert abs(box.y - (height - box.height) / 2) <= 0.5


@given(st.integers(0, 99), ASPECTS)
def test_nearly_flat_density_gives_the_centre(seed: int, aspect: tuple[int, int]) -> None:
    """What a model says of a blank page: noise, and the centre bias, here even on the wrong side."""
    density = np.random.default_rng(seed).uniform(0.8, 1, (30, 40)) + np.linspace(0, 0.2, 40)
    box = choose(density, 640, 480, aspect)
    assert abs(box.x - (640 - box.width) / 2) <= 0.5
    assert abs(box.y - (480 - box.height) / 2) <= 0.5


def peaks(*places: tuple[int, float], columns: int = 96, spread: float = 1.5) -> np.ndarray:
    """A density of round subjects at columns of a 24-row map, each with its weight."""
    y, x = np.mgrid[0:24, 0:columns]
    density = sum(w * np.exp(-((x - c) ** 2 + (y - 12) ** 2) / (2 * spread**2)) for c, w in places)
    return density / density.sum()


def test_box_follows_the_subject_to_the_edge() -> None:
    left = choose(peaks((6, 1)), 960, 240, (1, 1))
    right = choose(peaks((90, 1)), 960, 240, (1, 1))
    assert left.x <= 65 - 40
    assert right.x + right.width >= 905 + 40
    assert left.kept > 0.99
    assert right.kept > 0.99


def test_of_two_subjects_far_apart_one_is_kept_whole() -> None:
    box = choose(peaks((10, 1), (86, 1.2)), 960, 240, (1, 1))
    assert box.x <= 865 - 45
    assert box.x + box.width >= 865 + 45
    assert box.kept == pytest.approx(1.2 / 2.2, abs=0.01)


def test_border_does_not_cut_a_subject_where_it_need_not() -> None:
    """Both subjects fit, just: the box must not shave one of them off for nothing."""
    density = peaks((30, 1), (52, 1), spread=1.0)
    box = choose(density, 960, 320, (1, 1))
    assert box.x <= 305 - 25
    assert box.x + box.width >= 525 + 25


def test_mass_outweighs_the_peak() -> None:
    """One sharp peak on the left, a broad subject with more of the gaze on the right: the right one wins."""
    y, x = np.mgrid[0:24, 0:96]
    sharp = np.exp(-((x - 12) ** 2 + (y - 12) ** 2) / 2)
    broad = 0.4 * np.exp(-((x - 76) ** 2 + (y - 12) ** 2) / (2 * 4**2))
    assert sharp.max() > broad.max()
    assert broad.sum() > sharp.sum()
    box = choose(sharp + broad, 960, 240, (1, 1))
    assert box.x < 765 < box.x + box.width


def test_focus_is_at_the_subject() -> None:
    box = choose(peaks((70, 1)), 960, 240, (16, 9))
    assert abs(box.focus[0] - 705) <= 5
    assert abs(box.focus[1] - 125) <= 5


def test_focus_is_at_the_subject_though_more_of_the_density_is_background() -> None:
    background = np.zeros((24, 96))
    background[:, 60:] = 1.5 / (24 * 36)
    box = choose(peaks((20, 1)) + background, 960, 240, (4, 1))
    assert abs(box.focus[0] - 205) <= 60


def test_of_two_subjects_as_good_as_equal_the_better_one_is_kept_on_whichever_side() -> None:
    density = np.array([[0.5, 0, 0, 0, 0, 0, 0, 0.51]])
    assert choose(density, 8, 1, (1, 1)).x == 7
    assert choose(density[:, ::-1], 8, 1, (1, 1)).x == 0


@pytest.mark.parametrize("aspect", [(0, 1), (1, 0), (-3, 2)])
def test_aspect_without_area_is_refused(aspect: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="no area"):
        choose(np.ones((2, 2)), 10, 10, aspect)


@pytest.mark.parametrize("density", [np.ones(4), np.array([[1.0, -0.1]]), np.array([[np.nan, 1.0]]), np.ones((0, 3))])
def test_what_is_no_density_is_refused(density: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="density"):
        choose(density, 10, 10, (1, 1))


def test_largest_size_examples() -> None:
    assert largest_size(4000, 3000, (16, 9)) == (4000, 2250)
    assert largest_size(4000, 3000, (9, 16)) == (1688, 3000)
    assert largest_size(3000, 3000, (1, 1)) == (3000, 3000)
    assert largest_size(5, 1, (1, 40)) == (1, 1)


def test_target_label_is_what_was_asked_for() -> None:
    assert Target((640, 360), (640, 360)).label == "640x360"
    assert Target((16, 9)).label == "16:9"


@given(densities(), SIDES, SIDES, ASPECTS, st.integers(1, 1600))
def test_box_scaled_for_drawing_covers_the_same_part_of_the_photo(
    density: NDArray[np.float64], width: int, height: int, aspect: tuple[int, int], side: int
) -> None:
    box = choose(density, width, height, aspect)
    drawn = box.scaled(side / width, side / height)
    assert drawn.x >= 0
    assert drawn.x + drawn.width <= side + 1
    assert abs(drawn.x / side - box.x / width) <= 0.5 / side + 1e-9
    assert abs(drawn.y / side - box.y / height) <= 0.5 / side + 1e-9
    assert abs(drawn.width / side - box.width / width) <= 1 / side + 1e-9
    assert abs(drawn.height / side - box.height / height) <= 1 / side + 1e-9
    assert 0 <= drawn.focus[0] < side
    assert 0 <= drawn.focus[1] < side
    assert drawn.kept == box.kept


def test_border_keeps_clear_of_a_head_for_a_little_density() -> None:
    """A head high up, a lesser subject low down: the box gives up a little of the lesser one, not the top of the head."""
    rows = np.arange(64)
    head = np.exp(-(((rows - 12) / 3.5) ** 2) / 2)
    lesser = 0.22 * np.exp(-(((rows - 48) / 3) ** 2) / 2)
    density = np.tile((head + lesser)[:, None], (1, 32))
    box = choose(density, 1000, 1000, (16, 10))
    assert box.y <= (12 - 2 * 3.5) / 64 * 1000


@pytest.mark.parametrize("aspect", [(1, 1), (9, 16), (16, 9), (3, 1)])
def test_noise_without_a_subject_gives_nearly_the_centre(aspect: tuple[int, int]) -> None:
    density = 1 + 0.002 * np.random.default_rng(7).random((28, 36))
    box = choose(density, 900, 700, aspect)
    assert abs(box.x - (900 - box.width) / 2) <= 2
    assert abs(box.y - (700 - box.height) / 2) <= 2
