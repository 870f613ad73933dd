"""One photo, decided as a batch would, and drawn."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures import MakePhoto, imdecode
from running import run_batch

from cropper import OutputError, PhotoError, UsageError
from cropper.settings import Choosing, Settings, Target
from cropper.views.heatmap import words_of
from cropper.views.picture import LONGEST, SHORTEST, look_at, picture_of, preview_of, save

TARGETS = (Target((640, 360), (640, 360)), Target((1, 1)), Target((9, 16)))


def test_boxes_are_those_that_a_batch_chooses(samples: Path, tmp_path: Path) -> None:
    list(run_batch(samples, tmp_path / "out", Settings(TARGETS, dry_run=True), 2))
    chosen: dict[str, list[tuple[str, ...]]] = {}
    with (tmp_path / "out" / "boxes.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            chosen.setdefault(row["path"], []).append(tuple(row[name] for name in ("size", "x", "y", "width", "height", "kept")))
    assert len(chosen) >= 10
    for path, rows in chosen.items():
        boxes = look_at(samples / path, TARGETS, Choosing()).boxes
        shown = [(label, *map(str, (box.x, box.y, box.width, box.height)), f"{box.kept:.4f}") for label, box in boxes]
        assert shown == rows


@pytest.mark.parametrize(("width", "height"), [(16, 16), (1, 300), (300, 30), (30, 300), (2400, 100), (1000, 700)])
def test_photos_of_every_shape_have_a_picture_of_a_screens_size(
    tmp_path: Path, make_photo: MakePhoto, width: int, height: int
) -> None:
    look = look_at(make_photo(tmp_path / "a.png", width, height), TARGETS, Choosing())
    assert (look.width, look.height) == (width, height)
    picture = picture_of(look)
    assert picture.dtype == np.uint8
    longest = max(SHORTEST, min(LONGEST, max(width, height)))
    assert longest <= max(picture.shape) < longest + 200


def test_the_picture_is_upright(tmp_path: Path, samples: Path) -> None:
    """The photo's lower half is black: so is the picture's, though the file stores it on its side."""
    from PIL import Image

    pixels = np.full((60, 90, 3), 200, np.uint8)
    pixels[30:] = 0
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(np.rot90(pixels)).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    look = look_at(tmp_path / "turned.jpg", (Target((3, 1)),), Choosing())
    assert (look.width, look.height) == (90, 60)
    assert look.bgr[: len(look.bgr) // 3].mean() > 150
    assert look.bgr[-(len(look.bgr) // 3) :].mean() < 50


def test_transparency_is_shown_on_a_checkerboard(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "clear.png"), np.zeros((40, 60, 4), np.uint8))
    assert set(np.unique(look_at(tmp_path / "clear.png", TARGETS, Choosing()).bgr).tolist()) == {199, 255}


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (20, 50), (1, 1)])
def test_a_preview_fits_its_terminal(samples: Path, columns: int, rows: int) -> None:
    look = look_at(samples / "trips" / "skyline_panorama.jpg", TARGETS, Choosing())
    lines = preview_of(look, columns, rows).split("\n")
    drawn, legend = lines[: -len(TARGETS)], lines[-len(TARGETS) :]
    assert len(drawn) <= rows
    assert {line.count("\u2580") for line in drawn} == {columns if columns < 4 * rows * 2 else 4 * rows * 2}
    for line, (label, box) in zip(legend, look.boxes, strict=True):
        assert re.sub(r"\x1b\[[0-9;]*m", "", line) == f"\u25a0 {words_of(label, box)}"


def test_a_preview_shows_the_photo_rather_than_outlines(samples: Path) -> None:
    look = look_at(samples / "trips" / "tourist.webp", TARGETS, Choosing())
    plain = replace(look, maps=replace(look.maps, subject=None, head=None))
    assert preview_of(look, 80, 24) == preview_of(plain, 80, 24)
    assert (picture_of(look)[:400] != picture_of(plain)[:400]).any()


def test_a_photo_that_is_not_there_or_broken_is_said_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    for name, said in (("none.jpg", "cannot be read"), ("text.jpg", "not an image")):
        with pytest.raises(PhotoError, match=said) as caught:
            look_at(tmp_path / name, TARGETS, Choosing())
        assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.webp", "latin\udce9.png"])
def test_a_picture_is_saved_in_the_format_its_name_says(tmp_path: Path, name: str) -> None:
    picture = np.full((20, 30, 3), (40, 90, 200), np.uint8)
    save(picture, tmp_path / name)
    read = imdecode((tmp_path / name).read_bytes())
    assert np.abs(read.astype(int) - picture).max() <= 4
    magic = {"png": b"\x89PNG", "JPG": b"\xff\xd8", "webp": b"RIFF"}[name.rpartition(".")[2]]
    assert (tmp_path / name).read_bytes().startswith(magic)


@pytest.mark.parametrize("name", ["a", "a.txt", "png", ".png", "a.p\udce9g"])
def test_a_name_without_an_image_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"end it in \.png"):
        save(np.zeros((2, 2, 3), np.uint8), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "no").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        save(np.zeros((2, 2, 3), np.uint8), tmp_path / "no" / "such" / "a.png")


def test_candidates_and_what_is_done_otherwise_are_named(samples: Path) -> None:
    look = look_at(samples / "trips/spice_market.jpg", (Target((1, 2)),), Choosing(candidates=2))
    assert [label for label, _ in look.boxes] == ["1:2", "1:2 #2"]
    look = look_at(samples / "trips/skyline_panorama.jpg", (Target((1, 1)),), Choosing(min_kept=0.9))
    assert [(label, box.width) for label, box in look.boxes] == [("1:1 padded", 1600)]
