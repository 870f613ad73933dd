"""Fit the weights of choosing to boxes that a person chose, and tell whether that is better than chance.

The fit is a search. It changes one value at a time, and keeps what brings the boxes that are chosen nearer to the person's. A
value that is far from its default has to be worth it. All is deterministic.

A box of the person's that no value reaches costs little more than one that is nearly reached, so odd ones do not pull at the
others: they follow no rule, or the model sees the subject elsewhere.

Whether it is better is asked of corrections that the fit did not see: photos are dealt into groups, and each group is judged by
the weights fitted to the others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.view import View
from cropper.choosing.worth import TOLERANCE, best_offset, main_points, top_of, worth_of
from cropper.settings import MOST_TARGET, MOST_WEIGHT, TARGETS, WEIGHTS, Weights

# A chosen box meets the person's if they lie at most this far apart, as a share of the box's length along the free side.
NEAR = 0.05
# The fewest corrections to learn from, and the number beyond which more teach little.
LEAST, GOOD = 30, 100


def _evenly(first: float, last: float, step: float) -> tuple[float, ...]:
    return tuple(round(first + number * step, 4) for number in range(round((last - first) / step) + 1))


# What the fit looks for: a value for each term of taste and its target, and one factor for the whole of the editor's order.
Values = dict[str, float]
# One weight of ``place`` serves both axes: with one for each, made-up tastes meet 2 % more of the corrections or 3 % fewer.
_TASTE = ("place", "headroom", "centre")
# How much a target that is 1 away from its default counts, against a weight that is ``e`` times the default.
_SHARES = {"across": 2.0, "down": 2.0, "above": 2.0, "gaze": 1.0, "faces": 1.0}
_ORDER = tuple(field.name for field in fields(Weights) if field.name not in (*_TASTE, *TARGETS))
DEFAULTS: Values = {"order": 1.0} | {name: getattr(WEIGHTS, name) for name in (*_TASTE, *_SHARES)}
_SCALE = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.0, 6.0, 10.0)
# What is tried for each value, in this order.
TRIED = {
    "place": _SCALE,
    "headroom": _SCALE,
    "gaze": _evenly(0, 1, 0.25),
    "faces": _evenly(0, 1, 0.25),
    "across": _evenly(0.2, 0.8, 0.025),
    "down": _evenly(0.2, 0.8, 0.025),
    "above": _evenly(0, 0.5, 0.025),
    "centre": (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0),
    "order": (0.1, 0.3, 1.0, 2.0),
}
# A box that lies this far from the person's, as a share of its length, costs half of the most that one correction can: one that
# follows no rule counts little.
FAR = 0.08
# What it costs to make a weight ``e`` times its default, in corrections.
PULL = 0.6
# Added to weights before they are compared, since the weights of taste are 0 by default.
_LITTLE = 0.5
# The weight of a term of taste that a search starts with.
_MUCH = 1.6
# Rounds of a search, and the least gain of a step: below it is rounding.
_ROUNDS, _LEAST_GAIN = 6, 1e-9
GROUPS = 5
# Places of a box that the fit weighs.
_PLACES = 81
# The normal deviate of an interval of 95 %, and the resamplings of the difference's.
_DEVIATE, _RESAMPLINGS = 1.96, 2000


@dataclass(frozen=True)
class Correction:
    """A box that a person chose or approved.

    Attributes:
        photo: names the photo.
        view: what it shows.
        side: the side of the photo along which the box may move, in pixels.
        length: the length of the box along it, in pixels, less than ``side``.
        horizontal: whether that side is the photo's width.
        offset: where the person's box begins along it, 0 .. side - length.
    """

    photo: str
    view: View
    side: int
    length: int
    horizontal: bool
    offset: int

    @property
    def says_something(self) -> bool:
        """Whether weights decide on the box, and it could lie too far away."""
        return self.side - self.length > NEAR * self.length and not self.view.is_flat

    def is_met(self, weights: Weights) -> bool:
        """Whether the box chosen with these weights is the person's, to within ``NEAR``."""
        chosen = best_offset(self.view, self.side, self.length, self.horizontal, weights)
        return abs(chosen - self.offset) <= NEAR * self.length


@dataclass(frozen=True)
class Lesson:
    """What was learned.

    Attributes:
        weights: fitted to all corrections.
        before: for each correction, whether the weights until now meet it.
        after: the same of weights that were fitted to the corrections of other photos.
        gain: the bounds of the difference of the shares that are met, after less before, in 95 of 100 cases.
    """

    weights: Weights
    before: tuple[bool, ...]
    after: tuple[bool, ...]
    gain: tuple[float, float]

    @property
    def is_better(self) -> bool:
        """Whether more are met than before, beyond noise."""
        return self.gain[0] > 0


