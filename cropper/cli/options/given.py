"""What a command is to read: a folder, a URL, or a list of photos and folders, as arguments or on stdin."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from cropper.cli.help import Function, Heading, add_options, option
from cropper.cli.options.types import Where
from cropper.cli.terminal import reading_stdin
from cropper.errors import UsageError

if TYPE_CHECKING:
    from cropper.storage.places import Place

STDIN = "-"

null_option = option(
    "--null",
    "-0",
    is_flag=True,
    heading=Heading.PHOTOS,
    help="Split the paths on stdin at NUL, as 'find -print0' writes them.",
)


def given_paths(paths: Iterable[str], null: bool) -> Iterator[str]:
    """Yield the paths that a user gives, those on stdin in the place of ``-``, each as soon as it is known.

    Args:
        paths: the arguments.
        null: whether NUL ends the paths on stdin, rather than a line break.

    Raises:
        UsageError: if stdin cannot be read, or is not a list of paths.
    """
    from cropper.storage.listed import split

    for path in paths:
        if path != STDIN:
            yield path
            continue
        with reading_stdin():
            for listed in split(sys.stdin.buffer, b"\0" if null else b"\n"):
                if "\0" in listed:
                    raise UsageError("stdin is not a list of paths, one a line", remedy="add -0 if NUL ends each path")
                yield listed


def nothing_on_stdin() -> UsageError:
    """Return the error for ``--null`` without a ``-`` that it is about."""
    return UsageError("-0 splits the paths on stdin, and no - says to read them", remedy="add - as a path")


def sources_argument(command: Function) -> Function:
    """Add IN, a folder or a list of photos and folders, and ``--null``. The command receives ``source``."""

    @functools.wraps(command)
    def with_source(*, sources: tuple[Any, ...], null: bool, out: Place, moved: bool, **others: Any) -> Any:
        if null and STDIN not in sources:
            raise nothing_on_stdin()
        if not sources:  # the one argument that was given is IN, and not OUT, as it stands last
            raise click.MissingParameter(ctx=click.get_current_context(), param=_parameter("out"))
        return command(source=_source(sources, null, out, moved), out=out, moved=moved, **others)

    argument = click.argument(
        "sources",
        metavar="IN...",
        nargs=-1,
        type=Where(exists=False, file_okay=True, or_dash=True),
        help="Read photos from this folder or URL; or list photos and folders of photos. - reads paths from stdin, one a line.",
    )
    return add_options(argument)(null_option(with_source))


def _source(sources: tuple[Any, ...], null: bool, out: Place, moved: bool) -> Place:
    """Return the folder IN: the one that was given, or the one that the given photos are a part of."""
    if len(sources) == 1 and sources[0] != STDIN:
        (only,) = sources
        if only.is_remote or only.local_path.is_dir():
            return only
        if not os.path.lexists(only):
            raise click.BadParameter(f"{str(only)!r} does not exist.", click.get_current_context(), _parameter("sources"))
    from cropper.ledger.source import made_from
    from cropper.storage.listed import listed

    if any(source != STDIN and source.is_remote for source in sources):
        raise UsageError("a URL can be IN alone, not one of a list", remedy="run once for each URL, each with an OUT of its own")
    paths = given_paths((str(source) for source in sources), null)
    return listed(paths, made_from(out) if not moved else None)


def _parameter(name: str) -> click.Parameter:
    return next(param for param in click.get_current_context().command.params if param.name == name)
