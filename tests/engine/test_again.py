"""Saving what a person gives by hand: beside a watch, beside a batch, and into shards. Nothing of it is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from fixtures import MakePhoto
from plain import Plain
from running import run_batch, watch_folder

from cropper.choosing.decide import is_by_hand
from cropper.engine import again, batch
from cropper.engine.again import Again
from cropper.engine.corrections import corrected
from cropper.engine.watching import late_gifts
from cropper.engine.watching import watch as watch_module
from cropper.errors import OutputError, UsageError
from cropper.ledger import lock
from cropper.ledger.database import Files, files_of
from cropper.ledger.given import Given
from cropper.ledger.handover import HandedOverError, hand_over
from cropper.ledger.shards import Shard, merge_shards, states_of
from cropper.ledger.source import source_of
from cropper.ledger.table import read_rows
from cropper.model.saliency import Saliency
from cropper.settings import Order, Settings, Target
from cropper.storage.access import place
from cropper.storage.local import LocalPlace
from cropper.views.review.page import write_page
from cropper.views.selection import select

SETTINGS = Settings((Target((1, 1)), Target((32, 64), (32, 64))), format="png")
NAMES = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
BOX = Given(5, 0, 64, 64)


@pytest.fixture
def root(tmp_path: Path, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder ``in`` of photos. A save waits no longer for another run than a slow machine needs."""
    for module in (batch, watch_module, again):
        monkeypatch.setattr(module, "Saliency", Plain)
    monkeypatch.setattr(again, "PATIENCE", 20.0)
    monkeypatch.setattr(late_gifts, "BETWEEN_LOOKS", 0.05)
    for seed, name in enumerate(NAMES):
        make_photo(tmp_path / "in" / name, seed=seed)
    return tmp_path


def again_in(root: Path) -> Again:
    return Again(root / "in", root / "out", 1, cast("Saliency", Plain(None, "cpu")))


@contextmanager
def watched(root: Path) -> Iterator[None]:
    """A watch over ``in`` that has caught up."""
    pytest.importorskip("watchfiles")
    caught_up, stop = threading.Event(), threading.Event()
    ends: list[Any] = []

    def work() -> None:
        try:
            out = LocalPlace(root / "out")
            list(watch_folder(LocalPlace(root / "in"), out, SETTINGS, 1, lambda ending: caught_up.set(), stop=stop.is_set))
        except BaseException as error:
            ends.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert caught_up.wait(30)
        yield
    finally:
        stop.set()
        thread.join(30)
    assert not ends


@contextmanager
def at_work(files: Files) -> Iterator[None]:
    taken = lock.take(files.lock)
    try:
        yield
    finally:
        lock.release(taken, tidy=True)


def handed(root: Path) -> list[Path]:
    return sorted((root / "out" / ".cropper").rglob("handed-over-*"))


def boxes(root: Path) -> dict[tuple[str, str], tuple[Given, bool]]:
    return {
        (row.path, row.size): (Given(int(row.x), int(row.y), int(row.width), int(row.height)), is_by_hand(row.message))
        for row in read_rows(root / "out" / "boxes.csv")
    }


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_watch_makes_what_is_saved_meanwhile(root: Path) -> None:
    with watched(root):
        saved = again_in(root).make(["a.jpg"], [("a.jpg", "1:1", BOX)])
        assert [*saved] == ["a.jpg"]
        first, second = saved["a.jpg"].rows
        assert (first.x, first.y, first.width, first.height) == ("5", "0", "64", "64")
        assert is_by_hand(first.message)
        assert not is_by_hand(second.message)
        assert (root / "out" / first.output).exists()
        assert handed(root) == []
    assert boxes(root)["a.jpg", "1:1"] == (BOX, True)


def test_in_a_watch_a_point_for_all_sizes_wins_over_a_box_that_was_saved_before(root: Path) -> None:
    with watched(root):
        save = again_in(root)
        save.make(["a.jpg"], [("a.jpg", "1:1", BOX)])
        rows = save.make(["a.jpg"], [("a.jpg", "", Given(80, 32))])["a.jpg"].rows
        assert all(is_by_hand(row.message) for row in rows)
        assert rows[0].x != "5"
        rows = save.make(["a.jpg"], [("a.jpg", "", None)])["a.jpg"].rows
        assert not any(is_by_hand(row.message) for row in rows)


def test_a_photo_that_fails_in_a_watch_says_why(root: Path) -> None:
    with watched(root):
        (root / "in" / "a.jpg").write_bytes(b"no photo any more")
        done = again_in(root).make(["a.jpg", "b.jpg"], [("a.jpg", "1:1", BOX), ("b.jpg", "1:1", BOX)])
        assert done["a.jpg"].error is not None
        assert done["b.jpg"].error is None


def test_what_is_saved_beside_a_batch_is_kept_for_the_next_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(run_batch(root / "in", root / "out", SETTINGS, 1))
    monkeypatch.setattr(again, "PATIENCE", 0.0)
    save = again_in(root)
    with at_work(files_of(root / "out")):
        with pytest.raises(HandedOverError, match=r"is at work there; what you gave is kept for the next run"):
            save.make(["a.jpg"], [("a.jpg", "1:1", BOX)])
        began = time.monotonic()
        monkeypatch.setattr(again, "PATIENCE", 60.0)
        with pytest.raises(HandedOverError):  # it was no watch, so nobody waits again
            save.make(["b.jpg"], [("b.jpg", "1:1", BOX)])
        assert time.monotonic() - began < 20
    assert len(handed(root)) == 2
    list(run_batch(root / "in", root / "dry", Settings(SETTINGS.targets, dry_run=True), 1))
    list(run_batch(root / "in", root / "out", SETTINGS, 1))
    assert boxes(root)["a.jpg", "1:1"] == boxes(root)["b.jpg", "1:1"] == (BOX, True)
    assert handed(root) == []


