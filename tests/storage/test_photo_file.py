"""First bytes and size of a photo's file come before the rest; what is no photo, or too large, is not read."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import hostile
import pytest

from cropper import PhotoError
from cropper.image_formats import FIRST_BYTES, format_of
from cropper.storage.access import place
from cropper.storage.bucket import BucketPlace
from cropper.storage.photo_file import MOST_BYTES, read_opened
from cropper.storage.places import Version

JPEG = hostile.kinds()["jpeg"][1]


class Counted(io.BytesIO):
    """A stream that counts what is read of it, and may go on without end."""

    def __init__(self, data: bytes, then: bytes = b"") -> None:
        super().__init__(data)
        self.then, self.count = then, 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size) or self.then
        self.count += len(data)
        return data


@pytest.mark.parametrize("kind", hostile.kinds())
def test_first_bytes_of_every_kind_of_photo_are_known(kind: str) -> None:
    data = hostile.kinds()[kind][1]
    assert format_of(data[:FIRST_BYTES]) is not None
    assert read_opened(io.BytesIO(data)) == data


@pytest.mark.parametrize("head", [b"\0" * 16, b"GIF90a", b"PK\x03\x04", b"\xff\xd8", b"<svg", b"RIFF0000WAVE", b"II*\x01"])
def test_first_bytes_of_anything_else_are_not(head: bytes) -> None:
    assert format_of(head) is None


def test_of_what_is_no_photo_the_first_bytes_alone_are_read() -> None:
    stream = Counted(b"Dear diary, " * 100_000)
    with pytest.raises(PhotoError, match="the content is not an image that cropper can read; check that the file is complete"):
        read_opened(stream)
    assert stream.count == FIRST_BYTES


def test_a_large_file_that_is_no_photo_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(3 << 30)
    with pytest.raises(PhotoError, match="not an image"):
        place(tmp_path / "a.jpg").read()


def test_a_photo_too_large_to_decode_is_not_read(tmp_path: Path) -> None:
    """OpenCV asserts that it has no more than 2 GB."""
    with (tmp_path / "a.jpg").open("wb") as file:
        file.write(JPEG)
        file.truncate(3_000_000_000)
    for photo in (place(tmp_path / "a.jpg"), place(tmp_path) / "a.jpg"):
        with pytest.raises(PhotoError, match=r"larger than can be decoded \(3.0 GB, at most 2.1 GB\); save it smaller"):
            photo.read()


def test_an_object_too_large_to_decode_is_not_fetched() -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(PhotoError, match=r"memory://nowhere/a.jpg: .*larger than can be decoded"):
        BucketPlace("memory://nowhere/a.jpg").read(Version(MOST_BYTES + 1, 0, ""))


def test_a_pipe_without_end_is_read_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cropper.storage.photo_file.MOST_BYTES", 5 << 20)
    stream = Counted(JPEG, then=bytes(1 << 20))
    with pytest.raises(PhotoError, match="larger than can be decoded"):
        read_opened(stream)
    assert stream.count < 8 << 20


def test_a_pipe_that_comes_in_pieces_is_read_whole() -> None:
    ours, theirs = os.pipe()

    def write() -> None:
        with os.fdopen(theirs, "wb", buffering=0) as file:
            for at in range(0, len(JPEG), 7):
                file.write(JPEG[at : at + 7])

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(ours, "rb", buffering=0) as opened:
        assert read_opened(opened) == JPEG
    writer.join()


def test_an_open_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"before" + JPEG)
    with (tmp_path / "a").open("rb") as opened:
        opened.seek(6)
        assert read_opened(opened) == JPEG


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8\xff"])
def test_short_files_are_read_or_are_no_photos(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    if data == b"\xff":
        with pytest.raises(PhotoError, match="not an image"):
            place(tmp_path / "a").read()[0]
    else:
        assert place(tmp_path / "a").read()[0] == data


def test_a_file_that_does_not_fit_into_memory_says_how_large_it_is() -> None:
    class NoRoom(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise MemoryError
            return super().read(size)

    with pytest.raises(PhotoError, match=r"there is not enough memory for it \(about 1 MB\); run again with more memory"):
        read_opened(NoRoom(JPEG))
