"""What an output folder was made from: the folder IN of its last run."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from cropper.errors import UsageError
from cropper.ledger.database import Files, decoded, files_of, files_of_shards, uri_of
from cropper.storage.access import place
from cropper.storage.places import Place

# Where versions before the state kept the name.
OLD_SOURCE = "source"


def source_of(out: Path) -> Place | None:
    """Return the folder IN of the last run over an output folder, or None if no run left its name there."""
    return _source_where("1", out) or _old_source(files_of(out))


def made_from(out: Place) -> str | None:
    """Return the full name of the folder IN that the known photos of an output folder are in; None if none is known.

    Args:
        out: the folder OUT, with or without shards. Of one in a bucket nothing is known yet.
    """
    if out.local_path is None:
        return None
    main = files_of(out.local_path)
    earlier = _source_where("EXISTS (SELECT 1 FROM photo)", out.local_path)
    if earlier is None and not main.database.exists():
        earlier = _old_source(main)
    return earlier.full_name() if earlier is not None and earlier.local_path is not None and not earlier.is_gone() else None


def _source_where(condition: str, out: Path) -> Place | None:
    """Return the folder IN of the last run in the first state of an output folder that meets a condition, given as SQL.

    Shards come first: where there are any, no run has had the state without shards since.
    """
    for files in (*files_of_shards(out).values(), files_of(out)):
        if (found := _source_in(files.database, condition)) is not None:
            return found
    return None


def _source_in(database: Path, condition: str) -> Place | None:
    """Return the folder IN of the last run in a state that meets the condition; None if no run knew it."""
    # Only to read, so that this neither disturbs a run nor leaves anything behind.
    with (
        suppress(sqlite3.DatabaseError, OSError),
        closing(sqlite3.connect(f"{uri_of(database)}&mode=ro", uri=True)) as connection,
    ):
        found = connection.execute(f"SELECT source FROM run WHERE {condition} ORDER BY id DESC LIMIT 1").fetchone()
        if found is not None and found[0]:
            return place(decoded(found[0]))
    return None


def _old_source(files: Files) -> Place | None:
    try:
        return place(os.fsdecode((files.folder / OLD_SOURCE).read_bytes()))
    except OSError:
        return None


def is_same_folder(source: Place, earlier: str) -> bool:
    """Whether a folder IN is the one with this full name, whatever way leads there."""
    if source.full_name() == earlier:
        return True
    before = place(earlier)
    if source.local_path is None or before.local_path is None:
        return False
    try:
        return os.path.samefile(source.local_path, before.local_path)
    except OSError:
        return False


def photos_of(out: Path, told: Path | None) -> Path:
    """Return the folder with the photos of an output folder: ``told``, or else that of ``source_of``.

    Raises:
        UsageError: if it is not known, not on this machine, or not there any more.
    """
    if told is not None:
        if not told.is_dir():
            raise UsageError("the folder of the photos is not there", path=told, remedy="give it with --photos")
        return told
    source = source_of(out)
    if source is None:
        raise UsageError("does not say where its photos are", path=out, remedy="give their folder with --photos")
    folder = source.local_path
    if folder is None:
        remedy = "copy them to this machine, and give their folder with --photos"
        raise UsageError(f"was made from the photos in {source}", path=out, remedy=remedy)
    if source.is_gone():
        reason = f"was made from the photos in {source}, which is gone"
        raise UsageError(reason, path=out, remedy="give their folder with --photos")
    return folder
