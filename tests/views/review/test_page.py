"""The page's data and pictures. What the page does with them is tested in a browser."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fixtures import MakeBatch, MakePhoto, imread
from running import run_batch

from cropper import OutputError, UsageError
from cropper.choosing.decide import BY_HAND
from cropper.cli import main
from cropper.ledger.table import TABLE_NAME
from cropper.settings import Settings, Target
from cropper.views.review.page import PAGE, Shown, write_page
from cropper.views.review.pictures import _heat

TARGETS = (Target((640, 360), (64, 36)), Target((1, 1)))


def write(out: Path, source: Path | None = None, jobs: int = 2) -> list[Shown]:
    return list(write_page(out, source, jobs))


def data_of(out: Path) -> dict[str, Any]:
    text = (out / PAGE).read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found
    return json.loads(found[1])


def by_path(out: Path) -> dict[str, Any]:
    return {photo["p"]: photo for photo in data_of(out)["photos"]}


@pytest.fixture
def batch(tmp_path: Path, make_photo: MakePhoto) -> MakeBatch:
    """A function that makes a folder of photos with these names and their thumbnails: IN and OUT."""

    def make(*names: str, **settings: Any) -> tuple[Path, Path]:
        for seed, name in enumerate(names):
            make_photo(tmp_path / "in" / name, seed=seed)
        list(run_batch(tmp_path / "in", tmp_path / "out", Settings(TARGETS, **settings), 2))
        return tmp_path / "in", tmp_path / "out"

    return make


def test_the_page_has_every_row_of_the_ledger(batch: MakeBatch) -> None:
    _, out = batch("a.jpg", "b.png", "trip/c.jpg")
    assert [(seen.path, seen.error) for seen in write(out)] == [("a.jpg", None), ("b.png", None), ("trip/c.jpg", None)]
    page = data_of(out)
    assert page["sizes"] == ["64x36", "1:1"]
    assert page["byHand"] == BY_HAND
    shown = {photo["p"]: photo for photo in page["photos"]}
    with (out / TABLE_NAME).open(newline="") as file:
        for row in csv.DictReader(file):
            photo = shown[row["path"]]
            assert photo["n"] == [int(row["image_width"]), int(row["image_height"])]
            (there,) = [one for one in photo["r"] if one["s"] == row["size"]]
            assert there["t"] == row["status"]
            assert there["b"] == [int(row[name]) for name in ("x", "y", "width", "height")]
            assert there["f"] == [int(row["focus_x"]), int(row["focus_y"])]
            assert there["k"] == float(row["kept"])


def test_failed_photos_come_first_and_then_the_least_certain(batch: MakeBatch, samples: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("cat.jpg", "wren.jpg", "trips/skyline_panorama.jpg"):
        (tmp_path / "in" / os.path.basename(name)).write_bytes((samples / name).read_bytes())
    (tmp_path / "in" / "text.jpg").write_text("no photo")
    _, out = batch()
    assert [seen.path for seen in write(out) if seen.error] == []  # the ledger says it already
    photos = data_of(out)["photos"]
    assert photos[0]["p"] == "text.jpg"
    assert "not an image" in photos[0]["r"][0]["m"]
    certainty = [min(min(row["k"], row["u"]) - row.get("h", 0) for row in photo["r"]) for photo in photos[1:]]
    assert certainty == sorted(certainty)


def test_each_photo_has_pictures_of_its_shape(batch: MakeBatch, samples: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "wide.jpg").write_bytes((samples / "trips" / "skyline_panorama.jpg").read_bytes())
    _, out = batch("small.png")
    write(out)
    for path, width, height in (("wide.jpg", 1280, 320), ("small.png", 96, 64)):
        name = by_path(out)[path]["i"]
        preview, card = (imread(str(out / "review_files" / f"{name}.{kind}.jpg")) for kind in ("preview", "card"))
        heat = imread(str(out / "review_files" / f"{name}.heat.png"), cv2.IMREAD_UNCHANGED)
        assert preview.shape == (height, width, 3)
        assert card.shape == (min(height, height * 480 // width), min(width, 480), 3)
        assert heat.shape[2] == 4
        assert 0 < heat[:, :, 3].max() < 255


@pytest.mark.parametrize(
    "name", ["</script><b>.jpg", "<!--.jpg", "{{data}}.jpg", 'a"b\\,.jpg', "\u2028\u202e%20#?.jpg", "a\nb.jpg"]
)
@pytest.mark.skipif(os.name == "nt", reason="such names cannot be there")
def test_no_name_breaks_out_of_the_data(tmp_path: Path, make_photo: MakePhoto, name: str) -> None:
    folder, _, base = name.rpartition("/")
    photo = make_photo(tmp_path / "x.jpg")
    (tmp_path / "in" / folder).mkdir(parents=True)
    photo.rename(tmp_path / "in" / folder / base)
    list(run_batch(tmp_path / "in", tmp_path / "out", Settings(TARGETS), 1))
    assert [seen.path for seen in write(tmp_path / "out")] == [name]
    assert list(by_path(tmp_path / "out")) == [name]
    text = (tmp_path / "out" / PAGE).read_text(encoding="utf-8")
    assert text.count("</script>") == 2
    assert text.rstrip().endswith("</html>")


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be there")
def test_a_name_that_is_no_text_keeps_its_bytes(tmp_path: Path, make_photo: MakePhoto) -> None:
    make_photo(tmp_path / "in" / "a.jpg").rename(tmp_path / "in" / os.fsdecode(b"caf\xe9.jpg"))
    list(run_batch(tmp_path / "in", tmp_path / "out", Settings(TARGETS), 1))
    assert [seen.error for seen in write(tmp_path / "out")] == [None]
    (path,) = by_path(tmp_path / "out")
    assert os.fsencode(path) == b"caf\xe9.jpg"


def test_a_second_run_makes_just_what_is_missing_or_has_changed(batch: MakeBatch, make_photo: MakePhoto) -> None:
    source, out = batch("a.jpg", "b.jpg", "c.jpg")
    write(out)
    names = {path: photo["i"] for path, photo in by_path(out).items()}
    made = {path: (out / "review_files" / f"{name}.preview.jpg").stat().st_ino for path, name in names.items()}
    (out / "review_files" / f"{names['b.jpg']}.heat.png").unlink()
    make_photo(source / "c.jpg", seed=9)
    os.utime(source / "c.jpg", (time.time() + 5, time.time() + 5))
    write(out)
    again = {path: (out / "review_files" / f"{name}.preview.jpg").stat().st_ino for path, name in names.items()}
    assert [path for path in names if made[path] != again[path]] == ["b.jpg", "c.jpg"]
    assert len(list((out / "review_files").glob("*.heat.png"))) == 3


def test_pictures_of_photos_that_are_gone_are_removed_and_nothing_else(batch: MakeBatch) -> None:
    source, out = batch("a.jpg", "b.jpg")
    write(out)
    (out / "review_files" / "d41d8cd98f00b204e9800998ecf8427e.jpg").write_text("somebody's")
    (source / "b.jpg").unlink()
    list(run_batch(source, out, Settings(TARGETS), 1))
    write(out)
    assert len(list((out / "review_files").glob("*.heat.png"))) == 1
    assert (out / "review_files" / "d41d8cd98f00b204e9800998ecf8427e.jpg").read_text() == "somebody's"


def test_pictures_made_with_another_model_are_made_again(batch: MakeBatch) -> None:
    _, out = batch("a.jpg")
    write(out)
    (out / "review_files" / ".cropper-review").write_text("another")
    (picture,) = (out / "review_files").glob("*.heat.png")
    before = picture.stat().st_ino, picture.read_bytes()
    picture.write_bytes(b"")
    os.utime(picture, ns=(1, 1))
    write(out)
    assert picture.read_bytes() == before[1]


def test_a_photo_that_is_gone_or_another_now_is_shown_with_why(batch: MakeBatch, make_photo: MakePhoto) -> None:
    source, out = batch("a.jpg", "b.jpg", "c.jpg")
    (source / "a.jpg").unlink()
    make_photo(source / "b.jpg", 50, 80)
    errors = {seen.path: str(seen.error) for seen in write(out) if seen.error}
    assert "cannot be read" in errors["a.jpg"]
    assert str(source / "a.jpg") in errors["a.jpg"]
    assert "changed since its boxes were chosen" in errors["b.jpg"]
    shown = by_path(out)
    assert ["e" in shown[path] for path in ("a.jpg", "b.jpg", "c.jpg")] == [True, True, False]


def test_a_row_of_a_buckets_key_opens_no_file_elsewhere(batch: MakeBatch) -> None:
    source, out = batch("a.jpg", "b.jpg")
    table = out / "boxes.csv"
    (source / "a.jpg").rename(source.parent / "a.jpg")
    table.write_text(table.read_text().replace("\na.jpg,", "\n../a.jpg,").replace("\nb.jpg,", f"\n{source}/b.jpg,"))
    errors = {seen.path: str(seen.error) for seen in write(out) if seen.error}
    assert errors.keys() == {"../a.jpg", f"{source}/b.jpg"}
    assert all("no file below a folder can have that name" in error for error in errors.values())
    assert not list((out / "review_files").glob("*.jpg"))


def test_where_the_photos_are_can_be_told(batch: MakeBatch, tmp_path: Path) -> None:
    source, out = batch("a.jpg", dry_run=True)
    write(out)
    shutil.rmtree(out / ".cropper")
    with pytest.raises(UsageError, match="--photos"):
        write(out)
    write(out, source)
    assert "e" not in by_path(out)["a.jpg"]
    source.rename(tmp_path / "moved")
    with pytest.raises(UsageError, match="not there"):
        write(out, source)


def test_an_output_folder_without_a_ledger_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cropper batch IN OUT"):
        write(tmp_path)


def test_somebody_elses_page_and_folder_stay_as_they_are(batch: MakeBatch) -> None:
    _, out = batch("a.jpg")
    (out / PAGE).write_text("<p>mine</p>")
    with pytest.raises(OutputError, match="not a page that cropper wrote"):
        write(out)
    assert (out / PAGE).read_text() == "<p>mine</p>"
    (out / PAGE).unlink()
    if hasattr(os, "mkfifo"):  # nobody writes to it: to read it takes forever
        os.mkfifo(out / PAGE)
        with pytest.raises(OutputError, match="not a page that cropper wrote"):
            write(out)
        (out / PAGE).unlink()
    (out / "review_files").mkdir()
    (out / "review_files" / "a.jpg").write_text("mine")
    with pytest.raises(OutputError, match="did not make"):
        write(out)
    assert [path.name for path in (out / "review_files").iterdir()] == ["a.jpg"]
    assert not (out / PAGE).exists()


def test_the_page_depends_on_no_number_of_jobs(batch: MakeBatch) -> None:
    _, out = batch(*(f"{number}.jpg" for number in range(9)))
    write(out, jobs=1)
    first = (out / PAGE).read_bytes()
    write(out, jobs=4)
    assert (out / PAGE).read_bytes() == first


def test_numbers_that_a_spreadsheet_spoilt_are_no_box(batch: MakeBatch) -> None:
    _, out = batch("a.jpg")
    table = out / TABLE_NAME
    rows = list(csv.reader(table.open(newline="")))
    rows[1][rows[0].index("x")] = "1,5"
    rows[2][rows[0].index("kept")] = "nan"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    write(out)
    first, second = by_path(out)["a.jpg"]["r"]
    assert "b" not in first
    assert "k" not in second


def test_a_closed_run_leaves_no_page(batch: MakeBatch) -> None:
    _, out = batch(*(f"{number}.jpg" for number in range(9)))
    pages = write_page(out, None, 1)
    next(pages)
    pages.close()
    assert not (out / PAGE).exists()
    assert len(write(out)) == 9


def test_nothing_in_the_page_asks_the_network(batch: MakeBatch) -> None:
    _, out = batch("a.jpg")
    write(out)
    text = (out / PAGE).read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert re.findall(r"https?://[^\"'\s]+", text) == ["http://www.w3.org/2000/svg"]  # a name, not a place


def test_heat_is_clear_where_nobody_looks() -> None:
    density = np.zeros((8, 8), np.float32)
    density[2, 3] = 1
    heat = _heat(density)
    assert heat.shape == (16, 16, 4)
    assert heat[4:6, 6:8, 3].min() > 100
    assert heat[10:, 10:, 3].max() == 0


def test_the_command_prints_the_page_and_says_what_is_missing(batch: MakeBatch, capfd: pytest.CaptureFixture[str]) -> None:
    source, out = batch("a.jpg", "b.jpg")
    with pytest.raises(SystemExit) as ended:
        main(["review", str(out)])
    assert (ended.value.code, *capfd.readouterr()) == (0, f"{out / 'review.html'}\n", "")
    (source / "a.jpg").unlink()
    with pytest.raises(SystemExit) as ended:
        main(["review", str(out), "--photos", str(source)])
    said = capfd.readouterr()
    assert ended.value.code == 1
    assert said.out == f"{out / 'review.html'}\n"
    assert said.err.startswith(f"cropper: {source / 'a.jpg'}: cannot be read")
    assert said.err.count("\n") == 1


def test_the_command_says_in_one_line_what_it_cannot_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["review", str(tmp_path)])
    assert ended.value.code == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_a_batch_takes_no_picture_of_the_page_for_a_photo(tmp_path: Path, make_photo: MakePhoto) -> None:
    """OUT may lie in IN."""
    for seed in range(2):
        make_photo(tmp_path / f"{seed}.jpg", seed=seed)
    list(run_batch(tmp_path, tmp_path / "out", Settings(TARGETS), 1))
    write(tmp_path / "out")
    assert [done.path for done in run_batch(tmp_path, tmp_path / "out", Settings(TARGETS), 1) if done.rows] == ["0.jpg", "1.jpg"]
