"""``cropper boxes``: decisions only, for pipelines."""

from __future__ import annotations

import csv
import io
import json
import os
import string
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from cropper.cli.options import (
    candidates_option,
    choosing_options,
    device_option,
    fast_option,
    focus_option,
    is_outranked,
    jobs_option,
    limits_options,
)
from cropper.cli.terminal import SOME_FAILED, say
from cropper.errors import UsageError

if TYPE_CHECKING:
    from cropper.ledger.table import Row
    from cropper.settings import Choosing, Limits, Target

# Of a ledger's row, what is known without an output folder.
FIELDS = (
    *("path", "status", "image_width", "image_height", "size"),
    *("x", "y", "width", "height", "focus_x", "focus_y", "kept", "message"),
)
TEXTS = ("path", "status", "size", "message")
# Output formats, the default first, and what stands between their columns; JSON lines have none.
DELIMITERS = {"jsonl": None, "csv": ",", "tsv": "\t"}


@click.command(short_help="Print the boxes of photos, for scripts.")
# A path for the shell to complete. One that cannot be read is a photo that fails, as those on stdin are, and stops no other.
@click.argument("paths", metavar="[PATH|-]...", nargs=-1, type=click.Path(readable=False))
@choosing_options
@candidates_option
@fast_option
@limits_options
@focus_option
@click.option("--null", "-0", is_flag=True, help="Paths on stdin end with NUL, as those of 'find -print0' do.")
@click.option(
    "--format",
    type=click.Choice(list(DELIMITERS)),
    default=next(iter(DELIMITERS)),
    show_default=True,
    help="Of a line: a JSON object, or columns after a header.",
)
@click.option("--template", metavar="TEXT", help=f"A line of your own, of {{{'}, {'.join(FIELDS)}}}.")
@click.option("--unordered", is_flag=True, help="The fastest first, not in the order of the paths.")
@device_option
@jobs_option
def boxes(
    paths: tuple[str, ...],
    targets: tuple[Target, ...],
    choosing: Choosing,
    limits: Limits,
    model: Path | None,
    candidates: int,
    focus_file: Path | None,
    null: bool,
    format: str,
    template: str | None,
    unordered: bool,
    device: str,
    jobs: int,
) -> int:
    """Print which box is chosen for each photo and size, a line each, as soon as it is known. Nothing is written.

    PATHs are photos, folders of photos, or - for a list of such paths on stdin, one a line. With several --candidates a photo has
    a line for each, the best first. Photos in a --focus file are found by the paths as they are printed.

    \b
    cropper boxes photos/ --aspect 1:1
    find . -name '*.jpg' -print0 | cropper boxes -0 - --format csv
    cropper boxes photo.jpg --aspect 1:1 --template '{width}x{height}+{x}+{y}'
    """
    from cropper.engine.decisions import split, stream
    from cropper.imaging.opencv import libraries_muted
    from cropper.ledger.focus_file import read_focus_file
    from cropper.settings import Settings

    if not paths:
        raise UsageError("there are no photos to look at", remedy="give photos, folders, or - for a list of them on stdin")

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
    settings = Settings(targets, model=model, device=device, choosing=choosing, limits=limits)
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
        # Whoever read has enough. Python would flush once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return SOME_FAILED if failed else 0


def _write(out: BinaryIO, text: str) -> None:
    """A line that leaves at once."""
    out.write(text.encode("utf-8", "surrogateescape") + b"\n")
    out.flush()


def _values(row: Row) -> dict[str, str | float | int | None]:
    """A number where there is one, None for what is not known."""
    values: dict[str, str | float | int | None] = {}
    for name in FIELDS:
        text = getattr(row, name)
        if name in TEXTS:
            values[name] = text
        elif text:
            values[name] = float(text) if name == "kept" else int(text)
        else:
            values[name] = None
    return values


def _json(row: Row) -> str:
    return json.dumps(_values(row))


def _columns(delimiter: str) -> Callable[[Row], str]:
    return lambda row: _joined([getattr(row, name) for name in FIELDS], delimiter)


def _joined(values: list[str] | tuple[str, ...], delimiter: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(values)
    return text.getvalue()


def _template(template: str) -> Callable[[Row], str | None]:
    """What makes a line of a row; none of a photo that failed."""
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise UsageError(f"the template {template!r} is not one ({error})", remedy="write {{ and }} for braces") from error
    for name in names:
        if name not in FIELDS:
            raise UsageError(f"the template has an unknown field {{{name}}}", remedy=f"known are {', '.join(FIELDS)}")

    def line(row: Row) -> str | None:
        if row.status != "ok":
            return None
        return template.format_map(_values(row))

    try:
        template.format_map({name: "" if name in TEXTS else 1.0 if name == "kept" else 1 for name in FIELDS})
    except (ValueError, LookupError) as error:
        raise UsageError(f"the template {template!r} cannot be filled in ({error})") from error
    return line
