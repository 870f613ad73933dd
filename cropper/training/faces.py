"""Increase the density on faces in labels: people look at faces first and notice when a box cuts one.

A density that fits fixations better puts more on other details, such as badges on a suit. Its boxes then cut foreheads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from cropper.training.data import Photo

# The long side of the detector's input and its smallest face, both in pixels; the least confidence of its three stages and of
# a face, 0..1.
DETECTED_SIDE = 1024
SMALLEST_FACE = 24
STAGES = (0.6, 0.7, 0.8)
SURE = 0.9
# The least half side of a face's density, as a share of the photo's side: no sharper than gaze.
SMALLEST_REACH = 0.02

# Photo, uint8 [H, W, 3] BGR -> its faces, float [n, 4]: left, top, right and bottom, as shares of the photo's sides.
Detector = Callable[[NDArray[np.uint8]], NDArray[np.floating]]


def mtcnn() -> Detector:
    """Return an MTCNN face detector.

    Zhang et al. 2016, "Joint face detection and alignment using multitask cascaded convolutional networks".

    Raises:
        ImportError: if facenet-pytorch is not installed.
    """
    from facenet_pytorch import MTCNN

    network = MTCNN(keep_all=True, min_face_size=SMALLEST_FACE, thresholds=list(STAGES), post_process=False)

    def detect(bgr: NDArray[np.uint8]) -> NDArray[np.floating]:
        height, width = bgr.shape[:2]
        scale = DETECTED_SIDE / max(height, width)
        size = round(width * scale), round(height * scale)
        boxes, chances = network.detect(cv2.cvtColor(cv2.resize(bgr, size, interpolation=cv2.INTER_CUBIC), cv2.COLOR_BGR2RGB))
        if boxes is None:
            return np.zeros((0, 4))
        return np.asarray(boxes[chances > SURE] / (*size, *size), np.float64)

    return detect


def emphasised(photos: list[Photo], detect: Detector, weight: float) -> Iterator[tuple[Photo, NDArray[np.float32]]]:
    """Yield labelled photos with new labels: the density on faces is multiplied by ``weight``."""
    for photo in photos:
        assert photo.teacher is not None
        yield photo, photo.teacher * (1 + (weight - 1) * likeness(detect(photo.bgr), *photo.teacher.shape))


def likeness(faces: NDArray[np.floating], rows: int, columns: int) -> NDArray[np.float32]:
    """Return how much each cell belongs to a face: float32 [rows, columns], 1 in its middle, 0.6 at its edge, 0 well beyond."""
    x, y = (np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows
    most = np.zeros((rows, columns))
    for left, top, right, bottom in faces:
        across, down = max((right - left) / 2, SMALLEST_REACH), max((bottom - top) / 2, SMALLEST_REACH)
        u, v = (x - (left + right) / 2) / across, (y - (top + bottom) / 2) / down
        most = np.maximum(most, np.exp(-(u[None, :] ** 4 + v[:, None] ** 4) / 2))
    return most.astype(np.float32)
