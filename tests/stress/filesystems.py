"""Runs `cropper batch` on file systems that lack what others have, and on one whose power fails; compares with an ordinary disk.

    python tests/stress/filesystems.py [--photos 40] [--points 60] [--seed 1] [--only NAME]

On each odd file system (``odd_file_system``) IN and OUT lie, or OUT alone. All thumbnails and the table have to be those of a run
on the disk, a second run has to find nothing to do, and so has one after the file system was mounted again.

Then the power fails at random points of a run, into an empty OUT and over one of an earlier run, where photos changed since. From
each point five disks come, which hold more or less of what was not synced. On each the same command has to come to the same
thumbnails, the same table and the same state as a run that nobody disturbed; the state has to pass SQLite's integrity check, and
a file of the user's and a thumbnail that the user edited have to be as they were.

Needs Linux with FUSE 3, the package mfusepy, and the right to mount.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import click
import cv2
from killed import SMALL, change, differences, make_photos, tree

# Below the one that knows where the other tests are.
from forked import Forked  # isort: skip
from plain import Plain  # isort: skip

from cropper.engine import batch as batch_runs
from cropper.ledger import begun, state

cv2.setNumThreads(1)  # a fork has none of its threads
HERE = Path(__file__).parent
SYNC_ALL = ".sync-all"
VARIANTS = ("data", "zeros", "names", "both", "mixed")


# A plain rule stands in for the network, and changes are committed often. FUSE does not hear of syncfs, so it is told.
def _arrange() -> None:
    import posix

    os.fsync = posix.fsync  # the tests' process has none
    batch_runs.Saliency, state.COMMIT, begun._MOST = Plain, 0.01, 300  # type: ignore[attr-defined, assignment]
    begun.sync_all = lambda folder: os.path.lexists(os.path.join(folder, SYNC_ALL))  # type: ignore[attr-defined, assignment]


MICROSECOND, SECOND = 1000, 1_000_000_000
# What is odd, and whether IN lies there too.
ODD: dict[str, tuple[dict[str, Any], bool]] = {
    "ordinary": ({}, True),
    "utime ignored": ({"utime": "ignored"}, False),
    "utime EPERM": ({"utime": "EPERM"}, False),
    "utime ENOTSUP": ({"utime": "ENOTSUP"}, False),
    "2 s": ({"step": 2 * SECOND}, True),
    "2 s late": ({"step": 2 * SECOND, "late": True}, True),
    "1 us": ({"step": MICROSECOND}, True),
    "1 us late": ({"step": MICROSECOND, "late": True}, True),
    "100 ns": ({"step": 100}, True),
    "100 ns late": ({"step": 100, "late": True}, True),
    "2038": ({"ends": True}, True),
    "2038 late": ({"ends": True, "late": True}, True),
    "fsync EINVAL": ({"fsync": "EINVAL"}, False),
    "fsync ENOTSUP": ({"fsync": "ENOTSUP"}, False),
    "fsync of folders EINVAL": ({"sync_folder": "EINVAL"}, False),
    "fsync of folders ENOTSUP": ({"sync_folder": "ENOTSUP"}, False),
    "no fsync at all": ({"fsync": "EINVAL", "sync_folder": "EINVAL"}, False),
    "locks ENOLCK": ({"lock": "ENOLCK"}, False),
    "locks ENOSYS": ({"lock": "ENOSYS"}, False),
    "locks ENOTSUP": ({"lock": "ENOTSUP"}, False),
    "no mmap": ({}, True),
    "one case": ({"case": True}, False),
}


def why_not() -> str:
    """Why nothing can be mounted here; empty if it can."""
    if sys.platform != "linux" or not os.access("/dev/fuse", os.R_OK | os.W_OK) or shutil.which("fusermount3") is None:
        return "no FUSE 3 here"
    if importlib.util.find_spec("mfusepy") is None:
        return "no mfusepy here"
    folder = Path(mkdtemp(prefix="cropper-mount-"))
    try:
        with mounted(folder, {}):
            return ""
    except click.ClickException:
        return "nothing can be mounted here"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def mounted(folder: Path, odd: dict[str, Any], *extra: str) -> Iterator[Path]:
    """Mount ``folder/disk`` at ``folder/mount``."""
    disk, at = folder / "disk", folder / "mount"
    disk.mkdir(exist_ok=True)
    at.mkdir(exist_ok=True)
    command: list[str | Path] = [sys.executable, HERE / "odd_file_system.py", disk, at, json.dumps(odd), *extra]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        patience = time.monotonic() + 20
        while not os.path.ismount(at):
            if server.poll() is not None or time.monotonic() > patience:
                raise click.ClickException(f"cannot mount: {(folder / 'log').read_text()[-300:]}")
            time.sleep(0.01)
        yield at
    finally:
        subprocess.run(["fusermount3", "-u", "-z", at], stderr=subprocess.DEVNULL, check=False)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def cropper(*arguments: str | Path) -> tuple[int, str]:
    """Run a command; give its exit code and what it says."""
    nowhere = subprocess.DEVNULL
    with Forked(arguments, stdin=nowhere, stdout=nowhere, stderr=subprocess.PIPE, preexec_fn=_arrange) as process:
        said = process.communicate(timeout=120)[1]
    return process.returncode, said.decode("utf-8", "replace")


def batch(source: Path, out: Path, *options: str) -> str:
    """Run `cropper batch`; give what it says. It has to succeed."""
    code, said = cropper("batch", source, out, *SMALL, *options)
    if code:
        raise click.ClickException(f"exit code {code}: {said}")
    return said


def results(out: Path) -> dict[str, bytes]:
    """The thumbnails and the table."""
    files = ((path.relative_to(out), path) for path in out.rglob("*") if path.is_file())
    return {str(name): path.read_bytes() for name, path in files if name.parts[0] != ".cropper"}


def on_odd(folder: Path, name: str, photos: Path, expected: dict[str, bytes]) -> list[str]:
    """Run on one odd file system; give what is wrong."""
    odd, has_photos = ODD[name]
    wrong: list[str] = []
    extra = ("--no-mmap",) if name == "no mmap" else ()

    def run(at: Path, which: str) -> None:
        said = batch(at / "in" if has_photos else photos, at / "out")
        wrong.extend(differences(results(at / "out"), expected))
        if which != "first" and " 0 done" not in said:
            wrong.append(f"the {which} run is not idle: {said.strip()}")

    with mounted(folder, odd, *extra) as at:
        if has_photos:
            shutil.copytree(photos, at / "in")
        run(at, "first")
        run(at, "second")
    with mounted(folder, odd, *extra) as at:
        run(at, "remounted")
        if odd.get("lock"):
            for shard in ("1/2", "2/2"):
                batch(photos, at / "parts", "--shard", shard)
            for command in (("ledger", "merge", at / "parts", "--finish"), ("sheet", at / "out", "-o", folder / "sheet.jpg")):
                code, said = cropper(*command)
                wrong += [f"{command[0]}: {said.strip()}"] * bool(code)
            wrong.extend(differences(results(at / "parts"), expected))
    return wrong


def without_power(folder: Path, photos: Path, later: Path, points: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Let the power fail at random points of two scenes; give counts, and what is wrong."""
    before, chance = folder / "before", random.Random(seed)
    batch(photos, before)
    (before / "mine.txt").write_bytes(b"precious")
    (before / "b/0001.jpg").write_bytes(b"retouched")  # its photo changes, so that has a row and an exit code
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for scene, source, start in (("empty", photos, None), ("later", later, before)):
        disk, lost, count = folder / "disk", folder / "lost", folder / "count"

        def prepare(start: Path | None = start, disk: Path = disk) -> None:
            shutil.rmtree(disk, ignore_errors=True)
            disk.mkdir()
            if start is not None:
                shutil.copytree(start, disk / "out")

        prepare()
        with mounted(folder, {"count": str(count)}) as at:
            usual, _ = cropper("batch", source, at / "out", *SMALL, "--moved")
        expected, changes = tree(disk / "out"), int(count.read_text())
        for _ in range(points // 2):
            prepare()
            point = chance.randint(1, changes)
            with mounted(folder, {"power": point, "lost": str(lost), "seed": chance.randrange(1 << 30)}) as at:
                cropper("batch", source, at / "out", *SMALL, "--moved")
            for variant in VARIANTS:
                out = lost / variant / "out"
                if not (lost / variant).exists():  # it came to its end a few changes earlier
                    continue
                counts[variant] += 1
                kept = folder / "kept"
                shutil.rmtree(kept, ignore_errors=True)
                if out.exists():
                    shutil.copytree(out, kept)
                code, said = cropper("batch", source, out, *SMALL, "--moved")
                found = differences(tree(out), expected)
                if code != usual or found:
                    wrong += [f"{scene}, before change {point}, {variant}, exit code {code}: {line}" for line in found or [said]]
                    counts["wrong"] += 1
                    shutil.copytree(kept, folder / f"wrong-{scene}-{point}-{variant}", dirs_exist_ok=True)
    return counts, wrong


def prepared(folder: Path, count: int, seed: int) -> tuple[Path, Path, Path]:
    """Make photos: some, the same later, and the same with names that differ in case."""
    photos, later, twins = folder / "in", folder / "later", folder / "twins"
    make_photos(photos, count, seed)
    (photos / "b/broken.jpg").unlink()
    os.utime(photos / "0000.jpg", ns=(0, 2_600_000_000_123_456_789))  # in 2052
    change(photos, later)
    shutil.copytree(photos, twins)
    shutil.copytree(photos / "b", twins / "B")
    shutil.copy(photos / "0000.jpg", twins / "0000.JPG")
    return photos, later, twins


@click.command(help=__doc__)
@click.option("--photos", "count", type=click.IntRange(6), default=40, show_default=True)
@click.option("--points", type=click.IntRange(0), default=60, show_default=True, help="At which the power fails.")
@click.option("--seed", default=1, show_default=True)
@click.option("--only", help="One odd file system, or power.")
def filesystems(count: int, points: int, seed: int, only: str | None) -> None:
    if why := why_not():
        raise click.ClickException(why)
    folder = Path(mkdtemp(prefix="cropper-filesystems-"))
    photos, later, twins = prepared(folder, count, seed)
    wrong: list[str] = []
    for name in ODD:
        if only in (None, name):
            source = twins if name == "one case" else photos
            plain = folder / f"plain-{source.name}"
            batch(source, plain)
            here = folder / name.replace(" ", "-")
            here.mkdir()
            found = on_odd(here, name, source, results(plain))
            click.echo(f"{name}: {'; '.join(found[:5]) or 'as on the disk'}", err=True)
            wrong += found
    if points and only in (None, "power"):
        counts, found = without_power(folder, photos, later, points, seed)
        click.echo("\n".join([f"power: {dict(counts)}", *found[:40]]), err=True)
        wrong += found
    if wrong:
        raise click.ClickException(f"{len(wrong)} differences; see {folder}")
    shutil.rmtree(folder)
    click.echo("all as undisturbed")


if __name__ == "__main__":
    filesystems()
