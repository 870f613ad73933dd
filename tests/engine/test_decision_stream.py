"""Paths to decisions: as they come, in their order or not, whatever the paths are."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropper.engine.decision_stream import stream
from cropper.errors import PhotoError
from cropper.settings import Settings, Target
from cropper.storage.listed import split
from cropper.storage.local import LocalPlace

SETTINGS = Settings((Target((1, 1)), Target((16, 9), (64, 36))))


@pytest.fixture
def photos(samples: Path, tmp_path: Path) -> Path:
    """A folder with two photos, one in it, and a broken one."""
    (tmp_path / "photos" / "in").mkdir(parents=True)
    shutil.copy(samples / "cat.jpg", tmp_path / "photos" / "b.jpg")
    shutil.copy(samples / "astronaut.jpg", tmp_path / "photos" / "a.jpg")
    shutil.copy(samples / "cat.jpg", tmp_path / "photos" / "in" / "c.jpg")
    (tmp_path / "photos" / "d.jpg").write_bytes(b"no photo")
    return tmp_path / "photos"


@pytest.mark.parametrize("jobs", [1, 3])
def test_paths_and_folders_leave_in_their_order(photos: Path, jobs: int) -> None:
    given = [str(photos / "b.jpg"), str(photos), str(photos / "a.jpg")]
    done = list(stream(given, SETTINGS, jobs))
    names = ["b.jpg", "a.jpg", "b.jpg", "d.jpg", "in/c.jpg", "a.jpg"]
    assert [d.path for d in done] == [str(photos / name) for name in names]
    assert [len(d.rows) for d in done] == [2] * 6
    assert [d.error is None for d in done] == [True, True, True, False, True, True]
    assert [row.size for row in done[0].rows] == ["1:1", "64x36"]


def test_unordered_they_are_the_same(photos: Path) -> None:
    ordered, unordered = (list(stream([str(photos)], SETTINGS, 2, in_order)) for in_order in (True, False))
    assert {d.path: d.rows for d in ordered} == {d.path: d.rows for d in unordered}
    assert len(unordered) == 4


@pytest.mark.parametrize("in_order", [True, False])
def test_what_is_finished_does_not_wait_for_a_path_yet_to_come(photos: Path, in_order: bool) -> None:
    asked, answered = threading.Event(), threading.Event()

    def paths() -> Iterator[str]:
        yield str(photos / "a.jpg")
        asked.set()
        assert answered.wait(30)
        yield str(photos / "b.jpg")

    with closing(stream(paths(), SETTINGS, 2, in_order)) as decisions:
        first = next(decisions)
        assert asked.wait(30)
        assert first.path.endswith("a.jpg")
        answered.set()
        assert [d.path for d in decisions] == [str(photos / "b.jpg")]


def test_paths_that_cannot_be_read_on_end_the_stream_with_the_reason(photos: Path) -> None:
    def paths() -> Iterator[str]:
        yield str(photos / "a.jpg")
        raise OSError("the pipe burst")

    with pytest.raises(OSError, match="burst"):
        list(stream(paths(), SETTINGS, 2))


@pytest.mark.skipif(os.geteuid() == 0, reason="root can list every folder")
def test_a_folder_that_cannot_be_listed_is_said(photos: Path) -> None:
    (photos / "in").chmod(0)
    done = list(stream([str(photos)], SETTINGS, 2))
    (photos / "in").chmod(0o700)
    assert [d.path for d in done if d.error is not None and not d.rows] == [str(photos / "in")]


@given(st.lists(st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name), max_size=20), st.booleans())
def test_a_stream_is_split_into_the_paths_it_was_made_of(names: list[bytes], ends: bool) -> None:
    read, write = os.pipe()
    with open(write, "wb") as file:
        file.write(b"\0".join(names) + (b"\0" if ends and names else b""))
    with open(read, "rb") as file:
        assert [os.fsencode(path) for path in split(file, b"\0")] == names


def test_bytes_without_a_separator_take_time_in_proportion_to_their_number(tmp_path: Path) -> None:
    length = 48 << 20
    with (tmp_path / "names").open("wb+") as file:
        file.truncate(length)
        begun = time.process_time()
        (path,) = split(file, b"\n")
        took = time.process_time() - begun
    assert len(path) == length
    assert took < 2  # of a processor: joined anew at each chunk, it takes ten


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_photo_of_a_folder_that_leads_out_of_it_fails_and_one_that_is_named_does_not(photos: Path, tmp_path: Path) -> None:
    paths = stream([str(photos)], SETTINGS, 1)
    outside = tmp_path / "outside.jpg"
    shutil.copy(photos / "a.jpg", outside)
    (photos / "link.jpg").symlink_to(outside)
    assert [d.path for d in paths if d.path.endswith("link.jpg")] == []
    (named,) = stream([str(photos / "link.jpg")], SETTINGS, 1)
    assert named.error is None
    place = LocalPlace(photos) / "link.jpg"  # as a walk found it before it became a link
    with pytest.raises(PhotoError, match=r"link.jpg: it is a link that leads out of the folder; put the photo itself there"):
        place.read()


def test_nothing_is_written(photos: Path, tmp_path: Path) -> None:
    before = sorted(Path(tmp_path).rglob("*"))
    list(stream([str(photos)], SETTINGS, 2))
    assert sorted(Path(tmp_path).rglob("*")) == before
