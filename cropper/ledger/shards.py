"""Shards: the photos of one IN split among several runs, on one machine or many, that share only their output folder.

A hash of a photo's path decides its shard. So the runs need not talk to each other, and a photo stays in its shard when others
come and go. Each shard has its own folder, ``OUT/.cropper/shards/00001-of-00004``, with its state and its lock. ``merge_shards``
writes one ``OUT/boxes.csv`` from all of them.

A shard that begins takes over its photos from a run without shards. Runs without shards, or with another number of shards, are
refused until ``merge_shards`` has finished these.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cropper.errors import OutputError, UsageError
from cropper.ledger import lock
from cropper.ledger.database import (
    SHARDS_FOLDER,
    STATE_NAME,
    Files,
    as_system_errors,
    connect,
    decoded,
    files_of,
    files_of_shards,
    uri_of,
)
from cropper.ledger.handover import move_all
from cropper.ledger.known import rows_of
from cropper.ledger.migration import migrate_if_old
from cropper.ledger.table import TABLE_NAME, write_table
from cropper.storage.access import place
from cropper.storage.naming import STATE_FOLDER
from cropper.storage.places import Place

_LABEL = re.compile(r"([0-9]{5,})-of-([0-9]{5,})")
# Another shard that begins holds the lock on OUT for a moment. Seconds to wait for it, and between two tries.
_PATIENCE, _PAUSE = 5.0, 0.05


@dataclass(frozen=True)
class Shard:
    """One of several runs that share the photos.

    Attributes:
        number: from 1 to ``count``.
        count: the number of shards, at least 1.

    Raises:
        UsageError: if the number is not from 1 to ``count``.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise UsageError(f"there is no shard {self.number} of {self.count}", remedy="count from 1, as in --shard 1/4")

    @property
    def label(self) -> str:
        """The name of its folder. Labels with one count sort as the numbers do."""
        return f"{self.number:05}-of-{self.count:05}"

    def holds(self, path: str) -> bool:
        """Whether the photo with this path, relative to IN, is in this shard: the same on every machine and in every version."""
        digest = hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1


def labelled(names: list[str]) -> list[Shard]:
    """Return the shards with these labels; ignores other names."""
    found = (_LABEL.fullmatch(name) for name in names)
    return [Shard(int(match[1]), int(match[2])) for match in found if match]


def begin_shard(folder: Path, shard: Shard, out: Place) -> tuple[Files, Callable[[], None]]:
    """Make the folder of a shard's state; return its files, and what to do once its lock is taken.

    Args:
        folder: OUT, or its copy on this machine.
        shard: the shard.
        out: OUT, which errors name.

    Raises:
        OutputError: if OUT is made in another number of shards, or a run without shards is at work.
        OSError: if the folder cannot be made.
    """
    files = Files(folder, shard_folder(folder, shard))
    with _locked_briefly(folder, out):
        others = {other.count for other in _begun(folder)} - {shard.count}
        if others:
            raise _in_other_shards(out, others.pop())
        main = files_of(folder)
        with as_system_errors(main.database):
            migrate_if_old(main, out)
        files.folder.mkdir(parents=True, exist_ok=True)
    return files, lambda: _take_over(main, files, shard)


def merge_shards(folder: Path, finish: bool = False, out: Place | None = None) -> Path:
    """Merge the states of all shards into ``OUT/boxes.csv``, in the order of the walk, and return its path.

    Args:
        folder: OUT, or its copy on this machine. All its shards must have run.
        finish: whether to remove the shards afterwards: OUT is then as a run without them leaves it.
        out: OUT, which errors name; ``folder`` if None.

    Raises:
        UsageError: if it has no shards.
        OutputError: if a shard is missing, was killed, or is at work; or the table cannot be written.
    """
    out = out or place(folder)
    shards, main = _ended(folder, out), files_of(folder)
    if not finish:
        write_shards(folder, main.table, out)
        return main.table
    with _locked_briefly(folder, out):
        with ExitStack() as locks:
            for one in shards:
                locks.callback(lock.release, lock.take(one.lock, folder), tidy=True)
            with as_system_errors(main.database):
                _merge(shards, main.database, main.table)
            for one in shards:
                move_all(one, main)
        done_with = main.folder / "finished"
        shutil.rmtree(done_with, ignore_errors=True)
        os.rename(main.folder / SHARDS_FOLDER, done_with)  # all at once
        shutil.rmtree(done_with, ignore_errors=True)
    return main.table


def write_shards(folder: Path, to: Path, out: Place | None = None) -> None:
    """Write the table of all shards to a file. Raises the errors of ``merge_shards``."""
    shards = _ended(folder, out or place(folder))
    with TemporaryDirectory(prefix="cropper-merge-") as scratch, as_system_errors(folder):
        _merge(shards, Path(scratch) / STATE_NAME, to)


def _merge(shards: list[Files], to: Path, table: Path) -> None:
    """Merge the states of shards into one, and write its table.

    What a run without shards left is replaced, but for the outputs that are ours.
    """
    with closing(connect(to)) as connection:
        connection.executescript("BEGIN; DELETE FROM photo; DELETE FROM decision; DELETE FROM given;")
        for shard in shards:
            connection.execute("COMMIT")
            connection.execute("ATTACH ? AS other", (uri_of(shard.database),))
            connection.executescript(f"BEGIN; {_copying()} COMMIT; DETACH other; BEGIN;")
        connection.execute("COMMIT")
        write_table(rows_of(connection), table)


