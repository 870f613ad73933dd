"""Turn gaze sets and the photo pool into training batches: windows of photos, with where people looked in them.

A gaze set is a folder with ``images/NAME.jpg`` and either the table of fixations that ``cropper evaluate`` reads or grey maps,
``density/NAME.png``. The pool is a folder of photos without gaze. Both may have the teacher's densities in a separate folder:
``LABELS/SET.npz``, with one array for each photo.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from cropper.evaluation import gaze
from cropper.model.inputs import INPUT_STEP, STRIDE, prepare

log = logging.getLogger(__name__)

# Sets that store photos in a different shape from the one people saw: set name -> aspect (W/H) to stretch them to.
STRETCH_TO = {"hamburg": 4 / 3}
# Sets that are also a benchmark: training, tuning and selection never use every Nth photo in name order, from the first.
TEST_EVERY = {"osie": 4}
VALIDATION_EVERY = 10

# Input shapes (height, width) of a batch at scale 1 -> how often to use them. Most are ordinary landscapes; the rest are squares,
# portraits and wide shapes, so that no shape is new to the network.
BATCH_SHAPES = {(288, 384): 0.45, (256, 384): 0.1, (320, 320): 0.15, (384, 288): 0.15, (256, 448): 0.15}
VALIDATION_SHAPE = (288, 384)
MAX_SQUASH = math.log(1.15)
# The standard deviation of the blur on fixations in training targets, as a share of the photo's long side: about half a degree of
# visual angle in the labs' set-ups, the error of eye trackers. It is smaller than evaluation's VIEWING_SIGMA
# (cropper/evaluation/gaze.py), which covers all that a viewer sees sharply. A network copies any further blur: after training at
# 0.025, its density fitted fixations best when raised to the power of 1.25.
FIXATION_SIGMA = 0.0125
# A photo with a shorter long side, in pixels, shows no more detail at scales above COARSE_SCALE.
COARSE_SIDE = 400
COARSE_SCALE = 0.75
# The scale at which a network learns to look at half of the pixels.
SMALL_SCALE = 0.7
# The smallest head in a mask, in cells of the density, and how many times finer a mask is drawn.
SMALLEST_HEAD = 1.0
HEAD_DETAIL = 4


@dataclass(frozen=True)
class Photo:
    """A photo and where people looked in it, in coordinates relative to the photo (0..1).

    A photo of a set with fixations has ``fixations``, a photo of a set with maps has ``density``, and a photo of the pool has
    neither. Each may have ``teacher``.
    """

    collection: str  # the name of its gaze set or pool
    name: str
    bgr: NDArray[np.uint8]  # [H, W, 3]
    fixations: NDArray[np.float32] | None = None  # [n, 2] x, y in 0..1
    density: NDArray[np.float32] | None = None  # [h, w], from people's gaze
    teacher: NDArray[np.float32] | None = None  # [h, w], from the teacher, without a centre bias
    subject: NDArray[np.uint8] | None = None  # [h, w], the mask of the subject, 0..255
    heads: NDArray[np.float32] | None = None  # [n, 4] left, top, right, bottom, in 0..1 and beyond where the photo cuts a head

    @property
    def coarse(self) -> bool:
        """Whether a scale above COARSE_SCALE shows no more detail."""
        return max(self.bgr.shape[:2]) < COARSE_SIDE

    @property
    def has_gaze(self) -> bool:
        """Whether the gaze of people was measured on this photo."""
        return self.fixations is not None or self.density is not None


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
    gaze: torch.Tensor  # float32 [N, H / STRIDE, W / STRIDE], people's density: each sums to 1, or is all 0 without gaze
    teacher: torch.Tensor  # the same, from the teacher
    grid: torch.Tensor  # float32 [N, 2, H / STRIDE, W / STRIDE]: position of each cell in its photo, -1..1
    gaze_set: torch.Tensor  # int64 [N]: index into the names of the sets; 0 without gaze
    masks: torch.Tensor  # float32 [N, 2, H / STRIDE, W / STRIDE], of the subject and of heads, 0..1
    has_masks: torch.Tensor  # bool [N]: whether the photo's masks are known


def scaled_shape(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """Scale an input shape (height, width) and round both sides to multiples of 32."""
    height, width = (max(1, round(side * scale / INPUT_STEP)) * INPUT_STEP for side in shape)
    return height, width


def batch_scale(photos: list[Photo], scale: float) -> float:
    """Return the scale for a batch: at most COARSE_SCALE if all its photos are coarse."""
    return min(scale, COARSE_SCALE) if all(photo.coarse for photo in photos) else scale


def read_gaze_set(folder: Path) -> tuple[list[Photo], list[Photo]]:
    """Read a gaze set without its test split; return (training photos, validation photos).

    The first fixation of each viewer (``order`` 0) is left out: it only shows where the start cross was.
    """
    name = folder.name
    files = sorted((folder / "images").iterdir())
    if name in TEST_EVERY:
        files = [file for i, file in enumerate(files) if i % TEST_EVERY[name]]
    fixations = None
    if (folder / gaze.TABLE).exists():
        fixations = {photo.path: np.asarray(photo.relative(), np.float32) for photo in gaze.read(folder, drop_first=True).photos}
    photos = []
    for file in files:
        if fixations is not None and file not in fixations:
            continue
        bgr = np.asarray(cv2.imread(str(file)), np.uint8)
        if name in STRETCH_TO:
            height = bgr.shape[0]
            stretched = cv2.resize(bgr, (round(height * STRETCH_TO[name]), height), interpolation=cv2.INTER_CUBIC)
            bgr = np.asarray(stretched, np.uint8)
        if fixations is not None:
            photos.append(Photo(name, file.name, bgr, fixations=fixations[file]))
        else:
            photos.append(Photo(name, file.name, bgr, density=_read_density(folder / "density" / f"{file.stem}.png")))
    training = [photo for i, photo in enumerate(photos) if i % VALIDATION_EVERY]
    return training, photos[::VALIDATION_EVERY]


def read_pool(folder: Path) -> list[Photo]:
    """Read a folder of photos without labels."""
    return [Photo(folder.name, file.name, np.asarray(cv2.imread(str(file)), np.uint8)) for file in sorted(folder.glob("*.jpg"))]


def plain_photos(count: int, seed: int) -> list[Photo]:
    """Make photos of plain colours and gradients, labelled with an even density.

    Without them, a network invents something to look at on blank pages and in fog, mostly at the borders.
    """
    rng = np.random.default_rng(seed)
    photos = []
    for i in range(count):
        height, width = rng.integers(120, 260, 2)
        corners = rng.integers(0, 256, (1, 1, 3)) + rng.choice([0, 0, 40]) * rng.standard_normal((2, 2, 3))
        bgr = cv2.resize(corners, (int(width), int(height)), interpolation=cv2.INTER_LINEAR)
        bgr = bgr + rng.choice([0, 3]) * rng.standard_normal(bgr.shape)
        even = np.full((8, 8), 1 / 64, np.float32)
        photos.append(Photo("plain", str(i), np.clip(bgr, 0, 255).astype(np.uint8), teacher=even))
    return photos


def write_arrays(
    photos: list[Photo], out: Path, label: Callable[[list[Photo]], Iterator[tuple[Photo, NDArray[Any]]]], ending: str = ""
) -> None:
    """Write an array for each photo name to ``out/COLLECTION<ending>.npz``. Skips a collection if its file already exists.

    Args:
        photos: the photos; those of one collection must be consecutive.
        out: the folder; created if it does not exist.
        label: yields each photo of a collection with its array, in any order.
        ending: what the file's name has behind the collection, such as ``.head``.
    """
    out.mkdir(parents=True, exist_ok=True)
    for collection, group in groupby(photos, key=lambda photo: photo.collection):
        path = out / f"{collection}{ending}.npz"
        if path.exists():
            log.info("%s already exists", path)
            continue
        of_collection = list(group)
        bar = tqdm(label(of_collection), total=len(of_collection), desc=f"{collection}{ending}")
        arrays: dict[str, Any] = {photo.name: array for photo, array in bar}
        temporary = path.with_suffix(".part.npz")
        np.savez(temporary, **arrays)
        temporary.replace(path)


def with_labels(photos: list[Photo], folder: Path) -> list[Photo]:
    """Add the teacher's densities to photos, from the files ``folder/COLLECTION.npz`` that ``label`` wrote.

    Raises:
        KeyError: if a photo has no density there.
    """
    labelled = []
    for collection, group in groupby(photos, key=lambda photo: photo.collection):
        with np.load(folder / f"{collection}.npz") as densities:
            labelled += [replace(photo, teacher=_normalised(densities[photo.name].astype(np.float32))) for photo in group]
    return labelled


def with_masks(photos: list[Photo], folder: Path) -> list[Photo]:
    """Add masks to photos, from the files ``folder/COLLECTION.KIND.npz`` that ``label-masks`` wrote, where there are any."""
    masked = []
    for collection, group in groupby(photos, key=lambda photo: photo.collection):
        paths = [folder / f"{collection}.{kind}.npz" for kind in ("subject", "head")]
        if not all(path.exists() for path in paths):
            masked += list(group)
            continue
        with np.load(paths[0]) as subjects, np.load(paths[1]) as heads:
            masked += [replace(photo, subject=subjects[photo.name], heads=heads[photo.name]) for photo in group]
    return masked


def _read_density(path: Path) -> NDArray[np.float32]:
    grey = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.float32)
    return np.asarray(grey / grey.sum(), np.float32)


def random_window(photo: Photo, aspect: float, rng: np.random.Generator, whole: float) -> Window:
    """Return a random window of about the aspect (W/H, within 15 %) with at least 15 % of the photo's gaze inside.

    Its sides are 50-100 % of the largest such window. With probability ``whole`` it is the largest, or the whole photo if the
    shape allows.
    """
    height, width = photo.bgr.shape[:2]
    for _ in range(10):
        full = rng.random() < whole
        if full and abs(math.log(width / height / aspect)) < MAX_SQUASH:
            return WHOLE
        shape = aspect * math.exp(rng.uniform(-MAX_SQUASH, MAX_SQUASH)) / (width / height)
        scale = 1.0 if full else rng.uniform(0.5, 1.0)
        w, h = scale * min(1.0, shape), scale * min(1.0, 1 / shape)
        window = Window(rng.uniform(0, 1 - w), rng.uniform(0, 1 - h), w, h)
        if _gaze_inside(photo, window) > 0.15:
            return window
    return WHOLE


def _gaze_inside(photo: Photo, window: Window) -> float:
    """Return the share of the photo's gaze inside the window, 0..1."""
    if photo.fixations is not None:
        inside = (photo.fixations >= (window.x, window.y)) & (
            photo.fixations < (window.x + window.width, window.y + window.height)
        )
        return float(inside.all(axis=1).mean())
    density = photo.density if photo.density is not None else photo.teacher
    return 1.0 if density is None else float(_cut(density, window).sum())


