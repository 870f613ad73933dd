"""The walk: which files are photos, in which order, and what is left alone."""

from __future__ import annotations

import os
import sys
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropper.image_formats import PHOTO_EXTENSIONS
from cropper.storage.patterns import Selection, selection_of
from cropper.storage.places import Folder, LeftOut, is_inside, join, order
from cropper.storage.walk import walk


def make(root: Path, *files: str) -> None:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def photos(root: Path, leave_out: Path | None = None) -> list[str]:
    return [join(folder.path, name) for folder in walk(root, PHOTO_EXTENSIONS, leave_out) for name in folder.photos]


def test_photos_of_a_folder_come_by_name_then_its_subfolders(tmp_path: Path) -> None:
    make(tmp_path, "b.jpg", "a.png", "Z.webp", "c/x.avif", "b/deep/er/y.tif", "b/z.gif", "b.d/q.bmp")
    expected = ["Z.webp", "a.png", "b.jpg", "b/z.gif", "b/deep/er/y.tif", "b.d/q.bmp", "c/x.avif"]
    assert photos(tmp_path) == expected


NAMES = st.sampled_from(["a", "b", "B", "a b", "ab", "é", "!"])
TREES = st.sets(st.lists(NAMES, min_size=1, max_size=4).map("/".join), max_size=8)


@given(TREES)
@settings(deadline=None)  # a busy disk is no failure
def test_order_sorts_as_the_walk_does(tmp_path_factory: pytest.TempPathFactory, stems: set[str]) -> None:
    root = tmp_path_factory.mktemp("tree")
    files = {f"{stem}.jpg" for stem in stems}
    make(root, *files)
    assert photos(root) == sorted(files, key=order)


def test_extensions_count_in_any_case(tmp_path: Path) -> None:
    make(tmp_path, "a.JPG", "b.Jpeg", "c.TIFF")
    assert photos(tmp_path) == ["a.JPG", "b.Jpeg", "c.TIFF"]


def test_other_files_are_counted_not_listed(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "notes.txt", "clip.mp4", "jpg", "sub/README")
    os.mkfifo(tmp_path / "pipe.jpg")
    expected = Folder("", ("a.jpg",), 4, subfolders=("sub",), kinds=(("video", 1),))
    assert list(walk(tmp_path, PHOTO_EXTENSIONS)) == [expected, Folder("sub", (), 1)]