def _copying(photos: str = "1", outputs: str = "1") -> str:
    """Return SQL that copies an attached state to this one.

    Numbers of settings are given anew, and those of runs mean nothing in another state.

    Args:
        photos, outputs: conditions on the photos and gifts ``p``, and on the outputs ``o``, to copy.
    """
    return f"""
        INSERT INTO main.run (source, began, ended) SELECT source, began, ended FROM other.run ORDER BY id DESC LIMIT 1;
        INSERT OR IGNORE INTO main.setting (text) SELECT text FROM other.setting;
        INSERT OR REPLACE INTO main.photo
            SELECT key, path, size, modified_ns, changed_ns, version, digest, late, ours.id, 0 FROM other.photo p
            LEFT JOIN other.setting theirs ON theirs.id = p.setting LEFT JOIN main.setting ours ON ours.text = theirs.text
            WHERE {photos};
        INSERT OR REPLACE INTO main.decision
            SELECT d.* FROM other.decision d JOIN other.photo p ON p.key = d.photo WHERE {photos};
        INSERT OR REPLACE INTO main.given
            SELECT photo, size, path, x, y, width, height, image_width, image_height, 0 FROM other.given p WHERE {photos};
        INSERT OR REPLACE INTO main.found SELECT * FROM other.found;
        INSERT OR REPLACE INTO main.output SELECT * FROM other.output o WHERE {outputs}
            AND NOT (stale AND path IN (SELECT path FROM main.output WHERE NOT stale));  -- one shard gave it up, another has it
    """


def shard_folder(out: Path, shard: Shard) -> Path:
    """Return the folder of a shard's ledger and of the files that go with it."""
    return out / STATE_FOLDER / SHARDS_FOLDER / shard.label


def states_of(out: Path) -> list[tuple[Files, Shard | None]]:
    """Return the states that hold the photos of an output folder: one of each shard, or the one without shards."""
    files = files_of_shards(out)
    return [(files[shard.label], shard) for shard in labelled([*files])] or [(files_of(out), None)]


def table_in(out: Path) -> Path:
    """Return the table of an output folder. Raises UsageError if it has none, which says what writes it."""
    table = files_of(out).table
    if not table.is_file():
        remedy = "run 'cropper ledger merge OUT' first" if _begun(out) else "run 'cropper batch IN OUT' first"
        raise UsageError(f"there is no {TABLE_NAME} in it", path=out, remedy=remedy)
    return table


def _begun(out: Path) -> list[Shard]:
    """Return the shards that have a folder in an output folder."""
    return labelled([*files_of_shards(out)])


def _in_other_shards(out: Place, count: int) -> OutputError:
    remedy = f"keep to --shard I/{count}, or end these first with 'cropper ledger merge OUT --finish'"
    return OutputError(f"is made in {count} shards", path=out, remedy=remedy)


def _ended(folder: Path, out: Place) -> list[Files]:
    """Return the files of all shards. Raises an error if one is missing or at work."""
    begun = _begun(folder)
    if not begun:
        raise UsageError("has no shards to merge", path=out, remedy="give an OUT of 'cropper batch --shard', or tables")
    count = begun[0].count
    found = []
    for shard in (Shard(number, count) for number in range(1, count + 1)):
        files = Files(folder, shard_folder(folder, shard))
        with suppress(FileNotFoundError):
            if files.lock.stat().st_size:
                reason = f"shard {shard.number}/{count} is at work or was killed"
                raise OutputError(reason, path=out, remedy="let it end, or run it again")
        with as_system_errors(files.database):
            migrate_if_old(files, out)
        if not files.database.exists():
            remedy = f"run it first, with --shard {shard.number}/{count}"
            raise OutputError(f"shard {shard.number}/{count} has not run yet", path=out, remedy=remedy)
        found.append(files)
    return found


@contextmanager
def _locked_briefly(folder: Path, out: Place) -> Iterator[None]:
    """Hold the lock on OUT for a moment: keep out runs without shards, and other shards that begin."""
    path = files_of(folder).lock
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            taken = lock.take(path, out)
            break
        except OutputError:
            if time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
    try:
        yield
    finally:
        lock.release(taken, tidy=not taken.was_left)


def _take_over(main: Files, files: Files, shard: Shard) -> None:
    """Copy a new shard's photos from what a run without shards left."""
    if files.database.exists() or not main.database.exists() or files.old_table.exists():
        return
    # Until it is whole, it has another name: a full disk or a kill must not leave an empty state.
    new = files.database.with_name("taking-over.db")
    new.unlink(missing_ok=True)
    with as_system_errors(new), closing(connect(new)) as connection:
        connection.create_function("holds", 1, lambda path: shard.holds(decoded(path)), deterministic=True)
        connection.execute("ATTACH ? AS other", (uri_of(main.database),))
        connection.executescript(f"BEGIN; {_copying('holds(p.path)', 'holds(o.photo)')} COMMIT; DETACH other;")
    os.replace(new, files.database)
