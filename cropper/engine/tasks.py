"""The tasks of the worker threads: decode, infer, finish. The failure of one photo is an answer, not an exception."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import numpy as np

from cropper.choosing.decide import AND, NO_FURTHER, ONE_BY_HAND, Decision
from cropper.choosing.faces import with_faces
from cropper.choosing.view import Maps, view_of
from cropper.engine.job import DROPPED, Decoded, Done, Finished, Job
from cropper.engine.stages import SALVAGED, Chosen, animated_thumbnail, decided, foci_for, pixels_needed, thumbnail_of
from cropper.errors import RUN_AGAIN, CropperError, LateError, PhotoError, out_of_memory, raise_if_for_all, unexpected
from cropper.image_formats import output_format
from cropper.imaging.fitting import thumbnail_file
from cropper.imaging.opencv import cv2, is_out_of_memory
from cropper.ledger.given import Given, given_for_all
from cropper.ledger.table import OK, SKIPPED, Row, decided_row, failed_row, skipped_row
from cropper.model.inputs import shape_for
from cropper.model.look import infer_maps, open_photo
from cropper.model.saliency import Saliency
from cropper.process.journal import Journal
from cropper.settings import NO_SIDECAR, Fit, Settings, Target
from cropper.storage.access import place
from cropper.storage.places import Place, Trace, Version, Whose, digest_of


def try_alone(source: Path | Place, path: str, settings: Settings, given: Mapping[str, Given], journal: Journal) -> None:
    """Take one photo through all stages as a run does, and write nothing.

    Args:
        source: the folder IN.
        path: the photo's path in IN; empty for a small known good photo.
        settings: what to make.
        given: what you give by hand for it, by the labels of sizes.
        journal: where to note what is under way.

    Raises:
        CropperError: as a run would raise, or if the photo cannot be read, decoded or encoded.
    """
    model = Saliency(settings.model, settings.device)
    model.infer(np.zeros((1, *shape_for(64, 96), 3), np.uint8))  # the first run is slow, so it comes before any photo's clock
    if path:
        data, _ = place(source / path).read()
    else:
        data = cv2.imencode(".jpg", np.full((64, 96, 3), 128, np.uint8))[1].tobytes()
    format = output_format(path or "good.jpg", settings.format_for_names)
    for_targets = given_for_all(given, settings)
    rehearse(Job(number=0, path=path, file=source / path, format=format, given=for_targets), data, settings, model, journal)


@dataclass(frozen=True)
class Inferred:
    """A batch of one shape.

    Attributes:
        batch: the photos of it that are not finished, with the maps of each.
        finished: those that are; ``done.seconds`` is how long finishing took.
        error: why the run cannot go on, or None.
    """

    batch: list[Decoded]
    maps: list[Maps]
    finished: Sequence[Finished] = ()
    error: Exception | None = None


def decode_photo(job: Job, settings: Settings, journal: Journal) -> Decoded | Finished:
    """Worker: read and decode a photo once, and prepare the model's input; or find that nothing is to be done."""
    try:
        data, seen = place(job.file).read(job.seen)
        digest = digest_of(data) if job.digested else b""
        if job.unless is not None and digest == job.unless:
            return Finished(job.number, Done(job.path, job.known, unchanged=True), seen=seen, digest=digest)
        if job.named_for not in (None, digest):
            raise PhotoError("the photo changed while the run went on", remedy=RUN_AGAIN)
        return replace(_decoded(job, data, seen, settings, journal), digest=digest)
    except Exception as error:
        raise_if_for_all(error)
        return failed(job, settings, error)


def _decoded(job: Job, data: bytes, seen: Version, settings: Settings, journal: Journal) -> Decoded:
    def clock(runs: bool) -> None:
        journal.clock(job.number, runs)

    clock(True)

    def needed(width: int, height: int) -> tuple[int, int]:
        return pixels_needed(width, height, settings, foci_for(job.given, (width, height)))

    frames, faces = settings.takes_all_frames(job.format), settings.choosing.faces_from_metadata
    photo = open_photo(data, needed, settings.limits, settings.keep, clock, all_frames=frames, with_faces=faces)
    if settings.dry_run:
        # Nothing needs the pixels any more; a slice would keep them all in memory.
        photo = replace(photo, pixels=np.empty((0, 0, 3), np.uint8), animation=None)
    orientation = 1
    if settings.sidecar != NO_SIDECAR:
        from cropper.imaging.face_regions import stored_orientation  # loads a parser of XML

        orientation = stored_orientation(data, photo.header.format, photo.header.orientation)
    return Decoded(job=job, seen=seen, photo=photo, orientation=orientation)


