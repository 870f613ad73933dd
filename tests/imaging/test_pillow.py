"""Files of very many parts: Pillow's loops over them, and ours, end after so many, and no photo comes near that."""

from __future__ import annotations

import resource
import struct
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import hostile
import numpy as np
import pytest
from hostile import chunk
from packings import tiff_of
from PIL import Image

from cropper import PhotoError
from cropper.imaging.containers import png
from cropper.imaging.containers.jpeg import without_padding
from cropper.imaging.containers.png import chunks_of
from cropper.imaging.decode import decode
from cropper.imaging.header import Header, probe
from cropper.imaging.metadata import kept_metadata
from cropper.imaging.pillow import webp_size
from cropper.model.look import open_photo
from cropper.settings import KEEP_ALL

MANY = 300_000  # more than the 250,000 that are read
# A tenth, where it is about each way to the limit: to count 250,000 takes a second.
CHUNKS, MOST_CHUNKS = 30_000, 25_000
TOO_MANY = "more parts than is safe to read; export it again"
EMPTY = chunk(b"teSt", b"")


def sample(kind: str) -> bytes:
    return hostile.kinds()[kind][1]


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def behind_head(kind: str, parts: bytes) -> bytes:
    """A JPEG or PNG with parts right behind its first bytes."""
    data = sample(kind)
    head = 2 if data[0] == 0xFF else 33
    return data[:head] + parts + data[head:]


def gif(parts: bytes) -> bytes:
    """A GIF with parts before its picture."""
    data = sample("gif")
    at = data.index(b"\x2c\0\0\0\0")
    return data[:at] + parts + data[at:]


