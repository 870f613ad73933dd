"""Learning from corrections: what a taste teaches, what noise does not, and how it is judged."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from fixtures import disc

from cropper.choosing.boxes import best_box
from cropper.choosing.tune import DEFAULTS, NEAR, Correction, _evidence, _Stack, fitted, learned, share_interval
from cropper.choosing.view import Maps, View, view_of
from cropper.choosing.worth import best_offset, worth_of
from cropper.settings import TARGETS, WEIGHTS, Weights

SIDE, LENGTH = 1200, 700


def a_view(x: float, y: float, *heads: tuple[float, float, float]) -> View:
    """A subject at a point, and heads."""
    subject = disc(x, y, 0.1)
    head = sum((disc(*one) for one in heads), np.zeros_like(subject)).clip(0, 1)
    density = 0.01 + subject + 2 * head
    return view_of(Maps(*(one.astype(np.float32) for one in (density, subject.clip(0, 1), head))))


def corrections(number: int, target: float, noise: float = 0.02, horizontal: bool = True) -> list[Correction]:
    """Boxes with the subject at a share of their length."""
    random = np.random.default_rng(7)
    found = []
    for photo in range(number):
        x, y = random.uniform(0.2, 0.8, 2)
        wanted = (x if horizontal else y) * SIDE + (random.normal(0, noise) - target) * LENGTH
        offset = round(min(max(wanted, 0), SIDE - LENGTH))
        found.append(Correction(f"{photo}.jpg", a_view(x, y), SIDE, LENGTH, horizontal, offset))
    return found


def test_a_taste_is_learned_from_a_hundred_corrections() -> None:
    lesson = learned(corrections(100, 1 / 3))
    assert lesson.is_better
    assert sum(lesson.after) > sum(lesson.before) + 30
    assert lesson.weights.place > 0.1
    assert abs(lesson.weights.across - 1 / 3) < 0.06
    unseen = corrections(130, 1 / 3)[100:]
    assert sum(one.is_met(lesson.weights) for one in unseen) > 20 > sum(one.is_met(WEIGHTS) for one in unseen)


def test_the_same_corrections_teach_the_same() -> None:
    some = corrections(12, 1 / 3)
    assert learned(some) == learned(some)


def test_boxes_at_random_teach_nothing() -> None:
    """Beyond noise is one time in forty: of six times, once may happen."""
    lessons = 0
    for seed in range(6):
        random = np.random.default_rng(seed)
        some = [replace(one, offset=int(random.integers(0, SIDE - LENGTH))) for one in corrections(60, 0.5)]
        lessons += learned(some).is_better
    assert lessons <= 1


def test_boxes_that_are_good_as_they_are_change_nothing() -> None:
    some = [replace(one, offset=best_offset(one.view, one.side, one.length, one.horizontal)) for one in corrections(30, 0.5)]
    lesson = learned(some)
    assert all(lesson.before)
    assert not lesson.is_better


def test_few_corrections_move_the_weights_less_than_many() -> None:
    def away(weights: Weights) -> float:
        return abs(weights.place - WEIGHTS.place)

    few, many = (fitted([_evidence(one) for one in corrections(number, 1 / 3)]) for number in (3, 100))
    assert away(few) < away(many)


def test_a_photo_is_never_judged_by_weights_that_saw_it() -> None:
    """Twelve boxes of each photo: what is learned of one photo does not help another."""
    random = np.random.default_rng(1)
    some = [replace(one, photo="only.jpg", offset=int(random.integers(0, SIDE - LENGTH))) for one in corrections(30, 1 / 3)]
    assert not any(learned(some).after)  # nothing else to fit to


def test_a_box_is_met_within_five_hundredths_of_its_length() -> None:
    one = corrections(1, 0.5)[0]
    chosen = best_offset(one.view, SIDE, LENGTH, True)
    assert replace(one, offset=chosen + round(NEAR * LENGTH)).is_met(WEIGHTS)
    assert not replace(one, offset=chosen + round(NEAR * LENGTH) + 1).is_met(WEIGHTS)


@pytest.mark.parametrize("horizontal", [True, False])
def test_the_fit_weighs_places_as_the_choice_does(horizontal: bool) -> None:
    taste = {"place": 0.6, "across": 0.3, "down": 0.4, "gaze": 0.2, "faces": 0.8, "headroom": 0.5, "above": 0.2, "centre": 0.05}
    view = a_view(0.4, 0.6, (0.6, 0.3, 0.06))
    one = replace(corrections(1, 0.5)[0], horizontal=horizontal, view=view)
    (worth,) = _Stack([_evidence(one)]).worth(DEFAULTS | taste)
    offsets = np.linspace(0, SIDE - LENGTH, len(worth))
    assert worth == pytest.approx(worth_of(view, SIDE, LENGTH, offsets, horizontal, replace(WEIGHTS, **taste)))


@pytest.mark.parametrize("place", [0.02, 0.1, 3.0])
def test_the_fit_judges_the_box_that_is_chosen(place: float) -> None:
    """Weak weights leave many places that count as equal; of these the choice takes the one next to the photo's middle."""
    taste = {"place": place, "across": 0.3}
    some = corrections(12, 0.5)
    stack = _Stack([_evidence(one) for one in some])
    begins = stack.places_chosen(stack.worth(DEFAULTS | taste)) * LENGTH
    for one, begin in zip(some, begins, strict=True):
        chosen = best_offset(one.view, SIDE, LENGTH, True, replace(WEIGHTS, **taste))
        assert begin == pytest.approx(chosen, abs=2 * (SIDE - LENGTH) / (stack.places.shape[1] - 1))


