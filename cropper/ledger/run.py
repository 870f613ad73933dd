"""Open and close the ledger of a run: ``boxes.csv``, one row per photo and size, and what a second run needs to go on.

A run appends its rows, in the order of the walk, to a *part* beside the last run's ledger. At the end the part becomes the
ledger. Both have the same order, so a second run reads the old rows as a stream beside its own walk, and memory does not grow
with the number of photos. A run that is killed leaves a whole old ledger and a part, and ``open_run`` joins them.

A hidden folder beside the ledger holds the part, the lock, and the settings that the rows were made with. Rows made with other
settings still tell which files are ours to replace, but none of them counts as done.

A row is with the system before its photo counts as done, so it outlives the process. It is on the disk when the run ends: the
ledger is synced before it replaces the old one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cropper.errors import OutputError
from cropper.ledger import lock
from cropper.ledger.state import SHARDS_FOLDER, Files, files_of, sync_folder, write_whole, writing_to
from cropper.ledger.table import HEADER, SIZE_COLUMN, Previous, Writer, as_wide, read_lines, read_rows, rows_writer
from cropper.storage.access import place
from cropper.storage.atomic import replacing
from cropper.storage.places import Place, order


@dataclass(frozen=True)
class OpenRun:
    """The ledger of a run in progress.

    Attributes:
        files: where it is.
        current: rows that an earlier run made with the same settings.
        outdated: rows made with other settings: their outputs are ours, but not up to date.
        part: this run's rows.
        leaves_state: whether a later run needs the settings: only if there are outputs.
        lock: keeps other runs out.
    """

    files: Files
    current: Previous
    outdated: Previous
    part: Writer
    leaves_state: bool
    lock: lock.Lock


def open_run(out: Path, source: Path | Place, settings: str, dry: bool = False, header: tuple[str, ...] = HEADER) -> OpenRun:
    """Begin a run over an output folder: join the rows that a killed run left, and set aside rows of other settings.

    Args:
        out: the output folder; made if it is not there.
        source: the folder IN, which ``source_of`` returns later.
        settings: all that decides the outputs, beside the photos, as text.
        dry: whether this run writes only the ledger and no outputs.
        header: the columns.

    Raises:
        OutputError: if the folder cannot be written; another run is at work there; it holds a foreign ``boxes.csv``; it is made
            in shards; or this is a dry run over outputs made with other settings, and would spoil their ledger.
    """
    files = files_of(out, header)

    def check() -> None:
        if (files.state / SHARDS_FOLDER).exists():
            remedy = "run each with --shard, or end them first with 'cropper ledger merge OUT --finish'"
            raise OutputError("is made in shards", path=out, remedy=remedy)

    with writing_to(out):
        next(read_rows(files.ledger), None)  # refuses a foreign file before anything is touched
        return begin(files, source, settings, dry, check)


def begin(files: Files, source: Path | Place, settings: str, dry: bool, prepare: Callable[[], None]) -> OpenRun:
    """Take the lock, call ``prepare``, and begin a run.

    Raises:
        OutputError: if another run has the lock, or it is dry-run over outputs made with other settings.
        OSError: if the files cannot be written.
    """
    taken = lock.take(files.lock, files.out)
    try:
        prepare()
        return _begin(files, source, settings, dry, taken)
    except BaseException:
        lock.release(taken, tidy=not taken.was_left)
        raise


def _begin(files: Files, source: Path | Place, settings: str, dry: bool, taken: lock.Lock) -> OpenRun:
    has_outputs = any(row.output for file in (files.ledger, files.part, files.outdated) for row in read_rows(file))
    same_settings = files.settings.exists() and files.settings.read_text(encoding="utf-8") == settings
    if dry and has_outputs and not same_settings:
        raise OutputError(
            "holds thumbnails made with other settings", path=files.out, remedy="choose another OUT for the dry run"
        )
    write_whole(files.source, os.fsencode(place(source).full_name()))
    recover(files)
    if not same_settings:
        _join(files.ledger, files.outdated, files)
        write_whole(files.settings, settings.encode("utf-8"))
    files.joined.unlink(missing_ok=True)
    current, outdated = Previous(read_rows(files.ledger)), Previous(read_rows(files.outdated))
    return OpenRun(files, current, outdated, Writer(files.part, files.header), has_outputs or not dry, taken)


def recover(files: Files) -> None:
    """Join the rows that a killed run left to the ledger. Call only while you hold the lock."""
    _join(files.part, files.ledger, files)


def close_run(run: OpenRun, complete: bool, abandoned: bool = False) -> None:
    """End a run: its rows become the ledger. An interrupted run keeps the old rows of photos that it had not come to.

    Args:
        run: the run; do not use it afterwards.
        complete: whether it reached the end of the walk.
        abandoned: whether some workers are still at a photo. Then the lock stays until the process ends, which should be at
            once, and the next run cleans up after them.

    Raises:
        OSError: if the ledger cannot be written. OUT is then as a killed run leaves it.
    """
    tidy = False
    try:
        files = run.files
        run.part.close()
        if complete:
            os.replace(files.part, files.ledger)
            files.outdated.unlink(missing_ok=True)
        else:
            recover(files)
        sync_folder(files.ledger.parent)
        if not run.leaves_state:
            for file in (files.part, files.outdated, files.settings, files.source):
                file.unlink(missing_ok=True)
        tidy = True
    finally:
        if not abandoned:
            lock.release(run.lock, tidy, remove=tidy and not run.leaves_state)


def _join(newer: Path, older: Path, files: Files) -> None:
    """Join the rows of a newer run, which may have ended early, and an older run's rows of later photos.

    Both are in the older file afterwards, and the newer file is gone.
    """
    if not newer.exists():
        return
    with (
        replacing(older, files.joined) as joined,
        joined.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = rows_writer(file)
        writer.writerow(files.header)
        rows = _joined(read_lines(newer, only_ended=True), read_lines(older))
        writer.writerows(as_wide(row, files.header) for row in rows)
        file.flush()
        os.fsync(file.fileno())
    newer.unlink()


def _joined(newer: Iterator[list[str]], older: Iterator[list[str]]) -> Iterator[list[str]]:
    path: str | None = None  # the newer run's last photo
    sizes: set[str] = set()
    for line in newer:
        if line[0] != path:
            path, sizes = line[0], set()
        sizes.add(line[SIZE_COLUMN])
        yield line
    last = None if path is None else order(path)
    for line in older:
        if last is not None:
            here = order(line[0])
            # A run that was killed, or had no room left, may have written only some rows of its last photo.
            if here < last or (here == last and line[SIZE_COLUMN] in sizes):
                continue
            if here > last:
                last = None
        yield line
