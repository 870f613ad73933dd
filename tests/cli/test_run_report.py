"""What a run says of itself: the report, the log, and the photos that ``--verbose`` names."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from fixtures import Command, MakePhoto, StartProcess
from PIL import Image

from cropper._version import __version__
from cropper.cli import report as reports
from cropper.ledger.table import read_rows

FULL = Path("/dev/full")
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[-+][0-9]{4} "
SMALL = ("--size", "64x36")


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto, plain_rule: None) -> Path:
    for seed in range(3):
        make_photo(tmp_path / "in" / f"{seed}.jpg", seed=seed)
    (tmp_path / "in" / "notes.txt").write_text("no photo")
    return tmp_path / "in"


def read(text: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The lines of the photos, and the last one."""
    *lines, last = map(json.loads, text.splitlines())
    return lines, last


def test_a_report_has_a_line_for_each_photo_and_the_totals_last(cropper: Command, photos: Path, tmp_path: Path) -> None:
    options = (*SMALL, "--size", "20x20", "--quality", "80", "--report", "report.jsonl")
    assert cropper("batch", photos, "out", *options)[0] == 0
    (photos / "1.jpg").write_bytes(b"")
    Image.new("RGB", (32, 16)).save(photos / "3.png")
    assert cropper("batch", photos, "out", *options)[0] == 1
    lines, last = read((tmp_path / "report.jsonl").read_text())
    assert [(line["path"], line["outcome"], line["outputs"]) for line in lines] == [
        ("0.jpg", "unchanged", ["64x36/0.jpg", "20x20/0.jpg"]),
        ("1.jpg", "failed", []),
        ("2.jpg", "unchanged", ["64x36/2.jpg", "20x20/2.jpg"]),
        ("3.png", "changed", ["64x36/3.png", "20x20/3.png"]),
    ]
    assert [line["why"] for line in lines] == [None, "the file is empty; copy it again from where it came from", None, None]
    assert [line["seconds"] > 0 for line in lines] == [False, True, False, True]
    seconds = last.pop("seconds")
    assert seconds > sum(line["seconds"] for line in lines) / (os.cpu_count() or 1)
    totals = {name: number for name, number in last.pop("totals").items() if number}
    assert totals == {"photos": 4, "changed": 1, "unchanged": 2, "failed": 1, "smaller": 1, "passed_over": 1}
    assert last == {
        "version": __version__,
        "source": str(photos),
        "out": str(tmp_path / "out"),
        "options": {"size": ["64x36", "20x20"], "quality": "80", "report": "report.jsonl"},
        "exit_code": 1,
        "why": None,
    }


def test_a_photo_with_a_new_time_alone_is_made_and_its_file_is_left_alone(cropper: Command, photos: Path, tmp_path: Path) -> None:
    run = ("batch", photos, "out", *SMALL, "--report", "-")
    lines, _ = read(cropper(*run)[1])
    assert [line["written"] for line in lines] == [line["outputs"] for line in lines] == [["0.jpg"], ["1.jpg"], ["2.jpg"]]
    before = (tmp_path / "out/0.jpg").stat().st_mtime_ns
    os.utime(photos / "0.jpg")
    shutil.copy(photos / "2.jpg", photos / "1.jpg")
    lines, last = read(cropper(*run)[1])
    assert [(line["outcome"], line["written"]) for line in lines] == [("changed", []), ("changed", ["1.jpg"]), ("unchanged", [])]
    assert (last["totals"]["changed"], last["totals"]["same"]) == (2, 1)
    assert (tmp_path / "out/0.jpg").stat().st_mtime_ns == before
    assert read(cropper(*run, "--force")[1])[1]["totals"]["same"] == 3


