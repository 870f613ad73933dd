"""Make some photos of an output folder again after somebody set their boxes by hand: with the options of its last run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from cropper.engine.batch import run_batch
from cropper.engine.job import Done, Engine
from cropper.engine.pipeline import Pipeline
from cropper.errors import OutputError, UsageError
from cropper.ledger.focus_file import FocusRow
from cropper.ledger.last_run import last_run_of
from cropper.ledger.lock import AT_WORK
from cropper.model.saliency import Saliency
from cropper.settings import CPU, Settings
from cropper.storage.listed import part_of
from cropper.storage.patterns import Patterns, Selection
from cropper.storage.places import Place

NOT_KNOWN = "cropper does not know with which options this folder was made"


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

    def knows_how(self) -> bool:
        """Whether the options of the last run over OUT are known."""
        return last_run_of(self.out) is not None

    def make(self, paths: Collection[str], given: Iterable[FocusRow]) -> dict[str, Done]:
        """Remember what is given by hand for some photos, and make their thumbnails again. OUT is locked for that long.

        Args:
            paths: the photos, relative to IN.
            given: what is given for them.

        Returns:
            What became of each photo that is still to be made; not of one that is excluded since.

        Raises:
            UsageError: if the options of the last run are not known, or those of ``run_batch``.
            CropperError: as ``run_batch``; a run that is at work in OUT among them.
        """
        last = last_run_of(self.out)
        if last is None:
            raise UsageError(NOT_KNOWN, path=self.out, remedy="run 'cropper batch IN OUT' once with the options that you want")
        part = part_of(self.source, paths)
        found = last.selection.in_folder(part)
        # What the folder's own patterns leave out stays out, though the photo is named.
        exclude = Patterns(found.ignored.rules + found.exclude.rules, found.exclude.lines)
        selection = Selection(found.include, exclude)
        run = run_batch(part, self.out, last.settings, self.jobs, given, engine=self._engine, selection=selection, raw=last.raw)
        try:
            return {done.path: done for done in run if done.rows or done.error is not None}
        except OutputError as error:
            if not error.what.endswith(AT_WORK):
                raise
            raise OutputError(error.what, path=self.out, remedy="save again when it has ended") from error

    def _engine(self, source: Place, out: Place, settings: Settings, jobs: int) -> AbstractContextManager[Engine]:
        """Return the engine of this machine, with a model that is loaded once."""
        key = settings.model, settings.device
        if key not in self._models:
            self._models[key] = Saliency(*key)
        return nullcontext(Pipeline(settings, out, self._models[key], jobs))
