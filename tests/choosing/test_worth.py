"""The order of a picture editor: heads and subjects whole, then tops, then what people look at."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures import disc
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cropper.choosing.boxes import best_box
from cropper.choosing.view import Maps, View, view_of
from cropper.choosing.worth import EDGE, _offsets, worth_of
from cropper.geometry import Box, largest_size
from cropper.settings import Weights

SIDES = st.integers(40, 5000)
ASPECTS = st.sampled_from([(1, 1), (16, 9), (9, 16), (3, 1), (4, 5)])


def seen(
    density: NDArray[np.float64], subject: NDArray[np.float64] | None = None, head: NDArray[np.float64] | None = None
) -> View:
    nothing = np.zeros_like(density)
    maps = [density, nothing if subject is None else subject, nothing if head is None else head]
    return view_of(Maps(*(one.astype(np.float32) for one in maps)))


@st.composite
def views(draw: st.DrawFn) -> tuple[View, View]:
    """A photo with a few subjects and heads, and its mirror image."""
    place = st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.floats(0.03, 0.3))
    subjects, heads = draw(st.lists(place, max_size=3)), draw(st.lists(place, max_size=3))
    density = np.random.default_rng(draw(st.integers(0, 99))).random((36, 48)) ** 8
    masks = [sum((disc(*one) for one in places), np.zeros((36, 48))).clip(0, 1) for places in (subjects, heads)]
    density = density + masks[0] + 2 * masks[1]
    return seen(density, *masks), seen(density[:, ::-1], masks[0][:, ::-1], masks[1][:, ::-1])


@given(views(), SIDES, SIDES, ASPECTS)
def test_a_mirrored_photo_gives_the_mirrored_box_to_a_pixel(
    both: tuple[View, View], width: int, height: int, aspect: tuple[int, int]
) -> None:
    box, mirrored = (best_box(view, width, height, aspect) for view in both)
    assert abs(mirrored.x - (width - box.x - box.width)) <= 1
    assert mirrored.y == box.y
    assert mirrored.heads_cut == box.heads_cut or abs(mirrored.x - (width - box.x - box.width)) == 1


@given(views(), SIDES, SIDES, ASPECTS, st.integers(2, 50))
def test_every_size_of_an_aspect_has_the_same_box(
    both: tuple[View, View], width: int, height: int, aspect: tuple[int, int], times: int
) -> None:
    view, _ = both
    assert best_box(view, width, height, (aspect[0] * times, aspect[1] * times)) == best_box(view, width, height, aspect)


@given(st.floats(0.2, 0.8), st.floats(0.05, 0.15), st.sampled_from([(1, 1), (9, 16)]))
@example(0.6806406036948234, 0.05, (9, 16))  # the best offset lies between two of those that are weighed
def test_one_head_that_fits_is_whole(x: float, radius: float, aspect: tuple[int, int]) -> None:
    """Whatever else draws the eye: most of the density is at the other end."""
    head = disc(x, 0.5, radius)
    box = best_box(seen(head + 0.5 * disc(1 - x, 0.5, 0.1) + 0.01, head, head), 4000, 3000, aspect)
    assert box.heads_cut == 0


def edges(box: Box, of: tuple[int, int]) -> tuple[float, float, float, float]:
    return box.x / of[0], box.y / of[1], (box.x + box.width) / of[0], (box.y + box.height) / of[1]


def test_a_subject_is_whole_though_its_end_draws_no_eye() -> None:
    """People look at a dog's face; its tail belongs to the photo."""
    density, dog = disc(0.25, 0.5, 0.08) + 0.002, np.zeros((36, 48))
    dog[14:24, 9:34] = 1
    left, _, right, _ = edges(best_box(seen(density, dog), 4000, 3000, (1, 1)), (4000, 3000))
    assert left <= 9 / 48
    assert right >= 34 / 48
    assert edges(best_box(seen(density), 4000, 3000, (1, 1)), (4000, 3000))[2] < 34 / 48 + 0.1


def test_of_what_does_not_fit_the_top_is_kept() -> None:
    tower, density = np.zeros((48, 36)), np.zeros((48, 36))
    tower[4:44, 14:22] = 1
    density[4:44, 14:22] = 1
    box = best_box(seen(density + 0.01, tower), 3000, 4000, (16, 9))
    assert box.y / 4000 <= 5 / 48


