"""The way of a photo, for many of them at once: read, decode, infer, choose, render, encode, write.

One coordinator (``Pipeline.run``, on the caller's thread) owns all state. It hands three kinds of tasks to ``jobs`` worker
threads and waits for their results on one queue:

    photo ──_decode──► pixels ──┐
                                ├─ of one shape ──_infer──► densities ──_finish──► thumbnails on disk, rows
    photo ──_decode──► pixels ──┘

OpenCV and onnxruntime let go of Python's lock while they work, so threads are enough. What is in flight is bounded in photos and
in bytes, however many there are. A photo's bytes depend on nothing but the photo and the settings: not on the jobs, and not on
the batch it happened to share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from queue import Empty, Queue
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cropper import ledger, metadata, photo, storage
from cropper.boxes import Target, largest_size
from cropper.decide import Choosing, Decision, Fit, decide, smallest_box
from cropper.device import CPU
from cropper.errors import CropperError, PhotoError, raise_if_for_all, unexpected
from cropper.focus import Focus
from cropper.journal import Journal
from cropper.opencv import cv2
from cropper.pad import BLUR, canvas_for, padded
from cropper.saliency import Saliency, prepare, shape_for, share_needed
from cropper.storage import Place
from cropper.walk import Seen

WORKERS = "cropper-worker"  # what the threads' names begin with
# Larger batches gain nothing on a processor, and what the model holds while it works grows with them: in two threads 251 MB with
# 16 photos, 61 MB with 4, at 7.3 and 6.9 ms a photo.
BATCH_SIZE = 4
# Photos begun and not yet finished, and bytes of decoded pixels they hold, at most before no new one is begun. The journal has
# room for as many photos as there may be.
MAX_IN_FLIGHT = 32
MAX_BYTES_IN_FLIGHT = 160 << 20
# So many bytes a job keep all workers busy, and so do a batch and a photo more for each: beyond both no new one is begun either.
# With 5 MB large JPEGs take 3 % longer; with 10 two jobs take 209 MB instead of 185 at photos of 2 MP, in the same time.
ENOUGH_BYTES = 7 << 20
# Photos that are decoded to more pixels than this go one at a time, so that a folder of bombs takes no more memory than one.
LARGE = 40_000_000
_one_large = Lock()
# The ledger's message of a photo that is there in part.
SALVAGED = "salvaged: part of the photo is missing"
# Finished rows that wait for an earlier photo's: bounds memory where one photo takes very long.
MAX_WAITING_ROWS = 4096
# Seconds between two looks at whether to stop, and for what the workers are at to come to its end then.
_ATTENTION = 0.1
_GRACE = 0.5


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
        device: where the model runs, ``cpu`` or ``cuda``, whose numbers differ a little.
        choosing: how the boxes are chosen.
        fill: what photos are padded with: ``blur``, ``edge`` or a colour as ``#rrggbb``.
        limits: which photos are accepted.
        srgb: whether colours are converted to sRGB, rather than their profile kept.
        keep: what goes along of the photos' metadata, one of ``metadata.CHOICES``.
    """

    targets: tuple[Target, ...]
    format: str = "keep"
    quality: int | None = None
    enlarge: bool = False
    dry_run: bool = False
    model: Path | None = None
    device: str = CPU
    choosing: Choosing = field(default_factory=Choosing)
    fill: str = BLUR
    limits: photo.Limits = photo.LIMITS
    srgb: bool = False
    keep: str = metadata.NONE


@dataclass(frozen=True)
class Done:
    """What became of one photo; or, without rows, what there is to say of a folder.

    Attributes:
        path: relative to IN.
        rows: the photo's rows in the ledger, one a target, or one a candidate.
        fits: how the photo came into each shape, where it did.
        unchanged: whether an earlier run had done it already.
        error: why the photo failed or the folder could not be listed, or None.
        passed_over: files of the folder that are no photos.
    """

    path: str
    rows: tuple[ledger.Row, ...] = ()
    unchanged: bool = False
    error: CropperError | None = None
    passed_over: int = 0
    fits: tuple[Fit, ...] = ()


@dataclass(frozen=True)
class Job:
    """A photo to begin: its place among all, and where its outputs go."""

    number: int
    path: str
    file: Place
    format: str
    outputs: tuple[str, ...]  # relative to OUT, one a target
    known: tuple[ledger.Row, ...]  # its rows in the ledger, of an earlier run with the same settings
    ours: frozenset[str]  # outputs that an earlier run wrote, with whatever settings
    given: tuple[Focus | None, ...]  # the user's word, one a target
    seen: Seen | None = None  # what the listing said of it, where it did
    temporary: str = ""  # what a thumbnail is called until it is whole: no other photo's that is under way


