"""Take the faces that are marked in a photo as heads, beside those that the model sees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.view import SMALLEST_HEAD, Part, View

# What a head has beyond the face that programs mark, from the brows to the chin: hair above, ears, and the chin's edge. Shares of
# the face's width or height.
_ABOVE, _BESIDE, _BELOW = 0.4, 0.15, 0.1
# The least share of the density that all marked heads count as together: somebody said that these people matter, also where the
# model sees nothing there.
_LEAST_DENSITY = 0.3


def with_faces(view: View, faces: Iterable[tuple[float, float, float, float]]) -> View:
    """Return a view with a head for each face. Heads of the model that show the same people give way.

    Args:
        view: what the photo shows.
        faces: left, top, right and bottom, as shares of the photo's sides, 0..1. Tiny ones are passers-by, as the model's are.
    """
    marked = [head for face in faces if (head := _head(view, face)).area >= SMALLEST_HEAD]
    if not marked:
        return view
    least = _LEAST_DENSITY / len(marked)
    marked = [replace(head, density=max(head.density, least)) for head in marked]
    seen = [head for head in view.heads if not any(_is_same(head, one) for one in marked)]
    heads = sorted((*seen, *marked), key=lambda part: (part.top, part.left, part.bottom, part.right))
    return replace(view, heads=tuple(heads))


def _head(view: View, face: tuple[float, float, float, float]) -> Part:
    left, top, right, bottom = face
    width, height = right - left, bottom - top
    left, right = max(0.0, left - _BESIDE * width), min(1.0, right + _BESIDE * width)
    top, bottom = max(0.0, top - _ABOVE * height), min(1.0, bottom + _BELOW * height)
    rows, columns = view.mass.shape
    density = _inside(rows, top, bottom) @ view.mass @ _inside(columns, left, right)
    return Part(left, top, right, bottom, float(density), (right - left) * (bottom - top))


def _inside(cells: int, start: float, stop: float) -> NDArray[np.float64]:
    """Return how much of each cell of a side [cells], 0..1, lies between two shares of the side."""
    edges = np.arange(cells + 1)
    return np.clip(np.minimum(stop * cells, edges[1:]) - np.maximum(start * cells, edges[:-1]), 0.0, 1.0)


def _is_same(one: Part, other: Part) -> bool:
    """Whether the middle of one head is inside the other."""
    return _holds_middle(one, other) or _holds_middle(other, one)


def _holds_middle(one: Part, other: Part) -> bool:
    x, y = (other.left + other.right) / 2, (other.top + other.bottom) / 2
    return one.left <= x <= one.right and one.top <= y <= one.bottom
