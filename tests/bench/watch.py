"""Measures how long a photo waits for its thumbnail under ``cropper watch``, and whether a storm of photos is done once each.

    python tests/bench/watch.py [--rate 1 --rate 10 --rate 50] [--uploads 100] [--storm 10000]

Photos of 2 megapixels are written beside IN and renamed into it, so many a second. A photo waits from its rename to the moment
its thumbnail is there. All uploads wait in one folder, as in a folder where users upload to. The storm renames small photos into
IN as fast as it can.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import cv2
import numpy as np

PATIENCE = 600.0


def photo_bytes(width: int, height: int, quality: int = 85) -> bytes:
    """A JPEG of soft shapes and some grain, about as large as a photo is."""
    rng = np.random.default_rng(width)
    coarse = rng.integers(0, 255, (max(2, height // 120), max(2, width // 120), 3), np.uint8)
    pixels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    pixels += rng.integers(-6, 7, pixels.shape, np.int16)
    encoded = cv2.imencode(".jpg", np.clip(pixels, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return encoded.tobytes()


@contextmanager
def watching(folder: Path) -> Iterator[tuple[Path, Path, Path]]:
    """Run a watch over an empty folder until the body ends; yield IN, OUT and the report."""
    source, out, report = folder / "in", folder / "out", folder / "report.jsonl"
    source.mkdir()
    arguments = ["-m", "cropper", "watch", str(source), str(out), "--report", str(report)]
    with subprocess.Popen([sys.executable, *arguments], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if b"watching for photos" in line:
                    break
            yield source, out, report
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)


def waits(rate: float, uploads: int, data: bytes) -> list[float]:
    """Upload photos at a rate; return the seconds that each waited for its thumbnail."""
    with TemporaryDirectory(prefix="cropper-bench-") as name, watching(Path(name)) as (source, out, _):
        pending: dict[Path, float] = {}
        found = []
        begun = time.monotonic()
        for number in range(uploads + 3):  # the first ones find everything cold
            temporary = source.parent / "upload"
            temporary.write_bytes(data + b"%d\xff\xd9" % number)
            while time.monotonic() < begun + number / rate:
                found += arrived(pending)
                time.sleep(0.001)
            os.rename(temporary, source / f"{number}.jpg")
            pending[out / f"{number}.jpg"] = time.monotonic()
        end = time.monotonic() + PATIENCE
        while pending and time.monotonic() < end:
            found += arrived(pending)
            time.sleep(0.001)
        return found[3:] + [PATIENCE] * len(pending)


def arrived(pending: dict[Path, float]) -> list[float]:
    """Take out the thumbnails that are there; return how long they took."""
    there = [path for path in pending if path.exists()]
    now = time.monotonic()
    return [now - pending.pop(path) for path in there]


def storm(photos: int) -> str:
    """Rename many small photos into IN at once; say what became of them."""
    data = photo_bytes(96, 64)
    with TemporaryDirectory(prefix="cropper-bench-") as name:
        with watching(Path(name)) as (source, out, report):
            waiting = source.parent / "waiting"
            waiting.mkdir()
            for number in range(photos):
                (waiting / f"{number}.jpg").write_bytes(data)
            begun = time.monotonic()
            for number in range(photos):
                os.rename(waiting / f"{number}.jpg", source / f"{number}.jpg")
            renamed = time.monotonic() - begun
            while sum(entry.name.endswith(".jpg") for entry in os.scandir(out)) < photos and time.monotonic() < begun + PATIENCE:
                time.sleep(0.2)
            took = time.monotonic() - begun
            time.sleep(5)
        lines = [json.loads(line) for line in report.read_text().splitlines()[:-1]]
        rows = (out / "boxes.csv").read_text().count(",ok,")
    times = Counter(line["path"] for line in lines)
    once = sum(count == 1 for count in times.values())
    return (
        f"{photos} photos, renamed within {renamed:.1f} s: all thumbnails after {took:.1f} s, {photos / took:.0f} a second; "
        f"{once} done once, {len(times) - once} more often, {rows} rows in the table"
    )


@click.command()
@click.option("--rate", "rates", type=float, multiple=True, default=(1, 10, 50), show_default=True)
@click.option("--uploads", default=100, show_default=True)
@click.option("--storm", "storm_photos", default=10_000, show_default=True)
def main(rates: tuple[float, ...], uploads: int, storm_photos: int) -> None:
    """Print a table of waits, and what became of a storm."""
    data = photo_bytes(1632, 1224)
    click.echo(f"JPEGs of 2 MP, {len(data) / 1000:.0f} KB; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    click.echo("| uploads a second | uploads | median ms | p95 | most |\n|---|---|---|---|---|")
    for rate in rates:
        found = sorted(waits(rate, max(20, min(uploads, int(rate * 20))), data))
        numbers = statistics.median(found), found[int(0.95 * (len(found) - 1))], found[-1]
        click.echo(f"| {rate:g} | {len(found)} | {' | '.join(f'{1000 * number:.0f}' for number in numbers)} |")
    if storm_photos:
        click.echo(storm(storm_photos))


if __name__ == "__main__":
    main()
