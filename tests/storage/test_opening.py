"""Opening what was listed as a photo: the file itself, whatever it has become since."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cropper import PhotoError
from cropper.storage import opening
from cropper.storage.local import LocalPlace
from cropper.storage.opening import folder_below, open_below, open_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need a right there, and it has no pipes with names")


@pytest.fixture(params=[True, False], ids=["step by step", "by the real path"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a photo in it, one below, and one outside it. Read both ways: not all systems have the first."""
    monkeypatch.setattr(opening, "_STEP_BY_STEP", request.param)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "a.jpg").write_bytes(b"a")
    (tmp_path / "in" / "sub" / "b.jpg").write_bytes(b"b")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.jpg").write_bytes(b"secret")
    return tmp_path / "in"


def content(root: Path, names: Sequence[str]) -> bytes:
    with open_below(root, names) as file:
        return file.read()


def test_files_below_a_folder_are_read_by_links_that_stay_in_it_too(root: Path, tmp_path: Path) -> None:
    (root / "to a.jpg").symlink_to("a.jpg")
    (root / "to sub").symlink_to(root / "sub")
    (tmp_path / "to in").symlink_to(root)
    for folder in (root, tmp_path / "to in"):
        assert content(folder, ("a.jpg",)) == content(folder, ("to a.jpg",)) == b"a"
        assert content(folder, ("sub", "b.jpg")) == content(folder, ("to sub", "b.jpg")) == b"b"


def test_no_link_leads_out_of_a_folder(root: Path, tmp_path: Path) -> None:
    (root / "link.jpg").symlink_to(tmp_path / "out" / "b.jpg")
    (root / "link").symlink_to(tmp_path / "out")
    (root / "sub" / "up").symlink_to("../../out")
    (root / "twin.jpg").symlink_to("link.jpg")
    for names in (("link.jpg",), ("link", "b.jpg"), ("sub", "up", "b.jpg"), ("twin.jpg",)):
        with pytest.raises(PhotoError, match="it is a link that leads out of the folder"):
            content(root, names)
    with open_file(root / "link.jpg") as named:  # who names it means it
        assert named.read() == b"secret"


@pytest.mark.parametrize("names", [(), ("..", "out", "b.jpg"), ("sub", "..", "a.jpg"), ("/etc/passwd",), ("sub", ""), (".",)])
def test_no_name_leads_out_of_a_folder(root: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(PhotoError, match="it lies outside the folder"):
        content(root, names)
    for path in ("/etc/passwd", "../out/b.jpg"):
        with pytest.raises(PhotoError, match="it lies outside the folder"):
            (LocalPlace(root) / path).read()


def test_what_is_no_regular_file_is_refused_and_not_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(root / "pipe.jpg")
    (root / "to the pipe.jpg").symlink_to("pipe.jpg")
    monkeypatch.chdir(root)  # a socket's path has room for about 100 bytes
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket.jpg")
    for name in ("pipe.jpg", "to the pipe.jpg", "socket.jpg"):
        for place in (LocalPlace(root) / name, LocalPlace(root / name)):
            with pytest.raises(PhotoError, match=f"{name}: it is not a regular file but a pipe"):
                place.read()
    for place in (LocalPlace(root) / "sub", LocalPlace(root / "sub")):
        with pytest.raises(PhotoError, match="cannot be read"):
            place.read()
    with pytest.raises(PhotoError, match="it is not a regular file"):
        open_file(Path("/dev/zero"))


def test_what_becomes_a_pipe_after_it_was_asked_about_is_not_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = os.stat

    def swapped(path: str, **how: Any) -> os.stat_result:
        monkeypatch.setattr(os, "stat", asked)
        status = asked(path, **how)
        (root / "a.jpg").unlink()
        os.mkfifo(root / "a.jpg")
        return status

    monkeypatch.setattr(os, "stat", swapped)
    with pytest.raises(PhotoError, match="it is not a regular file"):
        content(root, ("a.jpg",))


def test_a_pipe_that_a_shell_opens_is_read() -> None:
    read, write = os.pipe()
    os.write(write, b"photo")
    os.close(write)
    for folder in ("/dev/fd", "/proc/self/fd"):
        if os.path.exists(f"{folder}/{read}"):
            with open_file(Path(folder, str(read))) as file:
                assert file.read() in (b"photo", b"")  # the second one finds it empty
    os.close(read)


def test_a_folder_is_listed_without_following_a_link(root: Path, tmp_path: Path) -> None:
    real_root = os.path.realpath(root)
    for names, expected in (((), ["a.jpg", "sub"]), (("sub",), ["b.jpg"])):
        with folder_below(real_root, names) as folder:
            assert sorted(os.listdir(folder)) == expected
    (root / "link").symlink_to(tmp_path / "out")
    with pytest.raises(OSError, match="link"), folder_below(real_root, ("link",)):
        pass


def test_no_file_stays_open(root: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    (root / "link.jpg").symlink_to("a.jpg")
    (root / "gone.jpg").symlink_to("nowhere")
    os.mkfifo(root / "pipe.jpg")
    for names in (("a.jpg",), ("sub", "b.jpg"), ("link.jpg",)):
        content(root, names)
    for names in (("gone.jpg",), ("pipe.jpg",), ("a.jpg", "b.jpg"), ("sub",), ("no", "b.jpg")):
        with pytest.raises((PhotoError, OSError)):
            content(root, names)
    assert len(os.listdir("/dev/fd")) == before
