"""Faces that are marked in photos: which regions count, in all orientations, and what broken XMP costs."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import Command
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cropper.choosing.faces import with_faces
from cropper.choosing.view import Maps, view_of
from cropper.engine.batch import fingerprint
from cropper.imaging.decode import decode
from cropper.imaging.face_regions import Rectangle, faces_of
from cropper.imaging.header import probe
from cropper.ledger.table import TABLE_NAME, read_rows
from cropper.settings import Choosing, Settings, Target

SPACES = " ".join(
    f'xmlns:{name}="{address}"'
    for name, address in {
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
        "stArea": "http://ns.adobe.com/xmp/sType/Area#",
        "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
        "MP": "http://ns.microsoft.com/photo/1.2/",
        "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
        "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    }.items()
)
STORED = (240, 160)
FACE = (0.1, 0.2, 0.3, 0.6)
AREA = 'stArea:x="0.2" stArea:y="0.4" stArea:w="0.2" stArea:h="0.4" stArea:unit="normalized"'


def packet(inside: str) -> bytes:
    text = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {SPACES}><rdf:Description>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>'
    )
    return f'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>{text}<?xpacket end="w"?>'.encode()


def mwg(area: str = AREA, type: str = "Face", size: tuple[int, int] | None = STORED) -> bytes:
    """As Lightroom writes it: structures are attributes, a region within a description."""
    applied = f'<mwg-rs:AppliedToDimensions stDim:w="{size[0]}" stDim:h="{size[1]}" stDim:unit="pixel"/>' if size else ""
    region = f'<rdf:Description mwg-rs:Type="{type}" mwg-rs:Name="A"><mwg-rs:Area {area}/></rdf:Description>'
    return packet(
        f'<mwg-rs:Regions rdf:parseType="Resource">{applied}<mwg-rs:RegionList><rdf:Bag><rdf:li>{region}</rdf:li></rdf:Bag>'
        "</mwg-rs:RegionList></mwg-rs:Regions>"
    )


ELEMENTS = packet(  # as Picasa and exiftool do: everything is an element
    "<mwg-rs:Regions><rdf:Description><mwg-rs:RegionList><rdf:Bag>"
    "<rdf:li rdf:parseType='Resource'><mwg-rs:Type>Face</mwg-rs:Type>"
    "<mwg-rs:Area rdf:parseType='Resource'><stArea:x>0.2</stArea:x><stArea:y>0.4</stArea:y><stArea:w>0.2</stArea:w>"
    "<stArea:h>0.4</stArea:h></mwg-rs:Area></rdf:li></rdf:Bag></mwg-rs:RegionList></rdf:Description></mwg-rs:Regions>"
)
MICROSOFT = packet(
    '<MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag><rdf:li MPReg:Rectangle="0.1, 0.2, 0.2, 0.4" '
    'MPReg:PersonDisplayName="A"/></rdf:Bag></MPRI:Regions></MP:RegionInfo>'
)


def photo(xmp: bytes, format: str = "JPEG", orientation: int = 1, pixels: Any = None) -> bytes:
    image = Image.fromarray(np.zeros((STORED[1], STORED[0], 3), np.uint8) if pixels is None else pixels)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"exif": exif}
    if format == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    elif format == "TIFF":
        options = {"tiffinfo": {700: xmp, 274: orientation}}
    else:
        options["xmp"] = xmp
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def faces(data: bytes) -> tuple[Rectangle, ...]:
    header = probe(data)
    return faces_of(data, header.format, header.width, header.height, header.orientation)


@pytest.mark.parametrize("xmp", [mwg(), mwg(size=None), mwg(size=(480, 321)), ELEMENTS, MICROSOFT])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_faces_are_found_in_all_ways_to_write_them(xmp: bytes, format: str) -> None:
    (face,) = faces(photo(xmp, format))
    assert face == pytest.approx(FACE)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("xmp", [mwg(), MICROSOFT])
def test_faces_are_where_the_upright_photo_shows_them(orientation: int, format: str, xmp: bytes) -> None:
    pixels = np.zeros((STORED[1], STORED[0], 3), np.uint8)
    left, top, right, bottom = (round(share * side) for share, side in zip(FACE, STORED * 2, strict=True))
    pixels[top:bottom, left:right] = 255
    data = photo(xmp, format, orientation, pixels)
    header = probe(data)
    upright = decode(data, header, (header.width, header.height))[:, :, 1] > 128
    (face,) = faces(data)
    rows, columns = (np.flatnonzero(upright.any(axis=axis)) for axis in (1, 0))
    shown = columns[0] / header.width, rows[0] / header.height, (columns[-1] + 1) / header.width, (rows[-1] + 1) / header.height
    assert face == pytest.approx(shown, abs=0.02)


def test_regions_for_the_upright_shape_are_not_turned_again() -> None:
    upright = mwg(size=STORED[::-1])
    (face,) = faces(photo(upright, orientation=6))
    assert face == pytest.approx(FACE)
    assert faces(photo(upright, orientation=3)) == ()
    assert faces(photo(mwg(size=(100, 100)))) == ()  # cropped since


@pytest.mark.parametrize(
    "xmp",
    [
        mwg(type="Pet"),
        mwg(AREA.replace("normalized", "pixel")),
        mwg(AREA.replace("0.2", "nan")),
        mwg(AREA.replace("0.2", "inf")),
        mwg(AREA.replace("0.2", "-1")),
        mwg(AREA.replace("0.2", "much")),
        MICROSOFT.replace(b"0.1, 0.2, ", b"0.1, "),
        mwg()[:400],
        b"\xff" + mwg(),
        b"",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + mwg(),
        mwg() + b" " * 300_000,
        b"<a>" * 20_000,
    ],
)
def test_broken_and_foreign_regions_cost_nothing_but_themselves(xmp: bytes) -> None:
    assert faces(photo(xmp, "PNG")) == ()


def test_a_face_beyond_the_border_is_what_is_left_of_it() -> None:
    (face,) = faces(photo(mwg(AREA.replace('x="0.2"', 'x="0.02"'))))
    assert face == pytest.approx((0, 0.2, 0.12, 0.6))


def test_a_face_becomes_a_head_and_the_models_head_there_gives_way() -> None:
    density = np.full((10, 10), 0.01, np.float32)
    head = np.zeros((10, 10), np.float32)
    head[2:4, 2:4] = head[7:9, 7:9] = 1
    view = view_of(Maps(density, head, head))
    seen = with_faces(view, [(0.2, 0.2, 0.4, 0.4), (0.6, 0.1, 0.8, 0.3), (0.5, 0.5, 0.501, 0.501)]).heads
    assert len(seen) == 3
    marked, beside, own = sorted(seen, key=lambda part: part.left)
    assert (marked.left, marked.top, marked.right, marked.bottom) == pytest.approx((0.17, 0.12, 0.43, 0.42))
    assert marked.density == beside.density == pytest.approx(0.15)  # at least
    assert beside.top == pytest.approx(0.02)
    assert own in view.heads
    assert with_faces(view, []) is view


def test_the_command_keeps_marked_faces_whole_if_it_is_asked_to(cropper: Command, tmp_path: Path) -> None:
    """Nothing is to be seen in this photo but what its XMP says."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(photo(mwg(AREA.replace('x="0.2"', 'x="0.85"'))))
    command = ("batch", "in", "out", "--aspect", "1:2", "--dry-run")
    lefts = []
    for more in ((), ("--faces-from-metadata",)):
        assert cropper(*command, *more)[0] == 0
        (row,) = read_rows(tmp_path / "out" / TABLE_NAME)
        lefts.append(int(row.x))
    assert lefts[1] > lefts[0]
    assert lefts[1] <= 0.72 * STORED[0]
    assert lefts[1] + 80 >= 0.98 * STORED[0]
    assert f'"x": {lefts[1]}' in cropper("boxes", "in/a.jpg", "--aspect", "1:2", "--faces-from-metadata")[1]


def test_runs_without_faces_have_the_fingerprint_they_had() -> None:
    targets = (Target((1, 1)),)
    assert "faces_from_metadata" not in fingerprint(Settings(targets))
    assert "faces_from_metadata" in fingerprint(Settings(targets, choosing=Choosing(faces_from_metadata=True)))
