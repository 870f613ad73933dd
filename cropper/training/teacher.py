"""Run the teacher: the average of several networks, each at its own scale, over a photo and its mirror image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from cropper.model.inputs import STRIDE, prepare, shape_for
from cropper.model.runtime import onnxruntime
from cropper.training.data import WHOLE, Photo, resampled, scaled_shape, write_arrays
from cropper.training.export import write_float32
from cropper.training.exported import Exported
from cropper.training.fit import load_checkpoint

# The members' maps are averaged on the grid of this scale.
LABEL_SCALE = 4 / 3
# Share of the members' scales for coarse photos: full scale shows little more at twice the cost.
COARSE_SHARE = 0.75
# The power of each member's density that makes validation fixations most likely.
SHARPNESS = 1.15
BATCH_SIZE = 8


class Teacher:
    """An ensemble of trained networks, run by onnxruntime: three times as fast as torch.

    Args:
        members: the checkpoint and the input scale of each. All members work better at 1.25 times their training scale.
        bias_strength: strength of each member's mean centre bias; 0 leaves it out.
    """

    def __init__(self, members: list[tuple[Path, float]], bias_strength: float = 0.0) -> None:
        self.members: list[tuple[onnxruntime.InferenceSession, float]] = []
        for checkpoint, scale in members:
            network, _ = load_checkpoint(checkpoint)
            with TemporaryDirectory() as folder:
                path = Path(folder) / "member.onnx"
                write_float32(Exported(network, bias_strength, SHARPNESS).eval(), path)
                session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            self.members.append((session, scale))

    def densities(self, images: list[NDArray[np.uint8]], shape: tuple[int, int], share: float = 1.0) -> NDArray[np.float32]:
        """Return the densities of photos with one student input shape: float32 [N, h, w] on a finer grid, each sums to 1.

        Members and mirror images are averaged as densities, so that a subject that only one of them finds is not lost.

        Args:
            images: the photos, uint8 [H, W, 3] BGR of any size.
            shape: the student's input shape, height and width.
            share: factor on the members' scales.
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
        """Return the density of a photo, uint8 [H, W, 3] BGR of any size: float32 [h, w], non-negative, sums to 1."""
        density: NDArray[np.float32] = self.densities([bgr], shape_for(bgr.shape[1], bgr.shape[0]))[0]
        return density


def write_labels(
    photos: list[Photo], out: Path, label: Callable[[list[Photo]], Iterator[tuple[Photo, NDArray[np.float32]]]]
) -> None:
    """Write the densities of photos to ``out/COLLECTION.npz``, with a float16 array [h, w] for each photo name.

    Skips a collection if its file already exists.

    Args:
        photos: the photos; those of one collection must be consecutive.
        out: the folder; created if it does not exist.
        label: yields each photo of a collection with its density, in any order.
    """
    # A density's values are too small for float16; relative to their mean they are not.
    write_arrays(
        photos, out, lambda part: ((photo, (density / density.mean()).astype(np.float16)) for photo, density in label(part))
    )


def labelled(teacher: Teacher, photos: list[Photo]) -> Iterator[tuple[Photo, NDArray[np.float32]]]:
    """Yield each photo with the teacher's density of it."""
    for shape, part in _by_shape(photos):
        share = COARSE_SHARE if all(photo.coarse for photo in part) else 1.0
        yield from zip(part, teacher.densities([photo.bgr for photo in part], shape, share), strict=True)


def _by_shape(photos: list[Photo]) -> Iterator[tuple[tuple[int, int], list[Photo]]]:
    """Yield batches of photos with the same student input shape, each as (shape, photos)."""

    def shape_of(photo: Photo) -> tuple[int, int]:
        return shape_for(photo.bgr.shape[1], photo.bgr.shape[0])

    for shape, group in groupby(sorted(photos, key=shape_of), key=shape_of):
        of_shape = list(group)
        for start in range(0, len(of_shape), BATCH_SIZE):
            yield shape, of_shape[start : start + BATCH_SIZE]
