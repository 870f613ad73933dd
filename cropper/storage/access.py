"""Where photos are and thumbnails go: folders of this machine, and those of an object storage, by their URL.

What a batch does with either is here, each a plain function: list, read, write, remove. For a path they do just what files
ask for; ``cropper.storage.bucket`` and the libraries beneath it load with the first URL.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from cropper.errors import PhotoError, reading
from cropper.storage import thumbnails
from cropper.storage.places import Folder, Place, Remote, Version
from cropper.storage.walk import walk

# Where the system has what a process was started with, as ``<(command)``.
_OPEN_FILES = (Path("/dev/fd"), Path("/proc/self/fd"))


def folders(root: Place, extensions: frozenset[str], leave_out: Place | None = None) -> Iterator[Folder]:
    """The photos under a folder, as ``walk.walk`` gives them, in the same order.

    Args:
        root: the folder.
        extensions: what a photo's name ends with, in lower case, with the dot.
        leave_out: a folder that is not walked.

    Raises:
        CropperError: if a storage cannot be listed.
    """
    if isinstance(root, Path):
        return walk(root, extensions, leave_out if isinstance(leave_out, Path) else None)
    from cropper.storage import bucket

    return bucket.folders(root, extensions, leave_out if isinstance(leave_out, Remote) else None)


def seen(file: Place) -> Version:
    """What a file of this machine is like now.

    Raises:
        OSError: if it is gone.
    """
    return _seen(os.stat(file))


def read(file: Place, known: Version | None = None) -> tuple[bytes, Version]:
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
    from cropper.storage import bucket

    assert known is not None
    return bucket.read(file, known), known


def write(file: Place, data: bytes, temporary_name: str, photo_modified_ns: int, ours: bool) -> bool:
    """Write a thumbnail whole or not at all, and say whether it is to be stamped later; ``outputs.write`` says of what.

    Raises:
        OutputError: if it cannot be written.
    """
    if isinstance(file, Path):
        thumbnails.write(file, data, temporary_name, photo_modified_ns, ours)
        return ours
    from cropper.storage import bucket

    bucket.write(file, data)
    return False


def check_stays_in(out: Place, output: str) -> None:
    """Make sure that no link on the way to an output leads out of OUT; a storage has none.

    Raises:
        OutputError: if one does.
    """
    if isinstance(out, Path):
        thumbnails.check_stays_in(out, output)


def remove(file: Place) -> None:
    """Take away a thumbnail that an earlier run wrote.

    Raises:
        OutputError: if it cannot be removed.
    """
    if isinstance(file, Path):
        thumbnails.remove(file)
    else:
        from cropper.storage import bucket

        bucket.remove(file)


def _seen(status: os.stat_result) -> Version:
    return Version(status.st_size, status.st_mtime_ns, f"{status.st_mtime_ns}-{status.st_size}")


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
