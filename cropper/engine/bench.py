"""Measure what a folder costs: each stage of a photo, the whole batch, and the floor below it.

No thumbnailer that uses OpenCV is faster than the floor: as many threads read, decode at the smallest scale that fills the size,
cut out the centre, resize, encode and write. The floor runs no model and keeps no ledger.
"""

from __future__ import annotations

import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np

from cropper.choosing.decide import decide
from cropper.choosing.view import view_of
from cropper.engine.batch import run_batch
from cropper.engine.pipeline import BATCH_SIZE
from cropper.engine.plan import Plan
from cropper.engine.stages import pixels_needed, pixels_to_fill, thumbnail_of
from cropper.errors import CropperError, PhotoError, UsageError, reading
from cropper.geometry import largest_size
from cropper.image_formats import output_format
from cropper.imaging.decode import decode_or_salvage, reduction
from cropper.imaging.encode import encoder_parameters
from cropper.imaging.fitting import thumbnail_file
from cropper.imaging.header import probe
from cropper.imaging.opencv import cv2
from cropper.ledger.changes import Change
from cropper.ledger.session import open_session
from cropper.ledger.table import OK, decided_row
from cropper.model.look import OpenedPhoto, infer_maps, model_input_of, read_header
from cropper.model.saliency import Saliency
from cropper.settings import Settings
from cropper.storage import thumbnails
from cropper.storage.access import place
from cropper.storage.local import LocalPlace
from cropper.storage.naming import paths_of
from cropper.storage.places import Whose

Item = TypeVar("Item")
Result = TypeVar("Result")

STAGES = ("read", "header", "decode", "resize", "infer", "choose", "render", "encode", "write", "state")


@dataclass(frozen=True)
class Costs:
    """The costs of a sample of a folder.

    Attributes:
        photos: how many photos could be read, at least one.
        failed: how many could not be read.
        stages: seconds that all photos together take in each of ``STAGES``, on one thread.
        waiting: for each stage, how many times longer it takes while the other jobs' threads do the same. Above 1 it waits for
            the GIL or for memory.
        batch, floor: seconds of a whole run over the sample; the median of the rounds.
        ratio: batch over floor; the median of the rounds.
        peak_bytes: the most memory the process held until the end of the first whole run; None where the system does not say.
    """

    photos: int
    failed: int
    stages: dict[str, float]
    waiting: dict[str, float]
    batch: float
    floor: float
    ratio: float
    peak_bytes: int | None


def sample(items: Iterable[Item], count: int, seed: int = 0) -> list[Item]:
    """Draw at most ``count`` items from a stream of any length, all equally likely, and keep their order.

    Source: J. Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software, 1985, algorithm R.
    """
    rng = random.Random(seed)
    reservoir: list[tuple[int, Item]] = []
    for number, item in enumerate(items):
        if number < count:
            reservoir.append((number, item))
        elif (place := rng.randrange(number + 1)) < count:
            reservoir[place] = (number, item)
    return [item for _, item in sorted(reservoir, key=lambda pair: pair[0])]


def measure(files: list[Path], settings: Settings, jobs: int, rounds: int, scratch: Path) -> Costs:
    """Make the same thumbnails as a batch, by the floor and stage by stage. Batch and floor run in turn.

    Args:
        files: photos, at least one; they are only read.
        settings: what to make; not a dry run.
        jobs: worker threads of the whole runs.
        rounds: how many batches and floors to run, at least 1.
        scratch: an empty folder for copies of the photos and for the thumbnails.

    Raises:
        UsageError: if no photo can be read.
    """
    source = scratch / "photos"
    source.mkdir()
    # A batch walks a folder, so the sample gets one of its own.
    copies = [source / f"{number:06}{file.suffix}" for number, file in enumerate(files)]
    for file, copy in zip(files, copies, strict=True):
        with suppress(OSError, PhotoError):  # then the copy is missing and counts as a photo that cannot be read
            # A link would change the original's ctime, and the next batch would take the photo for changed.
            copy.write_bytes(LocalPlace(file).read()[0])
    cv2.setNumThreads(1)
    batches, floors = [], []
    peak = None
    for number in range(rounds):
        # A run is a generator and starts when it is listed.
        run = run_batch(Plan(place(source), place(scratch / f"batch-{number}"), settings), jobs)
        _, seconds = _timed(list, run)
        batches.append(seconds)
        peak = peak or _peak_bytes()
        _, seconds = _timed(floor, copies, scratch / f"floor-{number}", settings, jobs)
        floors.append(seconds)
    stages, failed = profile(copies, scratch / "stages", settings)
    if failed == len(files):
        raise UsageError("none of the photos can be read", remedy="'cropper batch' says why")
    with ThreadPoolExecutor(jobs) as workers:
        together = list(workers.map(lambda job: profile(copies, scratch / f"together-{job}", settings)[0], range(jobs)))
    waiting = {stage: sum(t[stage] for t in together) / jobs / seconds for stage, seconds in stages.items()}
    ratio = median(b / f for b, f in zip(batches, floors, strict=True))
    return Costs(len(files) - failed, failed, stages, waiting, median(batches), median(floors), ratio, peak)


