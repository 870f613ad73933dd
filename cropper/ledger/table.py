"""The table ``boxes.csv``: one row per photo and size. It is a report, written whole from the state; only people and other tools
read it, and the commands that take a table: ``--focus``, ``sheet``, ``review`` and ``ledger merge``.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cropper.errors import OutputError
from cropper.storage.atomic import replacing, synced
from cropper.storage.light import light_dataclass

if TYPE_CHECKING:  # loads numpy, and a supervisor must not
    from cropper.geometry import Box

TABLE_NAME = "boxes.csv"
# A character that no field holds: bytes of a name that are not UTF-8 become other surrogates.
NEVER_IN_TEXT = "\udfff"

OK, SKIPPED, FAILED = "ok", "skipped", "failed"


@light_dataclass(frozen=True)
class Row:
    """One row, as text. ``path`` and ``output`` are relative to IN and OUT and ``/``-separated.

    ``candidate`` counts the rows of a photo and a size from 1, the best crop. Older tables lack it.
    """

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
    output_width: str = ""
    output_height: str = ""
    candidate: str = ""

    @property
    def is_best(self) -> bool:
        """Whether it is the best crop of its photo and size, behind which further candidates may follow."""
        return self.candidate in ("", "1")


HEADER = tuple(field.name for field in fields(Row))
# Columns that hold numbers; the others hold text.
WHOLE_NUMBERS = (
    "image_width",
    "image_height",
    "x",
    "y",
    "width",
    "height",
    "focus_x",
    "focus_y",
    "heads_cut",
    "output_width",
    "output_height",
    "candidate",
)
SHARES = ("kept", "subject_kept")
# The first columns are a contract. Older tables have these alone, or some of today's, or the photo's version at the end.
_FIRST_COLUMNS = HEADER[: HEADER.index("message") + 1]
VERSION = "version"


def decided_row(
    path: str,
    output: str,
    status: str,
    image_size: tuple[int, int],
    size: str,
    box: Box,
    message: str = "",
    output_size: tuple[int, int] | None = None,
    candidate: int = 1,
) -> Row:
    """Return the row of a photo whose box is chosen. Without a thumbnail, ``output`` is empty and ``output_size`` is None."""
    width, height = output_size or ("", "")
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
        output_width=str(width),
        output_height=str(height),
        candidate=str(candidate),
    )


def skipped_row(path: str, image_size: tuple[int, int], size: str, message: str, candidate: int = 1) -> Row:
    """Return the row of a photo that has no such box, and so no thumbnail; ``message`` says why."""
    numbers = str(image_size[0]), str(image_size[1])
    return Row(path, "", SKIPPED, *numbers, size, message=message, candidate=str(candidate))


def failed_row(path: str, size: str, message: str, candidate: int = 1) -> Row:
    """Return the row of a photo that has no thumbnail; ``message`` says why."""
    return Row(path, "", FAILED, size=size, message=message, candidate=str(candidate))


def read_rows(path: Path) -> Iterator[Row]:
    """Read the rows of a table as a stream. A missing file has no rows. A torn last row is left out.

    Raises:
        OutputError: if the file is there but is not a table that cropper wrote.
    """
    for line in read_lines(path):
        yield Row(*line)


def read_lines(path: Path) -> Iterator[list[str]]:
    """Read the rows of a table as lists of texts, in today's columns. Raises the errors of ``read_rows``."""
    for line, _ in read_versioned(path):
        yield line


def read_versioned(path: Path) -> Iterator[tuple[list[str], str]]:
    """Read the rows of a table, and the version of the photo in each, which tables of a bucket once had; else empty."""
    try:
        # Bytes in a name that are not UTF-8 come back as they were. A spreadsheet may have added a byte order mark.
        file = path.open(newline="", encoding="utf-8-sig", errors="surrogateescape")
    except FileNotFoundError:
        return
    with file:
        found = csv.reader(file)
        try:
            columns = tuple(next(found, ()))
            if not columns:
                return
            extra = columns[len(_FIRST_COLUMNS) :]
            if columns[: len(_FIRST_COLUMNS)] != _FIRST_COLUMNS or not set(extra) <= {*HEADER, VERSION}:
                reason = "is there already and is not a table that cropper wrote"
                raise OutputError(reason, path=path, remedy="run 'cropper batch' again if it did, else move it away")
            is_whole = columns == HEADER
            for line in found:
                if len(line) == len(columns) and line[2] in (OK, SKIPPED, FAILED):
                    named = {} if is_whole else dict(zip(columns, line, strict=True))
                    yield line if is_whole else [named.get(column, "") for column in HEADER], named.get(VERSION, "")
        except csv.Error as error:
            reason = f"is not a table from line {found.line_num} on ({error})"
            raise OutputError(reason, path=path, remedy="run 'cropper batch' again if it did, else move it away") from error


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
    # Before Python 3.11, a writer without an escape character takes NUL for it, and refuses a field that holds one.
    escape = NEVER_IN_TEXT if sys.version_info < (3, 11) else None
    return csv.writer(_WithLineFeeds(file), delimiter=delimiter, escapechar=escape)


def write_table(lines: Iterable[Iterable[str]], path: Path, temporary: Path | None = None) -> int:
    """Write rows as a table, completely or not at all, and synced to the disk. Returns their number.

    Args:
        lines: the rows, as lists of texts in today's columns.
        path: the file.
        temporary: its name until it is whole, on the same file system; None for one beside it.

    Raises:
        OSError: if it cannot be written.
    """
    count = 0

    def write(file: TextIO) -> None:
        nonlocal count
        writer = rows_writer(file)
        writer.writerow(HEADER)
        for line in lines:
            writer.writerow(line)
            count += 1

    write_text(path, write, temporary)
    return count


def write_text(path: Path, write: Callable[[TextIO], None], temporary: Path | None = None) -> None:
    """Write a file of text as ``write_table`` does. Raises OSError if it cannot be written."""
    with (
        replacing(path, temporary or path.with_name(f".cropper-{os.getpid()}.new")) as new,
        new.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        write(file)
        file.flush()
        synced(file.fileno())
