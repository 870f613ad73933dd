"""Read the photos of a state, page by page in the order of the walk, so that memory does not grow with their number."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any

from cropper.ledger.changes import Change
from cropper.ledger.database import decoded
from cropper.ledger.table import HEADER, SHARES, WHOLE_NUMBERS, Row
from cropper.storage.places import Trace, Version

# Photos in a page.
PAGE = 1000

# The columns of a decision. The photo has the path, and the order tells the candidate.
COLUMNS = tuple(name for name in HEADER if name not in ("path", "candidate"))
NAMES = ("output", "message")  # may hold any name, so they are bytes there
_PLACES = tuple(map(COLUMNS.index, NAMES))
_SIZE = COLUMNS.index("size")


def _as_text(column: str) -> str:
    """Return SQL for a column as it stands in the table: numbers as text, nothing as an empty text."""
    if column in SHARES:
        return f"CASE WHEN d.{column} IS NULL THEN '' ELSE printf('%.4f', d.{column}) END"
    return f"COALESCE(CAST(d.{column} AS TEXT), '')" if column in WHOLE_NUMBERS else f"COALESCE(d.{column}, '')"


_ROW = ", ".join(map(_as_text, COLUMNS))
_PHOTOS = f"""SELECT key, path, size, modified_ns, changed_ns, version, digest, late, setting, run FROM photo
    WHERE key >= ? AND key < ? ORDER BY key LIMIT {PAGE}"""
_DECISIONS = f"""SELECT d.photo, o.photo, o.bytes, o.modified_ns, o.digest, o.earlier, {_ROW} FROM decision d
    LEFT JOIN output o ON o.path = d.output WHERE d.photo >= ? AND d.photo <= ? ORDER BY d.photo, d.number"""
_TABLE = f"SELECT p.path, {_ROW} FROM photo p JOIN decision d ON d.photo = p.key ORDER BY p.key, d.number"
# Before the key of every photo, and behind it.
FIRST, END = b"", b"\xff"


def changes_in(
    connection: sqlite3.Connection, first: bytes = FIRST, end: bytes = END
) -> Iterator[tuple[bytes, Change, int | None, int | None]]:
    """Yield the photos with keys from ``first`` up to ``end``, which is not one of them, page by page, so that no change disturbs
    the reader: the key of each, what became of it last, and the numbers of its settings and of its run.
    """
    while page := connection.execute(_PHOTOS, (first, end)).fetchall():
        last = page[-1][0]
        decisions: dict[bytes, list[tuple[Any, ...]]] = {}
        for decision in connection.execute(_DECISIONS, (first, last)):
            decisions.setdefault(decision[0], []).append(decision)
        for key, path, size, modified_ns, changed_ns, version, digest, late, setting, run in page:
            name = decoded(path)
            rows: list[Row] = []
            written: list[tuple[str, Trace]] = []
            sizes = Counter[str]()
            for _, photo, *outside in decisions.get(key, ()):
                row = Row(name, *_texts(outside[4:], sizes))
                rows.append(row)
                if photo == path:  # another photo may have the output by now
                    written.append((row.output, trace_of(*outside[:4])))
            change = Change(
                path=name,
                rows=tuple(rows),
                version=Version(size, modified_ns, version or "", changed_ns),
                digest=digest or b"",
                late=late or 0,
                written=tuple(written),
            )
            yield key, change, setting, run
        first = last + b"\0"


def trace_of(size: int | None, modified_ns: int | None, digest: bytes | None, earlier: bytes | None) -> Trace:
    """Return the trace that the columns of an output hold."""
    return Trace(size, modified_ns or 0, digest or b"", earlier or b"")


def rows_of(connection: sqlite3.Connection) -> Iterator[list[str]]:
    """Yield the rows of the table of a state, in the order of the walk."""
    photo, sizes = None, Counter[str]()
    for path, *values in connection.execute(_TABLE):
        if path != photo:
            photo, sizes = path, Counter()
        yield [decoded(path), *_texts(values, sizes)]


def _texts(values: list[Any], sizes: Counter[str]) -> list[str]:
    """Return the values of a decision as texts, and behind them the number of the candidate.

    Args:
        values: the decision, whose names are bytes.
        sizes: how many decisions of each size the photo has had so far. This one is counted there.
    """
    for place in _PLACES:
        if values[place]:
            values[place] = decoded(values[place])
    sizes[values[_SIZE]] += 1
    return [*values, str(sizes[values[_SIZE]])]