def test_a_report_names_the_thumbnails_that_were_removed(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper("batch", photos, "out", *SMALL)[0] == 0
    for number in range(3):  # the last report begins with a removal, and takes the place of another one
        (photos / f"{number}.jpg").unlink()
        assert cropper("batch", photos, "out", *SMALL, "--prune", "--report", "report.jsonl", "--allow-empty")[0] == 0
        lines, last = read((tmp_path / "report.jsonl").read_text())
        assert [line["removed"] for line in lines if "removed" in line] == [f"{number}.jpg"]
        assert last["totals"]["pruned"] == 1


def test_a_report_on_stdout_is_all_of_it(cropper: Command, photos: Path) -> None:
    code, out, err = cropper("batch", photos, "out", *SMALL, "--report", "-", "-q")
    lines, last = read(out)
    assert (code, err, len(lines), last["totals"]["changed"]) == (0, "", 3, 3)


def test_a_report_says_why_photos_were_skipped(cropper: Command, photos: Path) -> None:
    options = ("--aspect", "9:1", "--otherwise", "skip", "--min-kept", "1")
    _, out, _ = cropper("batch", photos, "out", *options, "--report", "-")
    lines, last = read(out)
    assert {line["outcome"] for line in lines} == {"skipped"}
    assert all(line["why"].startswith("skipped") and not line["outputs"] for line in lines)
    assert last["totals"]["skipped"] == 3


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text")
def test_a_name_that_is_no_text_comes_back_from_a_report(cropper: Command, photos: Path) -> None:
    (photos / "0.jpg").rename(photos / os.fsdecode(b"caf\xe9.jpg"))
    lines, _ = read(cropper("batch", photos, "out", *SMALL, "--report", "-")[1])
    assert [os.fsencode(line["path"]) for line in lines][-1] == b"caf\xe9.jpg"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_has_a_line_too(cropper: Command, photos: Path) -> None:
    (photos / "locked").mkdir(mode=0)
    lines, last = read(cropper("batch", photos, "out", *SMALL, "--report", "-")[1])
    assert [line["path"] for line in lines if line["outcome"] == "failed"] == ["locked/"]
    assert (last["totals"]["photos"], last["totals"]["folders_failed"], last["exit_code"]) == (3, 1, 1)


@pytest.mark.parametrize("option", ["--report", "--log-file"])
@pytest.mark.parametrize(
    ("file", "said"),
    [("in/0.jpg/a", "cannot be written (Not a directory); give another name"), ("in/0.jpg", "holds something else")],
)
def test_a_file_that_cannot_be_written_is_one_line_before_anything_is_made(
    cropper: Command, photos: Path, tmp_path: Path, option: str, file: str, said: str
) -> None:
    before = (photos / "0.jpg").read_bytes()
    code, out, err = cropper("batch", "in", "out", *SMALL, option, file)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"cropper: {file}: {said}")
    assert not (tmp_path / "out").exists()
    assert (photos / "0.jpg").read_bytes() == before


@pytest.mark.skipif(not FULL.exists(), reason="needs Linux's /dev/full")
def test_a_disk_that_fills_ends_the_report_alone(cropper: Command, photos: Path, tmp_path: Path) -> None:
    code, _, err = cropper("batch", photos, "out", *SMALL, "--report", FULL)
    assert (code, err.count("\n")) == (0, 2)
    said = "cropper: /dev/full: cannot be written (No space left on device); the run goes on without this report\n"
    assert err.startswith(said)
    assert [row.status for row in read_rows(tmp_path / "out/boxes.csv")] == ["ok"] * 3


