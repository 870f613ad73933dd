"""Bytes <-> pixels: probe, decode, orientation, colour, encode.

Pillow reads headers (size, orientation, transparency, colour profile); OpenCV decodes, resizes and encodes, but for what it gets
wrong: libjpeg-turbo's own interface decodes JPEGs, where OpenCV does not say that they are damaged; Pillow decodes photos with
transparency and CMYK, and writes JPEG.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from cropper.boxes import Box
from cropper.errors import PhotoError
from cropper.metadata import NOTHING, Metadata
from cropper.opencv import cv2
from cropper.profiles import ink_profile, is_srgb, profile_of
from cropper.tags import chunks_of, colours_of

# The formats that are read, by Pillow's names, and what their files' names end with. Content is told from the bytes, not from the
# name.
EXTENSIONS_OF = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
}
EXTENSIONS = frozenset(extension for extensions in EXTENSIONS_OF.values() for extension in extensions)
# Output formats, and the quality each is written with unless told otherwise: about equal to the eye. PNG is lossless.
QUALITY = {"jpg": 85, "png": 100, "webp": 80, "avif": 65}

_FORMATS = list(EXTENSIONS_OF)
_GREY_MODES = {"1", "L", "LA", "I;16", "I;16B", "I;16L"}
_GREY_SPACE = b"GRAY"  # as profiles call it
_ALPHA_MODES = {"RGBA", "LA", "PA", "RGBa", "La"}
_DEEP_MODES = {"I", "F"}
# EXIF orientation -> (transpose rows and columns first, then cv2.flip code), to get upright pixels. None: no flip.
_UPRIGHT: dict[int, tuple[bool, int | None]] = {
    1: (False, None),
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}
# JPEG's scaled decoding: how many times smaller, and OpenCV's name for it.
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
_WHITE = 255
# Pixels of the largest result that is averaged from four samples each: beyond, they would take much memory.
_LARGEST_SAMPLED = 1 << 20
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
_COPY_AGAIN = "copy it again from where it came from"
# Deflate packs 1032 bytes into one at most: https://zlib.net/zlib_tech.html
_DEFLATE_FACTOR = 1032
# Channels of a PNG by its colour type.
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Bytes of a PNG up to the end of its first chunk.
_PNG_HEADER = 33
# Pixels that are laid onto white at a time: what it takes to do so is several times their bytes.
_STRIP = 1 << 18


@dataclass(frozen=True)
class Limits:
    """Which photos are accepted.

    Attributes:
        max_pixels: a photo whose header says it has more is refused before it is decoded.
        salvage: whether of photos that are truncated or damaged what can be decoded is taken.
    """

    max_pixels: int = 150_000_000
    salvage: bool = False


LIMITS = Limits()


@dataclass(frozen=True)
class Header:
    """What a photo's header says.

    Attributes:
        format: Pillow's name of the format: ``JPEG``, ``PNG``, ...
        width, height: in pixels, upright.
        orientation: EXIF orientation, 1-8, of the pixels as the decoders give them: 1 for a TIFF, which they turn by themselves.
        has_alpha: whether some pixels may be transparent.
        is_grey: whether there is one channel of colour only.
        is_cmyk: whether its colours are inks.
        icc_profile: the embedded colour profile as it is, or one that says what the file's tags say of its colours; None where
            they are sRGB's or nothing is said.
        metadata: what goes along of the rest; nothing, unless whoever asks for more puts it here.
    """

    format: str
    width: int
    height: int
    orientation: int
    has_alpha: bool
    is_grey: bool
    is_cmyk: bool
    icc_profile: bytes | None
    metadata: Metadata = NOTHING


def probe(data: bytes, limits: Limits = LIMITS) -> Header:
    """Read a photo's header; no pixel is decoded.

    Raises:
        PhotoError: if it is empty, no image, of a format cropper does not read, or has more pixels than the limits allow.
    """
    if not data:
        raise PhotoError("the file is empty", remedy=_COPY_AGAIN)
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        # Pillow's own limit, in force where cropper is a guest in someone's program.
        raise PhotoError("it has more pixels than is safe to decode", remedy="scale it down first") from error
    except UnidentifiedImageError as error:
        remedy = "is it complete, and a JPEG, PNG, WebP, AVIF, TIFF, BMP or GIF?"
        raise PhotoError("the content is no image that can be read", remedy=remedy) from error
    except Exception as error:  # Pillow's parsers raise a dozen builtin types on malformed headers
        raise PhotoError(f"the header is truncated or damaged ({_reason(error)})", remedy=_COPY_AGAIN) from error
    if image.width * image.height > limits.max_pixels:
        megapixels = f"{image.width} x {image.height}, {math.ceil(image.width * image.height / 1e6)} megapixels"
        raise PhotoError(f"it has more pixels than is safe to decode ({megapixels})", remedy="allow them with --max-pixels")
    if image.format == "PNG" and _png_bytes(data) > len(data) * _DEFLATE_FACTOR:
        raise PhotoError("it is truncated, or its header asks for more pixels than it can hold", remedy=_COPY_AGAIN)
    if image.mode in _DEEP_MODES:
        raise PhotoError("it has 32 bits a channel", remedy="save it with 8 or 16")
    orientation = _orientation(image)
    width, height = image.size
    if orientation >= 5:
        width, height = height, width
    format = "JPEG" if image.format == "MPO" else str(image.format)
    is_grey = image.mode in _GREY_MODES
    return Header(
        format=format,
        width=width,
        height=height,
        orientation=orientation,
        has_alpha=image.mode in _ALPHA_MODES or "transparency" in image.info,
        is_grey=is_grey,
        is_cmyk=image.mode == "CMYK",
        icc_profile=_profile(data, format, image.info.get("icc_profile") or None, is_grey),
    )


def _profile(data: bytes, format: str, embedded: bytes | None, is_grey: bool) -> bytes | None:
    """The profile that a photo's colours are of: embedded, or made of its tags; None where they are sRGB's."""
    colours, goes_first = colours_of(data, format)
    if colours is None or (embedded is not None and not goes_first):
        return embedded
    return None if is_srgb(colours) else profile_of(colours, is_grey)


def _png_bytes(data: bytes) -> int:
    """What a PNG's pixels take unpacked. libpng makes room for them before it looks whether they are there."""
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    return int(height) * ((int(width) * int(depth) * _PNG_CHANNELS.get(colour, 1) + 7) // 8)


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


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none or it makes no sense."""
    try:
        # Not image.getexif(): it decodes a PNG to look behind its pixels, takes XMP's word, which browsers do not, and repeats
        # a TIFF's tag, by which Pillow has turned the size already and whoever decodes it turns the pixels.
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
        value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # a broken EXIF block is no reason to refuse the photo; viewers show it as stored
        return 1
    return value if value in _UPRIGHT else 1


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
        raise PhotoError("its pixels are not as many as its header says", remedy=_COPY_AGAIN)
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
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
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
            rgb = _inks_in_srgb(image, header.icc_profile) if header.is_cmyk else image.convert("RGB")
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
        raise PhotoError(f"it cannot be decoded ({_reason(error)})", remedy="export it again from its source") from error
    except ValueError as error:
        said = _reason(error)
    if any(words in said for words in _NOT_OF_DAMAGE):
        return _decode_by_opencv(data, header, needed)
    for unpadded in _without_padding(data, said):
        with suppress(ValueError):
            return decoded(unpadded)
    raise PhotoError(f"it is truncated or damaged ({said})", remedy=_COPY_AGAIN)


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
            raise PhotoError("it is truncated or damaged", remedy=_COPY_AGAIN)
        data = _still(data)
    flags = reduction(header, needed)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except (cv2.error, MemoryError) as error:
        raise PhotoError(f"it cannot be decoded ({_reason(error)})", remedy="export it again from its source") from error
    if pixels is None and header.format == "AVIF":
        return _decode_by_pillow(data, header, needed)
    if pixels is None:
        raise PhotoError("it is truncated or damaged", remedy=_COPY_AGAIN)
    return pixels  # type: ignore[return-value]


def _decode_by_pillow(data: bytes, header: Header, needed: tuple[int, int]) -> NDArray[np.uint8]:
    """BGRA, or BGR where there is no transparency, not turned.

    OpenCV loses a grey PNG's transparent shade and a grey TIFF's alpha, darkens a TIFF's colours by their alpha and refuses some
    turned AVIFs with alpha and those with EXIF that libheif writes; and it takes CMYK for the opposite of RGB, whatever the inks
    are.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if header.has_alpha:
                return _with_alpha(image)
            image.draft(None, needed if header.orientation < 5 else needed[::-1])
            image.load()  # here, so that what is damaged is not taken for a profile that makes no sense
            rgb = _inks_in_srgb(image, header.icc_profile) if header.is_cmyk else image.convert("RGB")
            return cv2.cvtColor(np.asarray(rgb), cv2.COLOR_RGB2BGR)  # type: ignore[return-value]
    except Exception as error:  # as in probe
        raise PhotoError(f"it is truncated or damaged ({_reason(error)})", remedy=_COPY_AGAIN) from error


def _with_alpha(image: Image.Image) -> NDArray[np.uint8]:
    """BGRA of a photo with transparency."""
    if image.mode.startswith("I;16"):  # whose transparent shade Pillow reads, but does not heed
        deep = np.asarray(image)
        alpha = np.where(deep == image.info.get("transparency"), 0, 255).astype(np.uint8)
        return np.dstack([(deep >> 8).astype(np.uint8)] * 3 + [alpha])
    rgba = np.asarray(image if image.mode == "RGBA" else image.convert("RGBA"))
    return cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA)  # type: ignore[return-value]


