"""Read the faces that people or programs marked in a photo: regions of the Metadata Working Group, as Lightroom, digiKam and
Picasa write them, or of Microsoft Photo, in the XMP of the file.

Both kinds count from the pixels as they are stored, before EXIF turns them. A region of the Metadata Working Group says for which
size it was made. If that has the shape of the upright photo alone, the region is upright already. If it has neither shape, the
photo was cropped since, and its regions say nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from cropper.imaging.containers import tiff
from cropper.imaging.header import UPRIGHT
from cropper.imaging.metadata import blocks_of, text_of_xmp

# Left, top, right and bottom, as shares of the photo's sides, 0..1.
Rectangle = tuple[float, float, float, float]

# The formats whose regions count. HEIC and JPEG XL turn the pixels by a mark of their own: nobody knows where their regions are.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF")
_MOST_FACES = 500
# How much the shape that regions were made for may differ from the photo's: the sides of small copies are rounded.
_SAME_SHAPE = 0.02
_TIFF_ORIENTATION = 274

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_MWG = "{http://www.metadataworkinggroup.com/schemas/regions/}"
_AREA = "{http://ns.adobe.com/xmp/sType/Area#}"
_SIZE = "{http://ns.adobe.com/xap/1.0/sType/Dimensions#}"
_MICROSOFT = "{http://ns.microsoft.com/photo/1.2/t/RegionInfo#}"
_REGION = "{http://ns.microsoft.com/photo/1.2/t/Region#}"


def faces_of(data: bytes, format: str, width: int, height: int, orientation: int) -> tuple[Rectangle, ...]:
    """Return the faces that are marked in a photo. Broken or foreign XMP has none.

    Args:
        data: the whole file; ``header.probe`` must have accepted it.
        format: Pillow's name of its format.
        width, height: of the upright photo, in pixels.
        orientation: EXIF orientation, 1-8, of the pixels that the decoders return.

    Returns:
        Rectangles in the upright photo, at most 500.
    """
    if format not in FORMATS:
        return ()
    try:
        orientation = stored_orientation(data, format, orientation)
        text = text_of_xmp(blocks_of(data, format)[1])
        root = ElementTree.fromstring(text) if text else None
    except (ElementTree.ParseError, ValueError, ArithmeticError):
        return ()
    if root is None:
        return ()
    stored = (height, width) if orientation >= 5 else (width, height)
    faces = _mwg_faces(root, stored, orientation) or [turned(face, orientation) for face in _microsoft_faces(root)]
    return tuple(dict.fromkeys(faces[:_MOST_FACES]))


def stored_orientation(data: bytes, format: str, orientation: int) -> int:
    """Return the EXIF orientation, 1-8, of a photo's stored pixels; arguments are those of ``faces_of``."""
    if format == "TIFF" and (layout := tiff.layout_of(data)) is not None:  # its decoders turn the pixels
        return layout.one(_TIFF_ORIENTATION, 1)
    return orientation


def turned(face: Rectangle, orientation: int) -> Rectangle:
    """Return where a rectangle of the stored pixels is in the upright photo, for an EXIF orientation of 1-8."""
    left, top, right, bottom = face
    transposed, flip = UPRIGHT.get(orientation, UPRIGHT[1])
    if transposed:
        left, top, right, bottom = top, left, bottom, right
    if flip in (1, -1):  # as cv2.flip takes it
        left, right = 1 - right, 1 - left
    if flip in (0, -1):
        top, bottom = 1 - bottom, 1 - top
    return left, top, right, bottom


def _mwg_faces(root: Element, stored: tuple[int, int], orientation: int) -> list[Rectangle]:
    faces = []
    for regions in root.iter(f"{_MWG}Regions"):
        size = _inside(regions, f"{_MWG}AppliedToDimensions")
        orientation_here = _orientation_for(size, stored, orientation)
        regions_list = _inside(regions, f"{_MWG}RegionList")
        if orientation_here is None or regions_list is None:
            continue
        for region in regions_list.iter(f"{_RDF}li"):
            area = _inside(region, f"{_MWG}Area")
            if area is None or _text(region, f"{_MWG}Type") != "Face" or _text(area, f"{_AREA}unit") not in ("normalized", ""):
                continue
            with suppress(ValueError):
                x, y, width, height = (float(_text(area, f"{_AREA}{name}")) for name in "xywh")
                faces += [turned(face, orientation_here) for face in _sound(x - width / 2, y - height / 2, width, height)]
    return faces


def _orientation_for(size: Element | None, stored: tuple[int, int], orientation: int) -> int | None:
    """Return how regions that were made for a size are to be turned, as an EXIF orientation; None if they say nothing."""
    if size is None:
        return orientation
    try:
        across, down = (float(_text(size, f"{_SIZE}{name}")) for name in "wh")
        shape = across / down
    except (ValueError, ZeroDivisionError):
        return orientation
    if _is_same(shape, stored[0] / stored[1]):
        return orientation
    return 1 if orientation >= 5 and _is_same(shape, stored[1] / stored[0]) else None


def _is_same(shape: float, other: float) -> bool:
    return abs(shape / other - 1) <= _SAME_SHAPE


def _microsoft_faces(root: Element) -> list[Rectangle]:
    faces: list[Rectangle] = []
    for regions in root.iter(f"{_MICROSOFT}Regions"):
        for region in regions.iter(f"{_RDF}li"):
            with suppress(ValueError):
                left, top, width, height = map(float, _text(region, f"{_REGION}Rectangle").split(","))
                faces += _sound(left, top, width, height)
    return faces


def _sound(left: float, top: float, width: float, height: float) -> Iterator[Rectangle]:
    """Yield a rectangle, without what lies beyond the photo, if there is anything left of it."""
    if all(map(math.isfinite, (left, top, width, height))):
        face = max(0.0, left), max(0.0, top), min(1.0, left + width), min(1.0, top + height)
        if face[0] < face[2] and face[1] < face[3]:
            yield face


def _nodes(element: Element) -> Iterator[Element]:
    """Yield the elements that may hold the properties of a structure: RDF may put a description between."""
    yield element
    yield from element.findall(f"{_RDF}Description")


def _inside(element: Element, name: str) -> Element | None:
    return next((found for node in _nodes(element) if (found := node.find(name)) is not None), None)


def _text(element: Element, name: str) -> str:
    """Return a property of a structure, which RDF may write as an attribute or as an element; empty if there is none."""
    for node in _nodes(element):
        if name in node.attrib:
            return node.attrib[name].strip()
        if (found := node.find(name)) is not None:
            return (found.text or "").strip()
    return ""
