"""The SQLite file of a state: where it is, its tables, how to open it on any file system, and its errors as those of the system.

The journal is SQLite's rollback journal, its default: it needs no shared memory, so it works on network file systems too, and a
commit a second costs nothing.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cropper.errors import OutputError, remedy_for
from cropper.image_formats import PHOTO_EXTENSIONS, extensions_here
from cropper.ledger.lock import can_lock
from cropper.ledger.table import TABLE_NAME
from cropper.storage.atomic import synced
from cropper.storage.naming import STATE_FOLDER

# In the state folder: holds a folder for each shard.
SHARDS_FOLDER = "shards"
STATE_NAME = "state.db"

# The version of the tables, in ``PRAGMA user_version``.
_VERSION = 1
_TABLES = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    source BLOB NOT NULL,  -- the full name of IN
    began REAL NOT NULL,  -- seconds since 1970
    ended REAL
);
CREATE TABLE setting (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE photo (
    key BLOB PRIMARY KEY,  -- sorts as the walk does
    path BLOB NOT NULL,  -- relative to IN
    size INTEGER, modified_ns INTEGER, changed_ns INTEGER, version TEXT, digest BLOB,  -- as it was read
    late REAL,  -- the deadline that it exceeded, in seconds
    setting INTEGER, run INTEGER
) WITHOUT ROWID;
CREATE TABLE decision (
    photo BLOB NOT NULL, number INTEGER NOT NULL,  -- of the target
    output BLOB, status TEXT, image_width INTEGER, image_height INTEGER, size TEXT,
    x INTEGER, y INTEGER, width INTEGER, height INTEGER, focus_x INTEGER, focus_y INTEGER,
    kept REAL, message BLOB, subject_kept REAL, heads_cut INTEGER, output_width INTEGER, output_height INTEGER,
    PRIMARY KEY (photo, number)
) WITHOUT ROWID;
CREATE TABLE output (
    path BLOB PRIMARY KEY,  -- relative to OUT
    photo BLOB NOT NULL,  -- the path of the photo that it was made from
    bytes INTEGER, modified_ns INTEGER, digest BLOB, earlier BLOB,  -- no bytes: a killed run was writing it
    stale INTEGER NOT NULL  -- 1 if no photo has it any more
) WITHOUT ROWID;
CREATE INDEX stale_output ON output (path) WHERE stale;
CREATE TABLE given (
    photo BLOB NOT NULL, size TEXT NOT NULL,  -- the label of a size, or empty for all
    path BLOB NOT NULL,
    x INTEGER NOT NULL, y INTEGER NOT NULL, width INTEGER, height INTEGER,
    image_width INTEGER, image_height INTEGER,  -- of the photo that it was given for, once that was read
    run INTEGER NOT NULL,
    PRIMARY KEY (photo, size)
) WITHOUT ROWID;
CREATE TABLE found (photo BLOB NOT NULL, size TEXT NOT NULL, says TEXT, PRIMARY KEY (photo, size)) WITHOUT ROWID;
"""
# Seconds to wait for somebody who reads the file.
_PATIENCE = 30.0
# What SQLite says, and the system's error that it stands for.
_MEANING = {
    "full": errno.ENOSPC,
    "disk I/O": errno.EIO,
    "readonly": errno.EROFS,
    "unable to open": errno.EACCES,
}


@dataclass(frozen=True)
class Files:
    """Where the state of an output folder, or of one shard of it, lies.

    Attributes:
        out: the output folder.
        folder: holds the files of the state.
    """

    out: Path
    folder: Path

    @property
    def database(self) -> Path:
        """The state."""
        return self.folder / STATE_NAME

    @property
    def lock(self) -> Path:
        """The lock that keeps other runs out."""
        return self.folder / "lock"

    @property
    def begun(self) -> Path:
        """The names of thumbnails that a run has begun and whose rows are not in the state yet."""
        return self.folder / "begun"

    @property
    def table(self) -> Path:
        """The report of an output folder; a shard has none."""
        return self.out / TABLE_NAME

    @property
    def old_table(self) -> Path:
        """Where versions before the state kept their rows: in the report or, of a shard, in a table of its own."""
        return (self.folder if self.folder.parent.name == SHARDS_FOLDER else self.out) / TABLE_NAME


def files_of(out: Path) -> Files:
    """Return the files of an output folder's state."""
    return Files(out, out / STATE_FOLDER)


