"""Shards: the photos of one IN split among several runs, on one machine or many, that share only their output folder.

A hash of a photo's path decides its shard. So the runs need not talk to each other, and a photo stays in its shard when others
come and go. Each shard has its own folder, ``OUT/.cropper/shards/00001-of-00004``, with its ledger, its lock, and the files that
a second run of it needs. ``merge_shards`` merges the ledgers into ``OUT/boxes.csv``.

The rows of a photo are in one ledger at a time. A shard that begins takes over its rows from a run without shards. Runs without
shards, or with another number of shards, are refused until ``merge_shards`` has finished these.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cropper.errors import OutputError, UsageError
from cropper.ledger import lock
from cropper.ledger.merge import merge_tables, write_table
from cropper.ledger.run import OpenRun, begin, recover
from cropper.ledger.state import SHARDS_FOLDER, STATE_FOLDER, Files, files_of, files_of_shard, write_whole, writing_to
from cropper.ledger.table import HEADER, read_lines
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


def open_shard_run(
    out: Path, source: Path | Place, settings: str, dry: bool, shard: Shard, header: tuple[str, ...] = HEADER
) -> OpenRun:
    """Begin a run of one shard; arguments and errors are those of ``run.open_run``."""
    folder = shard_folder(out, shard)
    with writing_to(out):
        with _locked_briefly(out):
            others = {other.count for other in _begun(out)} - {shard.count}
            if others:
                raise _in_other_shards(out, others.pop())
            recover(files_of(out, header))
            folder.mkdir(parents=True, exist_ok=True)
        files = files_of_shard(out, folder, header)
        return begin(files, source, settings, dry, lambda: _take_over(out, files, shard))


def merge_shards(out: Path, finish: bool = False, header: tuple[str, ...] = HEADER) -> Path:
    """Merge the ledgers of all shards into ``OUT/boxes.csv``, in the order of the walk, and return its path.

    Args:
        out: an output folder. All its shards must have run.
        finish: whether to remove the shards afterwards: OUT is then as a run without them leaves it.
        header: the columns.

    Raises:
        UsageError: if it has no shards.
        OutputError: if a shard is missing, was killed, or is at work; or the table cannot be written.
    """
    files, main = _ended(out), files_of(out, header)
    with writing_to(out):
        if not finish:
            _merge(files, main)
            return main.ledger
        with _locked_briefly(out):
            with ExitStack() as locks:
                for one in files:
                    locks.callback(lock.release, lock.take(one.lock, out), tidy=True)
                _merge(files, main)
                merge_tables([one.outdated for one in files if one.outdated.exists()], main.outdated, header)
                _copy_if_alike([one.settings for one in files], main.settings)
            done_with = main.state / "finished"
            shutil.rmtree(done_with, ignore_errors=True)
            os.rename(main.state / SHARDS_FOLDER, done_with)  # all at once
            shutil.rmtree(done_with, ignore_errors=True)
    return main.ledger


def ledgers_of(out: Path) -> list[Path]:
    """Return the ledgers of all shards of an output folder. Raises the errors of ``merge_shards``."""
    return [files.ledger for files in _ended(out)]


def _merge(files: list[Files], main: Files) -> None:
    # First, so that at no time rows stand beside settings that they were not made with.
    main.settings.unlink(missing_ok=True)
    merge_tables([one.ledger for one in files], main.ledger, main.header)
    _copy_if_alike([one.source for one in files], main.source)


def shard_folder(out: Path, shard: Shard) -> Path:
    """Return the folder of a shard's ledger and of the files that go with it."""
    return out / STATE_FOLDER / SHARDS_FOLDER / shard.label


def _begun(out: Path) -> list[Shard]:
    """Return the shards that have a folder in an output folder."""
    try:
        names = os.listdir(out / STATE_FOLDER / SHARDS_FOLDER)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return labelled(sorted(names))


def _in_other_shards(out: Path, count: int) -> OutputError:
    remedy = f"keep to --shard I/{count}, or end these first with 'cropper ledger merge OUT --finish'"
    return OutputError(f"is made in {count} shards", path=out, remedy=remedy)


def _ended(out: Path) -> list[Files]:
    """Return the files of all shards. Raises an error if one is missing or at work."""
    begun = _begun(out)
    if not begun:
        raise UsageError("has no shards to merge", path=out, remedy="give an OUT of 'cropper batch --shard', or ledgers")
    count = begun[0].count
    found = []
    for shard in (Shard(number, count) for number in range(1, count + 1)):
        files = files_of_shard(out, shard_folder(out, shard))
        with suppress(FileNotFoundError):
            if files.lock.stat().st_size:
                reason = f"shard {shard.number}/{count} is at work or was killed"
                raise OutputError(reason, path=out, remedy="let it end, or run it again")
        if not files.ledger.exists():
            remedy = f"run it first, with --shard {shard.number}/{count}"
            raise OutputError(f"shard {shard.number}/{count} has no ledger yet", path=out, remedy=remedy)
        found.append(files)
    return found


def _copy_if_alike(files: list[Path], to: Path) -> None:
    """Copy these files to one if they are all equal; else do nothing."""
    contents = {file.read_bytes() if file.exists() else None for file in files}
    content = contents.pop()
    if not contents and content is not None:
        write_whole(to, content)


@contextmanager
def _locked_briefly(out: Path) -> Iterator[None]:
    """Hold the lock on OUT for a moment: keep out runs without shards, and other shards that begin."""
    path = files_of(out).lock
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


def _take_over(out: Path, files: Files, shard: Shard) -> None:
    """Copy a new shard's rows from what a run without shards left."""
    if files.ledger.exists() or files.settings.exists():
        return
    main = files_of(out)
    for old, new in ((main.outdated, files.outdated), (main.ledger, files.ledger)):
        if old.exists():
            write_table((line for line in read_lines(old) if shard.holds(line[0])), new, files.header)
    if main.settings.exists():
        write_whole(files.settings, main.settings.read_bytes())
