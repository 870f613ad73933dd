"""Gaze sets as training batches: photos, where people looked, and windows cut from both.

A gaze set is a folder with ``images/NAME.jpg`` and either ``fixations.csv``
(``image,subject,order,x,y,duration_ms``, pixels of the stored image) or ``density/NAME.png`` (grey maps).
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from cropper.saliency import STRIDE

# Photos whose stored pixels are not the shape people saw: set name -> the aspect (W/H) to stretch them back to.
STRETCH_TO = {"hamburg": 4 / 3}
# Sets that are also a benchmark: every Nth photo in name order, from the first, is never trained, tuned or selected on.
TEST_EVERY = {"osie": 4}
VALIDATION_EVERY = 10

# What one batch's photos are resized to (height, width) and how often: mostly the shape of ordinary landscapes,
# enough squares, portraits and wide ones that no shape is new to the network.
BATCH_SHAPES = {(224, 288): 0.55, (256, 256): 0.15, (288, 224): 0.15, (192, 320): 0.15}
MAX_SQUASH = math.log(1.15)
# About one degree of visual angle in the labs' set-ups: how sharp a fixation says what was looked at.
FIXATION_SIGMA = 0.025


@dataclass(frozen=True)
class GazePhoto:
    """One photo and what is known of where people looked, in coordinates relative to it (0..1)."""

    gaze_set: str
    name: str
    bgr: NDArray[np.uint8]  # [H, W, 3]
    fixations: NDArray[np.float32] | None  # [n, 2] x, y in 0..1
    density: NDArray[np.float32] | None  # [h, w], where only a map exists


@dataclass(frozen=True)
class Window:
    """A part of a photo, in coordinates relative to it (0..1)."""

    x: float
    y: float
    width: float
    height: float


WHOLE = Window(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Batch:
    """Windows of one shape, ready for the network."""

    image: torch.Tensor  # uint8 [N, H, W, 3] BGR
    target: torch.Tensor  # float32 [N, H / STRIDE, W / STRIDE], each sums to 1
    grid: torch.Tensor  # float32 [N, 2, H / STRIDE, W / STRIDE]: where in its photo each cell lies, -1..1
    gaze_set: torch.Tensor  # int64 [N]: index into the names of the sets


def read_gaze_set(folder: Path) -> tuple[list[GazePhoto], list[GazePhoto]]:
    """Read a gaze set, without its test split, as (training photos, validation photos).

    The first fixation of each viewer (``order`` 0) is left out: it sits where the start cross was.
    """
    name = folder.name
    fixations: dict[str, list[tuple[float, float]]] = defaultdict(list)
    table = folder / "fixations.csv"
    if table.exists():
        with table.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row["order"] != "0":
                    fixations[row["image"]].append((float(row["x"]), float(row["y"])))
    files = sorted((folder / "images").iterdir())
    if name in TEST_EVERY:
        files = [file for i, file in enumerate(files) if i % TEST_EVERY[name]]
    photos = []
    for file in files:
        bgr = np.asarray(cv2.imread(str(file)), np.uint8)
        height, width = bgr.shape[:2]
        points = _relative(fixations[file.name], width, height) if table.exists() else None
        density = None if table.exists() else _read_density(folder / "density" / f"{file.stem}.png")
        if name in STRETCH_TO:
            stretched = cv2.resize(bgr, (round(height * STRETCH_TO[name]), height), interpolation=cv2.INTER_CUBIC)
            bgr = np.asarray(stretched, np.uint8)
        if points is None or len(points):
            photos.append(GazePhoto(name, file.name, bgr, points, density))
    training = [photo for i, photo in enumerate(photos) if i % VALIDATION_EVERY]
    return training, photos[::VALIDATION_EVERY]


def _relative(points: list[tuple[float, float]], width: int, height: int) -> NDArray[np.float32]:
    return np.array([(x / width, y / height) for x, y in points], np.float32).reshape(-1, 2)


def _read_density(path: Path) -> NDArray[np.float32]:
    grey = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.float32)
    return np.asarray(grey / grey.sum(), np.float32)


def random_window(photo: GazePhoto, aspect: float, rng: np.random.Generator, whole: float) -> Window:
    """A random window of roughly the aspect (W/H, within 15 %), 60-100 % of what fits, with gaze inside it.

    With the chance ``whole`` it is the largest such window instead: the whole photo where its shape allows.
    """
    height, width = photo.bgr.shape[:2]
    for _ in range(10):
        full = rng.random() < whole
        if full and abs(math.log(width / height / aspect)) < MAX_SQUASH:
            return WHOLE
        shape = aspect * math.exp(rng.uniform(-MAX_SQUASH, MAX_SQUASH)) / (width / height)
        scale = 1.0 if full else rng.uniform(0.6, 1.0)
        w, h = scale * min(1.0, shape), scale * min(1.0, 1 / shape)
        window = Window(rng.uniform(0, 1 - w), rng.uniform(0, 1 - h), w, h)
        if _gaze_inside(photo, window) > 0.15:
            return window
    return WHOLE


def _gaze_inside(photo: GazePhoto, window: Window) -> float:
    """The share of the photo's gaze inside the window, 0..1."""
    if photo.fixations is not None:
        inside = (photo.fixations >= (window.x, window.y)) & (
            photo.fixations < (window.x + window.width, window.y + window.height)
        )
        return float(inside.all(axis=1).mean())
    assert photo.density is not None
    return float(_cut(photo.density, window).sum())


