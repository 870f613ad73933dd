"""``cropper tune``: what it prints, what it writes into which file, and what it leaves alone."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures import Command, imread, write_rows

from cropper.choosing.decide import BY_HAND
from cropper.cli import tuned
from cropper.cli.config import parsed
from cropper.engine import batch
from cropper.errors import UsageError
from cropper.geometry import Box
from cropper.ledger.last_run import last_run_of
from cropper.ledger.table import OK, Row, decided_row, read_rows
from cropper.settings import WEIGHTS, Settings, Target, Weights

WIDTH, HEIGHT = 120, 60
LEARNED = replace(WEIGHTS, place=0.5, across=0.3)
TABLE = "[choosing]\n# Learned by 'cropper tune'. Delete this table to undo it.\nplace = 0.5\nacross = 0.3\n"


@pytest.fixture
def place(tmp_path: Path) -> list[Row]:
    """Forty photos with a dot, in boxes by hand that have it at their left third."""
    random, rows = np.random.default_rng(2), []
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for number in range(40):
        x = int(random.integers(30, 90))
        pixels = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
        cv2.circle(pixels, (x, 30), 6, (30, 60, 250), cv2.FILLED)
        cv2.imwrite(str(tmp_path / "in" / f"{number}.png"), pixels)
        box = Box(min(max(x - HEIGHT // 3, 0), WIDTH - HEIGHT), 0, HEIGHT, HEIGHT, 0.5, (x, 30))
        rows.append(decided_row(f"{number}.png", f"{number}.png", OK, (WIDTH, HEIGHT), "1:1", box, BY_HAND))
    write_rows(tmp_path / "out" / "boxes.csv", rows)
    return rows


def test_what_is_learned_goes_into_the_file_and_every_command_heeds_it(
    cropper: Command, place: list[Row], tmp_path: Path
) -> None:
    before = b'# mine\r\n[boxes]\r\naspect = "1:1"  # square\r\n'
    (tmp_path / "cropper.toml").write_bytes(before)
    boxes = ("boxes", "in/3.png", "-q", "--aspect", "1:1")
    _, first, _ = cropper(*boxes)
    code, out, _ = cropper("tune", "out", "--photos", "in", "--dry-run", "-q")
    assert code == 0
    assert all(said in out for said in ("met before", "met after", "[choosing]"))
    assert (tmp_path / "cropper.toml").read_bytes() == before
    code, out, err = cropper("tune", "out", "--photos", "in")
    assert code == 0
    assert "wrote [choosing] into cropper.toml" in out
    assert "cropper batch IN out" in err
    after = (tmp_path / "cropper.toml").read_bytes()
    assert after.startswith(before)
    assert b"\n" not in after.replace(b"\r\n", b"")
    assert tuned.weights_of(parsed(after, Path("x"))["choosing"], Path("x")) != WEIGHTS
    _, second, _ = cropper(*boxes)
    assert json.loads(first)["x"] != json.loads(second)["x"]
    assert cropper("--no-config", *boxes)[1] == first
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_what_follows_a_taste_says_so_and_how_to_undo_it(cropper: Command, place: list[Row], tmp_path: Path) -> None:
    said = "cropper: boxes follow your taste, from [choosing] in cropper.toml; delete this table to undo it\n"
    learned_from = cropper("tune", "out", "--photos", "in")[2]
    assert (
        "it holds for every later batch, watch, boxes, crop and show that you run in this folder; to undo it, delete"
        in learned_from
    )
    assert "it holds for shapes that you did not correct, too: review them" in learned_from
    batch = ("batch", "in", "made", "--aspect", "1:1")
    assert said in cropper(*batch)[2]
    assert "made: its boxes follow the taste that 'cropper tune' learned\n" in cropper("review", "made")[2]
    assert b'"taste":true' in (tmp_path / "made" / "review.html").read_bytes()
    assert "taste" not in cropper(*batch, "-q")[2]
    (tmp_path / "cropper.toml").unlink()
    assert "taste" not in cropper(*batch)[2]
    assert "taste" not in cropper("review", "made")[2]
    assert b'"taste":false' in (tmp_path / "made" / "review.html").read_bytes()
    (tmp_path / "mine.toml").touch()
    assert (
        "crop and show with --config mine.toml; to undo" in cropper("--config", "mine.toml", "tune", "out", "--photos", "in")[2]
    )


def test_what_is_not_better_is_not_written_and_says_what_would_help(cropper: Command, place: list[Row], tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    rows = [replace(row, x=str(random.integers(0, WIDTH - HEIGHT))) for row in place]
    write_rows(tmp_path / "out" / "boxes.csv", rows)
    code, out, err = cropper("tune", "out", "--photos", "in")
    said = "not better beyond noise: nothing is written; 100 corrections or more do better"
    assert (code, out.splitlines()[-1], err) == (0, said, "")
    assert not (tmp_path / "cropper.toml").exists()
    (tmp_path / "cropper.toml").write_text("")
    assert "cropper.toml stays as it is; 100" in cropper("tune", "out", "--photos", "in")[1]


def test_few_corrections_are_not_enough(cropper: Command, place: list[Row], tmp_path: Path) -> None:
    write_rows(tmp_path / "out" / "boxes.csv", [*place[:12], *(replace(row, message="") for row in place[12:])])
    said = "not enough to learn from: 12 corrections, about 30 are needed\n"
    assert cropper("tune", "out", "--photos", "in") == (0, said, "")
    assert not (tmp_path / "cropper.toml").exists()


def test_good_photos_count_and_tighter_boxes_do_not(cropper: Command, place: list[Row], tmp_path: Path) -> None:
    rows = [*place[:12], *(replace(row, message="") for row in place[12:30]), replace(place[30], width="20", height="20")]
    write_rows(tmp_path / "out" / "boxes.csv", rows)
    (tmp_path / "good.txt").write_bytes("".join(f"{row.path}\r\n" for row in rows[12:20]).encode())
    code, out, err = cropper("tune", "out", "--photos", "in", "--good", "good.txt")
    assert (code, out) == (0, "not enough to learn from: 20 corrections, about 30 are needed\n")
    assert err == "cropper: left out 1 box that is tighter than the largest\n"


def test_good_photos_that_out_does_not_have_are_said(cropper: Command, place: list[Row], tmp_path: Path) -> None:
    write_rows(tmp_path / "out" / "boxes.csv", place[:5])
    (tmp_path / "good.txt").write_text("3.png\nnope.jpg\nnone.jpg\n")
    code, _, err = cropper("tune", "out", "--photos", "in", "--good", "good.txt")
    assert (code, err) == (0, "cropper: good.txt: OUT has no photo none.jpg and 1 more; write paths as in boxes.csv\n")


def test_a_photo_that_is_gone_or_changed_costs_only_itself(cropper: Command, place: list[Row], tmp_path: Path) -> None:
    (tmp_path / "in" / "0.png").unlink()
    write_rows(tmp_path / "out" / "boxes.csv", [*place[:5], replace(place[5], image_width="121"), *place[6:20]])
    code, out, err = cropper("tune", "out", "--photos", "in")
    assert (code, out) == (1, "not enough to learn from: 18 corrections, about 30 are needed\n")
    assert len(err.splitlines()) == 2
    assert "5.png: has another size than when it was corrected" in err


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", TABLE),
        ("[batch]\njobs = 2", "[batch]\njobs = 2\n\n" + TABLE),
        ("[choosing]\nroom = 0.3\n\n# next\n[batch]\njobs = 2\n", TABLE + "\n# next\n[batch]\njobs = 2\n"),
        ("[boxes]\n" + TABLE.replace("0.5", "0.9") + "[batch]\n", "[boxes]\n" + TABLE + "[batch]\n"),
    ],
)
def test_the_rest_of_a_file_stays_byte_for_byte(tmp_path: Path, before: str, after: str) -> None:
    file = tmp_path / "cropper.toml"
    if before:
        file.write_text(before)
        file.chmod(0o640)
    for _ in range(2):
        tuned.write(file, LEARNED)
        assert file.read_text() == after
    if before:
        assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "before",
    [
        "choosing = { room = 0.3 }\n",
        "choosing.room = 0.3\n",
        "[choosing]\n\nroom = 0.3\n",
    ],
)
def test_a_file_that_cannot_be_edited_safely_stays(tmp_path: Path, before: str) -> None:
    file = tmp_path / "cropper.toml"
    file.write_text(before)
    with pytest.raises(UsageError, match="cannot be replaced"):
        tuned.write(file, LEARNED)
    assert file.read_text() == before


def test_a_text_that_looks_like_the_table_is_none(tmp_path: Path) -> None:
    file = tmp_path / "cropper.toml"
    file.write_text(before := 'x = """\n[choosing]\n"""\n')
    with pytest.raises(UsageError, match="cannot be added to it"):
        tuned.write(file, LEARNED)
    assert file.read_text() == before


PROJECT = '[project]\nname = "shop"\n\n[tool.cropper]\naspect = "1:1"\n'
OURS = TABLE.replace("choosing", "tool.cropper.choosing", 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (PROJECT, PROJECT + "\n" + OURS),
        (PROJECT + "[choosing]\nroom = 1\n", PROJECT + "[choosing]\nroom = 1\n\n" + OURS),
        (
            PROJECT + "[ tool . cropper.choosing ]\nroom = 1\n[tool.black]\nline-length = 1.5e3\n",
            PROJECT + OURS + "[tool.black]\nline-length = 1.5e3\n",
        ),
    ],
)
def test_in_a_pyproject_the_table_is_that_of_cropper(tmp_path: Path, before: str, after: str) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(before)
    for _ in range(2):
        tuned.write(file, LEARNED)
        assert file.read_text() == after


@pytest.mark.parametrize("before", ['[tool]\ncropper = {aspect = "1:1"}\n', "[tool.cropper]\nchoosing.room = 1\n[a]\n"])
def test_a_pyproject_that_cannot_be_edited_safely_stays(tmp_path: Path, before: str) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(before)
    with pytest.raises(UsageError, match=r"\[tool.cropper.choosing\].* run the same command again"):
        tuned.write(file, LEARNED)
    assert file.read_text() == before


def test_weights_are_written_where_the_options_of_the_photos_are(
    cropper: Command, place: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    (tmp_path / "home/cropper").mkdir(parents=True)
    own = tmp_path / "home/cropper/config.toml"
    own.write_text(mine := "[choosing]\nroom = 0.3\n")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    code, out, _ = cropper("tune", "out", "--photos", "in")
    assert code == 0
    assert "wrote [tool.cropper.choosing] into pyproject.toml\n" in out
    assert own.read_text() == mine
    assert (tmp_path / "pyproject.toml").read_text().startswith(PROJECT)
    assert not (tmp_path / "cropper.toml").exists()


def test_the_weights_of_the_nearest_file_count_as_a_whole(
    cropper: Command, place: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    (tmp_path / "home/cropper").mkdir(parents=True)
    own, near = tmp_path / "home/cropper/config.toml", tmp_path / "cropper.toml"
    found: list[Weights] = []
    current = tuned.current

    def kept() -> Weights:
        found.append(current())
        return found[-1]

    monkeypatch.setattr(tuned, "current", kept)
    own.write_text("[choosing]\nplace = 1\nacross = 0.2\n")
    cropper("boxes", "in/3.png")
    near.write_text("[choosing]\nroom = 0.3\n")
    cropper("boxes", "in/3.png")
    near.write_text('aspect = "1:1"\n')
    cropper("boxes", "in/3.png")
    cropper("--no-config", "boxes", "in/3.png")
    far = replace(WEIGHTS, place=1.0, across=0.2)
    assert found == [far, replace(WEIGHTS, room=0.3), far, WEIGHTS]


def test_batch_boxes_crop_and_show_agree_on_learned_weights(cropper: Command, place: list[Row], tmp_path: Path) -> None:
    (tmp_path / "cropper.toml").write_text('aspect = "1:1"\n' + TABLE)
    cropper("batch", "in", "new", "-q")
    rows = {row.path: row for row in read_rows(tmp_path / "new/boxes.csv")}
    boxes = json.loads(cropper("boxes", "in/3.png", "-q")[1])
    assert [str(boxes[name]) for name in ("x", "y", "width", "height")] == [
        getattr(rows["3.png"], name) for name in ("x", "y", "width", "height")
    ]
    assert boxes != json.loads(cropper("--no-config", "boxes", "in/3.png", "--aspect", "1:1")[1])
    cropper("crop", "in/3.png", "-q", "-o", "one.png")
    assert np.array_equal(imread(str(tmp_path / "one.png")), imread(str(tmp_path / "new/3.png")))


def test_other_weights_make_crops_again_and_the_last_run_keeps_them(cropper: Command, place: list[Row], tmp_path: Path) -> None:
    line = ("batch", "in", "new", "--aspect", "1:1")
    assert "40 done" in cropper(*line)[2]
    (tmp_path / "cropper.toml").write_text(TABLE)
    assert "40 done" in cropper(*line)[2]
    assert "40 unchanged" in cropper(*line)[2]
    last = last_run_of(tmp_path / "new")
    assert last is not None
    assert last.settings.choosing.weights == LEARNED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[choosing]\nplaec = 1\n", "'plaec' in [choosing] is not one of subject, "),
        ("[choosing]\nplace = -1\n", "'place' in [choosing] cannot be -1: it must be a number from 0 to 10"),
        ("[choosing]\nacross = 1.5\n", "'across' in [choosing] cannot be 1.5: it must be a number from 0 to 1"),
        ("[choosing]\nroom = nan\n", "'room' in [choosing] cannot be nan"),
        ("[choosing]\nroom = true\n", "'room' in [choosing] cannot be True"),
        ('[choosing]\nroom = "1"\n', "'room' in [choosing] cannot be '1'"),
        ("choosing = 3\n", "'choosing' is not a table"),
    ],
)
def test_bad_values_are_said_in_one_line(cropper: Command, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "cropper.toml").write_text(text)
    code, out, err = cropper("formats")
    assert (code, out) == (2, "")
    assert err.startswith(f"cropper: cropper.toml: {said}")
    assert err.count("\n") == 1


def test_a_run_without_a_file_is_not_told_to_write_one(cropper: Command, place: list[Row]) -> None:
    code, _, err = cropper("--no-config", "tune", "out", "--photos", "in")
    assert code == 2
    assert "add --dry-run" in err


def test_weights_are_part_of_the_fingerprint_be_they_learned_or_not() -> None:
    """So that crops are made again when a release changes the defaults."""
    plain = Settings((Target((1, 1)),))
    learned = replace(plain, choosing=replace(plain.choosing, weights=LEARNED))
    for settings in (plain, learned):
        assert json.loads(batch.fingerprint(settings))["choosing"]["weights"] == asdict(settings.choosing.weights)
