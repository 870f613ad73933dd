"""A list of photos as a part of a folder: which folder, in which order, and under which names."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropper.errors import UsageError
from cropper.image_formats import PHOTO_EXTENSIONS
from cropper.ledger.database import key_of
from cropper.storage.listed import Listed, listed
from cropper.storage.local import LocalPlace
from cropper.storage.places import LeftOut, join, order


def make(root: Path, *files: str) -> None:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def walked(place: Listed, leave_out: Path | None = None) -> list[str]:
    out = LocalPlace(leave_out) if leave_out is not None else None
    return [join(folder.path, name) for folder in place.walk(PHOTO_EXTENSIONS, out) for name in folder.wanted]


def below(root: Path, paths: Iterable[str]) -> list[str]:
    return [f"{root}/{path}" for path in paths]


NAMES = st.sampled_from(["a", "b", "B", "a b", ".h", "@eaDir", "!"])
TREES = st.sets(st.lists(NAMES, min_size=1, max_size=4).map("/".join), min_size=1, max_size=8)


@given(TREES, st.data())
@settings(deadline=None, max_examples=60)
def test_a_list_comes_in_the_order_of_the_walk(
    tmp_path_factory: pytest.TempPathFactory, stems: set[str], data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("tree")
    files = sorted(f"{stem}.jpg" for stem in stems)
    make(root, *files)
    inside = data.draw(st.sets(st.sampled_from(files)))
    outside = data.draw(st.sets(st.sampled_from(files)))
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    make(elsewhere, *files)
    place = listed([*below(root, inside), *below(elsewhere, outside)], str(root))
    found = walked(place)
    assert found == sorted([*inside, *below(elsewhere, outside)], key=order)
    assert found == sorted(found, key=key_of)  # in which the state is read
    assert all(os.path.exists(place / path) for path in found)


def test_a_listed_folder_comes_whole_and_each_photo_once(tmp_path: Path) -> None:
    make(tmp_path, "in/a.jpg", "in/b/c.jpg", "in/b/d/e.jpg", "in/b/.h/f.jpg", "in/g/h.jpg", "x/i.jpg", "x/y/j.jpg", "x/y/.k.jpg")
    place = listed(below(tmp_path, ["in/b", "in/b/c.jpg", "in/b/.h/f.jpg", "x", "x/y/.k.jpg", "x/y"]), str(tmp_path / "in"))
    assert walked(place) == [*below(tmp_path, ["x/i.jpg", "x/y/.k.jpg", "x/y/j.jpg"]), "b/c.jpg", "b/.h/f.jpg", "b/d/e.jpg"]
    assert walked(listed([str(tmp_path / "in")])) == ["a.jpg", "b/c.jpg", "b/d/e.jpg", "g/h.jpg"]


def test_a_photo_beside_a_listed_one_is_named_and_not_wanted(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.jpg", "notes.txt", "c/d.jpg", "C/e.jpg")
    folders = list(listed(below(tmp_path, ["b.jpg", "c/d.jpg"])).walk(PHOTO_EXTENSIONS))
    assert [(folder.path, folder.photos, folder.listed, folder.others) for folder in folders] == [
        ("", ("a.jpg", "b.jpg"), ("b.jpg",), 0),
        ("c", ("d.jpg",), ("d.jpg",), 0),
    ]
    assert folders[0].subfolders == ("C", "c")


def test_the_folder_is_the_deepest_that_holds_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "in/a.jpg", "in/b/c.jpg", "in/b/d.jpg")
    monkeypatch.chdir(tmp_path)
    assert listed(["in/b/c.jpg", "in/b/d.jpg"]) == Listed(Path("in/b"))
    assert listed(["in/b/c.jpg", "./in/a.jpg", "in//b/../b/d.jpg"]) == Listed(Path("in"))
    assert listed([str(tmp_path / "in/b"), "in/b/gone.jpg"]) == Listed(tmp_path / "in/b")
    assert listed([]) == Listed(Path("."))
    assert str(listed(["in/a.jpg"]) / "a.jpg") == "in/a.jpg"  # as the user wrote it


def test_links_lead_to_the_folder_that_out_was_made_from(tmp_path: Path) -> None:
    make(tmp_path, "disk/in/a.jpg", "disk/in/b/c.jpg")
    (tmp_path / "link").symlink_to("disk/in")
    assert walked(listed(below(tmp_path, ["link/a.jpg", "link/b"]), str(tmp_path / "disk/in"))) == ["a.jpg", "b/c.jpg"]
    assert walked(listed(below(tmp_path, ["disk/in/b/c.jpg"]), str(tmp_path / "link"))) == ["b/c.jpg"]
    assert walked(listed(below(tmp_path, ["link/../in/a.jpg"]), str(tmp_path / "disk/in"))) == ["a.jpg"]  # as the system has it


def test_what_cannot_lie_below_out_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "in/a.jpg")
    for path in (str(tmp_path), "/", "/a.jpg"):
        with pytest.raises(UsageError, match="choose another OUT"):
            listed([path], str(tmp_path / "in"))


def test_what_lies_in_out_is_left_out_and_counted(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "out/a.jpg", "out/b/c.jpg", "d.jpg")
    (tmp_path / "link").symlink_to("out")
    place = listed(below(tmp_path, ["a.jpg", "out/a.jpg", "out/b/c.jpg", "link/a.jpg"]))
    assert walked(place, tmp_path / "out") == ["a.jpg"]
    folders = place.walk(PHOTO_EXTENSIONS, LocalPlace(tmp_path / "out"))
    assert [folder.left_out for folder in folders if folder.left_out] == [LeftOut(files=1)] * 3


def test_it_travels_without_the_list(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    place = listed([str(tmp_path / "a.jpg")])
    assert pickle.loads(pickle.dumps(place)) == LocalPlace(tmp_path)
    assert pickle.loads(pickle.dumps(place / "a.jpg")) == LocalPlace(tmp_path / "a.jpg")
