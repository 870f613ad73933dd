"""Draw heat, boxes and a legend on a photo, or on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.view import LEVEL, Maps
from cropper.geometry import Box
from cropper.imaging.opencv import cv2
from cropper.settings import WHOLE_SHARE
from cropper.views.lettering import Colour, capital_height, text_width, write
from cropper.views.outlines import draw_outlines, outlines_of

LabelledBox = tuple[str, Box]

# Perceptually even, dark to bright, and safe for colour-blind people.
_COLOUR_MAP = cv2.COLORMAP_INFERNO
# The opacity of the heat at the densest place. Elsewhere the heat fades with the density, so that the photo stays readable.
_MOST_HEAT = 0.6
# Pixels outside all boxes keep this share of their brightness.
_OUTSIDE = 0.45
PAPER: Colour = (24, 24, 24)
_INK, _GREY = (255, 255, 255), (80, 80, 80)
# Safe for colour-blind people, and different from the colours of the heat. After the last, the first comes again.
_BOX_COLOURS: tuple[Colour, ...] = ((255, 255, 255), (255, 205, 70), (120, 225, 40), (210, 130, 255), (255, 100, 60))
# The least width of a legend, and the size of its letters: a share of the width, within bounds. All in pixels.
_NARROWEST_LEGEND = 480
_LETTERS_OF_WIDTH, _SMALLEST_LETTERS, _LARGEST_LETTERS = 1 / 50, 15, 27


def colour_of(number: int) -> Colour:
    """Return the colour of the box with this number, from 0."""
    return _BOX_COLOURS[number % len(_BOX_COLOURS)]


# A picture with a shorter long side, such as a terminal's preview, would show outlines and little else.
_LEAST_OUTLINED = 300


def words_of(label: str, box: Box) -> str:
    """Return the caption of a box, the same wherever it is drawn."""
    return ", ".join([f"{label} keeps {box.kept:.0%}", *cut_by(box)])


def cut_by(box: Box) -> list[str]:
    """Return what a box cuts, in words: heads, and a part of the subject that is worth saying."""
    words = []
    if box.heads_cut:
        words.append("cuts 1 head" if box.heads_cut == 1 else f"cuts {box.heads_cut} heads")
    if box.subject_kept is not None and box.subject_kept < WHOLE_SHARE:
        words.append(f"shows {box.subject_kept:.0%} of the subject")
    return words


def draw(bgr: NDArray[np.uint8], maps: Maps, boxes: Sequence[LabelledBox]) -> NDArray[np.uint8]:
    """Draw the maps of a photo, the boxes chosen by them, and their focus on it. What no box shows is dimmed.

    Args:
        bgr: uint8 [H, W, 3], the upright photo at the size to draw it.
        maps: what the model sees in the photo.
        boxes: pairs of label and box, in the pixels of ``bgr``.

    Returns:
        uint8 [H, W, 3].
    """
    height, width = bgr.shape[:2]
    # With half its colour, the photo is still recognisable, and no blue sky or red dress looks like heat.
    grey = cv2.cvtColor(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    picture = _tinted(cv2.addWeighted(bgr, 0.5, grey, 0.5, 0), relative_heat(maps.density, width, height))
    if boxes:
        picture = dimmed_outside(picture, [box for _, box in boxes])
    thick = max(1, round(max(height, width) / 500))
    if max(height, width) >= _LEAST_OUTLINED:
        draw_outlines(picture, maps, max(1, thick // 2))
    draw_boxes(picture, [box for _, box in boxes], thick)
    return picture


def dimmed_outside(picture: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.uint8]:
    """Return a picture, uint8 [H, W, 3], with what none of the boxes shows darkened."""
    drawn = np.asarray((picture * _OUTSIDE).round(), np.uint8)
    for box in boxes:
        inside = np.s_[box.y : box.y + box.height, box.x : box.x + box.width]
        drawn[inside] = picture[inside]
    return drawn


def draw_boxes(picture: NDArray[np.uint8], boxes: Sequence[Box], thick: int) -> None:
    """Draw boxes and their focus onto a picture, uint8 [H, W, 3], with lines ``thick`` pixels wide; boxes are in its pixels."""
    for number, box in enumerate(boxes):
        _draw_box(picture, box, colour_of(number), thick, number)


def with_legend(picture: NDArray[np.uint8], maps: Maps, boxes: Sequence[LabelledBox]) -> NDArray[np.uint8]:
    """Add a legend below a drawn picture, uint8 [H, W, 3]: what the heat and the outlines mean, and which box is which.

    A picture that is too narrow for the words gets margins.
    """
    missing = max(0, _NARROWEST_LEGEND - picture.shape[1])
    picture = np.pad(picture, ((0, 0), (missing // 2, missing - missing // 2), (0, 0)), constant_values=PAPER[0])
    width = picture.shape[1]
    size = round(min(max(width * _LETTERS_OF_WIDTH, _SMALLEST_LETTERS), _LARGEST_LETTERS))
    keys = [(words_of(label, box), colour_of(number)) for number, (label, box) in enumerate(boxes)]
    outlined = [(words, colour) for mask, words, colour in outlines_of(maps) if mask.max() >= LEVEL]
    return np.vstack([picture, _heat_legend(width, _peak(maps.density), size), *_key_legend(width, [*keys, *outlined], size)])


def relative_heat(density: NDArray[np.floating], width: int, height: int) -> NDArray[np.float32]:
    """Scale a density to a photo's size and to 0..1, as float32 [height, width].

    0 is the mean density and below, 1 is the peak, and the scale between is a square root. So a second subject shows beside the
    first. A flat density shows no heat.
    """
    times_even = np.asarray(density * density.size, np.float32)
    smooth: NDArray[np.float32] = cv2.resize(times_even, (width, height), interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
    return np.asarray(_heat_of(smooth, _peak(density)), np.float32)


def heat_layer(density: NDArray[np.floating], width: int, height: int) -> NDArray[np.uint8]:
    """Draw the heat alone, as a layer for a picture of the photo at any size: uint8 [height, width, 4] BGRA."""
    heat = relative_heat(density, width, height)
    colours = cv2.applyColorMap((heat * 255).round().astype(np.uint8), _COLOUR_MAP)
    return np.dstack([colours, (heat * (_MOST_HEAT * 255)).round().astype(np.uint8)])


def _peak(density: NDArray[np.floating]) -> float:
    """Return how many times denser than the mean the hottest colour is.

    A peak below twice the mean is not a subject, so it gets less than the hottest colour.
    """
    return max(2.0, float(density.max() * density.size))


def _heat_of(times_even: NDArray[np.floating], peak: float) -> NDArray[np.floating]:
    return np.sqrt(np.clip((times_even - 1) / (peak - 1), 0, 1))


def _tinted(bgr: NDArray[Any], heat: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Lay heat, [H, W] in 0..1, over a picture of the same size."""
    colours = cv2.applyColorMap((heat * 255).round().astype(np.uint8), _COLOUR_MAP)
    weight = (heat * _MOST_HEAT).astype(np.float32)[:, :, None]
    return np.asarray((bgr * (1 - weight) + colours * weight).round(), np.uint8)


