"""Lets one `cropper batch` run for long over a mixed corpus, and says whether its memory stays flat and nothing is lost.

    python tests/stress/soak.py [--minutes 60] [--jobs 2] [--bad 0.02] [--samples FILE]

The corpus is of the photos in `sample_images` and a small one of every format, as links, two in a hundred of them broken: cut
off, empty, or no photo. There are more than can be done in the time asked for, as a short run tells; then the run is interrupted
as by a stop. Every photo up to there must have its row and its thumbnail, but for those that were under way. Memory is sampled
each second; the drift is from the median of the first fifth after the first part, five minutes or a tenth of the run, to that of
the last fifth. Exits with 1 if something is lost or wrong, or memory drifts by 5 % or more. Needs Linux.
"""

from __future__ import annotations

import csv
import math
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

from cropper.cli.exit_codes import INTERRUPTED
from cropper.engine.pipeline import MAX_IN_FLIGHT as UNDER_WAY
from cropper.image_formats import PHOTO_EXTENSIONS
from cropper.ledger.table import FAILED, OK, TABLE_NAME

SAMPLES = Path(__file__).parents[2] / "sample_images"
A_FOLDER = 500  # photos
SHORT = 500
# Of the photos that the short run promises for the time: a machine may have more to give later.
AMPLE = 3
FIRST_PART = 300.0  # seconds
MOST_DRIFT = 0.05


def sources(folder: Path) -> tuple[list[Path], list[Path]]:
    """Whole photos and broken ones, as files to link to."""
    contents = {path.name: path.read_bytes() for path in sorted(SAMPLES.rglob("*")) if path.suffix in PHOTO_EXTENSIONS}
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


def fill(folder: Path, whole: list[Path], broken: list[Path], count: int, bad: float) -> set[int]:
    """So many photos, in folders, each called by its number: the numbers of the broken ones."""
    chance = random.Random(0)
    found = set()
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
        if is_bad:
            found.add(number)
    return found


def resident(process: int) -> int:
    """A process's memory in bytes; 0 when it has ended."""
    try:
        words = Path(f"/proc/{process}/statm").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE")


def run(source: Path, out: Path, jobs: int, longest: float = math.inf) -> tuple[float, int, list[tuple[float, int]]]:
    """Run the command, at most so many seconds: the seconds it took, its exit code, and its memory by seconds."""
    samples: list[tuple[float, int]] = []
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "cropper",
        "batch",
        source,
        out,
        "--size",
        "320x180",
        "--jobs",
        str(jobs),
        "--quiet",
    ]
    begun = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        is_asked = False
        while process.poll() is None:
            if bytes_now := resident(child_of(process.pid)):  # which does the work
                samples.append((time.monotonic() - begun, bytes_now))
            if time.monotonic() - begun > longest and not is_asked:
                process.terminate()  # a shell may have it ignore Ctrl-C
                is_asked = True
            time.sleep(min(1.0, 0.05 * (len(samples) + 1)))
    return time.monotonic() - begun, process.returncode, samples


def wrongs(out: Path, count: int, broken: set[int], is_interrupted: bool) -> tuple[Counter[str], list[str]]:
    """How many rows there are of each status, and what is wrong with them and the thumbnails."""
    numbers, outputs, found, statuses = set(), set(), [], Counter[str]()
    if not (out / TABLE_NAME).exists():
        return statuses, ["there is no table"]
    with (out / TABLE_NAME).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            number = int(Path(row["path"]).stem)
            statuses[row["status"]] += 1
            if number in numbers:
                found.append(f"two rows of {row['path']}")
            if row["status"] != (FAILED if number in broken else OK):
                found.append(f"{row['path']} is {row['status']}")
            numbers.add(number)
            outputs.add(row["output"])
    if not numbers:
        return statuses, ["the table has no row"]
    end = max(numbers) + 1 if is_interrupted else count
    missing = end - len(numbers)
    if missing > (UNDER_WAY if is_interrupted else 0):
        found.append(f"{missing} photos have no row")
    files = {f"{Path(folder).name}/{name}" for folder, _, names in os.walk(out) if Path(folder).name.isdigit() for name in names}
    if files != outputs - {""}:
        found.append(f"{len(files ^ (outputs - {''}))} thumbnails without a row, or rows without one")
    return statuses, found


def drift_of(samples: list[tuple[float, int]], seconds: float) -> tuple[float, float, float]:
    """The median memory soon after the first part and at the end, in bytes, and the share it grew by; infinite if unknown."""
    first = min(FIRST_PART, seconds / 10)
    fifth = (seconds - first) / 5
    early = [size for at, size in samples if first <= at < first + fifth]
    late = [size for at, size in samples if at >= seconds - fifth]
    if not (early and late):
        return 0.0, 0.0, math.inf
    return statistics.median(early), statistics.median(late), statistics.median(late) / statistics.median(early) - 1


@click.command(help=__doc__)
@click.option("--minutes", type=click.FloatRange(0.2), default=60.0, show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--bad", type=click.FloatRange(0, 1), default=0.02, show_default=True, help="Share of the photos that is broken.")
@click.option("--samples", "table", type=click.Path(dir_okay=False, path_type=Path), help="Write seconds,bytes there.")
def main(minutes: float, jobs: int, bad: float, table: Path | None) -> None:
    with TemporaryDirectory(prefix="cropper-soak-") as scratch:
        root = Path(scratch)
        whole, broken = sources(root / "sources")
        fill(root / "short", whole, broken, SHORT, bad)
        rate = SHORT / run(root / "short", root / "short out", jobs)[0]
        count = max(SHORT, round(AMPLE * rate * minutes * 60))
        expected = fill(root / "in", whole, broken, count, bad)
        seconds, code, samples = run(root / "in", root / "out", jobs, minutes * 60)
        rows, wrong = wrongs(root / "out", count, expected, code == INTERRUPTED)
    if table is not None:
        table.write_text("seconds,bytes\n" + "".join(f"{at:.1f},{size}\n" for at, size in samples))
    early, late, drift = drift_of(samples, seconds)
    if code not in (0, 1, INTERRUPTED):
        wrong.append(f"exit code {code}")
    click.echo(
        f"{rows.total()} photos, {rows[FAILED]} of them broken, in {seconds / 60:.1f} minutes; exit code {code}\n"
        f"{'; '.join(wrong[:10]) if wrong else 'nothing lost'}\n"
        f"memory: {early / 1e6:.0f} MB after the first part, {late / 1e6:.0f} MB at the end, "
        f"{max((size for _, size in samples), default=0) / 1e6:.0f} MB at most; drift {drift:+.1%}"
    )
    sys.exit(1 if wrong or drift >= MOST_DRIFT else 0)


if __name__ == "__main__":
    main()
