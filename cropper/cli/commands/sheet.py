"""``cropper sheet``: draw a contact sheet of what a batch decided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cropper.cli.help import Heading, command, option
from cropper.cli.options.shared import batch_argument, is_given, limits_options, photos_option
from cropper.cli.options.types import Choice, LocalPath, WholeNumber
from cropper.cli.terminal import is_stdout, put, put_path, tell
from cropper.errors import UsageError
from cropper.settings import Order
from cropper.storage.naming import SHEET_NAME

if TYPE_CHECKING:
    from cropper.settings import Limits


@command()
@batch_argument()
@option(
    "-o",
    "output",
    metavar="FILE|-",
    type=LocalPath(dir_okay=False, allow_dash=True),
    default=SHEET_NAME,
    show_default=True,
    heading=Heading.MAKE,
    help="Write the sheet to this file, in the format of its extension, or to sheet-1.jpg, sheet-2.jpg ... if it has several "
    "pages; - writes one JPEG to stdout, as large as --one-page makes it.",
)
@option(
    "--one-page",
    is_flag=True,
    heading=Heading.MAKE,
    found=True,
    help="Make one picture, as large as it needs, not pages of at most 2000 x 2000 pixels and, as JPEG or WebP, 1 MB.",
)
@option("--heat", is_flag=True, heading=Heading.MAKE, found=True, help="Draw where people look over the photos, too.")
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
    help="Show photos in the order of boxes.csv (ledger); or first those whose crops keep the least of what people look at "
    "(kept), or cut the most of heads and subjects (cut).",
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
    out: Path,
    output: Path,
    one_page: bool,
    most: int,
    sort: str,
    columns: int | None,
    heat: bool,
    source: Path | None,
    limits: Limits,
) -> None:
    """Draw a contact sheet of a batch: each photo with its boxes, beside its crops. Print the paths of its pages.

    A page is small enough for a mail. The crops are the thumbnails in OUT. Missing ones are cut from the originals. For a photo
    that cannot be read, the sheet shows the reason.

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
    from cropper.views.layout import lay_out
    from cropper.views.pages import encoded_page, is_sheet, page_after, page_paths, signed
    from cropper.views.picture import encoded, write_picture
    from cropper.views.selection import first_of_the_ledger, select
    from cropper.views.sheet import draw_pages

    to_stdout = is_stdout(output)
    one_page = one_page or to_stdout
    selection = select(out, most, Order(sort))
    source = photos_of(out, source)
    layout = lay_out(selection.entries, columns, 2 if heat else 1, one_page)
    paths = page_paths(output, len(layout.pages))
    if not to_stdout:
        theirs = first_of_the_ledger((path for path in paths if path.exists()), out, source)
        if theirs is not None:
            raise UsageError("the sheet would overwrite a photo or a thumbnail", path=theirs, remedy="give another name with -o")
        # The user named one file at most; what else lies there may be a picture of theirs.
        named = output if is_given("output") else None
        other = next((path for path in paths if path != named and path.exists() and not is_sheet(path)), None)
        if other is not None:
            raise UsageError("cropper did not draw this file", path=other, remedy="move it, or give another name with -o")
    with libraries_muted():
        pages = draw_pages(selection, layout, out, source, Saliency() if heat else None, limits)
        for path, picture in zip(paths, pages, strict=True):
            if to_stdout:
                put(encoded(picture, Path(SHEET_NAME)))
            else:
                write_picture(signed(encoded(picture, path) if one_page else encoded_page(picture, path)), path)
                put_path(path)
    after = None if to_stdout else page_after(output, len(paths))
    if after is not None:
        tell(f"{after}: is not a page of this sheet; delete it if it is of an earlier one")