def _cut(array: NDArray[Any], window: Window) -> NDArray[Any]:
    height, width = array.shape[:2]
    x0, y0 = round(window.x * width), round(window.y * height)
    x1, y1 = round((window.x + window.width) * width), round((window.y + window.height) * height)
    return array[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]


def target_density(photo: GazePhoto, window: Window, height: int, width: int) -> NDArray[np.float32]:
    """The density over a window as people's gaze gives it: float32 [height, width], sums to 1."""
    target: NDArray[Any]
    if photo.fixations is not None:
        points = (photo.fixations - (window.x, window.y)) / (window.width, window.height)
        points = points[((points >= 0) & (points < 1)).all(axis=1)]
        target = np.zeros((height, width), np.float32)
        np.add.at(target, ((points[:, 1] * height).astype(int), (points[:, 0] * width).astype(int)), 1)
        sigma = FIXATION_SIGMA * width / window.width, FIXATION_SIGMA * height / window.height
        photo_height, photo_width = photo.bgr.shape[:2]
        longest = max(photo_height, photo_width)
        target = cv2.GaussianBlur(
            target,
            (0, 0),
            sigmaX=sigma[0] * longest / photo_width,
            sigmaY=sigma[1] * longest / photo_height,
            borderType=cv2.BORDER_CONSTANT,
        )
    else:
        assert photo.density is not None
        target = cv2.resize(_cut(photo.density, window), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(target / max(float(target.sum()), 1e-12), np.float32)


def make_batch(
    photos: list[GazePhoto], windows: list[Window], flips: list[bool], shape: tuple[int, int], set_names: list[str]
) -> Batch:
    """Cut the windows from their photos, resize all to the shape (height, width), mirror where asked."""
    height, width = shape
    rows, columns = height // STRIDE, width // STRIDE
    images, targets, grids = [], [], []
    for photo, window, flip in zip(photos, windows, flips, strict=True):
        image = cv2.resize(_cut(photo.bgr, window), (width, height), interpolation=cv2.INTER_AREA)
        target = target_density(photo, window, rows, columns)
        u = (window.x + (np.arange(columns) + 0.5) / columns * window.width) * 2 - 1
        v = (window.y + (np.arange(rows) + 0.5) / rows * window.height) * 2 - 1
        grid = np.stack(np.broadcast_arrays(u[None, :], v[:, None])).astype(np.float32)
        if flip:
            image, target, grid = image[:, ::-1], target[:, ::-1], grid[:, :, ::-1]
        images.append(np.ascontiguousarray(image))
        targets.append(np.ascontiguousarray(target))
        grids.append(np.ascontiguousarray(grid))
    return Batch(
        torch.from_numpy(np.stack(images)),
        torch.from_numpy(np.stack(targets)),
        torch.from_numpy(np.stack(grids)),
        torch.tensor([set_names.index(photo.gaze_set) for photo in photos]),
    )


class EpochBatches(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
    """One epoch over the photos as augmented batches, the same for the same seed and epoch."""

    def __init__(self, photos: list[GazePhoto], set_names: list[str], batch_size: int, seed: int, epoch: int) -> None:
        self.photos, self.set_names, self.batch_size = photos, set_names, batch_size
        self.seed, self.epoch = seed, epoch

    def __len__(self) -> int:
        return len(self.photos) // self.batch_size

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(len(self.photos))
        shapes = list(BATCH_SHAPES)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            shape = shapes[rng.choice(len(shapes), p=list(BATCH_SHAPES.values()))]
            photos = [self.photos[i] for i in order[start : start + self.batch_size]]
            windows = [random_window(photo, shape[1] / shape[0], rng, whole=0.3) for photo in photos]
            flips = list(rng.random(len(photos)) < 0.5)
            yield make_batch(photos, windows, flips, shape, self.set_names)


def jitter_colours(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random brightness, contrast and saturation, now and then grey: float32 [N, H, W, 3] in 0..255, the same out."""
    brightness, contrast, saturation, chance = torch.rand(4, image.shape[0], 1, 1, 1, generator=generator)
    saturation = torch.where(chance < 0.08, 0.0, 0.6 + 0.8 * saturation)
    grey = image.mean(dim=3, keepdim=True)
    image = grey + (image - grey) * saturation
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    return ((image - mean) * (0.7 + 0.6 * contrast) + mean * (0.75 + 0.5 * brightness)).clamp(0, 255)
