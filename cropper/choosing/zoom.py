"""Choose boxes tighter than the largest: they hold the subject, or what people look at, and some room around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.boxes import best_box, box_at, is_cut
from cropper.choosing.view import Part, View, cell_edges
from cropper.geometry import Box, aspect_ratio, largest_size, placed
from cropper.settings import DENSE_SHARE, WEIGHTS, Target, Weights, Zoom

# How many times the sides of the tightest box to show: the density ends at eyes and mouths, but the subject goes on.
ROOM = 1.2
# A part is of the main subject if its density is at least this share of the part that has the most.
MAIN_SHARE = 0.25
# How often to halve the range of scales: enough to find the tightest box to a pixel in the largest photos.
_HALVINGS = 16


def smallest_size(largest: tuple[int, int], size: tuple[int, int] | None, zoom: Zoom) -> tuple[int, int]:
    """Return the width and height that the box may shrink to: not below the thumbnail's size if the photo is large enough."""
    share = max([zoom.at_least, *(asked / side for asked, side in zip(size or (), largest, strict=bool(size)))])
    return largest if share >= 1 else (max(1, round(largest[0] * share)), max(1, round(largest[1] * share)))


def tightest(view: View, image_width: int, image_height: int, target: Target, zoom: Zoom, weights: Weights = WEIGHTS) -> Box:
    """Return the tightest box of the target's aspect that holds the subject and its margin.

    Where the photo shows no subject, or the zoom asks for a share of the density that this box does not keep, return the tightest
    box that keeps the share, with room around it. If even the largest box is too small, or nothing stands out, return the largest
    box as ``best_box`` places it.

    Args:
        view: what the photo shows.
        image_width, image_height: the upright original in pixels, at least 1.
        target: the shape. If it has a size, the box is not smaller, so that zooming does not enlarge thumbnails.
        zoom: what to keep, and how small the box may become.
        weights: how places of the largest box are weighed.

    Raises:
        UsageError: if a side of the aspect is below 1.
    """
    largest = largest_size(image_width, image_height, target.aspect)
    image = image_width, image_height
    smallest = smallest_size(largest, target.size, zoom)
    box = None
    parts = _main(view) if view.told else []
    if parts:
        box = _around_parts(view, parts, image, target.aspect, largest, smallest, zoom.margin)
    if not view.is_flat and (zoom.share is not None or not parts) and (box is None or box.kept < (zoom.share or 0)):
        box = _around_density(view, image, target.aspect, largest, smallest, DENSE_SHARE if zoom.share is None else zoom.share)
    return box or best_box(view, image_width, image_height, target.aspect, weights)


def _around_parts(
    view: View,
    parts: list[Part],
    image: tuple[int, int],
    aspect: tuple[int, int],
    largest: tuple[int, int],
    smallest: tuple[int, int],
    margin: float,
) -> Box | None:
    """Return the box around parts and their margin, or None if the largest box is too small.

    Heads that the box would cut belong to the parts as well.
    """
    left, right = min(part.left for part in parts) * image[0], max(part.right for part in parts) * image[0]
    top, bottom = min(part.top for part in parts) * image[1], max(part.bottom for part in parts) * image[1]
    ratio = float(aspect_ratio(aspect))
    width = max((right - left), (bottom - top) * ratio) / (1 - 2 * margin)
    if width >= largest[0]:
        return None
    size = max(round(width), smallest[0], 1), min(max(round(width / ratio), smallest[1], 1), largest[1])
    box = box_at(view, *image, placed(((left + right) / 2, (top + bottom) / 2), size, image))
    cut = [head for head in view.heads if head not in parts and is_cut(head, *image, box)]
    return _around_parts(view, [*parts, *cut], image, aspect, largest, smallest, margin) if cut else box


def _main(view: View) -> list[Part]:
    """Return the subjects that people look at, and the heads that belong to none of the others."""
    most = max((part.density for part in (*view.subjects, *view.heads)), default=0.0)
    return [part for part in (*view.subjects, *view.heads) if part.density >= MAIN_SHARE * most]


def _around_density(
    view: View,
    image: tuple[int, int],
    aspect: tuple[int, int],
    largest: tuple[int, int],
    smallest: tuple[int, int],
    share: float,
) -> Box | None:
    """Return the tightest box that keeps a share of the density, with room around it, or None if that is the largest box."""
    low, high = max(smallest[0] / largest[0], smallest[1] / largest[1]), 1.0
    if low >= 1 or best_place(view.mass, image, largest)[0] < share:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if best_place(view.mass, image, (largest[0] * middle, largest[1] * middle))[0] >= share:
            high = middle
        else:
            low = middle
    _, centre = best_place(view.mass, image, (largest[0] * high, largest[1] * high))
    width = round(largest[0] * high * ROOM)
    if width >= largest[0]:
        return None
    height = max(1, round(width / aspect_ratio(aspect)))
    return box_at(view, *image, placed(centre, (width, height), image))


def best_place(mass: NDArray[np.float64], image: tuple[int, int], size: tuple[float, float]) -> tuple[float, tuple[float, float]]:
    """Find the place where a box of a size keeps the most density; among equals, the most central one.

    Places are half a cell of the density apart. The density need not sum to 1.

    Returns:
        The density that the box keeps, 0..1 if the density sums to at most 1, and the centre of the box in pixels.
    """
    shares, centres = [], []
    for cells, whole, side in zip(mass.shape[::-1], image, size, strict=True):
        starts = np.linspace(0, whole - side, 2 * cells + 1)[:, None]
        edges = cell_edges(cells, whole)
        overlap = np.minimum(edges[1:], starts + side) - np.maximum(edges[:-1], starts)
        shares.append(np.clip(overlap, 0, None) * (cells / whole))
        centres.append(starts[:, 0] + side / 2)
    kept = (shares[1] @ mass @ shares[0].T).round(9)  # [places down, places across]; rounded so that mirrored sums are equal
    distance = np.hypot((centres[1] / image[1] - 0.5)[:, None], (centres[0] / image[0] - 0.5)[None]).round(9)
    row, column = np.unravel_index(np.lexsort((distance.ravel(), -kept.ravel()))[0], kept.shape)
    return float(kept[row, column]), (float(centres[0][column]), float(centres[1][row]))
