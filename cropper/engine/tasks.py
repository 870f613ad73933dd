"""The tasks that worker threads do: decode, infer, finish. Each returns its answer and raises nothing of one photo."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.decide import Decision, decide
from cropper.engine.job import SALVAGED, Decoded, Done, Finished, Job
from cropper.engine.stages import pixels_of, thumbnail_of
from cropper.errors import CropperError, PhotoError, raise_if_for_all, unexpected
from cropper.image_formats import output_format
from cropper.imaging.encode import encode
from cropper.imaging.opencv import cv2
from cropper.ledger.focus_file import Given, focus_for
from cropper.ledger.table import OK, SKIPPED, Row, decided_row, failed_row
from cropper.model.inputs import shape_for
from cropper.model.saliency import Saliency
from cropper.process.journal import Journal
from cropper.settings import Fit, Settings, Target
from cropper.storage.access import place
from cropper.storage.places import Place, Version


def try_alone(source: Path | Place, path: str, settings: Settings, given: Given, journal: Journal) -> None:
    """Take one photo the whole way as ``run`` would, and write nothing.

    Args:
        source: the folder IN.
        path: of the photo in it; empty for a small one that is known to be good.
        settings: what to make.
        given: the user's word on photos.
        journal: where to write what it is at.

    Raises:
        CropperError: as a run would, or if the photo cannot be read, decoded or encoded.
    """
    model = Saliency(settings.model, settings.device)
    model.densities(np.zeros((1, *shape_for(64, 96), 3), np.uint8))  # the first time takes longer, and no photo's clock runs yet
    if path:
        data, _ = place(source / path).read()
    else:
        data = cv2.imencode(".jpg", np.full((64, 96, 3), 128, np.uint8))[1].tobytes()
    format = output_format(path or "good.jpg", settings.format)
    foci = tuple(focus_for(given, path, target.label) for target in settings.targets)
    rehearse(Job(0, path, source / path, format, (), (), frozenset(), foci), data, settings, model, journal)


@dataclass(frozen=True)
class Inferred:
    """A batch of one shape, and the density of each photo in it."""

    batch: list[Decoded]
    densities: NDArray[np.float32]


def decode_photo(job: Job, settings: Settings, journal: Journal) -> Decoded | Finished:
    """Worker: read and decode a photo, once, and cut the model's input from it."""
    try:
        data, seen = place(job.file).read(job.seen)
        return _decoded(job, data, seen, settings, journal)
    except Exception as error:
        raise_if_for_all(error)
        return failed(job, settings, error)


def _decoded(job: Job, data: bytes, seen: Version, settings: Settings, journal: Journal) -> Decoded:
    def clock(runs: bool) -> None:
        journal.clock(job.number, runs)

    clock(True)
    header, pixels, model_input, salvaged = pixels_of(data, settings, job.given, clock)
    if settings.dry_run:
        pixels = np.empty((0, 0, 3), np.uint8)  # done with; a slice would hold on to them all
    return Decoded(job, header, seen, pixels, model_input, salvaged)


def infer_batch(batch: list[Decoded], model: Saliency, journal: Journal) -> Inferred:
    """Worker: the densities of a batch of one shape."""
    for decoded in batch:
        journal.clock(decoded.job.number, True)
    return Inferred(batch, model.densities(np.stack([decoded.model_input for decoded in batch])))


def finish_photo(decoded: Decoded, density: NDArray[np.float32], settings: Settings, out: Place, journal: Journal) -> Finished:
    """Worker: choose the boxes of a photo, render, encode and write its thumbnails."""
    job, header = decoded.job, decoded.header
    rows: list[Row] = []
    unstamped: list[Place] = []
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
                out.check_stays_in(output)
            if settings.dry_run:
                output = output if ours else ""  # what an earlier run left is still ours
            elif decisions[0].fit is Fit.SKIP:
                if ours:
                    (out / output).remove()
                output = ""
            else:
                journal.clock(job.number, True)
                data = _encoded(decoded, decisions[0], target, settings)
                journal.clock(job.number, False)
                file = out / output
                if file.write_thumbnail(data, job.temporary, decoded.seen.modified_ns, ours):
                    unstamped.append(file)
            for decision in decisions:
                status = SKIPPED if decision.fit is Fit.SKIP else OK
                note = decision.note or (SALVAGED if decoded.salvaged else "")
                rows.append(decided_row(job.path, output, status, image, target.label, decision.box, note))
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
    return encode(thumbnail, decoded.header, decoded.job.format, settings.quality, settings.srgb)


def rehearse(job: Job, data: bytes, settings: Settings, model: Saliency, journal: Journal) -> None:
    """Take one photo the whole way on this thread, as a pipeline would, and write nothing: to see whether it comes through.

    Raises:
        CropperError: as any photo may.
    """
    cv2.setNumThreads(1)
    journal.begin(job.number, job.path)
    journal.take((job.number,))
    decoded = _decoded(job, data, Version(len(data), 0, ""), settings, journal)
    density = infer_batch([decoded], model, journal).densities[0]
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


def _failed_row(job: Job, number: int, settings: Settings, error: CropperError) -> Row:
    """The row of a target that failed. It names an output that an earlier run left, so that we know it as ours later on."""
    row = failed_row(job.path, settings.targets[number].label, error.reason)
    output = job.outputs[number]
    return replace(row, output=output) if output in job.ours else row
