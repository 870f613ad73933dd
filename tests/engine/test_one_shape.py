"""Runs that give each photo one of several shapes: one output and one row."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from fixtures import Command, MakePhoto
from PIL import Image
from running import run_batch

from cropper.engine.job import Done
from cropper.ledger.given import Given
from cropper.ledger.shards import Shard, merge_shards
from cropper.settings import Choosing, Fit, Settings, Target, Upkeep

SHAPES = Target((1, 1)), Target((4, 3)), Target((3, 4))
OPTIONS = ("--aspect", "1:1", "--aspect", "4:3", "--aspect", "3:4", "--one")
pytestmark = pytest.mark.usefixtures("plain_rule")


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    for name, size in (("high.jpg", (60, 80)), ("square.jpg", (80, 80)), ("wide.jpg", (80, 60)), ("b/wide.png", (160, 120))):
        make_photo(tmp_path / "in" / name, *size)
    return tmp_path / "in"


def process(source: Path, out: Path, targets: tuple[Target, ...] = SHAPES, **others: Any) -> list[Done]:
    given = {name: others.pop(name) for name in ("given", "upkeep", "shard") if name in others}
    return list(run_batch(source, out, Settings(targets, **{"one": True, **others}), 2, **given))


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "boxes.csv").open(newline="", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def sizes(out: Path) -> dict[str, str]:
    return {path: row["size"] for path, row in table(out).items()}


def pictures(out: Path) -> dict[str, tuple[int, int]]:
    found = (path for path in out.rglob("*") if path.suffix in (".jpg", ".png"))
    return {path.relative_to(out).as_posix(): Image.open(path).size for path in found}


WHOLE = {"high.jpg": "3:4", "square.jpg": "1:1", "wide.jpg": "4:3", "b/wide.png": "4:3"}
WHOLE_PICTURES = {"high.jpg": (60, 80), "square.jpg": (80, 80), "wide.jpg": (80, 60), "b/wide.png": (160, 120)}


def test_a_photo_has_one_row_and_one_thumbnail_at_its_own_path_and_is_done(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert [len(done.rows) for done in process(photos, out)] == [1, 1, 1, 1]
    assert sizes(out) == WHOLE
    assert pictures(out) == WHOLE_PICTURES
    assert {path: row["output"] for path, row in table(out).items()} == {path: path for path in WHOLE}
    before = (out / "boxes.csv").read_bytes()
    assert all(done.unchanged for done in process(photos, out))
    assert (out / "boxes.csv").read_bytes() == before
    assert not any(done.unchanged for done in process(photos, out, SHAPES[::-1]))  # the order decides among equals


def test_a_photo_of_another_shape_replaces_its_thumbnail(photos: Path, tmp_path: Path, make_photo: MakePhoto) -> None:
    out = tmp_path / "out"
    process(photos, out)
    make_photo(photos / "wide.jpg", 60, 80, seed=3)
    assert [done.path for done in process(photos, out, upkeep=Upkeep(prune=True)) if not done.unchanged] == ["wide.jpg"]
    assert sizes(out) == {**WHOLE, "wide.jpg": "3:4"}
    assert pictures(out) == {**WHOLE_PICTURES, "wide.jpg": (60, 80)}


def test_prune_removes_the_folders_of_all_shapes_and_back(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process(photos, out, one=False)
    assert len(pictures(out)) == 12
    process(photos, out)
    assert len(pictures(out)) == 16
    process(photos, out, upkeep=Upkeep(prune=True))
    assert pictures(out) == WHOLE_PICTURES
    process(photos, out, one=False, upkeep=Upkeep(prune=True))
    assert len(pictures(out)) == 12


def test_shards_merge_to_the_table_of_one_run(photos: Path, tmp_path: Path) -> None:
    process(photos, tmp_path / "whole")
    for number in (1, 2, 1, 2):
        again = process(photos, tmp_path / "parts", shard=Shard(number, 2))
    assert all(done.unchanged for done in again)
    merge_shards(tmp_path / "parts")
    assert (tmp_path / "parts" / "boxes.csv").read_bytes() == (tmp_path / "whole" / "boxes.csv").read_bytes()


def test_a_shape_given_by_hand_is_the_one_and_stays(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process(photos, out)
    gift = [("wide.jpg", "3:4", Given(10, 0, 45, 60))]
    assert [done.path for done in process(photos, out, given=gift) if not done.unchanged] == ["wide.jpg"]
    assert sizes(out) == {**WHOLE, "wide.jpg": "3:4"}
    assert table(out)["wide.jpg"]["x"] == "10"
    assert all(done.unchanged for done in process(photos, out))
    assert [done.path for done in process(photos, out, given=[("wide.jpg", "", None)]) if not done.unchanged] == ["wide.jpg"]
    assert sizes(out) == WHOLE


def test_a_gift_for_a_photo_of_another_size_does_not_make_it_again_each_time(
    photos: Path, tmp_path: Path, make_photo: MakePhoto
) -> None:
    out = tmp_path / "out"
    process(photos, out, given=[("wide.jpg", "3:4", Given(10, 0, 45, 60))])
    make_photo(photos / "wide.jpg", 120, 90, seed=3)
    assert [done.dropped for done in process(photos, out) if not done.unchanged] == [True]
    assert sizes(out) == WHOLE
    assert all(done.unchanged for done in process(photos, out))


def test_a_photo_that_fails_has_one_row_without_a_size(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (photos / "broken.jpg").write_bytes(b"")
    process(photos, out)
    row = table(out)["broken.jpg"]
    assert (row["status"], row["size"], row["output"]) == ("failed", "", "")
    (photos / "wide.jpg").write_bytes(b"")
    process(photos, out)
    row = table(out)["wide.jpg"]
    assert (row["status"], row["size"], row["output"]) == ("failed", "", "wide.jpg")  # still known as ours


def test_a_skipped_photo_is_done_too(photos: Path, tmp_path: Path) -> None:
    out, choosing = tmp_path / "out", Choosing(min_kept=1.0, otherwise=Fit.SKIP)
    wide = Target((3, 1)), Target((5, 1))
    process(photos, out, wide, choosing=choosing)
    assert {row["status"] for row in table(out).values()} == {"skipped"}
    assert set(sizes(out).values()) == {"3:1"}
    assert all(done.unchanged for done in process(photos, out, wide, choosing=choosing))


def test_the_commands_agree_on_the_one_and_the_report_has_its_box(cropper: Command, photos: Path, tmp_path: Path) -> None:
    code, _, err = cropper("batch", photos, "out", *OPTIONS, "--report", "run.jsonl")
    assert code == 0, err
    *lines, _ = map(json.loads, (tmp_path / "run.jsonl").read_text().splitlines())
    (wide,) = (line for line in lines if line["path"] == "wide.jpg")
    (box,) = wide["boxes"]
    assert (box["output"], box["status"], box["size"]) == ("wide.jpg", "ok", "4:3")
    assert [box[name] for name in ("image_width", "image_height", "x", "y", "width", "height")] == [80, 60, 0, 0, 80, 60]
    assert "path" not in box
    code, out, _ = cropper("boxes", photos, *OPTIONS)
    printed = {str(Path(line["path"]).relative_to(photos).as_posix()): line["size"] for line in map(json.loads, out.splitlines())}
    assert (code, printed) == (0, sizes(tmp_path / "out"))


def test_the_views_take_a_table_of_several_shapes(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"")
    assert cropper("batch", photos, "out", *OPTIONS)[0] == 1
    assert cropper("sheet", "out")[0] == 0
    assert cropper("review", "out")[0] == 0
    page = (tmp_path / "out" / "review.html").read_text(encoding="utf-8")
    assert "--aspect 1:1" in page
    assert "--one --focus focus.csv" in page
    assert '"sizes":["3:4","1:1","4:3"]' in page.replace(", ", ",").replace(": [", ":[")
