"""Boxes tighter than the largest: as much of the photo as holds what people look at, and some room around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.boxes import best_box, box_at, is_flat
from cropper.geometry import Box, aspect_ratio, largest_size, placed
from cropper.settings import Target, Zoom

# Of the sides of the tightest box, what is shown in its place: the density ends where eyes and mouths do, the subject goes on.
ROOM = 1.2
# Halvings of the range of scales until the tightest is known to a pixel of the largest photos.
_HALVINGS = 16


def smallest_size(largest: tuple[int, int], size: tuple[int, int] | None, zoom: Zoom) -> tuple[int, int]:
    """How small the largest box may become, width and height: not below the size asked for, where the photo has as much."""
    share = max([zoom.at_least, *(asked / side for asked, side in zip(size or (), largest, strict=bool(size)))])
    return largest if share >= 1 else (max(1, round(largest[0] * share)), max(1, round(largest[1] * share)))


def tightest(mass: NDArray[np.float64], image_width: int, image_height: int, target: Target, zoom: Zoom) -> Box:
    """The tightest box of the target's aspect that keeps the share of the density, with room around, in whole pixels.

    Where even the largest keeps less, or the density says nothing, it is the largest, as ``boxes.choose`` places it.

    Args:
        mass: [h, w], a density over the whole upright photo that sums to 1.
        image_width, image_height: the upright original in pixels, at least 1.
        target: its size, where it has one, is the smallest box; so no thumbnail is enlarged for it.
        zoom: how far to go.

    Raises:
        UsageError: for an aspect with a side below 1.
    """
    largest = largest_size(image_width, image_height, target.aspect)
    image = image_width, image_height
    smallest = smallest_size(largest, target.size, zoom)
    low, high = max(smallest[0] / largest[0], smallest[1] / largest[1]), 1.0
    if not is_flat(mass) and low < 1 and best_place(mass, image, largest)[0] >= zoom.share:
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if best_place(mass, image, (largest[0] * middle, largest[1] * middle))[0] >= zoom.share:
                high = middle
            else:
                low = middle
        _, centre = best_place(mass, image, (largest[0] * high, largest[1] * high))
        width = round(largest[0] * high * ROOM)
        if width < largest[0]:
            height = max(1, round(width / aspect_ratio(target.aspect)))
            return box_at(mass, *image, placed(centre, (width, height), image))
    return best_box(mass, image_width, image_height, target.aspect)


def best_place(mass: NDArray[np.float64], image: tuple[int, int], size: tuple[float, float]) -> tuple[float, tuple[float, float]]:
    """What the best place of a box of a size keeps, 0..1, and its centre in pixels; of equals the most central.

    Places are half a cell of the density apart; the density need not sum to 1.
    """
    shares, centres = [], []
    for cells, whole, side in zip(mass.shape[::-1], image, size, strict=True):
        starts = np.linspace(0, whole - side, 2 * cells + 1)[:, None]
        edges = np.linspace(0, whole, cells + 1)
        overlap = np.minimum(edges[1:], starts + side) - np.maximum(edges[:-1], starts)
        shares.append(np.clip(overlap, 0, None) * (cells / whole))
        centres.append(starts[:, 0] + side / 2)
    kept = (shares[1] @ mass @ shares[0].T).round(9)  # [places down, places across]; rounded so that mirrored sums are equal
    distance = np.hypot((centres[1] / image[1] - 0.5)[:, None], (centres[0] / image[0] - 0.5)[None]).round(9)
    row, column = np.unravel_index(np.lexsort((distance.ravel(), -kept.ravel()))[0], kept.shape)
    return float(kept[row, column]), (float(centres[0][column]), float(centres[1][row]))
