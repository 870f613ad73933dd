"""Several widths of one crop."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import Command, MakePhoto, disc, imread

from cropper import UsageError
from cropper.choosing.decide import Decision, decide, smallest_box
from cropper.choosing.view import Maps, View, view_of
from cropper.cli.options.widths import with_widths
from cropper.ledger.given import Given, given_for
from cropper.settings import Choosing, Target, Zoom

pytestmark = pytest.mark.usefixtures("plain_rule")
DEFAULT = Target((300, 200), (300, 200))
WIDE, SQUARE = Target((16, 9)), Target((1, 1))
WIDTHS = ("--width", "20", "--width", "40", "--width", "400")


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    for seed, name in enumerate(("a.jpg", "b.jpg")):
        make_photo(tmp_path / "in" / name, seed=seed)
    return tmp_path / "in"


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "boxes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_aspect_comes_in_each_width_and_a_size_stays() -> None:
    made = with_widths((DEFAULT, WIDE, SQUARE), (320, 640))
    assert [target.label for target in made] == ["300x200", "320x180", "640x360", "320x320", "640x640"]
    assert [target.shape for target in made[1:]] == [Target((16, 9), (640, 360))] * 2 + [Target((1, 1), (640, 640))] * 2
    assert made[0] == DEFAULT
    assert [target.label for target in with_widths((WIDE, Target((32, 18))), (320, 320))] == ["320x180"]


def test_a_width_needs_a_shape_and_a_height_that_can_be_written(cropper: Command, photos: Path) -> None:
    with pytest.raises(UsageError, match="--width needs a shape"):
        with_widths((DEFAULT,), (320,))
    code, out, err = cropper("batch", "in", "out", "--aspect", "1:100", "--width", "300")
    assert (code, out) == (2, "")
    assert err == "cropper: --aspect 1:100 and --width 300 make a picture 30000 pixels high; stay below 16384\n"


def test_widths_share_a_box_and_nothing_is_enlarged_without_a_word(photos: Path, cropper: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, _, err = cropper("batch", "in", "out", "--aspect", "1:1", *WIDTHS)
    assert code == 0
    assert "2 smaller than asked for (--enlarge enlarges them)" in err
    found = [row for row in rows(out) if row["path"] == "a.jpg"]
    assert len({(row["x"], row["y"], row["width"], row["height"]) for row in found}) == 1
    assert [(row["size"], row["output_width"]) for row in found] == [("20x20", "20"), ("40x40", "40"), ("400x400", "64")]
    assert [imread(str(out / row["output"])).shape[1] for row in found] == [20, 40, 64]
    assert found[2]["output"] == "400x400/a.jpg"  # the name says what was asked for, the row what it is
    _, _, err = cropper("batch", "in", "out", "--aspect", "1:1", *WIDTHS)
    assert "0 done, 2 unchanged" in err
    cropper("batch", "in", "large", "--aspect", "1:1", *WIDTHS, "--enlarge")
    assert rows(tmp_path / "large")[2]["output_width"] == "400"


def test_a_box_is_chosen_once_for_all_widths(
    photos: Path, cropper: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Target] = []

    def counted(view: View, width: int, height: int, target: Target, *others: Any) -> tuple[Decision, ...]:
        asked.append(target)
        return decide(view, width, height, target, *others)

    monkeypatch.setattr("cropper.engine.stages.decide", counted)
    cropper("batch", "in", "out", "--aspect", "1:1", "--aspect", "3:2", *WIDTHS)
    assert len(asked) == 4  # two aspects of two photos


def test_a_tight_box_is_one_for_all_widths_and_has_the_pixels_of_the_largest() -> None:
    view = view_of(Maps(disc(0.6, 0.5, 0.02).astype(np.float32)))
    choosing = Choosing(zoom=Zoom(share=0.5))
    small, large, alone = (
        Target((1, 1), size, of) for size, of in (((50, 50), (300, 300)), ((300, 300), None), ((50, 50), None))
    )
    boxes = [decide(view, 800, 600, target, choosing)[0].box for target in (small, large, alone)]
    assert boxes[0] == boxes[1]
    assert 300 <= boxes[1].width < 600
    assert boxes[2].width < 300
    assert smallest_box(800, 600, small, choosing) == smallest_box(800, 600, large, choosing) == (300, 300)


def test_what_is_given_for_one_width_or_the_aspect_is_for_all_and_the_last_counts(
    photos: Path, cropper: Command, tmp_path: Path
) -> None:
    one, two, three = Given(1, 2), Given(3, 4), Given(5, 6)
    targets = with_widths((WIDE,), (320, 640))
    assert given_for({"640x360": one}, targets) == (one, one)
    assert given_for({"": three, "320x180": one, "640x360": two}, targets) == (two, two)
    assert given_for({"640x360": two, "16:9": one}, targets) == (one, one)
    assert given_for({"": three}, targets) == (three, three)
    assert given_for({"640x360": one}, (*targets, SQUARE)) == (one, one, None)
    command = ("batch", "in", "out", "--aspect", "1:1", "--width", "20", "--width", "40")
    for size, x in (("40x40", 40), ("20x20", 50)):
        (tmp_path / "focus.csv").write_text(f"path,size,x,y\na.jpg,{size},{x},30\n")
        cropper(*command, "--focus", "focus.csv")
        assert [row["focus_x"] for row in rows(tmp_path / "out")[:2]] == [str(x)] * 2
    _, _, err = cropper(*command)
    assert "0 done, 2 unchanged" in err


def test_crop_makes_one_width(photos: Path, cropper: Command, tmp_path: Path) -> None:
    assert cropper("crop", photos / "a.jpg", "--aspect", "3:2", "--width", "30", "-o", "a.png") == (0, "", "")
    assert imread(str(tmp_path / "a.png")).shape[:2] == (20, 30)
    code, _, err = cropper("crop", photos / "a.jpg", "--aspect", "3:2", "--width", "30", "--width", "40", "-o", "b.png")
    assert (code, err.count("\n")) == (2, 1)
    assert "one --width" in err


def test_sizes_on_the_command_line_replace_the_widths_of_a_file(photos: Path, cropper: Command, tmp_path: Path) -> None:
    (tmp_path / "cropper.toml").write_text('[batch]\naspect = ["1:1"]\nwidth = [20, 40]\n')
    cropper("batch", "in", "out")
    assert [row["size"] for row in rows(tmp_path / "out")[:2]] == ["20x20", "40x40"]
    cropper("batch", "in", "other", "--size", "30x20")
    assert {row["size"] for row in rows(tmp_path / "other")} == {"30x20"}


def test_one_file_a_photo_has_one_width(cropper: Command, photos: Path, tmp_path: Path) -> None:
    asked = ("--aspect", "1:1", "--aspect", "16:9", "--one", "--width", "20")
    code, _, err = cropper("batch", "in", "out", *asked, "--width", "40")
    assert (code, err.count("\n")) == (2, 1)
    assert "--one makes one file a photo, and you ask for several widths of a shape; give one --width" in err
    assert not (tmp_path / "out").exists()
    assert cropper("batch", "in", "out", *asked)[0] == 0
    assert len(rows(tmp_path / "out")) == 2
