"""The table ``boxes.csv``: one row per photo and size, read and written as a stream.

A row is with the system before its photo counts as done, so it outlives the process.
"""

from __future__ import annotations

import csv
import errno
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cropper.errors import OutputError
from cropper.storage.places import order

if TYPE_CHECKING:  # loads numpy, and a supervisor must not
    from cropper.geometry import Box

OK, SKIPPED, FAILED = "ok", "skipped", "failed"


@dataclass(frozen=True)
class Row:
    """One row, as text. ``path`` and ``output`` are relative to IN and OUT and ``/``-separated."""

    path: str
    output: str
    status: str
    image_width: str = ""
    image_height: str = ""
    size: str = ""
    x: str = ""
    y: str = ""
    width: str = ""
    height: str = ""
    focus_x: str = ""
    focus_y: str = ""
    kept: str = ""
    message: str = ""
    subject_kept: str = ""
    heads_cut: str = ""
    version: str = ""  # the photo's; only in the ledger of a bucket, never in boxes.csv


VERSIONED = tuple(field.name for field in fields(Row))
HEADER = VERSIONED[:-1]
# Columns that hold numbers; the others hold text.
WHOLE_NUMBERS = ("image_width", "image_height", "x", "y", "width", "height", "focus_x", "focus_y", "heads_cut")
SHARES = ("kept", "subject_kept")
# The columns of ledgers from before boxes said what they cut.
_FIRST_COLUMNS = HEADER[: HEADER.index("message") + 1]
SIZE_COLUMN = HEADER.index("size")


# All headers that a ledger may have.
_HEADERS = (HEADER, VERSIONED, _FIRST_COLUMNS, (*_FIRST_COLUMNS, VERSIONED[-1]))


def _widened(line: list[str]) -> list[str]:
    """Return a row of an older ledger with today's columns; the newer ones are empty."""
    old = len(_FIRST_COLUMNS)
    return line[:old] + [""] * (len(HEADER) - old) + line[old:]


def as_wide(line: list[str], header: tuple[str, ...]) -> list[str]:
    """Return a row with as many columns as a header: drops the version, or adds an empty one."""
    return line[: len(header)] + [""] * (len(header) - len(line))


def decided_row(path: str, output: str, status: str, image_size: tuple[int, int], size: str, box: Box, message: str = "") -> Row:
    """Return the row of a photo that has its box. ``output`` is empty if there is none."""
    return Row(
        path=path,
        output=output,
        status=status,
        image_width=str(image_size[0]),
        image_height=str(image_size[1]),
        size=size,
        x=str(box.x),
        y=str(box.y),
        width=str(box.width),
        height=str(box.height),
        focus_x=str(box.focus[0]),
        focus_y=str(box.focus[1]),
        kept=f"{box.kept:.4f}",
        message=message,
        subject_kept="" if box.subject_kept is None else f"{box.subject_kept:.4f}",
        heads_cut="" if box.heads_cut is None else str(box.heads_cut),
    )


def failed_row(path: str, size: str, message: str) -> Row:
    """Return the row of a photo that has no thumbnail; ``message`` says why."""
    return Row(path, "", FAILED, size=size, message=message)


def read_rows(path: Path) -> Iterator[Row]:
    """Read the rows of a ledger as a stream; none if there is no file. Leaves out a torn last row.

    Raises:
        OutputError: if the file is there but is not a ledger.
    """
    for line in read_lines(path):
        yield Row(*line)


def read_lines(path: Path, only_ended: bool = False) -> Iterator[list[str]]:
    """Read the rows of a ledger as lists of texts, in today's columns.

    ``only_ended`` leaves out a row without its line end, as a kill leaves one.
    """
    try:
        # Bytes in a name that are not UTF-8 come back as they were. A spreadsheet may have added a byte order mark.
        file = path.open(newline="", encoding="utf-8-sig", errors="surrogateescape")
    except FileNotFoundError:
        return
    with file:
        found = csv.reader(line for line in file if line.endswith("\n")) if only_ended else csv.reader(file)
        try:
            header = next(found, None)
            columns = tuple(header or ())
            if header is not None and columns not in _HEADERS:
                reason = "is there already and is not a ledger that cropper wrote"
                raise OutputError(reason, path=path, remedy="move it away or choose another OUT")
            for line in found:
                if header is not None and len(line) == len(header) and line[2] in (OK, SKIPPED, FAILED):
                    yield _widened(line) if columns[: len(HEADER)] != HEADER else line
        except csv.Error as error:
            reason = f"is not a ledger from line {found.line_num} on ({error})"
            raise OutputError(reason, path=path, remedy="move it away or choose another OUT") from error


@dataclass(frozen=True)
class _WithLineFeeds:
    """Takes each row that csv writes, with CR LF behind it, and writes it with LF alone."""

    file: TextIO

    def write(self, line: str) -> int:
        return self.file.write(line[:-2] + "\n")


def rows_writer(file: TextIO, delimiter: str = ",") -> Any:
    """Return a writer of csv whose rows end with LF.

    csv's own ``lineterminator="\\n"`` will not do: older versions of Python then write a CR within a field without quotes, and
    readers end the row there.

    Args:
        file: takes the text. Open it with ``newline=""``, or the CR within a field is lost.
        delimiter: what stands between the columns.
    """
    return csv.writer(_WithLineFeeds(file), delimiter=delimiter)


class Writer:
    """Appends rows to a new ledger file. The system has a photo's rows when ``append`` returns."""

    def __init__(self, path: Path, header: tuple[str, ...] = HEADER) -> None:
        self._path = path
        self._values_of = attrgetter(*header)
        self._file = path.open("wb", buffering=0)
        self._end = 0  # in bytes, of the last whole row
        self._write([header])

    def append(self, rows: Iterable[Row]) -> None:
        """Write some rows, such as those of one photo: all of them or none.

        Raises:
            OSError: if they cannot be written, or the file was moved or removed.
        """
        self._write(map(self._values_of, rows))
        # The system takes rows even for a file that is removed, and nobody could read them.
        if not os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno())):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(self._path))

    def close(self) -> None:
        """Write the file to the disk and close it."""
        with self._file:
            os.fsync(self._file.fileno())

    def _write(self, lines: Iterable[Iterable[str]]) -> None:
        text = io.StringIO(newline="")
        rows_writer(text).writerows(lines)
        data = text.getvalue().encode("utf-8", "surrogateescape")
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            # Half a row would spoil the next one.
            with suppress(OSError):
                self._file.truncate(self._end)
                self._file.seek(self._end)
            raise
        self._end += len(data)


class Previous:
    """The rows of earlier runs, read as a stream: ask for photos in the order of the walk."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._groups = ((path, tuple(group)) for path, group in groupby(rows, key=lambda row: row.path))
        self._next = next(self._groups, None)

    def of(self, path: str) -> tuple[Row, ...]:
        """Return the rows of a photo. Each call must ask for a later photo than the last; rows that were passed are gone."""
        while self._next is not None and order(self._next[0]) < order(path):
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != path:
            return ()
        rows = self._next[1]
        self._next = next(self._groups, None)
        return rows
