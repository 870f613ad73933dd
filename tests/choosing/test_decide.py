"""Candidates, and what is done where no crop is good."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures import choose, disc
from numpy.typing import NDArray

from cropper.choosing.boxes import box_at
from cropper.choosing.decide import BY_HAND, Decision, decide, smallest_box
from cropper.choosing.focus import Focus
from cropper.choosing.view import Maps, View, view_of
from cropper.geometry import central_place
from cropper.settings import Choosing, Fit, Target, Whole, Zoom

WIDE, SQUARE = Target((16, 9), (640, 360)), Target((1, 1))
FLAT = np.ones((36, 48))


def spots(*places: tuple[float, float, float]) -> np.ndarray:
    """A density [36, 48] with dense places at x, y (0..1), of some weight each, on little ground."""
    ys, xs = np.mgrid[0.5 / 36 : 1 : 1 / 36, 0.5 / 48 : 1 : 1 / 48]
    density = sum(w * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 0.0018) for x, y, w in places) + 1e-4
    return density / density.sum()


def shown(density: NDArray[np.float64]) -> View:
    return view_of(Maps(density.astype(np.float32)))


def test_the_largest_box_is_decided_where_nothing_else_is_asked() -> None:
    density = spots((0.3, 0.6, 1))
    assert decide(shown(density), 4000, 3000, WIDE, Choosing()) == (Decision(choose(density, 4000, 3000, (16, 9))),)


def test_candidates_show_one_subject_each_by_what_they_keep() -> None:
    density = spots((0.15, 0.5, 2), (0.85, 0.5, 3), (0.5, 0.5, 1))
    boxes = [d.box for d in decide(shown(density), 4000, 1500, Target((1, 2)), Choosing(candidates=5))]
    assert [round(box.focus[0] / 4000, 2) for box in boxes] == [0.85, 0.15, 0.5]
    assert [box.kept for box in boxes] == sorted((box.kept for box in boxes), reverse=True)
    assert len({(box.width, box.height) for box in boxes}) == 1
    for one, other in zip(sorted(box.x for box in boxes), sorted(box.x for box in boxes)[1:], strict=False):
        assert other - one >= boxes[0].width


@pytest.mark.parametrize(
    ("density", "target"),
    [
        (spots((0.5, 0.5, 1)), SQUARE),  # one subject
        (spots((0.1, 0.5, 1), (0.9, 0.5, 1)), Target((4, 3))),  # nothing to choose
        (spots((0.5, 0.2, 1), (0.5, 0.8, 1)), WIDE),  # boxes of this shape would share most of their area
        (FLAT, SQUARE),
    ],
)
def test_neighbours_are_no_candidates(density: NDArray[np.float64], target: Target) -> None:
    assert len(decide(shown(density), 4000, 3000, target, Choosing(candidates=9))) == 1


def test_zoomed_candidates_are_of_one_size() -> None:
    density = spots((0.2, 0.5, 3), (0.8, 0.4, 1))
    first, second = (d.box for d in decide(shown(density), 4000, 3000, SQUARE, Choosing(Zoom(share=0.7), candidates=9)))
    assert first.width == second.width < 1500
    assert abs(second.focus[0] - 3200) < 100


def test_a_good_crop_is_a_crop() -> None:
    (decision,) = decide(shown(spots((0.3, 0.6, 1))), 4000, 3000, SQUARE, Choosing(min_kept=0.9))
    assert decision.fit is Fit.CROP
    assert not decision.note


@pytest.mark.parametrize(
    ("otherwise", "words"),
    [(Fit.PAD, "padded"), (Fit.KEEP, "kept whole"), (Fit.CENTRE, "cropped in the centre"), (Fit.SKIP, "skipped")],
)
def test_where_no_crop_is_good_it_is_said_and_done_otherwise(otherwise: Fit, words: str) -> None:
    density = spots((0.05, 0.5, 1), (0.95, 0.5, 1))
    (decision,) = decide(shown(density), 4000, 3000, SQUARE, Choosing(min_kept=0.6, otherwise=otherwise))
    assert decision.fit is otherwise
    assert decision.note.startswith(f"{words}: no crop keeps 0.6, the best keeps 0.")
    box = decision.box
    if otherwise in (Fit.PAD, Fit.KEEP):
        assert (box.x, box.y, box.width, box.height) == (0, 0, 4000, 3000)
        assert box.kept == pytest.approx(1)
    elif otherwise is Fit.CENTRE:
        assert box == box_at(shown(density), 4000, 3000, central_place(4000, 3000, (1, 1)))
        assert box.x == 500
    else:
        assert box == choose(density, 4000, 3000, (1, 1))


def test_no_crop_of_a_flat_photo_is_good_however_much_it_keeps() -> None:
    (decision,) = decide(shown(FLAT), 400, 300, Target((4, 3)), Choosing(min_kept=0.1))
    assert decision == Decision(decision.box, Fit.PAD, "padded: nothing stands out")


def test_the_users_word_wins_over_everything() -> None:
    choosing = Choosing(Zoom(), 0.99, Fit.SKIP, candidates=3)
    (decision,) = decide(shown(spots((0.9, 0.9, 1))), 400, 300, SQUARE, choosing, Focus(10, 20, 50, 50))
    assert (decision.box.x, decision.box.y, decision.box.width, decision.box.height) == (10, 20, 50, 50)
    assert decision.fit is Fit.CROP
    assert decision.note == BY_HAND


def test_no_box_is_smaller_than_the_smallest() -> None:
    density = spots((0.3, 0.3, 1))
    for choosing in (Choosing(), Choosing(Zoom()), Choosing(Zoom(0.5))):
        smallest = smallest_box(4000, 3000, WIDE, choosing)
        box = decide(shown(density), 4000, 3000, WIDE, choosing)[0].box
        assert box.width >= smallest[0] - 1
        assert box.height >= smallest[1] - 1
    assert smallest_box(4000, 3000, WIDE, Choosing(Zoom())) == (640, 360)
    assert smallest_box(4000, 3000, WIDE, Choosing(Zoom()), Focus(0, 0, 320, 180)) == (320, 180)


def crowd() -> View:
    """Two heads at the ends of a wide photo and one body across all of it: a narrow crop shows one head, and cuts the body."""
    heads = disc(0.08, 0.5, 0.1) + disc(0.92, 0.5, 0.1)
    body = heads.copy()
    body[16:22, 4:44] = 1
    return view_of(Maps(*(one.astype(np.float32) for one in (heads + 0.01, body.clip(0, 1), heads))))


def test_a_crop_that_cuts_a_head_is_not_good_where_heads_must_be_whole() -> None:
    closeup = view_of(Maps(*(disc(0.5, 0.5, 0.48).astype(np.float32) for _ in range(3))))
    (decision,) = decide(closeup, 4000, 3000, Target((9, 16)), Choosing(whole=Whole.HEADS))
    assert (decision.fit, decision.note) == (Fit.PAD, "padded: every crop cuts a head")
    (decision,) = decide(closeup, 4000, 3000, Target((9, 16)), Choosing())
    assert (decision.fit, decision.box.heads_cut) == (Fit.CROP, 1)
    assert decide(crowd(), 4000, 3000, Target((9, 16)), Choosing(whole=Whole.HEADS))[0].fit is Fit.CROP


def test_a_crop_that_cuts_the_subject_is_not_good_where_it_must_be_whole() -> None:
    (decision,) = decide(crowd(), 4000, 3000, Target((9, 16)), Choosing(whole=Whole.SUBJECT, otherwise=Fit.KEEP))
    assert decision.fit is Fit.KEEP
    assert decision.note.startswith("kept whole: no crop shows the whole subject, the best 0.")
    assert decide(crowd(), 4000, 3000, Target((4, 3)), Choosing(whole=Whole.SUBJECT))[0].fit is Fit.CROP


def test_a_model_that_tells_no_heads_cuts_none() -> None:
    assert decide(shown(spots((0.3, 0.6, 1))), 4000, 3000, SQUARE, Choosing(whole=Whole.SUBJECT))[0].fit is Fit.CROP


def test_what_is_cut_only_by_zooming_is_shown_from_further_away() -> None:
    """A second subject that few look at is outside the zoomed box and inside the largest."""
    subject = (disc(0.3, 0.5, 0.1) + disc(0.7, 0.5, 0.1)).astype(np.float32)
    density = spots((0.3, 0.5, 1)).astype(np.float32)
    view = view_of(Maps(density, subject, np.zeros_like(subject)))
    (decision,) = decide(view, 4000, 3000, Target((4, 3)), Choosing(Zoom(), whole=Whole.SUBJECT))
    assert (decision.fit, decision.box.width) == (Fit.CROP, 4000)
    assert decide(view, 4000, 3000, Target((4, 3)), Choosing(Zoom()))[0].box.width < 2000


@pytest.mark.parametrize(
    ("image", "aspect", "choosing"),
    [
        ((4000, 3000), (4, 3), Choosing(whole=Whole.PHOTO)),
        ((641, 360), (16, 9), Choosing(whole=Whole.PHOTO)),
        ((4000, 3000), (4, 3), Choosing(min_kept=1.0)),
    ],
)
def test_a_photo_of_the_shape_asked_for_is_whole_but_for_rounding(
    image: tuple[int, int], aspect: tuple[int, int], choosing: Choosing
) -> None:
    (decision,) = decide(crowd(), *image, Target(aspect), choosing)
    assert (decision.fit, decision.note) == (Fit.CROP, "")


def test_a_photo_of_another_shape_is_padded_where_nothing_may_be_cut() -> None:
    (decision,) = decide(shown(spots((0.5, 0.5, 1))), 4000, 3000, SQUARE, Choosing(whole=Whole.PHOTO))
    assert decision.fit is Fit.PAD
    assert (decision.box.width, decision.box.height) == (4000, 3000)
    assert decision.note == "padded: the photo has another shape"
