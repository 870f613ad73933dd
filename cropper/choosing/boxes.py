"""Choose the box for a photo and an aspect. Pure numpy, no I/O.

The box is the largest of its aspect, so one side spans the whole photo and only the offset along the other side is free.
``worth.py`` weighs the offsets; a photo that shows nothing gets the central one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.view import Part, View, cell_edges
from cropper.choosing.worth import best_offset
from cropper.geometry import Box, largest_size
from cropper.settings import WEIGHTS, Weights

# A head is whole if at least this share of its height and width is inside the box.
WHOLE = 0.95
# A head is touched if more than this share of its height and width is inside the box.
TOUCHED = 0.1


def best_box(view: View, image_width: int, image_height: int, aspect: tuple[int, int], weights: Weights = WEIGHTS) -> Box:
    """Choose the box of an aspect by all that a photo shows.

    The result is deterministic. A photo mirrored left to right gives the mirrored box, unless two mirrored boxes are exactly
    equal or the weights prefer a side. A photo that shows nothing gives the centre.

    Args:
        view: what the photo shows.
        image_width, image_height: the upright original in pixels, at least 1.
        aspect: width and height of the shape, at least 1 each; ``(640, 360)`` is the same as ``(16, 9)``.
        weights: how places are weighed.

    Raises:
        UsageError: if a side of the aspect is below 1.
    """
    width, height = largest_size(image_width, image_height, aspect)
    horizontal = width < image_width
    side, length = (image_width, width) if horizontal else (image_height, height)

    def box(offset: int) -> Box:
        return box_at(view, image_width, image_height, (offset, 0, width, height) if horizontal else (0, offset, width, height))

    if view.is_flat:
        # Where the middle lies between two pixels, what the photo shows decides.
        return max(box((side - length) // 2), box((side - length + 1) // 2), key=lambda one: one.kept)
    return box(best_offset(view, side, length, horizontal, weights))


def box_at(
    view: View,
    image_width: int,
    image_height: int,
    place: tuple[int, int, int, int],
    focus: tuple[int, int] | None = None,
) -> Box:
    """Return the box at a place ``(x, y, width, height)``, with what it keeps and cuts.

    By default, its focus is the centre of mass of the squared density inside.
    """
    rows, columns = view.mass.shape
    inside = _inside(rows, columns, image_width, image_height, place)
    kept = min(1.0, float((view.mass * inside).sum()))
    box = Box(*place, kept, focus or _focus(view.mass, inside, image_width, image_height, place))
    if not view.told:
        return box
    # Without a subject, nothing of it is lost.
    subject_kept = min(1.0, float((view.subject * inside).sum())) if view.subjects else 1.0
    heads_cut = sum(is_cut(head, image_width, image_height, box) for head in view.heads)
    return replace(box, subject_kept=subject_kept, heads_cut=heads_cut)


def is_cut(head: Part, image_width: int, image_height: int, box: Box) -> bool:
    """Tell whether a box shows a head, but not the whole of it."""
    shares = []
    for start, stop, side, first, length in (
        (head.left, head.right, image_width, box.x, box.width),
        (head.top, head.bottom, image_height, box.y, box.height),
    ):
        overlap = min(stop * side, first + length) - max(start * side, first)
        shares.append(max(0.0, overlap) / max((stop - start) * side, 1e-9))
    return min(shares) > TOUCHED and min(shares) < WHOLE


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


def _cell_shares(cells: int, side: int, start: int, length: int) -> NDArray[np.float64]:
    """Return the share of each cell along a side that lies in ``start .. start + length``, 0..1."""
    edges = cell_edges(cells, side)
    overlap = np.minimum(edges[1:], start + length) - np.maximum(edges[:-1], start)
    shares: NDArray[np.float64] = np.maximum(overlap, 0) / (side / cells)
    return shares


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
    return int(min(max(fx, x), x + width - 1)), int(min(max(fy, y), y + height - 1))
