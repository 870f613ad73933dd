"""Heatmap and boxes drawn on a photo, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cropper.geometry import Box
from cropper.imaging.opencv import cv2
from cropper.views.lettering import Colour, capital_height, text_width, write

LabelledBox = tuple[str, Box]

# Perceptually even, dark to bright, and told apart by colour-blind eyes.
_COLOUR_MAP = cv2.COLORMAP_INFERNO
# How much of the photo the densest place hides. Elsewhere the heat fades with the density, so that the photo stays readable.
_MOST_HEAT = 0.6
PAPER: Colour = (24, 24, 24)
_INK, _GREY = (255, 255, 255), (80, 80, 80)
# Told apart from each other by colour-blind eyes too, and none of them a colour of the heat. They come round again.
_BOX_COLOURS: tuple[Colour, ...] = ((255, 255, 255), (255, 205, 70), (120, 225, 40), (210, 130, 255), (255, 100, 60))
# Pixels that the legend's words need, and the sizes of its letters in pixels: a share of the width, within bounds.
_NARROWEST_LEGEND = 480
_LETTERS_OF_WIDTH, _SMALLEST_LETTERS, _LARGEST_LETTERS = 1 / 50, 15, 27


def colour_of(number: int) -> Colour:
    """The colour of the box of that number, counted from 0."""
    return _BOX_COLOURS[number % len(_BOX_COLOURS)]


def words_of(label: str, box: Box) -> str:
    """What is said of a box wherever it is drawn."""
    return f"{label} keeps {box.kept:.0%}"


def draw(bgr: NDArray[np.uint8], density: NDArray[np.floating], boxes: Sequence[LabelledBox]) -> NDArray[np.uint8]:
    """Draw a density, the boxes chosen from it and their focus on a photo.

    Args:
        bgr: uint8 [H, W, 3], the upright photo at the size to draw at.
        density: [h, w] over the whole photo, summing to 1.
        boxes: label and box each, in the pixels of ``bgr``.

    Returns:
        uint8 [H, W, 3].
    """
    height, width = bgr.shape[:2]
    # Half its colour gone, the photo is still itself, and no blue sky or red dress passes for heat.
    grey = cv2.cvtColor(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    picture = _tinted(cv2.addWeighted(bgr, 0.5, grey, 0.5, 0), relative_heat(density, width, height))
    draw_boxes(picture, [box for _, box in boxes], max(1, round(max(height, width) / 500)))
    return picture


def draw_boxes(picture: NDArray[np.uint8], boxes: Sequence[Box], thick: int) -> None:
    """Draw boxes and their focus onto a picture, uint8 [H, W, 3], in its own pixels, with lines so many pixels thick."""
    for number, box in enumerate(boxes):
        _draw_box(picture, box, colour_of(number), thick, number)


def with_legend(picture: NDArray[np.uint8], density: NDArray[np.floating], boxes: Sequence[LabelledBox]) -> NDArray[np.uint8]:
    """A drawn picture, uint8 [H, W, 3], with a legend below: what the heat means, and which box is which.

    A picture too narrow for the words gets margins.
    """
    missing = max(0, _NARROWEST_LEGEND - picture.shape[1])
    picture = np.pad(picture, ((0, 0), (missing // 2, missing - missing // 2), (0, 0)), constant_values=PAPER[0])
    width = picture.shape[1]
    size = round(min(max(width * _LETTERS_OF_WIDTH, _SMALLEST_LETTERS), _LARGEST_LETTERS))
    return np.vstack([picture, _heat_legend(width, _peak(density), size), *_box_legend(width, boxes, size)])


def relative_heat(density: NDArray[np.floating], width: int, height: int) -> NDArray[np.float32]:
    """A density scaled to a photo's size, as float32 [height, width] in 0..1: the root of what is above even, to the peak's.

    The root shows the second subject beside the first; a flat density shows no heat at all.
    """
    times_even = np.asarray(density * density.size, np.float32)
    smooth: NDArray[np.float32] = cv2.resize(times_even, (width, height), interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
    return np.asarray(_heat_of(smooth, _peak(density)), np.float32)


def heat_layer(density: NDArray[np.floating], width: int, height: int) -> NDArray[np.uint8]:
    """The heat alone, to be laid over a picture of the photo at any size: uint8 [height, width, 4] BGRA."""
    heat = relative_heat(density, width, height)
    colours = cv2.applyColorMap((heat * 255).round().astype(np.uint8), _COLOUR_MAP)
    return np.dstack([colours, (heat * (_MOST_HEAT * 255)).round().astype(np.uint8)])


def _peak(density: NDArray[np.floating]) -> float:
    """How many times denser than evenly spread gaze the hottest colour is.

    A peak below twice the even density is no subject, so it is not blown up to look like one.
    """
    return max(2.0, float(density.max() * density.size))


def _heat_of(times_even: NDArray[np.floating], peak: float) -> NDArray[np.floating]:
    return np.sqrt(np.clip((times_even - 1) / (peak - 1), 0, 1))


def _tinted(bgr: NDArray[Any], heat: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Heat [H, W] in 0..1 laid over a picture of that size."""
    colours = cv2.applyColorMap((heat * 255).round().astype(np.uint8), _COLOUR_MAP)
    weight = (heat * _MOST_HEAT).astype(np.float32)[:, :, None]
    return np.asarray((bgr * (1 - weight) + colours * weight).round(), np.uint8)


