"""Watch a folder: first a batch, then each photo as soon as it is whole, in one pipeline that does not end.

What the system says of changes is never believed: it names paths to look at. A path is looked at until the photo there is whole:
it ends as its format does, or nobody has written to it for a while. Walks over all of IN follow from time to time, for what the
system does not tell: a queue that ran over, links, disks of other machines. A walk gives way to photos that come meanwhile. Where
the system tells nothing, walks come often.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

from cropper.engine.batch import check_folders, keep_left, session_of
from cropper.engine.job import Done
from cropper.engine.pipeline import Pipeline
from cropper.engine.plan import Plan
from cropper.engine.watching.folders import check_names
from cropper.engine.watching.rounds import Rounds
from cropper.engine.watching.source import Watching
from cropper.ledger.focus_file import NOTHING_BY_HAND, ByHand
from cropper.ledger.session import Ending
from cropper.model.saliency import Saliency
from cropper.process.journal import Journal
from cropper.settings import IGNORE_FILE, UPKEEP, Upkeep
from cropper.storage.notices import Notices, Silence
from cropper.storage.places import is_inside


def watch_folder(
    plan: Plan,
    jobs: int,
    caught_up: Callable[[Ending], None],
    given: ByHand = NOTHING_BY_HAND,
    upkeep: Upkeep = UPKEEP,
    journal: Journal | None = None,
    removed: Callable[[str], None] = lambda output: None,
    poll: float | None = None,
) -> Generator[Done, None, Ending]:
    """Make the thumbnails of a folder and then, until the plan's ``stop`` says so, those of each photo that comes or changes.

    Photos leave as they are finished. A photo that is as it was leaves in the first walk alone.

    Args:
        plan: what to make of which photos. IN and OUT are on this machine. Once ``stop`` says True no photo is begun, and those
            in work are finished. The selection is without ``.cropperignore``, which is read here, and again when it changes.
        jobs: worker threads, at least 1.
        caught_up: called once with what the first walk found at its end.
        given: what you give by hand.
        upkeep: what the watch may do with what is there; ``force`` is for the first walk.
        journal: where to note what is under way.
        removed: called with each thumbnail that the watch removes, as in ``batch.run_batch``.
        poll: seconds between two walks over IN, which then find all that changes; None to have the system tell.

    Raises:
        UsageError: as ``run_batch`` does, also if IN goes away or loses all known photos, or if the names of thumbnails depend
            on more than the folder of their photo.
        OutputError, ModelError, CropperError: as ``run_batch`` does.
        DependencyError: if the system is to tell, and watchfiles is not installed.
        KeyboardInterrupt: if the plan's ``stop`` says True during the first walk, or photos in work take too long afterwards.
    """
    source, out, settings = plan.source, plan.out, plan.settings
    check_folders(source, out)
    check_names(settings)
    assert source.local_path is not None
    root = os.path.realpath(source.local_path)
    real_out = os.path.realpath(out)

    def is_wanted(path: str) -> bool:
        if path.startswith(".") or "/." in path:
            return path == IGNORE_FILE
        return not is_inside(os.path.join(root, path), real_out)

    notices = Notices(root, is_wanted, lambda: pipeline.wake()) if poll is None else Silence()
    pipeline = Pipeline(settings, out, Saliency(settings.model, settings.device), jobs, in_order=False, journal=journal)
    with session_of(plan, given, upkeep, bool(plan.resume.condemned), removed) as session, notices:
        complete = replace(plan, selection=plan.selection.in_folder(source))
        watch = Watching(complete, session, pipeline, notices, Rounds(Path(root), poll), plan.selection, caught_up)
        try:
            for done in pipeline.run(watch.photos(), watch.record, watch.is_late):
                if not watch.is_withheld:
                    yield done
            if not watch.is_caught_up:
                raise KeyboardInterrupt
            return Ending(0, *session.let_go(session.state.stale_outputs()))
        finally:
            keep_left(session, pipeline, watch.record)