def test_of_two_heads_far_apart_one_is_whole_rather_than_two_halves() -> None:
    heads = disc(0.1, 0.5, 0.1) + disc(0.9, 0.5, 0.1)
    box = best_box(seen(heads + 0.01, heads, heads), 4000, 3000, (1, 1))
    assert box.heads_cut == 0
    assert box.subject_kept == pytest.approx(0.5, abs=0.05)


def test_room_is_left_above_a_head() -> None:
    head = disc(0.5, 0.3, 0.1)
    body = head.copy()
    body[14:36, 18:30] = 1
    box = best_box(seen(head + 0.05 * body + 0.005, body, head), 4000, 3000, (16, 9))
    assert box.y / 3000 < 0.2 - 0.01
    assert box.heads_cut == 0


def test_a_box_says_what_it_cuts() -> None:
    heads = disc(0.1, 0.5, 0.1) + disc(0.36, 0.5, 0.1) + disc(0.62, 0.5, 0.1)
    view = seen(heads + 0.01, heads, heads)
    whole = best_box(view, 4000, 3000, (4, 3))
    assert whole.heads_cut == 0
    assert whole.subject_kept == pytest.approx(1)
    narrow = best_box(view, 4000, 3000, (1, 20))
    assert narrow.heads_cut == 1
    assert narrow.subject_kept is not None
    assert narrow.subject_kept < 0.34


def test_a_model_that_tells_no_subject_says_nothing_of_it() -> None:
    box = best_box(view_of(Maps((disc(0.3, 0.5, 0.1) + 0.001).astype(np.float32))), 4000, 3000, (1, 1))
    assert (box.subject_kept, box.heads_cut) == (None, None)
    assert (box.width, box.height) == largest_size(4000, 3000, (1, 1))


@given(st.integers(0, 9000))
def test_offsets_are_whole_pixels_the_same_from_both_ends(most: int) -> None:
    offsets = _offsets(most)
    assert (offsets == offsets.round()).all()
    assert (offsets[0], offsets[-1]) == (0, most)
    np.testing.assert_array_equal(offsets, most - offsets[::-1])
    assert np.diff(offsets).max(initial=1) <= 2 + most / 1024


# What lies at a border ----------------------------------------------------------------------------------------------------


def lost_at_borders(view: View, offsets: NDArray[np.float64], **weights: float) -> NDArray[np.float64]:
    """What the terms of the borders alone take from the worth of boxes 400 px wide in a photo 1000 px wide."""
    without = Weights(edge=0.0, edge_subject=0.0)
    with_terms = Weights(**{"edge": 0.0, "edge_subject": 0.0} | weights)
    return worth_of(view, 1000, 400, offsets, True, without) - worth_of(view, 1000, 400, offsets, True, with_terms)


@pytest.mark.parametrize("term", ["edge", "edge_subject"])
def test_what_lies_within_reach_of_a_border_costs_its_weight_inside_the_box_and_outside(term: str) -> None:
    bar = np.zeros((10, 1000))
    bar[:, 496:504] = 1  # a thin bar around 500 px
    photo = seen(bar + 1e-9, bar)
    reach = EDGE * 400
    near = np.array([500 - reach + 6, 500, 500 + reach - 6])
    far = np.array([500 - reach - 6, 500 + reach + 6, 300])
    for borders in (near, near - 400):
        assert np.allclose(lost_at_borders(photo, borders, **{term: 0.5}), 0.5, atol=1e-5)
    assert np.allclose(lost_at_borders(photo, far, **{term: 0.5}), 0, atol=1e-5)


def test_the_edge_of_the_photo_is_as_good_a_border_as_another() -> None:
    even = seen(np.ones((10, 100)))
    offsets = np.array([0.0, 10, 300, 590, 600])
    assert np.allclose(lost_at_borders(even, offsets, edge=1.0), 4 * EDGE * 400 / 1000)


def test_a_border_leaves_out_a_faint_thing_rather_than_cutting_it() -> None:
    photo = np.full((30, 100), 0.02)
    photo[10:20, 30:50], photo[10:20, 62:72] = 1, 0.5
    box = best_box(seen(photo), 1000, 300, (1, 1))
    assert box.x + box.width <= 620 or box.x + box.width >= 720
