"""Score boxes by the heads they cut.

A box shows a head whole, cuts it or leaves it out. Two shares are measured: how many of the heads that boxes touch are cut, and
how many of the heads that fit into the largest box are not shown whole. Intervals come from resampling the photos.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.boxes import best_box
from cropper.choosing.view import view_of
from cropper.errors import UsageError
from cropper.evaluation.bootstrap import Interval, interval, resamples
from cropper.evaluation.crops import CENTRE, OURS, Aspect, Looker, Rectangle, centre_box
from cropper.evaluation.gaze import pixels_of
from cropper.evaluation.peers import boxes_in, tables_of
from cropper.geometry import largest_size

# The share of a head's area that a box shows at least if it shows the head whole, and if it touches the head.
WHOLE, TOUCHED = 0.95, 0.05
# What is counted for each box: heads touched, cut, that would fit, and of these not whole.
COUNTS = 4


@dataclass(frozen=True)
class HeadScore:
    """How a cropper's boxes treat heads, in one aspect or over several.

    Attributes:
        cut: the share of the touched heads that are cut, 0..1.
        not_whole: the share of the heads that would fit that are not whole, 0..1.
        touched, fitting: how many heads that are.
    """

    cut: Interval
    not_whole: Interval
    touched: int
    fitting: int


def score(
    folder: Path,
    heads: Path,
    aspects: Sequence[Aspect],
    look: Looker,
    peers: Mapping[str, str],
) -> Iterator[dict[str, NDArray[np.float64]]]:
    """Yield the counts of each photo's boxes, cropper -> float64 [aspects, COUNTS], NaN where it has no box.

    Args:
        folder: the photos.
        heads: a table of heads with ``path,x,y,width,height``, in pixels of the upright photos; paths are relative to ``folder``.
        aspects: the shapes to score.
        look: the model: photo -> its maps.
        peers: name of a cropper -> its table of boxes, as in ``peers.kept_by``.

    Raises:
        UsageError: if a table cannot be read.
        PhotoError: if a photo cannot be decoded.
    """
    heads_of = boxes_in(heads)
    if not heads_of:
        raise UsageError("it has no heads", path=heads, remedy="give a table with the columns path,x,y,width,height")
    names = [path.rpartition("/")[2] for path in heads_of]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None and peers:
        raise UsageError(f"two photos are named {twice}, and the tables of boxes do not tell them apart", path=heads)
    tables = {name: [boxes for _, boxes in tables_of(pattern, aspects)] for name, pattern in peers.items()}
    for path, of_photo in heads_of.items():
        file = folder / path
        bgr = pixels_of(file)
        view = view_of(look(bgr))
        size = bgr.shape[1], bgr.shape[0]
        rows: dict[str, list[NDArray[np.float64]]] = {name: [] for name in (OURS, CENTRE, *tables)}
        for number, aspect in enumerate(aspects):
            ours = best_box(view, *size, aspect)
            room = largest_size(*size, aspect)
            rows[OURS].append(counts(of_photo, (ours.x, ours.y, ours.width, ours.height), size, room))
            rows[CENTRE].append(counts(of_photo, centre_box(*size, aspect), size, room))
            for name, table in tables.items():
                box = table[number].get(file.name)
                rows[name].append(np.full(COUNTS, np.nan) if box is None else counts(of_photo, box, size, room))
        yield {name: np.array(table) for name, table in rows.items()}


def counts(heads: Sequence[Rectangle], box: Rectangle, image: tuple[int, int], room: tuple[int, int]) -> NDArray[np.float64]:
    """Count heads for one box: touched, cut, that fit into the room, and of these not whole. Heads are cut to the photo first."""
    found = np.zeros(COUNTS)
    for x, y, width, height in heads:
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + width, image[0]), min(y + height, image[1])
        if right <= left or bottom <= top:
            continue
        across = min(right, box[0] + box[2]) - max(left, box[0])
        down = min(bottom, box[1] + box[3]) - max(top, box[1])
        shown = max(0.0, across) * max(0.0, down) / ((right - left) * (bottom - top))
        fits = right - left <= room[0] and bottom - top <= room[1]
        found += (shown > TOUCHED, TOUCHED < shown < WHOLE, fits, fits and shown < WHOLE)
    return found


def summary(rows: Sequence[Mapping[str, NDArray[np.float64]]]) -> dict[str, tuple[HeadScore, ...]]:
    """Return the score of each cropper for each aspect, and last the one over all aspects."""
    weights = resamples(len(rows))
    scores = {}
    for name in rows[0]:
        table = np.nan_to_num(np.array([row[name] for row in rows]))  # [photos, aspects, COUNTS]
        totals = np.tensordot(weights, table, axes=1)  # [resamples, aspects, COUNTS]
        per_aspect = [totals[:, aspect] for aspect in range(table.shape[1])]
        scores[name] = tuple(_score_of(counted) for counted in (*per_aspect, totals.sum(axis=1)))
    return scores


def _score_of(counted: NDArray[np.float64]) -> HeadScore:
    touched, cut, fitting, not_whole = counted.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return HeadScore(interval(cut / touched), interval(not_whole / fitting), int(touched[0]), int(fitting[0]))
