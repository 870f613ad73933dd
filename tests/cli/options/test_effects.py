"""Options that no thumbnail of a run can use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fixtures import Command, MakePhoto

from cropper.engine.job import Done
from cropper.engine.tally import Counts
from cropper.image_formats import OUTPUT_FORMATS
from cropper.ledger.table import failed_row

SMALL = ("--size", "64x36")
BUT_GIF = "JPEG, PNG, WebP, AVIF or JPEG XL"
LOSSY = "JPEG, WebP, AVIF or JPEG XL"


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto, plain_rule: None) -> Path:
    make_photo(tmp_path / "in" / "a.jpg", 200, 160)
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("format", "options", "said"),
    [
        ("jpg", ["--colours", "8"], "--colours has no effect on JPEG; leave it out, or write PNG or GIF"),
        ("webp", ["--colors", "8"], "--colours has no effect on WebP; leave it out, or write PNG or GIF"),
        ("webp", ["--progressive"], "--progressive has no effect on WebP; leave it out, or write JPEG"),
        ("png", ["--quality", "90"], f"--quality has no effect on PNG; leave it out, or write {LOSSY}"),
        ("gif", ["--quality", "90"], f"--quality has no effect on GIF; leave it out, or write {LOSSY}"),
        ("gif", ["--keep", "copyright"], f"--keep has no effect on GIF; leave it out, or write {BUT_GIF}"),
    ],
)
def test_one_that_the_only_format_cannot_use_is_refused(
    cropper: Command, photos: Path, tmp_path: Path, format: str, options: list[str], said: str
) -> None:
    for begun in (("batch", photos, "out", "--format", format), ("crop", photos / "a.jpg", "-o", f"thumbnail.{format}")):
        assert cropper(*begun, *SMALL, *options) == (2, "", f"cropper: {said}\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("jpg", ["--quality", "50", "--progressive", "--keep", "all"]),
        ("png", ["--colours", "8", "--keep", "all"]),
        ("gif", ["--colours", "8", "--keep", "none"]),
        ("keep", ["--quality", "50", "--progressive", "--keep", "all", "--sharpen", "1", "--enlarge"]),
    ],
)
def test_one_that_it_can_use_is_not(cropper: Command, photos: Path, format: str, options: list[str]) -> None:
    code, _, err = cropper("batch", photos, "out", "--format", format, *SMALL, *options)
    assert (code, "effect" in err) == (0, False)


@pytest.mark.parametrize(("option", "value"), [("--enlarge", ()), ("--sharpen", ("0.5",))])
def test_scaling_is_not_asked_for_where_nothing_is_scaled(
    cropper: Command, photos: Path, option: str, value: tuple[str, ...]
) -> None:
    said = (
        f"{option} has no effect with --aspect alone, which keeps the photo's own pixels; leave it out, or give --size or --width"
    )
    assert cropper("batch", photos, "out", "--aspect", "1:1", option, *value) == (2, "", f"cropper: {said}\n")
    assert cropper("batch", photos, "out", "--aspect", "1:1", "--width", "40", option, *value)[0] == 0
    assert cropper("batch", photos, "out2", "--aspect", "1:1", "--size", "40x40", option, *value)[0] == 0


def test_where_the_photos_decide_it_is_said_once_at_the_end(cropper: Command, photos: Path, make_photo: MakePhoto) -> None:
    make_photo(photos / "b.jpg", 200, 160, 1)
    line = "cropper: --colours had no effect: no thumbnail is a PNG or GIF\n"
    options = ("--colours", "8", "--quality", "50")
    assert cropper("batch", photos, "out", *SMALL, *options)[2].count(line) == 1
    assert "2 unchanged" in (again := cropper("batch", photos, "out", *SMALL, *options)[2])
    assert again.count(line) == 1
    assert "effect" not in cropper("batch", photos, "out", *SMALL, *options, "--dry-run")[2]
    make_photo(photos / "c.png", 200, 160, 2)
    assert "effect" not in cropper("batch", photos, "out", *SMALL, *options)[2]
    assert "effect" not in cropper("batch", photos, "out", *SMALL, *options, "--exclude", "*")[2]


def test_padding_that_no_photo_needs_is_said_with_what_would_pad(cropper: Command, photos: Path) -> None:
    padding = ("--size", "32x32", "--pad-with", "white", "--whole", "heads")
    said = "--pad-with had no effect: all crops are good; --whole photo pads each photo of another shape\n"
    assert said in cropper("batch", photos, "out", *padding)[2]
    assert said not in cropper("batch", photos, "out", *padding)[2]  # a nightly run has nothing new to say
    err = cropper("batch", photos, "whole", "--size", "32x32", "--pad-with", "white", "--whole", "photo")[2]
    assert said not in err
    assert "where no crop is good: 1 padded" in err


def test_of_one_photo_it_is_said_too(cropper: Command, photos: Path, tmp_path: Path) -> None:
    """Where its own format is kept, since the thumbnail goes to stdout."""
    code, _, err = cropper("crop", photos / "a.jpg", *SMALL, "--colours", "8")
    assert (code, err) == (0, "cropper: --colours had no effect: no thumbnail is a PNG or GIF\n")


def test_a_file_of_options_says_how_it_is_done_if_it_is(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "cropper.toml").write_text('colours = 8\nkeep = "copyright"\nsharpen = 1\nenlarge = true\n')
    for options in (("--format", "jpg", *SMALL), ("--format", "gif", *SMALL), ("--aspect", "1:1"), SMALL):
        code, _, err = cropper("batch", photos, "out", *options)
        assert (code, "effect" in err) == (0, False), err


def test_what_a_killed_run_had_made_counts() -> None:
    counts = Counts()
    row = failed_row("a.png", "1x1", "")
    for number, format in enumerate(OUTPUT_FORMATS):
        counts.add(Done(f"{number}", (replace(row, output=f"a.{format.upper()}"),)))
    restored, _ = Counts.after(counts.until(Done("a.png", (row,))))
    assert restored.formats == counts.formats
    assert set(restored.formats) == set(OUTPUT_FORMATS)
