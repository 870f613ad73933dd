"""Parts of maps: what boxes keep whole."""

from __future__ import annotations

import sys
from types import FrameType

import numpy as np
import pytest
from fixtures import disc
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cropper.choosing.view import LEVEL, Maps, View, parts_of, view_of

EVEN = np.full((36, 48), 1 / (36 * 48))


@given(st.floats(0.25, 0.75), st.floats(0.25, 0.75), st.floats(0.08, 0.2))
def test_edges_are_finer_than_the_cells_of_the_mask(x: float, y: float, radius: float) -> None:
    (part,) = parts_of(disc(x, y, radius), EVEN, 0.0)
    across = radius * 36 / 48
    for found, true, cell in (
        (part.left, x - across, 1 / 48),
        (part.right, x + across, 1 / 48),
        (part.top, y - radius, 1 / 36),
        (part.bottom, y + radius, 1 / 36),
    ):
        assert abs(found - true) < 0.6 * cell
    assert part.area == pytest.approx(np.pi * radius * across, rel=0.25)


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 20))
def test_every_cell_of_a_mask_is_in_one_part(seed: int, rows: int, columns: int) -> None:
    mask = np.random.default_rng(seed).random((rows, columns))
    parts = parts_of(mask, np.full((rows, columns), 1 / (rows * columns)), 0.0)
    assert sum(part.area for part in parts) == pytest.approx((mask >= LEVEL).mean())
    for part in parts:
        assert 0 <= part.left < part.right <= 1
        assert 0 <= part.top < part.bottom <= 1


@given(st.integers(0, 2**32 - 1))
def test_a_mirrored_mask_has_the_mirrored_parts(seed: int) -> None:
    mask = np.random.default_rng(seed).random((9, 12))
    parts, mirrored = (parts_of(one, np.full((9, 12), 1 / 108), 0.0) for one in (mask, mask[:, ::-1]))
    flipped = sorted((round(1 - part.right, 9), round(part.top, 9), round(1 - part.left, 9)) for part in mirrored)
    assert flipped == sorted((round(part.left, 9), round(part.top, 9), round(part.right, 9)) for part in parts)


def test_parts_that_touch_at_a_corner_are_one_and_others_are_not() -> None:
    mask = np.zeros((6, 8))
    mask[1:3, 1:3] = mask[3:5, 3:5] = 1
    mask[0:2, 6:8] = 1
    areas = sorted(part.area * 48 for part in parts_of(mask, np.full((6, 8), 1 / 48), 0.0))
    assert areas == pytest.approx([4, 8])


def test_small_parts_are_details() -> None:
    view = view_of(Maps(EVEN.astype(np.float32), disc(0.5, 0.5, 0.02).astype(np.float32), np.zeros_like(EVEN, np.float32)))
    assert view.subjects == ()
    assert not view.subject.any()
    assert view.is_flat


def test_without_a_mask_what_is_dense_stands_in_for_the_subject() -> None:
    view = view_of(Maps((disc(0.3, 0.4, 0.1) + 0.001).astype(np.float32)))
    (part,) = view.subjects
    assert (part.left + part.right) / 2 == pytest.approx(0.3, abs=0.02)
    assert part.density > 0.9
    assert not view.told


def test_a_photo_with_a_subject_is_not_flat_though_its_density_is() -> None:
    subject = disc(0.3, 0.4, 0.1).astype(np.float32)
    view = view_of(Maps(EVEN.astype(np.float32), subject, np.zeros_like(subject)))
    assert not view.is_flat


@pytest.mark.parametrize("density", [np.ones(4), np.array([[1.0, -0.1]]), np.array([[np.nan, 1.0]]), np.ones((0, 3))])
def test_what_is_no_density_is_refused(density: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="2-D and non-negative"):
        view_of(Maps(density.astype(np.float32)))


def test_a_view_sums_to_one() -> None:
    view: View = view_of(Maps(np.full((4, 5), 3.0, np.float32), np.ones((4, 5), np.float32), np.zeros((4, 5), np.float32)))
    assert view.mass.sum() == pytest.approx(1)
    assert view.subject.sum() == pytest.approx(1)


def test_the_parts_of_a_mask_take_few_calls() -> None:
    """Calls, and not seconds, since these are the same everywhere: each line of the mask once took fifteen calls of numpy."""
    maps = Maps(EVEN.astype(np.float32), *(disc(0.4, 0.5, 0.45).astype(np.float32) for _ in range(2)))
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        view = view_of(maps)
    finally:
        sys.setprofile(None)
    assert len(view.subjects) == len(view.heads) == 1
    assert calls < 800