@dataclass(frozen=True)
class Decoded:
    """A photo's pixels, what the model sees of them, and whether they are but what could be salvaged."""

    job: Job
    header: photo.Header
    seen: Seen
    pixels: NDArray[np.uint8]
    model_input: NDArray[np.uint8]
    salvaged: bool


@dataclass(frozen=True)
class _Inferred:
    batch: list[Decoded]
    densities: NDArray[np.float32]


@dataclass(frozen=True)
class Finished:
    """A photo that is done, or what there is to say of a folder."""

    number: int
    done: Done
    was_decoded: bool = False
    bytes: int = 0  # of its decoded pixels
    unstamped: tuple[Path, ...] = ()  # thumbnails to stamp once the rows are in the ledger
    seen: Seen | None = None  # the version of the photo that it is of


@dataclass(frozen=True)
class _Broken:
    """A task failed for a reason that is no photo's: the run cannot go on."""

    error: Exception


@dataclass(frozen=True)
class _Woken:
    """There is something to look at again."""


_Event = Decoded | _Inferred | Finished | _Broken | _Woken


class Engine(Protocol):
    """What takes a batch's photos through all stages: threads of this process, or workers on a cluster.

    Attributes:
        abandoned: after a run, whether workers may still be at photos: the lock on OUT stays then.
        untidy: after a run, whether a worker that was lost may have left files half made.
    """

    abandoned: bool
    untidy: bool

    def run(
        self,
        photos: Iterator[Job | Finished | None],
        record: Callable[[Finished], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Done]:
        """Take photos through all stages, as ``Pipeline.run`` does."""

    def left(self) -> Iterator[Job | Finished]:
        """After a run that was interrupted, in their order: what has not left it and may need a row."""


# An engine for a batch of IN, OUT, settings and so many workers.
Begin = Callable[[Place, Place, Settings, int], AbstractContextManager[Engine]]


class Pipeline:
    """Photos on their way. Only ``run`` and what it calls touch the state; the workers get frozen values and give back others.

    Args:
        settings: what to make.
        out: the folder the outputs go under; of no matter where there are none.
        model: the loaded model.
        jobs: worker threads, at least 1.
        in_order: whether photos leave in the order they came, or as soon as each is finished.
        journal: where it writes what it is at.
    """

    untidy = False

    def __init__(
        self,
        settings: Settings,
        out: Place,
        model: Saliency,
        jobs: int,
        in_order: bool = True,
        journal: Journal | None = None,
    ) -> None:
        self.settings, self.out, self.model, self.jobs, self.in_order = settings, out, model, jobs, in_order
        self.journal = journal or Journal()
        # No SimpleQueue: its get waits for ever where a signal comes when the timeout is over, as after a stop by Ctrl-Z.
        self.events: Queue[_Event] = Queue()
        self.tasks = 0  # handed to the workers and not yet answered
        self.decoding = 0  # of these, the ones whose pixels are not counted in ``bytes`` yet
        self.bytes = 0  # of decoded pixels they hold
        self.partial: dict[tuple[int, int], list[Decoded]] = defaultdict(list)  # shape -> a batch that fills
        self.begun: dict[int, Job] = {}  # number -> photo begun and not finished
        self.waiting: dict[int, Finished] = {}  # number -> finished, but an earlier photo is not
        self.next_number = 0  # of the photo that leaves next
        self.running: set[futures.Future[None]] = set()  # tasks; the workers take theirs out
        self.abandoned = False  # whether some were still running at the end

    def run(
        self,
        photos: Iterator[Job | Finished | None],
        record: Callable[[Finished], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Done]:
        """Take photos through all stages.

        Args:
            photos: numbered from 0 on; what is finished already just waits for its turn. None means that the next one is not
                known yet: whoever gives them calls ``wake`` when it is.
            record: is called with each photo right before it is yielded: interrupted in between, it may be recorded twice, but
                never lost.
            stop: is asked all the while whether an interrupt has come. Then KeyboardInterrupt is raised at once, and a worker
                that does not come to the end of its photo soon is ``abandoned``: the process should end.
        """
        cv2.setNumThreads(1)  # photos are the unit of parallel work
        more = True
        self.workers = ThreadPoolExecutor(self.jobs, thread_name_prefix=WORKERS)
        try:
            while True:
                while more and self._has_room():
                    try:
                        upcoming = next(photos)
                    except StopIteration:
                        more = False
                        break
                    if upcoming is None:
                        break
                    if isinstance(upcoming, Finished):
                        self.waiting[upcoming.number] = upcoming
                    else:
                        self.begun[upcoming.number] = upcoming
                        self.journal.begin(upcoming.number, upcoming.path)
                        self.decoding += 1
                        self._start((upcoming.number,), _decode, upcoming, self.settings, self.journal)
                    yield from self._leave(record)
                # No worker idles while a batch could go, even one that is not full.
                while self.tasks < self.jobs and self.partial:
                    self._infer(max(self.partial, key=lambda shape: len(self.partial[shape])))
                if not self.tasks and not more:
                    break
                self._take(self._next_event(stop))
                yield from self._leave(record)
        finally:
            # Interrupted or failed: what the workers are at is finished, what they have not begun is not.
            self.workers.shutdown(wait=False, cancel_futures=True)
            at_work = [task for task in list(self.running) if not task.done()]
            self.abandoned = bool(futures.wait(at_work, _GRACE if stop() else None).not_done)
            for number in self.begun:  # nobody waits for them any more
                self.journal.end(number)
            if not self.abandoned:
                self.workers.shutdown()

    def wake(self) -> None:
        """From any thread: the next photo is known now."""
        self.events.put(_Woken())

    def left(self) -> Iterator[Job | Finished]:
        """After a run that was interrupted, in their order: what has not left it, finished or not."""
        while not self.events.empty():
            event = self.events.get()
            if isinstance(event, Finished):
                self._set_aside(event)
        for number in sorted({*self.waiting, *self.begun}):
            yield self.waiting[number] if number in self.waiting else self.begun[number]

    def _has_room(self) -> bool:
        return (
            self.decoding < 2 * self.jobs
            and len(self.begun) < MAX_IN_FLIGHT
            and self.bytes < MAX_BYTES_IN_FLIGHT
            and (self.bytes < ENOUGH_BYTES * self.jobs or len(self.begun) < BATCH_SIZE + self.jobs)
            and len(self.waiting) < MAX_WAITING_ROWS
        )

    def _start(self, numbers: Sequence[int], task: Callable[..., Any], *arguments: Any) -> None:
        """Hand a task to the workers that is about the photos of these numbers."""

        def work() -> None:
            self.journal.take(numbers)
            answer = _answer(task, *arguments)
            self.journal.rest(numbers)
            self.events.put(answer)

        self.tasks += 1
        running = self.workers.submit(work)
        self.running.add(running)
        running.add_done_callback(self.running.discard)

    def _next_event(self, stop: Callable[[], bool]) -> _Event:
        # Asked here and not in a signal's handler, so that no event is lost between the queue and us.
        while not stop():
            with suppress(Empty):
                return self.events.get(timeout=_ATTENTION)
        raise KeyboardInterrupt

    def _take(self, event: _Event) -> None:
        """One step on for whatever a worker has answered."""
        if isinstance(event, _Woken):
            return
        self.tasks -= 1
        if isinstance(event, _Broken):
            raise event.error
        if isinstance(event, Decoded):
            self.decoding -= 1
            self.bytes += event.pixels.nbytes
            shape = event.model_input.shape[:2]
            self.partial[shape].append(event)
            if len(self.partial[shape]) == BATCH_SIZE:
                self._infer(shape)
        elif isinstance(event, _Inferred):
            for decoded, density in zip(event.batch, event.densities, strict=True):
                self._start((decoded.job.number,), _finish, decoded, density, self.settings, self.out, self.journal)
        else:
            if not event.was_decoded:
                self.decoding -= 1
            self.bytes -= event.bytes
            self._set_aside(event)

    def _infer(self, shape: tuple[int, int]) -> None:
        batch = self.partial.pop(shape)
        self._start([decoded.job.number for decoded in batch], _infer, batch, self.model, self.journal)

    def _set_aside(self, finished: Finished) -> None:
        self.waiting[finished.number] = finished
        del self.begun[finished.number]
        self.journal.end(finished.number)

    def _leave(self, record: Callable[[Finished], None]) -> Iterator[Done]:
        """Whatever is finished and may leave goes to the record and to the caller."""
        while self.waiting and (self.next_number in self.waiting or not self.in_order):
            number = self.next_number if self.in_order else next(iter(self.waiting))
            finished = self.waiting[number]
            record(finished)
            del self.waiting[number]
            self.next_number += 1
            yield finished.done


def pixels_needed(width: int, height: int, settings: Settings, given: Sequence[Focus | None] = ()) -> tuple[int, int]:
    """Of a photo of this size, the width and height to decode at least: to fill the sizes asked for, and the model amply.

    The same for a dry run, which must decide as the real one will.

    Raises:
        PhotoError: if a focus is not in the photo.
    """
    # Exact: a pixel too much by rounding would cost a JPEG twice the scale.
    share = share_needed(width, height)
    for target, focus in zip(settings.targets, given or (None,) * len(settings.targets), strict=True):
        share = max(share, _share_to_fill(smallest_box(width, height, target, settings.choosing, focus), target))
    return photo.pixels_of_share(width, height, share)


def pixels_to_fill(width: int, height: int, targets: tuple[Target, ...]) -> tuple[int, int]:
    """Of a photo of this size, the width and height to decode at least to fill the sizes asked for with the largest boxes."""
    share = max(_share_to_fill(largest_size(width, height, target.aspect), target) for target in targets)
    return photo.pixels_of_share(width, height, share)


def _share_to_fill(box: tuple[int, int], target: Target) -> Fraction:
    size = target.size or box
    return max(Fraction(size[0], box[0]), Fraction(size[1], box[1]))


def header_of(data: bytes, settings: Settings) -> photo.Header:
    """What a photo's header says, with what is to go along of its metadata."""
    header = photo.probe(data, settings.limits)
    return header if settings.keep == metadata.NONE else replace(header, metadata=metadata.of(data, header.format, settings.keep))


def pixels_of(
    data: bytes, settings: Settings, given: Sequence[Focus | None] = (), clock: Callable[[bool], None] = lambda runs: None
) -> tuple[photo.Header, NDArray[np.uint8], NDArray[np.uint8], bool]:
    """A photo's header, its pixels for what is asked for, what the model sees of them, and whether some were missing.

    ``clock`` is told False when the photo begins to wait for another one, and True when it goes on.
    """
    header = header_of(data, settings)
    needed = pixels_needed(header.width, header.height, settings, given)
    is_large = header.width * header.height > LARGE * photo.scale_of(header, needed) ** 2
    with _alone(is_large, clock):
        pixels, salvaged = photo.decode_or_salvage(data, header, needed, settings.limits)
        return header, pixels, prepare(photo.on_white(pixels), shape_for(header.width, header.height)), salvaged


@contextmanager
def _alone(is_large: bool, clock: Callable[[bool], None]) -> Iterator[None]:
    """Have a large photo wait until no other one is under way."""
    if not is_large:
        yield
        return
    clock(False)
    with _one_large:
        clock(True)
        yield


def thumbnail_of(
    pixels: NDArray[np.uint8], header: photo.Header, decision: Decision, target: Target, settings: Settings
) -> NDArray[np.uint8]:
    """The thumbnail that a decision makes of decoded pixels, uint8 [h, w, 3 or 4]."""
    image = header.width, header.height
    if decision.fit is Fit.PAD:
        canvas = canvas_for(*image, target, settings.enlarge)
        picture = photo.render(pixels, decision.box, photo.fitted(*image, canvas), image)
        return padded(pixels, picture, canvas, settings.fill)
    if decision.fit is Fit.KEEP:
        size = photo.fitted(*image, target.size or image, settings.enlarge)
    else:
        size = photo.thumbnail_size(decision.box, target.size, settings.enlarge)
    return photo.render(pixels, decision.box, size, image)


def _answer(task: Callable[..., _Event], *arguments: Any) -> _Event:
    """Worker: a task's answer, or why there is none, so that the coordinator never waits for nothing."""
    try:
        return task(*arguments)
    except Exception as error:
        return _Broken(error)


def _decode(job: Job, settings: Settings, journal: Journal) -> Decoded | Finished:
    """Worker: read and decode a photo, once, and cut the model's input from it."""
    try:
        data, seen = storage.read(job.file, job.seen)
        return _decoded(job, data, seen, settings, journal)
    except Exception as error:
        raise_if_for_all(error)
        return failed(job, settings, error)


def _decoded(job: Job, data: bytes, seen: Seen, settings: Settings, journal: Journal) -> Decoded:
    def clock(runs: bool) -> None:
        journal.clock(job.number, runs)

    clock(True)
    header, pixels, model_input, salvaged = pixels_of(data, settings, job.given, clock)
    if settings.dry_run:
        pixels = np.empty((0, 0, 3), np.uint8)  # done with; a slice would hold on to them all
    return Decoded(job, header, seen, pixels, model_input, salvaged)


def _infer(batch: list[Decoded], model: Saliency, journal: Journal) -> _Inferred:
    """Worker: the densities of a batch of one shape."""
    for decoded in batch:
        journal.clock(decoded.job.number, True)
    return _Inferred(batch, model.densities(np.stack([decoded.model_input for decoded in batch])))


def _finish(decoded: Decoded, density: NDArray[np.float32], settings: Settings, out: Place, journal: Journal) -> Finished:
    """Worker: choose the boxes of a photo, render, encode and write its thumbnails."""
    job, header = decoded.job, decoded.header
    rows: list[ledger.Row] = []
    unstamped: list[Path] = []
    fits: list[Fit] = []
    first_error: CropperError | None = None
    image = header.width, header.height
    for number, (target, output, focus) in enumerate(zip(settings.targets, job.outputs, job.given, strict=True)):
        try:
            journal.clock(job.number, True)
            decisions = decide(density, *image, target, settings.choosing, focus)
            journal.clock(job.number, False)  # what a disk or a storage takes is no fault of the photo's
            ours = output in job.ours
            if not settings.dry_run:
                storage.check_stays_in(out, output)
            if settings.dry_run:
                output = output if ours else ""  # what an earlier run left is still ours
            elif decisions[0].fit is Fit.SKIP:
                if ours:
                    storage.remove(out / output)
                output = ""
            else:
                journal.clock(job.number, True)
                data = _encoded(decoded, decisions[0], target, settings)
                journal.clock(job.number, False)
                file = out / output
                if storage.write(file, data, job.temporary, decoded.seen.modified_ns, ours) and isinstance(file, Path):
                    unstamped.append(file)
            for decision in decisions:
                status = ledger.SKIPPED if decision.fit is Fit.SKIP else ledger.OK
                note = decision.note or (SALVAGED if decoded.salvaged else "")
                rows.append(ledger.decided_row(job.path, output, status, image, target.label, decision.box, note))
                fits.append(decision.fit)
        except Exception as error:
            raise_if_for_all(error)
            explained = _explained(error, job)
            rows.append(_failed_row(job, number, settings, explained))
            first_error = first_error or explained
    done = Done(job.path, tuple(rows), error=first_error, fits=tuple(fits))
    return Finished(job.number, done, True, decoded.pixels.nbytes, tuple(unstamped), decoded.seen)


def _encoded(decoded: Decoded, decision: Decision, target: Target, settings: Settings) -> bytes:
    thumbnail = thumbnail_of(decoded.pixels, decoded.header, decision, target, settings)
    return photo.encode(thumbnail, decoded.header, decoded.job.format, settings.quality, settings.srgb)


def rehearse(job: Job, data: bytes, settings: Settings, model: Saliency, journal: Journal) -> None:
    """Take one photo the whole way on this thread, as a pipeline would, and write nothing: to see whether it comes through.

    Raises:
        CropperError: as any photo may.
    """
    cv2.setNumThreads(1)
    journal.begin(job.number, job.path)
    journal.take((job.number,))
    decoded = _decoded(job, data, Seen(len(data), 0, ""), settings, journal)
    density = _infer([decoded], model, journal).densities[0]
    for target, focus in zip(settings.targets, job.given, strict=True):
        decision = decide(density, decoded.header.width, decoded.header.height, target, settings.choosing, focus)[0]
        if not settings.dry_run and decision.fit is not Fit.SKIP:
            _encoded(decoded, decision, target, settings)


def failed(job: Job, settings: Settings, error: Exception) -> Finished:
    """A photo that is done with before it has pixels."""
    explained = _explained(error, job)
    rows = tuple(_failed_row(job, number, settings, explained) for number in range(len(settings.targets)))
    return Finished(job.number, Done(job.path, rows, error=explained))


def _explained(error: Exception, job: Job) -> CropperError:
    """Why a photo failed, whatever the reason: nothing that one photo does may stop the others."""
    if isinstance(error, CropperError):
        what, remedy, path = error.what, error.remedy, error.path
    else:
        what, remedy, path = unexpected(error), "", None
    explained = PhotoError(what, path=path or job.file, remedy=remedy)
    explained.__cause__ = error
    return explained


def _failed_row(job: Job, number: int, settings: Settings, error: CropperError) -> ledger.Row:
    """The row of a target that failed. It names an output that an earlier run left, so that we know it as ours later on."""
    row = ledger.failed_row(job.path, settings.targets[number].label, error.reason)
    output = job.outputs[number]
    return replace(row, output=output) if output in job.ours else row
