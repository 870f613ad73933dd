"""``cropper boxes``: print decisions, for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cropper.cli.exit_codes import SOME_FAILED
from cropper.cli.help import Heading, command, option
from cropper.cli.lines import FIELDS, TEMPLATE_FIELDS, as_json, columns, joined
from cropper.cli.lines import template as line_of
from cropper.cli.options.given import STDIN, given_paths, nothing_on_stdin, null_option
from cropper.cli.options.settings import animated_option, choosing_options
from cropper.cli.options.shared import (
    candidates_option,
    device_option,
    focus_option,
    is_given,
    is_outranked,
    jobs_option,
    limits_options,
    one_option,
    raw_option,
    selection_options,
)
from cropper.cli.options.types import Choice
from cropper.cli.terminal import put, say, tell
from cropper.errors import PhotoError, UsageError
from cropper.settings import NO_SIDECAR, XMP

if TYPE_CHECKING:
    from cropper.engine.job import Done
    from cropper.settings import Choosing, Limits, Target
    from cropper.storage.patterns import Selection

JSON = "json"
# Output formats, the default first, and what stands between their columns; those without columns have none.
DELIMITERS = {"jsonl": None, JSON: None, "csv": ",", "tsv": "\t", XMP: None}


def sidecar_text(done: Done) -> Iterator[str]:
    """Yield the XMP sidecar of a photo without its last line end; nothing if no crop of it is good."""
    from cropper.engine.sidecar import sidecar_of

    data = sidecar_of(done.rows, done.orientation)
    if data is not None:
        yield data.decode().removesuffix("\n")


@command()
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
@one_option
@candidates_option
@animated_option
@option(
    "--format",
    type=Choice(list(DELIMITERS)),
    default=next(iter(DELIMITERS)),
    show_default=True,
    heading=Heading.MAKE,
    found=True,
    help="Print a JSON object in each line, one JSON array of these objects, columns below a header line, or the "
    "XMP sidecar of each photo. The objects have all fields of --template.",
)
@option(
    "--template",
    metavar="TEXT",
    heading=Heading.MAKE,
    found=True,
    help=f"Print this text for each box, with its fields filled in: {{{'}, {'.join(TEMPLATE_FIELDS)}}}. Write {{{{ and "
    "}} for braces of your own, as in JSON.",
)
@option(
    "--print0",
    is_flag=True,
    heading=Heading.MAKE,
    help="End each line with NUL instead of a line break, so that a name may have one. Without this, a name with one fails its "
    "photo where a template prints it.",
)
@option(
    "--unordered",
    is_flag=True,
    heading=Heading.MAKE,
    found=True,
    help="Print each photo as soon as it is done. Without this, lines follow the order of the paths.",
)
@null_option
@selection_options
@raw_option
@limits_options
@jobs_option
@device_option
def boxes(
    paths: tuple[str, ...],
    targets: tuple[Target, ...],
    choosing: Choosing,
    limits: Limits,
    selection: Selection,
    one: bool,
    candidates: int,
    animated: str,
    focus_file: Path | None,
    null: bool,
    format: str,
    template: str | None,
    print0: bool,
    raw: str,
    unordered: bool,
    device: str,
    jobs: int,
) -> int:
    """Print the box chosen for each photo and size, one line each, as soon as it is known. Write no files.

    With several --candidates, a photo has one line for each, the best first. In a --focus file, write paths as they are printed.

    \b
    cropper boxes photos/ --aspect 1:1
    cropper boxes photo.jpg --template '{width}x{height}+{x}+{y}'
    cropper boxes photos/ --print0 --template '{width}x{height}+{x}+{y} {path}'
    find . -name '*.jpg' -print0 | cropper boxes -0 - --format csv
    """
    from cropper.engine.decision_stream import stream
    from cropper.engine.tally import LeftOutCounts, outs_left_out, unread
    from cropper.imaging.opencv import libraries_muted
    from cropper.ledger.focus_file import Gifts
    from cropper.settings import Settings

    if not paths:
        raise UsageError("no photos given", remedy="give photos, folders of photos, or - to read paths from stdin")

    if null and STDIN not in paths:
        raise nothing_on_stdin()
    if is_outranked("template", by="format"):
        template = None
    elif template is not None and is_given("format") and not is_outranked("format", by="template"):
        raise UsageError("--template and --format contradict each other", remedy="give one of them")
    delimiter = DELIMITERS[format] if template is None else None
    line = line_of(template, not print0) if template is not None else columns(delimiter) if delimiter else as_json
    is_array = template is None and format == JSON
    if is_array and print0:
        raise UsageError("--print0 ends lines, and --format json prints one array", remedy="leave out one of them")
    end = "" if is_array else "\0" if print0 else "\n"
    begin = "[\n" if is_array else ""  # of the next line
    failed = False
    first_out, outs = "", 0
    left_out = LeftOutCounts()
    kinds: Counter[str] = Counter()
    words = Gifts.of_file(focus_file)
    choosing = replace(choosing, candidates=candidates)
    sidecar = XMP if template is None and format == XMP else NO_SIDECAR
    settings = Settings(targets, device=device, choosing=choosing, limits=limits, one=one, animated=animated, sidecar=sidecar)
    try:
        if delimiter:
            put((joined(FIELDS, delimiter) + end).encode())
        with (
            libraries_muted(),
            closing(stream(given_paths(paths, null), settings, jobs, not unordered, words, selection, raw)) as photos,
        ):
            for done in photos:
                kinds.update(dict(done.kinds))
                if done.is_out:
                    first_out, outs = first_out or done.path, outs + 1
                left_out.add(done.left_out)
                if done.error is not None:
                    failed = True
                    say(str(done.error))
                try:
                    for text in map(line, done.rows) if sidecar == NO_SIDECAR else sidecar_text(done):
                        if text is not None:
                            put((begin + text + end).encode("utf-8", "surrogateescape"))
                            begin = ",\n" if is_array else ""
                except PhotoError as error:
                    failed = True
                    say(str(error))
        if is_array:
            put("[]\n" if begin.startswith("[") else "\n]\n")
        for needed in unread(kinds):
            say(needed)
        if outs:
            tell(outs_left_out(first_out, outs))
        if parts := left_out.parts():
            tell("; ".join(parts))
    except BrokenPipeError:
        pass  # who reads may stop at any time
    return SOME_FAILED if failed else 0
