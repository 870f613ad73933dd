"""Where photos are and thumbnails go: folders of this machine, and those of an object storage, by their URL.

What a batch does with either is here, each a plain function: list, read, write, remove. For a path they do just what files
ask for; ``cropper.remote`` and the libraries beneath it load with the first URL.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cropper import outputs, walk
from cropper.errors import PhotoError, reading

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
# Where the system has what a process was started with, as ``<(command)``.
_OPEN_FILES = (Path("/dev/fd"), Path("/proc/self/fd"))


@dataclass(frozen=True)
class Remote:
    """A folder or an object of a storage that fsspec knows.

    Attributes:
        url: ``s3://bucket/photos``, without a slash at its end.
    """

    url: str

    def __truediv__(self, name: str) -> Remote:
        return Remote(f"{self.url.removesuffix('/')}/{name}")

    def __fspath__(self) -> str:
        return self.url

    def __str__(self) -> str:
        return self.url


Place = Path | Remote


def is_url(text: str) -> bool:
    """Whether it names a place in a storage, rather than a path."""
    return _URL.match(text) is not None


def place(text: str) -> Place:
    """The place that a URL or a path names."""
    return Remote(text.rstrip("/") if not text.endswith("://") else text) if is_url(text) else Path(text)


def folders(root: Place, extensions: frozenset[str], leave_out: Place | None = None) -> Iterator[walk.Folder]:
    """The photos under a folder, as ``walk.walk`` gives them, in the same order.

    Args:
        root: the folder.
        extensions: what a photo's name ends with, in lower case, with the dot.
        leave_out: a folder that is not walked.

    Raises:
        CropperError: if a storage cannot be listed.
    """
    if isinstance(root, Path):
        return walk.walk(root, extensions, leave_out if isinstance(leave_out, Path) else None)
    from cropper import remote

    return remote.folders(root, extensions, leave_out if isinstance(leave_out, Remote) else None)


def seen(file: Place) -> walk.Seen:
    """What a file of this machine is like now.

    Raises:
        OSError: if it is gone.
    """
    return _seen(os.stat(file))


def read(file: Place, known: walk.Seen | None = None) -> tuple[bytes, walk.Seen]:
    """All of a photo, and which of its versions that is.

    Args:
        file: a photo.
        known: what its listing said of it, which a storage's photo has.

    Raises:
        PhotoError: if it cannot be read, or is no regular file.
    """
    if isinstance(file, Path):
        _check(file)
        with reading(file), file.open("rb") as opened:
            status = os.fstat(opened.fileno())
            return opened.read(), _seen(status)
    from cropper import remote

    assert known is not None
    return remote.read(file, known), known


def write(file: Place, data: bytes, temporary_name: str, photo_modified_ns: int, ours: bool) -> bool:
    """Write a thumbnail whole or not at all, and say whether it is to be stamped later; ``outputs.write`` says of what.

    Raises:
        OutputError: if it cannot be written.
    """
    if isinstance(file, Path):
        outputs.write(file, data, temporary_name, photo_modified_ns, ours)
        return ours
    from cropper import remote

    remote.write(file, data)
    return False


def check_stays_in(out: Place, output: str) -> None:
    """Make sure that no link on the way to an output leads out of OUT; a storage has none.

    Raises:
        OutputError: if one does.
    """
    if isinstance(out, Path):
        outputs.check_stays_in(out, output)


def remove(file: Place) -> None:
    """Take away a thumbnail that an earlier run wrote.

    Raises:
        OutputError: if it cannot be removed.
    """
    if isinstance(file, Path):
        outputs.remove(file)
    else:
        from cropper import remote

        remote.remove(file)


def _seen(status: os.stat_result) -> walk.Seen:
    return walk.Seen(status.st_size, status.st_mtime_ns, f"{status.st_mtime_ns}-{status.st_size}")


def _check(file: Path) -> None:
    """Refuse what would be waited for or read without an end: pipes that no one writes to, sockets, devices.

    A shell's ``<(command)`` is a pipe too, but has a writer.

    Raises:
        PhotoError: if it is no regular file.
    """
    with reading(file):
        mode = os.stat(file).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode) and file.parent not in _OPEN_FILES:
        raise PhotoError("it is no regular file but a pipe, a socket or a device", remedy="give the photo itself")