def test_a_fourth_of_the_corrections_may_be_odd() -> None:
    """They are far off, all to one side, and do not move the others."""
    some = corrections(80, 1 / 3)
    odd = [replace(one, offset=SIDE - LENGTH) if number % 4 == 0 else one for number, one in enumerate(some)]
    weights = learned(odd).weights
    assert weights.across == pytest.approx(1 / 3, abs=0.04)
    assert sum(one.is_met(weights) for one in corrections(180, 1 / 3)[100:]) > 65


def test_headroom_is_learned() -> None:
    """The term needs both its weight and its target: neither alone helps."""
    random = np.random.default_rng(2)
    some = []
    for number in range(60):
        x, y = random.uniform(0.3, 0.7, 2)
        wanted = (y - 0.1) * SIDE - 0.45 * LENGTH  # below the top of the disc
        one = Correction(f"{number}.jpg", a_view(x, y), SIDE, LENGTH, False, round(min(max(wanted, 0), SIDE - LENGTH)))
        some.append(one)
    lesson = learned(some)
    assert lesson.is_better
    assert sum(lesson.after) > 50


def test_a_share_has_its_interval() -> None:
    low, high = share_interval(50, 100)
    assert (round(low, 2), round(high, 2)) == (0.4, 0.6)
    assert share_interval(0, 10)[0] == 0 < share_interval(0, 10)[1] < 0.3
    assert share_interval(10, 10)[1] == pytest.approx(1)


def test_targets_say_nothing_without_their_weight() -> None:
    view = a_view(0.3, 0.6, (0.6, 0.3, 0.06))
    targets = {name: 0.9 for name in TARGETS if name != "least_head"}
    for aspect in ((1, 1), (16, 9), (9, 16)):
        assert best_box(view, 1000, 800, aspect, replace(WEIGHTS, **targets)) == best_box(view, 1000, 800, aspect)


def test_each_term_of_taste_moves_the_box_its_way() -> None:
    view = a_view(0.4, 0.6, (0.7, 0.35, 0.06))
    ways = {
        "left": best_box(view, 4000, 3000, (1, 1), replace(WEIGHTS, place=3, across=0.3, faces=0)).x,
        "right": best_box(view, 4000, 3000, (1, 1), replace(WEIGHTS, place=3, across=0.7, faces=0)).x,
        "subject": best_box(view, 4000, 3000, (3, 4), replace(WEIGHTS, place=5, faces=0, gaze=0)).x,
        "heads": best_box(view, 4000, 3000, (3, 4), replace(WEIGHTS, place=5, faces=1, gaze=0)).x,
        "much": best_box(view, 4000, 3000, (3, 1), replace(WEIGHTS, headroom=3, above=0.5)).y,
        "little": best_box(view, 4000, 3000, (3, 1), replace(WEIGHTS, headroom=3, above=0.1)).y,
    }
    assert ways["left"] > ways["right"]
    assert ways["heads"] > ways["subject"]
    assert ways["much"] < ways["little"]
    middle = best_box(view, 4000, 3000, (9, 16), replace(WEIGHTS, centre=9))
    assert abs(middle.x + middle.width / 2 - 2000) < 20


def test_there_are_fewer_than_twenty_weights() -> None:
    assert len(fields(Weights)) < 20
