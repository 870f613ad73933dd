"""Density and aspect -> box. Pure numpy, no I/O.

The box is the largest of its aspect, so one side spans the whole photo and only the offset along the other is free. The density
decides that offset, not its argmax: among the offsets that keep nearly the most density, one that keeps much and whose borders
cut little of what is dense, of equals the one nearest the centre.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cropper.geometry import Box, central_place, largest_size

# No offset is chosen that keeps this much less density than the best one.
KEPT_TOLERANCE = 0.05
# How much density lies within this share of the photo's free side of a border says how much the border cuts.
# It reaches well beyond the dense place itself: people look at eyes and mouths, and a head ends a good way above them.
BORDER_SHARE = 0.09
BANDS = 6
# What squared density cut counts for against density kept, at the upper border and at the others: squared, so that a face counts
# and the background around it does not. Heads are what one sees cut, and they are above the eyes. It is a trade: with weights at
# the top of 0, 0.2, 0.3 and 0.4, boxes of four aspects go .580, .568, .567 and .557 of the way from the centre crop to the best
# box on 153 validation photos of three gaze sets (off-centre windows: .679, .672, .671 and .670), and cut 16.9, 13.1, 11.6 and
# 11.0 % of the faces in photos of OSIE; below 0.4, a portrait of the samples loses her forehead. Not squared, 0.4 and 0.5 cut
# 12.3 and 11.8 % and go less far for it.
TOP_WEIGHT = 0.4
BORDER_WEIGHT = 0.05
# A density that nowhere reaches this many times its mean says nothing: of plain pages and fog the model gives up to 2.9 times, of
# 306 validation photos and windows one below 3, half of them above 19.
NEARLY_FLAT = 3
# Offsets whose worth differs by less are equals: there is nothing to choose between them.
WORTH_TOLERANCE = 0.0015


def choose(density: NDArray[np.floating], image_width: int, image_height: int, aspect: tuple[int, int]) -> Box:
    """The box of an aspect that keeps most of what people look at.

    Deterministic; a density mirrored left to right gives the mirrored box, unless two mirrored boxes are exactly equal; a flat
    or nearly flat density gives the centre.

    Args:
        density: [h, w], non-negative, over the whole upright photo; it need not sum to 1, and all zeros count as flat.
        image_width, image_height: the upright original in pixels, at least 1.
        aspect: width and height of the shape asked for, at least 1 each; ``(640, 360)`` is ``(16, 9)``.

    Raises:
        UsageError: for an aspect with a side below 1.
        ValueError: for a density that is not 2-D, or holds negative numbers or NaN.
    """
    return best_box(normalised(density), image_width, image_height, aspect)


def best_box(mass: NDArray[np.float64], image_width: int, image_height: int, aspect: tuple[int, int]) -> Box:
    """The box that ``choose`` chooses, from a density that sums to 1."""
    width, height = largest_size(image_width, image_height, aspect)
    horizontal = width < image_width
    side, length = (image_width, width) if horizontal else (image_height, height)
    if is_flat(mass):
        weights, tolerance = (0.0, 0.0), KEPT_TOLERANCE
    else:
        weights, tolerance = (BORDER_WEIGHT if horizontal else TOP_WEIGHT, BORDER_WEIGHT), WORTH_TOLERANCE
    axis = 0 if horizontal else 1
    offset = _best_offset(mass.sum(axis=axis), normalised(mass**2).sum(axis=axis), side, length, weights, tolerance)
    return box_at(mass, image_width, image_height, (offset, 0, width, height) if horizontal else (0, offset, width, height))


def central(density: NDArray[np.floating], image_width: int, image_height: int, aspect: tuple[int, int]) -> Box:
    """The largest box of an aspect in the photo's centre, whatever the density; arguments and errors as of ``choose``."""
    return box_at(normalised(density), image_width, image_height, central_place(image_width, image_height, aspect))


def normalised(density: NDArray[np.floating]) -> NDArray[np.float64]:
    """A copy of a density that sums to 1; an even one of all zeros.

    Raises:
        ValueError: if it is not 2-D, or holds negative numbers or NaN.
    """
    mass: NDArray[np.float64] = np.array(density, np.float64)
    if mass.ndim != 2 or not mass.size or not (mass >= 0).all():
        raise ValueError("a density is 2-D and non-negative")
    if mass.sum() <= 0:
        mass[:] = 1
    mass /= mass.sum()
    return mass


def is_flat(mass: NDArray[np.floating]) -> bool:
    """Whether a density that sums to 1 is so even that it says nothing."""
    return bool(mass.max() * mass.size < NEARLY_FLAT)


