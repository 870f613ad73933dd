"""``cropper sheet``: a contact sheet of what a batch decided."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cropper.cli.options import limits_options, photos_option
from cropper.cli.terminal import is_stdout
from cropper.errors import UsageError

if TYPE_CHECKING:
    from cropper.settings import Limits


@click.command(short_help="Draw a contact sheet of a batch: originals, boxes, crops.")
@click.argument("out", metavar="OUT", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o",
    "output",
    metavar="FILE|-",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default="sheet.jpg",
    show_default=True,
    help="The picture to write, in the format its name says; - is a JPEG on stdout.",
)
@click.option("--most", metavar="N", type=click.IntRange(1), default=60, show_default=True, help="Show at most so many photos.")
@click.option(
    "--sort",
    type=click.Choice(["ledger", "kept"]),
    default="ledger",
    show_default=True,
    help="In the ledger's order, or those first whose crops keep least.",
)
@click.option("--columns", metavar="N", type=click.IntRange(1), help="Photos in a row.  [default: as many as fit a page]")
@click.option("--heat", is_flag=True, help="Show where people look, too.")
@photos_option
@limits_options
def sheet(
    out: Path, output: Path, most: int, sort: str, columns: int | None, heat: bool, source: Path | None, limits: Limits
) -> None:
    """Draw the photos of OUT/boxes.csv with their boxes, each beside its crops, on one sheet, and print its path.

    The crops are OUT's thumbnails, or cut from the originals where there are none. A photo that cannot be read says so in its
    place.

    \b
    cropper sheet thumbnails/
    cropper sheet thumbnails/ --sort kept --most 24 -o hardest.jpg
    cropper sheet decisions/ --photos photos/       after a dry run
    """
    from cropper.imaging.opencv import libraries_muted
    from cropper.ledger.state import photos_of
    from cropper.model.saliency import Saliency
    from cropper.views.picture import encoded, save
    from cropper.views.selection import is_of_the_ledger, select
    from cropper.views.sheet import draw_sheet

    to_stdout = is_stdout(output)
    selection = select(out, most, sort == "kept")
    source = photos_of(out, source)
    if not to_stdout and output.exists() and is_of_the_ledger(output, out, source):
        raise UsageError("the sheet would overwrite a photo or a thumbnail", path=output, remedy="give another name with -o")
    with libraries_muted():
        picture = draw_sheet(selection, out, source, columns, Saliency() if heat else None, limits)
    if to_stdout:
        sys.stdout.buffer.write(encoded(picture, Path("sheet.jpg")))
    else:
        save(picture, output)
        click.echo(os.fsencode(output))  # as bytes: a name need not be text
