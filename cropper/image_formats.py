"""The table of formats: extensions, what is read, what is written, and at which quality. Every other list is taken from here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # with it is numpy, which a supervisor does without
    pass


# Extensions that already name an output format.
FORMAT_OF = {".jpg": "jpg", ".jpeg": "jpg", ".jpe": "jpg", ".jfif": "jpg", ".png": "png", ".webp": "webp", ".avif": "avif"}

PHOTOS = {*FORMAT_OF, ".tif", ".tiff", ".bmp", ".gif"}


def output_format(name: str, format: str) -> str:
    """The output format of a photo: its own where it is kept and can be, PNG for what has none of its own."""
    return format if format != "keep" else FORMAT_OF.get(os.path.splitext(name)[1].lower(), "png")


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
PHOTO_EXTENSIONS = frozenset(extension for extensions in EXTENSIONS_OF.values() for extension in extensions)
# Output formats, and the quality each is written with unless told otherwise: about equal to the eye. PNG is lossless.
QUALITY = {"jpg": 85, "png": 100, "webp": 80, "avif": 65}
