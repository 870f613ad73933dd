"""Watch a folder: first a batch, then each photo as soon as it is whole, in one pipeline that does not end.

What the system says of changes is never believed: it names paths to look at. A path is looked at until the photo there is whole:
it ends as its format does, or nobody has written to it for a while. Walks over all of IN follow from time to time, for what the
system does not tell: a queue that ran over, links, disks of other machines. A walk gives way to photos that come meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace

from cropper.engine.batch import check_folders, fingerprint
from cropper.engine.job import Done, Finished
from cropper.engine.pipeline import Pipeline
from cropper.engine.plan import FROM_THE_START, Plan, Resume
from cropper.engine.watched_folders import check_names
from cropper.engine.watching import Watching
from cropper.image_formats import RAW_ALONE
from cropper.ledger.focus_file import FocusRow
from cropper.ledger.last_run import LastRun, keep_last_run
from cropper.ledger.session import Ending, open_session
from cropper.model.saliency import Saliency
from cropper.process.journal import Journal
from cropper.settings import IGNORE_FILE, UPKEEP, Settings, Upkeep
from cropper.storage.notices import Notices
from cropper.storage.patterns import EVERYTHING, Selection
from cropper.storage.places import Place, is_inside


def watch_folder(
    source: Place,
    out: Place,
    settings: Settings,
    jobs: int,
    caught_up: Callable[[Ending], None],
    stop: Callable[[], bool] = lambda: False,
    given: Iterable[FocusRow] = (),
    resume: Resume = FROM_THE_START,
    upkeep: Upkeep = UPKEEP,
    deadline: float = 0,
    given_was_found: bool = False,
    selection: Selection = EVERYTHING,
    raw: str = RAW_ALONE,
    journal: Journal | None = None,
) -> Generator[Done, None, Ending]:
    """Make the thumbnails of a folder and then, until ``stop`` says so, those of each photo that comes or changes.

    Photos leave as they are finished. A photo that is as it was leaves in the first walk alone.

    Args:
        source: the folder IN, on this machine.
        out: the folder OUT, on this machine.
        caught_up: called once with what the first walk found at its end.
        stop: called again and again. Once it says True no photo is begun, and those in work are finished.
        selection: which files of IN to take, without ``.cropperignore``, which is read here, and again when it changes.
        upkeep: as in ``batch.run_batch``; ``force`` is for the first walk.
        settings, jobs, given, resume, deadline, given_was_found, raw: as in ``batch.run_batch``.
        journal: where to note what is under way.

    Raises:
        UsageError: as ``run_batch`` does, also if IN goes away or loses all known photos, or if the names of thumbnails depend
            on more than the folder of their photo.
        OutputError, ModelError, CropperError: as ``run_batch`` does.
        DependencyError: if watchfiles is not installed.
        KeyboardInterrupt: if ``stop`` says True during the first walk, or photos in work take too long afterwards.
    """
    check_folders(source, out)
    check_names(settings)
    if settings.dry_run:
        upkeep = replace(upkeep, prune=False)
    assert source.local_path is not None
    root = os.path.realpath(source.local_path)
    real_out = os.path.realpath(out)

    def is_wanted(path: str) -> bool:
        if path.startswith(".") or "/." in path:
            return path == IGNORE_FILE
        return not is_inside(os.path.join(root, path), real_out)

    notices = Notices(root, is_wanted, lambda: pipeline.wake())
    pipeline = Pipeline(settings, out, Saliency(settings.model, settings.device), jobs, in_order=False, journal=journal)
    session_of = open_session(
        out, source, fingerprint(settings), settings.dry_run, None, upkeep, given, given_was_found, bool(resume.condemned)
    )
    with session_of as session, notices:
        if not settings.dry_run:
            keep_last_run(session.state.connection, LastRun.of(settings, raw, selection))
        plan = Plan(source, out, settings, None, resume, deadline, selection.in_folder(source), raw, stop)
        watch = Watching(plan, session, pipeline, notices, selection, stop, caught_up)
        try:
            for done in pipeline.run(watch.photos(), watch.record, watch.is_late):
                if not watch.is_withheld:
                    yield done
            if not watch.is_caught_up:
                raise KeyboardInterrupt
            return Ending(0, *session.let_go(session.state.stale_outputs()))
        finally:
            session.abandoned = pipeline.abandoned
            for left in pipeline.left():
                if isinstance(left, Finished):
                    watch.record(left)
                elif left.known:
                    session.state.mark_interrupted(left.path)
