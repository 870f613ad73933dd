"""Read what versions before the state left in an output folder, so that they are known again and nothing is made again.

They kept their memory in ``boxes.csv`` and in files beside it, and gave each thumbnail the time of its photo plus two seconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from cropper.ledger.changes import Change
from cropper.ledger.database import Files
from cropper.ledger.source import OLD_SOURCE
from cropper.ledger.state import State
from cropper.ledger.table import FAILED, Row, read_versioned
from cropper.storage.atomic import sync_folder
from cropper.storage.places import UNKNOWN, Place, Trace, Version

# By so many nanoseconds, the time of a thumbnail was later than its photo's.
_STAMP_NS = 2_000_000_000
_SETTINGS, PART, _OUTDATED = "settings.json", "part.csv", "outdated.csv"
OLD_FILES = (_SETTINGS, PART, _OUTDATED, OLD_SOURCE, "joined.csv")
# The settings of rows whose settings are not known.
_UNKNOWN = ""


def migrate_if_old(files: Files, out: Place) -> None:
    """Make the state if there is none, and something to make it from: the table beside the settings of an old run, or the rows of
    a killed one.

    A table alone is a report: somebody removed the state, and with it the word of what is ours. Raises the errors of ``migrate``.
    """
    is_old = files.old_table.exists() and (files.folder / _SETTINGS).exists()
    if not files.database.exists() and (is_old or (files.folder / PART).exists()):
        migrate(files, out, files.old_table)


def migrate(files: Files, out: Place, table: Path) -> None:
    """Make the state from what is there, and remove the files that it replaces, but not the table.

    Args:
        files: where the state goes.
        out: the folder OUT.
        table: the old ledger.

    Raises:
        OutputError: if the table is not one that cropper wrote.
        OSError: if the state cannot be written.
    """
    folder = files.folder
    settings = _text(folder / _SETTINGS, _UNKNOWN)
    # Until it is whole, it has another name.
    new = Files(files.out, folder / "migration")
    new.folder.mkdir(exist_ok=True)
    new.database.unlink(missing_ok=True)
    state = State(new, out)
    try:
        state.begin(_text(folder / OLD_SOURCE, ""), settings)
        for file, known_as in ((folder / _OUTDATED, _UNKNOWN), (table, settings), (folder / PART, settings)):
            state.use(known_as)
            for change in _changes(file, files.out if not out.is_remote else None):
                state.record(change)
        state.end()
    finally:
        state.close()
    os.replace(new.database, files.database)
    sync_folder(folder)  # a power failure must not take the old files and leave the new one its old name
    for name in OLD_FILES:
        (folder / name).unlink(missing_ok=True)
    new.folder.rmdir()


def _text(file: Path, otherwise: str) -> str:
    try:
        return os.fsdecode(file.read_bytes())
    except OSError:
        return otherwise


def _changes(file: Path, out: Path | None) -> Iterator[Change]:
    """Yield what a file says of each photo. Thumbnails in a bucket, with no ``out``, are believed."""
    rows = ((Row(*line), version) for line, version in read_versioned(file))
    for path, lines in groupby(rows, key=lambda line: line[0].path):
        found = list(lines)
        written: list[tuple[str, Trace]] = []
        versions = {Version(version=version) for _, version in found}
        for row in map(itemgetter(0), found):
            if not row.output or row.status == FAILED:
                continue
            if out is None:
                written.append((row.output, Trace(0)))
                continue
            try:
                status = os.lstat(out / row.output)
            except OSError:
                versions.add(UNKNOWN)
                continue
            written.append((row.output, Trace(status.st_size, status.st_mtime_ns)))
            versions.add(Version(modified_ns=status.st_mtime_ns - _STAMP_NS))
        versions -= {UNKNOWN} if len(versions) > 1 and out is not None and len(written) == len(found) else set()
        version = versions.pop() if len(versions) == 1 else UNKNOWN
        yield Change(path, tuple(row for row, _ in found), version, written=tuple(written))
