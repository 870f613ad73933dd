"""One photo read, decided and drawn: what ``cropper show`` does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper import overlay, photo
from cropper.boxes import Target, choose
from cropper.errors import OutputError, PhotoError, UsageError
from cropper.opencv import cv2
from cropper.saliency import Saliency, prepare, shape_for


# Pixels of the long side a picture is drawn at: enough for the words on it, not more than a screen has.
SHORTEST, LONGEST = 900, 1600


def picture_of(path: Path, targets: tuple[Target, ...], model: Path | None = None) -> NDArray[np.uint8]:
    """The photo with its heatmap, its boxes and their focus drawn on it.

    Args:
        path: the photo.
        targets: the shapes to choose boxes for.
        model: an ONNX file, or None for the bundled student.

    Returns:
        uint8 [h, w, 3] BGR.

    Raises:
        PhotoError: if the photo cannot be read or decoded.
        ModelError: if the model cannot be loaded.
    """
    try:
        data = path.read_bytes()
        header = photo.probe(data)
        side = max(header.width, header.height)
        scale = min(max(side, SHORTEST), LONGEST) / side
        width, height = max(1, round(header.width * scale)), max(1, round(header.height * scale))
        bgr = photo.on_white(photo.decode(data, header, (width, height)))
    except OSError as error:
        raise PhotoError(f"it cannot be read ({error.strerror})", path=path) from error
    except PhotoError as error:
        raise PhotoError(error.what, path=path, remedy=error.remedy) from error
    density = Saliency(model).densities(prepare(bgr, shape_for(header.width, header.height))[None])[0]
    drawn = photo.resized(bgr, (width, height))
    # Boxes are chosen in the original's pixels, as batch does, and drawn in the picture's.
    boxes = [(t.label, choose(density, header.width, header.height, t.aspect).scaled(scale)) for t in targets]
    return overlay.draw(drawn, density, boxes)


def save(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a picture in the format its name says: PNG, JPEG, WebP, ...

    Raises:
        UsageError: if the name's extension is no image format.
        OutputError: if the file cannot be written.
    """
    if not cv2.haveImageWriter(path.name):
        raise UsageError("the name does not say what kind of picture to write", path=path, remedy="end it in .png or .jpg")
    try:
        path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())
    except OSError as error:
        raise OutputError(f"the picture cannot be written ({error.strerror})", path=path) from error