def _inks_in_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """CMYK to the nearest colours of sRGB, RGB: by its profile, or as on coated paper where that is missing or makes no sense."""
    rgb = _to_srgb(image, icc_profile) if icc_profile else None
    return rgb or _to_srgb(image, ink_profile()) or image.convert("RGB")


def _to_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image | None:
    """Colours of a profile to the nearest of sRGB, RGB; None where the profile makes no sense, or none for these channels."""
    try:
        return ImageCms.applyTransform(image, _transform(icc_profile or b"", image.mode))
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None


@lru_cache(maxsize=8)  # most of a folder have the same profile, and making one takes as long as a thumbnail
def _transform(icc_profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """From a profile to sRGB. Threads may share it: Little CMS changes nothing in it."""
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile)), ImageCms.createProfile("sRGB")
    # What both spaces have stays what it is, as in libvips.
    return ImageCms.buildTransform(source, target, mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)


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
    transposed, flip = _UPRIGHT[orientation]
    if transposed:
        pixels = cv2.transpose(pixels)  # type: ignore[assignment]
    return pixels if flip is None else cv2.flip(pixels, flip)  # type: ignore[return-value]


def on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """BGRA uint8 [h, w, 4] laid onto white, or BGR as it is: uint8 [h, w, 3]."""
    if pixels.shape[2] == 3:
        return pixels
    height, width = pixels.shape[:2]
    laid = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP // width)
    for y in range(0, height, rows):
        strip = pixels[y : y + rows]
        alpha = strip[:, :, 3:].astype(np.uint16)
        laid[y : y + rows] = (strip[:, :, :3] * alpha + (_WHITE * (255 - alpha) + 127)) // 255
    return laid


