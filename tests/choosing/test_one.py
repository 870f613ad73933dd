"""One of several shapes: the one whose box keeps most."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures import disc
from numpy.typing import NDArray

from cropper.choosing import one
from cropper.choosing.decide import BY_HAND, Decision, decide
from cropper.choosing.focus import Focus
from cropper.choosing.one import decide_one
from cropper.choosing.view import Maps, View, view_of
from cropper.geometry import Box
from cropper.settings import Choosing, Fit, Target

SQUARE, LANDSCAPE, UPRIGHT = Target((1, 1)), Target((4, 3)), Target((3, 4))
PHOTO = 4000, 3000
PLAIN = Choosing()
NOTHING = np.zeros((36, 48))


def shown(density: NDArray[np.float64], subject: NDArray[np.float64] = NOTHING, head: NDArray[np.float64] = NOTHING) -> View:
    maps = [one.astype(np.float32) for one in (density / density.sum(), subject, head)]
    return view_of(Maps(*maps))


def chosen(
    view: View, *targets: Target, choosing: Choosing = PLAIN, foci: tuple[Focus | None, ...] = (None, None, None)
) -> Target:
    """The target that is chosen; its decisions are those that it has alone."""
    foci = foci[: len(targets)]
    number, decisions = decide_one(view, *PHOTO, targets, choosing, foci)
    assert decisions == decide(view, *PHOTO, targets[number], choosing, foci[number])
    return targets[number]


def test_the_box_that_keeps_most_is_taken_in_any_order() -> None:
    view = shown(np.ones((36, 48)) + 100 * disc(0.4, 0.5, 0.1))
    assert chosen(view, SQUARE, LANDSCAPE, UPRIGHT) is LANDSCAPE
    assert chosen(view, UPRIGHT, LANDSCAPE, SQUARE) is LANDSCAPE


def test_the_first_of_equals_is_taken() -> None:
    view = shown(disc(0.6, 0.5, 0.1))
    for targets in ((SQUARE, LANDSCAPE, UPRIGHT), (UPRIGHT, SQUARE, LANDSCAPE), (LANDSCAPE, SQUARE)):
        assert chosen(view, *targets) is targets[0]


# Figures of a box: what it keeps of the density and the subject, and the heads that it cuts.
Figures = tuple[float, float | None, int | None]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ((0.5, 1.0, 0), (0.9, 0.9, 0)),  # the subject is whole
        ((0.5, 0.95, 0), (0.9, 0.949, 0)),  # 95 % of it counts as whole
        ((0.5, 1.0, 0), (0.9, 1.0, 1)),  # no head is cut
        ((0.5, 0.5, 0), (0.9, 0.9, 2)),
        ((0.9, 1.0, 2), (0.8, 0.5, 0)),  # one of the two holds for both
        ((0.9, 0.5, 0), (0.8, 0.9, 0)),  # cut is cut
        ((0.9, None, None), (0.8, None, None)),  # a model that tells neither
    ],
)
def test_whole_comes_before_what_people_look_at(monkeypatch: pytest.MonkeyPatch, better: Figures, worse: Figures) -> None:
    figures = {SQUARE: better, LANDSCAPE: worse}

    def decide_so(view: View, width: int, height: int, target: Target, *others: object) -> tuple[Decision, ...]:
        kept, subject_kept, heads_cut = figures[target]
        return (Decision(Box(0, 0, 10, 10, kept, (5, 5), subject_kept, heads_cut)),)

    monkeypatch.setattr(one, "decide", decide_so)
    view = shown(np.ones((36, 48)))
    assert decide_one(view, *PHOTO, (SQUARE, LANDSCAPE), Choosing(), (None, None))[0] == 0
    assert decide_one(view, *PHOTO, (LANDSCAPE, SQUARE), Choosing(), (None, None))[0] == 1


def test_a_good_crop_comes_before_none_and_of_none_that_which_lacks_least() -> None:
    view = shown(disc(0.1, 0.5, 0.05) + disc(1.23, 0.5, 0.05) + 0.001)
    asked = Choosing(min_kept=0.95, otherwise=Fit.PAD)
    assert chosen(view, UPRIGHT, LANDSCAPE, choosing=asked) is LANDSCAPE
    one_of_them = shown(2 * disc(0.1, 0.5, 0.05) + disc(0.9, 0.5, 0.05) + disc(1.2, 0.5, 0.05) + 0.001)
    narrow, wider = Target((1, 3)), Target((1, 1))
    for targets in ((narrow, wider), (wider, narrow)):
        assert all(decide(one_of_them, *PHOTO, target, asked)[0].fit is Fit.PAD for target in targets)
        assert chosen(one_of_them, *targets, choosing=asked) is wider


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_what_is_given_for_one_shape_is_the_choice_of_this_shape(order: tuple[int, ...]) -> None:
    view = shown(disc(0.6, 0.5, 0.1))
    targets, foci = (SQUARE, LANDSCAPE, UPRIGHT), (None, None, Focus(100, 200))
    number, (decision,) = decide_one(view, *PHOTO, [targets[n] for n in order], Choosing(), [foci[n] for n in order])
    assert (targets[order[number]], decision.note) == (UPRIGHT, BY_HAND)


def test_a_box_given_for_all_shapes_has_the_shape_that_is_nearest_to_it() -> None:
    view = shown(disc(0.6, 0.5, 0.1))
    for target, box in (
        (SQUARE, Focus(10, 20, 600, 600)),
        (UPRIGHT, Focus(10, 20, 600, 810)),
        (LANDSCAPE, Focus(0, 0, 640, 480)),
    ):
        assert chosen(view, SQUARE, LANDSCAPE, UPRIGHT, foci=(box,) * 3) is target