def files_of_shards(out: Path) -> dict[str, Files]:
    """Return the files of the state of each shard that has a folder in an output folder, by its label and in their order."""
    shards = files_of(out).folder / SHARDS_FOLDER
    try:
        return {label: Files(out, shards / label) for label in sorted(os.listdir(shards))}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def connect(path: Path | None) -> sqlite3.Connection:
    """Open a state, and make its tables if it is new. Transactions are the caller's.

    The tables of a new one are made in a transaction that is left open: together with what follows they take the disk once.

    Args:
        path: the file; its folder must be there. None opens one that is gone when it is closed.

    Raises:
        OSError: if it cannot be opened.
        OutputError: if it is damaged, or a newer cropper made it.
    """
    if path is not None and path.exists() and not path.is_file():
        raise OutputError("is not a file, so it cannot hold the state", path=path, remedy="remove it and run again")
    with as_system_errors(path):
        can_sync = path is not None and _can_sync(path)  # makes the file if it is not there
        uri = "" if path is None else uri_of(path)
        connection = sqlite3.connect(uri, timeout=_PATIENCE, isolation_level=None, uri=path is not None)
        try:
            if not can_sync:
                connection.execute("PRAGMA synchronous = OFF")
            ((version,),) = connection.execute("PRAGMA user_version")
            if version > _VERSION:
                raise OutputError("a newer version of cropper made this state", path=path, remedy="update cropper")
            if version < _VERSION:
                connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION};")
        except BaseException:
            connection.close()
            raise
        return connection


def uri_of(path: Path) -> str:
    """Return the URI by which SQLite opens a state that is there, whatever file system it is on. It has a ``?`` in it.

    Raises:
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        # Not on some network file systems, where our own lock has to do.
        is_lockable = can_lock(file.fileno())
    return f"{path.absolute().as_uri()}?nolock={int(not is_lockable)}"


def _can_sync(path: Path) -> bool:
    with path.open("ab") as file:
        return synced(file.fileno())


@contextmanager
def as_system_errors(path: Path | None) -> Iterator[None]:
    """Turn the errors of SQLite in the body into those of the system, which say what to do about them.

    Raises:
        OSError: if the file cannot be read or written.
        OutputError: if it is damaged.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        number = next((number for words, number in _MEANING.items() if words in text), None)
        if number is not None:
            number = _number_of_writing(path) or number
            raise OSError(number, os.strerror(number), os.fspath(path or "")) from error
        if "malformed" in text or "not a database" in text:
            remedy = "remove it and run the same command again: cropper knows its own thumbnails by their content"
            raise OutputError("the state is damaged", path=path, remedy=remedy) from error
        raise OutputError(f"the state cannot be used ({text})", path=path, remedy=remedy_for(OSError(), "run again")) from error


@contextmanager
def savepoint(connection: sqlite3.Connection) -> Iterator[None]:
    """Take back what the body changed if it raises."""
    connection.execute("SAVEPOINT body")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk may have taken back all of it
            connection.execute("ROLLBACK TO body")
            connection.execute("RELEASE body")
        raise
    connection.execute("RELEASE body")


def _number_of_writing(path: Path | None) -> int | None:
    """Return the number of the error with which the system refuses to write beyond the end of a file; None if it does not.

    SQLite keeps that number to itself.
    """
    if path is None:
        return None
    trial = path.with_name("trial")
    try:
        size = path.stat().st_size
        with trial.open("wb") as file:
            os.truncate(file.fileno(), size)
            file.seek(size)
            file.write(bytes(1 << 16))
    except OSError as error:
        return error.errno
    finally:
        with suppress(OSError):
            trial.unlink()
    return None


def encoded(text: str) -> bytes:
    """Return a path as the bytes that stand for it in the state. Any name comes back; the order of texts is kept."""
    return text.encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> str:
    """Return the path that bytes stand for."""
    return data.decode("utf-8", "surrogatepass")


def key_of(path: str) -> bytes:
    """Return the key of a photo: keys sort as ``places.order`` does."""
    *folders, name = encoded(path).split(b"/")
    return b"".join([b"\2" + folder + b"\0" for folder in folders]) + b"\1" + name


def key_of_folder(path: str) -> bytes:
    """Return what the keys of all photos in and below a folder begin with; empty for IN itself."""
    return b"".join(b"\2" + encoded(name) + b"\0" for name in path.split("/")) if path else b""


def spare_unread(connection: sqlite3.Connection) -> None:
    """Count no photo as gone whose format this installation does not read: an earlier one with more extras did."""
    if unread := tuple(extension.encode() for extension in sorted(PHOTO_EXTENSIONS - extensions_here())):
        connection.create_function("is_unread", 1, lambda key: key.lower().endswith(unread), deterministic=True)
        connection.execute("DELETE FROM gone WHERE is_unread(photo)")
