"""Turn the model's maps of a photo into what boxes are chosen by: a density, and the parts that should stay whole.

Threads may share a view; a photo needs one, whatever the number of shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# A cell belongs to a subject or a head if its mask is at least this.
LEVEL = 0.5
# A subject smaller than this share of the photo is a detail, and may be cut. A head smaller than this is a passer-by.
SMALLEST_SUBJECT = 0.004
SMALLEST_HEAD = 0.0004
# Without a mask, cells whose density is at least this share of the peak stand in for the subject.
DENSE = 0.2
# A density is flat if its peak stays below this many times its mean. For plain pages and fog, the model's peak reaches 2.9 times.
# Of 306 validation photos and windows, one stays below 3 and half exceed 19.
NEARLY_FLAT = 3


@dataclass(frozen=True)
class Maps:
    """What the model sees in one photo. Each map covers the whole upright photo.

    Attributes:
        density: float32 [h, w], where people look; non-negative, sums to 1.
        subject: float32 [h, w], how sure each cell belongs to the subject, 0..1; None if the model does not tell.
        head: float32 [h, w], the same for people's heads.
    """

    density: NDArray[np.float32]
    subject: NDArray[np.float32] | None = None
    head: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Part:
    """A connected part of a mask: one subject, or one head.

    Attributes:
        left, top, right, bottom: its edges as shares of the photo's sides, 0..1, finer than the mask's cells.
        density: the share of the density on it, 0..1.
        area: its share of the photo's area, 0..1.
    """

    left: float
    top: float
    right: float
    bottom: float
    density: float
    area: float


@dataclass(frozen=True)
class View:
    """What boxes are chosen by.

    Attributes:
        mass: float64 [h, w], the density; sums to 1.
        subject: float64 [h, w], the mask of all subjects. It sums to 1, or is all 0 if the photo has no subject.
        subjects, heads: the parts to keep whole.
        told: whether the model tells subjects and heads; if not, the density stands in for the subject.
    """

    mass: NDArray[np.float64]
    subject: NDArray[np.float64]
    subjects: tuple[Part, ...]
    heads: tuple[Part, ...]
    told: bool

    @property
    def is_flat(self) -> bool:
        """Whether nothing stands out: the density is even, and no part should stay whole."""
        return is_flat(self.mass) and not self.heads and not (self.told and self.subjects)


def view_of(maps: Maps) -> View:
    """Find the parts in a photo's maps.

    Raises:
        ValueError: if the density is not 2-D, or holds negative numbers or NaN.
    """
    mass = normalised(maps.density)
    if maps.subject is None:
        peak = float(mass.max())
        # Half of the level for the least dense cell that counts, so that edges are found as in a mask.
        mask = np.minimum(1.0, mass * (LEVEL / (DENSE * peak)))
        told = False
    else:
        mask, told = np.asarray(maps.subject, np.float64), True
    subjects = parts_of(mask, mass, SMALLEST_SUBJECT)
    heads = () if maps.head is None else parts_of(np.asarray(maps.head, np.float64), mass, SMALLEST_HEAD)
    weight = np.where(mask >= LEVEL / 2, mask, 0.0) if subjects else np.zeros_like(mask)
    return View(mass, weight / max(float(weight.sum()), 1e-12), subjects, heads, told)


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


@lru_cache(maxsize=64)
def cell_edges(cells: int, side: int) -> NDArray[np.float64]:
    """Return where the cells along a side begin and the last one ends, in pixels: float64 [cells + 1]. Read-only."""
    edges = np.linspace(0, side, cells + 1)
    edges.flags.writeable = False  # photos share it
    return edges


def is_flat(mass: NDArray[np.floating]) -> bool:
    """Tell whether a density that sums to 1 is too even to choose a box by."""
    return bool(mass.max() * mass.size < NEARLY_FLAT)


def parts_of(mask: NDArray[np.float64], mass: NDArray[np.float64], smallest: float) -> tuple[Part, ...]:
    """Return the connected parts of a mask that cover at least a share of it, by their edges.

    Args:
        mask: [h, w], 0..1.
        mass: [h, w], the density; sums to 1.
        smallest: the least area, as a share of the mask's.
    """
    inside = mask >= LEVEL
    if np.count_nonzero(inside) < smallest * inside.size:
        return ()
    outside = ~inside
    rows, columns = mask.shape
    found = []
    for cells in _components(inside, smallest * inside.size):
        # Other parts count as nothing, so that edges do not reach for them.
        alone = np.where(cells | outside, mask, 0.0)
        across, down = np.asarray(cells.any(axis=0)), np.asarray(cells.any(axis=1))
        left, right = _edges(alone[down].max(axis=0), across)
        top, bottom = _edges(alone[:, across].max(axis=1), down)
        edges = (left / columns, top / rows, right / columns, bottom / rows)
        found.append(Part(*edges, float(mass[cells].sum()), float(cells.sum()) / cells.size))
    return tuple(sorted(found, key=lambda part: (part.top, part.left, part.bottom, part.right)))


def _edges(profile: NDArray[np.float64], cells: NDArray[np.bool_]) -> tuple[float, float]:
    """Return where a profile [n] rises to LEVEL and falls below it again, in cells, between the middles of neighbours.

    ``cells`` tells which cells are the part's. A part that reaches the last cell ends at the edge of the photo.
    """
    first, last = int(cells.argmax()), len(cells) - 1 - int(cells[::-1].argmax())
    return first + 0.5 - _reach(profile, first, first - 1), last + 0.5 + _reach(profile, last, last + 1)


def _reach(profile: NDArray[np.float64], own: int, beyond: int) -> float:
    """Return how far a part reaches from the middle of its own last cell towards the cell beyond, in cells."""
    if not 0 <= beyond < len(profile):
        return 0.5
    high, low = profile[own], min(float(profile[beyond]), LEVEL)
    return float((high - LEVEL) / (high - low)) if high > low else 0.5


def _components(inside: NDArray[np.bool_], smallest: float) -> Iterator[NDArray[np.bool_]]:
    """Yield the 8-connected components of a mask [h, w] with at least so many cells, each as a mask of its own."""
    runs = _runs(inside)
    parent = list(range(len(runs)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    above: list[int] = []
    here: list[int] = []
    for number, (row, start, stop) in enumerate(runs):
        if here and runs[here[-1]][0] != row:
            above, here = (here if runs[here[-1]][0] == row - 1 else []), []
        for other in above:
            if runs[other][1] <= stop and start <= runs[other][2]:
                parent[root(number)] = root(other)
        here.append(number)
    groups: dict[int, list[tuple[int, int, int]]] = {}
    for number, run in enumerate(runs):
        groups.setdefault(root(number), []).append(run)
    for group in groups.values():
        if sum(stop - start for _, start, stop in group) < smallest:
            continue
        cells = np.zeros(inside.shape, bool)
        for row, start, stop in group:
            cells[row, start:stop] = True
        yield cells


def _runs(inside: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Return the runs of true cells in the lines of a mask [h, w], each as (row, start, stop), row by row."""
    rows, columns = inside.shape
    # All lines at once: a call of numpy costs more than it does with a line.
    framed = np.zeros((rows, columns + 2), bool)
    framed[:, 1:-1] = inside
    lines, places = np.nonzero(framed[:, 1:] != framed[:, :-1])
    return [*zip(lines[::2].tolist(), places[::2].tolist(), places[1::2].tolist(), strict=True)]
