"""Weigh the places of a box along one side of a photo, by a picture editor's order.

A box shows heads and subjects whole where they fit. Where one does not fit, the box shows its top rather than its middle. No
border goes through a face. After that, the box keeps what people look at, with as little as possible of it and of the subject at
the borders, leaves room around it and stays near the middle.

Everything is one sum, whose weights are ``settings.Weights``. MODEL_CARD.md says what others gave. The terms of taste, with
which ``cropper tune`` learns where people want the subject, weigh nothing by default. A target beside the middle of the width
makes a photo and its mirror image differ.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.view import Part, View, cell_edges
from cropper.settings import WEIGHTS, Weights

# How far a border may go into a part that counts as whole, as a share of the part's length.
SUBJECT_SLACK, HEAD_SLACK = 0.05, 0.05
# Room enough around a part, as shares of the box's length: above it, and on any other side. A head at the upper border looks cut.
ROOM_ABOVE, ROOM = 0.08, 0.05
# What lies nearer than this to a border of the box, as a share of the box's length, looks cut or squeezed.
EDGE = 0.06
# A top that is cut by this share of the box's length or more is lost.
MOST_TOP = 0.25
# A head with at least this share of the density of the densest head is a main one.
MAIN_HEAD = 0.25
# Offsets to try, evenly spaced: a thousandth of a photo's side is finer than any map.
MOST_OFFSETS = 1025
# Places count as equal if their worth differs by less than this; the nearest to the photo's middle is taken.
TOLERANCE = 0.004


def best_offset(view: View, side: int, length: int, horizontal: bool, weights: Weights = WEIGHTS) -> int:
    """Return the best offset, 0 .. side - length in pixels, of a box along a photo's side.

    Args:
        view: what the photo shows.
        side: the length of the photo's side in pixels.
        length: the length of the box along it, at most ``side``.
        horizontal: whether the side is the photo's width.
    """
    offsets = _offsets(side - length)
    # Rounding makes sums equal that differ only in the order of their terms, so that a mirrored photo gets the mirrored box.
    worth = worth_of(view, side, length, offsets, horizontal, weights).round(7)
    from_middle = np.abs(2 * offsets - (side - length))
    from_middle[worth < worth.max() - TOLERANCE] = np.inf
    return int(offsets[np.lexsort((-worth, from_middle))[0]])


@lru_cache(maxsize=64)
def _offsets(most: int) -> NDArray[np.float64]:
    """Return offsets to weigh, 0 .. most: whole pixels, the same from both ends, about MOST_OFFSETS at most. Read-only."""
    from_start = np.linspace(0, most, min(most + 1, MOST_OFFSETS)).round()
    from_start = from_start[from_start <= (most + 1) / 2]
    both = np.sort(np.concatenate([from_start, most - from_start]))
    # np.unique would load numpy.ma, which takes as long as the whole choice.
    offsets = both[np.append(True, both[1:] != both[:-1])]
    offsets.flags.writeable = False  # photos share it
    return offsets


def worth_of(
    view: View, side: int, length: int, offsets: NDArray[np.float64], horizontal: bool, weights: Weights
) -> NDArray[np.float64]:
    """Return the worth of a box at each offset [n] along a side: float64 [n]; arguments as in ``best_offset``."""
    axis = 0 if horizontal else 1
    borders = np.stack([offsets, offsets + length])
    mass, subject = view.mass.sum(axis=axis), view.subject.sum(axis=axis)
    kept = _inside(mass, side, borders)
    worth = kept + weights.subject * _inside(subject, side, borders)
    for part in view.subjects:
        start, stop = _span(part, side, horizontal)
        if stop - start <= length + 2 * SUBJECT_SLACK * (stop - start):
            cut = _is_cut(start, stop, SUBJECT_SLACK, borders)
            worth -= weights.whole * (part.density + part.area) * cut
            worth -= weights.room * part.density * ~cut * _lack_of_room(start, stop, side, borders, length, horizontal)
        elif not horizontal:
            worth -= weights.top * part.density * ((borders[0] - start) / (MOST_TOP * length)).clip(0, 1)
    for part in view.heads:
        start, stop = _span(part, side, horizontal)
        density = max(part.density, weights.least_head)
        if stop - start <= length + 2 * HEAD_SLACK * (stop - start):
            cut = _is_cut(start, stop, HEAD_SLACK, borders)
            worth -= weights.head * density * cut
            shown = (np.minimum(borders[1], stop) - np.maximum(borders[0], start)).clip(0) / (stop - start)
            worth -= weights.missed * part.density * (1 - shown)
            worth -= weights.room * density * ~cut * _lack_of_room(start, stop, side, borders, length, horizontal)
        elif not horizontal:
            # More of the top than of the chin: eyes are in the upper half, and hair says less.
            worth -= weights.head * density * np.abs((borders[0] - start) / (stop - start) - 0.1)
    # Where what is kept lies in the box: 0 in its middle, 0.5 at a border.
    middles = (np.arange(len(mass)) + 0.5) * (side / len(mass))
    moment = _inside(mass * middles, side, borders)
    centre = moment / np.maximum(kept, 1e-9)
    worth -= weights.middle * np.abs(centre - borders.mean(axis=0)) / length
    # One sum for both, since sums along a side are what takes time.
    worth -= _at_borders(weights.edge * mass + weights.edge_subject * subject, side, borders, length)
    if weights.centre and side > length:
        worth -= weights.centre * np.abs(2 * offsets / (side - length) - 1)
    if weights.place:
        target = weights.across if horizontal else weights.down
        worth -= weights.place * np.abs((_main_point(view, side, horizontal, weights) - offsets) / length - target)
    if weights.headroom and not horizontal and (top := top_of(view)) is not None:
        worth -= weights.headroom * np.abs((top * side - offsets) / length - weights.above)
    return worth


def main_points(view: View, horizontal: bool) -> tuple[float, float, float | None]:
    """Return where the middles of the subject, of the density and of the heads lie along a side of the photo, 0..1.

    Where a photo has no subject, the density is its subject; the last is None where no head is.
    """
    axis = 0 if horizontal else 1
    looked = _middle(view.mass.sum(axis=axis))
    subject = _middle(view.subject.sum(axis=axis)) if view.subjects else looked
    if not view.heads:
        return subject, looked, None
    middles = [sum(_span(head, 1, horizontal)) / 2 for head in view.heads]
    return subject, looked, float(np.average(middles, weights=[head.density + 1e-9 for head in view.heads]))


def top_of(view: View) -> float | None:
    """Return the top of the main heads, or of the subjects where no head is, 0..1 of the photo's height; None without either."""
    densest = max((head.density for head in view.heads), default=0.0)
    heads = [head for head in view.heads if head.density >= MAIN_HEAD * densest]
    return min((part.top for part in heads or view.subjects), default=None)


