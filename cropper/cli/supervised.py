"""A supervisor for ``cropper batch``, where there can be one."""

from __future__ import annotations

import functools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from cropper import supervise
from cropper.cli.options import INTERRUPTED, say
from cropper.supervise import Attempt

if TYPE_CHECKING:
    from cropper.storage import Place

STOPPED = "interrupted; what is finished is on disk, and the same command goes on from there"


def supervised(command: Callable[..., int]) -> Callable[..., int]:
    """Have the command run in a child where that can be: ``attempt`` to the command, and what it is to do.

    All that loads a library has to be below it.
    """

    @functools.wraps(command)
    def with_supervisor(
        *, source: Place, out: Place, focus_file: Path | None, deadline: float, quiet: bool, **others: Any
    ) -> int:
        others = {**others, "source": source, "out": out, "quiet": quiet}
        if not supervise.possible():
            return command(attempt=Attempt(), focus_file=focus_file, **others)
        if focus_file is not None and not focus_file.is_file():  # a pipe, which gives what it has but once
            kept = os.memfd_create("focus")
            with open(kept, "wb", closefd=False) as copy:
                copy.write(focus_file.read_bytes())
            focus_file = Path(f"/proc/self/fd/{kept}")

        def work(attempt: Attempt) -> int:
            if scratch is not None:
                _use_scratch(scratch)
            return command(attempt=attempt, focus_file=focus_file, **others)

        def tell(message: str) -> None:
            if sys.stderr.isatty():
                click.echo("\r\x1b[K", nl=False, err=True)  # the bar of the one that died
            if not quiet:
                say(message)

        # Of an OUT in a storage a child keeps a ledger here, which stays behind where it dies.
        with nullcontext() if isinstance(out, Path) else TemporaryDirectory(prefix="cropper-") as scratch:
            try:
                return supervise.supervise(work, source, deadline, tell)
            except KeyboardInterrupt:
                say(STOPPED)
                return INTERRUPTED

    option = click.option(
        "--deadline",
        metavar="SECONDS",
        type=click.FloatRange(0),
        default=120,
        show_default=True,
        help="A photo whose pixels take longer fails; 0 for no limit. On Linux only.",
    )
    return option(with_supervisor)


def _use_scratch(folder: str) -> None:
    """Have temporary files go to a folder, after what the last process left there has gone."""
    tempfile.tempdir = folder
    for name in os.listdir(folder):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
