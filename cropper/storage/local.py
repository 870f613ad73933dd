"""Folders and files of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from cropper.errors import OutputError, reading
from cropper.storage import thumbnails
from cropper.storage.opening import open_below, open_file
from cropper.storage.patterns import EVERYTHING, Selection
from cropper.storage.photo_file import read_opened
from cropper.storage.places import Folder, Found, Place, Trace, Version, Whose, in_64_bits, is_inside
from cropper.storage.walk import walk


@dataclass(frozen=True)
class LocalPlace:
    """A folder or a file of this machine; ``places.Place`` describes each method.

    Attributes:
        path: its path.
        root: the folder that it was found in; its file is read only if it lies below. None for what the user named.
    """

    path: Path
    root: Path | None = field(default=None, compare=False)

    def __truediv__(self, name: str) -> LocalPlace:
        return LocalPlace(self.path / name, self.root or self.path)

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def local_path(self) -> Path:
        """The path itself."""
        return self.path

    @property
    def is_remote(self) -> bool:
        """Never."""
        return False

    @property
    def is_listed(self) -> bool:
        """Never."""
        return False

    def full_name(self) -> str:
        """The absolute path."""
        return os.path.abspath(self.path)

    def is_inside(self, folder: Place) -> bool:
        """Whether this folder is ``folder`` or lies below it, links resolved."""
        other = folder.local_path
        return other is not None and is_inside(os.path.realpath(self.path), os.path.realpath(other))

    def is_gone(self) -> bool:
        """Whether the folder is not there."""
        return not self.path.is_dir()

    def walk(
        self, extensions: frozenset[str], leave_out: Place | None = None, selection: Selection | None = None
    ) -> Iterator[Folder]:
        """Walk the folder, as ``walk.walk`` does."""
        return walk(self.path, extensions, leave_out.local_path if leave_out is not None else None, selection or EVERYTHING)

    def check_stays_in(self, output: str) -> None:
        """Make sure that no link leads out of this folder, and that a file can have the name. Raises OutputError if not."""
        if "\0" in output:  # a key of a bucket may have one
            raise OutputError("no file can have a null character in its name", path=self / output, remedy="rename the photo")
        thumbnails.check_stays_in(self.path, output)

    def find(self, output: str, trace: Trace, closely: bool = False) -> Found:
        """Say what lies at an output: looks at the file, and reads it if its time is another, or ``closely``."""
        return thumbnails.find(self._below(output), trace, closely)

    def is_taken(self, output: str) -> bool:
        """Whether something lies at an output, be it a link that leads nowhere."""
        return os.path.lexists(self._below(output))

    def modified_ns(self, output: str) -> int:
        """When an output was last modified, in nanoseconds since 1970; 0 if nothing is there."""
        try:
            return in_64_bits(os.lstat(self._below(output)).st_mtime_ns)
        except OSError:
            return 0

    def version_now(self) -> Version:
        """Return which version of the file is there now. Raises OSError if it is gone."""
        return version_in(os.stat(self.path))

    def version_of(self, name: str) -> Version:
        """Return which version of a file in this folder is there now. Raises OSError if it is gone."""
        return version_in(os.stat(self._below(name)))

    def read(self, known: Version | None = None) -> tuple[bytes, Version]:
        """Read a whole photo.

        Raises:
            PhotoError: if the file cannot be read, is not a photo or a regular file, is too large, or lies outside its folder.
        """
        with reading(self.path), self._opened() as opened:
            status = os.fstat(opened.fileno())
            return read_opened(opened), version_in(status)

    def write_thumbnail(self, data: bytes, temporary_name: str, whose: Whose) -> Trace:
        """Write a thumbnail completely or not at all, and return its trace. Raises OutputError."""
        return thumbnails.write(self.path, data, temporary_name, whose)

    def remove(self) -> None:
        """Remove a thumbnail, if it is there. Raises OutputError if it cannot be removed."""
        thumbnails.remove(self.path)

    def _below(self, name: str) -> str:
        """The path of a file in this folder, as text: a run over what is there already asks for each, and a Path costs more."""
        return f"{self.path}{os.sep}{name}"

    def _opened(self) -> FileIO:
        if self.root is None:
            return open_file(self.path)
        return open_below(self.root, _names(self.path, self.root))


def _names(path: Path, root: Path) -> tuple[str, ...]:
    try:
        return path.relative_to(root).parts
    except ValueError:  # an absolute path in the place of a name
        return ()


def version_in(status: os.stat_result) -> Version:
    """Return the version of a file that its status tells."""
    # On Windows it is the time when the file was made.
    changed_ns = in_64_bits(status.st_ctime_ns) if os.name != "nt" else None
    return Version(status.st_size, in_64_bits(status.st_mtime_ns), changed_ns=changed_ns)
