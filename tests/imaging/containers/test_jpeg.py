"""JPEGs with bytes that belong to no segment, and JPEGs that are not read."""

from __future__ import annotations

import io
import random
import re
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from cropper import PhotoError
from cropper.imaging.colour import inks_in_srgb
from cropper.imaging.containers import jpeg, jpeg_scan
from cropper.imaging.containers.jpeg import END
from cropper.imaging.decode import decode
from cropper.imaging.encode import encode
from cropper.imaging.header import probe


def file(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


IMAGE = Image.effect_noise((80, 64), 60).convert("RGB")
WHOLE = {"baseline": file(IMAGE), "progressive": file(IMAGE, progressive=True)}
INKS = file(IMAGE.convert("CMYK"))
JUNK = [b"\0\1\2", b"\0" * 70_000, b"\xff\0ab", b"\xff\xff\xff", b"\xff\1"]


def decoded(data: bytes) -> np.ndarray:
    header = probe(data)
    return decode(data, header, (header.width, header.height))


@pytest.mark.parametrize("whole", [*WHOLE.values(), INKS], ids=[*WHOLE, "inks"])
@pytest.mark.parametrize("junk", JUNK, ids=["bytes", "zeros", "stuffed", "fill", "marker"])
@pytest.mark.parametrize("marker", [b"\xff\xdb", b"\xff\xc4", b"\xff\xda"])
def test_bytes_between_segments_cost_no_pixels(whole: bytes, junk: bytes, marker: bytes) -> None:
    at = whole.index(marker)
    assert np.array_equal(decoded(whole[:at] + junk + whole[at:]), decoded(whole))


@pytest.mark.parametrize("kind", WHOLE)
def test_bytes_between_segments_hide_no_damage(kind: str) -> None:
    whole = WHOLE[kind]
    at, middle = whole.index(b"\xff\xdb"), len(whole) // 2 + 200
    for rest in (whole[at:middle], whole[at:middle] + bytes(300) + whole[middle + 300 :]):
        with pytest.raises(PhotoError, match="truncated or damaged"):
            decoded(whole[:at] + b"\0\1\2" + rest)


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"optimize": True}])
def test_only_the_end_marker_of_a_jpeg_may_be_missing(options: dict[str, int]) -> None:
    whole = file(IMAGE, **options)
    for length in (len(whole) - 1, len(whole) - 2):
        assert np.array_equal(decoded(whole[:length]), decoded(whole))
    for length in range(len(whole) - 30, len(whole) - 2):
        with pytest.raises(PhotoError, match="truncated or damaged"):
            decoded(whole[:length])


def test_scans_may_be_missing_where_the_end_is() -> None:
    whole = WHOLE["progressive"]
    for length in (len(whole) - 2, whole.rindex(b"\xff\xda")):
        with pytest.raises(PhotoError, match="truncated or damaged"):
            decoded(whole[:length])


@pytest.mark.parametrize(
    "segment",
    [b"\xff\xe0\0\x07JFIF\0", b"\xff\xee\0\x08Adobe\0", b"\xff\xe2\0\x0eMPF\0garbage!", b"\xff\xe1\0\x0aExif\0\0xx"],
    ids=["JFIF", "Adobe", "MPF", "Exif"],
)
def test_broken_segments_of_applications_cost_no_pixels(segment: bytes) -> None:
    whole = WHOLE["baseline"]
    assert np.array_equal(decoded(whole[:2] + segment + whole[2:]), decoded(whole))


@pytest.mark.parametrize(
    ("at", "byte", "said"),
    [
        (1, 0xF7, "JPEG-LS, which"),
        (4, 12, "12 bits per channel; save it with 8"),
        (1, 0xC3, "kind of JPEG that cropper does not"),
    ],
)
def test_what_is_not_supported_is_not_called_damaged(at: int, byte: int, said: str) -> None:
    data = bytearray(WHOLE["baseline"])
    data[data.index(b"\xff\xc0") + at] = byte
    with pytest.raises(PhotoError, match=said) as caught:
        decoded(bytes(data))
    assert "copy" not in caught.value.remedy


