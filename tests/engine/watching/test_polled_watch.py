"""A watch over a folder of which the system tells nothing: it looks for itself, and keeps what it promises elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures import MakePhoto
from running import run_batch
from watcher import TARGET, Start

from cropper.engine.watching import due, rounds
from cropper.engine.watching import folders as watched_folders
from cropper.engine.watching import source as watching
from cropper.settings import IGNORE_FILE, Settings, Upkeep

QUIET = 0.3
Rename = Callable[[str, int], Path]


@pytest.fixture
def start_polled(start: Start, monkeypatch: pytest.MonkeyPatch) -> Start:
    """``start``, of a watch that looks often, and for which little time is a while."""
    monkeypatch.setattr(due, "QUIET", QUIET)
    monkeypatch.setattr(watching, "QUIET", QUIET)
    return lambda *arguments, **others: start(*arguments, poll=0.1, **others)


@pytest.fixture
def put(tmp_path: Path, make_photo: MakePhoto) -> Rename:
    """Put a whole photo into IN at once."""

    def renamed(name: str, seed: int = 0) -> Path:
        to = tmp_path / "in" / name
        to.parent.mkdir(parents=True, exist_ok=True)
        return make_photo(tmp_path / "new.jpg", seed=seed).rename(to)

    return renamed


def test_photos_come_change_and_move_with_their_folder(tmp_path: Path, start_polled: Start, put: Rename) -> None:
    put("a.jpg", 0)
    watch = start_polled(upkeep=Upkeep(prune=True))
    put("sub/b.jpg", 1)
    watch.until(lambda: (watch.out / "sub/b.jpg").exists())
    put("a.jpg", 2)
    watch.until(lambda: watch.paths.count(("a.jpg", True)) == 2)
    (tmp_path / "in/sub").rename(tmp_path / "in/other")
    watch.until(lambda: watch.rows() == {"a.jpg": "ok", "other/b.jpg": "ok"})
    watch.until(lambda: not (watch.out / "sub").exists())
    watch.end()
    assert watch.error is None
    assert [one.path for one in run_batch(watch.source, watch.out, Settings((TARGET,)), 1) if not one.unchanged] == []


def test_a_file_in_the_middle_of_a_write_waits(tmp_path: Path, start_polled: Start, make_photo: MakePhoto, put: Rename) -> None:
    watch = start_polled()
    data = make_photo(tmp_path / "slow.jpg").read_bytes()
    with (tmp_path / "in/a.jpg").open("wb") as file:
        for number, part in enumerate((data[:300], data[300:600], data[600:])):
            file.write(part)
            file.flush()
            put(f"{number}.jpg", number)
            watch.until((watch.out / f"{number}.jpg").exists)  # the others go on
    watch.until(lambda: ("a.jpg", True) in watch.paths)
    assert ("a.jpg", False) not in watch.paths


def test_a_photo_that_is_away_for_a_moment_keeps_its_thumbnail(tmp_path: Path, start_polled: Start, put: Rename) -> None:
    put("a.jpg", 0)
    put("b.jpg", 1)
    removed: list[str] = []
    watch = start_polled(upkeep=Upkeep(prune=True), removed=removed.append)
    (tmp_path / "in/a.jpg").rename(tmp_path / "away.jpg")
    (tmp_path / "in/b.jpg").unlink()
    time.sleep(QUIET / 2)
    (tmp_path / "away.jpg").rename(tmp_path / "in/a.jpg")
    watch.until(lambda: removed == ["b.jpg"])
    watch.until(lambda: watch.rows() == {"a.jpg": "ok"})
    (tmp_path / "in/a.jpg").unlink()  # the last one too, while the folder is there
    watch.until(lambda: watch.rows() == {})
    assert (removed, watch.error) == (["b.jpg", "a.jpg"], None)


def test_an_empty_folder_in_its_place_ends_the_watch_and_costs_no_thumbnail(
    tmp_path: Path, start_polled: Start, put: Rename, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a.jpg", 0)
    watch = start_polled(upkeep=Upkeep(prune=True))
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(rounds.Rounds, "is_same_folder", lambda self: (tmp_path / "in/a.jpg").exists())
    (tmp_path / "in/a.jpg").rename(tmp_path / "a.jpg")  # as when a disk is not mounted any more
    with pytest.raises(AssertionError, match="is the right disk mounted"):
        watch.until(lambda: False)
    assert (watch.out / "a.jpg").exists()


def test_patterns_that_change_count_at_once(tmp_path: Path, start_polled: Start, put: Rename) -> None:
    put("a.jpg", 0)
    put("draft.jpg", 1)
    watch = start_polled()
    (tmp_path / "in" / IGNORE_FILE).write_text("draft*\n")
    watch.until(lambda: watch.rows() == {"a.jpg": "ok"})
    (tmp_path / "in" / IGNORE_FILE).unlink()
    watch.until(lambda: watch.rows() == {"a.jpg": "ok", "draft.jpg": "ok"})


def test_a_storm_is_done_once_each(tmp_path: Path, start_polled: Start, make_photo: MakePhoto) -> None:
    watch = start_polled()
    one = make_photo(tmp_path / "one.jpg", 24, 16)
    for number in range(100):
        os.link(one, tmp_path / f"in/{number}.jpg")
    watch.until(lambda: len(watch.paths) >= 100)
    time.sleep(QUIET)
    assert len(watch.paths) == len({path for path, _ in watch.paths}) == 100


def test_a_photo_that_fails_is_told_once_until_it_changes(tmp_path: Path, start_polled: Start, put: Rename) -> None:
    watch = start_polled()
    (tmp_path / "in/a.jpg").write_bytes(b"no photo")
    watch.until(lambda: ("a.jpg", False) in watch.paths)
    put("b.jpg", 0)
    watch.until(lambda: watch.rows() == {"a.jpg": "failed", "b.jpg": "ok"})
    put("a.jpg", 1)
    watch.until(lambda: watch.rows() == {"a.jpg": "ok", "b.jpg": "ok"})
    assert watch.paths.count(("a.jpg", False)) == 1


def test_kinds_that_an_extra_would_read_are_told_once(
    tmp_path: Path, start_polled: Start, put: Rename, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "needs_of", lambda kind: kind in ("HEIC", "JPEG XL"))
    for module in (watched_folders, watching):
        monkeypatch.setattr(module, "extensions_here", lambda: frozenset({".jpg"}))
    monkeypatch.setattr("cropper.engine.plan.extensions_here", lambda: frozenset({".jpg"}))
    put("a.heic", 0)
    watch = start_polled()
    put("b.heic", 1)
    put("c.jxl", 1)
    watch.until(lambda: len([one for one in watch.done if one.kinds]) > 1)
    put("d.jxl", 1)
    put("e.jpg", 1)
    watch.until(lambda: ("e.jpg", True) in watch.paths)
    assert [dict(done.kinds) for done in watch.done if done.kinds] == [{"HEIC": 1}, {"JPEG XL": 1}]


def test_nothing_is_written_while_nothing_happens(tmp_path: Path, start_polled: Start, put: Rename) -> None:
    put("a.jpg", 0)
    watch = start_polled(upkeep=Upkeep(prune=True))
    time.sleep(0.5)  # the state is settled once

    def times() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in watch.out.rglob("*") if path.is_file()}

    before = times()
    time.sleep(0.5)
    assert times() == before


def test_looks_are_rarer_the_longer_they_take_and_what_comes_meanwhile_does_not_count(tmp_path: Path) -> None:
    for poll, least, often in ((None, rounds.BETWEEN_WALKS, rounds.RARELY), (3.0, 3.0, rounds.OFTEN)):
        one = rounds.Rounds(tmp_path, poll)
        one.plan(1000.0)  # however long it was until the first look ended
        assert one.next == 1000.0 + least
        one.took = least
        one.plan(1000.0)
        assert (one.next, one.took) == (1000.0 + often * least, 0.0)
