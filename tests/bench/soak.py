"""Lets one `cropper batch` run for long over a mixed corpus, and says whether its memory stays flat and nothing is lost.

    python tests/bench/soak.py [--minutes 60] [--jobs 2] [--bad 0.02] [--samples FILE]

The corpus is of the photos in `sample_images` and a small one of every format, as links, two in a hundred of them broken: cut
off, empty, or no photo. A short run tells how many there must be for the time asked for. Memory is sampled each second; the drift
is from the median of the first fifth after the first part, five minutes or a tenth of the run, to that of the last fifth. Exits
with 1 if a photo has no row or another status than it should, or memory drifts by 5 % or more. Needs Linux.
"""

from __future__ import annotations

import csv
import os
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import hostile
from killed import child_of

from cropper import photo

SAMPLES = Path(__file__).parents[2] / "sample_images"
A_FOLDER = 500  # photos
FIRST_PART = 300.0  # seconds
MOST_DRIFT = 0.05


def sources(folder: Path) -> tuple[list[Path], list[Path]]:
    """Whole photos and broken ones, as files to link to."""
    contents = {path.name: path.read_bytes() for path in sorted(SAMPLES.rglob("*")) if path.suffix in photo.EXTENSIONS}
    contents |= {f"{kind}{extension}": data for kind, (extension, data) in hostile.kinds().items()}
    jpeg, png = hostile.kinds()["jpeg"][1], hostile.kinds()["png"][1]
    broken = {
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "cut.png": png[: len(png) // 2],
        "empty.webp": b"",
        "text.jpg": b"no photo\n" * 100,
        "zeros.tif": bytes(5000),
    }
    found: tuple[list[Path], list[Path]] = [], []
    for number, group in enumerate((contents, broken)):
        place = folder / ("whole", "broken")[number]
        place.mkdir(parents=True)
        for name, data in group.items():
            (place / name).write_bytes(data)
            found[number].append(place / name)
    return found


def fill(folder: Path, whole: list[Path], broken: list[Path], count: int, bad: float) -> dict[str, int]:
    """So many photos, in folders: how many are whole and how many are not."""
    chance = random.Random(0)
    counts = {"ok": 0, "failed": 0}
    for number in range(count):
        is_bad = chance.random() < bad
        source = chance.choice(broken if is_bad else whole)
        place = folder / f"{number // A_FOLDER:05}"
        if number % A_FOLDER == 0:
            place.mkdir(parents=True)
        path = place / f"{number:07}{source.suffix}"
        try:
            os.link(source, path)
        except OSError:  # a file has so many links and no more
            path.write_bytes(source.read_bytes())
        counts["failed" if is_bad else "ok"] += 1
    return counts


def resident(process: int) -> int:
    """A process's memory in bytes; 0 when it has ended."""
    try:
        words = Path(f"/proc/{process}/statm").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE")


def run(source: Path, out: Path, jobs: int) -> tuple[float, int, list[tuple[float, int]]]:
    """Run the command: seconds, exit code, and its memory by seconds."""
    samples: list[tuple[float, int]] = []
    command = [sys.executable, "-m", "cropper", "batch", source, out, "--size", "320x180", "--jobs", str(jobs), "--quiet"]
    begun = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if bytes_now := resident(child_of(process.pid)):  # which does the work
                samples.append((time.monotonic() - begun, bytes_now))
            time.sleep(min(1.0, 0.05 * (len(samples) + 1)))
    return time.monotonic() - begun, process.returncode, samples


def drift_of(samples: list[tuple[float, int]], seconds: float) -> tuple[float, float, float]:
    """The median memory soon after the first part and at the end, in bytes, and the share it grew by."""
    first = min(FIRST_PART, seconds / 10)
    fifth = (seconds - first) / 5
    early = statistics.median(size for at, size in samples if first <= at < first + fifth)
    late = statistics.median(size for at, size in samples if at >= seconds - fifth)
    return early, late, late / early - 1


@click.command(help=__doc__)
@click.option("--minutes", type=click.FloatRange(0.2), default=60.0, show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--bad", type=click.FloatRange(0, 1), default=0.02, show_default=True, help="Share of the photos that is broken.")
@click.option("--samples", "table", type=click.Path(dir_okay=False, path_type=Path), help="Write seconds,bytes there.")
def main(minutes: float, jobs: int, bad: float, table: Path | None) -> None:
    with TemporaryDirectory(prefix="cropper-soak-") as scratch:
        root = Path(scratch)
        whole, broken = sources(root / "sources")
        fill(root / "short", whole, broken, 500, bad)
        rate = 500 / run(root / "short", root / "short out", jobs)[0]
        expected = fill(root / "in", whole, broken, max(500, round(rate * minutes * 60)), bad)
        seconds, code, samples = run(root / "in", root / "out", jobs)
        with (root / "out" / "boxes.csv").open(newline="", encoding="utf-8") as file:
            rows = Counter(row["status"] for row in csv.DictReader(file))
        thumbnails = sum(len(names) for folder, _, names in os.walk(root / "out") if Path(folder).name.isdigit())
    if table is not None:
        table.write_text("seconds,bytes\n" + "".join(f"{at:.1f},{size}\n" for at, size in samples))
    early, late, drift = drift_of(samples, seconds)
    is_lost = rows != Counter(expected) or thumbnails != expected["ok"] or code not in (0, 1)
    click.echo(
        f"{sum(expected.values())} photos, {expected['failed']} of them broken, in {seconds / 60:.1f} minutes; exit code {code}\n"
        f"rows: {rows['ok']} ok, {rows['failed']} failed; {thumbnails} thumbnails\n"
        f"{'some are lost' if is_lost else 'nothing lost'}\n"
        f"memory: {early / 1e6:.0f} MB after the first part, {late / 1e6:.0f} MB at the end, "
        f"{max(size for _, size in samples) / 1e6:.0f} MB at most; drift {drift:+.1%}"
    )
    sys.exit(1 if is_lost or drift >= MOST_DRIFT else 0)


if __name__ == "__main__":
    main()
