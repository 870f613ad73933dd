"""Whole runs over folders of photos."""

from __future__ import annotations

import csv
import itertools
import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fixtures import Command, MakePhoto, imread
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from running import run_batch

from cropper import ModelError, UsageError
from cropper.choosing.view import Maps
from cropper.engine import batch, flow, pipeline
from cropper.engine.job import Decoded, Done, Job
from cropper.engine.pipeline import BATCH_SIZE
from cropper.engine.plan import planned
from cropper.engine.stages import pixels_needed
from cropper.engine.tasks import decode_photo
from cropper.imaging import decode
from cropper.ledger.given import Given
from cropper.model.saliency import Saliency
from cropper.process.journal import Journal
from cropper.settings import Choosing, Fit, Settings, Target, Upkeep, Zoom
from cropper.storage import thumbnails
from cropper.storage.local import LocalPlace
from cropper.storage.places import Folder

MANY = 40
SIZE, SQUARE = Target((64, 36), (64, 36)), Target((1, 1))


def process(source: Path, out: Path, *targets: Target, jobs: int = 2, **settings: Any) -> list[Done]:
    return list(run_batch(source, out, Settings(targets or (SIZE,), **settings), jobs))


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "boxes.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file under a folder that is not of the run's own state."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".cropper" not in path.parts
    }


