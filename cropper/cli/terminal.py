"""How the command line speaks: exit codes, stdout and stderr, and the progress bar."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cropper.errors import UsageError, printable

if TYPE_CHECKING:
    pass


SOME_FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130  # exit codes


def is_stdout(output: Path) -> bool:
    """Whether a picture goes to stdout, ``-``.

    Raises:
        UsageError: if that is a terminal.
    """
    if str(output) != "-":
        return False
    if sys.stdout.isatty():
        raise UsageError("a picture is nothing for a terminal", remedy="write it to a file with -o, or into a pipe")
    return True


def usable_cores() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def say(message: str) -> None:
    """One line to the user, on stderr, if anybody reads it: a run that lasts does not end because the reader has."""
    try:
        click.echo(f"cropper: {printable(message)}", err=True)
    except BrokenPipeError:
        with open(os.devnull, "w") as nowhere:  # for what waits in Python's buffer too
            os.dup2(nowhere.fileno(), sys.stderr.fileno())


def open_closed_streams() -> None:
    """Have nothing in place of standard streams that were closed, so that no file takes their numbers: libraries print there."""
    for stream in range(3):
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


class Progress:
    """Draws the bar, if there is one.

    Args:
        bar: tqdm's, or None to draw nothing.
    """

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def step(self) -> None:
        """One photo more is done."""
        if self._bar is not None:
            self._bar.update()

    def note(self, **figures: int) -> None:
        """Show figures behind the bar."""
        if self._bar is not None:
            self._bar.set_postfix(**figures)

    def say(self, message: str) -> None:
        """One line to the user, on stderr, above the bar."""
        with self._bar.external_write_mode(sys.stderr) if self._bar is not None else nullcontext():
            say(message)


@contextmanager
def progress(total: Callable[[], int | None], quiet: bool = False) -> Iterator[Progress]:
    """Draw a bar while the body runs, on a terminal and unless quiet.

    Args:
        total: counts the photos, or says None where that costs too much; is asked only where there is a bar.
        quiet: whether to draw none.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield Progress(None)
        return
    from tqdm import tqdm  # takes as long as a small photo

    with tqdm(total=total(), unit=" photos", file=sys.stderr, dynamic_ncols=True) as bar:
        yield Progress(bar)
