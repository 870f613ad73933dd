"""``--candidates`` of ``cropper batch``: a thumbnail of each of several crops."""

from __future__ import annotations

from dataclasses import replace

from cropper.cli.options.shared import is_outranked
from cropper.errors import UsageError
from cropper.settings import Settings


def with_candidates(settings: Settings, candidates: int) -> Settings:
    """Return settings with an output for each candidate of each shape; the same ones if there is one candidate.

    Where ``--one`` and ``--candidates`` come from different sources, the nearer one counts.

    Raises:
        UsageError: if both come from the same source.
    """
    if candidates == 1 or (settings.one and is_outranked("candidates", by="one")):
        return settings
    if settings.one and is_outranked("one", by="candidates"):
        settings = replace(settings, one=False)
    if settings.one:
        what = "--one makes one file a photo, and --candidates several"
        raise UsageError(what, remedy="leave out one of them")
    targets = [replace(target, candidate=number) for target in settings.targets for number in range(1, candidates + 1)]
    return replace(settings, targets=tuple(targets), choosing=replace(settings.choosing, candidates=candidates))
