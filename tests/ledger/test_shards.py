"""Runs that share the photos of one folder and write to one OUT, at once or one after another."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fixtures import Command, MakePhoto, StartProcess
from hypothesis import given
from hypothesis import strategies as st
from running import run_batch

from cropper import OutputError, UsageError
from cropper.ledger import shards
from cropper.ledger.shards import Shard, merge_shards
from cropper.ledger.source import source_of
from cropper.settings import Settings, Target
from cropper.storage.access import place

SIZE = Target((64, 36), (64, 36))
MANY = 24
pytestmark = pytest.mark.usefixtures("plain_rule")


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    for seed in range(MANY):
        make_photo(tmp_path / "in" / ("", "a", "a/c", "b-", "b")[seed % 5] / f"{seed:02}.png", seed=seed)
    make_photo(tmp_path / "in/a/01.jpg")  # shares its name as a WebP with another
    make_photo(tmp_path / "in/b/Über.png")
    (tmp_path / "in/broken.jpg").write_bytes(b"no photo")
    (tmp_path / "in/notes.txt").write_text("no photo either")
    return tmp_path / "in"


def process(source: Path, out: Path, shard: Shard | None = None, **settings: Any) -> Counter[str]:
    done = list(run_batch(source, out, Settings((SIZE,), **{"format": "webp", **settings}), 2, shard=shard))
    return Counter("failed" if one.error else "unchanged" if one.unchanged else "made" for one in done if one.rows)


def in_shards(source: Path, out: Path, count: int, **settings: Any) -> Counter[str]:
    return sum((process(source, out, Shard(number, count), **settings) for number in range(1, count + 1)), Counter())


def tree(out: Path) -> dict[str, bytes]:
    """Every file under OUT that is not of the runs' own state."""
    files = (path for path in out.rglob("*") if path.is_file() and ".cropper" not in path.parts)
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\udc80\udcff/")), st.integers(1, 50))
def test_every_photo_is_in_one_shard(path: str, count: int) -> None:
    assert sum(Shard(number, count).holds(path) for number in range(1, count + 1)) == 1


def test_the_hash_stays_what_it_is() -> None:
    """Else shards of two versions would leave photos out."""
    paths = ["a.jpg", "trips/2018/b.jpg", "Über.jpg", "latin\udce9.jpg"]
    assert [next(number for number in range(1, 1001) if Shard(number, 1000).holds(path)) for path in paths] == [
        450,
        432,
        939,
        495,
    ]


def test_shards_are_of_like_sizes() -> None:
    sizes = Counter(number for n in range(8000) for number in range(1, 9) if Shard(number, 8).holds(f"photos/{n}.jpg"))
    assert len(sizes) == 8
    assert max(abs(size - 1000) for size in sizes.values()) < 150


@pytest.mark.parametrize("count", [1, 4, 40])
def test_merged_shards_are_byte_for_byte_as_one_run(photos: Path, tmp_path: Path, count: int) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert process(photos, whole) == in_shards(photos, parts, count) == {"made": MANY + 2, "failed": 1}
    assert not (parts / "boxes.csv").exists()
    assert merge_shards(parts) == parts / "boxes.csv"
    assert tree(parts) == tree(whole)


