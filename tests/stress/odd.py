"""Makes folders of odd shape and photos of odd sizes, runs `cropper batch` over them, and says what became of them.

    python tests/stress/odd.py [--entries 200000] [--photos 1000] [--deep 40] [--jobs 2] [--only TEXT]

A folder with very many files, of which some are photos (links of one); a path of many levels, with a photo in each; photos of one
pixel; strips of 30,000 x 200 and 200 x 30,000 pixels. Exits with 1 if a run died or hung, or a photo has no row or is not ok.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import hostile
from PIL import Image

ONE_PIXEL = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "avif": "AVIF", "tif": "TIFF", "bmp": "BMP", "gif": "GIF"}
# WebP holds 16383 pixels a side.
LONG = {format: name for format, name in ONE_PIXEL.items() if format != "webp"}


def crowded(folder: Path, entries: int, photos: int) -> None:
    """So many files in one folder, so many of them photos."""
    photo = folder / "0.jpg"
    photo.write_bytes(hostile.kinds()["jpeg"][1])
    for number in range(1, entries):
        if number % max(1, entries // photos):
            os.close(os.open(folder / f"{number}.txt", os.O_WRONLY | os.O_CREAT))
        else:
            try:
                os.link(photo, folder / f"{number}.jpg")
            except OSError:  # a file has so many links and no more
                photo = folder / f"{number}.jpg"
                photo.write_bytes(hostile.kinds()["jpeg"][1])


def deep(folder: Path, levels: int) -> None:
    """A photo in each of so many folders, one in the other."""
    for level in range(levels):
        folder = folder / f"level {level}"
        folder.mkdir()
        (folder / "photo.jpg").write_bytes(hostile.kinds()["jpeg"][1])


def sized(folder: Path, width: int, height: int, formats: dict[str, str]) -> None:
    """A photo of one size in each format."""
    with Image.open(hostile.SAMPLE) as sample:
        photo = sample.convert("RGB").resize((width, height))
    for extension, format in formats.items():
        (folder / f"{format}.{extension}").write_bytes(hostile.saved(photo, format))


@click.command(help=__doc__)
@click.option("--entries", type=click.IntRange(2), default=200_000, show_default=True)
@click.option("--photos", type=click.IntRange(1), default=1000, show_default=True, help="Of the entries.")
@click.option("--deep", "levels", type=click.IntRange(1), default=40, show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--patience", default=3600.0, show_default=True, help="Seconds after which a run counts as hanging.")
@click.option("--only", default="", metavar="TEXT", help="Only what has it in its name.")
def main(entries: int, photos: int, levels: int, jobs: int, patience: float, only: str) -> None:
    cases: dict[str, Callable[[Path], None]] = {
        f"{entries} files in one folder": lambda folder: crowded(folder, entries, photos),
        f"{levels} levels": lambda folder: deep(folder, levels),
        "1 x 1": lambda folder: sized(folder, 1, 1, ONE_PIXEL),
        "30000 x 200": lambda folder: sized(folder, 30_000, 200, LONG),
        "200 x 30000": lambda folder: sized(folder, 200, 30_000, LONG),
    }
    failed = False
    click.echo(f"{'what':26} {'photos':>7} {'others':>7} {'survived':>8} {'seconds':>8} {'peak MB':>8}")
    with TemporaryDirectory() as scratch:
        for number, (name, make) in enumerate(cases.items()):
            if only not in name:
                continue
            folder = Path(scratch) / f"in-{number}"
            folder.mkdir()
            make(folder)
            result = hostile.run(folder, Path(scratch) / f"out-{number}", jobs, patience)
            count = sum(result.rows.values())
            click.echo(
                f"{name:26} {count:7} {result.passed_over:7} {result.rows['ok']:8} {result.seconds:8.1f} "
                f"{result.peak_bytes / 1e6:8.0f}"
            )
            for complaint in result.complaints[:10]:
                click.echo(f"    {complaint}")
            failed |= bool(result.complaints) or result.rows["ok"] < count or not count
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