def test_other_files_are_counted_by_what_they_are(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.HEIC", "c.heic", "c.mov", "d.svg", "notes.txt", "sheet.jpg", "sub/x.cr3")
    found = list(walk(tmp_path, frozenset((".jpg",))))
    assert [(folder.others, folder.kinds) for folder in found] == [
        (6, (("HEIC", 2), ("SVG", 1), ("video", 1))),
        (1, (("RAW", 1),)),
    ]


def test_hidden_files_and_folders_are_left_alone(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", ".hidden.jpg", ".git/b.jpg", "sub/.thumbs/c.jpg")
    assert list(walk(tmp_path, PHOTO_EXTENSIONS)) == [Folder("", ("a.jpg",), subfolders=("sub",)), Folder("sub")]


def test_hidden_folder_is_walked_when_it_is_the_one_asked_for(tmp_path: Path) -> None:
    make(tmp_path, ".photos/a.jpg")
    assert photos(tmp_path / ".photos") == ["a.jpg"]


def test_links_that_leave_the_folder_are_left_alone(tmp_path: Path) -> None:
    make(tmp_path, "in/a.jpg", "outside/b.jpg", "inside/c.jpg")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "in" / "file.jpg").symlink_to(tmp_path / "outside" / "b.jpg")
    (tmp_path / "in" / "twin").symlink_to(tmp_path / "inside")  # whose name begins as the folder's
    assert list(walk(tmp_path / "in", PHOTO_EXTENSIONS)) == [Folder("", ("a.jpg",), left_out=LeftOut(links=3))]


def test_links_that_stay_inside_are_followed(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "sub/b.jpg")
    (tmp_path / "link").symlink_to("sub")
    (tmp_path / "c.jpg").symlink_to("sub/b.jpg")
    assert photos(tmp_path) == ["a.jpg", "c.jpg", "sub/b.jpg"]  # a folder once, and as itself


def test_links_back_up_end(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "sub/b.jpg", "other/c.jpg")
    (tmp_path / "sub" / "up").symlink_to("..")
    (tmp_path / "sub" / "self").symlink_to(".")
    (tmp_path / "sub" / "across").symlink_to("../other")
    (tmp_path / "other" / "back").symlink_to("../sub")
    folders = list(islice(walk(tmp_path, PHOTO_EXTENSIONS), 10))  # not all of them: a walk that goes in circles has no end
    assert [folder.path for folder in folders] == ["", "other", "sub"]


def test_folders_that_link_to_each_other_come_once(tmp_path: Path) -> None:
    names = "abcde"
    for name in names:
        make(tmp_path, f"{name}/x.jpg")
        for other in names:
            (tmp_path / name / f"to {other}").symlink_to(tmp_path / other)
    assert [folder.path for folder in islice(walk(tmp_path, PHOTO_EXTENSIONS), 100)] == ["", *names]


def test_a_hidden_folder_comes_once_by_the_first_link_to_it(tmp_path: Path) -> None:
    make(tmp_path, ".store/x.jpg", ".store/in/y.jpg")
    for name in ("c", "b", "d"):
        (tmp_path / name).symlink_to(".store")
    (tmp_path / "a").symlink_to(".store/in")
    (tmp_path / "direct.jpg").symlink_to(".store/x.jpg")
    assert photos(tmp_path) == ["direct.jpg", "a/y.jpg", "b/x.jpg"]


def test_a_folder_that_becomes_a_link_while_the_walk_is_on_is_not_followed(tmp_path: Path) -> None:
    make(tmp_path, "in/a/x.jpg", "in/b/y.jpg", "out/secret.jpg")
    walking = walk(tmp_path / "in", PHOTO_EXTENSIONS)
    assert next(walking) == Folder("", subfolders=("a", "b"))
    (tmp_path / "in" / "a").rename(tmp_path / "moved")
    (tmp_path / "in" / "a").symlink_to(tmp_path / "out")
    broken, after = walking
    assert (broken.path, broken.photos, broken.error is not None) == ("a", (), True)
    assert after == Folder("b", ("y.jpg",))


def test_an_out_of_any_run_is_not_walked_by_any_way(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b/deep/.cropper/lock", "b/deep/b.jpg", "b/deep/640x360/c.jpg", "d/d.jpg")
    (tmp_path / "link").symlink_to("b/deep/640x360")
    (tmp_path / "one.jpg").symlink_to("b/deep/b.jpg")
    found = list(walk(tmp_path, PHOTO_EXTENSIONS))
    assert [folder.path for folder in found if folder.is_out] == ["b/deep"]
    assert photos(tmp_path) == ["a.jpg", "d/d.jpg"]
    # The one that was asked for is walked, whatever it is.
    assert photos(tmp_path / "b" / "deep") == ["b.jpg", "640x360/c.jpg"]


def taken(root: Path, selection: Selection) -> list[str]:
    return [join(folder.path, name) for folder in walk(root, PHOTO_EXTENSIONS, selection=selection) for name in folder.photos]


def test_folders_that_systems_fill_are_counted_not_walked(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "@eaDir/a.jpg", "b/@eaDir/x/b.jpg", "b/$Recycle.Bin/c.jpg", ".thumbnails/d.jpg", "b/lost+found")
    found = list(walk(tmp_path, PHOTO_EXTENSIONS))
    of_systems = [(folder.path, folder.left_out.of_systems) for folder in found]
    assert of_systems == [("", (".thumbnails", "@eaDir")), ("b", ("$RECYCLE.BIN", "@eaDir"))]
    assert photos(tmp_path) == ["a.jpg"]
    assert photos(tmp_path / "@eaDir") == ["a.jpg"]  # who asks for it means it
    (tmp_path / "album").symlink_to("@eaDir")
    assert photos(tmp_path) == ["a.jpg"]
    assert taken(tmp_path, selection_of(exclude=["!@eaDir/"])) == ["a.jpg", "@eaDir/a.jpg", "b/@eaDir/x/b.jpg"]
    assert taken(tmp_path, selection_of(exclude=["!.thumbnails/"])) == ["a.jpg"]  # it is hidden all the same


def test_what_patterns_leave_out_is_counted_not_listed(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.png", "notes.txt", "drafts/c.jpg", "x/drafts/d.jpg", "x/e.jpg", "x/f.jpg")
    found = list(walk(tmp_path, PHOTO_EXTENSIONS, selection=selection_of(exclude=["drafts/", "*.png", "/x/f.*"])))
    assert found == [
        Folder("", ("a.jpg",), 1, subfolders=("x",), left_out=LeftOut(files=1, folders=1)),
        Folder("x", ("e.jpg",), left_out=LeftOut(files=1, folders=1)),
    ]
    assert taken(tmp_path, selection_of(["*.png", "x/"])) == ["b.png", "x/e.jpg", "x/f.jpg", "x/drafts/d.jpg"]
    assert taken(tmp_path, selection_of(["x/"], ["drafts/"])) == ["x/e.jpg", "x/f.jpg"]


def test_patterns_see_a_folder_by_the_path_of_the_walk(tmp_path: Path) -> None:
    make(tmp_path, ".store/a.jpg", "b/c.jpg")
    (tmp_path / "album").symlink_to(".store")
    assert taken(tmp_path, selection_of(["/album/"])) == ["album/a.jpg"]
    assert taken(tmp_path, selection_of(exclude=["album"])) == ["b/c.jpg"]


def test_what_other_commands_write_is_counted_not_listed(tmp_path: Path) -> None:
    make(
        tmp_path,
        "a.jpg",
        "a.saliency.png",
        "sheet-12.jpg",
        "b/sheet.jpg",
        "b/sheets.jpg",
        "b/sheet-a.jpg",
        "review_files/x.preview.jpg",
    )
    found = list(walk(tmp_path, PHOTO_EXTENSIONS))
    assert photos(tmp_path) == ["a.jpg", "b/sheet-a.jpg", "b/sheets.jpg"]
    assert [(folder.path, folder.others) for folder in found] == [("", 2), ("b", 1), ("review_files", 1)]
    assert photos(tmp_path / "review_files") == ["x.preview.jpg"]  # who asks for it means it


def test_broken_links_harm_no_neighbour(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    assert list(walk(tmp_path, PHOTO_EXTENSIONS)) == [Folder("", ("a.jpg",), 2)]


def test_output_inside_the_input_is_not_walked_by_any_way(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "out/a.jpg", "out/sub/b.jpg", "output/c.jpg")
    (tmp_path / "to_out").symlink_to("out")
    (tmp_path / "to_sub").symlink_to("out/sub")
    (tmp_path / "b.jpg").symlink_to("out/sub/b.jpg")
    assert photos(tmp_path, tmp_path / "out") == ["a.jpg", "output/c.jpg"]
    (tmp_path / "elsewhere").symlink_to("out")
    assert photos(tmp_path, tmp_path / "elsewhere") == ["a.jpg", "output/c.jpg"]


def test_root_may_itself_be_a_link_or_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "real/sub/a.jpg")
    (tmp_path / "link").symlink_to("real")
    assert photos(tmp_path / "link") == ["sub/a.jpg"]
    monkeypatch.chdir(tmp_path / "real" / "sub")
    assert photos(Path("..")) == ["sub/a.jpg"]
    assert photos(Path("..", "..", "link"), Path(".")) == []


def test_names_that_are_no_utf8_are_walked(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    try:
        make(tmp_path, name)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert photos(tmp_path) == [name]


@pytest.mark.skipif(sys.platform != "linux", reason="paths are shorter elsewhere")
def test_nesting_has_no_limit_of_its_own(tmp_path: Path) -> None:
    depth = sys.getrecursionlimit() + 50  # and a path may be 4096 bytes
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("a.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    try:
        assert photos(tmp_path) == ["d/" * depth + "a.jpg"]
    finally:
        # Taken down by hand: what clears temporary folders may recurse.
        os.unlink("a.jpg", dir_fd=here)
        for _ in range(depth):
            above = os.open("..", os.O_RDONLY, dir_fd=here)
            os.close(here)
            os.rmdir("d", dir_fd=above)
            here = above
        os.close(here)


def test_folder_that_cannot_be_listed_is_said_and_its_neighbours_walked(tmp_path: Path) -> None:
    make(tmp_path, "a/x.jpg", "c/y.jpg")
    walking = walk(tmp_path, PHOTO_EXTENSIONS)
    assert next(walking) == Folder("", subfolders=("a", "c"))
    # Gone while the walk is on: permissions would not stop a superuser.
    (tmp_path / "a" / "x.jpg").unlink()
    (tmp_path / "a").rmdir()
    broken, after = walking
    assert broken.path == "a"
    assert str(broken.error) == f"{tmp_path}/a: the folder cannot be listed (No such file or directory); check its permissions"
    assert after == Folder("c", ("y.jpg",))


def test_is_inside() -> None:
    assert is_inside("/a/b", "/a/b")
    assert is_inside("/a/b/c", "/a/b")
    assert is_inside("/a", "/")
    assert not is_inside("/a/bc", "/a/b")
    assert not is_inside("/a", "/a/b")
