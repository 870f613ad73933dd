"""The files of a ledger: where they are, and how to write them completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cropper.errors import OutputError, UsageError, remedy_for
from cropper.ledger.table import HEADER
from cropper.storage.access import place
from cropper.storage.atomic import replacing
from cropper.storage.naming import STATE_FOLDER as STATE_FOLDER
from cropper.storage.places import Place

TABLE_NAME = "boxes.csv"
# In the state folder: holds a folder for each shard.
SHARDS_FOLDER = "shards"


@dataclass(frozen=True)
class Files:
    """Paths of a ledger and of the files that go with it.

    Attributes:
        out: the output folder.
        ledger: the ledger itself.
        state: the folder with the other files.
        header: the columns of all files with rows.
    """

    out: Path
    ledger: Path
    state: Path
    header: tuple[str, ...]

    @property
    def lock(self) -> Path:
        """The lock that keeps other runs out."""
        return self.state / "lock"

    @property
    def part(self) -> Path:
        """The rows of the run in progress, or of a killed one."""
        return self.state / "part.csv"

    @property
    def joined(self) -> Path:
        """Two files of rows while they are joined into one."""
        return self.state / "joined.csv"

    @property
    def outdated(self) -> Path:
        """Rows made with other settings."""
        return self.state / "outdated.csv"

    @property
    def settings(self) -> Path:
        """The settings that the ledger's rows were made with."""
        return self.state / "settings.json"

    @property
    def source(self) -> Path:
        """The full name of the folder IN."""
        return self.state / "source"


def files_of(out: Path, header: tuple[str, ...] = HEADER) -> Files:
    """Return the files of an output folder's ledger."""
    return Files(out, out / TABLE_NAME, out / STATE_FOLDER, header)


def files_of_shard(out: Path, folder: Path, header: tuple[str, ...] = HEADER) -> Files:
    """Return the files of a shard's ledger: all in the shard's own folder."""
    return Files(out, folder / TABLE_NAME, folder, header)


@contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """Turn system errors at the start of a run into an OutputError."""
    try:
        yield
    except OSError as error:
        reason = f"the output cannot be written ({error.strerror})"
        remedy = remedy_for(error, "choose another OUT or check its permissions")
        raise OutputError(reason, path=error.filename or out, remedy=remedy) from error


def source_of(out: Path) -> Place | None:
    """Return the folder IN of the last run over an output folder, or None if no run left its name there."""
    try:
        return place(os.fsdecode(files_of(out).source.read_bytes()))
    except OSError:
        return None


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


def write_whole(path: Path, data: bytes) -> None:
    """Write a file completely or not at all; leave it alone if it holds these bytes already."""
    if path.exists() and path.read_bytes() == data:
        return
    with replacing(path, path.with_name("new")) as new:
        new.write_bytes(data)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, on systems that can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
