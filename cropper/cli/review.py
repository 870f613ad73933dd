"""``cropper review``: write a page to check and correct what a batch decided."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cropper.cli.exit_codes import SOME_FAILED
from cropper.cli.help import Heading, command, option
from cropper.cli.options import jobs_option, limits_options, photos_option
from cropper.cli.terminal import progress, put_path
from cropper.cli.types import LocalPath

if TYPE_CHECKING:
    from cropper.settings import Limits


@command(short_help="Write a page to check the boxes and correct them.")
@click.argument(
    "out",
    metavar="OUT",
    type=LocalPath(exists=True, file_okay=False),
    help="Show the batch in this folder, which 'cropper batch' wrote.",
)
@option("--open", "open_it", is_flag=True, heading=Heading.MAKE, help="Open the page in your browser.")
@photos_option
@limits_options
@jobs_option
def review(out: Path, source: Path | None, jobs: int, limits: Limits, open_it: bool) -> int:
    """Write OUT/review.html, a page with the photos and boxes of a batch, and print its path.

    \b
    1. Make thumbnails:  cropper batch photos/ thumbnails/
    2. Write the page:   cropper review thumbnails/ --open
    3. Check the photos, the least certain ones first.
       Drag a box, or click what matters.
    4. Export focus.csv with the page's button, and apply it:
                         cropper batch photos/ thumbnails/ --focus focus.csv

    Give step 4 the same options as step 1: it then makes again only the photos that you changed. The page needs no network and no
    server. Its pictures are in OUT/review_files. Write the page again after another batch: it keeps the pictures of photos that
    did not change.

    \b
    After a --dry-run, give the folder of the photos:
    cropper review decisions/ --photos photos/
    """
    from cropper.imaging.opencv import libraries_muted
    from cropper.ledger.table import TABLE_NAME, read_rows
    from cropper.views.review.page import PAGE, write_page

    missing = 0
    with (
        libraries_muted(),
        progress(lambda: len({row.path for row in read_rows(out / TABLE_NAME)})) as bar,
        closing(write_page(out, source, jobs, limits)) as photos,
    ):
        for seen in photos:
            if seen.error is not None:
                missing += 1
                bar.say(str(seen.error))
            bar.step()
    page = out / PAGE
    put_path(page)
    if open_it:
        click.launch(str(page))
    return SOME_FAILED if missing else 0
