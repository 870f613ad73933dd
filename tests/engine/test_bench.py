"""The figures are not tested, only that they are of what they say."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from fixtures import imread
from hypothesis import given
from hypothesis import strategies as st

from cropper.cli import cli
from cropper.engine.bench import STAGES, floor, measure, profile, sample
from cropper.settings import Settings, Target

SETTINGS = Settings((Target((16, 9), (64, 36)), Target((1, 1), (40, 40))))


@pytest.fixture
def folder(samples: Path, tmp_path: Path) -> Path:
    """Three photos and one that is cut off."""
    source = tmp_path / "photos"
    source.mkdir()
    for name in ("astronaut.jpg", "cat.jpg", "hibiscus.png"):
        shutil.copy(samples / name, source)
    (source / "broken.jpg").write_bytes((samples / "cat.jpg").read_bytes()[:100])
    return source


@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 5))
def test_a_sample_is_of_different_items_in_their_order(length: int, count: int, seed: int) -> None:
    chosen = sample(iter(range(length)), count, seed)
    assert len(chosen) == min(length, count)
    assert chosen == sorted(set(chosen))


def test_each_item_is_as_likely_in_a_sample_as_any_other() -> None:
    times = np.zeros(10)
    for seed in range(2000):
        times[sample(range(10), 3, seed)] += 1
    assert np.abs(times / 2000 - 0.3).max() < 0.05  # five standard deviations


def test_every_stage_is_timed_and_photos_that_fail_are_counted(folder: Path, tmp_path: Path) -> None:
    seconds, failed = profile(sorted(folder.iterdir()), tmp_path / "out", SETTINGS)
    assert tuple(seconds) == STAGES
    assert min(seconds.values()) > 0
    assert failed == 1


def test_the_floor_makes_what_the_batch_makes_of_the_centre(folder: Path, tmp_path: Path) -> None:
    floor(sorted(folder.iterdir()), tmp_path / "floor", SETTINGS, jobs=2)
    made = sorted((tmp_path / "floor").iterdir())
    assert len(made) == 6
    sizes = {imread(str(path)).shape for path in made}
    assert sizes == {(36, 64, 3), (40, 40, 3)}
    flower = imread(str(folder / "hibiscus.png"))
    height, width = flower.shape[:2]
    side = min(height, width)
    x, y = (width - side) // 2, (height - side) // 2
    centre = cv2.resize(flower[y : y + side, x : x + side], (40, 40), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(imread(str(tmp_path / "floor" / "1-hibiscus.png.png")), centre)


def test_a_file_that_went_away_is_one_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    files = [*sorted(folder.iterdir()), folder / "gone.jpg"]
    (tmp_path / "scratch").mkdir()
    costs = measure(files, SETTINGS, jobs=1, rounds=1, scratch=tmp_path / "scratch")
    assert (costs.photos, costs.failed) == (3, 2)


def test_the_originals_stay_as_they_are_to_the_last_time(folder: Path, tmp_path: Path) -> None:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    before = [file.stat() for file in files]
    (tmp_path / "scratch").mkdir()
    measure([file for file in files if file.suffix == ".jpg"], SETTINGS, 1, 1, tmp_path / "scratch")
    after = [file.stat() for file in files]
    assert [(one.st_ctime_ns, one.st_nlink) for one in after] == [(one.st_ctime_ns, one.st_nlink) for one in before]


@pytest.mark.skipif(os.name == "nt", reason="no pipes with names there")
def test_a_photo_that_became_a_pipe_is_not_waited_for(folder: Path, tmp_path: Path) -> None:
    files = sorted(folder.iterdir())
    (folder / "cat.jpg").unlink()
    os.mkfifo(folder / "cat.jpg")
    (tmp_path / "scratch").mkdir()
    costs = measure(files, SETTINGS, 1, 1, tmp_path / "scratch")
    assert (costs.photos, costs.failed) == (2, 2)


def test_an_out_in_the_folder_is_left_out_and_said(folder: Path) -> None:
    (folder / "out" / ".cropper").mkdir(parents=True)
    shutil.copy(folder / "cat.jpg", folder / "out")
    done = CliRunner().invoke(cli, ["bench", str(folder), "--rounds", "1", "--jobs", "1"])
    assert done.exit_code == 0
    assert "3 photos, 1 that cannot be read" in done.output
    assert f"{folder / 'out'}: left out, since it holds what 'cropper batch' made\n" in done.output


def test_the_command_prints_the_stages_and_writes_nothing_beside_the_photos(folder: Path) -> None:
    before = {path: path.stat() for path in folder.iterdir()}
    result = CliRunner().invoke(cli, ["bench", str(folder), "--size", "64x36", "--rounds", "1", "--jobs", "1"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "3 photos, 1 that cannot be read"
    assert all(re.search(r"x \d+\.\d\d$", line) for line in lines[3 : 3 + len(STAGES)])
    assert [line.split()[0] for line in lines[3 : 3 + len(STAGES)]] == list(STAGES)
    assert "times as long as the floor" in result.stdout
    assert re.fullmatch(r"On .+, \d+ cores?; onnxruntime \S+, OpenCV \S+\.", lines[-1])
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == {p: s.st_mtime_ns for p, s in before.items()}


def test_a_folder_without_photos_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["bench", str(tmp_path)])
    assert result.exit_code != 0
    assert "no photos" in str(result.exception)


def test_help_shows_the_examples_a_line_each() -> None:
    lines = CliRunner().invoke(cli, ["bench", "--help"]).stdout.splitlines()
    assert "  cropper bench photos/" in lines