def inodes_of(out: Path) -> dict[str, tuple[int, int]]:
    """Changes for a file that is written anew: by the time too, since a file system may give a freed number to the next file."""
    return {str(path.relative_to(out)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in out.rglob("*.jpg")}


def later(path: Path, seconds: float = 10) -> None:
    """As if the photo was modified then."""
    modified = path.stat().st_mtime_ns + int(seconds * 1e9)
    os.utime(path, ns=(modified, modified))


def statuses(done: list[Done]) -> dict[str, str]:
    return {d.path: "failed" if d.error else "unchanged" if d.unchanged else "made" for d in done if d.rows}


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    """A folder IN of five photos in two folders, and room for an OUT."""
    source = tmp_path / "in"
    for seed, name in enumerate(["a.jpg", "b.png", "c.webp", "trips/a.jpg", "trips/d.jpg"]):
        make_photo(source / name, seed=seed)
    return source


@pytest.fixture
def many(tmp_path: Path, make_photo: MakePhoto) -> Path:
    """Photos enough for full batches of one shape and partial ones of others."""
    source = tmp_path / "in"
    shapes = [(96, 64), (96, 64), (80, 80), (96, 64), (200, 40), (96, 64), (40, 200), (96, 64)]
    for number, (width, height) in zip(range(MANY), itertools.cycle(shapes), strict=False):
        make_photo(source / f"{number % 3}" / f"{number:02}.jpg", width, height, seed=number)
    return source


def test_the_tree_is_mirrored_and_rows_come_in_the_walks_order(photos: Path, tmp_path: Path) -> None:
    done = process(photos, tmp_path / "out")
    names = ["a.jpg", "b.png", "c.webp", "trips/a.jpg", "trips/d.jpg"]
    assert [d.path for d in done] == names
    rows = rows_of(tmp_path / "out")
    assert [(row["path"], row["output"], row["status"]) for row in rows] == [(name, name, "ok") for name in names]
    assert sorted(files_of(tmp_path / "out")) == sorted([*names, "boxes.csv"])


def test_each_target_has_its_folder_and_its_pixels(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process(photos, out, SIZE, SQUARE)
    assert imread(str(out / "64x36/trips/a.jpg")).shape == (36, 64, 3)
    assert imread(str(out / "1-1/trips/a.jpg")).shape == (64, 64, 3)
    assert [(row["path"], row["size"]) for row in rows_of(out)][:2] == [("a.jpg", "64x36"), ("a.jpg", "1:1")]


def test_a_thumbnail_shows_what_its_row_says(samples: Path, tmp_path: Path) -> None:
    process(samples / "trips", tmp_path / "out", SQUARE, format="png")
    for row in rows_of(tmp_path / "out"):
        original = imread(str(samples / "trips" / row["path"]))
        x, y, width, height = (int(row[name]) for name in ("x", "y", "width", "height"))
        assert (int(row["image_height"]), int(row["image_width"])) == original.shape[:2]
        np.testing.assert_array_equal(imread(str(tmp_path / "out" / row["output"])), original[y : y + height, x : x + width])


@pytest.mark.parametrize("settings", [{}, {"dry_run": True}])
def test_every_number_of_jobs_gives_the_same_bytes(many: Path, samples: Path, tmp_path: Path, settings: dict[str, bool]) -> None:
    shutil.rmtree(many / "2")
    shutil.copytree(samples / "trips", many / "real")
    for jobs in (1, 2, 7):
        process(many, tmp_path / f"out{jobs}", SIZE, SQUARE, jobs=jobs, **settings)
    one = files_of(tmp_path / "out1")
    assert len(one) == (1 if settings else 2 * len(files_of(many)) + 1)
    assert files_of(tmp_path / "out2") == one
    assert files_of(tmp_path / "out7") == one


def test_photos_are_never_written_to(photos: Path, tmp_path: Path) -> None:
    before, times = files_of(photos), {path: path.stat().st_mtime_ns for path in photos.rglob("*")}
    process(photos, photos / "out")
    shutil.rmtree(photos / "out")
    assert files_of(photos) == before
    assert {path: path.stat().st_mtime_ns for path in times if path != photos} == {p: t for p, t in times.items() if p != photos}


def test_a_second_run_does_nothing(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process(photos, out)
    ledger, inodes = (out / "boxes.csv").read_bytes(), inodes_of(out)
    assert set(statuses(process(photos, out)).values()) == {"unchanged"}
    assert (out / "boxes.csv").read_bytes() == ledger
    assert inodes_of(out) == inodes


def test_only_what_is_missing_or_changed_is_made_again(photos: Path, tmp_path: Path, make_photo: MakePhoto) -> None:
    out = tmp_path / "out"
    process(photos, out)
    (out / "a.jpg").unlink()
    old = (out / "trips/a.jpg").read_bytes()
    make_photo(photos / "trips/a.jpg", 64, 96, seed=99)
    later(photos / "trips/a.jpg", -3600)  # an older file put in its place is another one too
    make_photo(photos / "new.jpg", seed=100)
    expected = {"a.jpg": "made", "new.jpg": "made", "trips/a.jpg": "made"}
    assert {path: status for path, status in statuses(process(photos, out)).items() if status != "unchanged"} == expected
    assert (out / "trips/a.jpg").read_bytes() != old
    assert len(rows_of(out)) == 6
    process(photos, tmp_path / "afresh")
    assert files_of(out) == files_of(tmp_path / "afresh")
    assert set(statuses(process(photos, out)).values()) == {"unchanged"}


@pytest.mark.usefixtures("plain_rule")
@pytest.mark.parametrize("settings", [{"quality": 30}, {"format": "webp"}, {"enlarge": True}])
def test_other_settings_make_all_again(photos: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    out = tmp_path / "out"
    process(photos, out)
    assert set(statuses(process(photos, out, **settings)).values()) == {"made"}
    assert set(statuses(process(photos, out, **settings)).values()) == {"unchanged"}


def test_settings_may_change_back_and_forth_in_one_out(photos: Path, tmp_path: Path) -> None:
    """What an earlier run left is never taken for somebody else's file."""
    out = tmp_path / "out"
    process(photos, out)
    process(photos, out, format="webp")
    assert set(statuses(process(photos, out, Target((32, 32), (32, 32)))).values()) == {"made"}
    assert imread(str(out / "a.jpg")).shape == (32, 32, 3)


def test_a_removed_photo_leaves_the_ledger(photos: Path, tmp_path: Path) -> None:
    process(photos, tmp_path / "out")
    (photos / "b.png").unlink()
    shutil.rmtree(photos / "trips")
    process(photos, tmp_path / "out")
    assert [row["path"] for row in rows_of(tmp_path / "out")] == ["a.jpg", "c.webp"]


@pytest.mark.parametrize("content", [b"", b"no image at all", None])
def test_one_bad_photo_costs_no_other_its_thumbnail(photos: Path, tmp_path: Path, content: bytes | None) -> None:
    data = (photos / "a.jpg").read_bytes()
    (photos / "bad.jpg").write_bytes(data[: len(data) // 2] if content is None else content)
    done = process(photos, tmp_path / "out", SIZE, SQUARE)
    failed = [d for d in done if d.error is not None]
    assert [d.path for d in failed] == ["bad.jpg"]
    assert str(photos / "bad.jpg") in str(failed[0].error)
    bad = [row for row in rows_of(tmp_path / "out") if row["path"] == "bad.jpg"]
    assert [(row["status"], row["size"], row["output"]) for row in bad] == [("failed", "64x36", ""), ("failed", "1:1", "")]
    assert all(row["message"] for row in bad)
    assert len(files_of(tmp_path / "out")) == 2 * 5 + 1


def test_a_failed_photo_is_tried_again(photos: Path, tmp_path: Path, make_photo: MakePhoto) -> None:
    (photos / "bad.jpg").write_bytes(b"")
    process(photos, tmp_path / "out")
    assert statuses(process(photos, tmp_path / "out"))["bad.jpg"] == "failed"
    make_photo(photos / "bad.jpg")
    assert statuses(process(photos, tmp_path / "out"))["bad.jpg"] == "made"


def test_a_photo_that_breaks_and_is_mended_gets_its_thumbnail_again(photos: Path, tmp_path: Path, make_photo: MakePhoto) -> None:
    """Its old thumbnail stays meanwhile, and stays known as ours."""
    out = tmp_path / "out"
    process(photos, out)
    old = (out / "a.jpg").read_bytes()
    (photos / "a.jpg").write_bytes(b"broken upload")
    later(photos / "a.jpg")
    assert statuses(process(photos, out))["a.jpg"] == "failed"
    assert (out / "a.jpg").read_bytes() == old
    make_photo(photos / "a.jpg", seed=50)
    later(photos / "a.jpg", 20)
    assert statuses(process(photos, out))["a.jpg"] == "made"
    assert (out / "a.jpg").read_bytes() != old


def test_one_target_that_fails_costs_no_other_target(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    wide = np.full((20, 17000, 3), 90, np.uint8)  # WebP ends at 16383 pixels
    (source / "wide.png").write_bytes(cv2.imencode(".png", wide)[1].tobytes())
    (done,) = process(source, tmp_path / "out", Target((850, 1)), SIZE, format="webp")
    assert done.error is not None
    assert [(row["size"], row["status"]) for row in rows_of(tmp_path / "out")] == [("850:1", "failed"), ("64x36", "ok")]
    assert (tmp_path / "out/64x36/wide.webp").exists()


def test_somebody_elses_files_are_left_alone(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(photos, out, copy_function=shutil.copy2)  # the user's own copy of the photos, times and all
    before = files_of(out)
    done = process(photos, out)
    assert set(statuses(done).values()) == {"failed"}
    assert "cropper did not write" in str(done[0].error)
    assert {name: data for name, data in files_of(out).items() if name != "boxes.csv"} == before


def test_photos_that_would_share_a_name_have_an_output_each(tmp_path: Path, make_photo: MakePhoto) -> None:
    for seed, name in enumerate(["a.jpg", "a.png", "a.webp"]):
        make_photo(tmp_path / "in" / name, seed=seed)
    process(tmp_path / "in", tmp_path / "out", format="webp")
    assert sorted(files_of(tmp_path / "out")) == ["a.jpg.webp", "a.png.webp", "a.webp", "boxes.csv"]
    assert len({data for name, data in files_of(tmp_path / "out").items()}) == 4


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_photo_that_becomes_a_link_or_a_pipe_after_its_folder_was_listed_costs_its_own_row(
    tmp_path: Path, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = make_photo(tmp_path / "private" / "secret.jpg", seed=9)
    for seed, name in enumerate("abc"):
        make_photo(tmp_path / "in" / f"{name}.jpg", seed=seed)
        make_photo(tmp_path / "in" / "sub" / f"{name}.jpg", seed=seed)
    walked = LocalPlace.walk

    def changing(place: LocalPlace, *arguments: Any, **named: Any) -> Iterator[Folder]:
        yield from list(walked(place, *arguments, **named))[:1]
        for name in ("a.jpg", "b.jpg"):
            (tmp_path / "in" / name).unlink()
        (tmp_path / "in" / "a.jpg").symlink_to(secret)
        os.mkfifo(tmp_path / "in" / "b.jpg")
        listed = list(walked(place, *arguments, **named))[1:]
        (tmp_path / "in" / "sub").rename(tmp_path / "moved")
        (tmp_path / "in" / "sub").symlink_to(tmp_path / "private")
        yield from listed

    monkeypatch.setattr(LocalPlace, "walk", changing)
    # All is planned before a photo is read.
    monkeypatch.setattr(batch, "planned", lambda plan, session: iter(list(planned(plan, session))))
    done = process(tmp_path / "in", tmp_path / "out")
    expected = dict.fromkeys(("a.jpg", "b.jpg", "sub/a.jpg", "sub/b.jpg", "sub/c.jpg"), "failed")
    assert statuses(done) == {**expected, "c.jpg": "made"}
    assert set(files_of(tmp_path / "out")) == {"c.jpg", "boxes.csv"}
    said = {row["path"]: row["message"] for row in rows_of(tmp_path / "out")}
    assert said["a.jpg"] == said["sub/a.jpg"] == "it is a link that leads out of the folder; put the photo itself there"
    assert said["b.jpg"].startswith("it is not a regular file but a pipe")


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
def test_all_names_a_file_system_takes_are_taken(tmp_path: Path, make_photo: MakePhoto) -> None:
    names = ["with space.jpg", "two\nlines.jpg", 'quo"te,.jpg', "日本.jpg", "-q.jpg", "latin\udce9.jpg", "x" * 251 + ".jpg"]
    for seed, name in enumerate(names):
        make_photo(tmp_path / "in" / "sub\r\nfolder" / name, seed=seed)
    done = process(tmp_path / "in", tmp_path / "out", format="webp")
    assert set(statuses(done).values()) == {"made"}
    assert {row["path"] for row in rows_of(tmp_path / "out")} == {f"sub\r\nfolder/{name}" for name in names}
    assert all((tmp_path / "out" / row["output"]).exists() for row in rows_of(tmp_path / "out"))
    assert set(statuses(process(tmp_path / "in", tmp_path / "out", format="webp")).values()) == {"unchanged"}


def test_an_out_inside_in_is_not_walked(photos: Path) -> None:
    process(photos, photos / "trips" / "out")
    assert len(process(photos, photos / "trips" / "out")) == 5


def test_a_folder_of_originals_is_no_out(photos: Path) -> None:
    before = files_of(photos)
    with pytest.raises(UsageError, match="OUT is inside IN and holds photos of its own"):
        process(photos, photos / "trips")
    assert files_of(photos) == before
    process(photos, photos / "out")
    assert len(process(photos, photos / "out")) == 5  # its thumbnails are its own


@pytest.mark.parametrize("where", [".", "..", "trips/.."])
def test_an_out_that_is_in_or_holds_it_is_refused(photos: Path, where: str) -> None:
    before = files_of(photos)
    with pytest.raises(UsageError, match="OUT is the same folder as IN or contains it"):
        process(photos, photos / where)
    assert files_of(photos) == before


def test_a_folder_without_photos_gives_an_empty_ledger(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no photo")
    (done,) = process(tmp_path / "in", tmp_path / "out")
    assert (done.rows, done.passed_over) == ((), 1)
    assert rows_of(tmp_path / "out") == []


def test_a_dry_run_writes_the_ledger_of_the_real_run_and_nothing_else(samples: Path, tmp_path: Path) -> None:
    process(samples, tmp_path / "real", SIZE)
    process(samples, tmp_path / "dry", SIZE, dry_run=True)
    assert sorted(os.listdir(tmp_path / "dry")) == [".cropper", "boxes.csv"]
    without = {"output": "", "output_width": "", "output_height": ""}
    assert rows_of(tmp_path / "dry") == [{**row, **without} for row in rows_of(tmp_path / "real")]
    assert all(done.unchanged for done in process(samples, tmp_path / "dry", SIZE, dry_run=True) if done.rows)
    assert all(not done.unchanged for done in process(samples, tmp_path / "dry", SIZE) if done.rows)


@pytest.mark.parametrize(
    ("targets", "needed"),
    [
        ([Target((16, 9), (640, 360))], (640, 480)),
        ([Target((9, 16), (360, 640))], (854, 640)),
        ([Target((16, 9), (64, 36))], (576, 432)),  # half as much again as the model's 288 rows
        ([Target((16, 9), (64, 36)), Target((1, 1), (1500, 1500))], (2000, 1500)),
        ([Target((1, 1))], (4000, 3000)),
        ([Target((1, 1), (9000, 9000))], (4000, 3000)),
    ],
)
def test_photos_are_decoded_to_the_largest_size_asked_for_and_no_larger(targets: list[Target], needed: tuple[int, int]) -> None:
    assert pixels_needed(4000, 3000, Settings(tuple(targets))) == needed


@given(st.integers(700, 2000), st.integers(700, 2000))
def test_a_photo_of_eight_times_the_size_is_decoded_at_an_eighth(width: int, height: int) -> None:
    assert pixels_needed(8 * width, 8 * height, Settings((Target((width, height), (width, height)),))) == (width, height)


def test_the_size_asked_for_hardly_moves_the_box(samples: Path, tmp_path: Path) -> None:
    for name, target in (("small", Target((16, 9), (64, 36))), ("large", Target((16, 9)))):
        process(samples, tmp_path / name, target, dry_run=True)
    for small, large in zip(rows_of(tmp_path / "small"), rows_of(tmp_path / "large"), strict=True):
        moved = max(abs(int(small[side]) - int(large[side])) for side in "xy")
        assert moved <= 0.05 * max(int(small["image_width"]), int(small["image_height"])), small["path"]


def test_a_dry_run_over_thumbnails_forgets_none_of_them(photos: Path, tmp_path: Path, make_photo: MakePhoto) -> None:
    out = tmp_path / "out"
    process(photos, out)
    make_photo(photos / "a.jpg", 64, 96, seed=98)
    later(photos / "a.jpg")
    process(photos, out, dry_run=True)
    later(photos / "a.jpg")
    done = statuses(process(photos, out))
    assert [path for path, status in done.items() if status == "made"] == ["a.jpg"]
    assert list(done.values()).count("unchanged") == 4


def test_a_dry_run_lets_go_of_the_pixels(photos: Path) -> None:
    job = Job(number=0, path="a.jpg", file=photos / "a.jpg", format="jpg", outputs=("a.jpg",), given=(None,))
    decoded = decode_photo(job, Settings((SIZE,), dry_run=True), Journal())
    assert isinstance(decoded, Decoded)
    assert decoded.photo.pixels.nbytes == 0
    assert decoded.photo.pixels.base is None


def test_each_photo_is_read_and_decoded_once(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def counting(data: bytes, *arguments: Any) -> Any:
        decoded.append(data)
        return original_decode(data, *arguments)

    original_decode = decode.decode
    monkeypatch.setattr(decode, "decode", counting)
    process(photos, tmp_path / "out", SIZE, SQUARE, Target((9, 16)))
    assert sorted(decoded) == sorted(path.read_bytes() for path in photos.rglob("*.*"))
    process(photos, tmp_path / "out", SIZE, SQUARE, Target((9, 16)))
    assert len(decoded) == 5


@pytest.mark.usefixtures("plain_rule")
def test_each_photo_says_how_long_workers_were_at_it(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(job: Job, *arguments: Any, **options: Any) -> Any:
        if job.path == "1/04.jpg":  # the only one of its shape in the first dozen, so that others go before it
            time.sleep(0.3)
        return decode_photo(job, *arguments, **options)

    monkeypatch.setattr(pipeline, "decode_photo", slow)
    (many / "0" / "00.jpg").write_bytes(b"no photo")
    begun = time.monotonic()
    first = process(many, tmp_path / "out", jobs=1)
    took = time.monotonic() - begun
    seconds = {done.path: done.seconds for done in first}
    assert all(one > 0 for one in seconds.values())
    assert max(seconds, key=seconds.__getitem__) == "1/04.jpg"
    assert seconds["1/04.jpg"] >= 0.3
    assert sum(seconds.values()) <= took  # one worker is at one photo at a time; waiting is not counted
    again = {done.path: done.seconds for done in process(many, tmp_path / "out")}
    assert {path for path, one in again.items() if one} == {"0/00.jpg"}


@pytest.mark.usefixtures("plain_rule")
@pytest.mark.parametrize("taken", [0, 1, 15])
def test_a_run_broken_off_keeps_what_is_finished_and_the_next_goes_on(many: Path, tmp_path: Path, taken: int) -> None:
    out = tmp_path / "out"
    with closing(run_batch(many, out, Settings((SIZE,)), 2)) as photos:
        list(itertools.islice(photos, taken))
    kept = {row["path"] for row in rows_of(out) if row["status"] == "ok"} if taken else set()
    assert len(kept) >= taken
    assert len(list(out.rglob("*.jpg"))) == len(kept)  # nothing on disk that is not in the ledger
    assert not list(out.rglob("*.part"))
    done = statuses(process(many, out))
    assert {path for path, status in done.items() if status == "unchanged"} == kept
    process(many, tmp_path / "afresh")
    assert files_of(out) == files_of(tmp_path / "afresh")


@pytest.mark.usefixtures("plain_rule")
def test_thumbnails_that_a_broken_off_run_was_to_replace_stay_known(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process(many, out)
    for attempt in range(2):  # some photos change again while their thumbnails are not yet replaced
        for path in many.rglob("*.jpg"):
            later(path, 10 + attempt)
        with closing(run_batch(many, out, Settings((SIZE,)), 2)) as photos:
            next(photos)
        assert {row["path"] for row in rows_of(out)} == {str(path.relative_to(many)) for path in many.rglob("*.jpg")}
    done = statuses(process(many, out))
    assert len(done) == MANY
    assert "failed" not in done.values()


def test_a_ledger_that_is_lost_costs_work_but_no_thumbnail(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process(photos, out)
    before = files_of(out)
    (out / "boxes.csv").unlink()
    shutil.rmtree(out / ".cropper")
    assert set(statuses(process(photos, out)).values()) == {"made"}
    assert files_of(out) == before


def test_a_model_that_fails_ends_the_run_and_keeps_what_is_finished(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(Saliency):
        left = 2

        def infer(self, images: NDArray[np.uint8]) -> list[Maps]:
            Failing.left -= 1
            if Failing.left < 0:
                raise ModelError("out of order")
            return super().infer(images)

    monkeypatch.setattr(batch, "Saliency", Failing)
    with pytest.raises(ModelError, match="out of order"):
        process(many, tmp_path / "out", jobs=1)
    thumbnails = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.jpg")}
    assert thumbnails
    assert {row["output"] for row in rows_of(tmp_path / "out")} == thumbnails


@pytest.mark.usefixtures("plain_rule")
@pytest.mark.parametrize(("limit", "value", "bound"), [("MAX_IN_FLIGHT", 5, 5), ("ENOUGH_BYTES", 1, BATCH_SIZE + 3)])
def test_photos_under_way_are_bounded_in_number(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, bound: int
) -> None:
    lock, under_way, most = threading.Lock(), 0, 0

    def begin(*arguments: Any) -> Any:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        return original_decode(*arguments)

    def end(*arguments: Any, **named: Any) -> Any:
        nonlocal under_way
        with lock:
            under_way -= 1
        return write(*arguments, **named)

    original_decode, write = decode.decode, thumbnails.write
    monkeypatch.setattr(decode, "decode", begin)
    monkeypatch.setattr(thumbnails, "write", end)
    monkeypatch.setattr(pipeline, limit, value)
    assert len(process(many, tmp_path / "out", jobs=3)) == MANY
    assert 1 < most <= bound


@pytest.mark.usefixtures("plain_rule")
@pytest.mark.parametrize("limit", ["MAX_IN_FLIGHT", "MAX_BYTES_IN_FLIGHT", "ENOUGH_BYTES", "MAX_WAITING_ROWS"])
def test_the_tightest_bounds_still_let_all_through(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(flow if hasattr(flow, limit) else pipeline, limit, 1)
    assert set(statuses(process(many, tmp_path / "out", jobs=3)).values()) == {"made"}


# The user's word, and photos no crop of which is good ------------------------------------------------------------------------


def test_only_what_is_given_anew_is_made_anew_and_holds_the_given_box(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process(photos, out)
    before = inodes_of(out)
    given = [("trips/a.jpg", "", Given(10, 20)), ("a.jpg", "64x36", Given(4, 6, 64, 36)), ("a.jpg", "1:1", Given(0, 0))]

    done = list(run_batch(photos, out, Settings((SIZE,)), 2, given))
    assert [d.path for d in done if not d.unchanged] == ["a.jpg", "trips/a.jpg"]
    rows = {row["path"]: row for row in rows_of(out)}
    assert [rows["a.jpg"][name] for name in ("x", "y", "width", "height", "message")] == ["4", "6", "64", "36", "focus given"]
    assert [rows["trips/a.jpg"][name] for name in ("focus_x", "focus_y", "message")] == ["10", "20", "focus given"]
    thumbnail = imread(str(out / "a.jpg")).astype(int)
    expected = imread(str(photos / "a.jpg"))[6:42, 4:68].astype(int)
    assert np.abs(thumbnail - expected).mean() < 12
    after = inodes_of(out)
    assert {path for path in after if after[path] != before[path]} == {"a.jpg", "trips/a.jpg"}

    assert all(d.unchanged for d in run_batch(photos, out, Settings((SIZE,)), 2, given))
    moved = [("trips/a.jpg", "", Given(11, 20))]
    assert [d.path for d in run_batch(photos, out, Settings((SIZE,)), 2, moved) if not d.unchanged] == ["trips/a.jpg"]
    # It is remembered until it is taken back.
    assert all(d.unchanged for d in process(photos, out))
    back = [("a.jpg", "", None)]
    assert [d.path for d in run_batch(photos, out, Settings((SIZE,)), 2, back) if not d.unchanged] == ["a.jpg"]
    assert [d.path for d in run_batch(photos, out, Settings((SIZE,)), 2, forgets=True) if not d.unchanged] == ["trips/a.jpg"]
    assert not any(row["message"] for row in rows_of(out))


def test_what_is_given_for_a_photo_goes_with_it_when_one_of_another_size_takes_its_place(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    list(run_batch(photos, out, Settings((SIZE,)), 2, [("a.jpg", "", Given(4, 6, 64, 36))]))
    same_size, other_size = imread(str(photos / "a.jpg"))[::-1], imread(str(photos / "a.jpg"))[:50]
    cv2.imwrite(str(photos / "a.jpg"), same_size)
    (done,) = (d for d in process(photos, out) if not d.unchanged)
    assert done.rows[0].message == "focus given"
    cv2.imwrite(str(photos / "a.jpg"), other_size)
    (done,) = (d for d in process(photos, out) if not d.unchanged)
    assert done.dropped
    assert done.rows[0].message == "the box given by hand was for another size of this photo"
    assert all(d.unchanged for d in process(photos, out))
    (done,) = (d for d in run_batch(photos, out, Settings((SIZE,)), 2, [("a.jpg", "", Given(1, 2))]) if not d.unchanged)
    assert done.rows[0].message == "focus given"


def test_a_small_box_of_a_large_photo_is_cut_from_its_own_pixels(tmp_path: Path, samples: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    shutil.copy(samples / "fig.jpg", source)
    word = [("fig.jpg", "", Given(700, 400, 160, 90))]
    list(run_batch(source, tmp_path / "out", Settings((Target((160, 90), (160, 90)),)), 1, word))
    thumbnail = imread(str(tmp_path / "out/fig.jpg")).astype(int)
    expected = imread(str(source / "fig.jpg"))[400:490, 700:860].astype(int)
    assert np.abs(thumbnail - expected).mean() < 4


def test_a_focus_outside_its_photo_fails_that_photo_alone(photos: Path, tmp_path: Path) -> None:
    done = list(run_batch(photos, tmp_path / "out", Settings((SIZE,)), 2, [("a.jpg", "", Given(96, 0))]))
    assert statuses(done) == {"a.jpg": "failed", "b.png": "made", "c.webp": "made", "trips/a.jpg": "made", "trips/d.jpg": "made"}
    assert "is not inside the photo of 96x64" in rows_of(tmp_path / "out")[0]["message"]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A folder IN with one photo that shows nothing."""
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in/grey.png"), np.full((60, 100, 3), 90, np.uint8))
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("otherwise", "shape"), [(Fit.PAD, (40, 40)), (Fit.KEEP, (24, 40)), (Fit.CENTRE, (40, 40)), (Fit.SKIP, None)]
)
def test_a_photo_without_a_good_crop_is_made_otherwise(
    plain: Path, tmp_path: Path, otherwise: Fit, shape: tuple[int, int] | None
) -> None:
    square = Target((40, 40), (40, 40))
    (done,) = process(plain, tmp_path / "out", square, choosing=Choosing(min_kept=0.1, otherwise=otherwise))
    assert done.error is None
    assert done.fits == (otherwise,)
    (row,) = rows_of(tmp_path / "out")
    assert row["message"].endswith(": nothing stands out")
    if shape is None:
        assert (row["status"], row["output"]) == ("skipped", "")
        assert not (tmp_path / "out/grey.png").exists()
    else:
        assert (row["status"], row["output"]) == ("ok", "grey.png")
        assert imread(str(tmp_path / "out/grey.png")).shape[:2] == shape


def test_a_thumbnail_of_a_photo_that_is_skipped_from_now_on_stays_until_prune(plain: Path, tmp_path: Path) -> None:
    thumbnail, skipping = tmp_path / "out/grey.png", Choosing(min_kept=0.1, otherwise=Fit.SKIP)

    def end(choosing: Choosing, prune: bool = False) -> tuple[int, int]:
        run = run_batch(plain, tmp_path / "out", Settings((SQUARE,), choosing=choosing), 1, upkeep=Upkeep(prune=prune))
        while True:
            try:
                next(run)
            except StopIteration as ended:
                return ended.value.stale, ended.value.pruned

    assert end(Choosing()) == (0, 0)
    before = thumbnail.read_bytes()
    assert end(skipping) == (1, 0)
    assert rows_of(tmp_path / "out")[0]["output"] == ""
    assert thumbnail.read_bytes() == before
    assert end(skipping) == (1, 0)  # unchanged, and still said
    assert end(Choosing()) == (0, 0)  # it has a photo again
    assert end(skipping, prune=True) == (1, 1)
    assert not thumbnail.exists()


def test_zoomed_thumbnails_are_as_sharp_as_the_photo_allows(tmp_path: Path, samples: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    shutil.copy(samples / "fig.jpg", source)
    target = Target((160, 160), (160, 160))
    process(source, tmp_path / "out", target, choosing=Choosing(Zoom(share=0.9)), quality=100)
    (row,) = rows_of(tmp_path / "out")
    x, y, side = (int(row[name]) for name in ("x", "y", "width"))
    assert 160 <= side < 800
    assert float(row["kept"]) >= 0.9
    cut = imread(str(source / "fig.jpg"))[y : y + side, x : x + side]
    expected = cv2.resize(cut, (160, 160), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(imread(str(tmp_path / "out/fig.jpg")).astype(int) - expected).mean() < 2.5


@pytest.mark.parametrize("options", [(), ("--srgb",)], ids=["profile kept", "sRGB"])
@pytest.mark.parametrize("format", ["keep", "jpg", "png", "webp", "avif"])
def test_no_place_survives_in_any_format(
    cropper: Command, tmp_path: Path, samples: Path, format: str, options: tuple[str, ...]
) -> None:
    """Latitude and longitude, in EXIF's block and in XMP, of photos of every format that has them."""
    with Image.open(samples / "cat.jpg") as opened:
        small = opened.resize((96, 64))
    exif = Image.Exif()
    exif[34853] = {1: "N", 2: (52.0, 31.0, 12.34), 3: "E", 4: (13.0, 24.0, 17.89), 29: "2018:01:24"}
    place = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description exif:GPSLatitude="52,31.2N"/></x:xmpmeta>'
    (tmp_path / "in").mkdir()
    for extension in ("jpg", "webp", "avif"):
        small.save(tmp_path / "in" / f"{extension}.{extension}", exif=exif, xmp=place)
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", place.decode())
    small.save(tmp_path / "in" / "png.png", exif=exif, pnginfo=text)
    small.save(tmp_path / "in" / "tiff.tif", tiffinfo={700: place})
    for source in (tmp_path / "in").iterdir():
        assert b"GPSLatitude" in source.read_bytes()
    assert cropper("batch", "in", "out", "--size", "48x32", "--format", format, *options)[0] == 0
    made = [path for path in (tmp_path / "out").iterdir() if path.suffix != ".csv" and path.is_file() and path.name[0] != "."]
    assert len(made) == 5
    for thumbnail in made:
        assert b"GPS" not in thumbnail.read_bytes()
        with Image.open(thumbnail) as opened:
            assert not opened.getexif().get_ifd(34853)
            assert not dict(opened.getexif())
            assert not {"exif", "xmp", "XML:com.adobe.xmp"} & set(opened.info)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_in_out_lead_nowhere(cropper: Command, tmp_path: Path, make_photo: MakePhoto) -> None:
    photo = make_photo(tmp_path / "in" / "sub" / "a.jpg")
    make_photo(tmp_path / "in" / "b.jpg")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "folder").mkdir(parents=True)
    (elsewhere / "target.jpg").write_bytes(b"mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(elsewhere / "folder")
    for number in range(4):
        (tmp_path / "out" / f".cropper-{number}.part").symlink_to(elsewhere / "target.jpg")
    code, _, said = cropper("batch", "in", "out")
    assert code == 1
    assert "out/sub: a link leads out of OUT; remove it or choose another OUT" in said
    assert list((elsewhere / "folder").iterdir()) == []
    assert (elsewhere / "target.jpg").read_bytes() == b"mine"
    assert (tmp_path / "out" / "b.jpg").is_file()
    assert photo.is_file()


@pytest.mark.usefixtures("plain_rule")
@pytest.mark.skipif(os.name == "nt", reason="such names cannot be there")
@pytest.mark.parametrize("name", ["x\\..\\..\\a.jpg", "a...jpg", "\\a.jpg", "C:a.jpg", "%2e%2e%2fa.jpg", "~.jpg", "<script>.jpg"])
def test_no_name_leads_out_of_out(cropper: Command, tmp_path: Path, make_photo: MakePhoto, name: str) -> None:
    make_photo(tmp_path / "here" / "in" / " .." / "x.jpg").rename(tmp_path / "here" / "in" / " .." / name)
    before, out = set(tmp_path.rglob("*")), tmp_path / "here" / "out"
    assert cropper("batch", "here/in", "here/out", "--size", "20x20", "--aspect", "1:1")[0] == 0
    assert all(path == out or out in path.parents for path in {*tmp_path.rglob("*")} - before)
    assert len(list(out.rglob("*.jpg"))) == 2


@pytest.mark.usefixtures("plain_rule")
@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("order", ["sorted", "reversed", "shuffled"])
def test_the_file_systems_order_does_not_matter(
    cropper: Command, samples: Path, tmp_path: Path, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch, jobs: int, order: str
) -> None:
    for number in range(12):
        make_photo(tmp_path / "in" / ("", "b", "a", "b/c")[number % 4] / f"{number}.jpg", seed=number)
    assert cropper("batch", "in", "expected", "--size", "24x24")[0] == 0
    scandir = os.scandir

    class InOrder:
        def __init__(self, path: str):
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=order == "reversed")
            if order == "shuffled":
                random.Random(str(path)).shuffle(self.entries)

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return iter(self.entries)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", InOrder)
    # Broken off, and gone on with.
    with closing(run_batch(tmp_path / "in", tmp_path / "out", Settings((Target((24, 24), (24, 24)),)), jobs)) as photos:
        for _ in range(5):
            next(photos)
    assert cropper("batch", "in", "out", "--size", "24x24", "--jobs", jobs)[0] == 0
    monkeypatch.undo()
    assert len(files_of(tmp_path / "expected")) == 13
    assert files_of(tmp_path / "out") == files_of(tmp_path / "expected")
