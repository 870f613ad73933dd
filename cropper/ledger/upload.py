"""The state of an output folder in a bucket: kept in a scratch folder of this machine, and sent.

A storage takes whole objects; nobody can change a part of one. So a run keeps its state in a scratch folder, as any run keeps its
own in OUT. From time to time it sends what changed as one more part, ``OUT/.cropper/part-000001.jsonl``. A run that is killed
leaves its parts. The next one fetches the state and the parts, joins them, and goes on. At whatever moment it is killed, what was
sent is in the state or in a part.

The photo's version there shows that a photo has changed. ``OUT/boxes.csv`` is sent at the end.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cropper.errors import OutputError, UsageError
from cropper.ledger.changes import Change
from cropper.ledger.database import SHARDS_FOLDER, Files, files_of
from cropper.ledger.migration import OLD_FILES, PART, migrate
from cropper.ledger.shards import Shard, labelled, merge_shards, shard_folder
from cropper.ledger.state import State
from cropper.ledger.table import TABLE_NAME, Row
from cropper.storage.bucket import BucketPlace
from cropper.storage.naming import STATE_FOLDER
from cropper.storage.places import Trace, Version

# A part is sent when it has the changes of this many photos, or after this many seconds.
PHOTOS, SECONDS = 1000, 60.0
_PART = "part-"
# What versions before the state kept in a bucket.
_OLD_LEDGER = "ledger.csv"


@dataclass
class Mirror:
    """A state in a bucket, and its copy here.

    Attributes:
        files: the copy.
        out: the folder OUT in the bucket.
        state: the folder in the bucket with the state and its parts.
        table: where the table goes; None for a shard, which has none.
        parts: names of the parts in the bucket.
        is_new: whether the copy holds what the bucket's state does not.
        obsolete: names of other objects in the bucket that the copy replaces.
        head: the first line of a run's first part.
    """

    files: Files
    out: BucketPlace
    state: BucketPlace
    table: BucketPlace | None
    parts: list[str] = field(default_factory=list)
    is_new: bool = False
    obsolete: list[str] = field(default_factory=list)
    head: bytes = b""
    changes: list[bytes] = field(default_factory=list)  # not sent yet
    last: float = field(default_factory=time.monotonic)


def fetch_state(out: BucketPlace, scratch: Path, shard: Shard | None, dry: bool = False) -> Mirror:
    """Copy what earlier runs left to a scratch folder. It looks then as if they had run there.

    Args:
        out: the output folder.
        scratch: an empty folder of this machine.
        shard: the shard; None for a run without shards.
        dry: whether this run makes no thumbnails.

    Raises:
        OutputError: if it cannot be read, or the folder holds objects and cropper did not write them.
        CropperError: if it cannot be listed.
    """
    root = out / STATE_FOLDER
    found = root.names()
    main = _mirror(out, scratch, None)
    _fetch(main)
    if not dry and not found and not main.files.database.exists() and not out.is_empty():
        remedy = "choose an OUT that is empty or that cropper made"
        raise OutputError("holds objects but nothing that cropper wrote", path=out, remedy=remedy)
    if SHARDS_FOLDER in found:
        for other in labelled((root / SHARDS_FOLDER).names()):
            shard_folder(scratch, other).mkdir(parents=True, exist_ok=True)
    if shard is None:
        return main
    mirror = _mirror(out, scratch, shard)
    _fetch(mirror)
    return mirror


def send_start(mirror: Mirror, state: State) -> None:
    """Send the changes of a run's beginning: parts that were joined, or what was given by hand.

    Raises:
        OutputError: if it cannot be written.
    """
    source, settings = state.source(), state.settings()
    mirror.head = _line({"source": source, "settings": settings})
    if mirror.is_new or state.gifts.changed:
        _send_state(mirror)


def send_changes(mirror: Mirror, change: Change) -> None:
    """Keep what became of a photo for this run's next part, and send that from time to time.

    Raises:
        OutputError: if it cannot be written.
    """
    mirror.changes.append(_line(asdict(change) | {"rows": [list(vars(row).values()) for row in change.rows]}))
    if len(mirror.changes) >= PHOTOS or time.monotonic() - mirror.last > SECONDS:
        name = f"{_PART}{len(mirror.parts) + 1:06}.jsonl"
        (mirror.state / name).write(b"".join([mirror.head, *mirror.changes]))
        mirror.parts.append(name)
        mirror.changes, mirror.last = [], time.monotonic()


def send_end(mirror: Mirror) -> None:
    """Send the state of a run that was closed here, and the table.

    Raises:
        OutputError: if they cannot be written.
    """
    _send_state(mirror)
    if mirror.table is not None:
        mirror.table.send(mirror.files.table)


def merge_in_bucket(out: BucketPlace, scratch: Path, finish: bool) -> BucketPlace:
    """Write the table of all shards, as ``shards.merge_shards`` does, and return its place.

    Raises:
        CropperError: the errors of ``merge_shards`` and ``fetch_state``.
    """
    mirrors = fetch_shards(out, scratch)
    main = _mirror(out, scratch, None)
    _fetch(main)
    merge_shards(scratch, finish, out)
    assert main.table is not None
    if finish:
        _send_state(main)
        for mirror in mirrors:
            for name in mirror.state.names():
                (mirror.state / name).remove()
    main.table.send(main.files.table)
    return main.table


def fetch_shards(out: BucketPlace, scratch: Path) -> list[Mirror]:
    """Copy the states of all shards to a scratch folder. Raises the errors of ``fetch_state``."""
    mirrors = []
    for shard in labelled((out / STATE_FOLDER / SHARDS_FOLDER).names()):
        mirror = _mirror(out, scratch, shard)
        _fetch(mirror)
        if mirror.parts:
            mirror.files.lock.write_text("parts\n")  # as a killed run leaves it
        mirrors.append(mirror)
    if not mirrors:
        raise UsageError("has no shards to merge", path=out, remedy="give an OUT of 'cropper batch --shard', or tables")
    return mirrors


def _mirror(out: BucketPlace, scratch: Path, shard: Shard | None) -> Mirror:
    state = out / STATE_FOLDER
    if shard is None:
        return Mirror(files_of(scratch), out, state, out / TABLE_NAME)
    return Mirror(Files(scratch, shard_folder(scratch, shard)), out, state / SHARDS_FOLDER / shard.label, None)


def _fetch(mirror: Mirror) -> None:
    """Copy a state, or what versions before it left, and join the parts of a killed run."""
    files, there = mirror.files, mirror.state.names()
    files.folder.mkdir(parents=True, exist_ok=True)
    mirror.parts = [name for name in there if name.startswith(_PART)]
    if files.database.name in there:
        (mirror.state / files.database.name).fetch(files.database)
    elif not _fetch_old(mirror, there) and not mirror.parts:
        return
    if mirror.parts and mirror.parts[0].endswith(".jsonl"):
        mirror.is_new = True
        _join(mirror)


def _fetch_old(mirror: Mirror, there: list[str]) -> bool:
    """Make a state from the ledger that versions before it left in a bucket; say whether there is one."""
    files = mirror.files
    old = files.folder / _OLD_LEDGER
    if _OLD_LEDGER in there:
        (mirror.state / _OLD_LEDGER).fetch(old)
    elif mirror.table is not None:
        old = files.table
        mirror.table.fetch(old)
    pieces = [name for name in mirror.parts if name.endswith(".csv")]
    if pieces:
        with (files.folder / PART).open("wb") as joined:
            for number, name in enumerate(pieces):
                data, _ = (mirror.state / name).read()
                joined.write(data if not number else data.partition(b"\n")[2])
    if not old.exists() and not pieces:
        return False
    for name in OLD_FILES:
        if name in there:
            (mirror.state / name).fetch(files.folder / name)
    migrate(files, mirror.out, old)
    old.unlink(missing_ok=True)
    mirror.is_new = True
    mirror.obsolete = [name for name in there if name in (_OLD_LEDGER, *OLD_FILES)]
    return True


def _join(mirror: Mirror) -> None:
    """Bring the state here up to the parts of a killed run."""
    state = State(mirror.files, mirror.out)
    try:
        for number, name in enumerate(mirror.parts):
            data, _ = (mirror.state / name).read()
            head, *lines = data.splitlines()
            if not number:
                state.begin(**json.loads(head))
            for line in lines:
                state.record(_change(json.loads(line)))
        state.end()
    finally:
        state.close()


def _line(value: object) -> bytes:
    return json.dumps(value, default=bytes.hex, separators=(",", ":")).encode() + b"\n"


def _change(values: Any) -> Change:
    """Return the change that a line of a part holds."""
    return Change(
        path=values["path"],
        rows=tuple(Row(*texts) for texts in values["rows"]),
        version=Version(**values["version"]),
        digest=bytes.fromhex(values["digest"]),
        late=values["late"],
        written=tuple(
            (output, Trace(trace["size"], digest=bytes.fromhex(trace["digest"]))) for output, trace in values["written"]
        ),
    )


def _send_state(mirror: Mirror) -> None:
    (mirror.state / mirror.files.database.name).send(mirror.files.database)
    mirror.is_new = False
    # The last part first: at any moment the first ones are left.
    while mirror.parts:
        (mirror.state / mirror.parts[-1]).remove()
        mirror.parts.pop()
    while mirror.obsolete:
        (mirror.state / mirror.obsolete.pop()).remove()
