"""The way of a photo, for a folder of them: walk, read, decode, infer, choose, render, encode, write, ledger.

One coordinator (``run``, on the caller's thread) owns all state. It hands three kinds of tasks to ``jobs`` worker threads
and waits for their results on one queue:

    photo ──_decode──► pixels ──┐
                                ├─ of one shape ──_infer──► densities ──_finish──► thumbnails on disk, rows
    photo ──_decode──► pixels ──┘

OpenCV and onnxruntime let go of Python's lock while they work, so threads are enough. What is in flight is bounded in photos and
in bytes, whatever the folder holds. Rows leave in the walk's order. A photo's bytes depend on nothing but the photo and the
settings: not on the jobs, and not on the batch it happened to share.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cropper import __version__, ledger, outputs, photo
from cropper.boxes import Target, choose, largest_size
from cropper.errors import CropperError, OutputError, PhotoError, UsageError, reading
from cropper.opencv import cv2
from cropper.saliency import BUNDLED_MODEL, Saliency, prepare, shape_for
from cropper.walk import is_inside, join, walk

# Larger batches gain nothing on a processor, and what the model holds while it works grows with them: 97 MB in two threads at 16
# photos, 27 MB at 4, both in 2.5 ms a photo.
BATCH_SIZE = 4
# Photos are decoded to at least so many times the sides of the model's input. A JPEG decoded to hardly more looks a little
# different there than one decoded whole, which can move its box; and the sizes asked for must not move boxes.
MODEL_MARGIN = Fraction(3, 2)
# Photos begun and not yet finished, and bytes of decoded pixels they may hold before no new one is begun: enough that
# several shapes fill their batches while both ends of the pipeline stay busy.
MAX_IN_FLIGHT = 32
MAX_BYTES_IN_FLIGHT = 160 << 20
# Finished rows that wait for an earlier photo's: bounds memory where one photo takes very long.
MAX_WAITING_ROWS = 4096


@dataclass(frozen=True)
class Settings:
    """What decides a batch's outputs, beside the photos.

    Attributes:
        targets: the shapes asked for, at least one, no two alike.
        format: ``keep``, or an output format of ``photo.QUALITY``.
        quality: 1..100, or None for the format's default.
        enlarge: whether photos smaller than a size are enlarged to it.
        dry_run: whether only the ledger is written.
        model: an ONNX file, or None for the bundled student.
    """

    targets: tuple[Target, ...]
    format: str = "keep"
    quality: int | None = None
    enlarge: bool = False
    dry_run: bool = False
    model: Path | None = None


@dataclass(frozen=True)
class Done:
    """What became of one photo; or, without rows, what there is to say of a folder.

    Attributes:
        path: relative to IN.
        rows: the photo's rows in the ledger, one a target.
        unchanged: whether an earlier run had done it already.
        error: why the photo failed or the folder could not be listed, or None.
        passed_over: files of the folder that are no photos.
    """

    path: str
    rows: tuple[ledger.Row, ...] = ()
    unchanged: bool = False
    error: CropperError | None = None
    passed_over: int = 0


@dataclass(frozen=True)
class _Job:
    """A photo on its way: its place in the walk, and where its outputs go."""

    number: int
    path: str
    file: Path
    format: str
    outputs: tuple[str, ...]  # relative to OUT, one a target
    known: tuple[ledger.Row, ...]  # its rows in the ledger, of an earlier run with the same settings
    ours: frozenset[str]  # outputs that an earlier run wrote, with whatever settings


@dataclass(frozen=True)
class _Decoded:
    job: _Job
    header: photo.Header
    modified_ns: int
    pixels: NDArray[np.uint8]
    model_input: NDArray[np.uint8]


@dataclass(frozen=True)
class _Inferred:
    batch: list[_Decoded]
    densities: NDArray[np.float32]


@dataclass(frozen=True)
class _Finished:
    number: int
    done: Done
    was_decoded: bool = False
    bytes: int = 0  # of its decoded pixels
    unstamped: tuple[Path, ...] = ()  # thumbnails to stamp once the rows are in the ledger
    modified_ns: int = 0  # the photo's


@dataclass(frozen=True)
class _Broken:
    """A task failed for a reason that is no photo's: the run cannot go on."""

    error: Exception


_Event = _Decoded | _Inferred | _Finished | _Broken


