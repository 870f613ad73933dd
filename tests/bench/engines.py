"""Times `cropper batch` with threads beside `--engine ray`, on many copies of a photo of the size asked for.

    python tests/bench/engines.py [--photos 10000] [--megapixels 1] [--jobs 2] [--rounds 1]

Whole commands in turn, with their start: Ray's own and what every photo costs more are in the overhead alike. To tell them
apart, Ray's start is timed as well, with a run over as many photos as there are workers. The trees have to be the same byte for
byte.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
import cv2
import killed

SAMPLES = Path(__file__).parents[2] / "sample_images"


def make_photos(folder: Path, count: int, megapixels: float) -> None:
    """The sample photos at that size, and copies of them, a thousand in a folder."""
    originals = []
    for number, path in enumerate(sorted(SAMPLES.glob("*.jpg"))):
        picture = cv2.imread(str(path))
        scale = (megapixels * 1e6 / (picture.shape[0] * picture.shape[1])) ** 0.5
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        originals.append(folder / f"{number:02}.jpg")
        folder.mkdir(exist_ok=True)
        cv2.imwrite(str(originals[-1]), cv2.resize(picture, None, fx=scale, fy=scale, interpolation=way))
    photos = folder / "photos"
    for number in range(count):
        path = photos / f"{number // 1000:03}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(originals[number % len(originals)], path)


def seconds(source: Path, out: Path, jobs: int, *options: str) -> float:
    """Of a whole command."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "cropper", "batch", source, out, "--jobs", str(jobs), "--quiet", *options]
    begun = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - begun


@click.command(help=__doc__)
@click.option("--photos", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--megapixels", type=click.FloatRange(0.01), default=1.0, show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True)
def engines(photos: int, megapixels: float, jobs: int, rounds: int) -> None:
    with TemporaryDirectory(prefix="cropper-engines-") as scratch:
        folder = Path(scratch)
        make_photos(folder / "in", photos, megapixels)
        make_photos(folder / "few", jobs, megapixels)
        source, few, out = folder / "in/photos", folder / "few/photos", folder / "out"
        local, ray, start = [], [], []
        for number in range(rounds):
            local.append(seconds(source, out, jobs))
            expected = killed.tree(out)
            ray.append(seconds(source, out, jobs, "--engine", "ray"))
            if killed.tree(out) != expected:
                raise click.ClickException("the trees differ")
            start.append(seconds(few, folder / "few-out", jobs, "--engine", "ray") - seconds(few, folder / "few-out", jobs))
            click.echo(f"round {number + 1}: local {local[-1]:.1f} s, ray {ray[-1]:.1f} s", err=True)
    here, there, begin = median(local), median(ray), median(start)
    click.echo(f"{photos} photos of {megapixels:g} MP, {jobs} workers, {os.cpu_count()} cores; medians of {rounds}")
    click.echo(f"local {here:8.1f} s  {1000 * here / photos:6.2f} ms a photo")
    click.echo(f"ray   {there:8.1f} s  {1000 * there / photos:6.2f} ms a photo, of which {begin:.1f} s to start")
    click.echo(f"overhead {100 * (there / here - 1):.1f} %, without the start {100 * ((there - begin) / here - 1):.1f} %")


if __name__ == "__main__":
    engines()
