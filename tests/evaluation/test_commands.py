"""``cropper evaluate`` as a user runs it, with the bundled model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fixtures import Command, Ended

from cropper.cli import main
from cropper.model.saliency import BUNDLED_MODEL

MEASURES = ["AUC", "sAUC", "NSS", "CC", "SIM", "KL", "IG"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command line; gives its exit code, stdout and stderr."""

    def run(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run


def test_maps_as_a_table(run: Command, gaze_folder: Path) -> None:
    code, out, err = run("evaluate", "maps", gaze_folder)
    assert (code, err) == (0, "")
    heading, *rest = out.splitlines()
    assert heading == "made_up: 5 photos, 300 fixations; model: bundled"
    assert [line.split()[0] for line in rest if line and line[0] != " "] == MEASURES
    assert (code, out, err) == run("evaluate", "maps", gaze_folder)


def test_maps_as_json(run: Command, gaze_folder: Path) -> None:
    code, out, _ = run("evaluate", "maps", gaze_folder, "--json", "--every", 2, "--drop-first")
    report = json.loads(out)
    assert code == 0
    assert report["gaze_set"] == "made_up"
    assert (report["every"], report["photos"], report["fixations"], report["first_fixations"]) == (2, 3, 162, False)
    assert list(report["scores"]) == MEASURES
    assert all(score["low"] <= score["value"] <= score["high"] for score in report["scores"].values())
    assert 0.5 < report["scores"]["AUC"]["value"] < 1


def test_maps_of_the_twin_and_of_a_model_given(run: Command, gaze_folder: Path, tmp_path: Path) -> None:
    model = shutil.copy(BUNDLED_MODEL, tmp_path / "other.onnx")
    whole = json.loads(run("evaluate", "maps", gaze_folder, "--json")[1])
    again = json.loads(run("evaluate", "maps", gaze_folder, "--json", "--model", model)[1])
    twin = json.loads(run("evaluate", "maps", gaze_folder, "--json", "--off-centre")[1])
    assert again["model"] == "other.onnx"
    assert again["scores"] == whole["scores"]
    assert twin["off_centre"]
    assert twin["fixations"] < whole["fixations"]
    assert twin["scores"] != whole["scores"]


def test_figures_that_cannot_be_told_are_null(run: Command, gaze_folder: Path) -> None:
    _, out, _ = run("evaluate", "maps", gaze_folder, "--json", "--every", 5)
    assert json.loads(out)["scores"]["sAUC"] == {"value": None, "low": None, "high": None}
    _, out, _ = run("evaluate", "maps", gaze_folder, "--every", 5)
    assert next(line.split() for line in out.splitlines() if line.startswith("sAUC")) == ["sAUC", "-", "-"]


def test_boxes_as_a_table_with_the_usual_aspects(run: Command, gaze_folder: Path) -> None:
    code, out, err = run("evaluate", "boxes", gaze_folder)
    assert (code, err) == (0, "")
    blocks = [block.splitlines() for block in out.split("\n\n")[1:]]
    assert [block[0].split("  ")[0] for block in blocks] == ["1:1", "16:9", "9:16", "3:1", "mean of 4"]
    names = ["cropper", "centre crop", "half the viewers", "best possible"]
    assert all([line.split("  ")[0] for line in block[1:]] == names for block in blocks)


def test_boxes_of_our_own_ledger_are_ours(run: Command, gaze_folder: Path, tmp_path: Path) -> None:
    """Batch and evaluate go the same way from photo to box."""
    run("batch", gaze_folder / "images", tmp_path, "--aspect", "1:1", "--size", "300x100", "--dry-run", "--quiet")
    aspects = ["--aspect", "1:1", "--aspect", "3:1"]
    code, out, _ = run("evaluate", "boxes", gaze_folder, *aspects, "--json", "--boxes", f"ledger={tmp_path / 'boxes.csv'}")
    croppers = json.loads(out)["croppers"]
    assert code == 0
    assert croppers["ledger"] == croppers["cropper"]
    assert croppers["cropper"]["mean"]["gap"]["value"] != 0
    for aspect in ("1:1", "3:1"):
        assert croppers["centre crop"]["aspects"][aspect]["gap"]["value"] == 0
        assert croppers["best possible"]["aspects"][aspect]["gap"]["value"] == 1


def test_photos_a_peer_has_no_box_for_are_said(run: Command, gaze_folder: Path, tmp_path: Path) -> None:
    peer = tmp_path / "peer.1x1.csv"
    peer.write_text("path,x,y,w,h\na.jpg,0,0,120,120\nc.jpg,0,0,120,120\n")
    pattern = f"peer={tmp_path}/peer.{{aspect}}.csv"
    code, out, err = run("evaluate", "boxes", gaze_folder, "--aspect", "1:1", "--json", "--boxes", pattern)
    assert code == 0
    assert err == "cropper: peer has no 1:1 box for 3 of 5 photos: b.jpg, d.jpg, e.jpg\n"
    assert json.loads(out)["croppers"]["peer"]["aspects"]["1:1"]["missing"] == ["b.jpg", "d.jpg", "e.jpg"]


def test_photos_left_out_are_said(run: Command, gaze_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(gaze_folder, tmp_path / "set")
    with (tmp_path / "set" / "fixations.csv").open("a") as file:
        file.write("f.jpg,0,0,-9,-9,100\n")
    shutil.copy(gaze_folder / "images" / "a.jpg", tmp_path / "set" / "images" / "f.jpg")
    code, out, err = run("evaluate", "maps", tmp_path / "set", "--json")
    assert (code, err) == (0, "cropper: 1 of 6 photos left out, because they have no fixations: f.jpg\n")
    assert json.loads(out)["left_out"] == ["f.jpg"]


@pytest.mark.parametrize("command", ["maps", "boxes"])
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["{tmp}/nothing"], "does not exist"),
        (["{tmp}"], "fixations.csv: cannot be read (No such file or directory); a gaze set is a folder with images/"),
        (["{set}", "--every", "0"], "'0' is not a whole number from 1 to 1000000."),
        (["{set}", "--model", "{tmp}/no.onnx"], "does not exist"),
        (["{set}", "--model", "{set}/fixations.csv"], "onnxruntime cannot load it"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    run: Command, gaze_folder: Path, tmp_path: Path, command: str, arguments: list[str], reason: str
) -> None:
    code, out, err = run("evaluate", command, *(text.format(tmp=tmp_path, set=gaze_folder) for text in arguments))
    assert (code, out) == (2, "")
    assert reason in err
    assert err.startswith("cropper: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--boxes", "peer.csv"], "is not a name and a file"),
        (["--boxes", "peer={tmp}/no.csv"], "no.csv: cannot be read"),
        (["--boxes", "peer={set}/fixations.csv"], "no column 'path'"),
        (["--boxes", "cropper={tmp}/no.csv"], "two croppers are named 'cropper'"),
        (["--boxes", "a={tmp}/no.csv", "--boxes", "a={tmp}/no.csv"], "two croppers are named 'a'"),
        (["--aspect", "16"], "is not W:H in numbers"),
    ],
)
def test_wrong_boxes_are_one_line_and_exit_2(
    run: Command, gaze_folder: Path, tmp_path: Path, arguments: list[str], reason: str
) -> None:
    code, out, err = run("evaluate", "boxes", gaze_folder, *(t.format(tmp=tmp_path, set=gaze_folder) for t in arguments))
    assert (code, out) == (2, "")
    assert reason in err
    assert err.count("\n") == 1


