"""Fit the weights of choosing to boxes that a person chose, and tell whether that is better than chance.

Each correction makes the person's box likely among all places of its box: the likelihood of a place grows with its worth. The fit
is the most likely weights, less a strong pull to the defaults. All is deterministic.

Whether it is better is asked of corrections that the fit did not see: photos are dealt into groups, and each group is judged by
the weights fitted to the others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.view import View
from cropper.choosing.worth import best_offset, main_points, top_of, worth_of
from cropper.settings import MOST_TARGET, MOST_WEIGHT, TARGETS, WEIGHTS, Weights

# A chosen box meets the person's if it lies this near, as a share of its length along the free side.
NEAR = 0.05
# The fewest corrections to learn from.
LEAST = 30
# The unit of each weight, in which its distance from the default is measured. Those without one stay as they are.
UNITS = {
    "subject": 0.25,
    "whole": 0.1,
    "top": 0.3,
    "head": 0.5,
    "missed": 0.5,
    "room": 0.08,
    "middle": 0.06,
    "edge": 0.5,
    "edge_subject": 0.5,
    "centre": 0.1,
    "place": 0.5,
    "across": 0.2,
    "down": 0.2,
    "gaze": 0.5,
    "faces": 0.5,
    "headroom": 0.5,
    "above": 0.1,
}
# The pull to the defaults: a unit away from them costs as much as this share of ``e`` in the likelihood of one correction.
PULL = 0.5
# The worth that makes a place ``e`` times as likely: smaller, and a few odd corrections would rule.
SOFTNESS = 0.08
# The share of corrections that follow no rule.
ODD = 0.3
GROUPS = 5
# Places of a box that the fit weighs, and its steps.
_PLACES, _STEPS = 81, 400
# The normal deviate of an interval of 95 %, and the resamplings of the difference's.
_DEVIATE, _RESAMPLINGS = 1.96, 2000
_LINEAR = ("subject", "whole", "top", "head", "missed", "room", "middle", "edge", "edge_subject", "centre")
_NAMES = tuple(UNITS)
_MOST = np.array([MOST_TARGET if name in TARGETS else MOST_WEIGHT for name in _NAMES])
_UNITS = np.array([*UNITS.values()])


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
    """What the fit needs of a correction, at ``_PLACES`` places of its box.

    Attributes:
        kept: [places], the share of the density kept.
        linear: [_LINEAR, places], the worth of each term at weight 1.
        horizontal: whether the box may move across.
        subject, looked, heads, top: [places], how far the main points and the top lie behind the box's start, in its lengths; NaN
            where there is none.
        near: [places], whether each is near the person's.
    """

    kept: NDArray[np.float64]
    linear: NDArray[np.float64]
    horizontal: bool
    subject: NDArray[np.float64]
    looked: NDArray[np.float64]
    heads: NDArray[np.float64]
    top: NDArray[np.float64]
    near: NDArray[np.bool_]


def _evidence(one: Correction) -> _Evidence:
    offsets = np.linspace(0, one.side - one.length, _PLACES)
    none = Weights(**{field.name: 0.0 for field in fields(Weights)} | {name: getattr(WEIGHTS, name) for name in TARGETS})

    def worth(weights: Weights) -> NDArray[np.float64]:
        return worth_of(one.view, one.side, one.length, offsets, one.horizontal, weights)

    kept = worth(none)
    linear = np.stack([worth(replace(none, **{name: 1.0})) - kept for name in _LINEAR])
    points = (*main_points(one.view, one.horizontal), None if one.horizontal else top_of(one.view))
    behind = [(np.nan if point is None else point * one.side - offsets) / one.length for point in points]
    subject, looked, heads, top = (np.broadcast_to(values, offsets.shape) for values in behind)
    distance = np.abs(offsets - one.offset)
    near = (distance <= NEAR * one.length) | (distance == distance.min())
    return _Evidence(kept, linear, one.horizontal, subject, looked, heads, top, near)


def fitted(evidence: Sequence[_Evidence]) -> Weights:
    """Return the likeliest weights, of two starts: the defaults, and where the person's boxes have their points."""
    all_of = _Stack(evidence)
    default = np.array([getattr(WEIGHTS, name) for name in _NAMES])
    _, best = min((all_of.descended(start, default) for start in (default, all_of.start(default))), key=lambda one: one[0])
    return replace(WEIGHTS, **{name: round(float(value), 4) for name, value in zip(_NAMES, best, strict=True)})


