"""Whether the crops of an output folder follow what ``cropper tune`` learned."""

from __future__ import annotations

from pathlib import Path

from cropper.ledger.last_run import last_run_of
from cropper.ledger.shards import states_of
from cropper.settings import WEIGHTS


def follows_taste(out: Path) -> bool:
    """Return whether the last run that made thumbnails in an output folder chose boxes by other weights than cropper's own."""
    runs = (last_run_of(out, files) for files, _ in states_of(out))
    return any(run is not None and run.settings.choosing.weights != WEIGHTS for run in runs)
