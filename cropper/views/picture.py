"""One photo read, decided and drawn: what ``cropper show`` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.decide import Decision, decide
from cropper.errors import OutputError, UsageError, reading
from cropper.geometry import Box
from cropper.imaging.opencv import cv2
from cropper.imaging.resize import on_white, resized
from cropper.model.look import infer_maps, open_photo
from cropper.model.saliency import Saliency
from cropper.settings import DONE, LIMITS, Choosing, Limits, Target
from cropper.views import drawing

# Pixels of the long side a picture is drawn at: enough for lines and words, not more than a screen has.
SHORTEST, LONGEST = 900, 1600


@dataclass(frozen=True)
class Look:
    """A photo, and what was decided about it.

    Attributes:
        bgr: uint8 [h, w, 3], the upright photo at some scale.
        width, height: of the upright original in pixels.
        density: float32 [h, w], where people look, summing to 1.
        boxes: label and box each, in pixels of the upright original.
        salvaged: whether the photo was damaged, and this is what could be decoded of it.
    """

    bgr: NDArray[np.uint8]
    width: int
    height: int
    density: NDArray[np.float32]
    boxes: tuple[tuple[str, Box], ...]
    salvaged: bool = False


def look_at(
    path: Path,
    targets: tuple[Target, ...],
    choosing: Choosing,
    model: Path | None = None,
    limits: Limits = LIMITS,
) -> Look:
    """Read a photo and choose its boxes, as ``cropper batch`` does, from pixels decoded for a picture on a screen.

    Args:
        path: the photo.
        targets: the shapes to choose boxes for.
        choosing: how they are chosen.
        model: an ONNX file, or None for the bundled student.
        limits: which photos are accepted.

    Raises:
        PhotoError: if the photo cannot be read or decoded.
        ModelError: if the model cannot be loaded.
    """
    with reading(path):
        photo = open_photo(path.read_bytes(), _size_to_draw, limits)
    header = photo.header
    (maps,) = infer_maps([photo], Saliency(model))
    boxes = tuple(
        (label_of(target, number, decision), decision.box)
        for target in targets
        for number, decision in enumerate(decide(maps.density, header.width, header.height, target, choosing))
    )
    return Look(on_white(photo.pixels), header.width, header.height, maps.density, boxes, photo.salvaged)


def label_of(target: Target, number: int, decision: Decision) -> str:
    """What a box is called: its shape, of several candidates the number too, and what is done where no crop is good."""
    words = [target.label, *([f"#{number + 1}"] if number else []), *([DONE[decision.fit]] if decision.fit in DONE else [])]
    return " ".join(words)


def picture_of(look: Look) -> NDArray[np.uint8]:
    """The photo with its heatmap, its boxes and their focus drawn on it, and a legend below: uint8 [h, w, 3] BGR."""
    drawn = _drawn(look, _size_to_draw(look.width, look.height))
    return drawing.with_legend(drawn, look.density, look.boxes)


def preview_of(look: Look, columns: int, rows: int) -> str:
    """The same as text for a terminal of 24-bit colour, at most that many columns and rows of it, the legend apart."""
    share = min(columns / look.width, 2 * rows / look.height)
    size = max(1, round(look.width * share)), max(1, round(look.height * share))
    lines = [drawing.half_blocks(_drawn(look, size))]
    for number, (label, box) in enumerate(look.boxes):
        blue, green, red = drawing.colour_of(number)
        lines.append(f"\x1b[38;2;{red};{green};{blue}m\u25a0\x1b[0m {drawing.words_of(label, box)}")
    return "\n".join(lines)


def _size_to_draw(width: int, height: int) -> tuple[int, int]:
    side = max(width, height)
    scale = min(max(side, SHORTEST), LONGEST) / side
    return max(1, round(width * scale)), max(1, round(height * scale))


def _drawn(look: Look, size: tuple[int, int]) -> NDArray[np.uint8]:
    # Boxes are chosen in the original's pixels and drawn in the picture's.
    boxes = [(label, box.scaled(size[0] / look.width, size[1] / look.height)) for label, box in look.boxes]
    return drawing.draw(resized(look.bgr, size), look.density, boxes)


def save(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a picture in the format its name says: PNG, JPEG, WebP, ...

    Raises:
        UsageError: if the name's extension is no image format.
        OutputError: if the file cannot be written.
    """
    data = encoded(picture, path)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise OutputError(f"the picture cannot be written ({error.strerror})", path=path) from error


def encoded(picture: NDArray[np.uint8], path: Path) -> bytes:
    """A picture as a file in the format that a name says. Raises UsageError if its extension is no image format."""
    # Only the extension is OpenCV's to see: names that are no text crash it.
    if not path.suffix.isascii() or not cv2.haveImageWriter(f"picture{path.suffix}"):
        raise UsageError("the name does not say what kind of picture to write", path=path, remedy="end it in .png or .jpg")
    return cv2.imencode(path.suffix, picture)[1].tobytes()
