"""Outline the subject and the heads that the model sees, on a picture or as an SVG to lay over one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.view import LEVEL, Maps
from cropper.imaging.opencv import cv2
from cropper.model.inputs import STRIDE
from cropper.views.lettering import Colour

# Blue-green and yellow: colour-blind people tell them apart, and both from the heat.
SUBJECT_COLOUR: Colour = (200, 220, 60)
HEAD_COLOUR: Colour = (80, 235, 255)
# Under each line lies a wider dark one, so that it shows on any photo.
SHADE: Colour = (24, 24, 24)
# The mask is this many times finer before it is outlined, so that the line is smooth.
_FINER = 4


def outlines_of(maps: Maps) -> list[tuple[NDArray[np.float32], str, Colour]]:
    """Return the masks that a photo's maps have, each with its name and the colour of its outline."""
    masks = ((maps.subject, "subject", SUBJECT_COLOUR), (maps.head, "head", HEAD_COLOUR))
    return [(mask, name, colour) for mask, name, colour in masks if mask is not None]


def draw_outlines(picture: NDArray[np.uint8], maps: Maps, thick: int) -> None:
    """Draw outlines onto a picture, uint8 [H, W, 3], with lines ``thick`` pixels wide. Maps without masks have none."""
    for mask, _, colour in outlines_of(maps):
        lines = [_in_pixels(line, mask.shape, picture.shape) for line in _contours(mask)]
        for ink, width in ((SHADE, thick + 2), (colour, thick)):
            cv2.polylines(picture, lines, True, ink, width, cv2.LINE_AA)


def outlines_svg(maps: Maps) -> bytes:
    """Draw outlines as an SVG that stretches over a picture of the photo at any size, with lines of an even width."""
    rows, columns = maps.density.shape
    paths = []
    for mask, _, colour in outlines_of(maps):
        shape = "".join("M" + " ".join(f"{x:.2f},{y:.2f}" for x, y in line) + "Z" for line in _contours(mask))
        for ink, width in ((SHADE, 3), (colour, 1.5)):
            paths.append(f'<path d="{shape}" stroke="#{ink[2]:02x}{ink[1]:02x}{ink[0]:02x}" stroke-width="{width}"/>')
    box = f'viewBox="0 0 {columns} {rows}" width="{columns * STRIDE}" height="{rows * STRIDE}" preserveAspectRatio="none"'
    style = "path{fill:none;vector-effect:non-scaling-stroke}"
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}><style>{style}</style>{"".join(paths)}</svg>\n'.encode()


def _contours(mask: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """Return the outlines of a mask [h, w], each [n, 2] x and y in cells."""
    rows, columns = mask.shape
    # Outside the photo is nothing of the subject, so that an outline follows the photo's edge.
    fine = cv2.resize(mask, (columns * _FINER, rows * _FINER), interpolation=cv2.INTER_LINEAR)
    inside = (fine >= LEVEL).astype(np.uint8)
    found, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_TC89_L1)
    return [(contour[:, 0].astype(np.float64) + 0.5) / _FINER for contour in found]


def _in_pixels(line: NDArray[np.float64], cells: tuple[int, ...], pixels: tuple[int, ...]) -> NDArray[np.int32]:
    """Scale an outline from cells to pixels."""
    scale = np.array([pixels[1] / cells[1], pixels[0] / cells[0]])
    return np.asarray((line * scale).round(), np.int32)
