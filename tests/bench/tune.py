"""How far does ``cropper tune`` go towards a taste? Three made-up ones, learned from 30, 100 and 300 of 700 photos.

    python tests/bench/tune.py GAZE MASKS CACHE

GAZE holds gaze sets in the form of ``cropper evaluate``: ``osie``, ``eyecrowd500`` and ``nus_scene500``. MASKS holds, for each,
``SET.subject.npz`` and ``SET.head.npz``: the teacher's masks by photo, and heads as ``left, top, right, bottom``, 0..1.
CACHE is a file for the student's maps. The test split of OSIE is left out.

A taste places the box by what the teacher and viewers say, and not by what the student sees or by the terms that the fit has. A
person's box is off by 2 % of its length. What a person likes as it is counts as a correction too.

Shares that are met are of the photos that the fit did not see, and means of four orders of the photos. The way goes from those
that the default weights meet to all of them. The second way is that of the taste itself, going by the student's maps: about the
most that weights can do.
"""

from __future__ import annotations

import csv
import hashlib
import pickle
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.tune import NEAR, Correction, learned
from cropper.choosing.view import Maps, View, view_of
from cropper.geometry import largest_size, pixels_of_share
from cropper.model.inputs import share_needed
from cropper.model.look import infer_maps, open_photo
from cropper.model.saliency import Saliency
from cropper.settings import WEIGHTS

SETS = ("osie", "eyecrowd500", "nus_scene500")
PHOTOS, NUMBERS, ORDERS, NOISE = 700, (30, 100, 300), 4, 0.02
ASPECTS = ((1, 1), (16, 9), (4, 5), (2, 1), (9, 16), (3, 2))
SUBJECT = 0.5  # from what on a mask counts


@dataclass(frozen=True)
class Photo:
    """A photo, what the student sees, and what the teacher and the viewers say: points as shares of its sides."""

    name: str
    width: int
    height: int
    view: View
    seen: Maps
    subject: NDArray[np.float64]  # [h, w], 0..1
    heads: NDArray[np.float64]  # [n, 4]: left, top, right, bottom
    gaze: tuple[float, float]


# Where a person wants the box to begin, in lengths of the box before a point: the point as a share, and the lengths.
Taste = Callable[[Photo, bool], tuple[float, float]]


def _middle_of_subject(photo: Photo, horizontal: bool) -> float:
    rows, columns = (photo.subject >= SUBJECT).nonzero()
    cells, of = (columns, photo.subject.shape[1]) if horizontal else (rows, photo.subject.shape[0])
    return float(cells.mean() + 0.5) / of if cells.size else photo.gaze[not horizontal]


def left_third(photo: Photo, horizontal: bool) -> tuple[float, float]:
    """The subject a third from the left; in the middle where the box moves down."""
    return _middle_of_subject(photo, horizontal), 1 / 3 if horizontal else 1 / 2


def more_headroom(photo: Photo, horizontal: bool) -> tuple[float, float]:
    """A fifth of the box above heads or the subject; what people look at in the middle where the box moves across."""
    if horizontal:
        return photo.gaze[0], 1 / 2
    if len(photo.heads):
        return float(photo.heads[:, 1].min()), 1 / 5
    rows, _ = (photo.subject >= SUBJECT).nonzero()
    return (float(rows.min()) / photo.subject.shape[0], 1 / 5) if rows.size else (photo.gaze[1], 1 / 2)


def faces_over_products(photo: Photo, horizontal: bool) -> tuple[float, float]:
    """The faces in the middle, whatever else is there; without faces, what people look at."""
    if not len(photo.heads):
        return photo.gaze[not horizontal], 1 / 2
    first = 0 if horizontal else 1
    return float(photo.heads[:, [first, first + 2]].mean()), 1 / 2


TASTES: dict[str, Taste] = {
    "subject left third": left_third,
    "more headroom": more_headroom,
    "faces over products": faces_over_products,
}


def correction(photo: Photo, taste: Taste, number: int, noise: float) -> Correction:
    """Return a person's box for a photo, in one of ``ASPECTS``."""
    width, height = largest_size(photo.width, photo.height, ASPECTS[number % len(ASPECTS)])
    horizontal = width < photo.width
    side, length = (photo.width, width) if horizontal else (photo.height, height)
    point, before = taste(photo, horizontal)
    offset = point * side + (noise - before) * length
    return Correction(photo.name, photo.view, side, length, horizontal, round(min(max(offset, 0), side - length)))