def run(source: Path, out: Path, settings: Settings, jobs: int) -> Generator[Done, None, None]:
    """Make the thumbnails and the ledger of a folder, and yield what became of each photo, in the walk's order.

    Closed early, or interrupted, it keeps all that is finished: a second run goes on from there.

    Args:
        source: the folder IN; nothing in it is ever written to.
        out: the folder OUT; made if it is not there.
        settings: what to make.
        jobs: worker threads, at least 1.

    Raises:
        UsageError: if OUT is IN or holds it.
        OutputError: if OUT or the ledger cannot be written.
        ModelError: if the model cannot be loaded.
    """
    _check_folders(source, out)
    cv2.setNumThreads(1)  # photos are the unit of parallel work
    model = Saliency(settings.model)
    current = ledger.open_run(out, _fingerprint(settings), settings.dry_run)
    complete = False
    try:
        try:
            yield from _Coordinator(source, out, settings, model, current, jobs).run()
            complete = True
        finally:
            ledger.close_run(current, complete)
    except OSError as error:
        reason = f"the ledger cannot be written ({error.strerror})"
        raise OutputError(reason, path=out, remedy="make room and run again: it goes on from here") from error


def _check_folders(source: Path, out: Path) -> None:
    real_source, real_out = os.path.realpath(source), os.path.realpath(out)
    if is_inside(real_source, real_out):
        remedy = "choose an OUT beside IN or inside it, so that no photo can be overwritten"
        raise UsageError("OUT is IN or holds it", path=out, remedy=remedy)


def _fingerprint(settings: Settings) -> str:
    """All that decides an output beside its photo, as text: equal texts make equal bytes."""
    values = asdict(settings)
    del values["dry_run"]
    values["model"] = hashlib.sha256((settings.model or BUNDLED_MODEL).read_bytes()).hexdigest()
    values["version"] = __version__
    return json.dumps(values, indent=1) + "\n"


