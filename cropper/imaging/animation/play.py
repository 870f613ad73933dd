"""Compose what each frame of an animation shows, as browsers do, one after the other: memory holds a few frames, not all.

The canvas is clear at first, whatever background the file names, and a frame that is disposed of leaves it clear.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cropper.errors import COPY_AGAIN, PhotoError, reason_of
from cropper.imaging.animation.film import MOST_FRAMES, Disposal, Film, Part
from cropper.imaging.decode import decode, upright
from cropper.imaging.header import Header, probe
from cropper.imaging.opencv import cv2, is_out_of_memory
from cropper.imaging.pillow import opened
from cropper.settings import MEGAPIXEL, Limits

# An animation may have so many times the pixels of a photo, in all of its frames.
FRAMES_FACTOR = 10


@dataclass(frozen=True)
class Shown:
    """One frame as it is shown.

    Attributes:
        pixels: uint8 [h, w, 3] BGR if all of it is opaque, else [h, w, 4] BGRA; the whole canvas, upright.
        ms: how long, in milliseconds.
    """

    pixels: NDArray[np.uint8]
    ms: float


def check_frames(film: Film, header: Header, limits: Limits) -> None:
    """Refuse an animation of more frames, or more pixels in all of them, than the limits allow. Raises PhotoError."""
    pixels, most = film.count * header.width * header.height, limits.max_pixels * FRAMES_FACTOR
    if pixels > most or film.count > MOST_FRAMES:
        frames = f"{film.count if film.count <= MOST_FRAMES else f'more than {MOST_FRAMES}'} of {header.width} x {header.height}"
        said = f"{frames}, {pixels // MEGAPIXEL} megapixels" if pixels > most else frames
        remedy = "use --animated first" + (", or allow them with --max-pixels" if film.count <= MOST_FRAMES else "")
        raise PhotoError(f"it has more frames than is safe to decode ({said})", remedy=remedy)


def frames(data: bytes, film: Film, header: Header) -> Iterator[Shown]:
    """Yield the frames of an animation.

    Args:
        data: the whole file.
        film: what ``film_of`` found in it.
        header: the header that ``probe`` returned for it.

    Raises:
        PhotoError: at the first frame that is damaged or missing. The frames before it are right.
        MemoryError, cv2.error: if there is not enough memory.
    """
    composed = _composed(film, header) if film.parts else _sequence(data, film)
    number = 0
    try:
        for shown in composed:
            yield Shown(upright(shown.pixels, header.orientation), shown.ms)
            number += 1
    except Exception as error:  # as in probe
        if is_out_of_memory(error):
            raise
        raise _damaged(number + 1, error) from error
    if not film.is_whole:
        raise _damaged(number + 1)


def _damaged(number: int, error: Exception | None = None) -> PhotoError:
    reason = f": {error.what if isinstance(error, PhotoError) else reason_of(error)}" if error is not None else ""
    return PhotoError(f"it is truncated or damaged (in frame {number}{reason})", remedy=COPY_AGAIN)


def _composed(film: Film, header: Header) -> Iterator[Shown]:
    """Draw the parts of a film on a canvas, one after the other; not turned."""
    width, height = (header.width, header.height) if header.orientation < 5 else (header.height, header.width)
    canvas = np.zeros((height, width, 4), np.uint8)
    for part in film.parts:
        left, upper, right, lower = part.box
        inside = canvas[upper:lower, left:right]  # a frame may reach beyond the canvas
        before = inside.copy() if part.disposal is Disposal.RESTORE else None
        if inside.size:
            _draw(inside, _pixels_of(part)[: inside.shape[0], : inside.shape[1]], part.is_over)
        is_opaque = canvas[:, :, 3].min() == 255
        yield Shown(np.asarray(cv2.cvtColor(canvas, cv2.COLOR_BGRA2BGR) if is_opaque else canvas.copy(), np.uint8), part.ms)
        if before is not None:
            inside[:] = before
        elif part.disposal is Disposal.CLEAR:
            inside[:] = 0


def _pixels_of(part: Part) -> NDArray[np.uint8]:
    """Decode one frame, not turned: uint8 [h, w, 3 or 4], of the size that the film says."""
    width, height = part.box[2] - part.box[0], part.box[3] - part.box[1]
    still = part.still()
    header = probe(still, Limits(max(1, width * height)))
    pixels = decode(still, header, (width, height))
    if pixels.shape[:2] != (height, width):
        raise PhotoError("its size does not match what the file says")
    return pixels


def _draw(below: NDArray[np.uint8], frame: NDArray[np.uint8], is_over: bool) -> None:
    """Draw a frame, uint8 [h, w, 3 or 4], on a part of the canvas, uint8 [h, w, 4]."""
    if frame.shape[2] == 3:
        below[:] = cv2.cvtColor(frame, cv2.COLOR_BGR2BGRA)
        return
    alpha = frame[:, :, 3]
    if not is_over or alpha.min() == 255:
        below[:] = frame
        return
    opaque = (alpha == 255) | ((alpha > 0) & (below[:, :, 3] == 0))
    np.copyto(below, frame, where=opaque[:, :, None])
    mixed = (alpha > 0) & ~opaque
    if mixed.any():
        # Colours are not weighed by their alpha in these files.
        above, under = frame[mixed].astype(np.float32), below[mixed].astype(np.float32)
        share, rest = above[:, 3:] / 255, under[:, 3:] / 255
        rest = rest * (1 - share)
        colour = (above[:, :3] * share + under[:, :3] * rest) / (share + rest)
        below[mixed] = np.hstack([colour, 255 * (share + rest)]).round().astype(np.uint8)


def _sequence(data: bytes, film: Film) -> Iterator[Shown]:
    """Yield the frames of an AVIF, which its decoder composes; not turned."""
    with opened(data, ["AVIF"], with_pixels=True) as image:
        for number in range(film.count):
            image.seek(number)
            image.load()
            is_clear = image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255)
            rgb = np.asarray(image.convert("RGBA" if is_clear else "RGB"))
            bgr = cv2.cvtColor(rgb, cv2.COLOR_RGBA2BGRA if is_clear else cv2.COLOR_RGB2BGR)
            yield Shown(np.asarray(bgr, np.uint8), float(image.info.get("duration", 0)))
