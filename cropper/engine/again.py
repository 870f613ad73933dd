"""Make some photos of an output folder again after somebody set their boxes by hand: with the options of its last run.

If a watch has the lock of OUT, it takes over what was given and makes the thumbnails. Any other run that is at work there looks
at no photo again, so the next run makes them.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from cropper.engine.batch import run_batch
from cropper.engine.job import Done, Engine
from cropper.engine.pipeline import Pipeline
from cropper.engine.plan import Plan
from cropper.errors import OutputError, PhotoError, UsageError
from cropper.ledger.database import Files
from cropper.ledger.focus_file import ByHand, FocusRow
from cropper.ledger.handover import HandedOverError, hand_over, rows_made, waiting
from cropper.ledger.last_run import last_run_of
from cropper.ledger.lock import AT_WORK
from cropper.ledger.session import writing_to
from cropper.ledger.shards import Shard, merge_shards, states_of
from cropper.ledger.table import FAILED
from cropper.model.saliency import Saliency
from cropper.settings import CPU, Settings
from cropper.storage.access import place
from cropper.storage.listed import part_of
from cropper.storage.patterns import Patterns, Selection
from cropper.storage.places import Place

NOT_KNOWN = "cropper does not know with which options this folder was made"
# Seconds that another run has to end, or to make what was handed over to it, and seconds between two looks.
PATIENCE, _PAUSE = 8.0, 0.2


class Again:
    """Makes photos again, as ``cropper batch IN OUT --focus FILE`` does for those photos alone. Models stay loaded.

    Args:
        source: the folder IN.
        out: the folder OUT.
        jobs: worker threads, at least 1.
        bundled: the bundled model, loaded for the processor.
    """

    def __init__(self, source: Path, out: Path, jobs: int, bundled: Saliency) -> None:
        self.source, self.out, self.jobs = source, out, jobs
        self._models: dict[tuple[Path | None, str], Saliency] = {(None, CPU): bundled}
        self._is_table_old = False
        self._patience = PATIENCE

    def knows_how(self) -> bool:
        """Whether the options of the last run over OUT are known."""
        return any(last_run_of(self.out, files) is not None for files, _ in states_of(self.out))

    def make(self, paths: Collection[str], given: Iterable[FocusRow]) -> dict[str, Done]:
        """Remember what is given by hand for some photos, and make their thumbnails again. OUT is locked for that long.

        If OUT was made in shards, this locks only the shards that hold the photos.

        Args:
            paths: the photos, relative to IN.
            given: what is given for them.

        Returns:
            What became of each photo that is still to be made; not of one that is excluded since.

        Raises:
            UsageError: if the options of the last run are not known, or those of ``run_batch``.
            HandedOverError: if another run is at work in OUT, and does not make them soon. All that is given is kept.
            CropperError: as ``run_batch``.
        """
        rows, made = [*given], dict[str, Done]()
        kept: HandedOverError | None = None
        for files, shard in states_of(self.out):
            some = [path for path in paths if shard is None or shard.holds(path)]
            if some:
                try:
                    made |= self._made_or_handed_over(files, shard, some, [row for row in rows if row[0] in some])
                except HandedOverError as error:
                    kept = error
        if kept is not None:
            raise kept
        return made

    def merge(self) -> None:
        """Bring the table of shards up to date with what was made.

        Raises:
            CropperError: if a shard is at work; or the table cannot be written.
        """
        if self._is_table_old:
            merge_shards(self.out)
            self._is_table_old = False

    def _made_or_handed_over(self, files: Files, shard: Shard | None, paths: list[str], given: list[FocusRow]) -> dict[str, Done]:
        """Make photos of one state; where another run has its lock, hand them over and wait a while for that run."""
        letter: Path | None = None
        end = time.monotonic() + self._patience
        while True:
            try:
                made = self._made(files, shard, {*paths, *waiting(files)}, given if letter is None else [])
                break
            except OutputError as error:
                if not error.what.endswith(AT_WORK):
                    raise
                if letter is None:
                    with writing_to(self.out):
                        letter = hand_over(files, given)
                if time.monotonic() > end:
                    self._patience = 0.0  # it is no watch: with more photos, nobody should wait again
                    remedy = "what you gave is kept for the next run; save again when this one has ended"
                    raise HandedOverError(error.what, path=self.out, remedy=remedy) from error
            time.sleep(_PAUSE)
            if not letter.exists():
                made = _made_by_another(files, paths)
                break
        self._patience = PATIENCE
        return made

    def _made(self, files: Files, shard: Shard | None, paths: Collection[str], given: list[FocusRow]) -> dict[str, Done]:
        last = last_run_of(self.out, files)
        if last is None:
            raise UsageError(NOT_KNOWN, path=self.out, remedy="run 'cropper batch IN OUT' once with the options that you want")
        part = part_of(self.source, paths)
        found = last.selection.in_folder(part)
        # What the folder's own patterns leave out stays out, though the photo is named.
        exclude = Patterns(found.ignored.rules + found.exclude.rules, found.exclude.lines)
        selection = Selection(found.include, exclude)
        plan = Plan(part, place(self.out), last.settings, shard, selection=selection, raw=last.raw)
        run = run_batch(plan, self.jobs, ByHand(given), engine=self._engine)
        made = {done.path: done for done in run if done.rows or done.error is not None}
        self._is_table_old |= shard is not None
        return made

    def _engine(self, source: Place, out: Place, settings: Settings, jobs: int) -> AbstractContextManager[Engine]:
        """Return the engine of this machine, with a model that is loaded once."""
        key = settings.model, settings.device
        if key not in self._models:
            self._models[key] = Saliency(*key)
        return nullcontext(Pipeline(settings, out, self._models[key], jobs))


def _made_by_another(files: Files, paths: Collection[str]) -> dict[str, Done]:
    """Return what another run made of photos."""
    made = {}
    for path, rows in rows_made(files, paths).items():
        failed = next((row for row in rows if row.status == FAILED), None)
        made[path] = Done(path, rows, error=PhotoError(failed.message, path=path) if failed is not None else None)
    return made
