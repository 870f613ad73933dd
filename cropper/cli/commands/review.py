"""``cropper review``: write a page to check and correct what a batch decided, or serve it."""

from __future__ import annotations

import html
import os
import shlex
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cropper.cli.exit_codes import SOME_FAILED
from cropper.cli.help import Heading, command, option
from cropper.cli.options.shared import batch_argument, is_given, jobs_option, limits_options, photos_option
from cropper.cli.options.types import LocalPath, WholeNumber
from cropper.cli.terminal import progress, put_line, put_path, tell
from cropper.errors import CropperError, UsageError

if TYPE_CHECKING:
    from cropper.engine.again import Again
    from cropper.settings import Limits
    from cropper.views.review.page import Contents, Shown

_MOST_PORT = 65535


@command()
@batch_argument()
@option(
    "--serve",
    is_flag=True,
    heading=Heading.MAKE,
    help="Serve the page to this machine alone, until you press Ctrl-C. Its button Save makes the thumbnails of the photos that "
    "you changed.",
)
@option(
    "--port",
    metavar="N",
    type=WholeNumber(0, _MOST_PORT),
    default=0,
    heading=Heading.MAKE,
    help="With --serve, use this port.  [default: one that is free]",
)
@option(
    "--output",
    "-o",
    "folder",
    metavar="DIR",
    type=LocalPath(file_okay=False),
    heading=Heading.MAKE,
    help="Write the page and its pictures to this folder.  [default: OUT]",
)
@option(
    "--full-paths",
    is_flag=True,
    heading=Heading.MAKE,
    help="Name folders by their full paths on the page, which then says where your photos are.",
)
@option("--open", "open_it", is_flag=True, heading=Heading.MAKE, help="Open the page in your browser.")
@photos_option
@limits_options
@jobs_option
def review(
    out: Path,
    source: Path | None,
    jobs: int,
    limits: Limits,
    open_it: bool,
    serve: bool,
    port: int,
    folder: Path | None,
    full_paths: bool,
) -> int:
    """Write OUT/review.html, a page on which you check and correct the crops of a batch, and print its path.

    \b
    1. Make thumbnails:  cropper batch photos/ thumbnails/
    2. Write the page:   cropper review thumbnails/ --open
    3. Check the photos, the least certain ones first.
       Drag a box, or click what matters.
    4. Export focus.csv with the page's button, and apply it:
                         cropper batch photos/ thumbnails/ --focus focus.csv

    Give step 4 the same options as step 1: it then makes only the photos again that you changed. The page needs no network and no
    server. Its pictures are in OUT/review_files. Write the page again after each batch: pictures of photos that did not change
    stay.

    \b
    In one step, with a button Save:
    cropper review thumbnails/ --serve --open

    The pictures show the whole photos. If you publish OUT, put the page elsewhere:

    \b
    cropper review thumbnails/ -o review/

    \b
    After a --dry-run, give the folder of the photos:
    cropper review decisions/ --photos photos/
    """
    from cropper.imaging.opencv import libraries_muted
    from cropper.ledger.table import TABLE_NAME, read_rows
    from cropper.ledger.taste import follows_taste
    from cropper.storage.naming import REVIEW_FOLDER
    from cropper.views.review.page import PAGE, write_page

    if is_given("port") and not serve:
        raise UsageError("--port needs --serve", remedy="give both or neither")
    missing = 0
    contents: Contents | None = None

    def photos() -> Generator[Shown, None, None]:
        nonlocal contents
        contents = yield from write_page(out, source, jobs, limits, folder, full_paths)

    with (
        libraries_muted(),
        progress(lambda: len({row.path for row in read_rows(out / TABLE_NAME)})) as bar,
        closing(photos()) as all_shown,
    ):
        for seen in all_shown:
            if seen.error is not None:
                missing += 1
                bar.say(str(seen.error))
            bar.step()
    assert contents is not None
    if folder is not None and not os.path.samefile(folder, out) and (out / PAGE).exists():
        tell(f"{out}: has an older {PAGE} and {REVIEW_FOLDER}; remove them if nobody else may see them")
    if follows_taste(out):
        tell(f"{out}: its boxes follow the taste that 'cropper tune' learned")
    if serve:
        _serve(contents, jobs, port, open_it)
        return 0
    page = contents.folder / PAGE
    put_path(page)
    if open_it:
        click.launch(str(page))
    return SOME_FAILED if missing else 0


def _serve(contents: Contents, jobs: int, port: int, open_it: bool) -> None:
    """Print the address of a page, and serve it until the user stops that. What is being saved then is finished first."""
    from cropper.engine.again import NOT_KNOWN, Again
    from cropper.imaging.opencv import libraries_muted
    from cropper.ledger.focus_file import FocusRow
    from cropper.views.review.server import HOST, Saved, Server, Site

    again = Again(contents.source, contents.out, jobs, contents.saliency)

    def save(paths: Sequence[str], given: Sequence[FocusRow]) -> dict[str, Saved]:
        made = again.make(paths, given)
        return {path: Saved(done.rows, done.error.reason if done.error else "") for path, done in made.items()}

    can_save = again.knows_how()
    if not can_save:
        tell(f"{contents.out}: {NOT_KNOWN}, so the page cannot save; run 'cropper batch IN OUT' once, and this command again")
    site = Site(contents, save if can_save else None)
    try:
        server = Server(site, port)
    except OSError as error:
        reason = f"port {port} of {HOST} cannot be used ({error.strerror})"
        raise UsageError(reason, remedy="give another --port, or leave it out") from error
    with suppress(KeyboardInterrupt), libraries_muted(), server:
        put_line(server.address)
        tell("press Ctrl-C to end; the address is for you alone")
        with _way_to(server.address) if open_it else nullcontext() as way:
            if way is not None:
                click.launch(str(way))
            server.serve_forever()
    with site.saving:
        _merge(again)


def _merge(again: Again) -> None:
    """Bring the table of shards up to date with what was saved."""
    from cropper.ledger.table import TABLE_NAME

    try:
        again.merge()
    except CropperError as error:
        tell(f"{error}; '{TABLE_NAME}' lacks what you saved until you run 'cropper ledger merge {shlex.quote(str(again.out))}'")


@contextmanager
def _way_to(address: str) -> Iterator[Path]:
    """Make a file that leads to an address. A browser is given the file: all users see the arguments of a process."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="cropper-") as private:  # for this user alone
        way = Path(private) / "review.html"
        way.write_text(
            f'<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>cropper review</title>'
            f'<meta http-equiv="refresh" content="0; url={html.escape(address)}">',
            encoding="utf-8",
        )
        yield way
