"""Animations made part by part, with every kind of disposal and blending, and what each of their frames shows."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cropper.imaging.animation.write import Timing, prepared_animation
from cropper.imaging.header import Header

LEAVE, CLEAR, RESTORE = "leave", "clear", "restore"
RGBA = tuple[int, int, int, int]


@dataclass(frozen=True)
class Drawn:
    """A frame: a block of one colour, or its pixels, uint8 [h, w, 4] RGBA, and where and how they are drawn."""

    colour: RGBA | NDArray[np.uint8]
    box: tuple[int, int, int, int]
    ms: int = 100
    disposal: str = LEAVE
    over: bool = True

    @property
    def pixels(self) -> NDArray[np.uint8]:
        if isinstance(self.colour, np.ndarray):
            return self.colour
        return np.full((self.box[3] - self.box[1], self.box[2] - self.box[0], 4), self.colour, np.uint8)


def shown(canvas: tuple[int, int], frames: Sequence[Drawn]) -> list[NDArray[np.uint8]]:
    """What a browser shows of each frame, uint8 [h, w, 4] RGBA, by Pillow's composition of one image onto another."""
    below = Image.new("RGBA", canvas)
    result = []
    for frame in frames:
        before = below.copy()
        picture = Image.fromarray(frame.pixels)
        if frame.over:
            below.alpha_composite(picture, frame.box[:2])
        else:
            below.paste(picture, frame.box[:2])
        result.append(np.asarray(below).copy())
        if frame.disposal == CLEAR:
            below.paste((0, 0, 0, 0), frame.box)
        elif frame.disposal == RESTORE:
            below = before
    return result


def saved(pixels: NDArray[np.uint8], format: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def packed(png: bytes) -> bytes:
    """The packed pixels of a PNG that Pillow wrote."""
    at, found = 8, b""
    while at < len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        found += png[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        at += length + 12
    return found


def png_film(canvas: tuple[int, int], frames: Sequence[Drawn], plays: int = 0, hidden: NDArray[np.uint8] | None = None) -> bytes:
    """An animated PNG; ``hidden``, uint8 [h, w, 4] of the canvas, is a still picture that is none of the frames."""
    written = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *canvas, 8, 6, 0, 0, 0))
    written += chunk(b"acTL", struct.pack(">II", len(frames), plays))
    if hidden is not None:
        written += chunk(b"IDAT", packed(saved(hidden, "PNG")))
    number = 0
    for place, frame in enumerate(frames):
        left, upper, right, lower = frame.box
        how = {LEAVE: 0, CLEAR: 1, RESTORE: 2}[frame.disposal], int(frame.over)
        control = struct.pack(">5IHHBB", number, right - left, lower - upper, left, upper, frame.ms, 1000, *how)
        written += chunk(b"fcTL", control)
        number += 1
        data = packed(saved(frame.pixels, "PNG"))
        if not place and hidden is None:
            written += chunk(b"IDAT", data)
        else:
            written += chunk(b"fdAT", struct.pack(">I", number) + data)
            number += 1
    return written + chunk(b"IEND", b"")


