"""Which table the last run wrote. A run that changes nothing leaves it alone: writing it took a fifth of such a run.

The table is still true if nobody touched its file, no run came in between, and this one changed nothing in the state.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from cropper.storage.local import version_in
from cropper.storage.places import Version

# Made when it is needed: versions before it read the other tables, and leave this one alone. It has no row or one.
_TABLE = """CREATE TABLE IF NOT EXISTS report (
    run INTEGER NOT NULL,  -- the last one after which the table is true
    size INTEGER NOT NULL, modified_ns INTEGER NOT NULL, changed_ns INTEGER  -- of its file
)"""


def keep_report(connection: sqlite3.Connection, run: int, table: Path) -> None:
    """Remember the table that a run has written, or found to be true. The caller commits.

    Raises:
        OSError: if the table is not there.
    """
    now = version_in(os.stat(table))
    connection.execute(_TABLE)
    connection.execute("DELETE FROM report")
    connection.execute("INSERT INTO report VALUES (?, ?, ?, ?)", (run, now.size, now.modified_ns, now.changed_ns))


def is_report_true(connection: sqlite3.Connection, last: int, table: Path) -> bool:
    """Whether the table is as it was when the last run ended, and says what the state said then.

    Args:
        connection: to the state.
        last: the number of the run before this one, be it killed.
        table: the file.
    """
    connection.execute(_TABLE)
    found = connection.execute("SELECT size, modified_ns, changed_ns FROM report WHERE run = ?", (last,)).fetchone()
    if found is None:
        return False
    size, modified_ns, changed_ns = found
    try:
        return Version(size, modified_ns, changed_ns=changed_ns).is_still(version_in(os.stat(table)))
    except OSError:
        return False
