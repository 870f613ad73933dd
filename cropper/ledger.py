"""The ledger: ``boxes.csv``, one row per photo and size, and what a second run needs to go on from it.

While a run goes on, its rows are appended in the walk's order to a *part* beside the last run's ledger, and the part becomes the
ledger at the end. So both are sorted alike, and a second run reads the old rows as a stream beside its own walk: memory does
not grow with the number of photos. Killed at any moment, what is on disk is a whole old ledger and a part, which ``open_run``
joins.

Beside the ledger stands a hidden folder with the part and the settings the rows were made with: rows made with other settings
still say which files are ours to replace, but none of them counts as done. The lock in it is held as long as a run goes on.

A row is with the system before its photo counts as done, so that it outlives the process. On the disk itself it is certain to
be when the run ends: the ledger is synced then, before it takes the old one's place.
"""

from __future__ import annotations

import csv
import errno
import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from cropper import lock
from cropper.errors import OutputError, UsageError, remedy_for
from cropper.storage import Place, Remote, is_url
from cropper.walk import order
from cropper.whole import replacing

if TYPE_CHECKING:  # with it is numpy, which a supervisor does without
    from cropper.boxes import Box

NAME = "boxes.csv"
STATE_FOLDER = ".cropper"
# In the state folder, that of each shard of a run that is made in several.
SHARDS = "shards"
OK, SKIPPED, FAILED = "ok", "skipped", "failed"


@dataclass(frozen=True)
class Row:
    """One row, as text. ``path`` and ``output`` are relative to IN and OUT and ``/``-separated."""

    path: str
    output: str
    status: str
    image_width: str = ""
    image_height: str = ""
    size: str = ""
    x: str = ""
    y: str = ""
    width: str = ""
    height: str = ""
    focus_x: str = ""
    focus_y: str = ""
    kept: str = ""
    message: str = ""
    version: str = ""  # of the photo, for a ledger in a storage; no user's table has it


@dataclass(frozen=True)
class Files:
    """Where a ledger and what goes with it are.

    Attributes:
        out: the output folder.
        ledger: the ledger itself.
        state: the folder with the other files.
        header: its columns, and those of the others that have rows.
    """

    out: Path
    ledger: Path
    state: Path
    header: tuple[str, ...]

    @property
    def lock(self) -> Path:
        """Which keeps other runs out."""
        return self.state / "lock"

    @property
    def part(self) -> Path:
        """The rows of the run in progress, or of one that was killed."""
        return self.state / "part.csv"

    @property
    def joined(self) -> Path:
        """Two files that become one, until they have."""
        return self.state / "joined.csv"

    @property
    def outdated(self) -> Path:
        """Rows made with other settings."""
        return self.state / "outdated.csv"

    @property
    def settings(self) -> Path:
        """What the ledger's rows were made with."""
        return self.state / "settings.json"

    @property
    def source(self) -> Path:
        """The folder IN."""
        return self.state / "source"


VERSIONED = tuple(field.name for field in fields(Row))
HEADER = VERSIONED[:-1]
_SIZE = HEADER.index("size")


def files_of(out: Path, header: tuple[str, ...] = HEADER) -> Files:
    """The ledger of an output folder."""
    return Files(out, out / NAME, out / STATE_FOLDER, header)


def files_of_shard(out: Path, folder: Path, header: tuple[str, ...] = HEADER) -> Files:
    """The ledger of one of several runs that share an output folder: all in a folder of its own."""
    return Files(out, folder / NAME, folder, header)


def as_wide(line: list[str], header: tuple[str, ...]) -> list[str]:
    """A row with as many columns as a header: without its version, or with an empty one, where that is what differs."""
    return line[: len(header)] + [""] * (len(header) - len(line))


def decided_row(path: str, output: str, status: str, image_size: tuple[int, int], size: str, box: Box, message: str = "") -> Row:
    """The row of a photo that has its box. ``output`` is empty where there is none."""
    return Row(
        path=path,
        output=output,
        status=status,
        image_width=str(image_size[0]),
        image_height=str(image_size[1]),
        size=size,
        x=str(box.x),
        y=str(box.y),
        width=str(box.width),
        height=str(box.height),
        focus_x=str(box.focus[0]),
        focus_y=str(box.focus[1]),
        kept=f"{box.kept:.4f}",
        message=message,
    )


def failed_row(path: str, size: str, message: str) -> Row:
    """The row of a photo that has no thumbnail, and why."""
    return Row(path, "", FAILED, size=size, message=message)


def read(path: Path) -> Iterator[Row]:
    """The whole rows of a ledger as a stream; none if there is no file. A torn last row is left out.

    Raises:
        OutputError: if the file is there but is no ledger.
    """
    for line in lines(path):
        yield Row(*line)


