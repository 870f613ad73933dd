"""``--report``: what a run did, as JSON lines, one a photo as it leaves; the last one says what the run did as a whole.

The parent process opens the file before it forks, so that every child has it. Where a child dies, the next one goes on behind
the last line that its journal knows of, and each photo has one line.
"""

from __future__ import annotations

import functools
import json
import os
import re
import stat
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import click

from cropper._version import __version__
from cropper.cli.help import Function, given_options, option
from cropper.cli.options.types import LocalPath
from cropper.cli.terminal import check_stdout, drop_unwritten, open_for_lines, unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

    from cropper.engine.job import Done
    from cropper.engine.tally import Counts
    from cropper.ledger.session import Ending
    from cropper.ledger.table import Row

# How the lines of a report begin. A file that begins otherwise is not replaced: it may be a photo.
_BEGINNING = re.compile(rb'{"(path|removed|totals)": ')


def report_option(command: Function) -> Function:
    """Add ``--report``. The command receives ``report``. Put it above ``supervised``, whose children share the file."""

    @functools.wraps(command)
    def with_report(*, report_file: Path | None, **others: Any) -> Any:
        with _opened(report_file) as report:
            return command(report=report, **others)

    return option(
        "--report",
        "report_file",
        metavar="FILE|-",
        type=LocalPath(dir_okay=False, allow_dash=True),
        help="Write the outcome of each photo to this file during the run, as JSON lines, and the totals as the last line; "
        "- writes to stdout.",
    )(with_report)


@dataclass
class Report:
    """A report under way, or none: then nothing is written.

    Attributes:
        stream: where lines go; None for no report.
        path: its name for messages.
        is_file: whether it is a regular file, which can be cut back to its last whole line.
        text: the standard stream that ``stream`` is the buffer of, if any.
        counts: what the run has counted so far; it knows how long the report is.
    """

    stream: BinaryIO | FileIO | None = None
    path: str | Path = ""
    is_file: bool = False
    text: TextIO | None = None
    counts: Counts | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether there is one."""
        return self.stream is not None

    @property
    def is_on_terminal(self) -> bool:
        """Whether its lines appear where a progress bar would be."""
        return self.stream is not None and self.stream.isatty()

    def begin(self, counts: Counts) -> None:
        """Go on behind what an earlier process has counted, or begin anew."""
        self.counts = counts
        if self.is_file and self.stream is not None and counts.reported >= 0:
            self.stream.truncate(counts.reported)

    def add(self, done: Done, say: Callable[[str], None]) -> None:
        """Write the line of a photo, or of a folder that could not be listed; ``say`` once if it cannot be written."""
        if not self.is_wanted or not (done.rows or done.error is not None):
            return
        from cropper.engine.tally import outcome_of
        from cropper.ledger.table import OK

        messages = dict.fromkeys(row.message for row in done.rows if row.message)
        line = {
            "path": done.path if done.rows else f"{done.path}/",
            "outcome": outcome_of(done).value,
            "why": done.error.reason if done.error is not None else "; ".join(messages) or None,
            "seconds": round(done.seconds, 4),
            "outputs": [row.output for row in done.rows if row.output and row.status == OK],
            "written": list(done.written),
            "boxes": [_box_of(row) for row in done.rows if row.x],
        }
        self._write(line, say)

    def add_removed(self, thumbnail: str, say: Callable[[str], None]) -> None:
        """Write the line of a thumbnail, relative to OUT, that was removed; ``say`` once if it cannot be written."""
        if self.is_wanted:
            self._write({"removed": thumbnail}, say)

    def end(
        self,
        run: dict[str, Any],
        exit_code: int,
        say: Callable[[str], None],
        ending: Ending | None = None,
        error: Exception | None = None,
    ) -> None:
        """Write the last line: the totals of the run, what it was, and how it ended.

        Args:
            run: what the run was: the options, IN and OUT, and how long it took.
            exit_code: of the run.
            say: called once if the line cannot be written.
            ending: what a complete run found at its end.
            error: what ended the run early, if anything.
        """
        if not self.is_wanted or self.counts is None:
            return
        line = {
            "totals": self.counts.totals(ending),
            "version": __version__,
            **run,
            "options": given_options(click.get_current_context()),
            "exit_code": exit_code,
            "why": str(error) if error is not None else None,
        }
        self._write(line, say)

    def _write(self, line: dict[str, Any], say: Callable[[str], None]) -> None:
        """Write a line as a whole or, with a message, none: the run goes on without a report then."""
        if self.stream is None or self.counts is None or self.counts.reported < 0:
            return
        data = json.dumps(line).encode() + b"\n"
        try:
            left = memoryview(data)
            while left:  # a file that is almost full takes a part
                left = left[self.stream.write(left) or 0 :]
            self.stream.flush()
            self.counts.reported += len(data)
        except OSError as error:
            if self.is_file:
                self.stream.truncate(self.counts.reported)
            drop_unwritten(self.text)
            self.counts.reported = -1
            say(f"{unwritable(self.path, error)}; the run goes on without this report")


def _box_of(row: Row) -> dict[str, Any]:
    """Return what the table says of a box, but for what the photo's line says anyway."""
    from cropper.cli.lines import values_of

    values = {"output": row.output or None, **values_of(row)}
    return {name: value for name, value in values.items() if name not in ("path", "message")}


@contextmanager
def _opened(path: Path | None) -> Iterator[Report]:
    """Open a report, which is empty until ``begin``. Raises OutputError if it cannot be written, or is a file of another kind."""
    if path is None:
        yield Report()
    elif str(path) == "-":
        check_stdout()
        yield Report(sys.stdout.buffer, "stdout", text=sys.stdout)
    else:
        with open(open_for_lines(path, _BEGINNING), "ab", buffering=0) as stream:
            yield Report(stream, path, stat.S_ISREG(os.fstat(stream.fileno()).st_mode))
