"""``cropper show``: where people look in one photo, as a picture."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cropper.cli.options import candidates_option, choosing_options, fast_option, limits_options
from cropper.cli.terminal import say
from cropper.errors import UsageError

if TYPE_CHECKING:
    from cropper.settings import Choosing, Limits, Target


@click.command(short_help="Draw where people look in a photo, and the crop.")
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@choosing_options
@candidates_option
@fast_option
@limits_options
@click.option(
    "-o",
    "output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The picture to write.  [default: ./NAME.saliency.png]",
)
@click.option("--open", "open_it", is_flag=True, help="Open the picture in the system's viewer.")
def show(
    image: Path,
    targets: tuple[Target, ...],
    choosing: Choosing,
    candidates: int,
    model: Path | None,
    limits: Limits,
    output: Path | None,
    open_it: bool,
) -> None:
    """Draw where people look in IMAGE, and the boxes chosen, and print the path of the picture.

    On a terminal that has the colours for it, and without -o, a preview is drawn there too.

    \b
    cropper show photo.jpg
    cropper show photo.jpg --aspect 1:1 --aspect 9:16 -o heat.jpg --open
    """
    from cropper.engine.job import SALVAGED
    from cropper.imaging.opencv import libraries_muted
    from cropper.views.picture import look_at, picture_of, preview_of, save

    path = output or Path(f"{image.stem}.saliency.png")
    if path.exists() and path.samefile(image):
        raise UsageError("the picture would overwrite the photo", path=path, remedy="give another name with -o")
    with libraries_muted():
        look = look_at(image, targets, replace(choosing, candidates=candidates), model, limits)
    if look.salvaged:
        say(f"{image}: {SALVAGED}")
    save(picture_of(look), path)
    click.echo(os.fsencode(path))  # as bytes: a name need not be text
    if output is None and can_draw():
        known = shutil.get_terminal_size()
        columns, rows = known.columns or 80, known.lines or 24  # Python 3.10 passes on the zeros of a terminal without a size
        # The legend and the shell's next prompt have their rows too.
        click.echo(preview_of(look, columns, max(1, rows - len(look.boxes) - 2)), err=True, color=True)
    if open_it:
        click.launch(str(path))


def can_draw() -> bool:
    """Whether someone looks at a terminal that has 24-bit colours."""
    colours = os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit")
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return colours and wanted and sys.stdout.isatty() and sys.stderr.isatty()
