"""Options that no thumbnail of a run can use: they are refused where that is sure before the run, and else said at its end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from cropper.cli.options.shared import is_of_this_run
from cropper.errors import UsageError
from cropper.image_formats import FORMATS, KEEP_FORMAT, ImageFormat, titles
from cropper.settings import KEEP_NOTHING, Fit, Settings, Whole

# By the names of parameters: whether the settings ask for it, and whether an output format has a use for it.
_USES: dict[str, tuple[Callable[[Settings], bool], Callable[[ImageFormat], bool]]] = {
    "quality": (lambda settings: settings.quality is not None, lambda one: one.quality is not None),
    "colours": (lambda settings: settings.encoding.colours is not None, lambda one: one.quality is None),
    "progressive": (lambda settings: settings.encoding.progressive, lambda one: one.output == "jpg"),
    "keep": (lambda settings: settings.keep != KEEP_NOTHING, lambda one: one.output != "gif"),
}
_OUTPUTS = [one for one in FORMATS if one.output]


def check_effects(settings: Settings) -> None:
    """Refuse options of this run, though not those of a file for all runs, that change no thumbnail. Raises UsageError."""
    if settings.format != KEEP_FORMAT:
        for name, users in _without(settings, [settings.format]):
            (format,) = (one.title for one in _OUTPUTS if one.output == settings.format)
            raise UsageError(f"--{name} has no effect on {format}", remedy=f"leave it out, or write {titles(users, 'or')}")
    if any(target.size is not None for target in settings.targets):
        return
    for name, is_asked in (("enlarge", settings.enlarge), ("sharpen", settings.encoding.sharpen > 0)):
        if is_asked and is_of_this_run(name):
            raise UsageError(
                f"--{name} has no effect with --aspect alone, which keeps the photo's own pixels",
                remedy="leave it out, or give --size or --width",
            )


def without_effect(settings: Settings, formats: Collection[str]) -> list[str]:
    """Say which options of this run changed no thumbnail, a line each; ``formats`` are the output formats of all thumbnails."""
    if not formats:
        return []
    return [f"--{name} had no effect: no thumbnail is a {titles(users, 'or')}" for name, users in _without(settings, formats)]


def without_padding(settings: Settings, fits: Mapping[Fit, int]) -> list[str]:
    """Say that what this run was told to pad with went nowhere, and what would pad; nothing if it went somewhere.

    Args:
        settings: of the run.
        fits: how many thumbnails of the run have each fit, where all were made.
    """
    if not is_of_this_run("fill") or not fits or fits.get(Fit.PAD) or settings.choosing.whole is Whole.PHOTO:
        return []
    return [f"--pad-with had no effect: all crops are good; --whole {Whole.PHOTO.value} pads each photo of another shape"]


def _without(settings: Settings, formats: Collection[str]) -> list[tuple[str, list[ImageFormat]]]:
    """Return the options that none of some output formats has a use for, and the formats that have."""
    found = []
    for name, (is_asked, is_used) in _USES.items():
        users = [one for one in _OUTPUTS if is_used(one)]
        if is_asked(settings) and is_of_this_run(name) and not any(one.output in formats for one in users):
            found.append((name, users))
    return found
