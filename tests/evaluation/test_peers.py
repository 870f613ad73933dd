"""Other croppers' tables: every form they come in, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from fixtures import Viewed

from cropper import UsageError
from cropper.evaluation.gaze import GazePhoto
from cropper.evaluation.peers import kept_by, read_boxes

LEDGER = "path,output,status,image_width,image_height,size,x,y,width,height,focus_x,focus_y,kept,message"


@pytest.fixture
def photos(viewed: Viewed) -> list[GazePhoto]:
    """100x80 each, with half of the fixations in the left tenth and half in the right."""
    return [viewed([(5, 40), (95, 40)], name=name) for name in ("a.jpg", "b.jpg")]


def table(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("header", ["path,x,y,w,h", "path,x,y,width,height"])
def test_one_aspect_needs_no_more_than_boxes(tmp_path: Path, photos: list[GazePhoto], header: str) -> None:
    file = table(tmp_path / "peer.csv", header, "a.jpg,0,0,80,80", "in/some/folder/b.jpg,10,0,80,80")
    assert kept_by(file, photos, [(1, 1)]).tolist() == [[0.5], [0]]


def test_a_name_with_aspect_in_it_stands_for_a_table_each(tmp_path: Path, photos: list[GazePhoto]) -> None:
    table(tmp_path / "peer.1x1.csv", "path,x,y,w,h", "a.jpg,0,0,80,80", "b.jpg,20,0,80,80")
    table(tmp_path / "peer.2x1.csv", "path,x,y,w,h", "a.jpg,0,0,100,50", "b.jpg,0,30,100,50")
    assert kept_by(str(tmp_path / "peer.{aspect}.csv"), photos, [(1, 1), (2, 1)]).tolist() == [[0.5, 1], [0.5, 1]]


def test_a_ledger_holds_several_sizes_and_failures(tmp_path: Path, photos: list[GazePhoto]) -> None:
    file = table(
        tmp_path / "boxes.csv",
        LEDGER,
        "a.jpg,,ok,100,80,1:1,0,0,80,80,40,40,0.5,",
        "a.jpg,,ok,100,80,640x320,0,0,100,50,40,40,0.5,",
        "a.jpg,,ok,100,80,200x100,0,0,100,50,40,40,0.5,",
        "b.jpg,,failed,,,1:1,,,,,,,,it is truncated or damaged",
        "b.jpg,,failed,,,640x320,,,,,,,,it is truncated or damaged",
    )
    kept = kept_by(file, photos, [(1, 1), (2, 1)])
    assert kept[0].tolist() == [0.5, 1]
    assert all(map(math.isnan, kept[1]))


def test_of_several_candidates_the_best_counts(tmp_path: Path, photos: list[GazePhoto]) -> None:
    rows = ["a.jpg,1:1,20,0,80,80,2", "a.jpg,1:1,0,0,80,80,1", "a.jpg,1:1,,,,,3"]
    file = table(tmp_path / "boxes.csv", "path,size,x,y,width,height,candidate", *rows)
    assert read_boxes(tmp_path / "boxes.csv", (1, 1), told=False) == {"a.jpg": (0, 0, 80, 80)}
    assert kept_by(file, photos, [(1, 1)])[0, 0] == 0.5


def test_boxes_may_lie_between_pixels_and_be_rounded(tmp_path: Path, photos: list[GazePhoto]) -> None:
    file = table(tmp_path / "peer.csv", "path,x,y,w,h", "a.jpg,10.5,0,79.2,80")
    assert kept_by(file, photos, [(1, 1)])[0, 0] == 0


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["path,left,y,w,h", "a.jpg,0,0,80,80"], "no column 'x'"),
        (["path,x,y,w", "a.jpg,0,0,80"], "no column 'h'"),
        (["path,x,y,w,h", "a.jpg,0,0,eighty,80"], "line 2: 0,0,eighty,80 is not a box"),
        (["path,x,y,w,h", "a.jpg,0,0,80"], "line 2: 0,0,80, is not a box"),
        (["path,x,y,w,h", "a.jpg,0,0,0,80"], "is not a box"),
        (["path,x,y,w,h", "a.jpg,0,0,inf,inf"], "is not a box"),
        (["path,x,y,w,h", "a.jpg,0,0,80,80", "b/a.jpg,5,0,80,80"], "line 3: a.jpg already has a different box"),
        (["path,x,y,w,h", "other.jpg,0,0,80,80"], "no photo of the set has a box of 1:1"),
        (["path,x,y,w,h"], "no photo of the set has a box of 1:1"),
        (["path,x,y,w,h", "a.jpg,0,0,100,56"], "the box of a.jpg, 100x56, does not have the aspect 1:1"),
        (["path,x,y,w,h", "a.jpg,30,0,80,80"], "lies outside the photo of 100x80"),
        (["path,x,y,w,h", "a.jpg,-2,0,80,80"], "lies outside"),
        (["path,size,x,y,w,h", "a.jpg,square,0,0,80,80"], "line 2: size is not of the form"),
        (["path,size,x,y,w,h", "a.jpg,16:9,0,0,80,45"], "no photo of the set has a box of 1:1"),
    ],
)
def test_tables_that_cannot_be_meant_are_refused(tmp_path: Path, photos: list[GazePhoto], lines: list[str], reason: str) -> None:
    file = table(tmp_path / "peer.csv", *lines)
    with pytest.raises(UsageError, match=reason) as caught:
        kept_by(file, photos, [(1, 1)])
    assert file in str(caught.value)


def test_several_aspects_must_be_told_apart(tmp_path: Path, photos: list[GazePhoto]) -> None:
    file = table(tmp_path / "peer.csv", "path,x,y,w,h", "a.jpg,0,0,80,80")
    with pytest.raises(UsageError, match="does not say which aspect"):
        kept_by(file, photos, [(1, 1), (2, 1)])


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"peer.csv: cannot be read \(No such file"):
        read_boxes(tmp_path / "peer.csv", (1, 1), told=True)
