"""A folder of photos to a folder of thumbnails: the plan, an engine and the ledger joined.

Rows leave in the order of the walk. Each is in the ledger before it leaves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

from cropper._version import __version__
from cropper.engine.job import Begin, Done, Engine, Finished
from cropper.engine.pipeline import Pipeline
from cropper.engine.plan import FROM_THE_START, Plan, Resume, planned
from cropper.errors import RUN_AGAIN, UsageError
from cropper.ledger.focus_file import Given
from cropper.ledger.session import Session, open_session
from cropper.ledger.shards import Shard
from cropper.model.saliency import BUNDLED_MODEL, Saliency
from cropper.process.journal import Journal
from cropper.settings import Settings
from cropper.storage.access import place
from cropper.storage.places import Place


def local_threads(
    source: Place, out: Place, settings: Settings, jobs: int, journal: Journal | None = None
) -> AbstractContextManager[Engine]:
    """Return the engine of one machine: threads of this process. They note in a journal which photos they are at.

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
    resume: Resume = FROM_THE_START,
) -> Generator[Done, None, None]:
    """Make the thumbnails and the ledger of a folder, and yield what became of each photo, in the order of the walk.

    Closed early, or interrupted, it keeps all finished photos: a second run goes on from there. An error that would meet every
    photo, such as a full disk, ends the run in the same way.

    Photos are decoded in this process, and a decoder that crashes ends it. Only ``cropper batch`` has a supervisor, which begins
    again then, and which gives photos a deadline.

    Args:
        source: the folder IN, on this machine or in a bucket; nothing is ever written to it.
        out: the folder OUT; made if it is not there.
        settings: what to make.
        jobs: workers, at least 1.
        given: what you give by hand, by the photos' paths in IN. Only photos for which it changed are done again.
        stop: called again and again; True stops the run as an interrupt does. It does not wait long for photos that are in
            hand, so the process should end then.
        shard: the shard to do, beside runs that do the others; None for all photos.
        engine: what takes photos through the stages: ``local_threads``, or ``cropper.engine.cluster.ray_cluster``.
        resume: what a killed process of the same run has left.

    Raises:
        UsageError: if OUT is IN or holds it, or IN goes away.
        OutputError: if OUT or the ledger cannot be written, or another run is at work there.
        DependencyError: if a library for a storage is not installed, or the device cannot be used here.
        CropperError: if the system lets us open no more files.
        ModelError: if the model cannot be loaded.
        KeyboardInterrupt: if ``stop`` returned True.
    """
    source, out = place(source), place(out)
    if source.is_inside(out):
        remedy = "choose an OUT beside IN or inside it, so that no photo can be overwritten"
        raise UsageError("OUT is the same folder as IN or contains it", path=out, remedy=remedy)
    plan = Plan(source, out, settings, given or {}, shard, resume)
    with (
        engine(source, out, settings, jobs) as workers,
        open_session(out, source, _fingerprint(settings), settings.dry_run, shard) as session,
    ):

        def record(finished: Finished) -> None:
            if finished.done.error is not None:
                _check_still_there(source)
            session.record(finished.done.rows, finished.seen, finished.unstamped)

        try:
            yield from workers.run(planned(plan, session), record, stop)
        finally:
            session.abandoned = workers.abandoned
            _record_left(session, workers)
            if workers.untidy:
                session.remove_temporaries()


def _check_still_there(source: Place) -> None:
    """End the run if IN is gone: else every photo would fail and lose its row."""
    if source.is_gone():
        raise UsageError("the folder is gone", path=source, remedy=f"when it is back, {RUN_AGAIN}")


def _fingerprint(settings: Settings) -> str:
    """All that decides an output beside its photo, as text: equal texts make equal bytes."""
    values = asdict(settings)
    del values["dry_run"]
    del values["limits"]["max_pixels"]  # a photo beyond it has no output
    values["model"] = hashlib.sha256((settings.model or BUNDLED_MODEL).read_bytes()).hexdigest()
    values["version"] = __version__
    return json.dumps(values, indent=1) + "\n"


def _record_left(session: Session, engine: Engine) -> None:
    """Record all that is on disk at the end of an interrupted run: finished photos, and older outputs of unfinished ones."""
    for left in engine.left():
        if isinstance(left, Finished):
            session.record_left(left.done.rows, left.seen, left.unstamped)
        else:
            session.record_interrupted(left.known)