class _Stack:
    """The evidence of all corrections: each array with a first axis [n]."""

    def __init__(self, evidence: Sequence[_Evidence]) -> None:
        self.kept = np.stack([one.kept for one in evidence])
        self.linear = np.stack([one.linear for one in evidence])
        self.horizontal = np.array([one.horizontal for one in evidence])
        self.subject = np.stack([one.subject for one in evidence])
        self.looked = np.stack([one.looked for one in evidence])
        heads = np.stack([one.heads for one in evidence])
        self.has_heads = ~np.isnan(heads)
        self.heads = np.where(self.has_heads, heads, 0.0)
        top = np.stack([one.top for one in evidence])
        self.has_top = ~np.isnan(top[:, 0])
        self.top = np.where(self.has_top[:, None], top, 0.0)
        self.near = np.stack([one.near for one in evidence])

    def start(self, default: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a start with the targets where the person's boxes have their points."""
        start = dict(zip(_NAMES, default, strict=True))
        count = self.near.sum(axis=1)
        middle = (self._main(start["gaze"], start["faces"])[0] * self.near).sum(axis=1) / count
        top = (self.top * self.near).sum(axis=1) / count
        for name, values in (
            ("across", middle[self.horizontal]),
            ("down", middle[~self.horizontal]),
            ("above", top[self.has_top]),
        ):
            if len(values):
                start[name] = float(np.clip(np.median(values), 0, 1))
        start["place"], start["headroom"] = 0.3, 0.1
        return np.array([*start.values()])

    def _main(self, gaze: float, faces: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return how far the main point lies behind the box's start, and how that grows with ``gaze`` and ``faces``."""
        by_gaze = self.looked - self.subject
        point = self.subject + gaze * by_gaze
        by_faces = np.where(self.has_heads, self.heads - point, 0.0)
        return point + faces * by_faces, np.where(self.has_heads, (1 - faces) * by_gaze, by_gaze), by_faces

    def cost(self, values: NDArray[np.float64], default: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return how unlikely the corrections are with these values, less the pull, and its gradient."""
        weight = dict(zip(_NAMES, values, strict=True))
        point, by_gaze, by_faces = self._main(weight["gaze"], weight["faces"])
        off_place = point - np.where(self.horizontal, weight["across"], weight["down"])[:, None]
        off_top = (self.top - weight["above"]) * self.has_top[:, None]
        linear = np.array([weight[name] for name in _LINEAR])
        worth = self.kept + np.einsum("l,nlp->np", linear, self.linear)
        worth -= weight["place"] * np.abs(off_place) + weight["headroom"] * np.abs(off_top)
        likely = np.exp((worth - worth.max(axis=1, keepdims=True)) / SOFTNESS)
        likely /= likely.sum(axis=1, keepdims=True)
        hit = (likely * self.near).sum(axis=1)
        all_hits = (1 - ODD) * hit + ODD * self.near.mean(axis=1)
        away = (values - default) / _UNITS
        cost = -np.log(all_hits).sum() + PULL * (away**2).sum()
        # By the worth of each place: [n, places].
        slope = -((1 - ODD) / all_hits)[:, None] * likely * (self.near - hit[:, None]) / SOFTNESS
        side, side_top = np.sign(off_place), np.sign(off_top)
        by = dict(zip(_LINEAR, np.einsum("np,nlp->l", slope, self.linear), strict=True))
        by["place"] = -(slope * np.abs(off_place)).sum()
        by_target = weight["place"] * (slope * side).sum(axis=1)
        by["across"], by["down"] = by_target[self.horizontal].sum(), by_target[~self.horizontal].sum()
        by["gaze"] = -weight["place"] * (slope * side * by_gaze).sum()
        by["faces"] = -weight["place"] * (slope * side * by_faces).sum()
        by["headroom"] = -(slope * np.abs(off_top)).sum()
        by["above"] = weight["headroom"] * (slope * side_top).sum()
        return float(cost), np.array([by[name] for name in _NAMES]) + 2 * PULL * away / _UNITS

    def descended(self, start: NDArray[np.float64], default: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Go down from a start, and return the least cost and its values: Adam's steps, in units, shorter and shorter."""
        values, best = start.copy(), (math.inf, start)
        mean, square = np.zeros_like(values), np.zeros_like(values)
        for step in range(1, _STEPS + 1):
            cost, gradient = self.cost(values, default)
            if cost < best[0]:
                best = cost, values
            gradient = gradient * _UNITS
            mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
            rate = 0.05 * (1 - step / (_STEPS + 1))
            move = rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-9)
            values = np.clip(values - move * _UNITS, 0, _MOST)
        return best


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
