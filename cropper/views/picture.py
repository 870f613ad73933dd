"""Read one photo, decide and draw it: the work of ``cropper show``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.decide import Decision, decide
from cropper.choosing.faces import with_faces
from cropper.choosing.focus import Focus
from cropper.choosing.view import Maps, view_of
from cropper.errors import OutputError, UsageError, reading, remedy_for
from cropper.geometry import Box
from cropper.imaging.header import Header
from cropper.imaging.opencv import cv2
from cropper.imaging.resize import resized
from cropper.ledger.given import NOTHING, Given, given_for
from cropper.model.look import infer_maps, open_photo
from cropper.model.saliency import Saliency
from cropper.settings import DONE, LIMITS, Choosing, Limits, Target
from cropper.storage.atomic import make_folder_of
from cropper.storage.local import LocalPlace
from cropper.views import heatmap
from cropper.views.checks import on_checks

# Bounds of the long side of a picture, in pixels: enough for lines and words, not more than a screen has.
SHORTEST, LONGEST = 900, 1600


@dataclass(frozen=True)
class DecidedPhoto:
    """A photo, and the boxes that were chosen for it.

    Attributes:
        bgr: uint8 [h, w, 3], the upright photo at some scale.
        width, height: of the upright original, in pixels.
        maps: what the model sees in the photo.
        boxes: pairs of label and box, in pixels of the upright original.
        salvaged: whether the photo is damaged and only part of it could be decoded.
    """

    bgr: NDArray[np.uint8]
    width: int
    height: int
    maps: Maps
    boxes: tuple[tuple[str, Box], ...]
    salvaged: bool = False


def look_at(
    path: Path,
    targets: tuple[Target, ...],
    choosing: Choosing,
    limits: Limits = LIMITS,
    given: Mapping[str, Given] = NOTHING,
) -> DecidedPhoto:
    """Read a photo and choose its boxes as ``cropper batch`` does, from pixels decoded for a screen.

    Args:
        path: the photo.
        targets: the shapes to choose boxes for.
        choosing: how to choose them.
        limits: which photos are accepted.
        given: what you give by hand, by the labels of sizes.

    Raises:
        PhotoError: if the photo cannot be read or decoded, or what you give is not inside it.
        ModelError: if the model cannot be loaded.
    """
    with reading(path):
        photo = open_photo(LocalPlace(path).read()[0], _size_to_draw, limits, with_faces=choosing.faces_from_metadata)
        header = photo.header
        (maps,) = infer_maps([photo], Saliency())
        view = with_faces(view_of(maps), header.faces)
        boxes = tuple(
            (label_of(target, number, decision), decision.box)
            for target in targets
            for number, decision in enumerate(
                decide(view, header.width, header.height, target, choosing, _focus_for(target, given, header))
            )
        )
    return DecidedPhoto(on_checks(photo.pixels), header.width, header.height, maps, boxes, photo.salvaged)


def _focus_for(target: Target, given: Mapping[str, Given], header: Header) -> Focus | None:
    one = given_for(given, (target,))[0]
    return Focus(*one.in_pixels((header.width, header.height))) if one is not None else None


def label_of(target: Target, number: int, decision: Decision) -> str:
    """Return the label of a box: its shape, its number among several candidates, and what is done if no crop is good."""
    words = [target.label, *([f"#{number + 1}"] if number else []), *([DONE[decision.fit]] if decision.fit in DONE else [])]
    return " ".join(words)


def picture_of(photo: DecidedPhoto) -> NDArray[np.uint8]:
    """Draw the heat, outlines, boxes and their focus on the photo, with a legend below: uint8 [h, w, 3] BGR."""
    drawn = _drawn(photo, _size_to_draw(photo.width, photo.height))
    return heatmap.with_legend(drawn, photo.maps, photo.boxes)


def preview_of(photo: DecidedPhoto, columns: int, rows: int) -> str:
    """Draw the same as text for a terminal with 24-bit colour, in at most ``columns`` and ``rows``, with the legend below."""
    share = min(columns / photo.width, 2 * rows / photo.height)
    size = max(1, round(photo.width * share)), max(1, round(photo.height * share))
    lines = [heatmap.half_blocks(_drawn(photo, size))]
    for number, (label, box) in enumerate(photo.boxes):
        blue, green, red = heatmap.colour_of(number)
        lines.append(f"\x1b[38;2;{red};{green};{blue}m\u25a0\x1b[0m {heatmap.words_of(label, box)}")
    return "\n".join(lines)


def _size_to_draw(width: int, height: int) -> tuple[int, int]:
    side = max(width, height)
    scale = min(max(side, SHORTEST), LONGEST) / side
    return max(1, round(width * scale)), max(1, round(height * scale))


def _drawn(photo: DecidedPhoto, size: tuple[int, int]) -> NDArray[np.uint8]:
    # Boxes are in pixels of the original; the drawing needs pixels of the picture.
    boxes = [(label, box.scaled(size[0] / photo.width, size[1] / photo.height)) for label, box in photo.boxes]
    return heatmap.draw(resized(photo.bgr, size), photo.maps, boxes)


def save(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a picture in the format of its name's extension: PNG, JPEG, WebP, ...

    Raises:
        UsageError: if the extension is not an image format.
        OutputError: if the file cannot be written.
    """
    write_picture(encoded(picture, path), path)


def write_picture(data: bytes, path: Path) -> None:
    """Write an encoded picture; its folder is made if it is not there. Raises OutputError if the file cannot be written."""
    try:
        make_folder_of(path)
        path.write_bytes(data)
    except OSError as error:
        remedy = remedy_for(error, "give another name with -o")
        raise OutputError(f"the picture cannot be written ({error.strerror})", path=path, remedy=remedy) from error


def encoded(picture: NDArray[np.uint8], path: Path) -> bytes:
    """Encode a picture in the format of a name's extension. Raises UsageError if the extension is not an image format."""
    # OpenCV gets the extension alone: it crashes on names that are not text.
    if not path.suffix.isascii() or not cv2.haveImageWriter(f"picture{path.suffix}"):
        raise UsageError("the name does not say what kind of picture to write", path=path, remedy="end it in .png or .jpg")
    return cv2.imencode(path.suffix, picture)[1].tobytes()
