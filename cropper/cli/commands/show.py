"""``cropper show``: draw where people look in one photo."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cropper.cli.help import Heading, command, option
from cropper.cli.options.focus import focus_of_one_options
from cropper.cli.options.settings import choosing_options
from cropper.cli.options.shared import candidates_option, limits_options
from cropper.cli.options.types import LocalPath, Photo
from cropper.cli.terminal import forgiven, is_quiet, is_terminal, put_path, tell
from cropper.errors import UsageError
from cropper.storage.naming import SALIENCY_ENDING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cropper.ledger.given import Given
    from cropper.settings import Choosing, Limits, Target


@command()
@click.argument("image", type=Photo("cropper batch IN OUT, then cropper sheet OUT --heat"), help="Look at this photo.")
@focus_of_one_options
@choosing_options
@candidates_option
@option(
    "-o",
    "output",
    metavar="FILE",
    type=LocalPath(dir_okay=False),
    heading=Heading.MAKE,
    help=f"Write the picture to this file, in the format of its extension.  [default: ./NAME{SALIENCY_ENDING}]",
)
@option("--open", "open_it", is_flag=True, heading=Heading.MAKE, help="Open the picture in the system's viewer.")
@limits_options
def show(
    image: Path,
    given: Mapping[str, Given],
    targets: tuple[Target, ...],
    choosing: Choosing,
    candidates: int,
    limits: Limits,
    output: Path | None,
    open_it: bool,
) -> None:
    """Draw where people look in IMAGE and which boxes cropper chooses, and print the path of the picture.

    A terminal with 24-bit colours also shows a preview, unless you give -o or --quiet.

    \b
    cropper show photo.jpg
    cropper show photo.jpg --aspect 1:1 --at 50%,25%
    cropper show photo.jpg --aspect 1:1 --aspect 9:16 -o heat.jpg --open
    """
    import shutil

    from cropper.engine.stages import SALVAGED
    from cropper.imaging.opencv import libraries_muted
    from cropper.views.picture import look_at, picture_of, preview_of, save

    path = output or Path(image.stem + SALIENCY_ENDING)
    if path.exists() and path.samefile(image):
        raise UsageError("the picture would overwrite the photo", path=path, remedy="give another name with -o")
    with libraries_muted():
        look = look_at(image, targets, replace(choosing, candidates=candidates), limits, given)
    if look.salvaged:
        tell(f"{image}: {SALVAGED}")
    save(picture_of(look), path)
    put_path(path)
    if output is None and can_draw() and not is_quiet():
        known = shutil.get_terminal_size()
        columns, rows = known.columns or 80, known.lines or 24  # Python 3.10 returns zeros for a terminal without a size
        # Leave rows for the legend and the shell's next prompt.
        preview = preview_of(look, columns, max(1, rows - len(look.boxes) - 2))
        with forgiven():
            click.echo(preview, err=True, color=True)
    if open_it:
        click.launch(str(path))


def can_draw() -> bool:
    """Return whether stdout and stderr are a terminal that shows 24-bit colours."""
    colours = os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit")
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return colours and wanted and is_terminal(sys.stdout) and is_terminal(sys.stderr)