def _cut(array: NDArray[Any], window: Window) -> NDArray[Any]:
    height, width = array.shape[:2]
    x0, y0 = round(window.x * width), round(window.y * height)
    x1, y1 = round((window.x + window.width) * width), round((window.y + window.height) * height)
    return array[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]


def gaze_density(photo: Photo, window: Window, height: int, width: int) -> NDArray[np.float32]:
    """Return the density of people's gaze over a window: float32 [height, width], sums to 1, or all 0 without gaze."""
    if photo.fixations is not None:
        points = (photo.fixations - (window.x, window.y)) / (window.width, window.height)
        points = points[((points >= 0) & (points < 1)).all(axis=1)]
        hits = np.zeros((height, width), np.float32)
        np.add.at(hits, ((points[:, 1] * height).astype(int), (points[:, 0] * width).astype(int)), 1)
        photo_height, photo_width = photo.bgr.shape[:2]
        sigma = FIXATION_SIGMA * max(photo_height, photo_width)  # in pixels of the photo
        across, down = width / (window.width * photo_width), height / (window.height * photo_height)
        blurred = cv2.GaussianBlur(hits, (0, 0), sigmaX=sigma * across, sigmaY=sigma * down, borderType=cv2.BORDER_CONSTANT)
        return _normalised(blurred)
    if photo.density is not None:
        return resampled(photo.density, window, height, width)
    return np.zeros((height, width), np.float32)


