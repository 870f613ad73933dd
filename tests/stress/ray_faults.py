"""Kills workers of `cropper batch --engine ray` at random during runs, and compares with a run of threads that nobody disturbed.

    python tests/stress/ray_faults.py [--photos 600] [--runs 4] [--kills 3] [--seed 1]

A run meets so many kills (SIGKILL), each when a random number of thumbnails is there; every other run is the second one over an
OUT whose photos have changed since. Every file and every byte under OUT has to be the same, boxes.csv and the thumbnails' times
with them, and nothing left over: so no photo is lost, and none is in the table twice. Exits with 1 otherwise, and if there were
fewer kills than asked for. Needs Linux, whose /proc says which processes are whose.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import killed

# So that kills meet many chunks, and both workers have some.
SMALL_CHUNKS = (
    "from cropper.engine.cluster import coordinator as cluster; cluster.CHUNK = 8; from cropper.cli import main; main()"
)
WORKER = b"ray::MapWorker"


def parent_of(process: int) -> int:
    """The parent of a process; 0 if it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("PPid:"):
                return int(line.split()[1])
    return 0


def workers_of(driver: int) -> list[int]:
    """The processes that are workers of a cluster that this process began."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if (entry / "cmdline").read_bytes().startswith(WORKER):
                process = int(entry.name)
                above = process
                while above > 1 and above != driver:
                    above = parent_of(above)
                if above == driver:
                    found.append(process)
    return found


def fresh_since(out: Path, begun: float) -> int:
    """Thumbnails that were made since then, by the time of their last change of any kind."""
    count = 0
    for path in out.rglob("*.jpg"):
        with suppress(OSError):
            count += path.stat().st_ctime >= begun
    return count


def disturbed(source: Path, out: Path, moments: list[int], chance: random.Random) -> tuple[int, int, str]:
    """Exit code of a run whose workers are killed when so many thumbnails are made, how many were, and what it said."""
    command: list[str | Path] = [sys.executable, "-c", SMALL_CHUNKS, "batch", source, out, *killed.SMALL]
    command += ["--engine", "ray", "--jobs", "2", "--quiet"]
    begun, kills = time.time(), 0
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    upcoming = sorted(moments)
    while process.poll() is None and upcoming:
        if fresh_since(out, begun) >= upcoming[0]:
            workers = workers_of(process.pid)
            if workers:
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(workers), signal.SIGKILL)
                    upcoming.pop(0)
                    kills += 1
        time.sleep(0.02)
    said = process.communicate()[0]
    return process.returncode, kills, said


def trial(photos: int, runs: int, kills: int, seed: int) -> Counter[str]:
    """All of it; the counts, and under ``differences`` how much was wrong, each said on stderr."""
    chance = random.Random(seed)
    counts: Counter[str] = Counter()
    with TemporaryDirectory(prefix="cropper-ray-faults-") as scratch:
        folder = Path(scratch)
        first, later = folder / "first", folder / "later"
        killed.make_photos(first, photos, seed)
        killed.change(first, later)
        out = folder / "out"  # of the same path in all runs, which OUT remembers
        before = folder / "before"
        expected = {}
        for source in (first, later):
            command: list[str | Path] = [sys.executable, "-m", "cropper", "batch", source, out, *killed.SMALL, "--quiet"]
            code = subprocess.run(command, stderr=subprocess.DEVNULL).returncode
            assert code == 1, code  # there is a broken photo
            expected[source] = killed.tree(out)
            if source is first:
                shutil.copytree(out, before)
        shutil.rmtree(out)
        for number in range(runs):
            source = (first, later)[number % 2]
            if source is later:
                shutil.copytree(before, out)
            todo = photos if source is first else photos // 3
            moments = [chance.randrange(1, max(2, todo * 9 // 10)) for _ in range(kills)]
            begun = time.monotonic()
            code, met, said = disturbed(source, out, moments, chance)
            wrong = killed.differences(killed.tree(out), expected[source]) + [f"exit code {code}: {said}"] * (code != 1)
            counts.update(runs=1, kills=met, differences=len(wrong), missed=kills - met)
            for line in wrong[:20] or [f"as undisturbed, {met} of {kills} kills, {time.monotonic() - begun:.0f} s"]:
                click.echo(f"{source.name}: {line}", err=True)
            shutil.rmtree(out)
    return counts


@click.command(help=__doc__)
@click.option("--photos", type=click.IntRange(6), default=600, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=4, show_default=True)
@click.option("--kills", type=click.IntRange(0), default=3, show_default=True)
@click.option("--seed", default=1, show_default=True)
def ray_faults(photos: int, runs: int, kills: int, seed: int) -> None:
    counts = trial(photos, runs, kills, seed)
    click.echo(", ".join(f"{counts[name]} {name}" for name in ("runs", "kills", "differences")))
    if counts["missed"]:
        click.echo(f"{counts['missed']} kills met no worker: take more --photos or fewer --kills", err=True)
    sys.exit(1 if counts["differences"] or counts["missed"] else 0)


if __name__ == "__main__":
    ray_faults()
