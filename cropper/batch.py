"""The way of a photo, for a folder of them: walk, read, decode, infer, choose, render, encode, write, ledger.

One coordinator (``run``, on the caller's thread) owns all state. It hands three kinds of tasks to ``jobs`` worker threads
and waits for their results on one queue:

    photo ──_decode──► pixels ──┐
                                ├─ 16 of one shape ──_infer──► densities ──_finish──► thumbnails on disk, rows
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
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cropper import __version__, ledger, photo
from cropper.boxes import Target, choose, largest_size
from cropper.errors import CropperError, OutputError, PhotoError, UsageError
from cropper.opencv import cv2
from cropper.saliency import BUNDLED_MODEL, Saliency, prepare, shape_for
from cropper.walk import is_inside, join, walk

BATCH_SIZE = 16
# Photos begun and not yet finished, and bytes of decoded pixels they may hold before no new one is begun. A few batches' worth,
# so that shapes fill their batches while both ends of the pipeline stay busy.
MAX_IN_FLIGHT = 6 * BATCH_SIZE
MAX_BYTES_IN_FLIGHT = 160 << 20
# Finished rows that wait for an earlier photo's: bounds memory where one photo takes very long.
MAX_WAITING_ROWS = 4096

# Names of output formats, as in file names, to keep when the format stays.
_FORMAT_OF = {".jpg": "jpg", ".jpeg": "jpg", ".jpe": "jpg", ".jfif": "jpg", ".png": "png", ".webp": "webp", ".avif": "avif"}


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
    ours: frozenset[str]  # outputs that exist and that an earlier run wrote


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
        self.in_flight = 0  # photos begun and not finished
        self.bytes = 0  # of decoded pixels they hold
        self.partial: dict[tuple[int, int], list[_Decoded]] = defaultdict(list)  # shape -> a batch that fills
        self.waiting: dict[int, Done] = {}  # place in the walk -> finished, but an earlier photo is not

    def run(self) -> Iterator[Done]:
        photos = self._photos()
        more = True
        self.next_row = 0  # the place in the walk whose rows leave next
        with ThreadPoolExecutor(self.jobs, thread_name_prefix="cropper") as workers:
            self.workers = workers
            try:
                while True:
                    while more and self._has_room():
                        upcoming = next(photos, None)
                        if upcoming is None:
                            more = False
                        elif isinstance(upcoming, _Finished):
                            self.waiting[upcoming.number] = upcoming.done
                        else:
                            self.in_flight += 1
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
                # Interrupted or failed: what the workers are at is finished, what they have not begun is not, and all
                # that is on disk is in the ledger.
                workers.shutdown(cancel_futures=True)
                while not self.events.empty():
                    event = self.events.get()
                    if isinstance(event, _Finished):
                        self.waiting[event.number] = event.done
                for number in sorted(self.waiting):
                    self.ledger.part.append(self.waiting[number].rows)

    def _has_room(self) -> bool:
        return (
            self.decoding < 2 * self.jobs
            and self.in_flight < MAX_IN_FLIGHT
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
            self.in_flight -= 1
            self.bytes -= event.bytes
            self.waiting[event.number] = event.done

    def _infer(self, shape: tuple[int, int]) -> None:
        self._start(_infer, self.partial.pop(shape), self.model)

    def _leave(self) -> Iterator[Done]:
        """Whatever is finished and next in the walk goes to the ledger and to the caller."""
        while self.next_row in self.waiting:
            done = self.waiting.pop(self.next_row)
            self.ledger.part.append(done.rows)
            self.next_row += 1
            yield done

    def _photos(self) -> Iterator[_Job | _Finished]:
        """The walk, each photo with its outputs; those that need no work as finished already."""
        number = 0
        for folder in walk(self.source, photo.EXTENSIONS, leave_out=self.out):
            if folder.error is not None or folder.others:
                yield _Finished(number, Done(folder.path, error=folder.error, passed_over=folder.others))
                number += 1
            names = output_names(folder.photos, self.settings.format)
            for name in folder.photos:
                path = join(folder.path, name)
                output = join(folder.path, names[name])
                outputs = tuple(join(part, output) for part in target_folders(self.settings.targets))
                known = self.ledger.current.of(path)
                outdated = self.ledger.outdated.of(path)
                if self._is_done(path, outputs, known):
                    yield _Finished(number, Done(path, known, unchanged=True))
                else:
                    ours = frozenset(row.output for row in (*known, *outdated) if row.output)
                    file = self.source / path
                    yield _Job(number, path, file, _format_of(name, self.settings.format), outputs, ours)
                number += 1

    def _is_done(self, path: str, outputs: tuple[str, ...], known: tuple[ledger.Row, ...]) -> bool:
        """Whether an earlier run with these settings made these outputs, and neither they nor the photo changed since.

        A thumbnail carries its photo's modification time: another time says that the photo is another one.
        """
        expected = [(ledger.OK, output) for output in outputs]
        if [(row.status, row.output) for row in known] != expected:
            return False
        try:
            modified = os.stat(self.source / path).st_mtime_ns
            return all(os.stat(self.out / output).st_mtime_ns == modified for output in outputs)
        except OSError:
            return False


def target_folders(targets: tuple[Target, ...]) -> tuple[str, ...]:
    """The folder under OUT of each target's thumbnails: OUT itself for one target, else one named after each."""
    # A colon cannot stand in a file name everywhere.
    return ("",) if len(targets) == 1 else tuple(target.label.replace(":", "-") for target in targets)


def _format_of(name: str, format: str) -> str:
    """The output format of a photo: its own where it is kept and can be, PNG for what has none of its own."""
    return format if format != "keep" else _FORMAT_OF.get(os.path.splitext(name)[1].lower(), "png")


