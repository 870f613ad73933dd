"""Write crops of a photo as IPTC Image Regions, in an XMP sidecar: what photo managers and CMSs read beside the photo itself.

Regions count from the pixels as they are stored, before EXIF turns them, as shares of their sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from cropper.imaging.face_regions import Rectangle, turned

_ROLES = "http://cv.iptc.org/newscodes/imageregionrole/"
# Digits behind the point: a hundredth of a pixel of a photo of ten thousand.
_DIGITS = 6
# The orientation that takes the upright photo back to the stored pixels; the others undo themselves.
_BACK = {6: 8, 8: 6}
_START = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="cropper">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
   <Iptc4xmpExt:ImageRegion>
    <rdf:Bag>
"""
_END = """    </rdf:Bag>
   </Iptc4xmpExt:ImageRegion>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


@dataclass(frozen=True)
class Crop:
    """A crop to write.

    Attributes:
        name: such as ``16:9``; no other crop of the photo has it.
        shape: its width and height, in any unit.
        place: left, top, right and bottom in the upright photo, 0..1.
    """

    name: str
    shape: tuple[int, int]
    place: Rectangle


def sidecar(crops: Sequence[Crop], focus: tuple[float, float], orientation: int) -> bytes:
    """Return the sidecar of a photo, with a rectangle for each crop and a point for the focus.

    Args:
        crops: at least one.
        focus: left and top in the upright photo, 0..1.
        orientation: EXIF orientation, 1-8, of the stored pixels.
    """
    back = _BACK.get(orientation, orientation)
    regions = []
    for crop in crops:
        left, top, right, bottom = turned(crop.place, back)
        sides = {"X": left, "Y": top, "W": right - left, "H": bottom - top}
        numbers = "".join(_element(f"rb{name}", _number(side)) for name, side in sides.items())
        regions.append(_region(crop.name, _element("rbShape", "rectangle") + numbers, _roles_of(crop)))
    left, top, _, _ = turned((*focus, *focus), back)
    point = _element("rbX", _number(left)) + _element("rbY", _number(top))
    vertices = f'<rdf:Seq><rdf:li rdf:parseType="Resource">{point}</rdf:li></rdf:Seq>'
    shape = _element("rbShape", "polygon") + f"<Iptc4xmpExt:rbVertices>{vertices}</Iptc4xmpExt:rbVertices>"
    regions.append(_region("focus", shape, {"areaOfInterest": "area of interest"}))
    return "".join((_START, *regions, _END)).encode()


def _roles_of(crop: Crop) -> dict[str, str]:
    width, height = crop.shape
    shape = "square" if width == height else "landscape" if width > height else "portrait"
    return {"cropping": "cropping", f"{shape}Cropping": f"{shape} format cropping"}


def _region(name: str, boundary: str, roles: dict[str, str]) -> str:
    listed = "".join(
        f'<rdf:li rdf:parseType="Resource"><xmp:Identifier><rdf:Bag><rdf:li>{_ROLES}{role}</rdf:li></rdf:Bag></xmp:Identifier>'
        f"{_name(words)}</rdf:li>"
        for role, words in roles.items()
    )
    return (
        '     <rdf:li rdf:parseType="Resource">\n'
        f'      <Iptc4xmpExt:RegionBoundary rdf:parseType="Resource">{_element("rbUnit", "relative")}{boundary}'
        "</Iptc4xmpExt:RegionBoundary>\n"
        f"      {_element('rId', f'cropper-{name}')}{_name(name)}\n"
        f"      <Iptc4xmpExt:rRole><rdf:Bag>{listed}</rdf:Bag></Iptc4xmpExt:rRole>\n"
        "     </rdf:li>\n"
    )


def _name(text: str) -> str:
    return f'<Iptc4xmpExt:Name><rdf:Alt><rdf:li xml:lang="x-default">{escape(text)}</rdf:li></rdf:Alt></Iptc4xmpExt:Name>'


def _element(name: str, text: str) -> str:
    return f"<Iptc4xmpExt:{name}>{escape(text)}</Iptc4xmpExt:{name}>"


def _number(share: float) -> str:
    return f"{share:.{_DIGITS}f}".rstrip("0").rstrip(".")
