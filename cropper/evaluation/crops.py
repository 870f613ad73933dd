"""Score crop boxes by the fixations they keep, against a centre crop and the best possible box.

*Kept* is the share of a photo's fixations inside the box. *Gap* places a cropper between the centre crop (0) and the best
possible box (1), by the means over the photos: ``(kept - centre) / (best - centre)``. A gap below 0 is worse than a crop that
ignores the photo. Our boxes and the reference boxes are the largest of their aspect: a cropper chooses only an offset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.boxes import best_box as choose_box
from cropper.choosing.view import Maps, view_of
from cropper.evaluation.bootstrap import Interval, interval, resamples
from cropper.evaluation.gaze import GazePhoto
from cropper.geometry import largest_size

Aspect = tuple[int, int]
# x, y, width, height in pixels, which may be fractions.
Rectangle = tuple[float, float, float, float]

# uint8 [H, W, 3] BGR -> its maps; Saliency.maps, for example.
Looker = Callable[[NDArray[np.uint8]], Maps]

OURS = "cropper"
CENTRE, BEST, VIEWERS = "centre crop", "best possible", "half the viewers"
REFERENCES = (CENTRE, VIEWERS, BEST)

# Offsets to try for the best box, evenly spaced over the free side. Trying every pixel keeps up to 0.002 more of OSIE's fixations
# and lowers gaps by up to 1.3 %. That is noise of single fixations, and it would make earlier figures incomparable.
POSITIONS = 65
HALVES_SEED = 0


@dataclass(frozen=True)
class CropScore:
    """The scores of a cropper's boxes.

    Attributes:
        kept, gap: one for each aspect. A gap is NaN if the best box keeps no more than the centre crop.
        mean_kept, mean_gap: the mean over the aspects.
        missing: names of the photos without a box, for each aspect. The cropper's figures exclude them, and so do the centre and
            best figures behind its gap.
    """

    kept: tuple[Interval, ...]
    gap: tuple[Interval, ...]
    mean_kept: Interval
    mean_gap: Interval
    missing: tuple[tuple[str, ...], ...]


def kept(points: NDArray[np.float64], box: Rectangle) -> float:
    """Return the share of fixations inside a box, 0..1; NaN without fixations.

    The left and top edges belong to the box, the right and bottom edges do not.

    Args:
        points: float64 [n, 2], x and y in pixels of the photo.
        box: x, y, width and height in pixels of the photo.
    """
    if not len(points):
        return float("nan")
    corner = np.array(box[:2])
    return float(((points >= corner) & (points < corner + box[2:])).all(axis=1).mean())


def centre_box(width: int, height: int, aspect: Aspect) -> Rectangle:
    """Return the largest box of an aspect in the exact centre of a photo, on half a pixel if necessary."""
    box_width, box_height = largest_size(width, height, aspect)
    return (width - box_width) / 2, (height - box_height) / 2, box_width, box_height


def best_box(points: NDArray[np.float64], width: int, height: int, aspect: Aspect) -> Rectangle:
    """Return the largest box of an aspect at the offset that keeps most fixations; the middle one of equal offsets.

    Args:
        points: float64 [n, 2], x and y of at least one fixation, in pixels of the photo.
        width, height: of the photo, in pixels.
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
    """Draw half of each photo's viewers at random and mark their fixations: bool [n] for each photo, the same every time.

    Of an odd number of viewers, the smaller half is marked. A single viewer is not marked.
    """
    rng = np.random.default_rng(HALVES_SEED)
    chosen = []
    for photo in photos:
        viewers = np.unique(photo.viewers)
        half = rng.permutation(viewers)[: len(viewers) // 2]
        chosen.append(np.isin(photo.viewers, half))
    return chosen


def score(photos: Sequence[GazePhoto], aspects: Sequence[Aspect], predict: Looker) -> Iterator[dict[str, list[float]]]:
    """Yield what each photo's boxes keep, cropper -> one share for each aspect: our cropper and the references.

    Our boxes come from the predicted maps. The references are the centre crop, the best possible box and ``half the viewers``.
    The last is the best box for half of the viewers, scored on the other half: it shows how well people predict other people.
    Each photo has one split; the share is NaN for a photo with a single viewer.

    Args:
        photos: the photos to score.
        aspects: the shapes to score.
        predict: the model: photo -> its maps.

    Raises:
        PhotoError: if a photo cannot be decoded.
    """
    for photo, half in zip(photos, split_viewers(photos), strict=True):
        view = view_of(predict(photo.bgr()))
        rows: dict[str, list[float]] = {name: [] for name in (OURS, *REFERENCES)}
        for aspect in aspects:
            chosen = choose_box(view, photo.width, photo.height, aspect)
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
    """Return the score of each cropper.

    Args:
        photos: the scored photos.
        rows: cropper -> shares kept, float64 [photos, aspects], NaN where it has no box. It must include the centre crop and the
            best possible box, without NaN.
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
        # Each is [resamples, aspects], over the photos that have a box at that aspect.
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