def test_a_damaged_photo_is_one_line_and_exit_1(run: Command, gaze_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(gaze_folder, tmp_path / "set")
    (tmp_path / "set" / "images" / "c.jpg").write_bytes(b"")
    code, out, err = run("evaluate", "maps", tmp_path / "set")
    assert (code, out) == (1, "")
    assert err.endswith("c.jpg: the file is empty; copy it again from where it came from\n")
    assert err.count("\n") == 1


def test_heads_as_a_table_and_as_json(run: Command, samples: Path, tmp_path: Path) -> None:
    """The astronaut's head fits into any of the shapes, and one peer cuts it."""
    (tmp_path / "heads.csv").write_text("path,x,y,width,height\nastronaut.jpg,165,20,120,170\nastronaut.jpg,600,0,5,5\n")
    (tmp_path / "peer.csv").write_text("path,size,x,y,w,h\nastronaut.jpg,1:1,0,0,512,512\nastronaut.jpg,16:9,0,100,512,288\n")
    asked = ["evaluate", "heads", samples, tmp_path / "heads.csv", "--boxes", f"peer={tmp_path / 'peer.csv'}"]
    shapes = ["--aspect", "1:1", "--aspect", "16:9"]
    code, out, err = run(*asked, *shapes, "--json")
    assert (code, err) == (0, "")
    scores = json.loads(out)["croppers"]
    assert list(scores) == ["cropper", "centre crop", "peer"]
    assert [scores["peer"][shape]["cut"]["value"] for shape in ("1:1", "16:9", "all")] == [0, 1, 0.5]
    assert scores["peer"]["16:9"]["not_whole"]["value"] == 1
    assert (scores["peer"]["all"]["touched"], scores["peer"]["all"]["fitting"]) == (2, 2)
    assert scores["cropper"]["all"]["not_whole"]["value"] == 0
    code, out, err = run(*asked, *shapes)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "1 photo with heads"
    assert [line.split()[0] for line in out.splitlines() if line][1::4] == ["1:1", "16:9", "all"]


def test_a_table_without_heads_is_said(run: Command, samples: Path, tmp_path: Path) -> None:
    (tmp_path / "heads.csv").write_text("path,x,y,width,height\n")
    code, out, err = run("evaluate", "heads", samples, tmp_path / "heads.csv")
    assert (code, out) == (2, "")
    assert "it has no heads" in err


def test_heads_of_two_photos_of_one_name_and_rows_without_a_photo_are_said(run: Command, samples: Path, tmp_path: Path) -> None:
    (tmp_path / "heads.csv").write_text("x,y,width,height,path\n1,1,5,5\n")
    assert "line 2 names no photo" in run("evaluate", "heads", samples, tmp_path / "heads.csv")[2]
    (tmp_path / "heads.csv").write_text("path,x,y,width,height\ncat.jpg,1,1,5,5\na/cat.jpg,1,1,5,5\n")
    (tmp_path / "peer.csv").write_text("path,x,y,w,h\ncat.jpg,0,0,300,300\n")
    asked = ["evaluate", "heads", samples, tmp_path / "heads.csv", "--aspect", "1:1", "--boxes", f"peer={tmp_path / 'peer.csv'}"]
    assert "two photos are named cat.jpg" in run(*asked)[2]
    (tmp_path / "heads.csv").write_text("path,x,y,width,height\ncat.jpg,9,9,50,50\nastronaut.jpg,165,20,120,170\n")
    code, _, err = run(*asked)
    assert (code, err) == (0, "cropper: peer has no 1:1 box for 1 of 2 photos: its figures are of the others\n")
