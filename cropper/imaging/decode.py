"""Decode a photo: bytes to upright pixels, at the smallest scale that still has the pixels needed.

OpenCV decodes, but for what it gets wrong: libjpeg-turbo's own interface decodes JPEGs, where OpenCV does not report damage, and
Pillow decodes photos with transparency and CMYK.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from cropper.errors import PhotoError, reason_of
from cropper.imaging.colour import inks_in_srgb
from cropper.imaging.colour_tags import chunks_of
from cropper.imaging.header import COPY_AGAIN, PILLOW_FORMATS, UPRIGHT, Header
from cropper.imaging.opencv import cv2
from cropper.settings import Limits

# JPEG's scaled decoding: how many times smaller, and OpenCV's name for it.
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
_JPEG_END = b"\xff\xd9"
# The chunks that make an animation of a PNG. Without them it is the picture that viewers show where nothing moves.
_ANIMATION_CHUNKS = (b"acTL", b"fcTL", b"fdAT")
# What libjpeg-turbo says of JPEGs that this interface does not decode, and of those whose header is odd: nothing of damage.
_NOT_OF_DAMAGE = (
    "Sorry",
    "precision",
    "subsampling",
    "color conversion",
    "ICC marker",
    "JFIF revision",
    "Adobe color transform",
    "SOS parameters",
)
_EXTRANEOUS_AT_END = re.compile("([0-9]+) extraneous bytes before marker 0xd9")
_MOST_TRIES = 8


def _breaks_off(png: bytes) -> bool:
    """Whether a chunk of a PNG says it is longer than what is left. OpenCV makes room for all it says, up to 2 GB."""
    end = 8
    for name, start, length in chunks_of(png):
        if name == b"IEND":
            return False
        end = start + length + 4
    return end > len(png)


def _still(png: bytes) -> bytes:
    """A PNG without its animation.

    OpenCV composes an animated PNG itself. Where a picture's data are short, damaged or smaller than the canvas, it returns
    memory that nobody wrote, which holds other photos, and reports no error. It decodes a still PNG by libpng, which does report
    it.
    """
    if b"acTL" not in png:
        return png
    view = memoryview(png)
    chunks = [view[start - 8 : start + length + 4] for name, start, length in chunks_of(png) if name not in _ANIMATION_CHUNKS]
    return b"".join([view[:8], *chunks])


def decode(data: bytes, header: Header, needed: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode a photo upright, at the smallest scale the format offers that still has the pixels needed.

    Args:
        data: the whole file.
        header: what ``probe`` said of it.
        needed: at least these pixels, upright ``(width, height)``, of the whole photo, or all it has.

    Returns:
        uint8 [h, w, 3] BGR, or [h, w, 4] BGRA where the photo has transparency; 16 bits are scaled to 8. The pixels cover the
        photo from edge to edge, whatever their number.

    Raises:
        PhotoError: if it is truncated or damaged.
    """
    if header.has_alpha or header.is_cmyk:
        pixels = _decode_by_pillow(data, header, needed)
    elif header.format == "JPEG":
        pixels = _decode_jpeg(data, header, needed)
    else:
        pixels = _decode_by_opencv(data, header, needed)
    scale = _decoded_scale(pixels, header)
    if scale is None:
        raise PhotoError("its pixels are not as many as its header says", remedy=COPY_AGAIN)
    return _upright(_edge_to_edge(pixels, header, scale), header.orientation)


def decode_or_salvage(data: bytes, header: Header, needed: tuple[int, int], limits: Limits) -> tuple[NDArray[np.uint8], bool]:
    """As ``decode``; where the limits allow it, what there is of a photo that is truncated or damaged.

    Returns:
        The pixels, black or grey where they are missing, and whether some are.

    Raises:
        PhotoError: if it is damaged, and nothing of it is to be salvaged or can be.
    """
    try:
        return decode(data, header, needed), False
    except PhotoError as error:
        if not limits.salvage:
            raise
        pixels = _salvaged(data, header, needed)
        scale = _decoded_scale(pixels, header) if pixels is not None else None
        if pixels is not None and scale is not None:
            return _upright(_edge_to_edge(pixels, header, scale), header.orientation), True
        raise PhotoError(f"{error.what}, and nothing of it can be salvaged", remedy=error.remedy) from error


