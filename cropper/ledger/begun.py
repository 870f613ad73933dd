"""The names of the outputs that a run writes, in a file beside the state. They tell the next run what a kill or a power
failure left.

A name is on the disk before its output is. It stays until the output is on the disk too, which the system does in its own time.
Names end with a null byte. An empty one is a mark: the photos of all names before it were in the state then, but for those named
again behind it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cropper.ledger.database import decoded, encoded
from cropper.storage.atomic import sync_all, synced

# Above this many bytes, the file begins anew with the names that still count.
_MOST = 1 << 20


class Begun:
    """The outputs that a run has begun. Makes the file anew.

    Args:
        path: the file.
        out: the folder of the outputs, on this machine; None where they go elsewhere, and nothing is synced.

    Attributes:
        photos: the outputs of each photo that is begun and not recorded.
    """

    def __init__(self, path: Path, out: Path | None) -> None:
        self.photos: dict[str, tuple[str, ...]] = {}
        self._path, self._out = path, out
        self._any = self._unsynced = False
        self._file: int | None = _made(path)

    def note(self, photo: str, outputs: Iterable[str]) -> None:
        """Note that outputs are about to be written. They may be after ``sync``."""
        # A key of a bucket may have a null character, and no file can.
        self.photos[photo] = tuple(output for output in outputs if "\0" not in output)
        self._write(self.photos[photo])
        self._any = self._unsynced = True

    def sync(self) -> None:
        """Write the names to the disk."""
        if self._unsynced and self._out is not None and self._file is not None:
            synced(self._file)
        self._unsynced = False

    def mark(self) -> None:
        """Note that the state is on the disk with all that it holds now."""
        assert self._file is not None
        size = os.fstat(self._file).st_size
        if size > _MOST:
            self._begin_anew()
        elif size:
            self._write(("", *(output for outputs in self.photos.values() for output in outputs)))

    def outputs(self) -> Iterator[str]:
        """Yield the outputs that are begun and whose photos are not recorded."""
        for outputs in self.photos.values():
            yield from outputs

    def end(self) -> None:
        """Remove the file, once all outputs are on the disk."""
        self.close()
        if self._any and self._out is not None:
            sync_all(self._out)
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file, and leave it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, names: Iterable[str]) -> None:
        assert self._file is not None
        os.write(self._file, b"".join(encoded(name) + b"\0" for name in names))

    def _begin_anew(self) -> None:
        """Drop what is on the disk. At no time is a name missing that counts."""
        if self._out is not None:
            sync_all(self._out)
        new = self._path.with_name("begun.new")
        old, self._file = self._file, _made(new)
        self._write(self.outputs())
        if self._out is not None:
            synced(self._file)
        os.replace(new, self._path)
        if old is not None:
            os.close(old)


def _made(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)


def names_in(path: Path) -> tuple[list[str], list[str]]:
    """Return the names that an earlier run left: of photos that may not be in the state, and of others that are; no torn one.

    A power failure can take back the last change of the state, so the last mark does not count.
    """
    try:
        *whole, _ = path.read_bytes().split(b"\0")
    except OSError:
        return [], []
    marks = [place for place, name in enumerate(whole) if not name]
    behind = marks[-2] if len(marks) > 1 else 0
    open_ = dict.fromkeys(decoded(name) for name in whole[behind:] if name)
    return [*open_], [*dict.fromkeys(name for name in map(decoded, whole[:behind]) if name and name not in open_)]
