"""Read a photo's header with Pillow: size, orientation, transparency and colour profile. Decode no pixels."""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass

from PIL import ExifTags, Image, UnidentifiedImageError

from cropper.errors import COPY_AGAIN, PhotoError, out_of_memory, reason_of
from cropper.image_formats import CHECK_PHOTO, FIRST_BYTES, NO_PHOTO, format_of
from cropper.imaging.colour_tags import colours_of
from cropper.imaging.containers import bmp, jpeg, png, tiff
from cropper.imaging.extra import heif, jxl, psd
from cropper.imaging.icc import is_srgb, profile_of
from cropper.imaging.metadata import NOTHING, Metadata
from cropper.imaging.pillow import first_frame, opened, webp_size
from cropper.settings import LIMITS, Limits

_GREY_MODES = {"1", "L", "LA", "I;16", "I;16B", "I;16L"}
_ALPHA_MODES = {"RGBA", "LA", "PA", "RGBa", "La"}
_DEEP_MODES = {"I", "F"}
# EXIF orientation -> how to turn pixels upright: whether to transpose rows and columns first, then a cv2.flip code or None.
UPRIGHT: dict[int, tuple[bool, int | None]] = {
    1: (False, None),
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}
# Deflate packs at most 1032 bytes into one: https://zlib.net/zlib_tech.html
_DEFLATE_FACTOR = 1032
# The bytes a pixel that libwebp allocates to open a WebP: two canvases of four channels.
_CANVASES = 8