def _salvaged(data: bytes, header: Header, needed: tuple[int, int]) -> NDArray[np.uint8] | None:
    """What can be decoded of a damaged photo, BGR or BGRA, not turned; None if that is nothing."""
    if header.format == "JPEG" and not header.is_cmyk:
        # Ended where it breaks off it is whole to libjpeg: the rest is grey, or of a progressive one coarse.
        with suppress(PhotoError):
            pixels = _decode_by_opencv(data.rstrip(b"\xff") + _JPEG_END, header, needed)
            return None if pixels.min() == pixels.max() else pixels
        return None
    try:
        with Image.open(io.BytesIO(data), formats=PILLOW_FORMATS) as image:
            image.draft(None, needed if header.orientation < 5 else needed[::-1])
            try:
                image.load()
            except Exception:  # as in probe; the rows before the damage are there
                image.tile = []
            if not any(high for _, high in _extrema(image)):
                return None
            if header.has_alpha:
                return _with_alpha(image)
            if image.mode.startswith("I;16"):
                grey = (np.asarray(image) >> 8).astype(np.uint8)
                return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
            rgb = inks_in_srgb(image, header.icc_profile) if header.is_cmyk else image.convert("RGB")
            return cv2.cvtColor(np.asarray(rgb), cv2.COLOR_RGB2BGR)  # type: ignore[return-value]
    except Exception:  # there is nothing to be had
        return None


def _extrema(image: Image.Image) -> list[tuple[float, float]]:
    """The least and the greatest value in each channel."""
    extrema: Any = image.getextrema()
    return [extrema] if isinstance(extrema[0], (int, float)) else list(extrema)


def _decoded_scale(pixels: NDArray[np.uint8], header: Header) -> int | None:
    """How many times smaller than stored these decoded pixels are, not turned; None where they are not as many as they should."""
    height, width = pixels.shape[:2]
    stored = _stored_size(header)
    scales = (1, *_REDUCED) if header.format == "JPEG" else (1,)
    return next((s for s in scales if (width, height) == (math.ceil(stored[0] / s), math.ceil(stored[1] / s))), None)


def _stored_size(header: Header) -> tuple[int, int]:
    """Width and height as a decoder gives them, before the photo is turned."""
    return (header.width, header.height) if header.orientation < 5 else (header.height, header.width)


def scale_of(header: Header, needed: tuple[int, int]) -> int:
    """How many times smaller a photo is decoded that still has the pixels needed, upright ``(width, height)``."""
    if header.format == "JPEG":
        for scale in _REDUCED:
            # The decoder rounds up: a side of 4001 pixels has 501 at an eighth.
            if math.ceil(header.width / scale) >= needed[0] and math.ceil(header.height / scale) >= needed[1]:
                return scale
    return 1


def reduction(header: Header, needed: tuple[int, int]) -> int:
    """OpenCV's flag for the smallest decode of a photo that has the pixels needed, upright ``(width, height)``."""
    return _REDUCED.get(scale_of(header, needed), cv2.IMREAD_COLOR)


def _decode_jpeg(data: bytes, header: Header, needed: tuple[int, int]) -> NDArray[np.uint8]:
    """BGR, not turned. The same pixels as OpenCV's, which uses the same library, but passes over what it says of damage."""
    scale = scale_of(header, needed)
    width, height = (math.ceil(side / scale) for side in _stored_size(header))

    def decoded(jpeg: bytes) -> NDArray[np.uint8]:
        return simplejpeg.decode_jpeg(jpeg, "BGR", min_width=width, min_height=height, min_factor=scale)

    try:
        return decoded(data)
    except MemoryError as error:
        raise PhotoError(f"it cannot be decoded ({reason_of(error)})", remedy="export it again from its source") from error
    except ValueError as error:
        said = reason_of(error)
    if any(words in said for words in _NOT_OF_DAMAGE):
        return _decode_by_opencv(data, header, needed)
    for unpadded in _without_padding(data, said):
        with suppress(ValueError):
            return decoded(unpadded)
    raise PhotoError(f"it is truncated or damaged ({said})", remedy=COPY_AGAIN)