def test_a_save_goes_on_when_the_batch_ends(root: Path) -> None:
    list(run_batch(root / "in", root / "out", SETTINGS, 1))
    saved: list[Any] = []
    with at_work(files_of(root / "out")):
        thread = threading.Thread(target=lambda: saved.append(again_in(root).make(["a.jpg"], [("a.jpg", "1:1", BOX)])))
        thread.start()
        eventually(lambda: bool(handed(root)))
    thread.join(30)
    assert saved[0]["a.jpg"].rows[0].x == "5"
    assert handed(root) == []


def test_a_save_also_makes_what_was_kept_before(root: Path) -> None:
    list(run_batch(root / "in", root / "out", SETTINGS, 1))
    hand_over(files_of(root / "out"), [("b.jpg", "1:1", BOX)])
    again_in(root).make(["a.jpg"], [("a.jpg", "1:1", BOX)])
    assert boxes(root)["b.jpg", "1:1"] == (BOX, True)


def test_a_dry_or_interrupted_run_leaves_it_and_one_that_forgets_forgets_it(root: Path) -> None:
    dry = Settings(SETTINGS.targets, format="png", dry_run=True)
    list(run_batch(root / "in", root / "out", dry, 1))
    hand_over(files_of(root / "out"), [("a.jpg", "1:1", BOX)])
    list(run_batch(root / "in", root / "out", dry, 1))
    assert boxes(root)["a.jpg", "1:1"] == (BOX, True)
    assert len(handed(root)) == 1
    run = run_batch(root / "in", root / "out", SETTINGS, 1)
    next(run)
    run.close()
    assert len(handed(root)) == 1
    list(run_batch(root / "in", root / "out", SETTINGS, 1, forgets=True))
    assert handed(root) == []
    assert not boxes(root)["a.jpg", "1:1"][1]


def test_a_file_that_is_none_of_ours_is_left_and_stops_nothing(root: Path) -> None:
    list(run_batch(root / "in", root / "out", SETTINGS, 1))
    strange = [root / "out" / ".cropper" / f"handed-over-{number}.json" for number in range(3)]
    for file, text in zip(strange, ("{", '[["a.jpg"]]', '[["a.jpg", "", 1, 2, 3, 4, 5, 6]]'), strict=True):
        file.write_text(text)
    hand_over(files_of(root / "out"), [("b.jpg", "1:1", BOX), ("odd\udcff.jpg", "", None)])
    list(run_batch(root / "in", root / "out", SETTINGS, 1))
    assert handed(root) == strange
    assert boxes(root)["b.jpg", "1:1"] == (BOX, True)


@pytest.fixture
def in_shards(root: Path) -> Path:
    """OUT in two shards, with the table of both."""
    for number in (1, 2):
        list(run_batch(root / "in", root / "out", SETTINGS, 1, shard=Shard(number, 2)))
    merge_shards(root / "out")
    return root


def test_a_save_goes_to_the_shard_that_holds_the_photo(in_shards: Path) -> None:
    root, save = in_shards, again_in(in_shards)
    assert source_of(root / "out") == place(root / "in")
    assert save.knows_how()
    (_, shard), (theirs, _) = sorted(states_of(root / "out"), key=lambda one: not cast("Shard", one[1]).holds("a.jpg"))
    assert cast("Shard", shard).holds("a.jpg")
    with at_work(theirs):
        assert save.make(["a.jpg"], [("a.jpg", "1:1", BOX)])["a.jpg"].rows[0].x == "5"
        with pytest.raises(OutputError, match="at work or was killed"):
            save.merge()
    save.merge()
    assert boxes(root)["a.jpg", "1:1"] == (BOX, True)
    before = (root / "out" / "boxes.csv").stat().st_mtime_ns
    save.merge()  # nothing is new
    assert (root / "out" / "boxes.csv").stat().st_mtime_ns == before
    for number in (1, 2):
        done = [*run_batch(root / "in", root / "out", SETTINGS, 1, shard=Shard(number, 2))]
        assert all(one.unchanged for one in done if one.rows)


@pytest.mark.parametrize(
    "act",
    [
        lambda out: corrected(out, ()),
        lambda out: next(write_page(out, None, 1)),
        lambda out: select(out, 1, Order.LEDGER),
    ],
)
def test_without_a_table_shards_are_to_be_merged_first(in_shards: Path, act: Callable[[Path], object]) -> None:
    (in_shards / "out" / "boxes.csv").unlink()
    with pytest.raises(UsageError, match=r"no boxes.csv in it; run 'cropper ledger merge OUT' first"):
        act(in_shards / "out")
    with pytest.raises(UsageError, match=r"no boxes.csv in it; run 'cropper batch IN OUT' first"):
        act(in_shards / "in")


def test_what_was_kept_for_a_shard_stays_when_the_shards_end(in_shards: Path) -> None:
    root = in_shards
    for files, _ in states_of(root / "out"):
        hand_over(files, [("a.jpg", "1:1", BOX)])
    merge_shards(root / "out", finish=True)
    assert len(handed(root)) == 2
    list(run_batch(root / "in", root / "out", SETTINGS, 1))
    assert boxes(root)["a.jpg", "1:1"] == (BOX, True)
    assert handed(root) == []
