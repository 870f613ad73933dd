"""The ledger of an output folder in a bucket: kept in a scratch folder of this machine, and uploaded.

A storage takes whole objects; nobody can append rows to one. So a run keeps its ledger in a scratch folder, as any run keeps its
own in OUT. From time to time it sends its new rows as one more part, ``OUT/.cropper/part-000001.csv``. A run that is killed
leaves its parts. The next one fetches them, joins them as on a disk, and goes on. At whatever moment it is killed, the rows that
were sent are in the ledger or in a part.

Rows have the photo's version there, which shows that a photo has changed: an object has no stamp. ``OUT/boxes.csv`` is written at
the end, without versions.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from cropper.errors import OutputError, UsageError
from cropper.ledger.merge import merge_tables
from cropper.ledger.shards import Shard, labelled, merge_shards, shard_folder
from cropper.ledger.state import SHARDS_FOLDER, STATE_FOLDER, TABLE_NAME, Files, files_of, files_of_shard
from cropper.ledger.table import VERSIONED
from cropper.storage.bucket import BucketPlace

# A part is sent when it has this many rows, or after this many seconds.
ROWS, SECONDS = 1000, 60.0
_PART = "part-"
_LEDGER = "ledger.csv"  # with versions, beside the table


@dataclass
class Mirror:
    """A ledger in a bucket, and its copy here.

    Attributes:
        files: the copy.
        state: the folder in the bucket with the ledger, its parts, and the files that go with it.
        table: where the table without versions goes; None for a shard, which has no table.
    """

    files: Files
    state: BucketPlace
    table: BucketPlace | None
    parts: list[str] = field(default_factory=list)  # in the bucket
    before: dict[Path, tuple[int, int]] = field(default_factory=dict)  # fetched files: their inodes and times
    sent: int = 0  # end of the sent rows in this run's part, in bytes
    rows: int = 0  # not sent yet
    last: float = field(default_factory=time.monotonic)


def fetch_ledger(out: BucketPlace, scratch: Path, shard: Shard | None, dry: bool = False) -> Mirror:
    """Copy what earlier runs left to a scratch folder. It looks then as if they had run there.

    Args:
        out: the output folder.
        scratch: an empty folder of this machine.
        shard: the shard of the ledger; None for a run without shards.
        dry: whether this run writes only the ledger.

    Raises:
        OutputError: if it cannot be read, or the folder holds objects and cropper did not write them.
        CropperError: if it cannot be listed.
    """
    root = out / STATE_FOLDER
    found = root.names()
    main = _mirror(out, scratch, None)
    _fetch_files(main)
    if not dry and not found and not main.files.ledger.exists() and not out.is_empty():
        remedy = "choose an OUT that is empty or that cropper made"
        raise OutputError("holds objects but no ledger that cropper wrote", path=out, remedy=remedy)
    if SHARDS_FOLDER in found:
        for other in labelled((root / SHARDS_FOLDER).names()):
            shard_folder(scratch, other).mkdir(parents=True, exist_ok=True)
    if shard is None:
        return main
    mirror = _mirror(out, scratch, shard)
    _fetch_files(mirror)
    return mirror


def send_start(mirror: Mirror) -> None:
    """Send the changes of a run's beginning: rows that were joined, or set aside.

    Raises:
        OutputError: if it cannot be written.
    """
    files = mirror.files
    _update(mirror, files.outdated)
    _update(mirror, files.ledger)
    _remove_parts(mirror)
    _update(mirror, files.settings)
    _update(mirror, files.source)


def send_rows(mirror: Mirror, rows: int) -> None:
    """Count new rows in this run's part, and send them from time to time.

    Raises:
        OutputError: if they cannot be written.
    """
    mirror.rows += rows
    if mirror.rows >= ROWS or (mirror.rows and time.monotonic() - mirror.last > SECONDS):
        _send_part(mirror)


def send_end(mirror: Mirror, leaves_state: bool) -> None:
    """Send the ledger of a run that was closed here, and the table.

    Raises:
        OutputError: if they cannot be written.
    """
    files = mirror.files
    if leaves_state or mirror.table is None:
        _update(mirror, files.ledger)
    _send_table(mirror)
    _remove_parts(mirror)
    _update(mirror, files.outdated)
    if not leaves_state:
        _update(mirror, files.settings)
        _update(mirror, files.source)


def merge_in_bucket(out: BucketPlace, scratch: Path, finish: bool) -> BucketPlace:
    """Merge the ledgers of all shards into the table, as ``shards.merge_shards`` does, and return its place.

    Raises:
        CropperError: the errors of ``merge_shards`` and ``fetch_ledger``.
    """
    mirrors = fetch_shards(out, scratch)
    main = _mirror(out, scratch, None)
    _fetch_files(main)
    merge_shards(scratch, finish, VERSIONED)
    _update(main, main.files.settings)
    _update(main, main.files.ledger)
    _update(main, main.files.source)
    if finish:
        _update(main, main.files.outdated)
        for mirror in mirrors:
            for name in mirror.state.names():
                (mirror.state / name).remove()
    _send_table(main)
    assert main.table is not None
    return main.table


def fetch_shards(out: BucketPlace, scratch: Path) -> list[Mirror]:
    """Copy the ledgers of all shards to a scratch folder. Raises the errors of ``fetch_ledger``."""
    mirrors = []
    for shard in labelled((out / STATE_FOLDER / SHARDS_FOLDER).names()):
        mirror = _mirror(out, scratch, shard)
        mirror.files.state.mkdir(parents=True)
        _fetch_files(mirror)
        if mirror.parts:
            mirror.files.lock.write_text("parts\n")  # as a killed run leaves it
        mirrors.append(mirror)
    if not mirrors:
        raise UsageError("has no shards to merge", path=out, remedy="give an OUT of 'cropper batch --shard', or ledgers")
    return mirrors


def _mirror(out: BucketPlace, scratch: Path, shard: Shard | None) -> Mirror:
    state = out / STATE_FOLDER
    if shard is None:
        return Mirror(files_of(scratch, VERSIONED), state, out / TABLE_NAME)
    files = files_of_shard(scratch, shard_folder(scratch, shard), VERSIONED)
    return Mirror(files, state / SHARDS_FOLDER / shard.label, None)


def _place(mirror: Mirror, file: Path) -> BucketPlace:
    return mirror.state / (_LEDGER if file == mirror.files.ledger else file.name)


def _fetch_files(mirror: Mirror) -> None:
    files = mirror.files
    there = mirror.state.names()
    fetched = (files.ledger, files.outdated, files.settings, files.source)
    for file in fetched:
        if _place(mirror, file).url.rsplit("/", 1)[1] in there:
            _place(mirror, file).fetch(file)
    if not files.ledger.exists() and mirror.table is not None:  # a dry run's, or somebody else's
        mirror.table.fetch(files.ledger)
    mirror.parts = [name for name in there if name.startswith(_PART)]
    if mirror.parts:
        with files.part.open("wb") as joined:
            for number, name in enumerate(mirror.parts):
                piece = files.state / "piece"
                (mirror.state / name).fetch(piece)
                with piece.open("rb") as rows:
                    if number:
                        rows.readline()
                    while data := rows.read(1 << 20):
                        joined.write(data)
                piece.unlink()
    mirror.before = {file: _mark(file) for file in fetched}


def _mark(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns


def _update(mirror: Mirror, file: Path) -> None:
    """Copy a file to the bucket, or remove it there, if it changed here."""
    mark = _mark(file)
    if mark == mirror.before[file]:
        return
    if mark == (0, 0):
        _place(mirror, file).remove()
    else:
        _place(mirror, file).send(file)
    mirror.before[file] = mark


def _send_part(mirror: Mirror) -> None:
    with mirror.files.part.open("rb") as file:
        header = file.readline()
        file.seek(mirror.sent)
        data = file.read()
    mirror.sent += len(data)
    name = f"{_PART}{len(mirror.parts) + 1:06}.csv"
    (mirror.state / name).write(data if not mirror.parts else header + data)
    mirror.parts.append(name)
    mirror.rows, mirror.last = 0, time.monotonic()


def _remove_parts(mirror: Mirror) -> None:
    # The last part first: at any moment the first rows are left.
    while mirror.parts:
        (mirror.state / mirror.parts[-1]).remove()
        mirror.parts.pop()


def _send_table(mirror: Mirror) -> None:
    if mirror.table is not None and mirror.files.ledger.exists():
        table = mirror.files.out / "table.csv"  # the state folder may be gone
        merge_tables([mirror.files.ledger], table)
        mirror.table.send(table)
        table.unlink()