def _without_padding(jpeg: bytes, warning: str) -> Iterator[bytes]:
    """A JPEG without the bytes before its end that libjpeg warns of, where they are fill: some cameras write it.

    Further pictures may lie behind the first one's end, so there is one try for each place that may be it.
    """
    extraneous = _EXTRANEOUS_AT_END.search(warning)
    count = int(extraneous[1]) if extraneous else 0
    tries, end = 0, -1
    while count and tries < _MOST_TRIES and (end := jpeg.find(_JPEG_END, end + 1)) >= 0:
        padding = jpeg[max(0, end - count) : end]
        if len(padding) == count == padding.count(padding[:1]):
            tries += 1
            yield jpeg[: end - count] + jpeg[end:]


def _decode_by_opencv(data: bytes, header: Header, needed: tuple[int, int]) -> NDArray[np.uint8]:
    """BGR, not turned; but a TIFF comes upright from either decoder."""
    if header.format == "PNG":
        if _breaks_off(data):
            raise PhotoError("it is truncated or damaged", remedy=COPY_AGAIN)
        data = _still(data)
    flags = reduction(header, needed)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except (cv2.error, MemoryError) as error:
        raise PhotoError(f"it cannot be decoded ({reason_of(error)})", remedy="export it again from its source") from error
    if pixels is None and header.format == "AVIF":
        return _decode_by_pillow(data, header, needed)
    if pixels is None:
        raise PhotoError("it is truncated or damaged", remedy=COPY_AGAIN)
    return pixels  # type: ignore[return-value]


def _decode_by_pillow(data: bytes, header: Header, needed: tuple[int, int]) -> NDArray[np.uint8]:
    """BGRA, or BGR where there is no transparency, not turned.

    OpenCV loses a grey PNG's transparent shade and a grey TIFF's alpha, darkens a TIFF's colours by their alpha and refuses some
    turned AVIFs with alpha and those with EXIF that libheif writes; and it takes CMYK for the opposite of RGB, whatever the inks
    are.
    """
    try:
        with Image.open(io.BytesIO(data), formats=PILLOW_FORMATS) as image:
            if header.has_alpha:
                return _with_alpha(image)
            image.draft(None, needed if header.orientation < 5 else needed[::-1])
            image.load()  # here, so that what is damaged is not taken for a profile that makes no sense
            rgb = inks_in_srgb(image, header.icc_profile) if header.is_cmyk else image.convert("RGB")
            return cv2.cvtColor(np.asarray(rgb), cv2.COLOR_RGB2BGR)  # type: ignore[return-value]
    except Exception as error:  # as in probe
        raise PhotoError(f"it is truncated or damaged ({reason_of(error)})", remedy=COPY_AGAIN) from error


def _with_alpha(image: Image.Image) -> NDArray[np.uint8]:
    """BGRA of a photo with transparency."""
    if image.mode.startswith("I;16"):  # whose transparent shade Pillow reads, but does not heed
        deep = np.asarray(image)
        alpha = np.where(deep == image.info.get("transparency"), 0, 255).astype(np.uint8)
        return np.dstack([(deep >> 8).astype(np.uint8)] * 3 + [alpha])
    rgba = np.asarray(image if image.mode == "RGBA" else image.convert("RGBA"))
    return cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA)  # type: ignore[return-value]


def _edge_to_edge(pixels: NDArray[np.uint8], header: Header, scale: int) -> NDArray[np.uint8]:
    """Pixels of a JPEG decoded so many times smaller, not turned, with one more a side where they would not just cover the photo.

    Of one 1297 pixels wide an eighth has 163, seven eighths of whose last lie beyond the photo's edge: beyond the left one, when
    the photo is turned upside down.
    """
    height, width = pixels.shape[:2]
    stored = _stored_size(header)
    if stored[0] % scale == 0 and stored[1] % scale == 0:
        return pixels
    # One more, since OpenCV only copies what is to have the size it has. The factors decide where samples lie, to the fraction.
    wider, taller = width + (stored[0] % scale > 0), height + (stored[1] % scale > 0)
    factors = wider * scale / stored[0], taller * scale / stored[1]
    larger = cv2.resize(pixels, None, fx=factors[0], fy=factors[1], interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(larger[:taller, :wider], np.uint8)


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    transposed, flip = UPRIGHT[orientation]
    if transposed:
        pixels = cv2.transpose(pixels)  # type: ignore[assignment]
    return pixels if flip is None else cv2.flip(pixels, flip)  # type: ignore[return-value]