def tracked() -> int:
    """The most memory that this process has had, in KB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def whole(data: bytes) -> Header:
    """Header, pixels and metadata of a photo."""
    header = probe(data)
    decode(data, header, (header.width, header.height))
    kept_metadata(data, header.format, KEEP_ALL)
    return header


@pytest.mark.parametrize(
    "file",
    [
        lambda: behind_head("png", EMPTY * CHUNKS),
        lambda: sample("png")[:-12] + EMPTY * CHUNKS + sample("png")[-12:],
        lambda: sample("png, alpha")[:-12] + EMPTY * CHUNKS + sample("png, alpha")[-12:],
        lambda: sample("png, animated")[:-12] + EMPTY * CHUNKS + sample("png, animated")[-12:],
        lambda: behind_head("png, alpha", chunk(b"IDAT", b"") * CHUNKS),
        lambda: behind_head("jpeg", segment(0xFE, b"") * 5_000_000),
        lambda: behind_head("jpeg", segment(0xE1, b"Exif\0\0" + bytes(1000)) * 20_000),
        lambda: behind_head("jpeg, cmyk", segment(0xFE, b"") * MANY),
        lambda: behind_head("jpeg", b"\xff" * 20_000_000),
        lambda: gif(b"!\x01\0" * MANY),
        lambda: gif(b"x" * 20_000_000),
        lambda: tiff_of({256: (4, [160]), 257: (4, [120]), 259: (3, [1]), 262: (3, [1]), 278: (4, [1])}, [b"a"] * MANY, 273, 279),
    ],
    ids=[
        "chunks before",
        "chunks after",
        "chunks after alpha",
        "chunks after animation",
        "pixels in pieces",
        "comments",
        "Exif",
        "comments before inks",
        "fill bytes",
        "extensions",
        "padding of a GIF",
        "strips",
    ],
)
def test_very_many_parts_are_refused(file: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "_MOST_CHUNKS", MOST_CHUNKS)
    with pytest.raises(PhotoError, match=TOO_MANY):
        whole(file())


@pytest.mark.parametrize(
    "data",
    [
        behind_head("jpeg", segment(0xFE, bytes(100)) * 2000),
        behind_head("jpeg", segment(0xFE, b"") + bytes(20_000_000)),
        behind_head("jpeg", segment(0xE2, b"FPXR\0" + bytes(60_000)) * 300),
        behind_head("png", EMPTY * 2000),
        sample("png, alpha")[:-12] + EMPTY * 2000 + sample("png, alpha")[-12:],
        gif(b"!\xff\x0bXMP DataXMP" + (b"\xff" + bytes(255)) * 4000 + b"\0"),
    ],
    ids=["comments", "padding", "pictures within", "chunks", "chunks after alpha", "XMP"],
)
def test_as_many_parts_as_odd_photos_have_are_read(data: bytes) -> None:
    assert whole(data).width == hostile.SIZE[0]


def test_pixels_with_alpha_in_pieces_of_a_kilobyte_are_read() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1200, 2000, 4), np.uint8)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels), 0)
    pieces = b"".join(chunk(b"IDAT", packed[at : at + 1000]) for at in range(0, len(packed), 1000))
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", 2000, 1200, 8, 6, 0, 0, 0))
    data = sample("png")[:8] + ihdr + pieces + chunk(b"IEND", b"")
    assert np.array_equal(decode(data, probe(data), (2000, 1200))[:, :, [2, 1, 0, 3]], pixels)


def test_exif_in_several_segments_counts_and_what_is_beyond_does_not() -> None:
    """Pillow joins them anew at each one: a thousand of 64 KB would cost it 30 GB of copies."""
    exif = Image.Exif()
    exif[274] = 6
    data = behind_head("jpeg", segment(0xE1, exif.tobytes()) + segment(0xE1, b"Exif\0\0" + bytes(65_000)) * 1000)
    assert (probe(data).orientation, probe(data).height) == (6, hostile.SIZE[0])


def test_chunks_are_counted_to_an_end() -> None:
    with pytest.raises(PhotoError, match=TOO_MANY):
        list(chunks_of(bytes(8) + EMPTY * MANY))
    assert len(list(chunks_of(bytes(8) + EMPTY * 100_000))) == 100_000


def test_few_of_very_many_places_that_may_be_a_jpegs_end_are_looked_at() -> None:
    padded = sample("jpeg")[:-2] + bytes(5000) + b"\xff\xd9" + (b"\x01" * 100 + b"\xff\xd9") * 10_000
    looked_at = []

    class Counted(bytes):
        def find(self, *arguments: Any) -> int:
            looked_at.append(arguments)
            return bytes.find(self, *arguments)

    assert len(list(without_padding(Counted(padded), 5000))) == 1
    assert len(looked_at) <= 1000


@pytest.mark.parametrize("kind", ["webp", "webp, lossless", "webp, alpha", "webp, animated"])
def test_size_of_a_webp_is_read_without_pillow(kind: str) -> None:
    assert webp_size(sample(kind)) == hostile.SIZE
    assert webp_size(sample(kind)[:29]) is None
    assert webp_size(sample("jpeg")) is None


def test_webp_that_says_more_pixels_than_is_safe_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow would make the whole canvas, of 17 GB, to read the header."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # as in the command
    data = hostile.with_bytes(sample("webp, animated"), 24, b"\xff\xff\xff\xff\0\0")
    before = tracked()
    with pytest.raises(PhotoError, match=r"more pixels than is safe to decode \(16777216 x 256, 4295 megapixels\)"):
        probe(data)
    assert tracked() - before < 100_000


def test_webp_whose_canvas_has_no_room_is_not_called_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow says the same of both."""
    broken = sample("webp, animated")[:60]
    with pytest.raises(PhotoError, match="damaged"):
        probe(broken)

    def no_room(*arguments: int) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("cropper.imaging.header.mmap.mmap", no_room)
    with pytest.raises(PhotoError, match=r"there is not enough memory for it \(about 1 MB\)"):
        probe(broken)


@pytest.mark.parametrize("kind", ["jpeg", "png", "png, alpha", "jpeg, cmyk"])
def test_photo_that_memory_has_no_room_for_says_how_much_it_takes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*arguments: object, **named: object) -> None:
        raise MemoryError

    for decoder in ("jpeg_pixels.simplejpeg.decode_jpeg", "decode.cv2.imdecode", "decode.cv2.cvtColor"):
        monkeypatch.setattr(f"cropper.imaging.{decoder}", no_room)
    with pytest.raises(PhotoError, match=r"there is not enough memory for it \(about 1 MB\); run again with more memory"):
        open_photo(sample(kind), lambda width, height: (width, height))


def test_a_reader_that_memory_had_no_room_for_is_not_a_damaged_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow leaves out readers whose library cannot be loaded, and does not say why."""
    monkeypatch.delitem(Image.OPEN, "JPEG")
    with pytest.raises(PhotoError, match="there is not enough memory for it"):
        probe(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
