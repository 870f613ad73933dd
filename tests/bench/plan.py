"""Measures what a photo costs here and works out what a hundred million cost on many cores.

    python tests/bench/plan.py PHOTOS [--photos 1000 --photos 10000] [--rows 1000000] [--total 100000000]

PHOTOS are scaled to about a megapixel and copied under new names. Measured on them: seconds, processor seconds and bytes a photo
of `cropper batch`; one worker against two (a shard each, one job, started together); memory over the number of photos. On
ledgers made up for it: what `cropper ledger merge` takes.

The rest is worked out, a shard a core, each as an array job would be: it starts, lists everything, does its share, sends its part
of the table; the last one done begins the merge. Shards differ as a hash splits photos, and cores by --spread. What a storage
takes and asks for is what --latency, --get-price and so on say, not measured.
"""

from __future__ import annotations

import csv
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from compare import scaled_copies

from cropper.image_formats import EXTENSIONS_OF
from cropper.ledger.shards import Shard, shard_folder
from cropper.ledger.table import HEADER, OK, TABLE_NAME

CROPPER = [sys.executable, "-m", "cropper", "batch"]
SIZE = ("--size", "640x360", "--quiet")
KEYS_A_PAGE = 1000  # of S3's listings
# Requests a second that S3 promises to take for one prefix, reads: https://docs.aws.amazon.com/AmazonS3/latest/userguide
READS_A_SECOND = 5500
HOUR = 3600
MILLION = 1_000_000


@dataclass(frozen=True)
class Cost:
    """What a run took, in seconds of the clock and of the processor, and its peak of memory in MB."""

    seconds: float
    processor: float
    peak: float


@dataclass(frozen=True)
class Prices:
    """In dollars: an hour of a core, a million requests."""

    core: float
    get: float
    put: float


def run(*commands: Sequence[str | Path]) -> Cost:
    """Run commands beside each other."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    processes = [subprocess.Popen([*command], stdout=subprocess.DEVNULL) for command in commands]
    peaks = []
    for process in processes:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise click.ClickException(f"{process.args!r} ended with {process.returncode}")
        peaks.append(usage.ru_maxrss / 1024)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.perf_counter() - begun, processor, sum(peaks))


def bytes_in(folder: Path) -> int:
    """Of all files in it."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def measured(photos: Path, counts: Sequence[int], scratch: Path) -> Cost:
    """Print what numbers of photos take, and the last in one worker and in two; give one worker's cost a photo."""
    originals = [file for file in sorted(photos.rglob("*")) if file.suffix.lower() in EXTENSIONS_OF["JPEG"]]
    columns = ("photos", "seconds", "ms each", "processor", "peak MB", "KB read", "written")
    click.echo(" ".join(f"{column:>9}" for column in columns))
    for count in counts:
        source, out = scratch / f"in{count}", scratch / f"out{count}"
        with ProcessPoolExecutor(1) as pool:  # what this process holds counts as its children's peak
            pool.submit(scaled_copies, originals, source, count, 1, 85).result()
        cost = run([*CROPPER, source, out, *SIZE, "--jobs", "2"])
        each = 1000 / count
        sizes = bytes_in(source) / count / 1024, bytes_in(out) / count / 1024
        figures = (cost.seconds, cost.seconds * each, cost.processor * each, cost.peak, *sizes)
        click.echo(f"{count:9} " + " ".join(f"{figure:9.1f}" for figure in figures))
    alone = run([*CROPPER, source, scratch / "one", *SIZE, "--jobs", "1"])
    shard: list[list[str | Path]] = [
        [*CROPPER, source, scratch / "two", *SIZE, "--jobs", "1", "--shard", f"{i}/2"] for i in (1, 2)
    ]
    together = run(*shard)
    ratio = alone.seconds / together.seconds
    click.echo(f"{count} photos, one worker {alone.seconds:.1f} s, two {together.seconds:.1f} s: {ratio:.2f}")
    return Cost(alone.seconds / count, alone.processor / count, alone.peak)