class _Coordinator:
    """The state of one run. Only ``run`` and what it calls touch it; the workers get frozen values and give back others."""

    def __init__(self, source: Path, out: Path, settings: Settings, model: Saliency, current: ledger.Run, jobs: int) -> None:
        self.source, self.out, self.settings, self.model, self.ledger = source, out, settings, model, current
        self.jobs = jobs
        self.events: SimpleQueue[_Event] = SimpleQueue()
        self.tasks = 0  # handed to the workers and not yet answered
        self.decoding = 0  # of these, the ones whose pixels are not counted in ``bytes`` yet
        self.bytes = 0  # of decoded pixels they hold
        self.partial: dict[tuple[int, int], list[_Decoded]] = defaultdict(list)  # shape -> a batch that fills
        self.begun: dict[int, _Job] = {}  # place in the walk -> photo begun and not finished
        self.waiting: dict[int, _Finished] = {}  # place in the walk -> finished, but an earlier photo is not
        self.next_row = 0  # the place in the walk whose rows leave next
        self.workers = ThreadPoolExecutor(jobs, thread_name_prefix="cropper")

    def run(self) -> Iterator[Done]:
        photos = self._photos()
        more = True
        with self.workers:
            try:
                while True:
                    while more and self._has_room():
                        upcoming = next(photos, None)
                        if upcoming is None:
                            more = False
                        elif isinstance(upcoming, _Finished):
                            self.waiting[upcoming.number] = upcoming
                        else:
                            self.begun[upcoming.number] = upcoming
                            self.decoding += 1
                            self._start(_decode, upcoming, self.settings)
                        yield from self._leave()
                    # No worker idles while a batch could go, even one that is not full.
                    while self.tasks < self.jobs and self.partial:
                        self._infer(max(self.partial, key=lambda shape: len(self.partial[shape])))
                    if not self.tasks:
                        break
                    self._take(self.events.get())
                    yield from self._leave()
            finally:
                # Interrupted or failed: what the workers are at is finished, what they have not begun is not.
                self.workers.shutdown(cancel_futures=True)
                self._record_the_rest()

    def _record_the_rest(self) -> None:
        """Into the ledger with all that is on disk: what is finished, and what is there from before of what is not."""
        while not self.events.empty():
            event = self.events.get()
            if isinstance(event, _Finished):
                self._set_aside(event)
        for number in sorted({*self.waiting, *self.begun}):
            if number in self.waiting:
                self._record(self.waiting[number])
            else:
                rows = [row for row in self.begun[number].known if row.output]
                self.ledger.part.append(replace(row, status=ledger.SKIPPED, message="interrupted") for row in rows)

    def _has_room(self) -> bool:
        return (
            self.decoding < 2 * self.jobs
            and len(self.begun) < MAX_IN_FLIGHT
            and self.bytes < MAX_BYTES_IN_FLIGHT
            and len(self.waiting) < MAX_WAITING_ROWS
        )

    def _start(self, task: Callable[..., Any], *arguments: Any) -> None:
        self.tasks += 1
        self.workers.submit(lambda: self.events.put(_answer(task, *arguments)))

    def _take(self, event: _Event) -> None:
        """One step on for whatever a worker has answered."""
        self.tasks -= 1
        if isinstance(event, _Broken):
            raise event.error
        if isinstance(event, _Decoded):
            self.decoding -= 1
            self.bytes += event.pixels.nbytes
            shape = event.model_input.shape[:2]
            self.partial[shape].append(event)
            if len(self.partial[shape]) == BATCH_SIZE:
                self._infer(shape)
        elif isinstance(event, _Inferred):
            for decoded, density in zip(event.batch, event.densities, strict=True):
                self._start(_finish, decoded, density, self.settings, self.out)
        else:
            if not event.was_decoded:
                self.decoding -= 1
            self.bytes -= event.bytes
            self._set_aside(event)

    def _infer(self, shape: tuple[int, int]) -> None:
        self._start(_infer, self.partial.pop(shape), self.model)

    def _set_aside(self, finished: _Finished) -> None:
        self.waiting[finished.number] = finished
        del self.begun[finished.number]

    def _leave(self) -> Iterator[Done]:
        """Whatever is finished and next in the walk goes to the ledger and to the caller."""
        while self.next_row in self.waiting:
            # Recorded before it is let go: interrupted in between, a row may come twice, but none is lost.
            finished = self.waiting[self.next_row]
            self._record(finished)
            del self.waiting[self.next_row]
            self.next_row += 1
            yield finished.done

    def _record(self, finished: _Finished) -> None:
        self.ledger.part.append(finished.done.rows)
        for thumbnail in finished.unstamped:
            with suppress(OSError):  # gone or out of reach already: the next run makes it again
                outputs.stamp(thumbnail, finished.modified_ns)

    def _photos(self) -> Iterator[_Job | _Finished]:
        """The walk, each photo with its outputs; those that need no work as finished already."""
        number = 0
        for folder in walk(self.source, photo.EXTENSIONS, leave_out=self.out):
            if folder.error is not None or folder.others:
                yield _Finished(number, Done(folder.path, error=folder.error, passed_over=folder.others))
                number += 1
            names = outputs.names_of(folder.photos, self.settings.format)
            for name in folder.photos:
                path = join(folder.path, name)
                wanted = outputs.paths_of(self.settings.targets, folder.path, names[name])
                known = self.ledger.current.of(path)
                outdated = self.ledger.outdated.of(path)
                if self._is_done(path, wanted, known):
                    yield _Finished(number, Done(path, known, unchanged=True))
                else:
                    format = outputs.format_of(name, self.settings.format)
                    ours = frozenset(row.output for row in (*known, *outdated) if row.output)
                    yield _Job(number, path, self.source / path, format, wanted, known, ours)
                number += 1

    def _is_done(self, path: str, wanted: tuple[str, ...], known: tuple[ledger.Row, ...]) -> bool:
        """Whether an earlier run with these settings made these outputs, and neither they nor the photo changed since."""
        if [(row.status, row.output) for row in known] != [(ledger.OK, output) for output in wanted]:
            return False
        return outputs.are_up_to_date([self.out / output for output in wanted], self.source / path)


def pixels_needed(width: int, height: int, targets: tuple[Target, ...]) -> tuple[int, int]:
    """Of a photo of this size, the width and height to decode at least: to fill the largest size asked for, and the model amply.

    The same for a dry run, which must decide as the real one will.
    """
    model_height, model_width = shape_for(width, height)
    return pixels_to_fill(
        width, height, targets, MODEL_MARGIN * max(Fraction(model_width, width), Fraction(model_height, height))
    )


