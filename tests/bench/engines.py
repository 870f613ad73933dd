"""Times `cropper batch` with threads beside `--engine ray`, on many copies of a photo of the size asked for.

    python tests/bench/engines.py [--photos 10000] [--megapixels 1] [--jobs 2] [--rounds 1]

Whole commands in turn, now the one first and now the other, with their start: Ray's own and what every photo costs more are in
the overhead alike. To tell them apart, Ray's start is timed as well, with a run over as many photos as there are workers. The
trees have to be the same byte for byte.
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
from compare import scaled_copies

sys.path.insert(0, str(Path(__file__).parents[1] / "stress"))
import killed

SAMPLES = Path(__file__).parents[2] / "sample_images"


def seconds(source: Path, out: Path, jobs: int, *options: str) -> float:
    """Of a whole command, once what the one before has written is on the disk: each begins alike."""
    shutil.rmtree(out, ignore_errors=True)
    os.sync()
    command: list[str | Path] = [sys.executable, "-m", "cropper", "batch", source, out, "--jobs", str(jobs), "--quiet", *options]
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
        source, few, out = folder / "in", folder / "few", folder / "out"
        for place, count in ((source, photos), (few, jobs)):
            scaled_copies(sorted(SAMPLES.glob("*.jpg")), place, count, megapixels)
        local: list[float] = []
        ray: list[float] = []
        start: list[float] = []
        expected = None
        for number in range(rounds):
            for times, options in [(local, ()), (ray, ("--engine", "ray"))][:: 1 if number % 2 == 0 else -1]:
                times.append(seconds(source, out, jobs, *options))
                found = killed.tree(out)
                expected = expected or found
                if found != expected:
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
