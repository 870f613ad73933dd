"""The table of image formats: file extensions, output name, default quality. All other lists of formats come from here.

Loads no numpy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ImageFormat:
    """One image format. Photos in every format of the table are read.

    Attributes:
        pillow: Pillow's name, ``JPEG``. Headers hold it, and ``cropper formats`` prints it.
        title: the name in texts, ``WebP``.
        extensions: lower case, with the dot. OpenCV picks its encoder by the first one.
        output: the name as an output format, ``jpg``; None where thumbnails are not written in this format.
        quality: the default quality of thumbnails, 1..100, about equal to the eye; None where lossless or not written.
        alpha: whether photos in this format may have transparent pixels that cropper reads with a decoder of their own.
        first: what the first ``FIRST_BYTES`` of a file match, a regular expression of bytes.
    """

    pillow: str
    title: str
    extensions: tuple[str, ...]
    output: str | None = None
    quality: int | None = None
    alpha: bool = False
    first: bytes = b""

    @property
    def mime(self) -> str:
        """The media type, ``image/jpeg``."""
        return f"image/{self.pillow.lower()}"


FORMATS = (
    ImageFormat("JPEG", "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), output="jpg", quality=85, first=rb"\xff\xd8\xff"),
    ImageFormat("PNG", "PNG", (".png",), output="png", alpha=True, first=rb"\x89PNG\r\n\x1a\n"),
    ImageFormat("WEBP", "WebP", (".webp",), output="webp", quality=80, alpha=True, first=rb"RIFF....WEBP"),
    ImageFormat("AVIF", "AVIF", (".avif",), output="avif", quality=65, alpha=True, first=rb"....ftyp"),
    ImageFormat("TIFF", "TIFF", (".tif", ".tiff"), alpha=True, first=rb"II[*+]\0|II\0[*+]|MM\0[*+]|MM[*+]\0"),
    ImageFormat("BMP", "BMP", (".bmp",), first=rb"BM"),
    ImageFormat("GIF", "GIF", (".gif",), first=rb"GIF8[79]a"),
)

# How many bytes at the beginning of a file tell its format.
FIRST_BYTES = 16

# Everything below is derived from the table.

_FIRST = re.compile(b"|".join(b"(?:" + one.first + b")" for one in FORMATS), re.DOTALL)

EXTENSIONS_OF = {one.pillow: one.extensions for one in FORMATS}
PHOTO_EXTENSIONS = frozenset(extension for one in FORMATS for extension in one.extensions)
MIME_OF = {extension: one.mime for one in FORMATS for extension in one.extensions}

# Extension -> output format, for the extensions that already name one.
FORMAT_OF = {extension: one.output for one in FORMATS if one.output for extension in one.extensions}
OUTPUT_FORMATS = tuple(one.output for one in FORMATS if one.output)
LOSSLESS = 100
QUALITY = {one.output: one.quality or LOSSLESS for one in FORMATS if one.output}

# The choice of ``--format`` that keeps each photo's own format.
KEEP_FORMAT = "keep"
FORMAT_CHOICES = (KEEP_FORMAT, *OUTPUT_FORMATS)
# What a photo becomes if thumbnails are not written in its own format.
_FALLBACK = "png"


def output_format(name: str, format: str) -> str:
    """Return the output format of a photo: for ``keep`` its own, or PNG if thumbnails are not written in that one.

    Args:
        name: the photo's file name.
        format: one of ``FORMAT_CHOICES``.
    """
    return format if format != KEEP_FORMAT else FORMAT_OF.get(os.path.splitext(name)[1].lower(), _FALLBACK)


def is_photo(first_bytes: bytes) -> bool:
    """Tell whether a file may be a photo in one of the formats, by its first bytes."""
    return _FIRST.match(first_bytes) is not None


def titles(formats: Sequence[ImageFormat], word: str) -> str:
    """List formats for a sentence, the last one after a word: ``JPEG, PNG or GIF``."""
    *first, last = (one.title for one in formats)
    return f"{', '.join(first)} {word} {last}" if first else last


# What is wrong with a file that is not a photo in one of the formats, and what to do.
NO_PHOTO = "the content is not an image that cropper can read"
CHECK_PHOTO = f"check that the file is complete and a {titles(FORMATS, 'or')}"
