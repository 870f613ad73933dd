"""What a user gives by hand for one photo: ``--at`` and ``--focus``, for commands that take one."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cropper.cli.help import Function, Heading, add_options, option
from cropper.cli.options.shared import is_outranked
from cropper.cli.options.types import LocalPath, Point
from cropper.cli.terminal import tell
from cropper.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cropper.ledger.given import Given


def focus_of_one_options(command: Function) -> Function:
    """Add ``--at`` and ``--focus``, for a command with one ``image``. The command receives ``given``, by the labels of sizes."""

    @functools.wraps(command)
    def with_focus(*, image: Path, at: Given | None, focus_file: Path | None, **others: Any) -> Any:
        if is_outranked("at", by="focus_file"):
            at = None
        elif is_outranked("focus_file", by="at"):
            focus_file = None
        if at is not None and focus_file is not None:
            raise UsageError("--at and --focus both say what to crop around", remedy="give one of them")
        given = _in_file(focus_file, image) if focus_file is not None else {"": at} if at is not None else {}
        return command(image=image, given=given, **others)

    return add_options(
        option(
            "--at",
            metavar=Point.name,
            type=Point(),
            heading=Heading.CROP,
            help="Crop around this point: in whole pixels of the upright photo, such as 320,200, or in shares of its width and "
            "height, with a decimal point or in percent, such as 0.5,0.25 or 50%,25%.",
        ),
        option(
            "--focus",
            "focus_file",
            metavar="FILE",
            type=LocalPath(exists=True, dir_okay=False),
            heading=Heading.CROP,
            help="Crop around the point or box that this CSV table has for the photo, as for 'cropper batch'. In it, write the "
            "path as you give it here.",
        ),
    )(with_focus)


def _in_file(file: Path, image: Path) -> Mapping[str, Given]:
    """Return what a focus file gives for a photo, and say so if that is nothing."""
    from cropper.ledger.focus_file import Gifts, read_focus_file

    rows = ((str(image), size, given) for path, size, given in read_focus_file(file) if Path(path) == image)
    given = Gifts.of_rows(rows).of(str(image))
    if not given:
        tell(f"{file}: has no row for {image}; the model chooses")
    return given
