"""The table of image formats: file extensions, output name, default quality. All other lists of formats come from here.

Loads no numpy, and no decoder: it looks for the libraries of the extra ``formats`` without importing them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec


@dataclass(frozen=True)
class ImageFormat:
    """One image format. Photos in every format of the table are read, some of them only with the extra ``formats``.

    Attributes:
        pillow: Pillow's name, ``JPEG``, or one in its style. Headers hold it, and ``cropper formats`` prints it.
        title: the name in texts, ``WebP``.
        extensions: lower case, with the dot. OpenCV picks its encoder by the first one.
        output: the name as an output format, ``jpg``; None where thumbnails are not written in this format.
        instead: the output format that takes its place where photos keep their format, and this one is not kept.
        quality: the default quality of thumbnails, 1..100, about equal to the eye; None where lossless or not written.
        alpha: whether photos in this format may have transparent pixels that cropper reads with a decoder of their own.
        animates: whether thumbnails of several frames are written in this format.
        stays: whether a photo of one frame keeps this format, if thumbnails are written in it.
        first: what the first ``FIRST_BYTES`` of a file match, a regular expression of bytes.
        needs: the module that decodes it and comes with the extra ``formats``; empty where none is needed.
    """

    pillow: str
    title: str
    extensions: tuple[str, ...]
    output: str | None = None
    quality: int | None = None
    alpha: bool = False
    animates: bool = False
    stays: bool = True
    first: bytes = b""
    needs: str = ""
    instead: str = "png"

    @property
    def is_here(self) -> bool:
        """Whether this installation has what reads the format."""
        return not self.needs or _is_installed(self.needs)

    @property
    def kept_as(self) -> str:
        """The output format of a photo that keeps its format."""
        return self.output if self.output and self.stays else self.instead

    @property
    def mime(self) -> str:
        """The media type, ``image/jpeg``."""
        return f"image/{self.pillow.lower()}"


@lru_cache
def _is_installed(module: str) -> bool:
    return find_spec(module) is not None


# The brands of a HEIC: its own, or a general one where the compatible brands do not name AV1. If there are more of these than the
# first bytes hold, one of them must name HEVC.
_HEIC = rb"hei[cmsx]|hev[cmsx]|(?:m[is]f\d|miaf|1pic|Mi..)(?!.{0,44}avi[fs])(?:(?<=\0\0\0[\0-@]ftyp....)|.{4,44}he[iv][cmsx])"
# The first bytes of a RAW that are not those of a TIFF. Most cameras write a TIFF; ``raw.is_raw`` tells by its tags.
_RAW = rb"II\*\0....CR|....ftypcrx |FUJIFILMCCD-RAW|IIR[OS]|MMOR|IIU\0|FOVb|\0MRM|II\x1a\0\0\0HEAPCCDR"
_RAW_EXTENSIONS = (
    *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".raf", ".orf", ".rw2", ".rwl", ".pef", ".srw"),
    *(".3fr", ".fff", ".iiq", ".erf", ".mrw", ".mef", ".mos", ".dcr", ".kdc", ".x3f"),
)

FORMATS = (
    ImageFormat("JPEG", "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), output="jpg", quality=85, first=rb"\xff\xd8\xff"),
    ImageFormat("PNG", "PNG", (".png",), output="png", alpha=True, animates=True, first=rb"\x89PNG\r\n\x1a\n"),
    ImageFormat("WEBP", "WebP", (".webp",), output="webp", quality=80, alpha=True, animates=True, first=rb"RIFF....WEBP"),
    ImageFormat(
        "AVIF",
        "AVIF",
        (".avif",),
        output="avif",
        quality=65,
        alpha=True,
        animates=True,
        first=rb"....ftyp(?!crx |" + _HEIC + rb")",
    ),
    ImageFormat("TIFF", "TIFF", (".tif", ".tiff"), alpha=True, first=rb"II[*+]\0(?!....CR)|II\0[*+]|MM\0[*+]|MM[*+]\0"),
    ImageFormat("BMP", "BMP", (".bmp",), first=rb"BM"),
    # One frame alone is not worth so few colours.
    ImageFormat("GIF", "GIF", (".gif",), output="gif", animates=True, stays=False, first=rb"GIF8[79]a"),
    ImageFormat("PSD", "PSD", (".psd",), first=rb"8BPS\0\x01"),
    ImageFormat(
        "HEIF",
        "HEIC",
        (".heic", ".heif", ".hif", ".heics", ".heifs"),
        first=rb"....ftyp(?:" + _HEIC + rb")",
        needs="pi_heif",
        instead="jpg",
    ),
    ImageFormat(
        "JXL",
        "JPEG XL",
        (".jxl",),
        output="jxl",
        quality=80,
        alpha=True,
        first=rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
        needs="pillow_jxl",
    ),
    ImageFormat("RAW", "RAW", _RAW_EXTENSIONS, first=_RAW, needs="rawpy", instead="jpg"),
)


@dataclass(frozen=True)
class UnreadKind:
    """Files that people keep beside their photos, and that cropper reads with no extra. They are counted by name.

    Attributes:
        title: the name in texts, ``SVG``.
        extensions: lower case, with the dot.
        first: as in ``ImageFormat``; empty where the content is not looked at.
    """

    title: str
    extensions: tuple[str, ...]
    first: bytes = b""


UNREAD = (
    UnreadKind("SVG", (".svg", ".svgz")),
    UnreadKind("PDF", (".pdf",), rb"%PDF-"),
    UnreadKind("PSB", (".psb",), rb"8BPS\0\x02"),
    UnreadKind("EPS", (".eps", ".ai"), rb"%!PS|\xc5\xd0\xd3\xc6"),
    UnreadKind("JPEG 2000", (".jp2", ".j2k", ".jpx"), rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"),
    UnreadKind("OpenEXR", (".exr",), rb"v/1\x01"),
    UnreadKind("TGA", (".tga",)),
    UnreadKind("XCF", (".xcf",), rb"gimp xcf"),
    UnreadKind("video", (".mov", ".mp4", ".m4v", ".avi", ".mts"), rb"....ftyp(?:qt  |isom|mp4[12]|M4V |avc1)"),
)

# How many bytes at the beginning of a file tell its format.
FIRST_BYTES = 64
# The extra with the libraries of formats that need one of their own.
EXTRA = "formats"

# Everything below is derived from the table.

# JPEG comes first: most photos are of it, and each pattern that is tried before has to be compiled.
_KNOWN_BY_CONTENT = [one for one in (FORMATS[0], *UNREAD, *FORMATS[1:]) if one.first]

EXTENSIONS_OF = {one.pillow: one.extensions for one in FORMATS}
# The formats that Pillow opens, by its names.
PILLOW_FORMATS = [one.pillow for one in FORMATS if not one.needs]
# The extensions of all formats. ``extensions_here`` returns those that this installation reads.
PHOTO_EXTENSIONS = frozenset(extension for one in FORMATS for extension in one.extensions)
MIME_OF = {extension: one.mime for one in FORMATS for extension in one.extensions}

# Extension -> output format, for the extensions that already name one.
FORMAT_OF = {extension: one.output for one in FORMATS if one.output for extension in one.extensions}
OUTPUT_FORMATS = tuple(one.output for one in FORMATS if one.output)
LOSSLESS = 100
QUALITY = {one.output: one.quality or LOSSLESS for one in FORMATS if one.output}

ANIMATED = tuple(one.output for one in FORMATS if one.output and one.animates)

# The choice of ``--format`` that keeps each photo's own format.
KEEP_FORMAT = "keep"
FORMAT_CHOICES = (KEEP_FORMAT, *OUTPUT_FORMATS)
# What users also write for them: the extensions, with and without the dot.
FORMAT_NAMES = {name: output for extension, output in FORMAT_OF.items() for name in (extension, extension[1:])}
# What ``keep`` means where all frames of animations are written: a GIF stays one.
KEEP_FRAMES = "keep-frames"
# What a photo becomes if thumbnails are not written in its own format. A camera's photo would be a very large PNG.
_FALLBACK = "png"
_KEPT_AS = {extension: one.kept_as for one in FORMATS for extension in one.extensions}
_NEEDED_FOR = {one.output: one for one in FORMATS if one.output and one.needs}

_NAME_OF = {extension: one.title for one in (*UNREAD, *FORMATS) for extension in one.extensions}
# Which RAWs a folder gives: those without a JPEG or HEIC of the same stem, or all.
RAW_ALONE, RAW_ALL = "alone", "all"
RAW_CHOICES = (RAW_ALONE, RAW_ALL)
_DEVELOPED = frozenset((*EXTENSIONS_OF["JPEG"], *EXTENSIONS_OF["HEIF"]))


def output_format(name: str, format: str) -> str:
    """Return the output format of a photo: for ``keep`` its own, or the one that takes its place if that is not kept.

    Args:
        name: the photo's file name.
        format: one of ``FORMAT_CHOICES``, or ``KEEP_FRAMES``.
    """
    if format == KEEP_FRAMES:
        return FORMAT_OF.get(_extension(name)) or output_format(name, KEEP_FORMAT)
    return format if format != KEEP_FORMAT else _KEPT_AS.get(_extension(name), _FALLBACK)


def extensions_here() -> frozenset[str]:
    """Return the extensions of the photos that this installation reads."""
    return frozenset(extension for one in FORMATS if one.is_here for extension in one.extensions)


def is_written_here(output: str) -> bool:
    """Tell whether this installation has what writes an output format."""
    return output not in _NEEDED_FOR or _NEEDED_FOR[output].is_here


def format_of(first_bytes: bytes) -> ImageFormat | None:
    """Return the format of a file by its first ``FIRST_BYTES``; None if it is none of the table."""
    found = _kind_of(first_bytes)
    return found if isinstance(found, ImageFormat) else None


def why_not_read(first_bytes: bytes) -> tuple[str, str] | None:
    """Return what is wrong with a file and what to do, by its first bytes; None if this installation may read it.

    The content counts, whatever the name: phones and their apps call a HEIC ``.jpg``.
    """
    found = _kind_of(first_bytes)
    if found is None:
        return NO_PHOTO, CHECK_PHOTO
    if isinstance(found, UnreadKind):
        return f"the content is {found.title}, which cropper does not read", f"save it as a {titles(FORMATS[:1], 'or')}"
    return None if found.is_here else (needs_extra(found.title), install_it())


def needs_extra(title: str) -> str:
    """Say of a photo that its content needs the extra."""
    return f"the content is {title}, which this installation cannot read"


def name_of_kind(name: str) -> str:
    """Return what a file is by its extension, in the words of texts: ``HEIC``, ``video``; empty if no table has it."""
    return _NAME_OF.get(_extension(name), "")


def needs_of(kind: str) -> bool:
    """Tell whether the extra ``formats`` would read what ``name_of_kind`` names."""
    return any(one.title == kind and one.needs for one in FORMATS)


def beside_developed(names: Iterable[str]) -> frozenset[str]:
    """Return the RAWs among the photos of a folder that have a JPEG or HEIC of the same stem beside them: the same picture."""
    if not any(name.casefold().endswith(EXTENSIONS_OF["RAW"]) for name in names):
        return frozenset()
    split = [(name, *os.path.splitext(name.casefold())) for name in names]
    developed = {stem for _, stem, extension in split if extension in _DEVELOPED}
    return frozenset(name for name, stem, extension in split if extension in EXTENSIONS_OF["RAW"] and stem in developed)


def _kind_of(first_bytes: bytes) -> ImageFormat | UnreadKind | None:
    # Compiled where needed, and kept by ``re``: compiling all of them takes as long as cropping a small photo.
    return next((one for one in _KNOWN_BY_CONTENT if re.match(one.first, first_bytes, re.DOTALL)), None)


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def titles(formats: Sequence[ImageFormat], word: str) -> str:
    """List formats for a sentence, the last one after a word: ``JPEG, PNG or GIF``."""
    *first, last = (one.title for one in formats)
    return f"{', '.join(first)} {word} {last}" if first else last


def install_it() -> str:
    """Say what to do where the library of a format is missing."""
    from cropper.extras import install_command  # nearly no run needs it

    return f"run: {install_command(EXTRA)}"


# What is wrong with a file that is not a photo in one of the formats, and what to do.
NO_PHOTO = "the content is not an image that cropper can read"
CHECK_PHOTO = f"check that the file is complete and a {titles(FORMATS, 'or')}"
