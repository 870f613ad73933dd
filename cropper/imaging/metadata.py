"""Choose the EXIF and XMP that a thumbnail keeps: nothing, the photographer's name and copyright, or all that still applies.

This module copies EXIF tag by tag and does not change the bytes. Pillow would rewrite them, guess their types and replace letters
by question marks. A file can state any length and offset, so values that point outside the block are dropped.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cropper.imaging.pillow import opened
from cropper.settings import KEEP_COPYRIGHT, KEEP_NOTHING

if TYPE_CHECKING:
    from xml.dom.minidom import Element

_ARTIST, _COPYRIGHT = 0x013B, 0x8298
_ORIENTATION, _EXIF, _GPS = 0x0112, 0x8769, 0x8825
# The tags to keep of the first directory: description, maker, model, resolution, software, date, artist, host, copyright, rating,
# and title, comment, author, keywords and subject as Windows writes them. The others describe how a TIFF is stored.
_OF_THE_PHOTO = frozenset(
    {0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, _ARTIST, 0x013C, _COPYRIGHT, 0x4746, 0x4749}
    | {0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F}
)
# The tags to drop of the EXIF directory. The maker's notes hold previews of the whole photo, and copying breaks their pointers.
# The others describe the original's size, colour space and compression, and point to its interoperability directory.
_NOT_OF_A_THUMBNAIL = frozenset({0x927C, 0xA001, 0xA002, 0xA003, 0xA005, 0x9101, 0x9102})
_BYTES_OF = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
_SHORT, _LONG, _TEXT = 3, 4, (2, 129)
# The most tags of a directory; the most bytes of a JPEG marker after its name; the most bytes to read of a directory or of XMP.
_MOST_TAGS, _MOST_BYTES, _MOST_READ = 1000, 65_000, 1 << 18
# The properties to drop from XMP. They describe how the original is stored or turned, or other pictures in its file: previews of
# the whole photo, gain maps, depth maps, the film of a motion photo.
_STORED = re.compile(
    r"http://ns\.adobe\.com/(tiff/1\.0/ (Orientation|ImageWidth|ImageLength|BitsPerSample|Compression)"
    r"|exif/1\.0/ (PixelXDimension|PixelYDimension|ColorSpace|NativeDigest)|xap/1\.0/ Thumbnails|photoshop/1\.0/ ICCProfile"
    r"|hdr-gain-map/1\.0/ .*|xmp/note/ .*)"
    r"|http://ns\.google\.com/photos/.*|http://ns\.apple\.com/(HDRGainMap|pixeldatainfo)/.*"
)

Tags = list[tuple[int, int, int, bytes]]  # number, type, count, value


@dataclass(frozen=True)
class Metadata:
    """The metadata of a thumbnail.

    Attributes:
        exif: a TIFF block, without the prefix that JPEG puts before it, or empty.
        xmp: a packet of XMP, UTF-8, or empty.
    """

    exif: bytes = b""
    xmp: bytes = b""


NOTHING = Metadata()


def kept_metadata(data: bytes, format: str, keep: str) -> Metadata:
    """Return the metadata of a photo that its thumbnails keep. Broken metadata are dropped.

    Args:
        data: the whole file; ``header.probe`` must have accepted it.
        format: Pillow's name of its format.
        keep: one of ``settings.KEEP_CHOICES``.
    """
    if keep == KEEP_NOTHING:
        return NOTHING
    block, xmp = blocks_of(data, format)
    return Metadata(_copyright(block)) if keep == KEEP_COPYRIGHT else Metadata(_all(block), _holding(xmp))


def blocks_of(data: bytes, format: str) -> tuple[bytes, bytes]:
    """Return the block of EXIF, without the prefix that JPEG puts before it, and the packet of XMP; empty if missing or broken.

    Args:
        data: the whole file; ``header.probe`` must have accepted it.
        format: Pillow's name of its format.
    """
    try:
        if format in ("HEIF", "JXL"):
            block, xmp = _of_extra(data, format)
        else:
            with opened(data, [format]) as image:
                block = data if format == "TIFF" else image.info.get("exif", b"")
                xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    except Exception:  # Pillow's parsers raise a dozen built-in types
        return b"", b""
    block = block.removeprefix(b"Exif\0\0") if isinstance(block, bytes) else b""
    xmp = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp
    return block, xmp if isinstance(xmp, bytes) else b""  # a TIFF's may be a number


def _of_extra(data: bytes, format: str) -> tuple[bytes, bytes]:
    """Return the blocks of EXIF and XMP of a HEIC or a JPEG XL."""
    from cropper.imaging.extra import heif, jxl  # jxl imports this module

    if format == "JXL":
        return jxl.metadata_of(data)
    info = heif.primary(data).info
    return info.get("exif") or b"", info.get("xmp") or b""


def _copyright(block: bytes) -> bytes:
    order = _order(block)
    tags = [tag for tag in _first(block, order) if tag[0] in (_ARTIST, _COPYRIGHT) and tag[1] in _TEXT and tag[3].strip(b"\0 ")]
    return _written(order, tags) if tags else b""


def _all(block: bytes) -> bytes:
    order = _order(block)
    tags = _first(block, order)
    inner = {tag[0]: _directory(block, order, struct.unpack(order + "I", tag[3])[0]) for tag in tags if _is_pointer(tag)}
    kept = [tag for tag in tags if tag[0] in _OF_THE_PHOTO]
    details = [tag for tag in inner.get(_EXIF, []) if tag[0] not in _NOT_OF_A_THUMBNAIL]
    place = inner.get(_GPS, [])
    if not (kept or details or place):
        return b""
    kept.append((_ORIENTATION, _SHORT, 1, struct.pack(order + "H", 1)))
    block = _written(order, kept, details, place)
    if len(block) > _MOST_BYTES:  # more than a marker holds; long values are comments or come from the maker
        kept, details, place = ([tag for tag in part if len(tag[3]) <= 4096] for part in (kept, details, place))
        block = _written(order, kept, details, place)
    return block if len(block) <= _MOST_BYTES else b""


def _is_pointer(tag: tuple[int, int, int, bytes]) -> bool:
    return tag[0] in (_EXIF, _GPS) and tag[1] in (_LONG, 13) and tag[2] == 1


def _order(block: bytes) -> str:
    """Return the byte order of a TIFF block, as a prefix for ``struct``."""
    return ">" if block[:2] == b"MM" else "<"


def _first(block: bytes, order: str) -> Tags:
    """Return the tags of the first directory; none if the block is not a TIFF block."""
    if block[:4] not in (b"II*\0", b"MM\0*") or len(block) < 8:
        return []
    return _directory(block, order, struct.unpack_from(order + "I", block, 4)[0])


def _directory(block: bytes, order: str, start: int) -> Tags:
    """Return the complete tags of a directory."""
    tags: Tags = []
    read = 0
    if start + 2 > len(block):
        return tags
    for i in range(min(struct.unpack_from(order + "H", block, start)[0], _MOST_TAGS)):
        at = start + 2 + 12 * i
        if at + 12 > len(block):
            break
        number, type, count = struct.unpack_from(order + "HHI", block, at)
        length = _BYTES_OF.get(type, 0) * count
        value_at = at + 8 if length <= 4 else struct.unpack_from(order + "I", block, at + 8)[0]
        if 0 < length <= min(_MOST_BYTES, len(block) - value_at):
            read += length
            if read > _MOST_READ:  # values may overlap, so the length of the block is no limit
                break
            tags.append((number, type, count, block[value_at : value_at + length]))
    return tags


def _written(order: str, tags: Tags, details: Tags | None = None, place: Tags | None = None) -> bytes:
    """Write a TIFF block: a first directory, with an EXIF and a GPS directory below it if they have tags."""
    block = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "I", 8)
    below = [(number, part) for number, part in ((_EXIF, details), (_GPS, place)) if part]
    first = [*tags, *((number, _LONG, 1, bytes(4)) for number, _ in below)]
    at = len(block) + len(_packed(order, first, len(block)))
    packed = b""
    for number, part in below:
        first = [tag if tag[0] != number else (number, _LONG, 1, struct.pack(order + "I", at + len(packed))) for tag in first]
        packed += _packed(order, part, at + len(packed))
    return block + _packed(order, first, len(block)) + packed


def _packed(order: str, tags: Tags, start: int) -> bytes:
    """Write a directory for an offset in its block, followed by its values longer than 4 bytes. No other directory follows."""
    tags = sorted({tag[0]: tag for tag in tags}.values())
    head, values = struct.pack(order + "H", len(tags)), b""
    values_at = start + 2 + 12 * len(tags) + 4
    for number, type, count, value in tags:
        head += struct.pack(order + "HHI", number, type, count)
        if len(value) <= 4:
            head += value.ljust(4, b"\0")
        else:
            head += struct.pack(order + "I", values_at + len(values))
            values += value + bytes(len(value) % 2)
    return head + bytes(4) + values


def text_of_xmp(xmp: bytes) -> str:
    """Return a packet of XMP as text that is safe to parse; empty if it is too long, or has what XMP does not allow.

    Raises:
        ValueError: if it is not UTF-8.
    """
    text = xmp[: _MOST_READ + 1].strip(b"\0").decode("utf-8-sig")
    # <! begins a document type, whose entities could expand without limit.
    return "" if len(text) > _MOST_READ or "<!" in text else text


def _holding(xmp: bytes) -> bytes:
    """Return a packet of XMP without the properties that do not apply to a thumbnail; empty if it is broken."""
    from xml.dom import minidom  # few photos need it
    from xml.parsers.expat import ExpatError

    try:
        text = text_of_xmp(xmp)
        if not text:
            return b""
        document = minidom.parseString(text).documentElement
        if document is None:
            return b""
        _strip(document)
        packet = document.toxml().encode()
    except (ExpatError, ValueError, RecursionError):
        return b""
    return packet if len(packet) <= _MOST_BYTES else b""


def _strip(element: Element) -> None:
    """Remove the attributes and descendants of an element that do not apply to a thumbnail."""
    for attribute in list(element.attributes.values()):
        if _STORED.fullmatch(f"{attribute.namespaceURI} {attribute.localName}"):
            element.removeAttribute(attribute.name)
    for child in list(element.childNodes):
        if child.nodeType == child.ELEMENT_NODE:
            if _STORED.fullmatch(f"{child.namespaceURI} {child.localName}"):
                element.removeChild(child)
            else:
                _strip(child)
