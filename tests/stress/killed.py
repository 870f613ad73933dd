"""Kills `cropper batch` at random points, lets it run again to its end, and compares with a run that nobody disturbed.

    python tests/stress/killed.py [--kills 200] [--photos 300] [--seed 1] [--network] [--supervised]

Every file and every byte under OUT has to be the same, boxes.csv with them, what the state holds too, and nothing left over. The
state has to pass SQLite's integrity check. Half of the runs are killed at a random time; the others right before an operation on
a file or a statement of SQL, many of them among the first and the last ones of a run, where a moment is easily missed. Some of
the runs that go on are killed as well. The scenes take turns: an empty OUT, two sizes, photos that changed since the last run,
other settings than the last run's, a dry run.

Runs are forks of this process, which has all modules loaded, and a plain rule stands in for the network, so that most of a run is
files; --network takes the network. Needs a system that can fork.

With --supervised each run has the supervisor that it has for a user, on Linux. Killed is its child, and the run has to go on by
itself to the same end; or now and then the supervisor, and the child has to go too.
"""

from __future__ import annotations

import mmap
import os
import random
import shutil
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import click
import cv2
import numpy as np

from cropper.cli import main, supervision
from cropper.engine import batch
from cropper.errors import OutputError
from cropper.ledger import database, lock, state
from cropper.ledger.database import STATE_NAME

sys.path.insert(0, str(Path(__file__).parents[1]))
from fixtures import imread
from plain import Plain

SMALL = ("--size", "48x32")
# What Python announces before it does it. It opens files, for reading and for writing, under the first name.
OPERATIONS = {"open", "os.rename", "os.remove", "os.utime", "os.mkdir", "os.rmdir", "os.truncate"}
EDGE = 16  # operations at either end of a run that get more than their share


@dataclass(frozen=True)
class Scene:
    """What is run, and the OUT it finds."""

    name: str
    arguments: tuple[str, ...]
    before: Path | None  # an OUT to begin with
    out: Path
    undisturbed: dict[str, bytes]
    seconds: float
    operations: int


def make_photos(folder: Path, count: int, seed: int) -> None:
    """Small photos in three folders, one of them broken."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        pixels = rng.integers(60, 120, (64, 96, 3), np.uint8)
        cv2.circle(pixels, (int(rng.integers(96)), int(rng.integers(64))), 12, (30, 60, 250), cv2.FILLED)
        path = folder / ("", "b", "b/c")[number % 3] / f"{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    (folder / "b/broken.jpg").write_bytes(b"no photo")


def change(photos: Path, changed: Path) -> None:
    """The same photos later: every third is another, one is gone, one is new."""
    shutil.copytree(photos, changed)
    files = sorted(changed.rglob("0*.jpg"))
    for file in files[::3]:
        picture = cv2.flip(imread(str(file)), 1)
        file.write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    shutil.copy2(files[1], changed / "b/new.jpg")
    files[2].unlink()


def tree(out: Path) -> dict[str, bytes]:
    """Every file under a folder and its bytes; of a state, what it holds."""
    files = (path for path in out.rglob("*") if not path.is_dir())
    return {str(path.relative_to(out)): held(path) if path.name == STATE_NAME else path.read_bytes() for path in files}


def held(state: Path) -> bytes:
    """What a state holds of photos, decisions and outputs, but for times and numbers of runs; and whether the file is sound."""
    with closing(sqlite3.connect(state)) as connection:
        found = [connection.execute("PRAGMA integrity_check").fetchall()]
        for what in (
            "key, path, size, modified_ns FROM photo",
            "* FROM decision",
            "path, photo, bytes, digest, stale FROM output",
            "* FROM given",
        ):
            found.append(connection.execute(f"SELECT {what} ORDER BY 1, 2").fetchall())
    return repr(found).encode()


def begin(
    arguments: tuple[str, ...],
    network: bool,
    count_to: int | None = None,
    report: int | None = None,
    supervised: bool = False,
) -> int:
    """Start a run in a process of its own, and give the process.

    Args:
        arguments: of ``cropper batch``; the second is OUT.
        network: whether the network is used.
        count_to: the operation under OUT before which it kills itself, once, from 1 on.
        report: where to write how many there were.
        supervised: whether it has a supervisor, which begins again what kills itself.
    """
    is_killed = mmap.mmap(-1, 1)
    process = os.fork()
    if process:
        return process
    if supervised:
        supervision.can_fork = lambda: True  # type: ignore[attr-defined]
    if not network:
        batch.Saliency = Plain  # type: ignore[attr-defined, assignment]
    count, lock, out = 0, threading.Lock(), arguments[1]

    def step() -> None:
        nonlocal count
        with lock:
            count += 1
        if count == count_to and not is_killed[0]:
            is_killed[0] = 1
            os.kill(os.getpid(), signal.SIGKILL)

    def note(event: str, values: tuple[object, ...]) -> None:
        if event in OPERATIONS and str(values[0]).startswith(out):
            step()

    def traced(path: Path | None) -> sqlite3.Connection:
        connection = connect(path)
        connection.set_trace_callback(lambda statement: step())
        return connection

    connect = database.connect
    state.connect = traced  # type: ignore[attr-defined]

    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # there is a broken photo to complain of
        sys.addaudithook(note)
        sys.argv = ["cropper", "batch", *arguments, "--quiet", "--jobs", "2"]
        main()  # as from a shell, without arguments, or it would have no supervisor
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        if report is not None:
            os.write(report, b"%d" % count)
        os._exit(code)


def ended(process: int) -> int:
    """The exit code of a run; of a killed one, the signal's number below zero."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def prepare(name: str, arguments: tuple[str, ...], out: Path, before: Path | None, network: bool) -> Scene:
    """Run a scene undisturbed."""
    if before is not None:
        shutil.copytree(before, out)
    reading, writing = os.pipe()
    begun = time.monotonic()
    code = ended(begin(arguments, network, report=writing))
    seconds = time.monotonic() - begun
    operations = int(os.read(reading, 20))
    os.close(reading)
    os.close(writing)
    if code not in (0, 1):
        raise click.ClickException(f"{name}: the undisturbed run ended with {code}")
    undisturbed = tree(out)
    shutil.rmtree(out)
    return Scene(name, arguments, before, out, undisturbed, seconds, operations)


