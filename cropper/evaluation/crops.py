"""Scores of crop boxes: how much of what people looked at a box keeps, and how that stands between a centre crop and the best.

*Kept* is the share of a photo's fixations inside the box. *Gap* is how much of the way from the centre crop (0) to the best
possible box (1) a cropper goes, by the means over the photos: ``(kept - centre) / (best - centre)``. Below 0 is worse than not
looking at the photo at all. Our boxes and the references' are the largest of their aspect: only an offset is chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.boxes import choose
from cropper.evaluation.bootstrap import Interval, interval, resamples
from cropper.evaluation.gaze import GazePhoto
from cropper.evaluation.maps import Predictor
from cropper.geometry import largest_size

Aspect = tuple[int, int]
# x, y, width, height in pixels, not always whole ones.
Rectangle = tuple[float, float, float, float]

OURS = "cropper"
CENTRE, BEST, VIEWERS = "centre crop", "best possible", "half the viewers"
REFERENCES = (CENTRE, VIEWERS, BEST)

# Offsets the best box is looked for at, evenly over the free side. Trying every pixel instead finds up to 0.002 more of OSIE's
# fixations, which lowers gaps by up to 1.3 %: noise of single fixations, for figures that compare with none measured so far.
POSITIONS = 65
HALVES_SEED = 0


@dataclass(frozen=True)
class CropScore:
    """What a cropper's boxes are worth.

    Attributes:
        kept, gap: one for each aspect. A gap is NaN where the best box keeps no more than the centre crop.
        mean_kept, mean_gap: the mean over the aspects.
        missing: names of the photos without a box, for each aspect. They count in none of its figures, nor in the centre's and
            the best's that its gap is measured by.
    """

    kept: tuple[Interval, ...]
    gap: tuple[Interval, ...]
    mean_kept: Interval
    mean_gap: Interval
    missing: tuple[tuple[str, ...], ...]


def kept(points: NDArray[np.float64], box: Rectangle) -> float:
    """The share of fixations inside a box, 0..1; its left and top edges are in, its right and bottom ones out.

    Args:
        points: float64 [n, 2], x and y in the box's pixels; NaN is returned for none.
        box: x, y, width and height.
    """
    if not len(points):
        return float("nan")
    corner = np.array(box[:2])
    return float(((points >= corner) & (points < corner + box[2:])).all(axis=1).mean())


def centre_box(width: int, height: int, aspect: Aspect) -> Rectangle:
    """The largest box of an aspect in the very middle of a photo, on half a pixel where need be."""
    box_width, box_height = largest_size(width, height, aspect)
    return (width - box_width) / 2, (height - box_height) / 2, box_width, box_height


def best_box(points: NDArray[np.float64], width: int, height: int, aspect: Aspect) -> Rectangle:
    """The largest box of an aspect that keeps most of the fixations; among equals the middle one.

    Args:
        points: float64 [n, 2], at least one.
        width, height: of the photo.
        aspect: width and height of the shape.
    """
    box_width, box_height = largest_size(width, height, aspect)
    axis = 0 if box_width < width else 1
    free = width - box_width if axis == 0 else height - box_height
    length = box_width if axis == 0 else box_height
    offsets = np.unique(np.linspace(0, free, POSITIONS).round())
    along = np.sort(points[:, axis])
    inside = np.searchsorted(along, offsets + length) - np.searchsorted(along, offsets)
    equals = offsets[inside == inside.max()]
    offset = float(equals[len(equals) // 2])
    return (offset, 0.0, box_width, box_height) if axis == 0 else (0.0, offset, box_width, box_height)


def split_viewers(photos: Sequence[GazePhoto]) -> list[NDArray[np.bool_]]:
    """For each photo which fixations belong to one half of its viewers, drawn at random, the same every time: bool [n] each.

    Of an odd number the larger half is not in it, of one viewer nothing is.
    """
    rng = np.random.default_rng(HALVES_SEED)
    chosen = []
    for photo in photos:
        viewers = np.unique(photo.viewers)
        half = rng.permutation(viewers)[: len(viewers) // 2]
        chosen.append(np.isin(photo.viewers, half))
    return chosen


def score(photos: Sequence[GazePhoto], aspects: Sequence[Aspect], predict: Predictor) -> Iterator[dict[str, list[float]]]:
    """What each photo's boxes keep at each aspect, by cropper: ours, chosen by the predicted density, and the references.

    The references are the centre crop, the best possible box, and the box half of the viewers would choose for the other half,
    measured on that: what one can know of a photo's viewers from others like them. One split is drawn for each photo.
    """
    for photo, half in zip(photos, split_viewers(photos), strict=True):
        density = predict(photo.bgr())
        rows: dict[str, list[float]] = {name: [] for name in (OURS, *REFERENCES)}
        for aspect in aspects:
            chosen = choose(density, photo.width, photo.height, aspect)
            rows[OURS].append(kept(photo.points, (chosen.x, chosen.y, chosen.width, chosen.height)))
            rows[CENTRE].append(kept(photo.points, centre_box(photo.width, photo.height, aspect)))
            rows[BEST].append(kept(photo.points, best_box(photo.points, photo.width, photo.height, aspect)))
            if half.any():
                by_half = best_box(photo.points[half], photo.width, photo.height, aspect)
                rows[VIEWERS].append(kept(photo.points[~half], by_half))
            else:
                rows[VIEWERS].append(float("nan"))
        yield rows


def summary(photos: Sequence[GazePhoto], rows: Mapping[str, NDArray[np.float64]]) -> dict[str, CropScore]:
    """Each cropper's score.

    Args:
        photos: the photos scored.
        rows: cropper -> what it keeps, float64 [photos, aspects], NaN where it has no box; the centre crop and the best possible
            box among them, both without NaN.
    """
    weights = resamples(len(photos))
    return {name: _summary_of(photos, table, rows[CENTRE], rows[BEST], weights) for name, table in rows.items()}


def _summary_of(
    photos: Sequence[GazePhoto],
    table: NDArray[np.float64],
    centre: NDArray[np.float64],
    best: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> CropScore:
    present = ~np.isnan(table)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Each [resamples, aspects], over the photos that have a box there.
        count = weights @ present
        mean, low, high = (weights @ np.where(present, values, 0) / count for values in (table, centre, best))
        room = np.where(high - low > 1e-12, high - low, np.nan)
        gap = (mean - low) / room
    return CropScore(
        kept=tuple(interval(column) for column in mean.T),
        gap=tuple(interval(column) for column in gap.T),
        mean_kept=interval(mean.mean(axis=1)),
        mean_gap=interval(gap.mean(axis=1)),
        missing=tuple(
            tuple(photo.name for photo, has_box in zip(photos, column, strict=True) if not has_box) for column in present.T
        ),
    )