def lines(path: Path, only_ended: bool = False) -> Iterator[list[str]]:
    """The rows of a ledger as lists: of one that a killed run wrote only those whose last line came to its end."""
    try:
        # Bytes of a name that are no UTF-8 come back as they were; a spreadsheet may have saved it with a byte order mark.
        file = path.open(newline="", encoding="utf-8-sig", errors="surrogateescape")
    except FileNotFoundError:
        return
    with file:
        found = csv.reader(line for line in file if line.endswith("\n")) if only_ended else csv.reader(file)
        try:
            header = next(found, None)
            if header is not None and tuple(header) not in (HEADER, VERSIONED):
                raise OutputError("is there already and is no ledger", path=path, remedy="move it away or choose another OUT")
            for line in found:
                if header is not None and len(line) == len(header) and line[2] in (OK, SKIPPED, FAILED):
                    yield line
        except csv.Error as error:
            reason = f"is no ledger from line {found.line_num} on ({error})"
            raise OutputError(reason, path=path, remedy="move it away or choose another OUT") from error


class Writer:
    """Appends rows to a new ledger file; each photo's rows are on their way to the disk when ``append`` returns."""

    def __init__(self, path: Path, header: tuple[str, ...] = HEADER) -> None:
        self._path = path
        self._values_of = attrgetter(*header)
        self._file = path.open("wb", buffering=0)
        self._end = 0  # of the last whole row, in bytes
        self._write([header])

    def append(self, rows: Iterable[Row]) -> None:
        """Write some rows, one photo's for example: all of them, or none.

        Raises:
            OSError: if they cannot be written, or the file is not where it was any more.
        """
        self._write(map(self._values_of, rows))
        # Without its folder the system would still take rows, for nobody.
        if not os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno())):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(self._path))

    def close(self) -> None:
        """Close the file, with all of it on the disk."""
        with self._file:
            os.fsync(self._file.fileno())

    def _write(self, lines: Iterable[Iterable[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(lines)
        data = text.getvalue().encode("utf-8", "surrogateescape")
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            # Half a row would spoil the one after it.
            with suppress(OSError):
                self._file.truncate(self._end)
                self._file.seek(self._end)
            raise
        self._end += len(data)


class Previous:
    """The rows of earlier runs, asked for in the walk's order."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._groups = ((path, tuple(group)) for path, group in groupby(rows, key=lambda row: row.path))
        self._next = next(self._groups, None)

    def of(self, path: str) -> tuple[Row, ...]:
        """The rows of a photo. Each call must ask for a later photo than the one before; what was passed is gone."""
        while self._next is not None and order(self._next[0]) < order(path):
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != path:
            return ()
        rows = self._next[1]
        self._next = next(self._groups, None)
        return rows


@dataclass(frozen=True)
class Run:
    """The ledger of a run in progress.

    Attributes:
        files: where it is.
        current: rows made with the same settings, by an earlier run.
        outdated: rows made with other settings: their outputs are ours, but not up to date.
        part: where this run's rows go.
        leaves_state: whether a later run needs to know the settings: not where there are no outputs to be up to date.
        lock: which keeps other runs out.
    """

    files: Files
    current: Previous
    outdated: Previous
    part: Writer
    leaves_state: bool
    lock: lock.Lock


def open_run(out: Path, source: Place, settings: str, dry: bool = False, header: tuple[str, ...] = HEADER) -> Run:
    """Begin a run over an output folder: join what a killed run left, set rows of other settings aside.

    Args:
        out: the output folder; made if it is not there.
        source: the folder IN, which ``source_of`` will tell.
        settings: all that decides the outputs, beside the photos, as a string.
        dry: whether this run writes no outputs, but the ledger only.
        header: the columns.

    Raises:
        OutputError: if the folder cannot be written, another run is at work there, it holds a ``boxes.csv`` that is no ledger, it
            is made in shards, or is dry-run over outputs made with other settings, whose ledger it would spoil.
    """
    files = files_of(out, header)

    def check() -> None:
        if (files.state / SHARDS).exists():
            remedy = "run each with --shard, or end them first with 'cropper ledger merge OUT --finish'"
            raise OutputError("is made in shards", path=out, remedy=remedy)

    with writing_to(out):
        next(read(files.ledger), None)  # refuses a foreign file before anything is touched
        return begin(files, source, settings, dry, check)


@contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """While a run begins: have the system's errors be one about the output."""
    try:
        yield
    except OSError as error:
        reason = f"the output cannot be written ({error.strerror})"
        remedy = remedy_for(error, "choose another OUT or check its permissions")
        raise OutputError(reason, path=error.filename or out, remedy=remedy) from error


def begin(files: Files, source: Place, settings: str, dry: bool, prepare: Callable[[], None]) -> Run:
    """Take the lock, let ``prepare`` look at what is there, and begin a run.

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


def _begin(files: Files, source: Place, settings: str, dry: bool, taken: lock.Lock) -> Run:
    has_outputs = any(row.output for file in (files.ledger, files.part, files.outdated) for row in read(file))
    same_settings = files.settings.exists() and files.settings.read_text(encoding="utf-8") == settings
    if dry and has_outputs and not same_settings:
        raise OutputError(
            "holds thumbnails made with other settings", path=files.out, remedy="choose another OUT for the dry run"
        )
    write_whole(files.source, os.fsencode(source if isinstance(source, Remote) else os.path.abspath(source)))
    recover(files)
    if not same_settings:
        _join(files.ledger, files.outdated, files)
        write_whole(files.settings, settings.encode("utf-8"))
    files.joined.unlink(missing_ok=True)
    current, outdated = Previous(read(files.ledger)), Previous(read(files.outdated))
    return Run(files, current, outdated, Writer(files.part, files.header), has_outputs or not dry, taken)


def recover(files: Files) -> None:
    """Join what a killed run left to the ledger. Only for who has the lock."""
    _join(files.part, files.ledger, files)


def source_of(out: Path) -> Path | None:
    """The folder IN that the last run over an output folder took its photos from; None where none has left word of it."""
    try:
        return Path(os.fsdecode(files_of(out).source.read_bytes()))
    except OSError:
        return None


def photos_of(out: Path, told: Path | None) -> Path:
    """Where the photos of an output folder are: in the folder that is told, or else the one that ``source_of`` tells.

    Raises:
        UsageError: if it is not known, or not there any more.
    """
    if told is not None:
        if not told.is_dir():
            raise UsageError("the folder of the photos is not there", path=told, remedy="give it with --photos")
        return told
    source = source_of(out)
    if source is not None and is_url(os.fspath(files_of(out).source.read_text(errors="replace"))):
        reason = f"was made of photos in {files_of(out).source.read_text(errors='replace')}"
        raise UsageError(reason, path=out, remedy="give a folder of this machine that has them with --photos")
    if source is None or not source.is_dir():
        reason = "does not say where its photos are" if source is None else f"was made of photos in {source}, which is gone"
        raise UsageError(reason, path=out, remedy="give their folder with --photos")
    return source


def close_run(run: Run, complete: bool, abandoned: bool = False) -> None:
    """End a run: its rows become the ledger; of an interrupted one, with the old rows of the photos it had not come to.

    Args:
        run: is of no use any more afterwards.
        complete: whether it has come to the end of the walk.
        abandoned: whether some of its threads are still at a photo. Then the lock stays until the process ends, which should be
            at once, and the next run looks for what they left.

    Raises:
        OSError: if the ledger cannot be written. Then what is there is what a killed run leaves.
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
        _sync_folder(files.ledger.parent)
        if not run.leaves_state:
            for file in (files.part, files.outdated, files.settings, files.source):
                file.unlink(missing_ok=True)
        tidy = True
    finally:
        if not abandoned:
            lock.release(run.lock, tidy, remove=tidy and not run.leaves_state)


def _join(newer: Path, older: Path, files: Files) -> None:
    """Put the rows of a newer run that may not have come to the end in front of an older one's rows of later photos.

    The older file holds both then, and the newer one is gone.
    """
    if not newer.exists():
        return
    with (
        replacing(older, files.joined) as joined,
        joined.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(files.header)
        rows = _joined(lines(newer, only_ended=True), lines(older))
        writer.writerows(as_wide(row, files.header) for row in rows)
        file.flush()
        os.fsync(file.fileno())
    newer.unlink()


def _joined(newer: Iterator[list[str]], older: Iterator[list[str]]) -> Iterator[list[str]]:
    path: str | None = None  # of the newer run's last photo
    sizes: set[str] = set()
    for line in newer:
        if line[0] != path:
            path, sizes = line[0], set()
        sizes.add(line[_SIZE])
        yield line
    last = None if path is None else order(path)
    for line in older:
        if last is not None:
            here = order(line[0])
            # Killed or out of room, the newer run may have left some of that photo's rows and not all.
            if here < last or (here == last and line[_SIZE] in sizes):
                continue
            if here > last:
                last = None
        yield line


def write_whole(path: Path, data: bytes) -> None:
    """Have a file hold this, and at no time half of it."""
    if path.exists() and path.read_bytes() == data:
        return
    with replacing(path, path.with_name("new")) as new:
        new.write_bytes(data)


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system knows how to."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
