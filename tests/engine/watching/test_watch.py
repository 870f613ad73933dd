"""A watch over a folder: first what is missing, then each photo as soon as it is whole."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from fixtures import MakePhoto
from running import run_batch
from watcher import PATIENCE, TARGET, Start

from cropper.engine.job import Job
from cropper.engine.plan import Resume
from cropper.engine.tasks import decode_photo
from cropper.engine.watching import folders as watched_folders
from cropper.engine.watching import rounds
from cropper.engine.watching import source as watching
from cropper.errors import OutputError, PhotoError
from cropper.image_formats import extensions_here
from cropper.ledger.last_run import LastRun, last_run_of
from cropper.settings import IGNORE_FILE, Settings, Upkeep
from cropper.storage import notices
from cropper.storage.patterns import selection_of
from cropper.storage.places import digest_of
from cropper.storage.templates import hash_in_names

pytest.importorskip("watchfiles")


def test_first_what_is_missing_then_what_is_renamed_into_it(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    make_photo(tmp_path / "in/a.jpg")
    watch = start()
    assert watch.paths == [("a.jpg", True)]
    make_photo(tmp_path / "b.jpg", seed=1).rename(tmp_path / "in/b.jpg")
    watch.until(lambda: (watch.out / "b.jpg").exists())
    watch.until(lambda: watch.rows() == {"a.jpg": "ok", "b.jpg": "ok"})
    make_photo(tmp_path / "b.jpg", seed=2).rename(tmp_path / "in/b.jpg")
    watch.until(lambda: watch.paths.count(("b.jpg", True)) == 2)
    watch.end()
    assert watch.error is None
    assert watch.paths == [("a.jpg", True), ("b.jpg", True), ("b.jpg", True)]


def test_a_slow_writer_is_waited_for(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    watch = start()
    data = make_photo(tmp_path / "a.jpg").read_bytes()
    make_photo(tmp_path / "z.jpg", seed=1)
    with (tmp_path / "in/a.jpg").open("wb") as file:
        for part in (data[:300], data[300:600], data[600:]):
            file.write(part)
            file.flush()
            (tmp_path / "in/z.jpg").unlink(missing_ok=True)
            os.link(tmp_path / "z.jpg", tmp_path / "in/z.jpg")
            time.sleep(0.1)
    watch.until(lambda: ("a.jpg", True) in watch.paths)
    assert ("a.jpg", False) not in watch.paths


def test_a_photo_that_was_cut_off_is_made_when_it_grows(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    watch = start()
    data = make_photo(tmp_path / "a.jpg").read_bytes()
    (tmp_path / "in/a.jpg").write_bytes(data[:-100])
    make_photo(tmp_path / "b.jpg", seed=1).rename(tmp_path / "in/b.jpg")  # the others go on
    watch.until(lambda: {("a.jpg", False), ("b.jpg", True)} <= {*watch.paths})
    with (tmp_path / "in/a.jpg").open("ab") as file:
        file.write(data[-100:])
    watch.until(lambda: ("a.jpg", True) in watch.paths)
    watch.until(lambda: watch.rows() == {"a.jpg": "ok", "b.jpg": "ok"})
    assert watch.paths.count(("a.jpg", False)) == 1


def test_deleted_photos_go_with_their_thumbnails_and_may_come_again(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    for name in ("a.jpg", "b.jpg", "sub/c.jpg"):
        make_photo(tmp_path / "in" / name)
    removed: list[str] = []
    watch = start(upkeep=Upkeep(prune=True), removed=removed.append)
    (tmp_path / "in/a.jpg").unlink()
    (tmp_path / "in/sub").rename(tmp_path / "in/moved")
    watch.until(lambda: not (watch.out / "a.jpg").exists() and not (watch.out / "sub/c.jpg").exists())
    watch.until(lambda: (watch.out / "moved/c.jpg").exists())
    watch.until(lambda: watch.rows() == {"b.jpg": "ok", "moved/c.jpg": "ok"})
    assert sorted(removed) == ["a.jpg", "sub/c.jpg"]
    make_photo(tmp_path / "a.jpg").rename(tmp_path / "in/a.jpg")
    watch.until(lambda: (watch.out / "a.jpg").exists())


def test_a_thumbnail_stays_without_prune(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    make_photo(tmp_path / "in/a.jpg")
    make_photo(tmp_path / "in/b.jpg", seed=1)
    watch = start()
    (tmp_path / "in/a.jpg").unlink()
    watch.until(lambda: watch.rows() == {"b.jpg": "ok"})
    assert (watch.out / "a.jpg").exists()


def test_new_and_moved_folders_are_looked_into(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    watch = start()
    make_photo(tmp_path / "far/deep/a.jpg")
    (tmp_path / "far").rename(tmp_path / "in/far")
    make_photo(tmp_path / "in/new/deep/b.jpg")
    watch.until(lambda: (watch.out / "far/deep/a.jpg").exists() and (watch.out / "new/deep/b.jpg").exists())
    make_photo(tmp_path / "in/far/deep/c.jpg")
    watch.until(lambda: (watch.out / "far/deep/c.jpg").exists())


def test_what_a_batch_leaves_out_a_watch_does(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    watch = start(inside=True, selection=selection_of(exclude=("drafts/",)))
    outside = make_photo(tmp_path / "outside.jpg")
    (tmp_path / "in/link.jpg").symlink_to(outside)
    for name in ("drafts/a.jpg", ".hidden.jpg", ".git/a.jpg", "sheet.jpg", "a.txt.jpg"):
        make_photo(tmp_path / "in" / name)
    (tmp_path / "in/inner.jpg").symlink_to("a.txt.jpg")
    watch.until(lambda: {path for path, _ in watch.paths} == {"a.txt.jpg", "inner.jpg"})
    (tmp_path / "in" / IGNORE_FILE).write_text("inner*\n")
    watch.until(lambda: watch.rows() == {"a.txt.jpg": "ok"})


def test_names_that_depend_on_each_other_are_those_of_a_batch(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    make_photo(tmp_path / "in/a.jpg")
    watch = start(Settings((TARGET,), format="webp"), Upkeep(prune=True))
    assert (watch.out / "a.webp").exists()
    make_photo(tmp_path / "a.png").rename(tmp_path / "in/a.png")
    watch.until(lambda: (watch.out / "a.png.webp").exists() and (watch.out / "a.jpg.webp").exists())
    watch.until(lambda: watch.rows() == {"a.jpg": "ok", "a.png": "ok"})
    (tmp_path / "in/a.png").unlink()
    watch.until(lambda: (watch.out / "a.webp").exists() and not (watch.out / "a.png.webp").exists())


def test_a_storm_is_done_once_each(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    watch = start()
    photo = make_photo(tmp_path / "a.jpg")
    for number in range(300):
        os.link(photo, tmp_path / f"in/{number}.jpg")
    watch.until(lambda: len(watch.done) >= 300)
    watch.until(lambda: len(watch.rows()) == 300)
    assert len({path for path, _ in watch.paths}) == len(watch.paths) == 300


def test_a_second_watch_is_refused(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    make_photo(tmp_path / "in/a.jpg")
    start()
    second = start()
    assert isinstance(second.error, OutputError)
    assert "another run" in str(second.error)


def test_the_folder_going_away_ends_the_watch(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    make_photo(tmp_path / "in/a.jpg")
    watch = start()
    (tmp_path / "in").rename(tmp_path / "gone")
    end = time.monotonic() + PATIENCE
    while watch.error is None and time.monotonic() < end:
        time.sleep(0.01)
    assert "the folder is gone" in str(watch.error)


def test_a_walk_from_time_to_time_finds_what_the_system_does_not_tell(
    tmp_path: Path, start: Start, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "BETWEEN_WALKS", 0.2)
    make_photo(tmp_path / "in/.store/a.jpg")
    (tmp_path / "in/link.jpg").symlink_to(".store/a.jpg")
    watch = start()
    make_photo(tmp_path / "a.jpg", seed=1).rename(tmp_path / "in/.store/a.jpg")
    watch.until(lambda: watch.paths == [("link.jpg", True)] * 2)


def test_what_the_system_lost_is_found(
    tmp_path: Path, start: Start, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "MOST", 0)
    watch = start()
    make_photo(tmp_path / "a.jpg").rename(tmp_path / "in/a.jpg")
    watch.until(lambda: watch.paths == [("a.jpg", True)])


def test_a_photo_that_killed_a_process_fails_until_it_changes(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    make_photo(tmp_path / "in/a.jpg")
    make_photo(tmp_path / "in/b.jpg", seed=1)
    first = start()
    first.end()
    make_photo(tmp_path / "in/b.jpg", seed=2)
    condemned = {"a.jpg": PhotoError("crashed"), "b.jpg": PhotoError("crashed")}
    watch = start(resume=Resume(condemned))
    assert sorted(watch.paths) == [("a.jpg", True), ("b.jpg", False)]  # one was made since
    make_photo(tmp_path / "b.jpg", seed=3).rename(tmp_path / "in/b.jpg")
    watch.until(lambda: ("b.jpg", True) in watch.paths)


def test_a_batch_finds_nothing_to_do_after_a_watch(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    watch = start()
    for name in ("a.jpg", "A.JPG", "sub/b.jpg", "Sub/b.jpg", "c.png"):
        make_photo(tmp_path / name.replace("/", "_")).rename(tmp_path / "x.jpg")
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "x.jpg").rename(tmp_path / "in" / name)
    watch.until(lambda: len(watch.rows()) == 5)
    watch.end()
    table = (watch.out / "boxes.csv").read_bytes()
    done = list(run_batch(watch.source, watch.out, Settings((TARGET,)), 1))
    assert [one.path for one in done if not one.unchanged] == []
    assert (watch.out / "boxes.csv").read_bytes() == table


def test_names_that_change_with_the_content_do_so(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    watch = start(Settings((TARGET,), name="{folder}/{stem}.{hash}.{ext}"), Upkeep(prune=True))
    names = []
    for seed in (1, 2):
        make_photo(tmp_path / "a.jpg", seed=seed).rename(tmp_path / "in/a.jpg")
        hash = hash_in_names(digest_of((tmp_path / "in/a.jpg").read_bytes()))
        names.append(f"a.{hash}.jpg")
        watch.until((watch.out / names[-1]).exists)
    assert names[0] != names[1]
    watch.until(lambda: not (watch.out / names[0]).exists())  # and not only at the end
    make_photo(tmp_path / "in/b.jpg", seed=3)
    watch.until(lambda: {"a.jpg", "b.jpg"} == watch.rows().keys())
    watch.end()
    assert [one.path for one in run_batch(watch.source, watch.out, watch.settings, 1) if not one.unchanged] == []


def test_a_raw_goes_when_its_jpeg_comes(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    if ".nef" not in extensions_here():
        pytest.skip("no RAW is read here")
    (tmp_path / "in/a.nef").write_bytes(b"no photo")
    watch = start()
    assert watch.rows() == {"a.nef": "failed"}
    make_photo(tmp_path / "a.jpg").rename(tmp_path / "in/a.jpg")
    watch.until(lambda: watch.rows() == {"a.jpg": "ok"})


def test_photos_are_made_anew_by_force_once(
    tmp_path: Path, start: Start, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "BETWEEN_WALKS", 0.05)
    make_photo(tmp_path / "in/a.jpg")
    start().end()
    watch = start(upkeep=Upkeep(force=True))
    make_photo(tmp_path / "in/.b.jpg").rename(tmp_path / "in/b.jpg")
    watch.until(lambda: len(watch.paths) > 1)
    time.sleep(0.3)  # walks pass
    assert watch.paths == [("a.jpg", True), ("b.jpg", True)]


def test_a_photo_that_is_replaced_while_it_is_read_is_made_again(
    tmp_path: Path, start: Start, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, decode = [make_photo(tmp_path / "new.jpg", seed=9)], decode_photo
    content = new[0].read_bytes()

    def decode_and_replace(job: Job, **others: object) -> object:
        decoded = decode(job, **others)  # type: ignore[arg-type]
        while new:
            new.pop().rename(tmp_path / "in/a.jpg")
        return decoded

    monkeypatch.setattr("cropper.engine.pipeline.decode_photo", decode_and_replace)
    watch = start()
    make_photo(tmp_path / "a.jpg", seed=1).rename(tmp_path / "in/a.jpg")
    watch.until(lambda: watch.paths.count(("a.jpg", True)) == 2)
    watch.end()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/a.jpg").write_bytes(content)
    list(run_batch(tmp_path / "other", tmp_path / "expected", watch.settings, 1))
    assert (watch.out / "a.jpg").read_bytes() == (tmp_path / "expected/a.jpg").read_bytes()


def test_a_file_that_an_extra_would_read_is_told_once_for_each_kind(
    tmp_path: Path, start: Start, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "needs_of", lambda kind: kind == "HEIC")
    monkeypatch.setattr(watched_folders, "extensions_here", lambda: frozenset({".jpg"}))
    watch = start()
    for name in ("a.heic", "b.heic", "c.txt", "d.jpg"):
        make_photo(tmp_path / "a.jpg").rename(tmp_path / "in" / name)
    watch.until(lambda: ("d.jpg", True) in watch.paths)
    assert [dict(done.kinds) for done in watch.done if done.kinds] == [{"HEIC": 1}]


def test_what_a_watch_was_asked_for_is_remembered(tmp_path: Path, start: Start) -> None:
    watch = start(selection=selection_of(exclude=("drafts/",)))
    (tmp_path / "in" / IGNORE_FILE).write_text("more/\n")
    watch.end()
    assert last_run_of(watch.out) == LastRun(watch.settings, exclude=("drafts/",))


def test_photos_of_its_own_in_out_are_not_taken_for_thumbnails(tmp_path: Path, start: Start, make_photo: MakePhoto) -> None:
    make_photo(tmp_path / "in/out/a.jpg")
    assert "holds photos of its own" in str(start(inside=True).error)
