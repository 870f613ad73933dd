"""The teacher: several networks at their own scales, each looking at a photo and its mirror image, averaged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cropper.model.inputs import STRIDE, prepare, shape_for
from cropper.model.runtime import onnxruntime
from cropper.training.data import WHOLE, Photo, resampled, scaled_shape
from cropper.training.export import write_float32
from cropper.training.exported import Exported
from cropper.training.fit import load

log = logging.getLogger(__name__)

# The maps of all members are averaged on the grid of this scale.
LABEL_SCALE = 4 / 3
# Coarse photos are labelled at this share of the members' scales: they show little more at the whole, at twice the cost.
COARSE_SHARE = 0.75
# Of each member's density: the power at which the likelihood of validation fixations is highest.
SHARPNESS = 1.15
BATCH_SIZE = 8


class Teacher:
    """An ensemble of trained networks, run by onnxruntime: three times as fast as torch.

    Args:
        members: the checkpoint of each, and the scale it runs at: all see more at a quarter more than they were trained at.
        bias_strength: of each member's mean centre bias; without it they say what the photos show.
    """

    def __init__(self, members: list[tuple[Path, float]], bias_strength: float = 0.0) -> None:
        self.members: list[tuple[onnxruntime.InferenceSession, float]] = []
        for checkpoint, scale in members:
            network, _ = load(checkpoint)
            with TemporaryDirectory() as folder:
                path = Path(folder) / "member.onnx"
                write_float32(Exported(network, bias_strength, SHARPNESS).eval(), path)
                session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            self.members.append((session, scale))

    def densities(self, images: list[NDArray[np.uint8]], shape: tuple[int, int], share: float = 1.0) -> NDArray[np.float32]:
        """Photos uint8 [H, W, 3] BGR of one student input shape (height, width) -> densities [N, h, w] on a finer grid.

        The share is of the members' scales.

        Members and mirror images are averaged as densities, so that what only one of them sees is not lost.
        """
        rows, columns = (side // STRIDE for side in scaled_shape(shape, LABEL_SCALE))
        total = np.zeros((len(images), rows, columns), np.float32)
        for session, scale in self.members:
            inputs = np.stack([prepare(image, scaled_shape(shape, scale * share)) for image in images])
            for step in (1, -1):
                (densities,) = session.run(["density"], {"image": np.ascontiguousarray(inputs[:, :, ::step])})
                for i, density in enumerate(densities[:, :, ::step]):
                    total[i] += resampled(density, WHOLE, rows, columns)
        return total / total.sum(axis=(1, 2), keepdims=True)

    def density(self, bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One photo, uint8 [H, W, 3] BGR of any size -> float32 [h, w], non-negative, sums to 1."""
        density: NDArray[np.float32] = self.densities([bgr], shape_for(bgr.shape[1], bgr.shape[0]))[0]
        return density


def write_labels(
    photos: list[Photo], out: Path, label: Callable[[list[Photo]], Iterator[tuple[Photo, NDArray[np.float32]]]]
) -> None:
    """Write densities of photos, ``out/COLLECTION.npz`` with a float16 array [h, w] by each photo's name.

    A collection whose file is there already is left as it is.

    Args:
        photos: those of one collection beside each other.
        out: the folder; made if it is not there.
        label: gives each photo of a collection with its density, in any order.
    """
    out.mkdir(parents=True, exist_ok=True)
    for collection, group in groupby(photos, key=lambda photo: photo.collection):
        path = out / f"{collection}.npz"
        if path.exists():
            log.info("%s is there already", path)
            continue
        of_collection = list(group)
        bar = tqdm(label(of_collection), total=len(of_collection), desc=collection)
        # A density's cells are too small for float16; relative to an even density they are not.
        densities = {photo.name: (density / density.mean()).astype(np.float16) for photo, density in bar}
        temporary = path.with_suffix(".part.npz")
        np.savez(temporary, **densities)
        temporary.replace(path)


def labelled(teacher: Teacher, photos: list[Photo]) -> Iterator[tuple[Photo, NDArray[np.float32]]]:
    """Photos, each with the teacher's density of it."""
    for shape, part in _by_shape(photos):
        share = COARSE_SHARE if all(photo.coarse for photo in part) else 1.0
        yield from zip(part, teacher.densities([photo.bgr for photo in part], shape, share), strict=True)


def _by_shape(photos: list[Photo]) -> Iterator[tuple[tuple[int, int], list[Photo]]]:
    """The photos in batches of one student input shape, each with the shape."""

    def shape_of(photo: Photo) -> tuple[int, int]:
        return shape_for(photo.bgr.shape[1], photo.bgr.shape[0])

    for shape, group in groupby(sorted(photos, key=shape_of), key=shape_of):
        of_shape = list(group)
        for start in range(0, len(of_shape), BATCH_SIZE):
            yield shape, of_shape[start : start + BATCH_SIZE]