def learned(corrections: Sequence[Correction], current: Weights = WEIGHTS) -> Lesson:
    """Fit weights to corrections, and judge them.

    Args:
        corrections: at least ``LEAST``, of at least two photos; each ``says_something``.
        current: the weights until now.
    """
    evidence = [_evidence(one) for one in corrections]
    groups = np.array([_group_of(photo) for photo in _ranks([one.photo for one in corrections])])
    after = [False] * len(corrections)
    for group in range(GROUPS):
        others = [one for one, its in zip(evidence, groups, strict=True) if its != group]
        if not others or len(others) == len(evidence):
            continue
        weights = fitted(others)
        for number in np.flatnonzero(groups == group).tolist():
            after[number] = corrections[number].is_met(weights)
    before = [one.is_met(current) for one in corrections]
    gain = _interval_of_gain([one.photo for one in corrections], np.subtract(after, before, dtype=float))
    return Lesson(fitted(evidence), tuple(before), tuple(after), gain)


def share_interval(met: int, of: int) -> tuple[float, float]:
    """Return the bounds of a share, 0..1, in 95 of 100 cases: Wilson's."""
    share, spread = met / of, _DEVIATE**2 / of
    middle, reach = share + spread / 2, _DEVIATE * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, (middle - reach) / (1 + spread)), min(1.0, (middle + reach) / (1 + spread))


@dataclass(frozen=True)
class _Evidence:
    """What the fit needs of a correction, at ``_PLACES`` places of its box. Lengths are in lengths of the box.

    Attributes:
        kept: [places], the share of the density kept.
        order: [places], the worth of all terms of the picture editor's order, with the default weights.
        centre: [places], the worth of the term ``centre`` at weight 1.
        places: [places], where the box begins.
        chosen: where the person's box begins.
        horizontal: whether the box may move across.
        subject, looked, heads, top: where the main points and the top lie along the photo's side; NaN where there is none.
    """

    kept: NDArray[np.float64]
    order: NDArray[np.float64]
    centre: NDArray[np.float64]
    places: NDArray[np.float64]
    chosen: float
    horizontal: bool
    subject: float
    looked: float
    heads: float
    top: float


def _evidence(one: Correction) -> _Evidence:
    offsets = np.linspace(0, one.side - one.length, _PLACES)
    none = Weights(**{field.name: 0.0 for field in fields(Weights)} | {name: getattr(WEIGHTS, name) for name in TARGETS})

    def worth(weights: Weights) -> NDArray[np.float64]:
        return worth_of(one.view, one.side, one.length, offsets, one.horizontal, weights)

    kept = worth(none)
    order = worth(replace(WEIGHTS, **dict.fromkeys(_TASTE, 0.0))) - kept
    points = (*main_points(one.view, one.horizontal), None if one.horizontal else top_of(one.view))
    along = [math.nan if point is None else point * one.side / one.length for point in points]
    centre = worth(replace(none, centre=1.0)) - kept
    return _Evidence(kept, order, centre, offsets / one.length, one.offset / one.length, one.horizontal, *along)


def fitted(evidence: Sequence[_Evidence]) -> Weights:
    """Return the weights whose boxes lie nearest to the person's."""
    all_of = _Stack(evidence)
    _, best = min((all_of.searched(start) for start in all_of.starts()), key=lambda found: found[0])
    # By this factor of their defaults.
    order = {field.name: best["order"] * getattr(WEIGHTS, field.name) for field in fields(Weights) if field.name in _ORDER}
    return replace(
        WEIGHTS, **{name: round(min(value, MOST_WEIGHT), 4) for name, value in (order | best).items() if name != "order"}
    )


