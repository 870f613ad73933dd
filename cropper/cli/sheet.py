"""``cropper sheet``: draw a contact sheet of what a batch decided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cropper.cli.help import Heading, command, option
from cropper.cli.options import limits_options, photos_option
from cropper.cli.terminal import is_stdout, put, put_path
from cropper.cli.types import Choice, LocalPath, WholeNumber
from cropper.errors import UsageError
from cropper.settings import Order
from cropper.storage.naming import SHEET_NAME

if TYPE_CHECKING:
    from cropper.settings import Limits


@command()
@click.argument(
    "out",
    metavar="OUT",
    type=LocalPath(exists=True, file_okay=False),
    help="Show the batch in this folder, which 'cropper batch' wrote.",
)
@option(
    "-o",
    "output",
    metavar="FILE|-",
    type=LocalPath(dir_okay=False, allow_dash=True),
    default=SHEET_NAME,
    show_default=True,
    heading=Heading.MAKE,
    help="Write the sheet to this file, in the format of its extension; - writes a JPEG to stdout.",
)
@option("--heat", is_flag=True, heading=Heading.MAKE, found=True, help="Show where people look, too.")
@option(
    "--columns",
    metavar="N",
    type=WholeNumber(1, 100),
    heading=Heading.MAKE,
    found=True,
    help="Put this many photos in a row.  [default: as many as fit a page]",
)
@option(
    "--sort",
    type=Choice([order.value for order in Order]),
    default=Order.LEDGER.value,
    show_default=True,
    heading=Heading.PHOTOS,
    found=True,
    help="Show photos in the order of boxes.csv (ledger), those first whose crops keep least (kept), or those first "
    "whose crops cut most of heads and subjects (cut).",
)
@option(
    "--most",
    metavar="N",
    type=WholeNumber(1),
    default=60,
    show_default=True,
    heading=Heading.PHOTOS,
    found=True,
    help="Show at most this many photos.",
)
@photos_option
@limits_options
def sheet(
    out: Path, output: Path, most: int, sort: str, columns: int | None, heat: bool, source: Path | None, limits: Limits
) -> None:
    """Draw the photos of OUT/boxes.csv and their boxes beside their crops, on one sheet, and print its path.

    The crops are the thumbnails in OUT. Missing ones are cut from the originals. For a photo that cannot be read, the sheet shows
    the reason.

    \b
    cropper sheet thumbnails/
    cropper sheet thumbnails/ --sort kept --most 24 -o hardest.jpg

    \b
    After a --dry-run:
    cropper sheet decisions/ --photos photos/
    """
    from cropper.imaging.opencv import libraries_muted
    from cropper.ledger.source import photos_of
    from cropper.model.saliency import Saliency
    from cropper.views.picture import encoded, save
    from cropper.views.selection import is_of_the_ledger, select
    from cropper.views.sheet import draw_sheet

    to_stdout = is_stdout(output)
    selection = select(out, most, Order(sort))
    source = photos_of(out, source)
    if not to_stdout and output.exists() and is_of_the_ledger(output, out, source):
        raise UsageError("the sheet would overwrite a photo or a thumbnail", path=output, remedy="give another name with -o")
    with libraries_muted():
        picture = draw_sheet(selection, out, source, columns, Saliency() if heat else None, limits)
    if to_stdout:
        put(encoded(picture, Path(SHEET_NAME)))
    else:
        save(picture, output)
        put_path(output)
