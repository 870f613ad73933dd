"""The command line's messages on stderr, and its progress bar."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from cropper.errors import UsageError, printable


def is_stdout(output: Path) -> bool:
    """Return whether a picture goes to stdout, ``-``.

    Raises:
        UsageError: if stdout is a terminal.
    """
    if str(output) != "-":
        return False
    if sys.stdout.isatty():
        raise UsageError("a terminal cannot show the picture", remedy="write it to a file with -o, or into a pipe")
    return True


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def say(message: str) -> None:
    """Print one line for the user on stderr. If the reader has gone, drop it: a long run must not end for that."""
    try:
        click.echo(f"cropper: {printable(message)}", err=True)
    except BrokenPipeError:
        with open(os.devnull, "w") as nowhere:  # Python's buffer still holds the line
            os.dup2(nowhere.fileno(), sys.stderr.fileno())


def open_closed_streams() -> None:
    """Open closed standard streams on the null device. Otherwise other files get their numbers, and libraries print there."""
    for stream in range(3):
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


class Progress:
    """A progress bar, or nothing where none is drawn.

    Args:
        bar: tqdm's bar, or None to draw nothing.
    """

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def step(self) -> None:
        """Count one more photo as done."""
        if self._bar is not None:
            self._bar.update()

    def note(self, **figures: int) -> None:
        """Show figures behind the bar."""
        if self._bar is not None:
            self._bar.set_postfix(**figures)

    def say(self, message: str) -> None:
        """Print one line for the user on stderr, above the bar."""
        with self._bar.external_write_mode(sys.stderr) if self._bar is not None else nullcontext():
            say(message)


@contextmanager
def progress(total: Callable[[], int | None], quiet: bool = False) -> Iterator[Progress]:
    """Draw a progress bar while the body runs, if stderr is a terminal.

    Args:
        total: counts the photos, or returns None where counting costs too much. Called only if a bar is drawn.
        quiet: whether to draw no bar.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield Progress(None)
        return
    from tqdm import tqdm  # its import takes as long as a small photo

    with tqdm(total=total(), unit=" photos", file=sys.stderr, dynamic_ncols=True) as bar:
        yield Progress(bar)