def webp_film(canvas: tuple[int, int], frames: Sequence[Drawn], plays: int = 0, background: int = 0) -> bytes:
    """An animated WebP without loss. It has no ``RESTORE``, and all left and upper borders are even."""
    body = b""
    for frame in frames:
        left, upper, right, lower = frame.box
        places = (left // 2, upper // 2, right - left - 1, lower - upper - 1, frame.ms)
        how = (frame.disposal == CLEAR) | (not frame.over) << 1
        still = saved(frame.pixels, "WEBP", lossless=True, exact=True)[12:]
        if still[:4] == b"VP8X":
            still = still[18:]
        content = b"".join(number.to_bytes(3, "little") for number in places) + bytes([how]) + still
        body += b"ANMF" + struct.pack("<I", len(content)) + content
    sides = b"".join((side - 1).to_bytes(3, "little") for side in canvas)
    head = b"VP8X" + struct.pack("<I4B", 10, 0x12, 0, 0, 0) + sides + b"ANIM" + struct.pack("<IIH", 6, background, plays)
    return b"RIFF" + struct.pack("<I", 4 + len(head + body)) + b"WEBP" + head + body


def gif_film(canvas: tuple[int, int], frames: Sequence[Drawn], plays: int = 0, background: int = 1) -> bytes:
    """A GIF whose frames are opaque or clear, with one palette for all, which has a background that nobody shows."""
    colours = [(1, 2, 3), (255, 0, 255)]  # of what is clear, and of the background
    indexed = []
    for frame in frames:
        pixels = frame.pixels
        indices = np.zeros(pixels.shape[:2], np.uint8)
        for colour in {tuple(int(value) for value in pixel) for pixel in pixels.reshape(-1, 4)}:
            if colour[3]:
                if colour[:3] not in colours:
                    colours.append(colour[:3])  # type: ignore[arg-type]
                indices[(pixels == colour).all(axis=2)] = colours.index(colour[:3])  # type: ignore[arg-type]
        indexed.append(indices)
    palette = b"".join(map(bytes, colours)).ljust(768, b"\0")
    written = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0xF7, background, 0) + palette
    if plays != 1:
        written += b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", max(0, plays - 1), 0)
    for frame, indices in zip(frames, indexed, strict=True):
        image = Image.fromarray(indices, "P")
        image.putpalette(palette)
        file = io.BytesIO()
        image.save(file, "GIF", optimize=False, interlace=False)
        still = file.getvalue()
        at = 13 + (3 << (still[10] & 7) + 1)
        at = still.index(b"\x2c", at)
        left, upper, right, lower = frame.box
        disposal = {LEAVE: 1, CLEAR: 2, RESTORE: 3}[frame.disposal]
        written += struct.pack("<BBBBHBB", 0x21, 0xF9, 4, disposal << 2 | 1, frame.ms // 10, 0, 0)
        written += struct.pack("<BHHHHB", 0x2C, left, upper, right - left, lower - upper, 0) + still[at + 10 : -1]
    return written + b"\x3b"


CANVAS = (40, 30)
WHOLE = (0, 0, *CANVAS)
RED, GREEN, BLUE, NONE, PALE = (200, 30, 20, 255), (20, 180, 40, 255), (30, 40, 220, 255), (0, 0, 0, 0), (250, 250, 10, 128)


def ring(size: tuple[int, int], colour: RGBA) -> NDArray[np.uint8]:
    """A frame that is clear inside."""
    pixels = np.full((size[1], size[0], 4), colour, np.uint8)
    pixels[4:-4, 4:-4] = 0
    return pixels


# What Chromium shows of these, ``shown`` says: tests/stress/animations.py compares them.
FILMS: dict[str, list[Drawn]] = {
    "whole frames": [Drawn(RED, WHOLE), Drawn(GREEN, WHOLE), Drawn(BLUE, WHOLE)],
    "smaller frames": [Drawn(RED, WHOLE), Drawn(GREEN, (10, 4, 20, 12)), Drawn(BLUE, (16, 8, 40, 30))],
    "smaller first frame": [Drawn(RED, (10, 6, 30, 20)), Drawn(GREEN, (0, 0, 20, 12)), Drawn(BLUE, (16, 8, 40, 30))],
    "cleared": [
        Drawn(RED, WHOLE, disposal=CLEAR),
        Drawn(GREEN, (10, 4, 20, 12), disposal=CLEAR),
        Drawn(BLUE, (16, 8, 40, 30), disposal=CLEAR),
        Drawn(RED, (0, 0, 4, 4)),
    ],
    "partly cleared": [Drawn(RED, WHOLE), Drawn(GREEN, (10, 4, 20, 12), disposal=CLEAR), Drawn(BLUE, (2, 2, 14, 8))],
    "restored": [
        Drawn(RED, WHOLE),
        Drawn(GREEN, (10, 4, 20, 12), disposal=RESTORE),
        Drawn(BLUE, (16, 8, 40, 30), disposal=RESTORE),
        Drawn(GREEN, (0, 0, 4, 4)),
    ],
    "first restored": [Drawn(RED, WHOLE, disposal=RESTORE), Drawn(GREEN, (10, 4, 20, 12)), Drawn(BLUE, (16, 8, 40, 30))],
    "clear inside": [
        Drawn(ring(CANVAS, RED), WHOLE),
        Drawn(ring((20, 20), GREEN), (10, 4, 30, 24)),
        Drawn(BLUE, (16, 8, 20, 12)),
    ],
    "in its place": [
        Drawn(RED, WHOLE),
        Drawn(ring((20, 20), GREEN), (10, 4, 30, 24), over=False),
        Drawn(BLUE, (16, 8, 20, 12), over=False),
    ],
    "translucent": [
        Drawn(RED, (0, 0, 24, 30)),
        Drawn(PALE, (10, 4, 38, 24)),
        Drawn((0, 0, 250, 60), (2, 2, 38, 28), disposal=CLEAR),
        Drawn(PALE, WHOLE, over=False),
    ],
    "times": [Drawn(RED, WHOLE, 0), Drawn(GREEN, WHOLE, 10), Drawn(BLUE, WHOLE, 20), Drawn(RED, WHOLE, 1230)],
    "nothing new": [Drawn(RED, WHOLE, 50), Drawn(NONE, (4, 4, 6, 6), 70), Drawn(GREEN, WHOLE, 90)],
}


def film(kind: str, name: str, plays: int = 0) -> bytes | None:
    """One of ``FILMS`` as a ``gif``, ``webp`` or ``png``; None if that has no such kind of disposal or blending."""
    frames = FILMS[name]
    disposals, is_replaced = {frame.disposal for frame in frames}, not all(frame.over for frame in frames)
    if kind == "gif":
        alphas = {int(alpha) for frame in frames for alpha in np.unique(frame.pixels[:, :, 3])}
        return None if is_replaced or alphas - {0, 255} else gif_film(CANVAS, frames, plays)
    if kind == "webp":
        return None if RESTORE in disposals else webp_film(CANVAS, frames, plays, background=0xFF00FFFF)
    # A first frame that is smaller than the canvas is not the still picture.
    hidden = None if frames[0].box == WHOLE else np.full((*CANVAS[::-1], 4), GREEN, np.uint8)
    return png_film(CANVAS, frames, plays, hidden)


def encoded(
    frames: Iterable[NDArray[np.uint8]],
    timing: Timing,
    header: Header,
    format: str,
    quality: int | None = None,
    colours: int | None = None,
) -> bytes:
    """The file of an animation of these frames, uint8 [h, w, 3] BGR or [h, w, 4] BGRA."""

    def each() -> Generator[NDArray[np.uint8], None, None]:
        yield from frames

    return prepared_animation(each, timing, header, format).file(quality, colours=colours)