def as_student(photo: Photo) -> Photo:
    """Return the photo with the student's maps in the place of what the teacher and the viewers say."""
    view, subject = photo.view, photo.seen.subject
    assert subject is not None
    heads = np.array([[head.left, head.top, head.right, head.bottom] for head in view.heads]).reshape(-1, 4)
    across, down = (mass @ (np.arange(len(mass)) + 0.5) / len(mass) for mass in (view.mass.sum(axis=0), view.mass.sum(axis=1)))
    return replace(photo, subject=subject.astype(np.float64), heads=heads, gaze=(float(across), float(down)))


def _photos(gaze: Path, masks: Path, cache: Path) -> list[Photo]:
    names = [(one, path.name) for one in SETS for number, path in enumerate(sorted((gaze / one / "images").iterdir()))
             if one != "osie" or number % 4]  # fmt: skip
    names = sorted(names, key=lambda name: hashlib.sha256("/".join(name).encode()).digest())[:PHOTOS]
    maps = pickle.loads(cache.read_bytes()) if cache.exists() else {}
    missing = [name for name in names if name not in maps]
    model = Saliency() if missing else None
    for number, (one, name) in enumerate(missing):
        photo = open_photo((gaze / one / "images" / name).read_bytes(), lambda w, h: pixels_of_share(w, h, share_needed(w, h)))
        assert model is not None
        (seen,) = infer_maps([photo], model)
        maps[one, name] = (photo.header.width, photo.header.height, seen)
        if number % 50 == 49 or number == len(missing) - 1:
            print(f"{number + 1} of {len(missing)} photos looked at", file=sys.stderr)
    if missing:
        cache.write_bytes(pickle.dumps(maps))
    told = {(one, what): np.load(masks / f"{one}.{what}.npz") for one in SETS for what in ("subject", "head")}
    points: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for one in SETS:
        with (gaze / one / "fixations.csv").open(newline="") as file:
            for line in csv.DictReader(file):
                if line["order"] != "0":
                    points[one, line["image"]].append((float(line["x"]), float(line["y"])))
    found = []
    for one, name in names:
        width, height, seen = maps[one, name]
        subject = told[one, "subject"][name] / 255.0
        heads = told[one, "head"][name].reshape(-1, 4)
        across, down = np.mean(points[one, name], axis=0)
        found.append(Photo(f"{one}/{name}", width, height, view_of(seen), seen, subject, heads, (across / width, down / height)))
    return found


@dataclass(frozen=True)
class Trial:
    """How one fit went: shares of the boxes that it did not see, 0..1.

    Attributes:
        before, after: those that the default weights and the learned ones meet.
        best: those that the taste meets if it goes by what the student sees.
        is_better: whether ``cropper tune`` would write the weights.
        seconds: of learning.
    """

    before: float
    after: float
    best: float
    is_better: bool
    seconds: float


def trial(photos: list[Photo], taste: Taste, number: int, seed: int) -> Trial:
    """Learn a taste from some photos, and ask the others."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(photos))
    all_of = [correction(photos[number], taste, int(place), random.normal(0, NOISE)) for place, number in enumerate(order)]
    student = [correction(as_student(photos[number]), taste, int(place), 0.0) for place, number in enumerate(order)]
    began = time.perf_counter()
    lesson = learned([one for one in all_of[:number] if one.says_something])
    seconds = time.perf_counter() - began
    unseen = [(one, its.offset) for one, its in zip(all_of[number:], student[number:], strict=True) if one.says_something]
    before, after = (float(np.mean([one.is_met(weights) for one, _ in unseen])) for weights in (WEIGHTS, lesson.weights))
    best = float(np.mean([abs(one.offset - offset) <= NEAR * one.length for one, offset in unseen]))
    return Trial(before, after, best, lesson.is_better, seconds)


def main(gaze: Path, masks: Path, cache: Path) -> None:
    """Print a line for each taste and number of corrections: the means of some orders of the photos."""
    photos = _photos(gaze, masks, cache)
    print(f"{len(photos)} photos; met: within {NEAR:.0%} of the box's length; on the photos that were not corrected")
    for title, taste in TASTES.items():
        for number in NUMBERS:
            trials = [trial(photos, taste, number, seed) for seed in range(ORDERS)]
            before, after, best, written, seconds = np.mean([astuple(one) for one in trials], axis=0)
            print(
                f"{title:20} {number:3}  before {before:.2f}  after {after:.2f}  way {(after - before) / (1 - before):4.0%}"
                f"  by what the student sees {best:.2f}  way {(best - before) / (1 - before):4.0%}"
                f"  written {written:4.0%}  {seconds:.0f} s"
            )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
