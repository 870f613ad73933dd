"""Heatmap and boxes drawn on a photo, for people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cropper.boxes import Box
from cropper.opencv import cv2

# Perceptually even, dark to bright, and told apart by colour-blind eyes.
_COLOUR_MAP = cv2.COLORMAP_INFERNO
# How much of the photo the densest place hides. Elsewhere the heat fades with the density, so that the photo stays readable.
_MOST_HEAT = 0.62
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK, _PAPER = (255, 255, 255), (24, 24, 24)


def draw(bgr: NDArray[np.uint8], density: NDArray[np.floating], boxes: list[tuple[str, Box]]) -> NDArray[np.uint8]:
    """Draw a density, the boxes chosen from it and their focus on a photo, with a legend below.

    Args:
        bgr: uint8 [H, W, 3], the upright photo at the size to draw at.
        density: [h, w] over the whole photo, summing to 1.
        boxes: label and box each, in the pixels of ``bgr``.

    Returns:
        uint8 [H + legend, W, 3].
    """
    height, width = bgr.shape[:2]
    scale = max(0.45, min(height, width) / 900)
    heat = relative_heat(density, width, height)
    colours = cv2.applyColorMap((heat * 255).round().astype(np.uint8), _COLOUR_MAP)
    weight = (heat * _MOST_HEAT)[:, :, None]
    # Half its colour gone, the photo is still itself, and no blue sky or red dress passes for heat.
    grey = cv2.cvtColor(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    pale = cv2.addWeighted(bgr, 0.5, grey, 0.5, 0)
    picture = (pale * (1 - weight) + colours * weight).round().astype(np.uint8)
    for label, box in boxes:
        _draw_box(picture, f"{label}  kept {box.kept:.0%}", box, scale)
    return np.vstack([picture, _legend(width, float(density.max() * density.size), scale)])


def relative_heat(density: NDArray[np.floating], width: int, height: int) -> NDArray[np.float32]:
    """A density scaled to a photo's size, as float32 [height, width] in 0..1: its square root relative to the peak's.

    The root shows the second subject beside the first; a flat density shows no heat at all.
    """
    even = 1 / density.size
    excess = np.clip(np.asarray(density, np.float32) - even, 0, None)
    smooth = cv2.resize(excess, (width, height), interpolation=cv2.INTER_CUBIC).clip(0)
    # A peak below twice the even density is no subject, so it is not blown up to look like one.
    peak = max(float(smooth.max()), even)
    return np.asarray(np.sqrt(np.clip(smooth / peak, 0, 1)), np.float32)


def _draw_box(picture: NDArray[np.uint8], text: str, box: Box, scale: float) -> None:
    thick = max(1, round(2.5 * scale))
    corner, opposite = (box.x, box.y), (box.x + box.width - 1, box.y + box.height - 1)
    inset = thick  # a border on the photo's own edge stays visible
    corner, opposite = (corner[0] + inset, corner[1] + inset), (opposite[0] - inset, opposite[1] - inset)
    cv2.rectangle(picture, corner, opposite, _PAPER, thick * 2 + 1, cv2.LINE_AA)
    cv2.rectangle(picture, corner, opposite, _INK, thick, cv2.LINE_AA)
    radius = max(3, round(9 * scale))
    cv2.circle(picture, box.focus, radius, _PAPER, thick * 2 + 1, cv2.LINE_AA)
    cv2.circle(picture, box.focus, radius, _INK, thick, cv2.LINE_AA)
    text_scale = 0.62 * scale
    (text_width, text_height), below = cv2.getTextSize(text, _FONT, text_scale, thick)
    if text_width + 4 * thick > box.width:
        return
    pad = 2 * thick
    x, y = corner[0] + pad, corner[1] + pad
    cv2.rectangle(picture, (x, y), (x + text_width + 2 * pad, y + text_height + below + 2 * pad), _PAPER, cv2.FILLED)
    origin = (x + pad, y + pad + text_height)
    cv2.putText(picture, text, origin, _FONT, text_scale, _INK, max(1, thick // 2), cv2.LINE_AA)


def _legend(width: int, peak: float, scale: float) -> NDArray[np.uint8]:
    """A strip with the colour bar: how many times denser than if people looked everywhere alike."""
    height = max(18, round(40 * scale))
    strip = np.full((height, width, 3), _PAPER, np.uint8)
    left, right = "even", f"{max(peak, 2):.0f}x: looked at most"
    text_scale, thick = 0.5 * scale, max(1, round(scale))
    (left_width, text_height), _ = cv2.getTextSize(left, _FONT, text_scale, thick)
    right_width = cv2.getTextSize(right, _FONT, text_scale, thick)[0][0]
    pad = round(height * 0.3)
    bar_start, bar_stop = 2 * pad + left_width, width - 2 * pad - right_width
    if bar_stop - bar_start < 40:  # too narrow for words: the bar alone
        bar_start, bar_stop, left, right = pad, max(width - pad, pad + 1), "", ""
    ramp = np.linspace(0, 255, bar_stop - bar_start).round().astype(np.uint8)[None]
    strip[pad : height - pad, bar_start:bar_stop] = cv2.applyColorMap(ramp, _COLOUR_MAP)
    baseline = (height + text_height) // 2
    cv2.putText(strip, left, (pad, baseline), _FONT, text_scale, _INK, thick, cv2.LINE_AA)
    cv2.putText(strip, right, (bar_stop + pad, baseline), _FONT, text_scale, _INK, thick, cv2.LINE_AA)
    return strip


def half_blocks(bgr: NDArray[np.uint8], columns: int, rows: int) -> str:
    """A picture as text for a terminal of 24-bit colour, two pixels a character, at most ``columns`` by ``rows`` of them."""
    height, width = bgr.shape[:2]
    share = min(columns / width, 2 * rows / height, 1.0)
    across, down = max(1, round(width * share)), max(2, round(height * share / 2) * 2)
    small = cv2.resize(bgr, (across, down), interpolation=cv2.INTER_AREA)
    lines = []
    for upper, lower in zip(small[0::2], small[1::2], strict=True):
        cells = [
            f"\x1b[38;2;{top[2]};{top[1]};{top[0]};48;2;{low[2]};{low[1]};{low[0]}m\u2580"
            for top, low in zip(upper, lower, strict=True)
        ]
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)
