"""A progress bar on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from cropper.cli.options import say


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
