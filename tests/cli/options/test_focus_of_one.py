"""``--at`` and ``--focus`` of the commands that take one photo."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures import Command, MakePhoto, imread


@pytest.fixture
def photo(tmp_path: Path, make_photo: MakePhoto) -> Path:
    return make_photo(tmp_path / "a.png", 120, 60)


def cut(cropper: Command, tmp_path: Path, *options: str) -> bytes:
    assert cropper("crop", "a.png", "--aspect", "1:1", "-o", "made.png", *options) == (0, "", "")
    return imread(str(tmp_path / "made.png")).tobytes()


@pytest.mark.parametrize("at", ["80,30", "0.67,0.5", "67%, 50%", "80,50%"])
def test_crop_around_a_point(cropper: Command, photo: Path, tmp_path: Path, at: str) -> None:
    there = imread(str(photo))[:, 50:110].tobytes()
    assert cut(cropper, tmp_path, "--at", at) == there
    (tmp_path / "focus.csv").write_text("path,x,y\n./a.png," + at + "\n")
    assert cut(cropper, tmp_path, "--focus", "focus.csv") == there


def test_a_row_for_a_size_counts_and_another_photos_does_not(cropper: Command, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "focus.csv").write_text("path,x,y,size\na.png,80,30,1:1\na.png,10,10,3:1\nb.png,0,0,\n")
    assert cut(cropper, tmp_path, "--focus", "focus.csv") == imread(str(photo))[:, 50:110].tobytes()
    (tmp_path / "focus.csv").write_text("path,x,y\nb.png,0,0\n")
    code, _, err = cropper("crop", "a.png", "-o", "made.png", "--focus", "focus.csv")
    assert (code, err) == (0, "cropper: focus.csv: has no row for a.png; the model chooses\n")


def test_show_draws_the_box_that_is_given(cropper: Command, photo: Path, tmp_path: Path) -> None:
    shown = []
    for at in ("0,0", "0%,0.0", "119,59"):
        assert cropper("show", "a.png", "--aspect", "1:1", "--at", at, "-o", "shown.png")[0] == 0
        shown.append(imread(str(tmp_path / "shown.png")).tobytes())
    assert shown[0] == shown[1] != shown[2]


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("3", "'3' is not a point, as in 320,200 or 50%,25%"),
        ("1.5,3", "'1.5,3' has '1.5', which is more than all of the photo"),
        ("one,3", "'one,3' has 'one', which is not a whole number, nor a share"),
        ("500,3", "a.png: the focus 500,3 is not inside the photo of 120x60; give another one"),
    ],
)
def test_a_point_that_is_wrong_is_said_in_one_line(cropper: Command, photo: Path, at: str, why: str) -> None:
    for command in ("crop", "show"):
        code, _, err = cropper(command, "a.png", "--at", at)
        assert code != 0
        assert why in err
        assert err.count("\n") == 1
        assert "table" not in err


def test_a_point_and_a_table_contradict_each_other(cropper: Command, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "focus.csv").write_text("path,x,y\na.png,0,0\n")
    code, _, err = cropper("crop", "a.png", "--at", "1,1", "--focus", "focus.csv")
    assert (code, err) == (2, "cropper: --at and --focus both say what to crop around; give one of them\n")


def test_a_batch_remembers_shares(cropper: Command, tmp_path: Path, make_photo: MakePhoto) -> None:
    make_photo(tmp_path / "photos" / "a.png", 120, 60)
    (tmp_path / "focus.csv").write_text("path,x,y\na.png,1.0,50%\n")
    batch = "batch", "photos", "out", "--aspect", "1:1"
    assert "1 done" in cropper(*batch, "--focus", "focus.csv")[2]
    assert imread(str(tmp_path / "out" / "a.png")).tobytes() == imread(str(tmp_path / "photos" / "a.png"))[:, 60:].tobytes()
    assert "1 unchanged" in cropper(*batch)[2]
