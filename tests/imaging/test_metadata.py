"""What goes along of a photo's metadata, in every format, and what never does: the place, unless all was asked for."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures import OUTPUTS, Command
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from test_photo import BGR, image

from cropper.imaging.decode import decode
from cropper.imaging.encode import encode
from cropper.imaging.header import Header, probe
from cropper.imaging.metadata import kept_metadata
from cropper.settings import KEEP_ALL, KEEP_CHOICES, KEEP_COPYRIGHT, KEEP_NOTHING

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of files that are broken on purpose

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF")
WITH_METADATA = [format for format in OUTPUTS if format != "gif"]
ARTIST, COPYRIGHT = "Jörg Müller", "© 2024 Jörg Müller"
LATITUDE, LONGITUDE = (52.0, 31.0, 12.25), (13.0, 24.0, 17.75)
XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"
 xmlns:Container="http://ns.google.com/photos/1.0/container/"
 exif:GPSLatitude="52,31.2041N" tiff:Orientation="6" exif:PixelXDimension="4000" hdrgm:Version="1.0" xmp:Rating="5">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Am Fluß &amp; SECRET</rdf:li></rdf:Alt></dc:title>
<tiff:ImageLength>3000</tiff:ImageLength><Container:Directory><rdf:Seq><rdf:li>gain map</rdf:li></rdf:Seq></Container:Directory>
<xmp:Thumbnails><rdf:Alt><rdf:li>/9j/4AAQ</rdf:li></rdf:Alt></xmp:Thumbnails></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()


def exif(orientation: int = 1) -> Image.Exif:
    tags = Image.Exif()
    tags[0x010E] = "SECRET description"
    tags[0x010F] = "SECRET maker"
    tags[0x0112] = orientation
    tags[0x013B] = ARTIST.encode()
    tags[0x8298] = COPYRIGHT.encode()
    tags[0x8769] = {
        0x9003: "2024:05:06 07:08:09",
        0x829D: 2.8,
        0x927C: b"SECRET notes" * 9,
        0xA002: 4000,
        0xA431: "SECRET serial",
    }
    tags[0x8825] = {1: "N", 2: LATITUDE, 3: "E", 4: LONGITUDE, 18: "SECRET", 29: "2024:05:06"}
    return tags


def block(orientation: int = 1) -> bytes:
    """EXIF with a small picture of the whole photo behind it, names in UTF-8 as text."""
    made = exif(orientation).tobytes().removeprefix(b"Exif\0\0")
    order = ">" if made[:2] == b"MM" else "<"
    count = struct.unpack_from(order + "H", made, 8)[0]
    patched = bytearray(made)
    for i in range(count):
        number = struct.unpack_from(order + "H", made, 10 + 12 * i)[0]
        if number in (0x013B, 0x8298):  # bytes are none of text to Pillow
            struct.pack_into(order + "H", patched, 12 + 12 * i, 2)
    small = io.BytesIO()
    image().resize((16, 12)).save(small, "JPEG", comment=b"SECRET picture")
    struct.pack_into(order + "I", patched, 10 + 12 * count, len(patched))
    directory_end = len(patched) + 2 + 24 + 4
    patched += struct.pack(order + "HHHIIHHIII", 2, 0x0201, 4, 1, directory_end, 0x0202, 4, 1, len(small.getvalue()), 0)
    return bytes(patched) + small.getvalue()


def photo_of(format: str, orientation: int = 1) -> bytes:
    file = io.BytesIO()
    if format == "TIFF":
        tags = ImageFileDirectory_v2()
        for number, value in dict(exif(orientation)).items():
            if not isinstance(value, (dict, int)) or number == 0x0112:
                tags[number] = value
                if number in (0x013B, 0x8298):
                    tags.tagtype[number] = 2
        written = Image.Exif()
        written.load(exif().tobytes())
        tags[0x8769], tags[0x8825] = written.get_ifd(0x8769), written.get_ifd(0x8825)
        tags[700] = XMP
        image().save(file, format, tiffinfo=tags)
    elif format == "PNG":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        text.add_text("Comment", "SECRET")
        image().save(file, format, exif=block(orientation), pnginfo=text)
    elif format == "AVIF":  # Pillow would write the names anew, and without their letters
        kinds = [int(cv2.IMAGE_METADATA_EXIF), int(cv2.IMAGE_METADATA_XMP)]
        chunks = [np.frombuffer(part, np.uint8)[None] for part in (block(orientation), XMP)]
        return cv2.imencodeWithMetadata(".avif", BGR, kinds, chunks)[1].tobytes()
    else:
        image().save(file, format, exif=b"Exif\0\0" + block(orientation), xmp=XMP)
    return file.getvalue()


def thumbnail(data: bytes, keep: str, output: str) -> bytes:
    header = probe(data)
    kept = kept_metadata(data, header.format, keep)
    header = Header(**{**vars(header), "metadata": kept})
    return encode(decode(data, header, (1, 1)), header, output)


def reopened(data: bytes) -> tuple[Image.Exif, bytes]:
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        xmp = opened.info.get("xmp") or opened.info.get("XML:com.adobe.xmp") or b""
        return opened.getexif(), xmp.encode() if isinstance(xmp, str) else xmp


def as_written(text: object) -> str:
    return str(text).encode("latin-1").decode()


@pytest.mark.parametrize("input", FORMATS)
def test_photos_of_this_test_tell_where_they_were_taken(input: str) -> None:
    tags, xmp = reopened(photo_of(input))
    assert tuple(tags.get_ifd(0x8825)[2]) == LATITUDE
    assert b"52,31.2041N" in (xmp or photo_of(input))
    assert as_written(tags[0x013B]) == ARTIST


@pytest.mark.parametrize("keep", [KEEP_NOTHING, KEEP_COPYRIGHT])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", FORMATS)
def test_no_place_and_no_secret_survives(tmp_path: Path, input: str, output: str, keep: str) -> None:
    made = thumbnail(photo_of(input), keep, output)
    tags, xmp = reopened(made)
    assert not xmp
    assert not tags.get_ifd(0x8825)
    assert not tags.get_ifd(0x8769)
    for secret in (b"SECRET", b"GPS", b"52,31.2041N", *(struct.pack(order + "II", 52, 1) for order in "<>")):
        assert secret not in made
    if keep == KEEP_NOTHING or output not in WITH_METADATA:
        assert not dict(tags)
    else:
        assert {number: as_written(text) for number, text in tags.items()} == {0x013B: ARTIST, 0x8298: COPYRIGHT}
    if shutil.which("exiftool"):
        (tmp_path / f"made.{output}").write_bytes(made)
        command = ["exiftool", "-a", "-G1", "-gps:all", "-xmp:all", "-iptc:all", "-ifd1:all", str(tmp_path / f"made.{output}")]
        assert subprocess.run(command, capture_output=True).stdout == b""


@pytest.mark.parametrize("output", WITH_METADATA)
@pytest.mark.parametrize("input", FORMATS)
def test_all_is_all_that_holds_of_the_thumbnail(input: str, output: str) -> None:
    made = thumbnail(photo_of(input, 6), KEEP_ALL, output)
    tags, xmp = reopened(made)
    assert tags[0x0112] == 1
    assert as_written(tags[0x013B]) == ARTIST
    assert as_written(tags[0x8298]) == COPYRIGHT
    assert tuple(tags.get_ifd(0x8825)[2]) == LATITUDE
    details = tags.get_ifd(0x8769)
    assert details[0x9003] == "2024:05:06 07:08:09"
    assert details[0x829D] == pytest.approx(2.8)
    assert details[0xA431] == "SECRET serial"
    assert not {0x927C, 0xA002} & set(details)
    assert not tags.get_ifd(1)
    assert b"SECRET picture" not in made
    assert b"SECRET notes" not in made
    assert b"52,31.2041N" in xmp
    assert "Am Fluß &amp; SECRET".encode() in xmp
    assert b'Rating="5"' in xmp
    for gone in (b":Orientation", b":ImageLength", b":PixelXDimension", b"hdrgm:Version", b"Directory", b":Thumbnails", b"/9j/"):
        assert gone not in xmp
    assert not xmp.endswith(b"\0")


@pytest.mark.parametrize("output", OUTPUTS)
def test_metadata_changes_no_pixel(output: str) -> None:
    data = photo_of("JPEG")
    with (
        Image.open(io.BytesIO(thumbnail(data, "none", output))) as plain,
        Image.open(io.BytesIO(thumbnail(data, "all", output))) as full,
    ):
        assert np.array_equal(np.asarray(plain), np.asarray(full))


@pytest.mark.parametrize("output", OUTPUTS)
def test_photo_without_a_name_has_none_in_its_thumbnail(output: str) -> None:
    file = io.BytesIO()
    image().save(file, "JPEG")
    for keep in KEEP_CHOICES:
        assert thumbnail(file.getvalue(), keep, output) == thumbnail(file.getvalue(), KEEP_NOTHING, output)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_metadata_that_breaks_off_stops_no_thumbnail(share: float) -> None:
    whole = block()
    for keep in KEEP_CHOICES:
        file = io.BytesIO()
        image().save(file, "JPEG", exif=b"Exif\0\0" + whole[: int(len(whole) * share)], xmp=XMP[: int(len(XMP) * share)])
        made = thumbnail(file.getvalue(), keep, "jpg")
        tags, xmp = reopened(made)
        assert not xmp
        assert b"SECRET picture" not in made
        assert tags.get(0x0112, 1) == 1


def test_metadata_of_noise_stops_no_thumbnail() -> None:
    rng = np.random.default_rng(0)
    whole = block()
    for _ in range(300):
        noisy = bytearray(whole)
        for at in rng.integers(0, 250, 4):
            noisy[at] = rng.integers(0, 256)
        file = io.BytesIO()
        image().save(file, "JPEG", exif=b"Exif\0\0" + bytes(noisy))
        for keep in (KEEP_COPYRIGHT, KEEP_ALL):
            kept = kept_metadata(file.getvalue(), "JPEG", keep)
            assert len(kept.exif) <= len(whole) + 100


def test_xmp_with_a_document_type_is_left_out() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>'
    for packet in (bomb, bomb.decode().encode("utf-16"), b"<a>" * 5000 + b"</a>" * 5000):
        file = io.BytesIO()
        image().save(file, "JPEG", xmp=packet)
        assert kept_metadata(file.getvalue(), "JPEG", KEEP_ALL).xmp == b""


def test_what_is_too_long_for_a_marker_is_left_out() -> None:
    tags = exif()
    tags[0x8769] = {0x9003: "2024:05:06 07:08:09", 0x9286: b"ASCII\0\0\0" + b"x" * 60_000}
    tags[0x010E] = "y" * 5000
    file = io.BytesIO()
    image().save(file, "WEBP", exif=tags)
    kept, _ = reopened(thumbnail(file.getvalue(), "all", "jpg"))
    assert kept.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
    assert 0x9286 not in kept.get_ifd(0x8769)


def test_large_parts_of_a_tiff_are_no_reason_to_lose_its_names() -> None:
    tags = ImageFileDirectory_v2()
    tags[315], tags[34377] = "Ada", b"8BIM" * 200_000
    tags.tagtype[34377] = 7
    file = io.BytesIO()
    image().resize((600, 440)).save(file, "TIFF", tiffinfo=tags)
    for keep in (KEEP_COPYRIGHT, KEEP_ALL):
        assert reopened(thumbnail(file.getvalue(), keep, "jpg"))[0][315] == "Ada"


NUMBERS = {"LONG": (4, 4_000_000_000), "two LONGs": (4, (70_000, 7)), "FLOAT": (11, 1.5), "RATIONAL": (5, 0.5), "SSHORT": (8, -7)}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("tag", [700, 34675], ids=["XMP", "profile"])
@pytest.mark.parametrize("keep", KEEP_CHOICES)
def test_numbers_where_a_tiff_has_bytes_stop_no_thumbnail(tag: int, number: tuple[int, object], keep: str) -> None:
    tags = ImageFileDirectory_v2()
    tags.tagtype[tag], tags[tag] = number
    file = io.BytesIO()
    image().save(file, "TIFF", tiffinfo=tags)
    data = file.getvalue()
    with Image.open(io.BytesIO(data)) as written:
        assert not isinstance(written.info["xmp" if tag == 700 else "icc_profile"], bytes)
    header = replace(probe(data), metadata=kept_metadata(data, "TIFF", keep))
    assert header.icc_profile is None
    assert header.metadata.xmp == b""
    assert encode(decode(data, header, (1, 1)), header, "png")


def test_keep_is_an_option_of_what_makes_thumbnails(cropper: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(photo_of("JPEG"))
    assert cropper("batch", "in", "out", "--size", "48x32")[0] == 0
    assert not dict(reopened((tmp_path / "out" / "a.jpg").read_bytes())[0])
    monkeypatch.setenv("CROPPER_BATCH_KEEP", "copyright")
    assert cropper("batch", "in", "out", "--size", "48x32")[0] == 0
    assert as_written(reopened((tmp_path / "out" / "a.jpg").read_bytes())[0][0x8298]) == COPYRIGHT
    assert cropper("crop", "in/a.jpg", "--size", "48x32", "--keep", "all", "-o", "b.png")[0] == 0
    assert reopened((tmp_path / "b.png").read_bytes())[0].get_ifd(0x8825)
