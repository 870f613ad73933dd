"""Options of how thumbnails are written, as a user gives them: sizes in bytes, formats by name, colours, sharpening."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import click
import numpy as np
import pytest
from fixtures import Command, MakePhoto
from PIL import Image

from cropper.cli.options.types import Bytes, Choice
from cropper.image_formats import FORMAT_CHOICES, FORMAT_NAMES

SMALL = ("--size", "64x36")


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto, plain_rule: None) -> Path:
    for seed in range(2):
        make_photo(tmp_path / "in" / f"{seed}.jpg", 200, 160, seed)
    return tmp_path / "in"


def messages(out: Path) -> list[str]:
    with (out / "boxes.csv").open(newline="", encoding="utf-8") as file:
        return [row["message"] for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("100kB", 100_000),
        ("100KB", 100_000),
        ("100 kb", 100_000),
        ("100k", 100_000),
        ("0.1MB", 100_000),
        ("100000", 100_000),
        ("100000B", 100_000),
        ("100KiB", 102_400),
        ("1.5MiB", 1_572_864),
        ("0.29MB", 290_000),
    ],
)
def test_a_size_is_read_in_every_way_that_it_is_written(text: str, size: int) -> None:
    assert Bytes().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "0", "0.1B", "-5kB", "100x", "1e5", "nan", "kB", "1,5MB", "\u0661kB", "9" * 30])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a number of bytes, as in 100kB"):
        Bytes().convert(text, None, None)


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("jpeg", "jpg"),
        ("JPG", "jpg"),
        ("JPEG", "jpg"),
        ("jpe", "jpg"),
        ("Png", "png"),
        ("WebP", "webp"),
        ("AVIF", "avif"),
        ("KEEP", "keep"),
    ],
)
def test_a_format_has_all_its_names_in_any_case(name: str, format: str) -> None:
    assert Choice(FORMAT_CHOICES, FORMAT_NAMES).convert(name, None, None) == format


def test_a_format_that_is_only_read_is_none_of_them() -> None:
    with pytest.raises(click.BadParameter, match="'TIFF' is not one of 'keep', 'jpg'"):
        Choice(FORMAT_CHOICES, FORMAT_NAMES).convert("TIFF", None, None)


def test_a_number_of_bytes_in_a_file_needs_no_quotes(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "cropper.toml").write_text("max-bytes = 1500\n")
    assert cropper("batch", photos, "out", *SMALL)[0] == 0
    assert all(file.stat().st_size <= 1500 for file in (tmp_path / "out").glob("*.jpg"))
    (tmp_path / "cropper.toml").write_text("max-bytes = true\n")
    code, _, err = cropper("batch", photos, "out", *SMALL)
    assert code == 2
    assert "it must be a whole number, or a size in quotes" in err


def test_format_names_work_in_a_file_and_a_variable_and_change_nothing(
    cropper: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cropper("batch", photos, "out", *SMALL, "--format", "jpg")[0] == 0
    (tmp_path / "cropper.toml").write_text('format = "JPEG"\n')
    assert "2 unchanged" in cropper("batch", photos, "out", *SMALL)[2]
    monkeypatch.setenv("CROPPER_BATCH_FORMAT", "Jpeg")
    assert "2 unchanged" in cropper("--no-config", "batch", photos, "out", *SMALL)[2]


def test_thumbnails_that_do_not_fit_are_written_and_said(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "focus.csv").write_text("path,x,y\n1.jpg,50,50\n")
    arguments = ("batch", photos, "out", *SMALL, "--max-bytes", "0.3kB", "--focus", "focus.csv", "--report", "report.jsonl")
    code, _, err = cropper(*arguments)
    assert code == 0
    assert "; 2 thumbnails are larger than 300 bytes, even at quality 30; " in err
    assert "; 1 crop by hand; " in err
    said = "larger than 300 bytes, even at quality 30"
    assert messages(tmp_path / "out") == [said, f"focus given; {said}"]
    *lines, last = map(json.loads, (tmp_path / "report.jsonl").read_text().splitlines())
    assert [line["why"] for line in lines] == messages(tmp_path / "out")
    assert last["totals"]["too_large"] == 2
    assert (tmp_path / "out/0.jpg").stat().st_size > 300
    # They are not made again for nothing, nor forgotten.
    code, _, err = cropper(*arguments)
    assert "2 unchanged" in err
    assert "; 2 thumbnails are larger than 300 bytes, even at quality 30; " in err


def test_thumbnails_that_fit_need_no_words(cropper: Command, photos: Path, tmp_path: Path) -> None:
    assert cropper("batch", photos, "plain", *SMALL)[0] == 0
    limit = (tmp_path / "plain/0.jpg").stat().st_size * 3 // 4
    code, _, err = cropper("batch", photos, "out", *SMALL, "--max-bytes", limit)
    assert (code, "larger" in err, messages(tmp_path / "out")) == (0, False, ["", ""])
    assert all((tmp_path / "out" / name).stat().st_size <= limit for name in ("0.jpg", "1.jpg"))


def test_one_photo_says_so_too(cropper: Command, photos: Path, tmp_path: Path) -> None:
    photo = photos / "0.jpg"
    assert cropper("crop", photo, *SMALL, "--max-bytes", "90", "--format", "PNG", "-o", "a.png") == (
        0,
        "",
        f"cropper: {photo}: the thumbnail is larger than 90 bytes, even with 16 colours\n",
    )


@pytest.mark.parametrize("option", ["--colours", "--colors"])
def test_colours_have_both_spellings(cropper: Command, photos: Path, tmp_path: Path, option: str) -> None:
    assert cropper("crop", photos / "0.jpg", *SMALL, option, "9", "-o", "a.png")[0] == 0
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert len(np.unique(np.asarray(image))) <= 9


def test_a_file_of_options_has_both_spellings_too(cropper: Command, photos: Path, tmp_path: Path) -> None:
    for key in ("colours", "colors"):
        (tmp_path / "cropper.toml").write_text(f'[crop]\n{key} = 2\nsharpen = 0.5\nmax-bytes = "20kB"\nprogressive = true\n')
        assert cropper("crop", photos / "0.jpg", *SMALL, "-o", "a.png")[0] == 0
        with Image.open(tmp_path / "a.png") as image:
            assert len(np.unique(np.asarray(image))) == 2


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--max-bytes", "many", "is not a number of bytes, as in 100kB, 0.1MB, 100KiB or 100000."),
        ("--colours", "1", "is not a whole number from 2 to 256."),
        ("--sharpen", "nan", "is not a number from 0 to 3."),
        ("--sharpen", "-1", "is not a number from 0 to 3."),
    ],
)
def test_what_is_wrong_is_one_line(cropper: Command, photos: Path, option: str, value: str, message: str) -> None:
    code, _, err = cropper("batch", photos, "out", option, value)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_sharpening_and_progressive_reach_the_file(cropper: Command, photos: Path, tmp_path: Path) -> None:
    files = {}
    for name, *options in (("plain",), ("sharp", "--sharpen", "1"), ("progressive", "--progressive")):
        assert cropper("crop", photos / "0.jpg", *SMALL, *options, "-o", f"{name}.jpg")[0] == 0
        files[name] = (tmp_path / f"{name}.jpg").read_bytes()
    assert len(set(files.values())) == 3
    assert [b"\xff\xc2" in data for data in files.values()] == [False, False, True]
