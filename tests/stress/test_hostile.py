"""Hostile and broken files by the whole command: a small share of what tests/stress/hostile.py tries."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import hostile
import pytest
import unwritten
from fixtures import Command
from PIL import Image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="names and files that Windows does not have")

PATIENCE = 120  # a busy machine is no failure
JPEG = hostile.saved(Image.new("RGB", (320, 240), (90, 140, 60)), "JPEG")


def test_every_hostile_file_has_a_row_and_a_reason(tmp_path: Path) -> None:
    groups = hostile.groups(truncations=3, flips=4, with_large=False)
    for name, files in groups.items():
        hostile.fill(tmp_path / "in" / name.replace(": ", "/"), itertools.islice(files(), 0, None, 1 if ":" in name else 3))
    result = hostile.run(tmp_path / "in", tmp_path / "out", 2, PATIENCE)
    assert not result.complaints
    assert result.rows["ok"] > 100
    assert result.rows["failed"] > 100


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone fills fresh memory")
@pytest.mark.parametrize(("only", "count"), [("", 80), ("animated", 40)])
def test_no_pixel_of_a_mutated_file_comes_from_memory_that_nobody_wrote(only: str, count: int) -> None:
    compared = unwritten.compare(count, only)
    assert not compared.complaints
    assert compared.outcomes["ok"] > count / 5
    assert compared.outcomes["failed"] > count / 5


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    hostile.strange(tmp_path / "in")
    result = hostile.run(tmp_path / "in", tmp_path / "out", 2, PATIENCE)
    assert not result.complaints
    assert result.rows == {"ok": 2}
    assert result.code == 0


def test_headers_that_lie_cost_no_memory(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a.jpg").write_bytes(JPEG)
    files = {name: data for name, data in hostile.lying() if "6000" not in str(name)}
    hostile.fill(tmp_path / "in", iter(files.items()))
    hostile.fill(tmp_path / "in", iter([("one bit.png", hostile.png(65535, 65535, 1, 0, hostile.zeros(1 << 20)))]))
    plain = hostile.run(tmp_path / "plain", tmp_path / "plain out", 2, PATIENCE)
    result = hostile.run(tmp_path / "in", tmp_path / "out", 2, PATIENCE)
    assert not result.complaints
    assert result.peak_bytes < plain.peak_bytes + (400 << 20)


@pytest.mark.parametrize("options", [(), ("--salvage",)])
def test_truncated_photo_is_salvaged_by_the_command_where_asked(
    cropper: Command, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "in").mkdir()
    whole = (Path(hostile.SAMPLE)).read_bytes()
    (tmp_path / "in" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    code, _, said = cropper("batch", "in", "out", "--size", "64x36", *options)
    row = (tmp_path / "out" / "boxes.csv").read_text().splitlines()[1]
    if options:
        assert code == 0
        assert ",ok," in row
        assert ",salvaged: part of the photo is missing," in row
        assert (tmp_path / "out" / "half.jpg").exists()
    else:
        assert code == 1
        assert ",failed," in row
        assert "truncated" in said


@pytest.mark.parametrize(
    "command", [("batch", "in", "out"), ("boxes", "in"), ("crop", "in/a.jpg", "-o", "b.jpg"), ("show", "in/a.jpg")]
)
def test_max_pixels_holds_in_every_command(cropper: Command, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (2000, 1000)).save(tmp_path / "in" / "a.jpg")
    code, _, said = cropper(*command, "--max-pixels", "1")
    assert code == 1
    assert "in/a.jpg: it has more pixels than is safe to decode (2000 x 1000, 2 megapixels); allow them with --max-pixels" in said
    code, _, said = cropper(*command, "--max-pixels", "2")
    assert code == 0


@pytest.mark.parametrize("command", [("sheet", "out", "-o", "s.png"), ("review", "out")])
def test_what_looks_over_a_batch_takes_its_limits(cropper: Command, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (2000, 1000)).save(tmp_path / "in" / "a.jpg")
    whole = Path(hostile.SAMPLE).read_bytes()
    (tmp_path / "in" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    assert cropper("batch", "in", "out", "--salvage")[0] == 0
    code, _, said = cropper(*command, "--max-pixels", "1", "--salvage")
    assert (code == 1 and "it has more pixels than is safe" in said) or command[0] == "sheet"
    assert "half" not in said
    code, _, said = cropper(*command, "--max-pixels", "2", "--salvage")
    assert (code, said) == (0, "")


@pytest.mark.parametrize("command", [("crop", "half.jpg", "-o", "b.jpg"), ("show", "half.jpg")])
def test_what_is_salvaged_is_said(cropper: Command, tmp_path: Path, command: tuple[str, ...]) -> None:
    whole = Path(hostile.SAMPLE).read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    assert cropper(*command)[0] == 1
    code, _, said = cropper(*command, "--salvage")
    assert (code, said) == (0, "cropper: half.jpg: salvaged: part of the photo is missing\n")


def test_raising_max_pixels_makes_just_what_failed(cropper: Command, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "small.jpg").write_bytes(JPEG)
    Image.new("RGB", (2000, 1000)).save(tmp_path / "in" / "large.jpg")
    assert cropper("batch", "in", "out", "--max-pixels", "1")[0] == 1
    code, _, said = cropper("batch", "in", "out")
    assert code == 0
    assert "1 done, 1 unchanged, 0 failed" in said


def test_pipes_and_devices_named_to_boxes_are_refused(cropper: Command, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    code, _, said = cropper("boxes", "pipe.jpg", "/dev/zero")
    assert code == 1
    assert said.count("it is not a regular file but a pipe, a socket or a device") == 2


@pytest.mark.skipif(not shutil.which("bash") or not Path("/dev/fd").exists(), reason="no <(command) here")
def test_shells_pipes_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(JPEG)
    command = ["bash", "-c", f"'{sys.executable}' -m cropper boxes <(cat a.jpg)"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert '"status": "ok"' in ran.stdout