def profile(files: list[Path], out: Path, settings: Settings) -> tuple[dict[str, float], int]:
    """Take photos through a batch's stages on one thread: the seconds in each of ``STAGES``, and how many photos failed."""
    clock = dict.fromkeys(STAGES, 0.0)

    def timed(stage: str, call: Callable[..., Result], *arguments: Any) -> Result:
        result, seconds = _timed(call, *arguments)
        clock[stage] += seconds
        return result

    def finish(held: list[tuple[Path, OpenedPhoto]]) -> None:
        inferred = timed("infer", infer_maps, [photo for _, photo in held], model)
        for (file, photo), maps in zip(held, inferred, strict=True):
            header = photo.header
            view = timed("choose", view_of, maps)
            format = output_format(file.name, settings.format)
            paths = paths_of(settings.targets, "", f"{file.stem}.{format}")
            for target, output in zip(settings.targets, paths, strict=True):
                decision = timed("choose", decide, view, header.width, header.height, target, settings.choosing)[0]
                thumbnail = timed("render", thumbnail_of, photo.pixels, header, decision, target, settings)
                data, _ = timed("encode", thumbnail_file, thumbnail, header, format, settings)
                trace = timed("write", thumbnails.write, out / output, data, ".part", Whose.OURS)
                image = header.width, header.height
                row = decided_row(file.name, output, OK, image, target.label, decision.box)
                timed("state", session.record, Change(file.name, (row,), written=((output, trace),)))

    model = Saliency(settings.model, settings.device)
    with open_session(place(out), place(files[0].parent), "profile\n") as session:
        partial: dict[tuple[int, ...], list[tuple[Path, OpenedPhoto]]] = defaultdict(list)
        failed = 0
        for file in files:
            try:
                data = timed("read", _read, file)
                header = timed("header", read_header, data, settings.limits, settings.keep)
                needed = pixels_needed(header.width, header.height, settings)
                pixels, salvaged = timed("decode", decode_or_salvage, data, header, needed, settings.limits)
                photo = OpenedPhoto(header, pixels, timed("resize", model_input_of, pixels, header), salvaged)
            except CropperError:
                failed += 1
                continue
            shape = photo.model_input.shape
            partial[shape].append((file, photo))
            if len(partial[shape]) == BATCH_SIZE:
                finish(partial.pop(shape))
        for held in partial.values():
            finish(held)
    return clock, failed


def floor(files: list[Path], out: Path, settings: Settings, jobs: int) -> None:
    """Make thumbnails of the centre with OpenCV alone. Files that OpenCV cannot read are left out."""
    out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(jobs) as workers:
        for _ in workers.map(lambda file: _centre(file, out, settings), files):
            pass


def _centre(file: Path, out: Path, settings: Settings) -> None:
    try:
        data = _read(file)
        header = probe(data)
        needed = pixels_to_fill(header.width, header.height, settings.targets)
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), reduction(header, needed))
    except (CropperError, cv2.error):
        return
    if pixels is None:
        return
    height, width = pixels.shape[:2]
    for number, target in enumerate(settings.targets):
        across, down = largest_size(width, height, target.aspect)
        x, y = (width - across) // 2, (height - down) // 2
        cut = pixels[y : y + down, x : x + across]
        thumbnail = cv2.resize(cut, target.size, interpolation=cv2.INTER_AREA) if target.size else cut
        format = output_format(file.name, settings.format)
        if not cv2.haveImageWriter(f".{format}"):
            return
        done, encoded = cv2.imencode(f".{format}", thumbnail, encoder_parameters(format, settings.quality))
        if done:
            encoded.tofile(out / f"{number}-{file.name}.{format}")


def _read(file: Path) -> bytes:
    with reading(file):
        return LocalPlace(file).read()[0]


def _timed(call: Callable[..., Result], *arguments: Any) -> tuple[Result, float]:
    start = time.perf_counter()
    result = call(*arguments)
    return result, time.perf_counter() - start


def _peak_bytes() -> int | None:
    """Return the most memory that this process has held; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
