"""JPEGs with bytes that belong to no segment, and JPEGs that are not read."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from cropper import PhotoError
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
