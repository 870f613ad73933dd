"""A folder of photos to a folder of thumbnails: the plan, an engine and the ledger joined.

Photos leave in the order of the walk. Each is in the state before it leaves.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from cropper._version import __version__
from cropper.engine.job import Begin, Done, Engine, Finished
from cropper.engine.pipeline import Pipeline
from cropper.engine.plan import Plan, planned
from cropper.errors import RUN_AGAIN, UsageError
from cropper.image_formats import extensions_here
from cropper.ledger.changes import Change
from cropper.ledger.focus_file import NOTHING_BY_HAND, ByHand
from cropper.ledger.last_run import LastRun, keep_last_run
from cropper.ledger.session import Ending, Session, open_session
from cropper.ledger.table import TABLE_NAME
from cropper.model.saliency import BUNDLED_MODEL, Saliency
from cropper.process.journal import Journal
from cropper.settings import ENCODING, FIRST_FRAME, NO_SIDECAR, UPKEEP, Settings, Upkeep
from cropper.storage.naming import STATE_FOLDER
from cropper.storage.places import UNKNOWN, Place

if TYPE_CHECKING:
    from cropper.ledger.manifest import Manifest


def local_threads(
    source: Place,
    out: Place,
    settings: Settings,
    jobs: int,
    journal: Journal | None = None,
    model: Callable[[], Saliency] | None = None,
) -> AbstractContextManager[Engine]:
    """Return the engine of one machine: threads of this process. They note in a journal which photos they are at.

    ``model`` returns the model, if it loads already.

    Raises:
        DependencyError: if the device cannot be used here.
        ModelError: if the model cannot be loaded.
    """
    loaded = model() if model is not None else Saliency(settings.model, settings.device)
    return nullcontext(Pipeline(settings, out, loaded, jobs, journal=journal))


def run_batch(
    plan: Plan,
    jobs: int,
    given: ByHand = NOTHING_BY_HAND,
    upkeep: Upkeep = UPKEEP,
    engine: Begin = local_threads,
    manifest: Manifest | None = None,
    removed: Callable[[str], None] = lambda output: None,
) -> Generator[Done, None, Ending]:
    """Make the thumbnails and the table of a folder, and yield what became of each photo, in the order of the walk.

    Closed early, or interrupted, it keeps all finished photos: a second run goes on from there. An error that would meet every
    photo, such as a full disk, ends the run in the same way.

    Photos are decoded in this process, and a decoder that crashes ends it. Only ``cropper batch`` has a supervisor, which begins
    again then, and which gives photos a deadline.

    Args:
        plan: what to make of which photos. When its ``stop`` says so, the run does not wait long for photos that are in hand,
            so the process should end then.
        jobs: workers, at least 1.
        given: what you give by hand.
        upkeep: what the run may do with what is there.
        engine: what takes photos through the stages: ``local_threads``, or ``cropper.engine.cluster.coordinator.ray_cluster``.
        manifest: the manifest to write at the end, if any.
        removed: called with each thumbnail, relative to OUT, that the run removed since no photo has it any more.

    Returns:
        what the run found at its end.

    Raises:
        UsageError: if OUT is IN or holds it, is a folder of IN with photos in it, was made from another folder, or IN goes away
            or holds no known photo any more.
        OutputError: if OUT or the state cannot be written, or another run is at work there.
        DependencyError: if a library for a storage is not installed, or the device cannot be used here.
        CropperError: if the system lets us open no more files.
        ModelError: if the model cannot be loaded.
        KeyboardInterrupt: if the plan's ``stop`` returned True.
    """
    check_folders(plan.source, plan.out)
    with (
        engine(plan.source, plan.out, plan.settings, jobs) as workers,
        session_of(plan, given, upkeep, plan.resume.passed is not None, removed) as session,
    ):

        def record(finished: Finished) -> None:
            if finished.done.error is not None:
                check_still_there(plan.source)
            record_finished(session, finished)

        try:
            yield from workers.run(planned(plan, session), record, plan.stop)
            ending = session.finish()
            if manifest is not None:
                from cropper.engine.manifest import write_manifest  # with the previews that a page shows

                write_manifest(manifest, session.state, jobs, plan.stop)
            return ending
        finally:
            keep_left(session, workers, lambda left: record_finished(session, left))
            if workers.untidy:
                session.remove_temporaries()


@contextmanager
def session_of(plan: Plan, given: ByHand, upkeep: Upkeep, goes_on: bool, removed: Callable[[str], None]) -> Iterator[Session]:
    """Open the state of OUT for a batch or a watch, and note its options there for who makes some photos again.

    Args:
        plan: what to make.
        given: what is given by hand. A shard takes that for its own photos.
        upkeep: what the run may do with what is there. A dry run removes nothing.
        goes_on: whether this process follows a killed one of the same run.
        removed: called with each thumbnail that is removed, as in ``run_batch``.

    Raises:
        UsageError, OutputError: those of ``open_session``.
    """
    settings, shard = plan.settings, plan.shard
    given = replace(given, rows=(row for row in given.rows if shard is None or shard.holds(row[0])))
    if settings.dry_run:
        upkeep = replace(upkeep, prune=False)
    made_with = fingerprint(settings)
    with open_session(plan.out, plan.source, made_with, settings.dry_run, shard, upkeep, given, goes_on) as session:
        session.is_narrow, session.removed = plan.selection.is_narrow, removed
        if not settings.dry_run:
            keep_last_run(session.state.connection, LastRun.of(settings, plan.raw, plan.selection))
        yield session


def keep_left(session: Session, workers: Engine, record: Callable[[Finished], None]) -> None:
    """After an interrupted run, keep what is finished, and mark what an earlier run made and this one began as interrupted."""
    session.abandoned = workers.abandoned
    for left in workers.left():
        if isinstance(left, Finished):
            record(left)
        elif left.known:
            session.state.mark_interrupted(left.path)


def record_finished(session: Session, finished: Finished) -> None:
    """Keep what became of a photo; a report about a folder is not kept, nor a photo that is as it was."""
    done = finished.done
    if done.unchanged:
        if finished.seen is not None:
            session.state.seen_again(done.path, finished.seen)
        return
    if not done.rows:
        return
    change = Change(done.path, done.rows, finished.seen or UNKNOWN, finished.digest, finished.late, finished.written)
    image = next(((int(row.image_width), int(row.image_height)) for row in done.rows if row.image_width), None)
    if image is not None:
        session.state.gifts.settle(done.path, image)
    session.record(change)


def check_still_there(source: Place) -> None:
    """End the run if IN is gone: else every photo would fail and lose its row."""
    if source.is_gone():
        raise UsageError("the folder is gone", path=source, remedy=f"when it is back, {RUN_AGAIN}")


def check_folders(source: Place, out: Place) -> None:
    """Raise UsageError if thumbnails in OUT could be taken for originals, or the other way round."""
    if source.is_inside(out):
        remedy = "choose an OUT beside IN or inside it, so that no photo can be overwritten"
        raise UsageError("OUT is the same folder as IN or contains it", path=out, remedy=remedy)
    if out.is_inside(source) and _holds_photos(out):
        remedy = "choose a folder without photos: a folder of thumbnails is left out when its photos are looked for"
        raise UsageError("OUT is inside IN and holds photos of its own", path=out, remedy=remedy)


def _holds_photos(out: Place) -> bool:
    """Whether a folder on this machine that no run has made anything in has photos in it. They may be originals."""
    if out.local_path is None or any(os.path.lexists(out.local_path / name) for name in (STATE_FOLDER, TABLE_NAME)):
        return False
    return any(folder.photos for folder in out.walk(extensions_here()))


def fingerprint(settings: Settings) -> str:
    """All that decides an output beside its photo, as text: equal texts make equal bytes."""
    values = asdict(settings)
    del values["dry_run"]
    del values["name"]  # each photo's outputs tell whether they are where they should be
    del values["limits"]["max_pixels"]  # a photo beyond it has no output
    # An option that is younger than the state of many users counts only where it is given: what was made stays made.
    # Weights always count, since a release may change the defaults.
    choosing = values["choosing"]
    for target in values["targets"]:
        _drop(target, chosen_for=None, candidate=None)
    _drop(values, one=False, animated=FIRST_FRAME, sidecar=NO_SIDECAR)
    _drop(choosing, faces_from_metadata=False)
    encoding = values.pop("encoding")
    _drop(encoding, **asdict(ENCODING))
    if encoding:
        values["encoding"] = encoding
    values["model"] = hashlib.sha256((settings.model or BUNDLED_MODEL).read_bytes()).hexdigest()
    values["version"] = __version__
    return json.dumps(values, indent=1) + "\n"


def _drop(values: dict[str, Any], **defaults: Any) -> None:
    """Drop the values that are as by default."""
    for name, default in defaults.items():
        if values[name] == default:
            del values[name]