def _draw_box(picture: NDArray[np.uint8], box: Box, colour: Colour, thick: int, number: int) -> None:
    # Each box lies inside the one before it, so that boxes with a common side all show.
    outline = thick + 2 if thick > 1 else thick
    inset = outline // 2 + number * (thick + 1)
    left, top = box.x + inset, box.y + inset
    right, bottom = max(left, box.x + box.width - 1 - inset), max(top, box.y + box.height - 1 - inset)
    for ink, thickness in ((PAPER, outline), (colour, thick)):
        cv2.rectangle(picture, (left, top), (right, bottom), ink, thickness)
        # Anti-aliased lines of one pixel are too faint.
        cv2.circle(picture, box.focus, 3 * thick, ink, thickness, cv2.LINE_AA if thick > 1 else cv2.LINE_8)


def _heat_legend(width: int, peak: float, size: int) -> NDArray[np.uint8]:
    """Draw a strip with the colours as they look on grey, and how many times denser than the mean each one is."""
    line = _line_height(size)
    strip = np.full((5 * line // 2, width, 3), PAPER, np.uint8)
    words = "times as much as average"
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
    """Yield 1, 2, 5, 10, 20, 50, ... below the peak, and then the peak."""
    power = 1
    while power < peak:
        yield from (float(step * power) for step in (1, 2, 5) if step * power < peak)
        power *= 10
    yield peak


def _key_legend(width: int, keys: Sequence[tuple[str, Colour]], size: int) -> Iterator[NDArray[np.uint8]]:
    """Draw strips that say what lines of each colour mean, as many on a strip as fit."""
    line = _line_height(size)
    x, strip = width, None
    for words, colour in keys:
        needed = 3 * line + _text_width(words, size)
        if strip is None or x + needed > width:
            if strip is not None:
                yield strip
            x, strip = line // 2, np.full((3 * line // 2, width, 3), PAPER, np.uint8)
        cv2.rectangle(strip, (x, line // 4), (x + line, line), colour, max(2, line // 10))
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
    """Turn a picture, uint8 [H, W, 3], into text for a terminal with 24-bit colour. A character shows two pixels, stacked."""
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