def kill_one(scene: Scene, network: bool, chance: random.Random, supervised: bool) -> tuple[bool, bool]:
    """Start a run and kill it at a random point; whether that was before its end, and whether it came to its end all the same."""
    if chance.random() < 0.5:
        process = begin(scene.arguments, network, supervised=supervised)
        time.sleep(chance.uniform(0, scene.seconds))
        victim = child_of(process) if supervised and chance.random() < 0.7 else process
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    else:
        last = scene.operations
        first, end = chance.choice([(1, EDGE), (last - EDGE, last), (1, last)])
        process = victim = begin(scene.arguments, network, chance.randint(first, end), supervised=supervised)
    code = ended(process)
    if code == -signal.SIGKILL:
        if supervised:
            await_lock(scene.out)
        return True, False
    if code not in (0, 1):
        raise click.ClickException(f"{scene.name}: exit code {code}")
    return supervised, True


def child_of(process: int) -> int:
    """The child of a process; the process itself if it has none yet or no more."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{process}/task/{process}/children").read_text().split()[0])
    return process


def await_lock(out: Path) -> None:
    """Wait until the child of a killed supervisor is gone, which takes it a moment."""
    patience = time.monotonic() + 5
    while (out / ".cropper/lock").exists():
        try:
            return lock.release(lock.take(out / ".cropper/lock"), tidy=False)
        except OutputError as error:
            if time.monotonic() > patience:
                raise click.ClickException(f"a child outlives its supervisor: {error}") from error
            time.sleep(0.005)


def differences(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """What is not as it should be, a line each."""
    lines = [f"left over: {name}" for name in sorted(found.keys() - expected.keys())]
    lines += [f"missing: {name}" for name in sorted(expected.keys() - found.keys())]
    return lines + [f"other: {name}" for name in sorted(found.keys() & expected.keys()) if found[name] != expected[name]]


@click.command(help=__doc__)
@click.option("--kills", type=click.IntRange(1), default=200, show_default=True)
@click.option("--photos", type=click.IntRange(6), default=300, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--network", is_flag=True, help="Use the network.")
@click.option("--supervised", is_flag=True, help="Kill what has a supervisor.")
def killed(kills: int, photos: int, seed: int, network: bool, supervised: bool) -> None:
    begun = time.monotonic()
    chance = random.Random(seed)
    folder = Path(mkdtemp(prefix="cropper-killed-"))
    first, later, out = folder / "in", folder / "later", folder / "out"
    make_photos(first, photos, seed)
    change(first, later)
    befores = {"was": (str(first), *SMALL), "other": (str(first), *SMALL, "--quality", "50")}
    for name, (source, *options) in befores.items():
        ended(begin((source, str(folder / name), *options), network))
    was, other = folder / "was", folder / "other"
    scenes = [
        prepare("empty", (str(first), str(out), *SMALL), out, None, network),
        prepare("sizes", (str(first), str(out), *SMALL, "--aspect", "1:1"), out, None, network),
        prepare("changed", (str(later), str(out), *SMALL, "--moved"), out, was, network),
        prepare("settings", (str(later), str(out), *SMALL, "--moved"), out, other, network),
        prepare("dry", (str(first), str(out), *SMALL, "--dry-run"), out, None, network),
    ]
    counts: Counter[str] = Counter()
    attempt = 0
    while counts["killed"] < kills:
        scene = scenes[attempt % len(scenes)]
        attempt += 1
        if scene.before is not None:
            shutil.copytree(scene.before, out)
        was_killed, is_whole = kill_one(scene, network, chance, supervised)
        counts["killed"] += was_killed
        while not is_whole and counts["killed"] < kills and chance.random() < 0.3:
            again, is_whole = kill_one(scene, network, chance, supervised)
            counts["killed"] += again
            counts["of these on the way again"] += again
        counts["with temporary files left by the kill"] += any(out.rglob(".cropper-*.part"))
        if supervised and is_whole:
            counts["that went on by themselves"] += 1
            code = 0
        else:
            code = ended(begin(scene.arguments, network))
        wrong = differences(tree(out), scene.undisturbed)
        if code not in (0, 1) or wrong:
            for line in wrong[:10]:
                click.echo(f"{scene.name}: {line}", err=True)
            raise click.ClickException(f"{scene.name}, attempt {attempt}: exit code {code}, {len(wrong)} differences; see {out}")
        shutil.rmtree(out)
        counts["compared"] += 1
        if attempt % 20 == 0:
            click.echo(f"{counts['killed']} of {kills} killed, {time.monotonic() - begun:.0f} s", err=True)
    shutil.rmtree(folder)
    spent = time.monotonic() - begun
    click.echo(f"{', '.join(f'{count} {what}' for what, count in counts.items())}; all as undisturbed; {spent:.0f} s")


if __name__ == "__main__":
    killed()
