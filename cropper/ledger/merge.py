"""Merge ledgers into one, in the order of the walk, row by row: memory does not grow with the rows."""

from __future__ import annotations

import heapq
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

from cropper.errors import DependencyError, UsageError, printable
from cropper.extras import install_command
from cropper.ledger.table import HEADER, SHARES, WHOLE_NUMBERS, read_lines, write_table, write_text
from cropper.storage.atomic import make_folder_of, replacing
from cropper.storage.places import order

# Files open at once. Some systems allow 256.
_AT_ONCE = 100
# Rows in one row group of a Parquet file.
_ROW_GROUP = 50_000
# How names of tables may end.
CSV, JSONL, PARQUET = ".csv", ".jsonl", ".parquet"

Line = list[str]


def kind_of(name: str) -> str:
    """Return which kind of table a file's name asks for: ``CSV``, ``JSONL`` or ``PARQUET``.

    Raises:
        UsageError: if it asks for none of them.
    """
    kind = PurePath(name).suffix.lower()
    if kind not in (CSV, JSONL, PARQUET):
        reason = "the name does not say what kind of table to write"
        raise UsageError(reason, path=name, remedy=f"end it in {CSV}, {JSONL} or {PARQUET}")
    return kind


def merge_tables(parts: Sequence[Path], to: Path) -> int:
    """Merge ledgers into one file, and return its number of rows.

    Args:
        parts: ledgers, each in the order of the walk, no two with rows of the same photo. No parts give an empty ledger.
        to: the file to write, whose folder is made if it is not there: Parquet if its name ends with ``.parquet``, JSON lines
            if it ends with ``.jsonl``, else a CSV as one run would have written it.

    Raises:
        UsageError: if a part is not there, is not in the order of the walk, or shares a photo with another part.
        OutputError: if a part is not a ledger.
        DependencyError: if a Parquet file is asked for and pyarrow is not installed.
        OSError: if the file cannot be written.
    """
    for part in parts:
        if not part.is_file():
            raise UsageError("there is no such ledger", path=part)
    make_folder_of(to)
    count = 0

    def counted(lines: Iterator[Line]) -> Iterator[Line]:
        nonlocal count
        for line in lines:
            count += 1
            yield line

    with TemporaryDirectory(prefix="cropper-merge-") as scratch:
        files = list(parts)
        for level in range(len(parts)):
            if len(files) <= _AT_ONCE:
                break
            groups = [files[first : first + _AT_ONCE] for first in range(0, len(files), _AT_ONCE)]
            files = [Path(scratch) / f"{level}-{number}.csv" for number in range(len(groups))]
            for group, file in zip(groups, files, strict=True):
                write_table(_merged(group), file)
        merged = counted(_merged(files))
        if to.suffix.lower() == PARQUET:
            _write_parquet(merged, to)
        elif to.suffix.lower() == JSONL:
            write_text(to, lambda file: file.writelines(_as_json(line) for line in merged))
        else:
            write_table(merged, to)
    return count


def _merged(files: Sequence[Path]) -> Iterator[Line]:
    last: tuple[str, int] | None = None  # the last row's path, and the number of its file
    for _, number, line in heapq.merge(*(_keyed(file, number) for number, file in enumerate(files)), key=lambda item: item[:2]):
        if last is not None and last[0] == line[0] and last[1] != number:
            reason = f"has rows of {printable(line[0])}, as {printable(files[last[1]])} does"
            raise UsageError(reason, path=files[number], remedy="give ledgers that share no photo, each once")
        last = line[0], number
        yield line


def _keyed(file: Path, number: int) -> Iterator[tuple[list[tuple[bool, str]], int, Line]]:
    path: str | None = None
    key: list[tuple[bool, str]] | None = None
    for line in read_lines(file):
        if line[0] != path:
            before, path, key = key, line[0], order(line[0])
            if before is not None and key < before:
                remedy = "give it as cropper wrote it"
                raise UsageError(
                    f"is not in the order of the walk: {printable(line[0])} comes too late", path=file, remedy=remedy
                )
        assert key is not None
        yield key, number, line


def _write_parquet(lines: Iterator[Line], path: Path) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise DependencyError("a Parquet file needs pyarrow", remedy=f"run: {install_command('parquet')}") from error

    def type_of(column: str) -> Any:
        return pa.int64() if column in WHOLE_NUMBERS else pa.float64() if column in SHARES else pa.string()

    schema = pa.schema([(column, type_of(column)) for column in HEADER])
    with replacing(path, path.with_name(f".cropper-{os.getpid()}.new")) as new, parquet.ParquetWriter(new, schema) as writer:
        while group := list(islice(lines, _ROW_GROUP)):
            columns = zip(*group, strict=True)
            values = {name: [_value(name, text) for text in texts] for name, texts in zip(HEADER, columns, strict=True)}
            writer.write_table(pa.table(values, schema))


def _value(column: str, text: str) -> str | int | float | None:
    """Convert a text for Parquet: an empty number is missing, and bytes that are not UTF-8 are escaped."""
    if column in (*WHOLE_NUMBERS, *SHARES):
        return _number(column, text)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _as_json(line: Line) -> str:
    """Return a row as a line of JSON, as ``cropper boxes`` prints it: an empty number is null."""
    numbers = (*WHOLE_NUMBERS, *SHARES)
    row = zip(HEADER, line, strict=True)
    return json.dumps({column: _number(column, text) if column in numbers else text for column, text in row}) + "\n"


def _number(column: str, text: str) -> int | float | None:
    with suppress(ValueError, OverflowError):
        number = int(text) if column in WHOLE_NUMBERS else float(text)
        return number if math.isfinite(number) else None
    return None
