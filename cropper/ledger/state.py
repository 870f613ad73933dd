"""Where the files of a ledger are, and how they are written whole."""

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
from cropper.storage.places import Place

TABLE_NAME = "boxes.csv"
STATE_FOLDER = ".cropper"
# In the state folder, that of each shard of a run that is made in several.
SHARDS_FOLDER = "shards"


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


def files_of(out: Path, header: tuple[str, ...] = HEADER) -> Files:
    """The ledger of an output folder."""
    return Files(out, out / TABLE_NAME, out / STATE_FOLDER, header)


def files_of_shard(out: Path, folder: Path, header: tuple[str, ...] = HEADER) -> Files:
    """The ledger of one of several runs that share an output folder: all in a folder of its own."""
    return Files(out, folder / TABLE_NAME, folder, header)


@contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """While a run begins: have the system's errors be one about the output."""
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
    """Return the folder with the photos of an output folder: the one that is told, or else that of ``source_of``.

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
        remedy = "give a folder of this machine that has them with --photos"
        raise UsageError(f"was made of photos in {source}", path=out, remedy=remedy)
    if source.is_gone():
        reason = f"was made of photos in {source}, which is gone"
        raise UsageError(reason, path=out, remedy="give their folder with --photos")
    return folder


def write_whole(path: Path, data: bytes) -> None:
    """Have a file hold this, and at no time half of it."""
    if path.exists() and path.read_bytes() == data:
        return
    with replacing(path, path.with_name("new")) as new:
        new.write_bytes(data)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system knows how to."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