@dataclass(frozen=True)
class Header:
    """The header of a photo.

    Attributes:
        format: Pillow's name of the format: ``JPEG``, ``PNG``, ...
        width, height: in pixels, upright.
        orientation: EXIF orientation, 1-8, of the pixels that the decoders return. It is 1 for TIFF, HEIC and JPEG XL, which
            they turn.
        has_alpha: whether some pixels may be transparent.
        is_grey: whether the photo has only one channel of colour.
        is_cmyk: whether the colours are inks.
        icc_profile: the embedded colour profile, unchanged, or a profile made from the file's colour tags. None if the colours
            are sRGB or the file does not describe them.
        metadata: the EXIF and XMP to write into thumbnails. ``probe`` leaves it empty; the caller fills it.
        faces: the faces that are marked in it: left, top, right and bottom as shares of the upright photo's sides, 0..1. As
            ``metadata``.
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
    faces: tuple[tuple[float, float, float, float], ...] = ()


def probe(data: bytes, limits: Limits = LIMITS) -> Header:
    """Read a photo's header without decoding pixels.

    Args:
        data: the whole file.
        limits: how many pixels a photo may have.

    Raises:
        PhotoError: if the file is empty, damaged, not an image or in a format that cropper does not read; or if the photo has
            32 bits per channel or more pixels than the limits allow.
    """
    if not data:
        raise PhotoError("the file is empty", remedy=COPY_AGAIN)
    own = format_of(data[:FIRST_BYTES])
    if own is not None and own.pillow in ("HEIF", "JXL"):
        return _of_extra(data, own.pillow, limits)
    if own is not None and own.pillow == "PSD":
        psd.check_depth(data)
    data = png.sound(whole := data)
    canvas = webp_size(data)
    if canvas:
        _check_pixels(*canvas, limits)
    foreign = _foreign(data, limits)
    if foreign is not None:
        return foreign
    try:
        image = _opened(data)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        # Pillow's own limit, which applies when another program uses cropper as a library.
        raise PhotoError("it has more pixels than is safe to decode", remedy="scale it down first") from error
    except MemoryError as error:
        raise out_of_memory(len(data)) from error
    except UnidentifiedImageError as error:
        raise (_unreadable(data) or tiff.unknown(tiff.layout_of(data)) or PhotoError(NO_PHOTO, remedy=CHECK_PHOTO)) from error
    except Exception as error:  # Pillow's parsers raise a dozen built-in types on malformed headers
        if canvas:
            _check_room(len(data) + _CANVASES * canvas[0] * canvas[1])
        raise _unreadable(data) or PhotoError(
            f"the header is truncated or damaged ({reason_of(error)})", remedy=COPY_AGAIN
        ) from error
    _check_pixels(image.width, image.height, limits)
    if image.format == "TIFF" and (layout := tiff.layout_of(data)) is not None and layout.bits not in tiff.DEPTHS:
        raise tiff.unreadable(layout) or PhotoError("its header is damaged", remedy=COPY_AGAIN)
    if image.format == "PNG" and _png_bytes(data) > len(data) * _DEFLATE_FACTOR:
        raise PhotoError("it is truncated, or its header declares more pixels than it can hold", remedy=COPY_AGAIN)
    if image.mode in _DEEP_MODES:
        raise _unreadable(data) or PhotoError("it has 32 bits per channel", remedy="save it with 8 or 16")
    orientation = orientation_of(image)
    width, height = image.size
    if orientation >= 5:
        width, height = height, width
    format = "JPEG" if image.format == "MPO" else str(image.format)
    is_grey = image.mode in _GREY_MODES
    has_alpha = image.mode in _ALPHA_MODES or "transparency" in image.info or _is_clear_around(data, image)
    if format == "PSD":
        psd.check_composite(getattr(image, "resources", []))
        has_alpha = has_alpha and psd.is_transparent(data)
    embedded = image.info.get("icc_profile")
    if format == "PNG" and whole is not data and embedded is None:
        embedded = png.profile(whole)
    if format == "BMP" and (bitmap := bmp.layout_of(data)) is not None:
        embedded = bitmap.profile
    return Header(
        format=format,
        width=width,
        height=height,
        orientation=orientation,
        has_alpha=has_alpha,
        is_grey=is_grey,
        is_cmyk=image.mode == "CMYK",
        icc_profile=_profile(data, format, embedded if embedded and isinstance(embedded, bytes) else None, is_grey),
    )


def _opened(data: bytes) -> Image.Image:
    """Open a photo with Pillow. A JPEG that Pillow refuses is opened without its metadata, which may be what is broken.

    Bytes between the segments of a JPEG cost Pillow a read each.
    """
    try:
        return opened(data)
    except (MemoryError, Image.DecompressionBombError):
        raise
    except PhotoError:
        joined = jpeg.sound(data)
        if joined is None:
            raise
        return opened(joined)
    except Exception:  # as in probe
        bare = jpeg.sound(data, bare=True)
        if bare is None:
            raise
        return opened(bare)


def _is_clear_around(data: bytes, image: Image.Image) -> bool:
    """Tell whether the first frame of an animation is smaller than its canvas."""
    alone = png.first_frame(data) if image.format == "PNG" else None
    return first_frame(data, image) is not None or (alone is not None and alone[1] != (0, 0, *image.size))


def _unreadable(data: bytes) -> PhotoError | None:
    """Return the error for a photo that is whole but packed in a way that cropper does not read, or None."""
    return tiff.unreadable(tiff.layout_of(data)) or bmp.unreadable(bmp.layout_of(data)) or jpeg.unreadable(data)


def _foreign(data: bytes, limits: Limits) -> Header | None:
    """Return the header of a TIFF or BMP that Pillow does not know or gets wrong, and ``containers`` reads; else None."""
    masked = bmp.layout_of(data)
    if masked is not None and masked.is_masked:
        _check_pixels(masked.width, masked.height, limits)
        return Header("BMP", masked.width, masked.height, 1, masked.has_alpha, False, False, masked.profile)
    layout = tiff.layout_of(data)
    if layout is None or not layout.is_readable or not (layout.is_rare or not _is_open(data)):
        return None
    width, height = layout.size
    _check_pixels(width, height, limits)
    if UPRIGHT.get(layout.one(274, 1), UPRIGHT[1])[0]:
        width, height = height, width
    kind = layout.one(262)
    is_grey, is_cmyk = kind in (tiff.GREY, tiff.WHITE_IS_ZERO), kind == tiff.INKS
    profile = None if kind in tiff.LAB_KINDS else layout.profile
    return Header("TIFF", width, height, 1, layout.has_alpha, is_grey, is_cmyk, profile)


def _is_open(data: bytes) -> bool:
    """Tell whether Pillow knows the layout of a TIFF."""
    try:
        opened(data)
    except PhotoError:  # it has too many parts
        return True
    except Exception:  # as in probe
        return False
    return True


def _of_extra(data: bytes, format: str, limits: Limits) -> Header:
    """Read the header of a HEIC or a JPEG XL, as ``probe`` does."""
    if format == "JXL":
        facts = jxl.facts_of(data)
        _check_pixels(facts.width, facts.height, limits)
        return Header(format, facts.width, facts.height, 1, facts.extra > 0, False, False, None)
    image = heif.primary(data, limits.salvage)
    width, height = image.size
    _check_pixels(width, height, limits)
    is_grey = image.mode.startswith("L") or "I;16" in image.mode
    profile = _profile(data, format, image.info.get("icc_profile"), is_grey)
    return Header(format, width, height, 1, image.has_alpha, is_grey, False, profile)


def _check_pixels(width: int, height: int, limits: Limits) -> None:
    """Refuse a photo with more pixels than the limits allow, or with none. Raises PhotoError."""
    if width < 1 or height < 1:
        raise PhotoError(f"the header is damaged (a size of {width} x {height})", remedy=COPY_AGAIN)
    if width * height > limits.max_pixels:
        megapixels = f"{width} x {height}, {math.ceil(width * height / 1e6)} megapixels"
        raise PhotoError(f"it has more pixels than is safe to decode ({megapixels})", remedy="allow them with --max-pixels")


def _check_room(size: int) -> None:
    """Make sure that memory has room for so many bytes, without touching it. Raises PhotoError.

    Pillow reports a WebP that is damaged and one whose canvas does not fit into memory in the same words.
    """
    try:
        mmap.mmap(-1, size).close()
    except (OSError, OverflowError) as error:
        raise out_of_memory(size) from error


def _profile(data: bytes, format: str, embedded: bytes | None, is_grey: bool) -> bytes | None:
    """Return the profile of a photo's colours, embedded or made from its tags; None if the colours are sRGB or not described."""
    colours, goes_first = colours_of(data, format)
    if colours is None or (embedded is not None and not goes_first):
        return embedded
    return None if is_srgb(colours) else profile_of(colours, is_grey)


def _png_bytes(data: bytes) -> int:
    """Return the bytes of a PNG's unpacked pixels. libpng allocates them before it checks that the file holds them."""
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    return int(height) * ((int(width) * int(depth) * png.CHANNELS.get(colour, 1) + 7) // 8)


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation; 1 if it is missing or invalid."""
    try:
        # Not image.getexif(). It decodes a PNG to look for tags behind the pixels, and uses XMP's orientation, which browsers
        # ignore. It also repeats a TIFF's tag: Pillow has already turned the size, and the decoders turn the pixels.
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
        value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # a broken EXIF block must not reject the photo; viewers show it as stored
        return 1
    return value if value in UPRIGHT else 1
