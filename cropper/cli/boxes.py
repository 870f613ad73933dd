"""``cropper boxes``: print decisions, for scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from cropper.cli.exit_codes import SOME_FAILED
from cropper.cli.help import Heading, command, option
from cropper.cli.options import (
    candidates_option,
    device_option,
    focus_option,
    is_outranked,
    jobs_option,
    limits_options,
)
from cropper.cli.settings_options import choosing_options
from cropper.cli.terminal import say
from cropper.errors import UsageError
from cropper.ledger.table import HEADER, SHARES, WHOLE_NUMBERS, rows_writer

if TYPE_CHECKING:
    from cropper.ledger.table import Row
    from cropper.settings import Choosing, Limits, Target

# The fields of a ledger's row that need no output folder.
FIELDS = tuple(name for name in HEADER if name != "output")
TEXTS = tuple(name for name in FIELDS if name not in (*WHOLE_NUMBERS, *SHARES))
# Output formats, the default first, and what stands between their columns; JSON lines have none.
DELIMITERS = {"jsonl": None, "csv": ",", "tsv": "\t"}


@command(short_help="Print the boxes of photos, for scripts.")
@click.argument(
    "paths",
    metavar="[PATH|-]...",
    nargs=-1,
    # A path, so that the shell completes it. An unreadable one is not wrong usage: it fails as a photo, and the others go on.
    type=click.Path(readable=False),
    help="Read these photos and folders of photos; - reads paths from stdin, one a line.",
)
@focus_option
@choosing_options
@candidates_option
@option(
    "--format",
    type=click.Choice(list(DELIMITERS)),
    default=next(iter(DELIMITERS)),
    show_default=True,
    heading=Heading.MAKE,
    help="Print a JSON object for each line, or columns below a header line.",
)
@option(
    "--template",
    metavar="TEXT",
    heading=Heading.MAKE,
    help=f"Print this text for each box, with its fields filled in: {{{'}, {'.join(FIELDS)}}}.",
)
@option(
    "--unordered",
    is_flag=True,
    heading=Heading.MAKE,
    help="Print each photo as soon as it is done. Without this, lines follow the order of the paths.",
)
@option(
    "--null",
    "-0",
    is_flag=True,
    heading=Heading.PHOTOS,
    help="Split the paths on stdin at NUL, as 'find -print0' writes them.",
)
@limits_options
@jobs_option
@device_option
def boxes(
    paths: tuple[str, ...],
    targets: tuple[Target, ...],
    choosing: Choosing,
    limits: Limits,
    candidates: int,
    focus_file: Path | None,
    null: bool,
    format: str,
    template: str | None,
    unordered: bool,
    device: str,
    jobs: int,
) -> int:
    """Print the box chosen for each photo and size, one line each, as soon as it is known. Write no files.

    With several --candidates, a photo has one line for each, the best first. In a --focus file, write paths as they are printed.

    \b
    cropper boxes photos/ --aspect 1:1
    cropper boxes photo.jpg --template '{width}x{height}+{x}+{y}'
    find . -name '*.jpg' -print0 | cropper boxes -0 - --format csv
    """
    from cropper.engine.decision_stream import split, stream
    from cropper.imaging.opencv import libraries_muted
    from cropper.ledger.focus_file import read_focus_file
    from cropper.settings import Settings

    if not paths:
        raise UsageError("no photos given", remedy="give photos, folders of photos, or - to read paths from stdin")

    def given() -> Iterator[str]:
        for path in paths:
            if path == "-":
                yield from split(sys.stdin.buffer, b"\0" if null else b"\n")
            else:
                yield path

    if is_outranked("template", by="format"):
        template = None
    delimiter = DELIMITERS[format] if template is None else None
    line = _template(template) if template is not None else _columns(delimiter) if delimiter else _json
    out = sys.stdout.buffer
    failed = False
    words = read_focus_file(focus_file) if focus_file is not None else None
    choosing = replace(choosing, candidates=candidates)
    settings = Settings(targets, device=device, choosing=choosing, limits=limits)
    try:
        if delimiter:
            _write(out, _joined(FIELDS, delimiter))
        with libraries_muted(), closing(stream(given(), settings, jobs, not unordered, words)) as photos:
            for done in photos:
                if done.error is not None:
                    failed = True
                    say(str(done.error))
                for row in done.rows:
                    text = line(row)
                    if text is not None:
                        _write(out, text)
    except BrokenPipeError:
        # The reader has closed the pipe. Python flushes stdout once more at exit, and would report an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return SOME_FAILED if failed else 0


def _write(out: BinaryIO, text: str) -> None:
    """Write a line and flush it."""
    out.write(text.encode("utf-8", "surrogateescape") + b"\n")
    out.flush()


def _values(row: Row) -> dict[str, str | float | int | None]:
    """Return the fields of a row: texts, numbers, and None for unknown values."""
    values: dict[str, str | float | int | None] = {}
    for name in FIELDS:
        text = getattr(row, name)
        if name in TEXTS:
            values[name] = text
        elif text:
            values[name] = float(text) if name in SHARES else int(text)
        else:
            values[name] = None
    return values


def _json(row: Row) -> str:
    import json

    return json.dumps(_values(row))


def _columns(delimiter: str) -> Callable[[Row], str]:
    return lambda row: _joined([getattr(row, name) for name in FIELDS], delimiter)


def _joined(values: list[str] | tuple[str, ...], delimiter: str) -> str:
    import io

    text = io.StringIO(newline="")
    rows_writer(text, delimiter).writerow(values)
    return text.getvalue().removesuffix("\n")


def _template(template: str) -> Callable[[Row], str | None]:
    """Return a function from a row to its line, or to None for a photo that failed."""
    import string

    try:
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise UsageError(f"the template {template!r} is not valid ({error})", remedy="write {{ and }} for braces") from error
    for name in names:
        if name not in FIELDS:
            raise UsageError(f"the template has an unknown field {{{name}}}", remedy=f"the fields are {', '.join(FIELDS)}")

    def line(row: Row) -> str | None:
        if row.status != "ok":
            return None
        return template.format_map(_values(row))

    try:
        template.format_map({name: "" if name in TEXTS else 1.0 if name in SHARES else 1 for name in FIELDS})
    except (ValueError, LookupError) as error:
        raise UsageError(f"the template {template!r} cannot be filled in ({error})") from error
    return line
