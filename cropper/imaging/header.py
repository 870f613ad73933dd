"""Read a photo's header with Pillow: size, orientation, transparency, colour profile. Decodes no pixel."""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass

from PIL import ExifTags, Image, UnidentifiedImageError

from cropper.errors import PhotoError, reason_of
from cropper.image_formats import EXTENSIONS_OF, FORMATS, titles
from cropper.imaging.colour_tags import colours_of
from cropper.imaging.icc import is_srgb, profile_of
from cropper.imaging.metadata import NOTHING, Metadata
from cropper.settings import LIMITS, Limits

PILLOW_FORMATS = list(EXTENSIONS_OF)
_GREY_MODES = {"1", "L", "LA", "I;16", "I;16B", "I;16L"}
_ALPHA_MODES = {"RGBA", "LA", "PA", "RGBa", "La"}
_DEEP_MODES = {"I", "F"}
# EXIF orientation -> (transpose rows and columns first, then cv2.flip code), to get upright pixels. None: no flip.
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
COPY_AGAIN = "copy it again from where it came from"
# Deflate packs 1032 bytes into one at most: https://zlib.net/zlib_tech.html
_DEFLATE_FACTOR = 1032
# Channels of a PNG by its colour type.
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


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
        raise PhotoError("the file is empty", remedy=COPY_AGAIN)
    try:
        image = Image.open(io.BytesIO(data), formats=PILLOW_FORMATS)
    except Image.DecompressionBombError as error:
        # Pillow's own limit, in force where cropper is a guest in someone's program.
        raise PhotoError("it has more pixels than is safe to decode", remedy="scale it down first") from error
    except UnidentifiedImageError as error:
        remedy = f"is it complete, and a {titles(FORMATS, 'or')}?"
        raise PhotoError("the content is no image that can be read", remedy=remedy) from error
    except Exception as error:  # Pillow's parsers raise a dozen builtin types on malformed headers
        raise PhotoError(f"the header is truncated or damaged ({reason_of(error)})", remedy=COPY_AGAIN) from error
    if image.width * image.height > limits.max_pixels:
        megapixels = f"{image.width} x {image.height}, {math.ceil(image.width * image.height / 1e6)} megapixels"
        raise PhotoError(f"it has more pixels than is safe to decode ({megapixels})", remedy="allow them with --max-pixels")
    if image.format == "PNG" and _png_bytes(data) > len(data) * _DEFLATE_FACTOR:
        raise PhotoError("it is truncated, or its header asks for more pixels than it can hold", remedy=COPY_AGAIN)
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
    return value if value in UPRIGHT else 1
