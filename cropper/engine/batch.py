"""A folder of photos to a folder of thumbnails: the walk, the pipeline and the ledger joined.

Rows leave in the walk's order, and each is in the ledger before it leaves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, replace
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from cropper._version import __version__
from cropper.choosing.decide import BY_HAND
from cropper.choosing.focus import Focus, place_of
from cropper.engine.job import Begin, Done, Engine, Finished, Job
from cropper.engine.pipeline import Pipeline
from cropper.engine.tasks import failed
from cropper.errors import OutputError, PhotoError, UsageError, raise_if_for_all, remedy_for
from cropper.image_formats import PHOTO_EXTENSIONS, output_format
from cropper.ledger.focus_file import Given, focus_for
from cropper.ledger.run import OpenRun, close_run, open_run
from cropper.ledger.shards import Shard, open_shard_run
from cropper.ledger.state import STATE_FOLDER
from cropper.ledger.table import HEADER, OK, SKIPPED, VERSIONED, Row
from cropper.model.saliency import BUNDLED_MODEL, Saliency
from cropper.process.journal import Journal
from cropper.settings import Settings, Target
from cropper.storage import thumbnails
from cropper.storage.access import bucket_place, place
from cropper.storage.naming import names_of, names_one_by_one, paths_of, temporary_name
from cropper.storage.places import Place, Version, join, order


def local_threads(
    source: Place, out: Place, settings: Settings, jobs: int, journal: Journal | None = None
) -> AbstractContextManager[Engine]:
    """The engine of one machine: threads of this process, which write to the journal, if there is one, what they are at.

    Raises:
        DependencyError: if the device cannot be used here.
        ModelError: if the model cannot be loaded.
    """
    return nullcontext(Pipeline(settings, out, Saliency(settings.model, settings.device), jobs, journal=journal))


def run_batch(
    source: Path | Place,
    out: Path | Place,
    settings: Settings,
    jobs: int,
    given: Given | None = None,
    stop: Callable[[], bool] = lambda: False,
    shard: Shard | None = None,
    engine: Begin = local_threads,
    condemned: Mapping[str, PhotoError] | None = None,
    passed: list[tuple[bool, str]] | None = None,
) -> Generator[Done, None, None]:
    """Make the thumbnails and the ledger of a folder, and yield what became of each photo, in the walk's order.

    Closed early, or interrupted, it keeps all that is finished: a second run goes on from there. What would meet every photo
    alike, a full disk for example, ends the run in the same way.

    Photos are decoded in this process. A decoder that crashes ends it: ``cropper batch`` alone has a supervisor that begins again
    then, and without one no photo has a deadline.

    Args:
        source: the folder IN, here or in a storage; nothing in it is ever written to.
        out: the folder OUT; made if it is not there.
        settings: what to make.
        jobs: workers, at least 1.
        given: the user's word on photos, by their paths in IN. Only what changed of it is done again.
        stop: is asked all the while whether to stop as if interrupted, soon rather than with every thread at its end: the process
            is to end then.
        shard: takes just its photos, and may run beside the others.
        engine: what takes photos through the stages: ``local_threads``, or ``cropper.engine.cluster.ray_cluster``.
        condemned: photos that fail at once, by their paths in IN, and why.
        passed: the place in the walk (``walk.order``) that an earlier run, which was killed just now, has come to: photos up to
            there that have rows are not begun again, whatever became of them. None at the begin.

    Raises:
        UsageError: if OUT is IN or holds it, or IN goes away.
        OutputError: if OUT or the ledger cannot be written, or another run is at work there.
        DependencyError: if a library for a storage is not installed, or the device cannot be used here.
        CropperError: if the system lets us open no more files.
        ModelError: if the model cannot be loaded.
        KeyboardInterrupt: if ``stop`` said so.
    """
    source, out = place(source), place(out)
    _check_folders(source, out)
    label = shard.label if shard is not None else ""
    with (
        engine(source, out, settings, jobs) as workers,
        TemporaryDirectory(prefix="cropper-ledger-") if out.is_remote else nullcontext() as scratch,
    ):
        mirror = None
        if out.is_remote:
            from cropper.ledger import upload

            mirror = upload.fetch_ledger(bucket_place(out), Path(str(scratch)), shard, settings.dry_run)
        here = out.local_path or Path(str(scratch))  # where the ledger is
        header = HEADER if mirror is None else VERSIONED
        if shard is None:
            current = open_run(here, source, _fingerprint(settings), settings.dry_run, header)
        else:
            current = open_shard_run(here, source, _fingerprint(settings), settings.dry_run, shard, header)
        complete = abandoned = False
        try:
            try:
                if mirror is not None:
                    upload.send_start(mirror)
                elif current.lock.was_left:
                    thumbnails.remove_temporaries(here, STATE_FOLDER, label)

                def record(finished: Finished) -> None:
                    if finished.done.error is not None:
                        _check_still_there(source)
                    _record(current, finished)
                    if mirror is not None:
                        upload.send_rows(mirror, len(finished.done.rows))

                try:
                    photos = _photos(source, out, settings, current, given or {}, shard, condemned or {}, passed)
                    yield from workers.run(photos, record, stop)
                finally:
                    abandoned = workers.abandoned
                    _record_the_rest(current, workers)
                    if workers.untidy and mirror is None:
                        thumbnails.remove_temporaries(here, STATE_FOLDER, label)
                complete = True
            finally:
                close_run(current, complete, abandoned)
                if mirror is not None:
                    upload.send_end(mirror, current.leaves_state)
        except FileNotFoundError as error:
            raise OutputError("was removed or moved while the run went on", path=out, remedy="run again") from error
        except OSError as error:
            reason = f"the ledger cannot be written ({error.strerror})"
            raise OutputError(reason, path=out, remedy=remedy_for(error, "run again: it goes on from here")) from error


def _check_folders(source: Place, out: Place) -> None:
    if source.is_inside(out):
        remedy = "choose an OUT beside IN or inside it, so that no photo can be overwritten"
        raise UsageError("OUT is IN or holds it", path=out, remedy=remedy)


def _check_still_there(source: Place) -> None:
    """Where all photos are gone, each would fail, and be struck from the ledger."""
    if source.is_gone():
        raise UsageError("the folder is gone", path=source, remedy="run again when it is back: it goes on from here")


def _fingerprint(settings: Settings) -> str:
    """All that decides an output beside its photo, as text: equal texts make equal bytes."""
    values = asdict(settings)
    del values["dry_run"]
    del values["limits"]["max_pixels"]  # a photo beyond it has no output
    values["model"] = hashlib.sha256((settings.model or BUNDLED_MODEL).read_bytes()).hexdigest()
    values["version"] = __version__
    return json.dumps(values, indent=1) + "\n"


def _photos(
    source: Place,
    out: Place,
    settings: Settings,
    current: OpenRun,
    given: Given,
    shard: Shard | None,
    condemned: Mapping[str, PhotoError],
    passed: list[tuple[bool, str]] | None,
) -> Iterator[Job | Finished]:
    """The walk, each photo with its outputs; those that need no work as finished already."""
    number = 0
    label = shard.label if shard is not None else ""
    for folder in source.walk(PHOTO_EXTENSIONS, leave_out=out):
        if folder.error is not None:
            raise_if_for_all(folder.error)
        if folder.error is not None or folder.others:
            yield Finished(number, Done(folder.path, error=folder.error, passed_over=folder.others))
            number += 1
        naming = names_one_by_one if folder.in_pieces else names_of
        names = naming(folder.photos, settings.format)
        for name, seen in zip_longest(folder.photos, folder.versions):
            path = join(folder.path, name)
            if shard is not None and not shard.holds(path):
                continue
            wanted = paths_of(settings.targets, folder.path, names[name])
            known = current.current.of(path)
            outdated = current.outdated.of(path)
            foci = tuple(focus_for(given, path, target.label) for target in settings.targets)
            # Of an OUT in a storage the rows may be older than the run: what was sent last is all that is left of them.
            was_left = passed is not None and not out.is_remote and bool(known) and order(path) <= passed
            if was_left or (_is_done(source / path, seen, out, wanted, known) and _as_given(known, settings.targets, foci)):
                yield Finished(number, Done(path, known, unchanged=True))
            else:
                format = output_format(name, settings.format)
                ours = frozenset(row.output for row in (*known, *outdated) if row.output)
                temporary = temporary_name(number, label)
                job = Job(number, path, source / path, format, wanted, known, ours, foci, seen, temporary)
                yield failed(job, settings, condemned[path]) if path in condemned else job
            number += 1


def _is_done(file: Place, seen: Version | None, out: Place, wanted: tuple[str, ...], known: tuple[Row, ...]) -> bool:
    """Whether an earlier run with these settings made these outputs, and neither they nor the photo changed since.

    What a storage holds is not looked at: the ledger is believed, which costs no request a photo.
    """
    if [(row.status, row.output) for row in known] != [(OK, output) for output in wanted]:
        return False
    try:
        seen = seen or file.version_now()
    except OSError:
        return False
    return out.are_up_to_date(wanted, [row.version for row in known], seen)


def _as_given(known: tuple[Row, ...], targets: tuple[Target, ...], foci: tuple[Focus | None, ...]) -> bool:
    """Whether the rows of a photo, one a target, are what the user's word asks for, or the model's where there is none."""
    for row, target, given in zip(known, targets, foci, strict=True):
        if (row.message == BY_HAND) != (given is not None):
            return False
        if given is not None:
            try:
                wanted = place_of(given, int(row.image_width), int(row.image_height), target.aspect)
            except PhotoError:
                return False
            place, point = (row.x, row.y, row.width, row.height), (row.focus_x, row.focus_y)
            if wanted != tuple(tuple(int(number) for number in numbers) for numbers in (place, point)):
                return False
    return True


def _record(current: OpenRun, finished: Finished) -> None:
    rows, seen = finished.done.rows, finished.seen
    if seen is not None and current.files.header is VERSIONED:
        rows = tuple(replace(row, version=seen.version) for row in rows)
    current.part.append(rows)
    for thumbnail in finished.unstamped:
        assert seen is not None
        with suppress(OSError):  # gone or out of reach already: the next run makes it again
            thumbnail.stamp(seen.modified_ns)


def _record_the_rest(current: OpenRun, engine: Engine) -> None:
    """Into the ledger with all that is on disk: what is finished, and what is there from before of what is not."""
    for left in engine.left():
        if isinstance(left, Finished):
            _record(current, left)
        else:
            rows = [row for row in left.known if row.output]
            current.part.append(replace(row, status=SKIPPED, message="interrupted") for row in rows)