def resampled(density: NDArray[np.float32], window: Window, height: int, width: int) -> NDArray[np.float32]:
    """Cut a window from a whole photo's density and resize it: float32 [height, width], sums to 1."""
    return _normalised(cv2.resize(_cut(density, window), (width, height), interpolation=cv2.INTER_LINEAR))


def masks_of(photo: Photo, window: Window, height: int, width: int) -> NDArray[np.float32]:
    """Return the masks of the subject and of heads over a window: float32 [2, height, width], 0..1; all 0 where unknown."""
    masks = np.zeros((2, height, width), np.float32)
    if photo.subject is None or photo.heads is None:
        return masks
    cut = _cut(photo.subject, window)
    way = cv2.INTER_AREA if cut.shape[0] > height else cv2.INTER_LINEAR
    masks[0] = cv2.resize(cut, (width, height), interpolation=way) / np.float32(255)
    masks[1] = head_mask(photo.heads, window, height, width)
    return masks


def head_mask(heads: NDArray[np.floating], window: Window, height: int, width: int) -> NDArray[np.float32]:
    """Draw heads, boxes [n, 4] in 0..1 of the photo, as ellipses over a window: float32 [height, width], 0..1.

    Heads narrower than SMALLEST_HEAD cells are left out.
    """
    fine = np.zeros((height * HEAD_DETAIL, width * HEAD_DETAIL), np.float32)
    cells = np.array([width, height, width, height]) * HEAD_DETAIL
    corner, side = np.array([window.x, window.y] * 2), np.array([window.width, window.height] * 2)
    for left, top, right, bottom in (heads - corner) / side * cells:
        if min(right - left, bottom - top) >= SMALLEST_HEAD * HEAD_DETAIL:
            # OpenCV takes sixteenths of a pixel.
            middle = round((left + right) * 8), round((top + bottom) * 8)
            cv2.ellipse(fine, middle, (round((right - left) * 8), round((bottom - top) * 8)), 0, 0, 360, 1.0, -1, shift=4)
    return np.asarray(cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _normalised(density: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(density / max(float(density.sum()), 1e-12), np.float32)


def make_batch(
    photos: list[Photo], windows: list[Window], flips: list[bool], shape: tuple[int, int], set_names: tuple[str, ...]
) -> Batch:
    """Cut the windows from their photos, resize them to the shape (height, width), and mirror those with ``flips``."""
    rows, columns = shape[0] // STRIDE, shape[1] // STRIDE
    samples = []
    for photo, window, flip in zip(photos, windows, flips, strict=True):
        image = prepare(_cut(photo.bgr, window), shape)
        gaze = gaze_density(photo, window, rows, columns)
        teacher = np.zeros_like(gaze) if photo.teacher is None else resampled(photo.teacher, window, rows, columns)
        u = (window.x + (np.arange(columns) + 0.5) / columns * window.width) * 2 - 1
        v = (window.y + (np.arange(rows) + 0.5) / rows * window.height) * 2 - 1
        grid = np.stack(np.broadcast_arrays(u[None, :], v[:, None])).astype(np.float32)
        masks = masks_of(photo, window, rows, columns)
        if flip:
            image, gaze, teacher, grid, masks = (
                image[:, ::-1],
                gaze[:, ::-1],
                teacher[:, ::-1],
                grid[:, :, ::-1],
                masks[:, :, ::-1],
            )
        samples.append((image, gaze, teacher, grid, masks))
    images, gazes, teachers, grids, all_masks = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*samples, strict=True))
    gaze_sets = [set_names.index(photo.collection) if photo.has_gaze else 0 for photo in photos]
    has_masks = [photo.subject is not None for photo in photos]
    return Batch(images, gazes, teachers, grids, torch.tensor(gaze_sets), all_masks, torch.tensor(has_masks))


