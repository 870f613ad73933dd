"""Choose the box for a density and an aspect. Pure numpy, no I/O.

The box is the largest of its aspect, so one side spans the whole photo and only the offset along the other side is free. The
whole density decides the offset, not its argmax. Only offsets that keep nearly the most density compete. The best one keeps
much density and its borders cut little dense area; among equals, the one nearest the centre wins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cropper.geometry import Box, largest_size

# An offset may keep at most this much less density than the offset that keeps the most.
KEPT_TOLERANCE = 0.05
# The density within this share of the free side from a border measures how much the border cuts. It reaches well beyond the
# dense area: people look at eyes and mouths, and the head goes on well above them.
BORDER_SHARE = 0.09
BANDS = 6
# The weights of squared density cut against density kept, at the upper border and at the others. Squaring makes faces count, but
# not the background around them. The upper border weighs more: people notice cut heads, and heads lie above the eyes.
# The top weight is a trade-off. With 0, 0.2, 0.3 and 0.4, boxes of four aspects go .580, .568, .567 and .557 of the way from the
# centre crop to the best box on 153 validation photos of three gaze sets (off-centre windows: .679, .672, .671 and .670). They
# cut 16.9, 13.1, 11.6 and 11.0 % of the faces in photos of OSIE. Below 0.4, a portrait among the samples loses its forehead.
# Without squaring, 0.4 and 0.5 cut 12.3 and 11.8 %, and the boxes go less far.
TOP_WEIGHT = 0.4
BORDER_WEIGHT = 0.05
# A density is flat if its peak stays below this many times its mean. For plain pages and fog, the model's peak reaches 2.9 times.
# Of 306 validation photos and windows, one stays below 3 and half exceed 19.
NEARLY_FLAT = 3
# Offsets count as equal if their worth differs by less than this.
WORTH_TOLERANCE = 0.0015


def choose(density: NDArray[np.floating], image_width: int, image_height: int, aspect: tuple[int, int]) -> Box:
    """Choose the box of an aspect that keeps most of what people look at.

    The result is deterministic. A density mirrored left to right gives the mirrored box, unless two mirrored boxes are exactly
    equal. A flat or nearly flat density gives the centre.

    Args:
        density: [h, w], non-negative, over the whole upright photo. It need not sum to 1; all zeros count as flat.
        image_width, image_height: the upright original in pixels, at least 1.
        aspect: width and height of the shape, at least 1 each; ``(640, 360)`` is the same as ``(16, 9)``.

    Raises:
        UsageError: if a side of the aspect is below 1.
        ValueError: if the density is not 2-D, or holds negative numbers or NaN.
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


def normalised(density: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return a copy of a density, scaled to sum to 1. All zeros become a uniform density.

    Raises:
        ValueError: if the density is not 2-D, or holds negative numbers or NaN.
    """
    mass: NDArray[np.float64] = np.array(density, np.float64)
    if mass.ndim != 2 or not mass.size or not (mass >= 0).all():
        raise ValueError("the density must be 2-D and non-negative")
    if mass.sum() <= 0:
        mass[:] = 1
    mass /= mass.sum()
    return mass


def is_flat(mass: NDArray[np.floating]) -> bool:
    """Tell whether a density that sums to 1 is too even to choose a box by."""
    return bool(mass.max() * mass.size < NEARLY_FLAT)


def box_at(
    mass: NDArray[np.float64],
    image_width: int,
    image_height: int,
    place: tuple[int, int, int, int],
    focus: tuple[int, int] | None = None,
) -> Box:
    """Return the box at a place ``(x, y, width, height)``, with the share it keeps of a density that sums to 1.

    By default, its focus is the centre of mass of the squared density inside.
    """
    rows, columns = mass.shape
    inside = _inside(rows, columns, image_width, image_height, place)
    kept = min(1.0, float((mass * inside).sum()))
    return Box(*place, kept, focus or _focus(mass, inside, image_width, image_height, place))


def outside(mass: NDArray[np.float64], image_width: int, image_height: int, box: Box) -> NDArray[np.float64]:
    """Return the part of a density [h, w] outside a box, with 0 inside."""
    rows, columns = mass.shape
    return mass * (1 - _inside(rows, columns, image_width, image_height, (box.x, box.y, box.width, box.height)))


def _inside(
    rows: int, columns: int, image_width: int, image_height: int, place: tuple[int, int, int, int]
) -> NDArray[np.float64]:
    """Return the share of each density cell that lies inside a place, 0..1: [rows, columns]."""
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
    """Return the best offset, in pixels, of a window along a side.

    Args:
        marginal: [n], the density along the side.
        squared: [n], the squared density along the side.
        side, length: of the photo and of the window, in pixels.
        weights: the weights of the squared density that the first and the last border cut.
        tolerance: offsets are equal if their worth differs by less. The most central of them is best.
    """
    offsets = np.arange(side - length + 1, dtype=np.float64)
    borders = np.stack([offsets, offsets + length])
    before = _mass_before(marginal, side, borders)
    kept = before[1] - before[0]
    # Rounding makes sums equal that differ only in the order of their terms, so that a mirrored photo gets the mirrored box.
    worth = (kept - np.array(weights) @ _cut(squared, side, borders)).round(9)
    worth[kept.round(9) < kept.max().round(9) - KEPT_TOLERANCE] = -np.inf
    worth[worth < worth.max() - tolerance] = -np.inf
    from_centre = np.abs(2 * offsets - (side - length))
    from_centre[np.isinf(worth)] = np.inf
    return int(np.lexsort((-worth, from_centre))[0])


def _cut(marginal: NDArray[np.float64], side: int, borders: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much density each border cuts: the density around it, weighted by nearness.

    The weight falls from 2 at the border to 0 at BORDER_SHARE of the side. It is the mean of bands of growing reach. A band that
    ends at the edge of the photo is scaled up to its full reach.
    """
    reach = (BORDER_SHARE * side * (np.arange(BANDS) + 0.5) / BANDS).reshape(-1, *[1] * borders.ndim)
    start, stop = np.maximum(borders - reach, 0), np.minimum(borders + reach, side)
    mass = _mass_before(marginal, side, stop) - _mass_before(marginal, side, start)
    cut = (mass * (2 * reach / BANDS) / (stop - start)).sum(axis=0)
    # A border on the edge of the photo cuts nothing, however dense it is there. It counts like a border through a uniform
    # density, so that a flat density keeps the box in the centre.
    return np.where((borders > 0) & (borders < side), cut, BORDER_SHARE)


def _mass_before(marginal: NDArray[np.float64], side: int, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the density before each position, in pixels along a side. Each cell's mass is spread evenly over the cell."""
    cells = len(marginal)
    return np.interp(positions, np.arange(cells + 1) * (side / cells), np.concatenate([[0.0], marginal.cumsum()]))


def _cell_shares(cells: int, side: int, start: int, length: int) -> NDArray[np.float64]:
    """Return the share of each cell along a side that lies in ``start .. start + length``, 0..1."""
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
    """Return the centre of mass of the squared density inside the box, in pixels. Squaring makes subjects outweigh background."""
    weight = np.square(density) * inside
    weight /= weight.sum() if weight.sum() > 0 else 1.0
    rows, columns = density.shape
    fx = float(weight.sum(axis=0) @ (np.arange(columns) + 0.5)) * image_width / columns
    fy = float(weight.sum(axis=1) @ (np.arange(rows) + 0.5)) * image_height / rows
    x, y, width, height = box
    # A cell on the border can have its centre outside; the point must stay inside.
    return int(np.clip(fx, x, x + width - 1)), int(np.clip(fy, y, y + height - 1))
