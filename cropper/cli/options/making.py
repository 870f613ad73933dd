"""What ``cropper batch`` and ``cropper watch`` have in common: they make thumbnails of a folder, with the same options."""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cropper.cli.help import Function, Heading, add_options, option
from cropper.cli.options.names import names_options
from cropper.cli.options.settings import animated_option, settings_options
from cropper.cli.options.shared import (
    candidates_option,
    dry_run_option,
    jobs_option,
    one_option,
    raw_option,
    selection_options,
    upkeep_options,
)
from cropper.cli.options.types import Choice
from cropper.settings import SIDECAR_CHOICES, Settings
from cropper.storage.naming import SIDECAR_FOLDER

if TYPE_CHECKING:
    from cropper.ledger.focus_file import ByHand
    from cropper.process.supervisor import Attempt
    from cropper.storage.places import Place


def _sidecar_option(command: Function) -> Function:
    return option(
        "--sidecar",
        type=Choice(SIDECAR_CHOICES),
        default=Settings.sidecar,
        show_default=True,
        heading=Heading.MAKE,
        found=True,
        help=f"Write the crops and the focus of each photo as IPTC image regions too: OUT/{SIDECAR_FOLDER}/PHOTO.jpg.xmp.",
    )(command)


def making_options(command: Function) -> Function:
    """Add the options that say which photos to take, what to make of them, and where it goes.

    The command receives ``selection``, ``raw``, ``upkeep``, ``jobs``, and all else in its ``settings``.
    """

    @functools.wraps(command)
    def with_making(*, settings: Settings, animated: str, sidecar: str, dry_run: bool, **others: Any) -> Any:
        return command(settings=replace(settings, animated=animated, sidecar=sidecar, dry_run=dry_run), **others)

    return add_options(
        selection_options,
        raw_option,
        upkeep_options,
        jobs_option,
        settings_options,
        names_options,
        candidates_option,
        one_option,
        animated_option,
        _sidecar_option,
        dry_run_option,
    )(with_making)


def is_trial(source: Place, settings: Settings, given: ByHand, attempt: Attempt) -> bool:
    """Do what an attempt is for that only tries one photo: whether it kills this process. Return False for any other attempt."""
    if attempt.alone is None:
        return False

    from cropper.engine.tasks import try_alone
    from cropper.ledger.focus_file import Gifts

    for_photo = Gifts.of_rows(row for row in given.rows if row[0] == attempt.alone).of(attempt.alone)
    try_alone(source, attempt.alone, settings, for_photo, attempt.journal)
    return True


def facts_of(source: Place, out: Place, attempt: Attempt) -> dict[str, Any]:
    """Return what a report says of a run beside its counts."""
    return {"source": source.full_name(), "out": out.full_name(), "seconds": round(time.monotonic() - attempt.begun, 3)}
