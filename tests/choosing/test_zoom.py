"""Tightened boxes, by properties: whatever the density and the shapes, these hold."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from fixtures import choose, disc
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cropper.choosing.view import Maps, View, view_of
from cropper.choosing.zoom import smallest_size, tightest
from cropper.geometry import largest_size, placed
from cropper.settings import Target, Zoom

SIDES = st.integers(20, 5000)
ASPECTS = st.tuples(st.integers(1, 20), st.integers(1, 20))
ZOOMS = st.builds(Zoom, st.floats(0, 1), st.floats(0.3, 1))


def spot(x: float, y: float, radius: float = 0.05, cells: tuple[int, int] = (36, 48)) -> np.ndarray:
    """A density [36, 48] with one dense place, round in a photo of 4:3."""
    rows, columns = cells
    ys, xs = (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns
    density = np.exp(-((((xs - x) * 4 / 3)[None] ** 2 + ((ys - y) ** 2)[:, None]) / (2 * radius**2)))
    return density / density.sum()


def shown(density: NDArray[np.float64]) -> View:
    return view_of(Maps(density.astype(np.float32)))


SPOTS = st.builds(spot, st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(0.02, 0.3))


@given(SPOTS, SIDES, SIDES, ASPECTS, ZOOMS)
def test_box_keeps_the_share_or_is_the_largest(
    density: NDArray[np.float64], width: int, height: int, aspect: tuple[int, int], zoom: Zoom
) -> None:
    target = Target(aspect)
    box = tightest(shown(density), width, height, target, zoom)
    assert 0 <= box.x <= width - box.width
    assert 0 <= box.y <= height - box.height
    assert box.x <= box.focus[0] < box.x + box.width
    assert box.y <= box.focus[1] < box.y + box.height
    largest = largest_size(width, height, aspect)
    if (box.width, box.height) == largest:
        return
    assert zoom.share is not None
    assert box.kept >= zoom.share - 2 / min(box.width, box.height)  # rounded to whole pixels
    assert abs(box.height - max(1, box.width / Fraction(*aspect))) <= Fraction(1, 2)  # type: ignore[operator]
    assert box.width >= zoom.at_least * largest[0] - 1


@given(SPOTS, st.integers(300, 5000), st.integers(300, 5000), ASPECTS, st.integers(20, 299))
def test_box_is_never_below_the_size(
    density: NDArray[np.float64], width: int, height: int, aspect: tuple[int, int], side: int
) -> None:
    size = (side, max(1, side * aspect[1] // aspect[0]))
    target = Target(size, size)
    box = tightest(shown(density), width, height, target, Zoom())
    largest = largest_size(width, height, size)
    assert box.width >= min(size[0], largest[0])
    assert box.height >= min(size[1], largest[1])
    smallest = smallest_size(largest, size, Zoom())
    assert smallest[0] <= box.width
    assert smallest[1] <= box.height


@given(SPOTS, SIDES, SIDES, ASPECTS, ZOOMS)
def test_mirrored_photo_gives_the_mirrored_box_to_a_pixel(
    density: NDArray[np.float64], width: int, height: int, aspect: tuple[int, int], zoom: Zoom
) -> None:
    # Of two places that are each the other's mirror image and exactly equal, either may be taken.
    assume(not np.allclose(density, density[:, ::-1], rtol=1e-6))
    box = tightest(shown(density), width, height, Target(aspect), zoom)
    mirrored = tightest(shown(density[:, ::-1]), width, height, Target(aspect), zoom)
    assert abs(mirrored.width - box.width) <= 1
    assert abs(mirrored.x - (width - box.x - box.width)) <= 2


def test_one_subject_is_shown_close_and_with_room_on_every_side() -> None:
    box = tightest(shown(spot(0.7, 0.4, 0.04)), 4000, 3000, Target((1, 1)), Zoom())
    assert 500 < box.width < 1000
    assert box.kept > 0.95
    assert (box.x + box.width / 2, box.y + box.height / 2) == pytest.approx((2800, 1200), abs=60)


def test_what_is_spread_wide_or_says_nothing_is_not_tightened() -> None:
    for density in (spot(0.2, 0.5) + spot(0.8, 0.5), np.ones((36, 48))):
        assert tightest(shown(density), 4000, 3000, Target((1, 1)), Zoom()) == choose(density, 4000, 3000, (1, 1))


@given(SIDES, SIDES, st.floats(-1, 2), st.floats(-1, 2))
def test_a_box_is_placed_around_its_centre_as_far_as_the_photo_goes(width: int, height: int, across: float, down: float) -> None:
    size = max(1, width // 3), max(1, height // 2)
    x, y, *_ = placed((across * width, down * height), size, (width, height))
    assert 0 <= x <= width - size[0]
    assert 0 <= y <= height - size[1]
    if 0 < x < width - size[0]:
        assert abs(x + size[0] / 2 - across * width) <= 0.5


def with_subject(x: float, y: float, radius: float) -> View:
    """Few look at the edges of a subject; it is the mask that counts."""
    subject = disc(x, y, radius).astype(np.float32)
    density = (spot(x, y, radius / 3) + 1e-4).astype(np.float32)
    return view_of(Maps(density, subject, np.zeros_like(subject)))


@given(st.floats(0.35, 0.65), st.floats(0.35, 0.65), st.floats(0.08, 0.15), st.floats(0, 0.25))
def test_the_margin_around_a_subject_is_as_asked(x: float, y: float, radius: float, margin: float) -> None:
    box = tightest(with_subject(x, y, radius), 4000, 3000, Target((1, 1)), Zoom(margin=margin))
    # The subject's edges are found to half a cell of 1/48 of the photo's width.
    for room in (x * 4000 - radius * 3000 - box.x, box.x + box.width - x * 4000 - radius * 3000):
        assert room / box.width == pytest.approx(margin, abs=0.6 * 4000 / 48 / box.width)


def test_a_share_of_the_density_may_ask_for_more_than_the_subject() -> None:
    subject = disc(0.3, 0.5, 0.1).astype(np.float32)
    density = (spot(0.3, 0.5) + spot(0.6, 0.5)).astype(np.float32)
    view = view_of(Maps(density, subject, np.zeros_like(subject)))
    tight = tightest(view, 4000, 3000, Target((4, 3)), Zoom())
    wide = tightest(view, 4000, 3000, Target((4, 3)), Zoom(share=0.9))
    assert tight.kept < 0.6
    assert wide.kept >= 0.89
    assert wide.width > 1.5 * tight.width


def test_a_subject_too_large_for_its_margin_gets_the_largest_box() -> None:
    view = with_subject(0.5, 0.5, 0.45)
    box = tightest(view, 4000, 3000, Target((1, 1)), Zoom(margin=0.2))
    assert (box.width, box.height) == largest_size(4000, 3000, (1, 1))


def test_zoom_cuts_no_head_that_the_largest_box_shows() -> None:
    """Someone at the subject's side draws few eyes: the tight box grows to hold their head."""
    subject, head = disc(0.4, 0.5, 0.12).astype(np.float32), disc(0.53, 0.42, 0.06).astype(np.float32)
    density = (spot(0.4, 0.5, 0.04) + 1e-4).astype(np.float32)
    view = view_of(Maps(density, subject, head))
    box = tightest(view, 4000, 3000, Target((1, 1)), Zoom(margin=0.05))
    assert box.heads_cut == 0
    assert box.x + box.width >= (0.53 + 0.06 * 3 / 4) * 4000 - 20
    assert box.width < 2000


def test_a_box_zoomed_to_a_thread_stays_inside_the_photo() -> None:
    subject = np.zeros((48, 1), np.float32)
    subject[1:47] = 1
    view = view_of(Maps(np.full((48, 1), 1 / 48, np.float32), subject, np.zeros_like(subject)))
    for margin in (0.0, 0.05, 0.08, 0.1):
        box = tightest(view, 6, 1000, Target((1, 625)), Zoom(margin=margin))
        assert box.y >= 0
        assert box.y + box.height <= 1000