def fitted(image_width: int, image_height: int, room: tuple[int, int], enlarge: bool = True) -> tuple[int, int]:
    """Width and height of a photo scaled to just fit into a room, each at least 1; without enlarging, at most its own."""
    scale = min(Fraction(room[0], image_width), Fraction(room[1], image_height))
    if not enlarge:
        scale = min(scale, Fraction(1))
    return max(1, round(image_width * scale)), max(1, round(image_height * scale))


def pixels_of_share(image_width: int, image_height: int, share: Fraction | float) -> tuple[int, int]:
    """The pixels, width and height, that a share of a photo's sides takes at least, and at most all it has."""
    share = min(share, 1)
    return math.ceil(image_width * share), math.ceil(image_height * share)


def thumbnail_size(box: Box, size: tuple[int, int] | None, enlarge: bool) -> tuple[int, int]:
    """Width and height of a thumbnail: the size asked for, or the box's own where that is None or larger than the box."""
    if size is None or (not enlarge and (size[0] > box.width or size[1] > box.height)):
        return box.width, box.height
    return size


def render(
    pixels: NDArray[np.uint8], box: Box, size: tuple[int, int], original: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Cut a box out of a decoded photo and resize it.

    Args:
        pixels: uint8 [h, w, 3 or 4], the whole photo upright at any scale.
        box: in pixels of the upright original.
        size: width and height of the result.
        original: width and height of the upright original, where ``pixels`` were decoded smaller.

    Returns:
        uint8 [size[1], size[0], 3 or 4].
    """
    height, width = pixels.shape[:2]
    across, down = (width / original[0], height / original[1]) if original else (1.0, 1.0)
    x0, y0 = min(round(box.x * across), width - 1), min(round(box.y * down), height - 1)
    x1, y1 = round((box.x + box.width) * across), round((box.y + box.height) * down)
    cut = pixels[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    if (cut.shape[1], cut.shape[0]) == size:
        return cut.copy()
    if cut.shape[2] == 3 or cut[:, :, 3].min() == 255:
        return np.asarray(resized(cut, size), np.uint8)
    # Colours under transparent pixels must not bleed into the edge, so they are weighed by their alpha.
    weighed = cut.astype(np.float32)
    weighed[:, :, :3] *= weighed[:, :, 3:]
    weighed = resized(weighed, size)
    np.divide(weighed[:, :, :3], weighed[:, :, 3:], out=weighed[:, :, :3], where=weighed[:, :, 3:] > 0)
    return weighed.round().clip(0, 255).astype(np.uint8)


def resized(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Pixels at another size: area averages down, bicubic up."""
    down, across = pixels.shape[0] / size[1], pixels.shape[1] / size[0]
    if min(down, across) < 1:
        return cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    if max(down, across) < 2 and size[0] * size[1] <= _LARGEST_SAMPLED:
        # Four samples to a pixel, averaged: what OpenCV's area average gives (55 dB and more apart), in half its time.
        pixels = cv2.resize(pixels, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_LINEAR)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def encode(thumbnail: NDArray[np.uint8], header: Header, format: str, quality: int | None = None, srgb: bool = False) -> bytes:
    """A thumbnail as a file of an output format: with the photo's colour profile, and no other metadata than the header's.

    Args:
        thumbnail: uint8 [h, w, 3] BGR or [h, w, 4] BGRA; transparency goes onto white in a format that has none.
        header: the photo's: its profile, what goes along of its metadata, and whether it is grey.
        format: a key of ``QUALITY``.
        quality: 1..100; the format's default if left out. PNG is lossless and takes no notice.
        srgb: whether colours are converted to sRGB, and no profile goes along: without one, that is what viewers take them for.

    Raises:
        PhotoError: if the encoder refuses, for a size beyond the format's limit for example.
    """
    quality = QUALITY[format] if quality is None else quality
    if format == "jpg":
        thumbnail = on_white(thumbnail)
    if header.is_grey and thumbnail.shape[2] == 3 and format in ("jpg", "png"):
        thumbnail = cv2.cvtColor(thumbnail, cv2.COLOR_BGR2GRAY)  # type: ignore[assignment]
    profile = header.icc_profile
    if profile is not None and not _fits(profile, thumbnail):
        # One for grey cannot go along with three channels.
        if header.is_grey and profile[16:20] == _GREY_SPACE:
            thumbnail = _in_srgb(thumbnail, profile)
        profile = None
    if srgb and profile is not None:
        thumbnail, profile = _in_srgb(thumbnail, profile), None
    if format == "jpg":
        file = _encode_jpeg(thumbnail, profile, header.metadata, quality)
    else:
        file = _encode(thumbnail, profile, header.metadata, format, quality)
    if file is None:
        raise PhotoError(f"the {format} encoder refused", remedy="try another --format or a smaller size")
    return file


def _in_srgb(thumbnail: NDArray[np.uint8], profile: bytes) -> NDArray[np.uint8]:
    """Grey, BGR or BGRA of a profile to the nearest colours of sRGB; as it is where the profile makes no sense."""
    is_grey = profile[16:20] == _GREY_SPACE
    colour = thumbnail if thumbnail.ndim == 2 else thumbnail[:, :, 0] if is_grey else thumbnail[:, :, 2::-1]
    converted = _to_srgb(Image.fromarray(np.ascontiguousarray(colour)), profile)
    if converted is None:
        return thumbnail
    rgb = np.asarray(converted)
    if thumbnail.ndim == 2:  # neutral in sRGB as well, and a channel is a third of three
        return np.ascontiguousarray(rgb[:, :, 1])
    return np.dstack([rgb[:, :, ::-1], thumbnail[:, :, 3:]])


def encoder_parameters(format: str, quality: int | None = None) -> list[int]:
    """What OpenCV's encoder of an output format is told; the format's default quality if left out."""
    quality = QUALITY[format] if quality is None else quality
    return {
        "jpg": [cv2.IMWRITE_JPEG_QUALITY, quality],
        "png": [],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
        "avif": [cv2.IMWRITE_AVIF_QUALITY, quality, cv2.IMWRITE_AVIF_SPEED, 8],
    }[format]


def _encode_jpeg(thumbnail: NDArray[np.uint8], profile: bytes | None, metadata: Metadata, quality: int) -> bytes | None:
    """By Pillow: OpenCV writes the same bytes, but no profile beyond the 64 KB of one marker."""
    rgb = thumbnail if thumbnail.ndim == 2 else cv2.cvtColor(thumbnail, cv2.COLOR_BGR2RGB)
    exif = b"Exif\0\0" + metadata.exif if metadata.exif else b""
    file = io.BytesIO()
    try:
        Image.fromarray(rgb).save(file, "JPEG", quality=quality, icc_profile=profile, exif=exif, xmp=metadata.xmp or None)
    except (OSError, ValueError):
        return None
    return file.getvalue()


def _encode(thumbnail: NDArray[np.uint8], profile: bytes | None, metadata: Metadata, format: str, quality: int) -> bytes | None:
    parts = [
        (int(kind), np.frombuffer(part, np.uint8)[None])
        for kind, part in (
            (cv2.IMAGE_METADATA_ICCP, profile),
            (cv2.IMAGE_METADATA_EXIF, metadata.exif),
            (cv2.IMAGE_METADATA_XMP, metadata.xmp if format != "png" else b""),
        )
        if part
    ]
    kinds, chunks = [kind for kind, _ in parts], [chunk for _, chunk in parts]
    try:
        done, file = cv2.imencodeWithMetadata(f".{format}", thumbnail, kinds, chunks, encoder_parameters(format, quality))
    except cv2.error:
        done = False
    if done:
        return _with_xmp(file.tobytes(), metadata.xmp) if format == "png" and metadata.xmp else file.tobytes()
    # libpng refuses a malformed profile, which no viewer would heed either.
    return _encode(thumbnail, None, metadata, format, quality) if profile else None


def _with_xmp(png: bytes, xmp: bytes) -> bytes:
    """A PNG with a packet of XMP, after its header. OpenCV would write it as text in Latin-1, and beyond its end."""
    body = b"iTXtXML:com.adobe.xmp" + bytes(5) + xmp
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:_PNG_HEADER] + chunk + png[_PNG_HEADER:]


def _fits(icc_profile: bytes, thumbnail: NDArray[np.uint8]) -> bool:
    """Whether a profile describes the channels written: a CMYK photo's says nothing of the BGR it was decoded to.

    The colour space stands in bytes 16-19 of a profile (ICC.1:2022, 7.2.6).
    """
    return icc_profile[16:20] == (_GREY_SPACE if thumbnail.ndim == 2 else b"RGB ")


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