def box_at(
    mass: NDArray[np.float64],
    image_width: int,
    image_height: int,
    place: tuple[int, int, int, int],
    focus: tuple[int, int] | None = None,
) -> Box:
    """The box at a place ``(x, y, width, height)``, with what it keeps of a density that sums to 1.

    Its focus, unless given, is the centre of mass of the squared density inside.
    """
    rows, columns = mass.shape
    inside = _inside(rows, columns, image_width, image_height, place)
    kept = min(1.0, float((mass * inside).sum()))
    return Box(*place, kept, focus or _focus(mass, inside, image_width, image_height, place))


def outside(mass: NDArray[np.float64], image_width: int, image_height: int, box: Box) -> NDArray[np.float64]:
    """What of a density [h, w] lies outside a box; the rest is 0."""
    rows, columns = mass.shape
    return mass * (1 - _inside(rows, columns, image_width, image_height, (box.x, box.y, box.width, box.height)))


def _inside(
    rows: int, columns: int, image_width: int, image_height: int, place: tuple[int, int, int, int]
) -> NDArray[np.float64]:
    """How much of each cell of a density lies inside a place, 0..1: [rows, columns]."""
    x, y, width, height = place
    return np.outer(_cell_shares(rows, image_height, y, height), _cell_shares(columns, image_width, x, width))


def _best_offset(
    marginal: NDArray[np.float64],
    squared: NDArray[np.float64],
    side: int,
    length: int,
    weights: tuple[float, float],
    tolerance: float,
) -> int:
    """Where a window of ``length`` pixels along a ``side`` of that many pixels lies best, given the density along it.

    The weights are of the squared density cut by its first and its last border; offsets whose worth differs by less than the
    tolerance are equals, and the most central of them is best.
    """
    offsets = np.arange(side - length + 1, dtype=np.float64)
    borders = np.stack([offsets, offsets + length])
    before = _mass_before(marginal, side, borders)
    kept = before[1] - before[0]
    # Rounding keeps sums that are equal but for the order of their terms equal: a mirrored photo must not differ.
    worth = (kept - np.array(weights) @ _cut(squared, side, borders)).round(9)
    worth[kept.round(9) < kept.max().round(9) - KEPT_TOLERANCE] = -np.inf
    worth[worth < worth.max() - tolerance] = -np.inf
    from_centre = np.abs(2 * offsets - (side - length))
    from_centre[np.isinf(worth)] = np.inf
    return int(np.lexsort((-worth, from_centre))[0])


def _cut(marginal: NDArray[np.float64], side: int, borders: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much density lies around borders at these positions, the nearer the more, as if it went on beyond the photo.

    The weight falls from 2 at the border to 0 at BORDER_SHARE of the side: the mean of bands of growing reach.
    """
    reach = (BORDER_SHARE * side * (np.arange(BANDS) + 0.5) / BANDS).reshape(-1, *[1] * borders.ndim)
    start, stop = np.maximum(borders - reach, 0), np.minimum(borders + reach, side)
    mass = _mass_before(marginal, side, stop) - _mass_before(marginal, side, start)
    cut = (mass * (2 * reach / BANDS) / (stop - start)).sum(axis=0)
    # A border on the photo's own edge cuts nothing, however dense it is there; it counts like one through even ground, so
    # that a flat density has no reason to leave the centre.
    return np.where((borders > 0) & (borders < side), cut, BORDER_SHARE)


def _mass_before(marginal: NDArray[np.float64], side: int, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The density before each of the positions, in pixels of a side, each cell's mass spread evenly over it."""
    cells = len(marginal)
    return np.interp(positions, np.arange(cells + 1) * (side / cells), np.concatenate([[0.0], marginal.cumsum()]))


def _cell_shares(cells: int, side: int, start: int, length: int) -> NDArray[np.float64]:
    """How much of each of the cells along a side lies in ``start .. start + length``, 0..1."""
    edges = np.linspace(0, side, cells + 1)
    overlap = np.minimum(edges[1:], start + length) - np.maximum(edges[:-1], start)
    return np.clip(overlap, 0, None) / (side / cells)


def _focus(
    density: NDArray[np.float64],
    inside: NDArray[np.float64],
    image_width: int,
    image_height: int,
    box: tuple[int, int, int, int],
) -> tuple[int, int]:
    """The centre of mass of the squared density inside the box, in pixels: squared, so that subjects outweigh background."""
    weight = np.square(density) * inside
    weight /= weight.sum() if weight.sum() > 0 else 1.0
    rows, columns = density.shape
    fx = float(weight.sum(axis=0) @ (np.arange(columns) + 0.5)) * image_width / columns
    fy = float(weight.sum(axis=1) @ (np.arange(rows) + 0.5)) * image_height / rows
    x, y, width, height = box
    # A cell that straddles the border has its centre outside; the point itself stays in.
    return int(np.clip(fx, x, x + width - 1)), int(np.clip(fy, y, y + height - 1))