@pytest.mark.skipif(not FULL.exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_stdout_that_takes_nothing_is_one_line_before_anything_is_made(
    photos: Path, tmp_path: Path, cropper_process: StartProcess, is_closed: bool
) -> None:
    close = (lambda: os.close(1)) if is_closed else None
    with (
        FULL.open("wb") as full,
        cropper_process("batch", "in", "out", *SMALL, "--report", "-", stdout=full, preexec_fn=close) as process,
    ):
        err = process.communicate(timeout=60)[1]
    why = b"it is closed" if is_closed else b"No space left on device"
    assert (process.returncode, err) == (2, b"cropper: stdout: cannot be written (%s)\n" % why)
    assert not (tmp_path / "out").exists()


def test_a_reader_that_goes_ends_the_report_alone(photos: Path, tmp_path: Path, cropper_process: StartProcess) -> None:
    with cropper_process("batch", "in", "out", *SMALL, "--report", "-") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read().decode().splitlines()
    assert err[0] == "cropper: stdout: cannot be written (Broken pipe); the run goes on without this report"
    assert (process.returncode, len(err)) == (0, 2)
    assert [row.status for row in read_rows(tmp_path / "out/boxes.csv")] == ["ok"] * 3


def test_a_file_that_no_longer_takes_lines_keeps_the_whole_ones(tmp_path: Path) -> None:
    from cropper.engine.job import Done
    from cropper.engine.tally import Counts
    from cropper.ledger.table import Row

    class Filling(FileIO):
        def write(self, data: Any) -> int:
            if self.tell() > 150:
                raise OSError(28, "No space left on device")
            return super().write(bytes(data)[:40])

    said: list[str] = []
    with Filling(tmp_path / "report", "a") as file:
        report = reports.Report(file, "report", is_file=True)
        report.begin(Counts())
        for number in range(5):
            report.add(Done(f"{number}.jpg", (Row(f"{number}.jpg", "", "ok"),)), said.append)
    lines = (tmp_path / "report").read_text()
    assert lines.endswith("}\n")
    assert [json.loads(line)["path"] for line in lines.splitlines()] == ["0.jpg"]
    assert said == ["report: cannot be written (No space left on device); the run goes on without this report"]


def test_a_run_that_fails_as_a_whole_says_so_in_its_last_line(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "boxes.csv").write_text("not,ours\n")
    code, out, err = cropper("batch", photos, "out", *SMALL, "--report", "-")
    lines, last = read(out)
    assert (code, lines, last["exit_code"]) == (2, [], 2)
    assert err == f"cropper: {last['why']}\n"


def test_a_report_goes_on_behind_the_last_photo_that_the_run_knows_of(tmp_path: Path) -> None:
    from cropper.engine.job import Done
    from cropper.engine.tally import Counts
    from cropper.ledger.table import Row

    def begin(state: bytes, *names: str) -> list[bytes]:
        counts, _ = Counts.after(state)
        states = []
        with (tmp_path / "report").open("ab", buffering=0) as file:
            report = reports.Report(file, "report", is_file=True)
            report.begin(counts)
            for name in names:
                done = Done(name, (Row(name, "", "ok"),))
                counts.add(done)
                report.add(done, print)
                states.append(counts.until(done))
        return states

    state = begin(b"", "a", "b", "c")[1]  # killed between c's line and its state
    begin(state, "c", "d")
    assert [json.loads(line)["path"] for line in (tmp_path / "report").read_text().splitlines()] == ["a", "b", "c", "d"]
    begin(b"", "a")  # another run
    assert [json.loads(line)["path"] for line in (tmp_path / "report").read_text().splitlines()] == ["a"]


@pytest.mark.skipif(os.name == "nt", reason="signals are others there")
@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_a_run_that_is_stopped_leaves_whole_lines(
    photos: Path, make_photo: MakePhoto, tmp_path: Path, cropper_process: StartProcess, how: str
) -> None:
    data = make_photo(photos / "0.jpg", 640, 480).read_bytes()
    for number in range(300):  # of one shape, so that no photo waits long for a batch of its own
        (photos / f"{number}.jpg").write_bytes(data)
    with cropper_process("batch", "in", "out", *SMALL, "-j", "1", "--report", "-") as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(getattr(signal, how))
        text = first + process.stdout.read()
    assert text.endswith(b"}\n")
    whole = [json.loads(line) for line in text.splitlines()]
    assert len(whole) < 300
    assert ("totals" in whole[-1]) == (how == "SIGTERM")
    if how == "SIGTERM":
        assert (whole[-1]["exit_code"], whole[-1]["totals"]["photos"]) == (130, len(whole) - 1)


def test_verbose_names_each_photo_and_what_became_of_it(cropper: Command, photos: Path) -> None:
    (photos / "1.jpg").write_bytes(b"")
    shapes = (*SMALL, "--aspect", "1:1")
    _, _, err = cropper("batch", photos, "out", *shapes, "-v")
    failure = f"cropper: {photos}/1.jpg: the file is empty; copy it again from where it came from"
    assert err.splitlines()[:3] == [
        f"cropper: {photos}/0.jpg: changed 64x36, 64x64",
        failure,
        f"cropper: {photos}/2.jpg: changed 64x36, 64x64",
    ]
    _, _, err = cropper("batch", photos, "out", *shapes, "--verbose")
    assert err.splitlines()[:3] == [f"cropper: {photos}/0.jpg: unchanged", failure, f"cropper: {photos}/2.jpg: unchanged"]
    _, _, err = cropper("batch", photos, "decided", *shapes, "-v", "--dry-run")
    assert err.splitlines()[0] == f"cropper: {photos}/0.jpg: changed 64x36, 1:1"


def test_verbose_and_quiet_contradict_each_other_unless_one_is_nearer(cropper: Command, photos: Path, tmp_path: Path) -> None:
    said = "cropper: --verbose and --quiet contradict each other; give one of them\n"
    assert cropper("batch", photos, "out", *SMALL, "-vq") == (2, "", said)
    (tmp_path / "my.toml").write_text("[batch]\nverbose = true\n")
    assert cropper("--config", "my.toml", "batch", photos, "out", *SMALL, "-q") == (0, "", "")
    (tmp_path / "my.toml").write_text("quiet = true\n")
    assert "0.jpg: unchanged" in cropper("--config", "my.toml", "batch", photos, "out", *SMALL, "-v")[2]


def test_a_log_has_every_message_with_the_time_and_is_added_to(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (photos / "1.jpg").write_bytes(b"")
    expected = []
    for quiet in ((), ("-q",)):
        _, _, err = cropper("batch", photos, "out", *SMALL, "--log-file", "log", *quiet)
        expected.append(err.splitlines())
    cropper("batch", photos, "out", "--log-file", "log", "--size", "0")  # wrong usage comes before anything else
    logged = (tmp_path / "log").read_text().splitlines()
    assert all(re.match(TIME + "cropper: ", line) for line in logged)
    said = [re.sub(TIME, "", line) for line in logged]
    assert said[:2] == expected[0]
    assert said[2:3] == expected[1]
    assert said[3].startswith("cropper: 3 photos: 0 done, 2 unchanged, 1 failed")
    assert said[4].startswith("cropper: Invalid value for '--size'")
    assert len(said) == 5
    cropper("boxes", photos)
    assert len((tmp_path / "log").read_text().splitlines()) == 5


@pytest.mark.skipif(not FULL.exists(), reason="needs Linux's /dev/full")
def test_a_log_that_cannot_be_written_any_more_ends_no_run(cropper: Command, photos: Path) -> None:
    code, _, err = cropper("batch", photos, "out", *SMALL, "--log-file", "/dev/full")
    assert (code, err.count("\n")) == (0, 1)
