"""What a person gives by hand while another run is at work in OUT: a file beside the state for each time, which that run reads.

A watch reads it within a second, and any other run as it begins. The file goes once the photos in it are made, so that whoever
wrote it sees when. A run that is killed leaves it to the next one. Nothing is ever lost: it is in the file, or in the state.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path

from cropper.errors import CropperError
from cropper.ledger.database import Files, as_system_errors, key_of, uri_of
from cropper.ledger.focus_file import FocusRow, Gifts
from cropper.ledger.given import Given
from cropper.ledger.known import changes_in
from cropper.ledger.table import Row
from cropper.storage.atomic import replacing, sync_folder, synced

_NAME = "handed-over-{}.json"


class HandedOverError(CropperError):
    """Another run is at work in OUT. What was given is kept for the next one, and is not made yet."""


def hand_over(files: Files, rows: Iterable[FocusRow]) -> Path:
    """Leave what is given by hand to the run that has the lock of a state, or to the next one; return the file.

    Raises:
        OSError: if it cannot be written.
    """
    # The names are in the order of time.
    file = files.folder / _NAME.format(f"{time.time_ns():020}-{os.urandom(4).hex()}")
    values = [[path, size, *((one.x, one.y, one.width, one.height) if one is not None else ())] for path, size, one in rows]
    with replacing(file, file.with_suffix(".part")) as temporary, temporary.open("x", encoding="ascii") as to:
        to.write(json.dumps(values))
        to.flush()
        synced(to.fileno())
    sync_folder(files.folder)
    return file


def waiting(files: Files) -> set[str]:
    """Return the photos that something was handed over for, and that are not made yet."""
    found: set[str] = set()
    for file in _in(files):
        with suppress(*_BROKEN):
            found.update(path for path, _, _ in _rows_in(file))
    return found


def rows_made(files: Files, paths: Iterable[str]) -> dict[str, tuple[Row, ...]]:
    """Read what became of photos from a state that another run may have the lock of; not of those that it does not know.

    Raises:
        OSError: if it cannot be read.
    """
    with (
        as_system_errors(files.database),
        closing(sqlite3.connect(f"{uri_of(files.database)}&mode=ro", uri=True)) as connection,
    ):
        keys = map(key_of, paths)
        return {change.path: change.rows for key in keys for _, change, _, _ in changes_in(connection, key, key + b"\0")}


def move_all(files: Files, to: Files) -> None:
    """Move what was handed over for one state, and was not taken in, to another one. Raises OSError if that fails."""
    for file in _in(files):
        file.rename(to.folder / file.name)


# What a file raises that somebody else wrote. It stays.
_BROKEN = (OSError, ValueError, TypeError)


class TakenIn:
    """What a run has taken in of what was handed over to it.

    Args:
        files: of its state, whose lock it has.
        dry: whether it makes nothing, and so leaves the files to another run.
    """

    def __init__(self, files: Files, dry: bool) -> None:
        self._files, self._dry = files, dry
        self._photos: dict[Path, set[str]] = {}

    def __bool__(self) -> bool:
        """Whether there are files to remove."""
        return bool(self._photos) and not self._dry

    def take(self, gifts: Gifts, run: int) -> set[str]:
        """Add what was handed over since the last time to what was given by hand; return the photos. The caller commits."""
        found: set[str] = set()
        for file in _in(self._files):
            if file in self._photos:
                continue
            with suppress(*_BROKEN):
                rows = _rows_in(file)
                gifts.add(rows, run)
                self._photos[file] = {path for path, _, _ in rows}
                found |= self._photos[file]
        return found

    def leave(self, is_in_hand: Callable[[str], bool] = lambda path: False) -> None:
        """Remove the files whose photos are made. What they give is on the disk.

        Args:
            is_in_hand: whether a photo is still to be made.
        """
        for file, photos in [*self._photos.items()] if self else ():
            if not any(map(is_in_hand, photos)):
                file.unlink(missing_ok=True)
                del self._photos[file]


def _in(files: Files) -> list[Path]:
    try:
        return sorted(files.folder.glob(_NAME.format("*")))
    except OSError:
        return []


def _rows_in(file: Path) -> list[FocusRow]:
    rows: list[FocusRow] = []
    for path, size, *numbers in json.loads(file.read_bytes()):
        given = Given(*numbers) if numbers else None
        if given is not None and not size:  # it is for all sizes: what was given for one, even in this run, counts no more
            rows.append((path, "", None))
        rows.append((path, size, given))
    return rows
