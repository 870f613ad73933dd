"""Write a file completely or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Errors of file systems that cannot sync. What they are asked to keep is as safe as they make it.
_NO_SYNC = {getattr(errno, name, -1) for name in ("EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EROFS")}


@contextmanager
def replacing(path: Path, temporary: Path) -> Iterator[Path]:
    """Yield a temporary file to write, and move it to a path if the body ends without an error; else remove it.

    Args:
        path: the file to write or replace.
        temporary: the temporary file, on the same file system. Nobody else may use it meanwhile. The caller names it, because
            a name made from ``path`` could be too long.

    Raises:
        OSError: if it cannot be moved.
    """
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # a full disk needs the room; the first error matters more
            temporary.unlink(missing_ok=True)
        raise


def make_folder_of(path: Path) -> None:
    """Make the folder of a file that a user named, and those above it, where they are not there.

    Raises:
        OSError: if one cannot be made; NotADirectoryError if it is a file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # which would say that the file is there
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent)) from error


def synced(descriptor: int) -> bool:
    """Write an open file to the disk, and return whether its file system can do that.

    Raises:
        OSError: if it can and did not.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
        return False
    return True


def sync_all(folder: Path) -> None:
    """Write all files of a folder's file system to the disk, on systems that can."""
    import ctypes  # takes a while to load

    sync = getattr(ctypes.CDLL(None), "syncfs", None) if os.name == "posix" else None
    if sync is None:
        return
    _with_number_of(folder, sync)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, on systems that can."""
    _with_number_of(folder, os.fsync)


def _with_number_of(folder: Path, act: Callable[[int], object]) -> None:
    """Open a folder and call a function with its descriptor, on systems that can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            act(descriptor)
        finally:
            os.close(descriptor)