def _middle(marginal: NDArray[np.float64]) -> float:
    """Return the centre of mass of a marginal that sums to 1, 0..1."""
    return float((np.arange(len(marginal)) + 0.5) @ marginal) / len(marginal)


def _main_point(view: View, side: int, horizontal: bool, weights: Weights) -> float:
    """Return the point that ``Weights.place`` is about, in pixels along a side."""
    subject, looked, heads = main_points(view, horizontal)
    point = subject + weights.gaze * (looked - subject)
    return side * (point if heads is None else point + weights.faces * (heads - point))


def _span(part: Part, side: int, horizontal: bool) -> tuple[float, float]:
    """Return where a part starts and stops along a side, in pixels."""
    edges = (part.left, part.right) if horizontal else (part.top, part.bottom)
    return edges[0] * side, edges[1] * side


def _is_cut(start: float, stop: float, slack: float, borders: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell whether either border [2, n] goes through a part, deeper than the slack: [n]."""
    reach = slack * (stop - start)
    return np.asarray(((borders > start + reach) & (borders < stop - reach)).any(axis=0))


def _lack_of_room(
    start: float, stop: float, side: int, borders: NDArray[np.float64], length: int, horizontal: bool
) -> NDArray[np.float64]:
    """Return how much room around a whole part is missing, 0..1 [n]; 0 for a part outside the box or far from its borders.

    A border on the edge of the photo leaves as much room as the photo has.
    """
    before = np.where(borders[0] <= 0, length, start - borders[0]) / (length * (ROOM if horizontal else ROOM_ABOVE))
    behind = np.where(borders[1] >= side, length, borders[1] - stop) / (length * ROOM)
    missing = 1 - np.minimum(before, behind)
    inside = (borders[0] < stop) & (borders[1] > start)
    return np.asarray(missing.clip(0, 1) * inside)


def _at_borders(marginal: NDArray[np.float64], side: int, borders: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Return how much of a marginal lies within EDGE of the borders [2, n], inside the box and outside it: [n].

    Beyond its edge a photo goes on as its mirror image, so that a border there is neither better nor worse than another.
    """
    reach = EDGE * length
    mirrored = np.concatenate([marginal[::-1], marginal, marginal[::-1]])
    near = _inside(mirrored, 3 * side, side + np.stack([borders - reach, borders + reach]))
    return np.asarray(near.sum(axis=0))


def _inside(marginal: NDArray[np.float64], side: int, borders: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of a marginal between borders [2, ...], in pixels along a side: [...]. Each cell is spread evenly."""
    before = np.interp(borders, cell_edges(len(marginal), side), np.concatenate([[0.0], marginal.cumsum()]))
    between: NDArray[np.float64] = before[1] - before[0]
    return between