def output_names(names: tuple[str, ...], format: str) -> dict[str, str]:
    """The output name of every photo of a folder, no two alike, not even on a file system that takes A for a.

    A photo whose format stays keeps its name. One that changes format changes its extension, ``a.png`` to ``a.webp``; where
    several photos would become ``a.webp``, each of them gets the extension after its own, ``a.png.webp``.
    """
    wanted = {}
    for name in names:
        stem, extension = os.path.splitext(name)
        new = _format_of(name, format)
        wanted[name] = name if _FORMAT_OF.get(extension.lower()) == new else f"{stem}.{new}"
    times = Counter(output.casefold() for output in wanted.values())
    taken: set[str] = set()
    result = {}
    # Names that stay go first: no other photo can take them.
    for name in sorted(names, key=lambda name: (wanted[name] != name, name)):
        output = wanted[name]
        if output != name and times[output.casefold()] > 1:
            output = f"{name}.{_format_of(name, format)}"
        stem, extension = os.path.splitext(output)
        again = 2
        while output.casefold() in taken:
            output = f"{stem}~{again}{extension}"
            again += 1
        taken.add(output.casefold())
        result[name] = output
    return result


def pixels_needed(header: photo.Header, settings: Settings) -> tuple[int, int]:
    """Width and height the decoded photo needs, to fill the largest size asked for and the model's input."""
    model_height, model_width = shape_for(header.width, header.height)
    share = max(model_width / header.width, model_height / header.height)
    for target in settings.targets if not settings.dry_run else ():
        width, height = largest_size(header.width, header.height, target.aspect)
        share = max(share, max(target.size[0] / width, target.size[1] / height) if target.size else 1.0)
    share = min(1.0, share)
    return math.ceil(header.width * share), math.ceil(header.height * share)


def _answer(task: Callable[..., _Event], *arguments: Any) -> _Event:
    """Worker: a task's answer, or why there is none, so that the coordinator never waits for nothing."""
    try:
        return task(*arguments)
    except Exception as error:
        return _Broken(error)


def _decode(item: _Job, settings: Settings) -> _Decoded | _Finished:
    """Worker: read and decode a photo, once, and cut the model's input from it."""
    try:
        with item.file.open("rb") as file:
            modified = os.fstat(file.fileno()).st_mtime_ns
            data = file.read()
        header = photo.probe(data)
        pixels = photo.decode(data, header, pixels_needed(header, settings))
        model_input = prepare(photo.on_white(pixels), shape_for(header.width, header.height))
        if settings.dry_run:
            pixels = pixels[:0]
        return _Decoded(item, header, modified, pixels, model_input)
    except Exception as error:
        return _failed(item, settings, error)


def _infer(batch: list[_Decoded], model: Saliency) -> _Inferred:
    """Worker: the densities of a batch of one shape."""
    return _Inferred(batch, model.densities(np.stack([decoded.model_input for decoded in batch])))


def _finish(decoded: _Decoded, density: NDArray[np.float32], settings: Settings, out: Path) -> _Finished:
    """Worker: choose the boxes of a photo, render, encode and write its thumbnails."""
    item, header = decoded.job, decoded.header
    rows = []
    try:
        for target, output in zip(settings.targets, item.outputs, strict=True):
            box = choose(density, header.width, header.height, target.aspect)
            if settings.dry_run:
                output = ""
            else:
                size = photo.thumbnail_size(box, target.size, settings.enlarge)
                thumbnail = photo.render(decoded.pixels, box, size, (header.width, header.height))
                data = photo.encode(thumbnail, header, item.format, settings.quality)
                temporary = f".{item.number}.part"
                write_output(out / output, temporary, data, decoded.modified_ns, ours=output in item.ours)
            rows.append(ledger.ok_row(item.path, output, (header.width, header.height), target.label, box))
        return _Finished(item.number, Done(item.path, tuple(rows)), True, decoded.pixels.nbytes)
    except Exception as error:
        return _failed(item, settings, error, decoded)


def _failed(item: _Job, settings: Settings, error: Exception, decoded: _Decoded | None = None) -> _Finished:
    """What became of a photo that failed, whatever the reason: nothing that one photo does may stop the others."""
    if isinstance(error, CropperError):
        reason, path = error.reason, error.path
    elif isinstance(error, OSError):
        reason, path = f"{error.strerror or type(error).__name__}", error.filename
    else:
        reason, path = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}", None
    rows = tuple(ledger.failed_row(item.path, target.label, reason) for target in settings.targets)
    shown = PhotoError(reason, path=path or item.file)
    shown.__cause__ = error
    bytes = decoded.pixels.nbytes if decoded else 0
    return _Finished(item.number, Done(item.path, rows, error=shown), decoded is not None, bytes)


def write_output(path: Path, temporary_name: str, data: bytes, modified_ns: int, ours: bool) -> None:
    """Write a thumbnail whole or not at all, with its photo's modification time.

    Raises:
        OutputError: if a file stands there that no run of ours wrote: neither in the ledger, nor with its photo's time, as one
            would be that was written just before a run was killed.
    """
    if not ours:
        try:
            foreign = os.lstat(path).st_mtime_ns != modified_ns
        except FileNotFoundError:
            foreign = False
        if foreign:
            remedy = "move it away or choose another OUT"
            raise OutputError("a file that cropper did not write is there already", path=path, remedy=remedy)
    temporary = path.with_name(temporary_name)  # not made from the name, which may be as long as names can be
    try:
        temporary.write_bytes(data)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
    try:
        os.utime(temporary, ns=(modified_ns, modified_ns))
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