class EpochBatches(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
    """One epoch of augmented batches of the photos, the same for the same seed and epoch.

    Coarse photos get separate batches: a scale above COARSE_SCALE costs time and shows no more of them. ``scales`` are the input
    scale, and the share of batches that are at SMALL_SCALE instead.
    """

    def __init__(
        self,
        photos: list[Photo],
        set_names: tuple[str, ...],
        scales: tuple[float, float],
        batch_size: int,
        whole: float,
        seed: int,
        epoch: int,
    ) -> None:
        self.photos, self.set_names, self.batch_size = photos, set_names, batch_size
        self.scale, self.small = scales
        self.whole, self.seed, self.epoch = whole, seed, epoch

    def __len__(self) -> int:
        coarse = sum(photo.coarse for photo in self.photos)
        return coarse // self.batch_size + (len(self.photos) - coarse) // self.batch_size

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = [self.photos[i] for i in rng.permutation(len(self.photos))]
        batches = [part for coarse in (True, False) for part in self._whole_batches([p for p in order if p.coarse == coarse])]
        shapes = list(BATCH_SHAPES)
        for i in rng.permutation(len(batches)):
            photos = batches[i]
            shape = shapes[rng.choice(len(shapes), p=list(BATCH_SHAPES.values()))]
            windows = [random_window(photo, shape[1] / shape[0], rng, whole=self.whole) for photo in photos]
            flips = list(rng.random(len(photos)) < 0.5)
            scale = batch_scale(photos, self.scale)
            if self.small and rng.random() < self.small:
                scale = min(scale, SMALL_SCALE)
            yield make_batch(photos, windows, flips, scaled_shape(shape, scale), self.set_names)

    def _whole_batches(self, photos: list[Photo]) -> list[list[Photo]]:
        starts = range(0, len(photos) - self.batch_size + 1, self.batch_size)
        return [photos[start : start + self.batch_size] for start in starts]


def jitter_colours(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Change brightness, contrast and saturation at random, 8 % to grey: float32 [N, H, W, 3] in 0..255 -> the same."""
    brightness, contrast, saturation, chance = torch.rand(4, image.shape[0], 1, 1, 1, generator=generator)
    saturation = torch.where(chance < 0.08, 0.0, 0.6 + 0.8 * saturation)
    grey = image.mean(dim=3, keepdim=True)
    image = grey + (image - grey) * saturation
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    return ((image - mean) * (0.7 + 0.6 * contrast) + mean * (0.75 + 0.5 * brightness)).clamp(0, 255)