def pixels_to_fill(width: int, height: int, targets: tuple[Target, ...], share: Fraction = Fraction(0)) -> tuple[int, int]:
    """Of a photo of this size, the width and height to decode at least to fill the largest size asked for.

    The share is of its sides, and asked for as well.
    """
    # Exact: a pixel too much by rounding would cost a JPEG twice the scale.
    for target in targets:
        box = largest_size(width, height, target.aspect)
        size = target.size or box
        share = max(share, Fraction(size[0], box[0]), Fraction(size[1], box[1]))
    share = min(share, Fraction(1))
    return math.ceil(width * share), math.ceil(height * share)


def _answer(task: Callable[..., _Event], *arguments: Any) -> _Event:
    """Worker: a task's answer, or why there is none, so that the coordinator never waits for nothing."""
    try:
        return task(*arguments)
    except Exception as error:
        return _Broken(error)


def _decode(job: _Job, settings: Settings) -> _Decoded | _Finished:
    """Worker: read and decode a photo, once, and cut the model's input from it."""
    try:
        with reading(job.file), job.file.open("rb") as file:
            modified = os.fstat(file.fileno()).st_mtime_ns
            data = file.read()
        header = photo.probe(data)
        pixels = photo.decode(data, header, pixels_needed(header.width, header.height, settings.targets))
        model_input = prepare(photo.on_white(pixels), shape_for(header.width, header.height))
        if settings.dry_run:
            pixels = np.empty((0, 0, 3), np.uint8)  # done with; a slice would hold on to them all
        return _Decoded(job, header, modified, pixels, model_input)
    except Exception as error:
        explained = _explained(error, job)
        rows = tuple(_failed_row(job, number, settings, explained) for number in range(len(settings.targets)))
        return _Finished(job.number, Done(job.path, rows, error=explained))


def _infer(batch: list[_Decoded], model: Saliency) -> _Inferred:
    """Worker: the densities of a batch of one shape."""
    return _Inferred(batch, model.densities(np.stack([decoded.model_input for decoded in batch])))


def _finish(decoded: _Decoded, density: NDArray[np.float32], settings: Settings, out: Path) -> _Finished:
    """Worker: choose the boxes of a photo, render, encode and write its thumbnails."""
    job, header = decoded.job, decoded.header
    rows: list[ledger.Row] = []
    unstamped: list[Path] = []
    first_error: CropperError | None = None
    for number, (target, output) in enumerate(zip(settings.targets, job.outputs, strict=True)):
        try:
            box = choose(density, header.width, header.height, target.aspect)
            if settings.dry_run:
                output = output if output in job.ours else ""  # what an earlier run left is still ours
            else:
                size = photo.thumbnail_size(box, target.size, settings.enlarge)
                thumbnail = photo.render(decoded.pixels, box, size, (header.width, header.height))
                data = photo.encode(thumbnail, header, job.format, settings.quality)
                ours = output in job.ours
                outputs.write(out / output, data, f".cropper-{job.number}.part", decoded.modified_ns, ours)
                if ours:
                    unstamped.append(out / output)
            rows.append(ledger.ok_row(job.path, output, (header.width, header.height), target.label, box))
        except Exception as error:
            explained = _explained(error, job)
            rows.append(_failed_row(job, number, settings, explained))
            first_error = first_error or explained
    done = Done(job.path, tuple(rows), error=first_error)
    return _Finished(job.number, done, True, decoded.pixels.nbytes, tuple(unstamped), decoded.modified_ns)


def _explained(error: Exception, job: _Job) -> CropperError:
    """Why a photo failed, whatever the reason: nothing that one photo does may stop the others."""
    if isinstance(error, CropperError):
        what, remedy, path = error.what, error.remedy, error.path
    else:
        what, remedy, path = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}", "", None
    explained = PhotoError(what, path=path or job.file, remedy=remedy)
    explained.__cause__ = error
    return explained


def _failed_row(job: _Job, number: int, settings: Settings, error: CropperError) -> ledger.Row:
    """The row of a target that failed. It names an output that an earlier run left, so that we know it as ours later on."""
    row = ledger.failed_row(job.path, settings.targets[number].label, error.reason)
    output = job.outputs[number]
    return replace(row, output=output) if output in job.ours else row
