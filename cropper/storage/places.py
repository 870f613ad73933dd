"""What a batch asks of the folders IN and OUT and of their files, and the words of a walk through them.

``Place`` is the protocol. ``local.LocalPlace`` keeps it for paths of this machine, ``bucket.BucketPlace`` for URLs of an object
storage. ``access.place`` makes one or the other from what a user wrote.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cropper.errors import PhotoError
from cropper.storage.light import light_dataclass

if TYPE_CHECKING:
    from cropper.storage.patterns import Selection

# Parts of a path that are no names: on a disk, and in many a library, they lead elsewhere.
_NO_NAMES = {"", ".", ".."}


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

    @property
    def is_listed(self) -> bool:
        """Whether a walk gives only what the user listed of the folder, so that the other photos are not gone."""

    def full_name(self) -> str:
        """The absolute path or the URL: names the place from any working directory."""

    def is_inside(self, folder: Place) -> bool:
        """Whether this folder is ``folder`` or lies below it, links resolved."""

    # Folders

    def is_gone(self) -> bool:
        """Whether the folder is not there. Always False in a bucket, where only ``walk`` can tell."""

    def walk(
        self, extensions: frozenset[str], leave_out: Place | None = None, selection: Selection | None = None
    ) -> Iterator[Folder]:
        """Walk the folder: the photos of each folder sorted by name, then its subfolders sorted by name.

        Hidden files and folders are left out, and so are folders that are the OUT of a run, but for the folder itself.

        Args:
            extensions: of photos' names, in lower case, with the dot.
            leave_out: a folder not to walk.
            selection: which files and folders to take; all but those of systems if None.

        Raises:
            CropperError: if a bucket cannot be listed. A local folder that cannot be listed is a ``Folder`` with an error.
        """

    def check_stays_in(self, output: str) -> None:
        """Make sure that no link on the way to an output leads out of this folder.

        Raises:
            OutputError: if one does.
        """

    def find(self, output: str, trace: Trace, closely: bool = False) -> Found:
        """Say what lies at an output in this folder. A bucket is believed: to look costs a request.

        Args:
            output: relative to this folder.
            trace: the file as cropper wrote it.
            closely: whether to read the file, as after a power failure.
        """

    def is_taken(self, output: str) -> bool:
        """Whether something lies at an output. Always False in a bucket, where nobody looks."""

    def modified_ns(self, output: str) -> int:
        """When an output was last modified, in nanoseconds since 1970; 0 if nothing is there, or nobody looks."""

    # Files

    def version_now(self) -> Version:
        """Return which version of the file is there now.

        Raises:
            OSError: if it cannot be found out.
        """

    def version_of(self, name: str) -> Version:
        """Return which version of a file in this folder is there now: as ``version_now`` of it, without making its place."""

    def read(self, known: Version | None = None) -> tuple[bytes, Version]:
        """Read a whole photo, and return its bytes and which version they are.

        Args:
            known: the version that the listing gave, if it gave one.

        Raises:
            PhotoError: if it cannot be read or is too large; on this machine also if it is no photo or no regular file.
        """

    def write_thumbnail(self, data: bytes, temporary_name: str, whose: Whose) -> Trace:
        """Write a thumbnail completely or not at all; arguments are those of ``thumbnails.write``.

        Raises:
            OutputError: if it cannot be written, or somebody else's file is there.
        """

    def remove(self) -> None:
        """Remove a file that an earlier run wrote, if it is there.

        Raises:
            OutputError: if it cannot be removed.
        """


@light_dataclass(frozen=True)
class Version:
    """One version of a file, as far as a look at it from outside tells. None and an empty text are not known.

    Attributes:
        size: in bytes.
        modified_ns: when it was last modified, in nanoseconds since 1970.
        version: a text that changes with the content, where a storage gives one.
        changed_ns: when the system last changed its content or attributes, in nanoseconds since 1970. No program sets it, so it
            tells a file that was put back with an old modification time.
    """

    size: int | None = None
    modified_ns: int | None = None
    version: str = ""
    changed_ns: int | None = None

    def is_still(self, now: Version) -> bool:
        """Whether the file is still the one that this version is of: all that is known of both agrees, and something is.

        The text of a storage counts alone: the time of an object is that of its upload. Times agree too if the later look shows
        less of them, as once a disk is mounted again whose file system keeps them less exactly than the system's memory.
        """
        if self == now:  # as of nearly every photo
            return self != UNKNOWN
        if self.version and now.version:
            return self.version == now.version
        known = [self.size == now.size] if None not in (self.size, now.size) else []
        if self.modified_ns is not None and now.modified_ns is not None:
            known.append(_is_same_time(self.modified_ns, now.modified_ns))
        if self.changed_ns is not None and now.changed_ns is not None:
            # The other time again is that of a file system which keeps none, as FAT. A true one is later than what it was.
            known.append(now.changed_ns == now.modified_ns or _is_same_time(self.changed_ns, now.changed_ns))
        return bool(known) and all(known)


# What file systems cut times to, in nanoseconds: FAT; ext3; UDF; NTFS.
_STEPS = (2_000_000_000, 1_000_000_000, 1_000, 100)
# The last second that file systems with 32 bits for it have, in 2038.
_LAST_SECOND = (1 << 31) - 1


def _is_same_time(before: int, now: int) -> bool:
    """Whether a time is the one that it was, or what a file system keeps of that."""
    if before == now:
        return True
    second = now // 1_000_000_000
    return any(now == before - before % step for step in _STEPS) or (second == _LAST_SECOND and now < before)


def in_64_bits(time: int) -> int:
    """Return a time in nanoseconds as the state can hold it. Times that do not fit, before 1677 or after 2262, become others."""
    return (time + (1 << 63)) % (1 << 64) - (1 << 63)


UNKNOWN = Version()


@light_dataclass(frozen=True)
class Trace:
    """A file as it was when cropper had written it.

    Attributes:
        size: in bytes; None for a file that a killed run had begun to write: whatever is there is ours.
        modified_ns: when it was last modified, in nanoseconds since 1970; 0 in a bucket.
        digest: of its bytes, by ``digest_of``.
        earlier: the digest of our file that it replaced. A power failure may bring that back.
        was_there: whether the file had these bytes before, and so was left alone.
    """

    size: int | None
    modified_ns: int = 0
    digest: bytes = b""
    earlier: bytes = b""
    was_there: bool = field(default=False, compare=False)


class Whose(Enum):
    """Whose file lies where a thumbnail goes, if one does."""

    OURS = "ours"  # or nothing is there
    ALTERED = "altered"  # cropper wrote it, and somebody changed it since
    UNKNOWN = "unknown"  # cropper did not write it


class Found(Enum):
    """What lies where cropper wrote a file."""

    SAME = "same"
    MOVED = "moved"  # the same bytes with another time: a copy, or a file system that cuts times
    LOST = "lost"  # nothing, or what a kill or a power failure left: nobody else's
    ALTERED = "altered"  # somebody changed or replaced it


def digest_of(data: bytes) -> bytes:
    """Return 16 bytes that tell this content from any other: BLAKE2b."""
    import hashlib  # it loads OpenSSL, which one photo does without

    return hashlib.blake2b(data, digest_size=16).digest()


@dataclass(frozen=True)
class LeftOut:
    """What a walk leaves out of one folder.

    Attributes:
        files: the number of files that the user's patterns leave out.
        folders: the number of folders that they leave out.
        links: the number of links that lead out of the root.
        of_systems: the names of the folders that systems fill, as ``patterns.SYSTEM_FOLDERS`` writes them.
    """

    files: int = 0
    folders: int = 0
    links: int = 0
    of_systems: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != NOTHING_LEFT_OUT


NOTHING_LEFT_OUT = LeftOut()


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
        left_out: what else the walk leaves out, beside hidden files and what lies in an OUT.
        listed: those of the photos that the user listed; None if all count.
        named: those that the user listed one by one, be they all that count or not.
        in_out: where its thumbnails go in OUT, if that is not its path: it lies outside of the root, and has an absolute path.
        kinds: of the others, how many have an extension that the table of formats knows: its name there, and the number.
    """

    path: str
    photos: tuple[str, ...] = ()
    others: int = 0
    error: PhotoError | None = None
    versions: tuple[Version, ...] = ()
    in_pieces: bool = False
    subfolders: tuple[str, ...] = ()
    is_out: bool = False
    left_out: LeftOut = NOTHING_LEFT_OUT
    listed: tuple[str, ...] | None = None
    named: frozenset[str] = frozenset()
    in_out: str | None = None
    kinds: tuple[tuple[str, int], ...] = ()

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names of the photos to make."""
        return self.photos if self.listed is None else self.listed


def leads_elsewhere(path: str) -> bool:
    """Whether a relative path has a part that names no file or folder: empty, ``.`` or ``..``. A key of a bucket may have one."""
    return not _NO_NAMES.isdisjoint(path.split("/"))


def file_below(folder: Path, path: str) -> Path:
    """Return the photo below a folder that the path in a ledger's row names.

    Raises:
        PhotoError: if it would be a file elsewhere, or none: the photo was a key of a bucket, which a stranger may have chosen.
    """
    if leads_elsewhere(path) or "\0" in path:
        raise PhotoError("no file below a folder can have that name", path=path, remedy="rename the photo")
    return folder / path


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