def infer_batch(batch: list[Decoded], model: Saliency, journal: Journal) -> Inferred:
    """Worker: infer the maps of a batch of one shape."""
    for decoded in batch:
        journal.clock(decoded.job.number, True)
    return Inferred(batch=batch, maps=infer_maps([decoded.photo for decoded in batch], model))


def infer_and_finish(
    batch: list[Decoded],
    model: Saliency,
    settings: Settings,
    out: Place,
    journal: Journal,
    hand_over: Callable[[], bool],
) -> Inferred:
    """Worker: infer the maps of a batch of one shape, then finish its photos, until ``hand_over`` says to leave the others.

    A photo that is handed to another worker waits for it, and what was read of it has left the processor's cache by then.
    """
    inferred = infer_batch(batch, model, journal)
    waiting, maps = list(inferred.batch), list(inferred.maps)
    journal.rest([decoded.job.number for decoded in waiting])
    finished: list[Finished] = []
    while waiting and not hand_over():
        number = (waiting[0].job.number,)
        journal.take(number)
        started = monotonic()
        try:
            done = finish_photo(waiting[0], maps[0], settings, out, journal)
        except Exception as error:
            return Inferred(waiting, maps, finished, error)
        journal.rest(number)
        finished.append(replace(done, done=replace(done.done, seconds=monotonic() - started)))
        del waiting[0], maps[0]
    return Inferred(waiting, maps, finished)


def finish_photo(decoded: Decoded, maps: Maps, settings: Settings, out: Place, journal: Journal) -> Finished:
    """Worker: choose the boxes of a photo, then render, encode and write its thumbnails."""
    job, photo = decoded.job, decoded.photo
    rows: list[Row] = []
    written: list[tuple[str, Trace]] = []
    fits: list[Fit] = []
    first_error: CropperError | None = None
    image = photo.header.width, photo.header.height
    foci = foci_for(job.given, image)
    dropped = any(given is not None and focus is None for given, focus in zip(job.given, foci, strict=True))
    view = with_faces(view_of(maps), photo.header.faces)
    chosen: Chosen = {}
    for number in range(len(job.outputs)):
        try:
            journal.clock(job.number, True)
            target, decisions = decided(number, view, image, settings, foci, chosen)
            journal.clock(job.number, False)  # a slow disk or bucket is not the photo's fault
            if settings.dry_run:
                file = _file_before(job, number)
            else:
                file = _file_now(decoded, number, target, decisions, settings, out, journal)
            if file.trace is not None:
                written.append((file.output, file.trace))
            if not decisions:
                why = ONE_BY_HAND if foci[number] is not None else NO_FURTHER
                rows.append(skipped_row(job.path, image, target.label, why, target.candidate or 1))
            for candidate, decision in enumerate(decisions, target.candidate or 1):
                status = SKIPPED if decision.fit is Fit.SKIP else OK
                note = decision.note or (SALVAGED if photo.salvaged else "") or (DROPPED if dropped else "")
                note = AND.join(filter(None, (note, file.too_large)))
                box, label = decision.box, target.label
                rows.append(decided_row(job.path, file.output, status, image, label, box, note, file.size, candidate))
                fits.append(decision.fit)
        except Exception as error:
            raise_if_for_all(error)
            explained = _explained(error, job)
            rows.append(_failed_row(job, number, settings, explained))
            first_error = first_error or explained
    if job.sidecar is not None and first_error is None:
        try:
            written += _written_sidecar(job, rows, decoded.orientation, out)
        except Exception as error:
            raise_if_for_all(error)
            first_error = _explained(error, job)
            rows = [_failed_row(job, number, settings, first_error) for number in range(settings.rows)]
    return Finished(
        number=job.number,
        done=Done(
            path=job.path,
            rows=tuple(rows),
            error=first_error,
            fits=tuple(fits),
            dropped=dropped,
            first_frame_alone=photo.has_more,
            written=tuple(output for output, trace in written if not trace.was_there),
            same=sum(trace.was_there for _, trace in written),
            orientation=decoded.orientation,
        ),
        was_decoded=True,
        decoded_bytes=photo.nbytes,
        written=tuple(written),
        seen=decoded.seen,
        digest=decoded.digest,
    )


@dataclass(frozen=True)
class _File:
    """The thumbnail of one output, as its rows have it.

    Attributes:
        output: its path relative to OUT; empty if there is none.
        size: its width and height, or None.
        too_large: a message if it is larger than the settings allow; else empty.
        trace: what it is like, if it was written.
    """

    output: str = ""
    size: tuple[int, int] | None = None
    too_large: str = ""
    trace: Trace | None = None


