"""``--name`` and ``--flat``: where thumbnails go in OUT."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from cropper.cli.help import Function, Heading, add_options, option
from cropper.cli.options.candidates import with_candidates
from cropper.cli.options.shared import is_outranked
from cropper.errors import UsageError
from cropper.settings import Settings


def names_options(command: Function) -> Function:
    """Add the options that name thumbnails, between ``settings_options`` and ``one_option`` with ``candidates_option``.

    All come in its ``settings``.
    """

    @functools.wraps(command)
    def with_names(*, settings: Settings, name: str | None, flat: bool, one: bool, candidates: int, **others: Any) -> Any:
        settings = with_candidates(replace(settings, one=one), candidates)
        if settings.one and len({target.shape for target in settings.targets}) < len(settings.targets):
            raise UsageError("--one makes one file a photo, and you ask for several widths of a shape", remedy="give one --width")
        return command(settings=replace(settings, name=_template(settings, name, flat)), **others)

    return add_options(
        option(
            "--name",
            metavar="TEMPLATE",
            heading=Heading.MAKE,
            found=True,
            help="Name thumbnails so, below OUT: {folder}/{stem}-{width}w.{ext}. The fields are folder, stem and ext of a photo, "
            "width, height, aspect, size and candidate as asked for, and hash, digits that change with the photo's content.  "
            "[default: as the photo, in a folder for each size or candidate if there are several]",
        ),
        option(
            "--flat",
            is_flag=True,
            heading=Heading.MAKE,
            found=True,
            help="Put the thumbnails of all folders into one. Photos with one name get digits of their paths behind it.",
        ),
    )(with_names)


def _template(settings: Settings, name: str | None, flat: bool) -> str:
    """Return the template that was asked for, checked; empty for the default layout."""
    if name is not None and flat and is_outranked("name", by="flat"):
        name = None
    if name is None:
        if not flat:
            return ""
        sizes = "{size}/" if not settings.one and len({target.label for target in settings.targets}) > 1 else ""
        name = sizes + ("candidate-{candidate}/" if settings.choosing.candidates > 1 else "") + "{stem}.{ext}"
    from cropper.ledger.table import TABLE_NAME
    from cropper.storage.templates import SHAPE_FIELDS, template_of

    template = template_of(name, settings.targets[: settings.rows], (TABLE_NAME,))
    if settings.one and (depends := next((part.field for part in template.parts if part.field in SHAPE_FIELDS), "")):
        raise UsageError(
            f"--one decides the shape later than {{{depends}}} of --name is filled in", remedy="leave one of them out"
        )
    if flat and template.has_folder and not is_outranked("flat", by="name"):
        raise UsageError("--flat and the {folder} of --name contradict each other", remedy="leave out one of them")
    return name
