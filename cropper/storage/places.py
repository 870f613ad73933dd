"""What a batch asks of the folders IN and OUT and of their files, and the words of a walk through them.

``Place`` is the protocol. ``local.LocalPlace`` keeps it for paths of this machine, ``bucket.BucketPlace`` for URLs of an object
storage. ``access.place`` makes one or the other from what a user wrote.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cropper.errors import PhotoError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Place(Protocol):
    """A folder or a file, on this machine or in a bucket.

    A frozen value: it pickles, and two that name the same place in the same words are equal. Its text is the path or URL as the
    user wrote it.
    """

    def __truediv__(self, name: str) -> Place:
        """A file or a folder in this folder. ``name`` is relative and ``/``-separated."""

    def __fspath__(self) -> str:
        """The path or the URL."""

    @property
    def local_path(self) -> Path | None:
        """The path on this machine; None in a bucket."""

    @property
    def is_remote(self) -> bool:
        """Whether each request waits for a network."""

    def full_name(self) -> str:
        """The absolute path or the URL: names the place from any working directory."""

    def is_inside(self, folder: Place) -> bool:
        """Whether this folder is ``folder`` or lies below it, links resolved."""

    # Folders

    def is_gone(self) -> bool:
        """Whether the folder is not there. Always False in a bucket, where only ``walk`` can tell."""

    def walk(self, extensions: frozenset[str], leave_out: Place | None = None) -> Iterator[Folder]:
        """Walk the folder: the photos of each folder sorted by name, then its subfolders sorted by name.

        Hidden files and folders are left out, and so are folders that are the OUT of a run, but for the folder itself.

        Args:
            extensions: of photos' names, in lower case, with the dot.
            leave_out: a folder not to walk.

        Raises:
            CropperError: if a bucket cannot be listed. A local folder that cannot be listed is a ``Folder`` with an error.
        """

    def check_stays_in(self, output: str) -> None:
        """Make sure that no link on the way to an output leads out of this folder.

        Raises:
            OutputError: if one does.
        """

    def are_up_to_date(self, outputs: Sequence[str], recorded: Sequence[str], photo: Version) -> bool:
        """Whether thumbnails in this folder were made from this version of their photo.

        Args:
            outputs: the thumbnails, relative to this folder.
            recorded: the version of the photo in the ledger's row of each; empty on this machine, where each file has a stamp.
            photo: the photo as it is now.
        """

    # Files

    def version_now(self) -> Version:
        """Return which version of the file is there now.

        Raises:
            OSError: if it cannot be found out.
        """

    def read(self, known: Version | None = None) -> tuple[bytes, Version]:
        """Read a whole photo, and return its bytes and which version they are.

        Args:
            known: the version that the listing gave, if it gave one.

        Raises:
            PhotoError: if it cannot be read, or is not a regular file.
        """

    def write_thumbnail(self, data: bytes, temporary_name: str, photo_modified_ns: int, ours: bool) -> bool:
        """Write a thumbnail completely or not at all; arguments are those of ``thumbnails.write``.

        Returns:
            whether to ``stamp`` it once its row is in the ledger.

        Raises:
            OutputError: if it cannot be written.
        """

    def stamp(self, photo_modified_ns: int) -> None:
        """Mark a thumbnail as made from the photo that was last modified then. Does nothing in a bucket.

        Raises:
            OSError: if it cannot be marked.
        """

    def remove(self) -> None:
        """Remove a file that an earlier run wrote, if it is there.

        Raises:
            OutputError: if it cannot be removed.
        """


def is_url(text: str) -> bool:
    """Whether a text is a URL rather than a path."""
    return _URL.match(text) is not None


@dataclass(frozen=True)
class Version:
    """One version of a file.

    Attributes:
        size: in bytes.
        modified_ns: when it was last modified, in nanoseconds since 1970.
        version: a text that changes with the content, as far as a listing can tell.
    """

    size: int
    modified_ns: int
    version: str


@dataclass(frozen=True)
class Folder:
    """One folder of a walk.

    Attributes:
        path: relative to the root, ``/``-separated; ``""`` for the root itself.
        photos: the names of its photos, sorted.
        others: the number of its other files that are not hidden.
        error: why it could not be listed, or None.
        versions: the version of each photo, where the listing gives it; else empty.
        in_pieces: whether the walk gives more photos of this folder in another ``Folder``.
        subfolders: the names of the folders in it that the walk comes to, sorted; those of all pieces with the last one.
        is_out: whether it is the OUT of a run, and the walk passes over it and all that it holds.
    """

    path: str
    photos: tuple[str, ...] = ()
    others: int = 0
    error: PhotoError | None = None
    versions: tuple[Version, ...] = ()
    in_pieces: bool = False
    subfolders: tuple[str, ...] = ()
    is_out: bool = False


def join(folder: str, name: str) -> str:
    """The path of a name in a folder of a walk, relative to the root."""
    return f"{folder}/{name}" if folder else name


def order(path: str) -> list[tuple[bool, str]]:
    """The key that sorts relative paths into the order of a walk."""
    *folders, name = path.split("/")
    return [*((True, folder) for folder in folders), (False, name)]


def is_inside(path: str, folder: str) -> bool:
    """Whether a real path is a folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