def merging(rows: int, count: int, scratch: Path) -> float:
    """Print what a merge of made-up ledgers takes, and give the seconds a row."""
    out = scratch / "merge"
    parts = [Shard(number, count) for number in range(1, count + 1)]
    writers = []
    for part in parts:
        folder = shard_folder(out, part)
        folder.mkdir(parents=True)
        file = (folder / TABLE_NAME).open("w", newline="")
        writers.append((file, csv.writer(file)))
        writers[-1][1].writerow(HEADER)
    for i in range(rows):
        path = f"{i // 1000:06}/{i:09}.jpg"
        row = [path, path, OK, "1155", "866", "640x360", "0", "101", "1155", "650", "577", "390", "0.9123", ""]
        writers[next(n for n, part in enumerate(parts) if part.holds(path))][1].writerow(row)
    for file, _ in writers:
        file.close()
    cost = run([sys.executable, "-m", "cropper", "ledger", "merge", out])
    click.echo(f"merge of {rows} rows in {count} parts: {cost.seconds:.1f} s, {cost.peak:.0f} MB")
    return cost.seconds / rows


def worked_out(
    total: int, cores: int, photo_seconds: float, row_seconds: float, latency: float, spread: float, start: float
) -> str:
    """One line of the table: from the first start to the last merged row."""
    rng = random.Random(cores)
    share = total / cores
    listing = total / KEYS_A_PAGE * latency  # each shard lists everything
    work = []
    for _ in range(cores):
        photos = max(0.0, rng.gauss(share, share**0.5))
        work.append(photos * photo_seconds * rng.lognormvariate(0, spread))
    reads = total / max(work)
    merge = total * row_seconds
    wall = start + max(*work, listing) + merge
    limit = f"{max(1, reads / READS_A_SECOND):4.1f}"
    return (
        f"{cores:6} {wall / HOUR:8.1f} {max(work) / HOUR:8.1f} {listing / HOUR:8.1f} {merge / HOUR:7.2f} {reads:9.0f} {limit:>8}"
        f" {sum(work) / cores / (wall - merge):7.0%}"
    )


@click.command()
@click.argument("photos", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--photos", "counts", multiple=True, type=int, default=(1000, 10_000), show_default=True, help="How many to run over."
)
@click.option("--rows", default=1_000_000, show_default=True, help="To merge.")
@click.option("--total", default=100_000_000, show_default=True, help="Photos to plan for.")
@click.option("--latency", default=0.1, show_default=True, help="Seconds of a page of a listing.")
@click.option("--spread", default=0.1, show_default=True, help="Of the cores' speeds, as the deviation of their logarithm.")
@click.option("--start", default=60.0, show_default=True, help="Seconds until a machine works.")
@click.option("--core-price", default=0.045, show_default=True, help="Dollars an hour of a core.")
@click.option("--get-price", default=0.4, show_default=True, help="Dollars a million reads.")
@click.option("--put-price", default=5.0, show_default=True, help="Dollars a million writes, or pages of a listing.")
def main(
    photos: Path,
    counts: tuple[int, ...],
    rows: int,
    total: int,
    latency: float,
    spread: float,
    start: float,
    core_price: float,
    get_price: float,
    put_price: float,
) -> None:
    """Measure on copies of the JPEGs in PHOTOS, and plan."""
    with TemporaryDirectory() as scratch:
        cost = measured(photos, counts, Path(scratch))
        row_seconds = max([merging(rows, count, Path(scratch) / str(count)) for count in (10, 100)])
    click.echo(f"\n{total} photos, {cost.processor * 1000:.1f} ms of a core each, hours:")
    click.echo(f"{'cores':>6} {'in all':>8} {'work':>8} {'listing':>8} {'merge':>7} {'reads/s':>9} {'prefixes':>8} {'in use':>7}")
    for cores in (1, 10, 100, 1000, 10_000):
        click.echo(worked_out(total, cores, cost.processor, row_seconds, latency, spread, start))
    prices = Prices(core_price, get_price, put_price)
    hours = MILLION * cost.processor / HOUR
    pages = MILLION / KEYS_A_PAGE
    asked = f"reads ${prices.get:.2f}, writes ${prices.put:.2f}, each shard's listing ${pages / MILLION * prices.put:.3f}"
    click.echo(f"\na million photos: {hours:.1f} core hours, ${hours * prices.core:.2f}; {asked}")


if __name__ == "__main__":
    main()