def _draw_box(picture: NDArray[np.uint8], box: Box, colour: Colour, thick: int, number: int) -> None:
    # Each line lies inside the one before, so that a side that boxes share, or share with the photo, shows them all.
    outline = thick + 2 if thick > 1 else thick
    inset = outline // 2 + number * (thick + 1)
    left, top = box.x + inset, box.y + inset
    right, bottom = max(left, box.x + box.width - 1 - inset), max(top, box.y + box.height - 1 - inset)
    for ink, thickness in ((PAPER, outline), (colour, thick)):
        cv2.rectangle(picture, (left, top), (right, bottom), ink, thickness)
        # Smooth lines of one pixel are too faint.
        cv2.circle(picture, box.focus, 3 * thick, ink, thickness, cv2.LINE_AA if thick > 1 else cv2.LINE_8)


def _heat_legend(width: int, peak: float, size: int) -> NDArray[np.uint8]:
    """A strip with the colours as they look on middling grey, and how many times denser than evenly spread gaze each is."""
    line = _line_height(size)
    strip = np.full((5 * line // 2, width, 3), PAPER, np.uint8)
    words = "gaze, times the average"
    start, stop = 2 * line + _text_width(words, size), width - 2 * line
    _write(strip, words, line // 2, 5 * line // 4 + line // 3, size)
    heat = np.linspace(0, 1, stop - start)[None].repeat(2 * line // 3, axis=0)
    strip[5 * line // 4 :][: len(heat), start:stop] = _tinted(np.full((*heat.shape, 3), _GREY, np.uint8), heat)
    free_from = 0
    for value in _ticks(peak):
        x = start + round(float(_heat_of(np.asarray(value), peak)) * (stop - start - 1))
        label = f"{value:.0f}x"
        half = _text_width(label, size) // 2
        is_last = value == peak
        if x - half >= free_from and (is_last or x + 5 * half < stop):
            cv2.line(strip, (x, line), (x, 5 * line // 4), _INK, 1)
            _write(strip, label, x - half, 3 * line // 5, size)
            free_from = x + 2 * half
    return strip


def _ticks(peak: float) -> Iterator[float]:
    """1, 2, 5, 10, 20, 50, ... below the peak, and the peak."""
    power = 1
    while power < peak:
        yield from (float(step * power) for step in (1, 2, 5) if step * power < peak)
        power *= 10
    yield peak


def _box_legend(width: int, boxes: Sequence[LabelledBox], size: int) -> Iterator[NDArray[np.uint8]]:
    """Strips that say which colour is which box, as many to a strip as fit."""
    line = _line_height(size)
    x, strip = width, None
    for number, (label, box) in enumerate(boxes):
        words = words_of(label, box)
        needed = 3 * line + _text_width(words, size)
        if strip is None or x + needed > width:
            if strip is not None:
                yield strip
            x, strip = line // 2, np.full((3 * line // 2, width, 3), PAPER, np.uint8)
        cv2.rectangle(strip, (x, line // 4), (x + line, line), colour_of(number), max(2, line // 10))
        _write(strip, words, x + 3 * line // 2, 5 * line // 8, size)
        x += needed
    if strip is not None:
        yield strip


def _line_height(size: int) -> int:
    return round(size * 4 / 3)


def _text_width(words: str, size: int) -> int:
    return text_width(words, size)


def _write(strip: NDArray[np.uint8], words: str, x: int, middle: int, size: int) -> None:
    """Write white words on a strip, from ``x`` on, with ``middle`` half up their capitals."""
    write(strip, words, (x, middle + capital_height(size) // 2), size, _INK)


def half_blocks(bgr: NDArray[np.uint8]) -> str:
    """A picture, uint8 [H, W, 3], as text for a terminal of 24-bit colour: two pixels a character, one above the other."""
    if len(bgr) % 2:
        bgr = np.pad(bgr, ((0, 1), (0, 0), (0, 0)))
    lines = []
    for upper, lower in zip(bgr[0::2], bgr[1::2], strict=True):
        cells = [
            f"\x1b[38;2;{top[2]};{top[1]};{top[0]};48;2;{low[2]};{low[1]};{low[0]}m\u2580"
            for top, low in zip(upper, lower, strict=True)
        ]
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)
