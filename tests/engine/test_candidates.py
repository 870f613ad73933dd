"""``cropper batch --candidates``: a thumbnail of each of several crops of a photo."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures import Command, imread

from cropper.engine.batch import fingerprint
from cropper.engine.corrections import corrected
from cropper.errors import UsageError
from cropper.ledger.focus_file import read_focus_file
from cropper.ledger.table import OK, SKIPPED, TABLE_NAME, read_rows
from cropper.settings import Choosing, Settings, Target
from cropper.storage.naming import paths_of
from cropper.storage.templates import template_of
from cropper.views.review.page import best_of_each_size

TALL = Target((1, 2))
THREE = tuple(replace(TALL, candidate=number) for number in (1, 2, 3))
NO_FURTHER, ONE_BY_HAND = "the photo has no further crop that differs", "the focus given is for one crop alone"
RUN = ("batch", "in", "out", "--aspect", "1:2", "--candidates")


@pytest.fixture
def photos(samples: Path, tmp_path: Path) -> Path:
    """One photo with three places for a tall crop, and one with a single one."""
    (tmp_path / "in").mkdir()
    for name, sample in (("bird.jpg", "wren.jpg"), ("drum.jpg", "drum.jpg")):
        shutil.copy(samples / sample, tmp_path / "in" / name)
    return tmp_path / "in"


def files(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.jpg"))


def test_each_candidate_has_its_file_and_its_row_the_best_first(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper(*RUN, "3", "--report", "run.jsonl")[0] == 0
    made = ["candidate-1/bird.jpg", "candidate-1/drum.jpg", "candidate-2/bird.jpg", "candidate-3/bird.jpg"]
    assert files(tmp_path / "out") == made
    rows = list(read_rows(tmp_path / "out" / TABLE_NAME))
    assert [(row.path, row.output, row.status) for row in rows] == [
        ("bird.jpg", "candidate-1/bird.jpg", OK),
        ("bird.jpg", "candidate-2/bird.jpg", OK),
        ("bird.jpg", "candidate-3/bird.jpg", OK),
        ("drum.jpg", "candidate-1/drum.jpg", OK),
        ("drum.jpg", "", SKIPPED),
        ("drum.jpg", "", SKIPPED),
    ]
    assert {row.message for row in rows if row.status == SKIPPED} == {NO_FURTHER}
    assert [row.candidate for row in rows] == ["1", "2", "3"] * 2
    kept = [float(row.kept) for row in rows[:3]]
    assert kept == sorted(kept, reverse=True)
    assert len({row.x for row in rows[:3]}) == 3
    for row in rows[:4]:
        assert imread(str(tmp_path / "out" / row.output)).shape[:2] == (int(row.height), int(row.width))
    bird = json.loads((tmp_path / "run.jsonl").read_text().splitlines()[0])
    assert (bird["outputs"], [box["candidate"] for box in bird["boxes"]]) == (made[:1] + made[2:], [1, 2, 3])
    # As 'cropper boxes' says.
    printed = [
        json.loads(line) for line in cropper("boxes", "in/bird.jpg", "--aspect", "1:2", "--candidates", "3")[1].splitlines()
    ]
    assert [(str(line["x"]), line["candidate"]) for line in printed] == [(row.x, int(row.candidate)) for row in rows[:3]]
    # As a run that makes nothing says, and a merge.
    assert cropper(*RUN, "3", "--report", "run.jsonl")[0] == 0
    again = json.loads((tmp_path / "run.jsonl").read_text().splitlines()[0])
    assert (again["outcome"], again["boxes"]) == ("unchanged", bird["boxes"])
    assert cropper("ledger", "merge", "out/boxes.csv", "-o", "merged.csv")[0] == 0
    assert (tmp_path / "merged.csv").read_bytes() == (tmp_path / "out" / TABLE_NAME).read_bytes()


def test_a_second_run_makes_nothing_and_one_with_fewer_prunes_the_rest(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper(*RUN, "3")[0] == 0
    assert "2 unchanged" in cropper(*RUN, "3")[2]
    assert "1 old thumbnail removed" in cropper(*RUN, "2", "--prune")[2]
    assert files(tmp_path / "out") == ["candidate-1/bird.jpg", "candidate-1/drum.jpg", "candidate-2/bird.jpg"]
    assert not (tmp_path / "out/candidate-3").exists()
    (tmp_path / "out/candidate-2/mine.txt").touch()
    assert cropper(*RUN, "1", "--prune")[0] == 0
    assert files(tmp_path / "out") == ["bird.jpg", "drum.jpg"]
    assert [path.name for path in (tmp_path / "out").glob("candidate-*")] == ["candidate-2"]


def test_what_is_given_by_hand_stands_for_all_candidates_until_it_is_taken_back(
    cropper: Command, photos: Path, tmp_path: Path
) -> None:
    assert cropper(*RUN, "3")[0] == 0
    (tmp_path / "focus.csv").write_text("path,x,y\nbird.jpg,400,150\n")
    code, _, err = cropper(*RUN, "3", "--focus", "focus.csv")
    assert code == 0
    assert "1 crop by hand; 2 thumbnails are not needed any more: --prune removes them" in err
    assert len(files(tmp_path / "out")) == 4
    assert [row.message for row in read_rows(tmp_path / "out" / "boxes.csv")][:3] == ["focus given", *2 * [ONE_BY_HAND]]
    assert "2 old thumbnails removed" in cropper(*RUN, "3", "--focus", "focus.csv", "--prune")[2]
    assert files(tmp_path / "out") == ["candidate-1/bird.jpg", "candidate-1/drum.jpg"]
    assert "2 unchanged" in cropper(*RUN, "3", "--focus", "focus.csv")[2]
    assert cropper(*RUN, "3", "--focus", "none")[0] == 0
    assert len(files(tmp_path / "out")) == 4


def test_all_widths_of_a_shape_show_the_same_candidates(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper(*RUN, "2", "--width", "60", "--width", "120", "--name", "{stem}-{width}-{candidate}.{ext}")[0] == 0
    assert files(tmp_path / "out") == [
        "bird-120-1.jpg",
        "bird-120-2.jpg",
        "bird-60-1.jpg",
        "bird-60-2.jpg",
        "drum-120-1.jpg",
        "drum-60-1.jpg",
    ]
    boxes = {row.output: row.x for row in read_rows(tmp_path / "out" / TABLE_NAME) if row.output}
    assert boxes["bird-60-1.jpg"] == boxes["bird-120-1.jpg"] != boxes["bird-60-2.jpg"] == boxes["bird-120-2.jpg"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--one",), "--one makes one file a photo, and --candidates several; leave out one of them"),
        (("--manifest", "m.json"), "--manifest has one crop of each shape, and --candidates makes several"),
        (("--name", "{stem}.{ext}"), "add {candidate}, which differs"),
    ],
)
def test_what_goes_with_one_crop_alone_is_refused(
    cropper: Command, photos: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    code, _, err = cropper(*RUN, "3", *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert said in err
    assert not (tmp_path / "out").exists()


def test_of_one_and_candidates_the_command_line_outranks_a_file(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "three.toml").write_text("candidates = 3\n")
    assert cropper("--config", "three.toml", "batch", "in", "out", "--aspect", "1:2", "--aspect", "2:1", "--one")[0] == 0
    assert files(tmp_path / "out") == ["bird.jpg", "drum.jpg"]
    (tmp_path / "one.toml").write_text("[batch]\none = true\n")
    assert cropper("--config", "one.toml", "batch", "in", "three", "--aspect", "1:2", "--candidates", "2")[0] == 0
    assert "candidate-2/bird.jpg" in files(tmp_path / "three")


def test_a_flat_folder_has_one_for_each_candidate(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper(*RUN, "2", "--aspect", "1:1", "--flat")[0] == 0
    assert "1-2/candidate-2/bird.jpg" in files(tmp_path / "out")


def test_the_review_page_and_the_sheet_take_candidates(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper(*RUN, "3")[0] == 0
    assert cropper("review", "out")[0] == 0
    page = (tmp_path / "out" / "review.html").read_text(encoding="utf-8")
    assert "--aspect 1:2 --candidates 3 --focus focus.csv" in page
    rows = list(read_rows(tmp_path / "out" / TABLE_NAME))[:3]
    assert best_of_each_size(rows) == rows[:1]
    assert cropper("sheet", "out") == (0, "sheet.jpg\n", "")


def test_of_a_good_photo_the_best_candidate_is_learned(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper(*RUN, "3")[0] == 0
    ((photo,), _) = corrected(tmp_path / "out", ["bird.jpg"])
    assert [row.output for row in photo.rows] == ["candidate-1/bird.jpg"]


def test_candidates_lie_below_their_size(cropper: Command) -> None:
    assert paths_of(THREE, "trip", "a.jpg")[1] == "candidate-2/trip/a.jpg"
    assert paths_of((*THREE, Target((1, 1), candidate=1)), "trip", "a.jpg")[1] == "1-2/candidate-2/trip/a.jpg"


def test_a_template_that_needs_two_more_fields_says_both() -> None:
    with pytest.raises(
        UsageError, match=r"1:2 candidate 1 and 1:2 candidate 2 one name; add {candidate} and {aspect}, which diff"
    ):
        template_of("{stem}.{ext}", (*THREE, *(replace(one, aspect=(1, 1)) for one in THREE)))


def test_runs_without_candidates_have_the_fingerprint_they_had() -> None:
    assert "candidate" not in json.loads(fingerprint(Settings((TALL,))))["targets"][0]
    assert fingerprint(Settings(THREE, choosing=Choosing(candidates=3))) != fingerprint(Settings((TALL,)))


def test_a_table_with_candidates_gives_the_best_of_each_by_hand(tmp_path: Path) -> None:
    table = tmp_path / "boxes.csv"
    rows = ["a.jpg,ok,1:2,1,0", "a.jpg,ok,1:2,7,0", "a.jpg,skipped,1:2,,", "a.jpg,ok,1:1,3,0", "b.jpg,ok,1:2,5,0"]
    table.write_text("\n".join(["path,status,size,x,y", *rows, ""]))
    assert [(path, size, given.x if given else None) for path, size, given in read_focus_file(table)] == [
        ("a.jpg", "1:2", 1),
        ("a.jpg", "1:1", 3),
        ("b.jpg", "1:2", 5),
    ]


def test_a_table_that_somebody_sorted_or_cut_gives_the_best_candidate_in_it(tmp_path: Path) -> None:
    table = tmp_path / "boxes.csv"
    rows = ["a.jpg,ok,1:2,7,0,2", "b.jpg,ok,1:2,5,0,3", "a.jpg,ok,1:2,1,0,1", "b.jpg,ok,1:2,4,0,2", "c.jpg,skipped,1:2,,,1"]
    table.write_text("\n".join(["path,status,size,x,y,candidate", *rows, ""]))
    found = [(path, size, given.x if given else None) for path, size, given in read_focus_file(table)]
    assert found == [("a.jpg", "1:2", 1), ("b.jpg", "1:2", 4)]


def test_prune_removes_folders_that_it_empties_and_no_others(cropper: Command, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in ("a/b/1.jpg", "a/b/2.jpg", "c/3.jpg"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / "drum.jpg", photos / name)
    run = ("batch", "in", "out", "--size", "30x20", "--prune", "-q")
    assert cropper(*run)[0] == 0
    (out / "empty").mkdir()
    (photos / "a/b/1.jpg").unlink()
    (photos / "c/3.jpg").unlink()
    assert cropper(*run)[0] == 0
    assert files(out) == ["a/b/2.jpg", "bird.jpg", "drum.jpg"]
    (photos / "a/b/2.jpg").unlink()
    assert cropper(*run)[0] == 0
    assert sorted(path.name for path in out.iterdir()) == [".cropper", "bird.jpg", "boxes.csv", "drum.jpg", "empty"]