def _file_before(job: Job, number: int) -> _File:
    """Return the thumbnail that an earlier run made of an output: a dry run makes none."""
    before = next((row for row in job.known if row.output == job.outputs[number]), None)
    return _File(before.output, _output_size(before)) if before is not None else _File()


def _file_now(
    decoded: Decoded,
    number: int,
    target: Target,
    decisions: Sequence[Decision],
    settings: Settings,
    out: Place,
    journal: Journal,
) -> _File:
    """Write the thumbnail of an output: none if no box is chosen, or the photo is skipped."""
    job, output = decoded.job, decoded.job.outputs[number]
    whose = job.whose[number] if job.whose else Whose.OURS
    out.check_stays_in(output)
    if not decisions or decisions[0].fit is Fit.SKIP:
        return _File()  # what an earlier run made there is not needed any more, and goes with --prune
    journal.clock(job.number, True)
    data, size, too_large = _encoded(decoded, decisions[0], target, settings)
    journal.clock(job.number, False)
    return _File(output, size, too_large, (out / output).write_thumbnail(data, job.temporary, whose))


def _written_sidecar(job: Job, rows: Sequence[Row], orientation: int, out: Place) -> list[tuple[str, Trace]]:
    """Write the sidecar of a photo, and return its path and what it is like; nothing if no crop of the photo is good."""
    from cropper.engine.sidecar import sidecar_of

    assert job.sidecar is not None
    (path, whose), data = job.sidecar, sidecar_of(rows, orientation)
    if data is None:
        return []
    out.check_stays_in(path)
    return [(path, (out / path).write_thumbnail(data, job.temporary, whose))]


def _encoded(decoded: Decoded, decision: Decision, target: Target, settings: Settings) -> tuple[bytes, tuple[int, int], str]:
    """Return an encoded thumbnail, its width and height, and a message if it is larger than the settings allow."""
    photo = decoded.photo
    if photo.animation is not None:
        return animated_thumbnail(photo.animation, photo.header, decision, target, settings, decoded.job.format)
    thumbnail = thumbnail_of(photo.pixels, photo.header, decision, target, settings)
    data, too_large = thumbnail_file(thumbnail, photo.header, decoded.job.format, settings)
    return data, (thumbnail.shape[1], thumbnail.shape[0]), too_large


def _output_size(row: Row) -> tuple[int, int] | None:
    return (int(row.output_width), int(row.output_height)) if row.output_width else None


def rehearse(job: Job, data: bytes, settings: Settings, model: Saliency, journal: Journal) -> None:
    """Take one photo through all stages on this thread, and write nothing, to see whether it survives.

    Raises:
        CropperError: if the photo fails.
    """
    cv2.setNumThreads(1)
    journal.begin(job.number, job.path)
    journal.take((job.number,))
    decoded = _decoded(job, data, Version(len(data)), settings, journal)
    header = decoded.photo.header
    view = with_faces(view_of(infer_batch([decoded], model, journal).maps[0]), header.faces)
    image = header.width, header.height
    for number in range(settings.rows):
        target, decisions = decided(number, view, image, settings, foci_for(job.given, image))
        if not settings.dry_run and decisions and decisions[0].fit is not Fit.SKIP:
            _encoded(decoded, decisions[0], target, settings)


def failed(job: Job, settings: Settings, error: Exception) -> Finished:
    """Finish a photo that failed before it was decoded."""
    explained = _explained(error, job)
    rows = tuple(_failed_row(job, number, settings, explained) for number in range(settings.rows))
    done = Done(path=job.path, rows=rows, error=explained)
    if not isinstance(error, LateError):
        return Finished(number=job.number, done=done)
    seen = job.seen
    with suppress(OSError):
        seen = seen or place(job.file).version_now()
    return Finished(number=job.number, done=done, seen=seen, late=error.seconds)


def _explained(error: Exception, job: Job) -> CropperError:
    """Turn any error into one about the photo, so that it does not stop the other photos."""
    if isinstance(error, CropperError):
        what, remedy, path = error.what, error.remedy, error.path
    elif is_out_of_memory(error):
        short = out_of_memory()
        what, remedy, path = short.what, short.remedy, None
    else:
        what, remedy, path = unexpected(error), "", None
    explained = PhotoError(what, path=path or job.file, remedy=remedy)
    explained.__cause__ = error
    return explained


def _failed_row(job: Job, number: int, settings: Settings, error: CropperError) -> Row:
    """Make the row of a failed target. It names the output of an earlier run, so that later runs know that output as ours."""
    target = settings.targets[number]
    row = failed_row(job.path, target.label if not settings.one else "", error.reason, target.candidate or 1)  # none is chosen
    output = job.outputs[number]
    return replace(row, output=output) if any(known.output == output for known in job.known) else row