def test_curve_of_an_rgb_profile_says_how_light_a_grey_photo_is() -> None:
    """Of light that is coded as it is, half is 188 in sRGB."""
    xyz = [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)]
    parts = [b"XYZ " + struct.pack(">I3i", 0, *(round(65536 * v) for v in column)) for column in xyz]
    parts.append(b"curv" + struct.pack(">IIxxxx", 0, 0))
    names, at, table, body = (
        [b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"],
        132 + 72,
        struct.pack(">I", 6),
        b"".join(parts),
    )
    starts = [sum(map(len, parts[:i])) for i in range(4)]
    for i, name in enumerate(names):
        table += name + struct.pack(">II", at + starts[min(i, 3)], len(parts[min(i, 3)]))
    head = struct.pack(">I4xI4s4s4s", at + len(body), 0x02400000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp"
    profile = head.ljust(68, b"\0") + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    data = file(Image.new("L", (32, 32), 128), icc_profile=profile.ljust(128, b"\0") + table + body)
    for format in ("jpg", "png"):
        thumbnail = Image.open(io.BytesIO(encode(decoded(data), probe(data), format)))
        assert thumbnail.mode == "L"
        assert abs(int(np.asarray(thumbnail)[5, 5]) - 188) <= 1
        assert "icc_profile" not in thumbnail.info


PICTURE = Image.open(Path(__file__).parents[3] / "sample_images" / "drum.jpg").convert("RGB").resize((120, 96))
# How the pixels of a JPEG are coded, each in another way that must be read to tell where they end.
CODINGS: dict[str, dict[str, object]] = {
    "baseline": {},
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "own tables": {"optimize": True, "quality": 92},
    "restarts": {"restart_marker_rows": 2},
    "progressive": {"progressive": True},
    "progressive restarts": {"progressive": True, "restart_marker_rows": 3},
}
COMPLAINT = re.compile(r"[0-9]+ extraneous bytes before marker 0xd9$")


def complained_of(data: bytes) -> str:
    """What libjpeg says of a JPEG."""
    try:
        simplejpeg.decode_jpeg(data)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("coding", CODINGS)
def test_bytes_that_stray_before_the_end_cost_no_pixels(coding: str, mode: str) -> None:
    options = dict(CODINGS[coding], **({"subsampling": 0} if mode == "CMYK" else {}))
    whole = file(PICTURE.convert(mode), **options)
    rng = random.Random(5)
    for stray in (rng.randbytes(12).replace(b"\xff", b"\xfe"), b"a comment that a program put here\r\n", b"\0"):
        strayed = whole[:-2] + stray + whole[-2:] + b"behind"
        assert np.array_equal(decoded(strayed), decoded(whole))


def test_runs_of_fill_bytes_are_passed_in_one_go() -> None:
    # Tried at each byte as the first one, these would take hours.
    whole, fill = file(PICTURE), b"\xff" * 300_000 + b"\0"
    assert jpeg.sound(whole[:2] + fill + whole[2:]) == whole
    with pytest.raises(ValueError, match="large"):
        jpeg_scan.without_stray(whole[:-2] + fill * 8 + whole[-2:])
    assert jpeg_scan.without_stray(whole[:-2] + b"stray" + fill + whole[-2:]) == whole


def test_fill_bytes_before_markers_are_no_pixels() -> None:
    whole = file(PICTURE, restart_marker_rows=2)
    filled = re.sub(rb"(\xff[\xd0-\xd7])", lambda found: b"\xff\xff" + found[1], whole)
    strayed = filled[:-2] + b"stray" + b"\xff" + whole[-2:]
    sound = jpeg_scan.without_stray(strayed)
    assert sound is not None
    assert np.array_equal(decoded(sound), decoded(whole))
    assert jpeg.sound(re.sub(rb"(\xff[\xc0-\xdb\xe0])", lambda found: b"\xff" + found[1], whole)) is None  # sound as it is


def test_a_scan_with_a_restart_behind_each_block_is_left_as_it_is() -> None:
    whole = file(Image.new("L", (1000, 1000), 128), restart_marker_blocks=1)
    with pytest.raises(ValueError, match="restarts"):
        jpeg_scan.without_stray(whole[:-2] + b"stray" + whole[-2:])


@pytest.mark.parametrize("coding", CODINGS)
def test_rest_of_a_scan_that_lost_its_place_is_damage(coding: str) -> None:
    whole = file(PICTURE, **CODINGS[coding])
    rng, told, passed = random.Random(7), 0, 0
    start = whole.index(b"\xff\xda") + 14
    for _ in range(800):
        if told == 5:
            break
        flipped = bytearray(whole)
        flipped[rng.randrange(start, len(whole) - 2)] ^= 1 << rng.randrange(8)
        if COMPLAINT.search(complained_of(bytes(flipped))):
            told += 1
            with suppress(PhotoError):
                passed += bool(decoded(bytes(flipped)).size)
    assert told > 2
    assert passed == 0


def test_scan_too_large_to_read_anew_is_damaged_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cropper.imaging.containers.jpeg_scan._MOST_BYTES", 1000)
    with pytest.raises(PhotoError, match="truncated or damaged"):
        decoded(WHOLE["baseline"][:-2] + b"stray bytes" + END)
    padded = WHOLE["baseline"][:-2] + bytes(3) + END
    assert np.array_equal(decoded(padded), decoded(WHOLE["baseline"]))


@pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
def test_damage_within_inks_is_told(transform: int) -> None:
    whole = bytearray(file(PICTURE.convert("CMYK"), subsampling=0))
    whole[whole.index(b"Adobe") + 11] = transform
    middle = len(whole) // 2
    for damaged in (whole[:middle].rstrip(b"\xff") + END, whole[:middle] + bytes(200) + whole[middle + 200 :]):
        with pytest.raises(PhotoError, match="truncated or damaged"):
            decoded(bytes(damaged))


@pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
def test_inks_are_as_pillow_decodes_them(transform: int) -> None:
    whole = bytearray(file(PICTURE.convert("CMYK"), subsampling=0))
    whole[whole.index(b"Adobe") + 11] = transform
    with Image.open(io.BytesIO(whole)) as image:
        assert np.array_equal(decoded(bytes(whole))[:, :, ::-1], np.asarray(inks_in_srgb(image, None)))