def test_a_second_run_of_each_shard_does_what_is_missing(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    in_shards(photos, out, 3)
    merge_shards(out)
    (out / "a/c/02.webp").unlink()
    assert in_shards(photos, out, 3) == {"unchanged": MANY + 1, "made": 1, "failed": 1}
    assert in_shards(photos, out, 3, quality=20) == {"made": MANY + 2, "failed": 1}


def test_other_ways_of_sharing_are_refused_until_these_are_finished(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    in_shards(photos, out, 2)
    for shard in (None, Shard(1, 3)):
        with pytest.raises(OutputError, match=r"made in (2 )?shards; .*merge OUT --finish"):
            process(photos, out, shard)
    merge_shards(out, finish=True)
    assert sorted(os.listdir(out / ".cropper")) == ["lock", "state.db"]
    whole = tree(out)
    assert process(photos, out) == {"unchanged": MANY + 2, "failed": 1}
    assert in_shards(photos, out, 3) == {"unchanged": MANY + 2, "failed": 3 - 2}
    merge_shards(out)
    assert tree(out) == whole
    assert source_of(out) == place(photos)


def test_a_shard_takes_over_from_a_run_without_shards(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process(photos, out)
    assert in_shards(photos, out, 2)["unchanged"] == MANY + 2


def test_shards_made_with_different_settings_are_made_anew_by_a_run_without_them(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process(photos, out, Shard(1, 2))
    process(photos, out, Shard(2, 2), quality=20)
    merge_shards(out, finish=True)
    done = process(photos, out)
    assert done["failed"] == 1
    assert min(done["made"], done["unchanged"]) > 5  # those of one shard are as they are asked for now
    assert done["made"] + done["unchanged"] == MANY + 2
    process(photos, tmp_path / "afresh")
    assert tree(out) == tree(tmp_path / "afresh")


def test_a_merge_wants_all_shards_and_none_that_was_killed(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="no shards"):
        merge_shards(out)
    process(photos, out, Shard(1, 2))
    with pytest.raises(OutputError, match="shard 2/2 has not run yet; run it first, with --shard 2/2"):
        merge_shards(out)
    process(photos, out, Shard(2, 2))
    (out / ".cropper/shards/00001-of-00002/lock").write_text("123\n")
    with pytest.raises(OutputError, match="shard 1/2 is at work or was killed"):
        merge_shards(out)
    process(photos, out, Shard(1, 2))
    merge_shards(out)


def test_a_run_and_a_shard_keep_each_other_out(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_PATIENCE", 0.1)
    out = tmp_path / "out"
    begun = run_batch(photos, out, Settings((SIZE,)), 1)
    next(begun)
    with pytest.raises(OutputError, match="another run"):
        process(photos, out, Shard(1, 2))
    begun.close()
    begun = run_batch(photos, out, Settings((SIZE,)), 1, shard=Shard(1, 2))
    next(begun)
    for shard in (None, Shard(1, 2)):
        with pytest.raises(OutputError, match=r"another run|made in shards"):
            process(photos, out, shard)
    assert process(photos, out, Shard(2, 2))["failed"] == 0  # while the other is at work
    begun.close()


def test_what_a_killed_shard_left_half_made_goes_and_nobody_elses(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process(photos, out, Shard(1, 2))
    mine, others = out / "a/.cropper-00001-of-00002.7.part", out / "a/.cropper-00002-of-00002.7.part"
    for file in (mine, others):
        file.write_bytes(b"half")
    (out / ".cropper/shards/00001-of-00002/lock").write_text("123\n")
    process(photos, out, Shard(1, 2))
    assert not mine.exists()
    assert others.exists()


def test_dry_runs_merge_too(photos: Path, tmp_path: Path) -> None:
    process(photos, tmp_path / "whole", dry_run=True)
    in_shards(photos, tmp_path / "parts", 2, dry_run=True)
    merge_shards(tmp_path / "parts")
    assert tree(tmp_path / "parts") == tree(tmp_path / "whole")


def test_shards_at_work_at_once_killed_and_run_again_come_to_the_same(
    photos: Path, tmp_path: Path, cropper_process: StartProcess, cropper: Command
) -> None:
    """With the real network and processes of their own, as users run them."""
    options = ["--size", "64x36", "--format", "webp", "--quiet"]
    runs = [cropper_process("batch", "in", "out", *options, "--shard", f"{number}/3") for number in (1, 2, 3)]
    killed = runs[1]
    while not list(tmp_path.glob("out/.cropper/shards/00002-of-00003/state.db")) and killed.poll() is None:
        time.sleep(0.01)
    killed.kill()
    for process in runs:
        process.communicate()
    assert sorted({runs[0].returncode, runs[2].returncode} | {0, 1}) == [0, 1]  # the broken photo is in one of the three
    assert cropper("ledger", "merge", "out")[0] == 2
    for arguments in (["in", "out", *options, "--shard", "2/3"], ["in", "whole", *options]):
        again = cropper_process("batch", *arguments)
        again.communicate()
        assert again.returncode in (0, 1)
    assert cropper("ledger", "merge", "out") == (0, "out/boxes.csv\n", "")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@pytest.mark.parametrize("wrong", ["0/4", "5/4", "1", "1/0", "a/b", "-1/3"])
def test_a_shard_that_is_none_is_refused(cropper: Command, photos: Path, wrong: str) -> None:
    code, _, err = cropper("batch", photos, "out", "--shard", wrong)
    assert code == 2
    assert "--shard" in err
    assert err.count("\n") == 1


def test_words_on_photos_of_other_shards_are_no_strangers(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "focus.csv").write_text("path,x,y\na/01.png,3,4\nnobody.png,3,4\n")
    said = []
    for number in (1, 2):
        code, _, err = cropper("batch", photos, "out", "--size", "64x36", "--focus", "focus.csv", "--shard", f"{number}/2")
        assert code in (0, 1)
        said += [line for line in err.splitlines() if "IN has no photo" in line]
    assert said == ["cropper: focus.csv: IN has no photo nobody.png; write paths as in boxes.csv"]
