"""Says how many photos a second one machine can make at most, however many cores it has.

    python tests/bench/processes.py [--photos 4000] [--rounds 3] [--processes 1 --processes 2 --processes 4]

The photos are tiny, and the model costs nothing: what is left is the walk, the state, the messages, and the Python of each stage.
Of the coordinator only one thread is busy, so that its processor seconds a photo bound what all processes together can make. So
do those of a worker process what its threads can. "0" is a run of threads without processes.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
from PIL import Image

from cropper.process.journal import Journal
from cropper.process.workers import fork_workers
from cropper.settings import Settings, Target
from cropper.storage.local import LocalPlace

if TYPE_CHECKING:
    import socket

    from cropper.engine.job import Begin

THREADS = 2  # of each process: no more are busy at a time


def make_photos(folder: Path, count: int) -> None:
    """Make tiny JPEGs in folders of a thousand."""
    for number in range(count):
        inside = folder / f"{number // 1000:03}"
        inside.mkdir(exist_ok=True, parents=True)
        Image.new("RGB", (48, 32), (number % 256, number // 256 % 256, 90)).save(inside / f"{number:06}.jpg")


def free_model() -> type:
    """Return a model that works out the maps of each shape of input once."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from plain import Plain

    maps: dict[Any, Any] = {}

    class Free(Plain):
        def infer(self, images: Any) -> Any:
            if images.shape not in maps:
                maps[images.shape] = super().infer(images)
            return maps[images.shape]

    return Free


def measure(source: Path, out: Path, processes: int) -> tuple[float, float, float, int]:
    """In a child: return the seconds of the run, and the processor seconds of the coordinator and of its processes."""
    settings = Settings((Target((24, 24), (24, 24)),))
    journal = Journal()
    places = LocalPlace(source), LocalPlace(out)

    def work(channel: socket.socket, part: Journal, threads: int) -> None:
        from cropper.engine import processes as engine

        setattr(engine, "Saliency", free_model())  # noqa: B010
        engine.work_on(channel, part, threads, settings, places[1])

    workers = fork_workers([THREADS] * processes, journal, work) if processes else []
    from cropper.engine.batch import local_threads, run_batch
    from cropper.engine.plan import Plan
    from cropper.engine.processes import local_processes
    from cropper.engine.tally import Counts

    free: Any = free_model()(None, "cpu")
    begin: Begin = partial(local_threads, journal=journal, model=lambda: free)
    if processes:
        begin = partial(local_processes, workers=workers, journal=journal)
    counts, begun, before = Counts(), time.monotonic(), time.process_time()
    for done in run_batch(Plan(*places, settings), THREADS, engine=begin):
        counts.add(done)
        journal.save(counts.until(done))
    here, passed = time.process_time() - before, time.monotonic() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return passed, here, used.ru_utime + used.ru_stime, counts.photos


def in_child(measured: Callable[[], tuple[float, float, float, int]]) -> list[float]:
    """Return what a measurement in a forked child says: a process can fork only once before it loads numpy."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        try:
            os.write(writing, " ".join(map(str, measured())).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as said:
        numbers = [float(number) for number in said.read().split()]
    os.waitpid(process, 0)
    return numbers


@click.command(help=__doc__)
@click.option("--photos", type=click.IntRange(1), default=4000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--processes", type=click.IntRange(0), multiple=True, default=(0, 1, 2, 4), show_default=True)
def main(photos: int, rounds: int, processes: tuple[int, ...]) -> None:
    found: dict[int, list[list[float]]] = {number: [] for number in processes}
    with TemporaryDirectory(prefix="cropper-processes-") as scratch:
        make_photos(Path(scratch, "in"), photos)
        for one in range(rounds):
            for number in processes[:: 1 if one % 2 == 0 else -1]:
                out = Path(scratch, f"out{one}-{number}")
                found[number].append(in_child(partial(measure, Path(scratch, "in"), out, number)))
    click.echo("processes  ms a photo: coordinator, processes  photos/s at most: coordinator  photos/s here")
    for number, rows in found.items():
        assert all(row[3] == photos for row in rows)
        passed, here, there = (median(row[column] for row in rows) for column in range(3))
        each = 1000 * here / photos, 1000 * there / photos
        click.echo(f"{number:9}  {each[0]:23.2f}, {each[1]:9.2f}  {1000 / each[0]:29.0f}  {photos / passed:13.0f}")


if __name__ == "__main__":
    main()