class _Stack:
    """The evidence of all corrections: each array with a first axis [n]."""

    def __init__(self, evidence: Sequence[_Evidence]) -> None:
        def stacked(name: str) -> NDArray[np.float64]:
            return np.array([getattr(one, name) for one in evidence])

        self.kept, self.order, self.centre, self.places = map(stacked, ("kept", "order", "centre", "places"))
        self.chosen, self.subject, self.looked, self.heads, self.top = map(
            stacked, ("chosen", "subject", "looked", "heads", "top")
        )
        self.horizontal = np.array([one.horizontal for one in evidence])
        has_heads, has_tops = not np.isnan(self.heads).all(), not np.isnan(self.top).all()
        matters = {"faces": has_heads, "across": self.horizontal.any(), "down": not self.horizontal.all()}
        matters |= {"headroom": has_tops, "above": has_tops}
        self.names = [name for name in TRIED if matters.get(name, True)]
        self.from_middle = np.abs(self.places - self.places[:, -1:] / 2)

    def starts(self) -> Iterator[Values]:
        """Yield starts of the search: the defaults, and boxes with a point where the median of the person's boxes has it."""
        yield DEFAULTS
        for gaze, faces in product((0.0, 1.0), (0.0, 1.0) if "faces" in self.names else (DEFAULTS["faces"],)):
            behind = self._point(gaze, faces) - self.chosen
            across, down = _median(behind[self.horizontal], "across"), _median(behind[~self.horizontal], "down")
            start = DEFAULTS | {"gaze": gaze, "faces": faces, "across": across, "down": down, "place": _MUCH}
            yield start
            if "above" in self.names:
                tops = (self.top - self.chosen)[~np.isnan(self.top)]
                yield start | {"headroom": _MUCH, "above": _median(tops, "above")}

    def searched(self, start: Values) -> tuple[float, Values]:
        """Go from a start to better values, one value at a time, until none is better; return the cost and the values."""
        best, values = self.cost(start), start
        for _ in range(_ROUNDS):
            before = best
            for name in self.names:
                for value in TRIED[name]:
                    cost = self.cost(values | {name: value})
                    if cost < best - _LEAST_GAIN:
                        best, values = cost, values | {name: value}
            if best == before:
                break
        return best, values

    def cost(self, values: Values) -> float:
        """Return how far the boxes chosen with these values lie from the person's, and the values from the defaults."""
        away = self.places_chosen(self.worth(values)) - self.chosen
        return float((away**2 / (away**2 + FAR**2)).sum()) + PULL * _from_defaults(values)

    def places_chosen(self, worth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where the boxes begin that ``best_offset`` chooses, to a step of the places: [n]."""
        is_best = worth >= worth.max(axis=1, keepdims=True) - TOLERANCE
        best = np.where(is_best, self.from_middle, np.inf).argmin(axis=1)
        return self.places[np.arange(len(best)), best]

    def worth(self, values: Values) -> NDArray[np.float64]:
        """Return the worth of each place, as ``worth_of`` does: [n, places]."""
        worth = self.kept + values["order"] * self.order + values["centre"] * self.centre
        if values["place"]:
            target = np.where(self.horizontal, values["across"], values["down"])
            point = self._point(values["gaze"], values["faces"]) - target
            worth -= values["place"] * np.abs(point[:, None] - self.places)
        if values["headroom"]:
            worth -= values["headroom"] * np.abs(np.nan_to_num((self.top - values["above"])[:, None] - self.places))
        return worth

    def _point(self, gaze: float, faces: float) -> NDArray[np.float64]:
        """Return where the main points lie: [n]."""
        point = self.subject + gaze * (self.looked - self.subject)
        return np.where(np.isnan(self.heads), point, point + faces * (self.heads - point))


def _median(behind: NDArray[np.float64], name: str) -> float:
    return float(np.median(behind).clip(0, MOST_TARGET)) if len(behind) else DEFAULTS[name]


def _from_defaults(values: Values) -> float:
    """Return how far values are from the defaults: weights by their logarithms, targets by what a person sees of them."""
    far = abs(math.log(values["order"]))
    for name in _TASTE:
        far += abs(math.log((values[name] + _LITTLE) / (DEFAULTS[name] + _LITTLE)))
    return far + sum(share * abs(values[name] - DEFAULTS[name]) for name, share in _SHARES.items())


def _ranks(photos: Sequence[str]) -> list[int]:
    """Number photos in an order that has nothing to do with their names or places; equal names have equal numbers."""
    mixed = sorted(set(photos), key=lambda photo: hashlib.sha256(photo.encode("utf-8", "surrogatepass")).digest())
    number_of = {photo: number for number, photo in enumerate(mixed)}
    return [number_of[photo] for photo in photos]


def _group_of(rank: int) -> int:
    return rank % GROUPS


def _interval_of_gain(photos: Sequence[str], gains: NDArray[np.float64]) -> tuple[float, float]:
    """Return the bounds of the mean gain in 95 of 100 resamplings of the photos."""
    ranks = np.array(_ranks(photos))
    sums, counts = np.bincount(ranks, gains), np.bincount(ranks)
    drawn = np.random.default_rng(0).integers(0, len(sums), (_RESAMPLINGS, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
