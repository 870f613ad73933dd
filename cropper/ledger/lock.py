"""A lock on an output folder: no two runs work on it at once.

The system holds the lock for the process, and releases it when the process ends, however it ends. The locked file tells the
next run whether the last one tidied up: then it is empty.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cropper.errors import OutputError
from cropper.storage.atomic import synced

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Position of the byte that Windows locks: far behind the content, so that others can read that.
_FAR = 1 << 30
# Errors of file systems without locks, such as some networked ones. There a run goes on without a lock.
_NO_LOCKS = {getattr(errno, name, -1) for name in ("ENOLCK", "ENOSYS", "ENOTSUP", "EOPNOTSUPP")}
_ATTEMPTS = 20
# What the error of ``take`` says where another run has the lock.
AT_WORK = "is at work there"


@dataclass(frozen=True)
class Lock:
    """A lock that this process holds.

    Attributes:
        path: the locked file.
        file: that file, open. Closing it, or dropping the last reference, releases the lock.
        was_left: whether an earlier run was killed while it held the lock, and may have left half-written files.
    """

    path: Path
    file: io.FileIO
    was_left: bool


def take(path: Path, out: os.PathLike[str] | None = None) -> Lock:
    """Take the lock. Makes the file and its folder if they are not there.

    Args:
        path: the file to lock.
        out: the output folder that an error names; the parent of the file's folder if None.

    Raises:
        OutputError: if another run has the lock; it names the process.
        OSError: if the file cannot be made.
    """
    for _ in range(_ATTEMPTS):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
        except FileNotFoundError:  # a dry run has just ended and removed the folder
            continue
        try:
            if not _is_ours(file.fileno()):
                process = file.read(20).decode("ascii", "replace").strip()
                who = f"another run (process {process})" if process.isdigit() else "another run"
                remedy = "wait for it to end, stop it, or choose another OUT"
                raise OutputError(f"{who} {AT_WORK}", path=out or path.parent.parent, remedy=remedy)
            if _is_still_there(path, file.fileno()):
                was_left = os.fstat(file.fileno()).st_size > 0
                file.truncate(0)
                file.write(b"%d\n" % os.getpid())
                synced(file.fileno())  # a power failure must leave it too
                return Lock(path, file, was_left)
        except BaseException:
            file.close()
            raise
        file.close()
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))


def release(lock: Lock, tidy: bool, remove: bool = False) -> None:
    """Release the lock.

    Args:
        lock: the lock; do not use it afterwards.
        tidy: whether the run left nothing half-written.
        remove: whether to remove the file too, and its folder if that is empty then.
    """
    try:
        if tidy:
            lock.file.truncate(0)
        if remove and os.name != "nt":  # while it is locked, so that it is nobody else's
            lock.path.unlink(missing_ok=True)
    finally:
        lock.file.close()
    if remove:
        with suppress(OSError):  # somebody has taken the lock again
            if os.name == "nt":  # Windows removes no open file
                lock.path.unlink(missing_ok=True)
            lock.path.parent.rmdir()


def can_lock(descriptor: int) -> bool:
    """Whether other programs' locks, those of POSIX, work on a file that is open to be read: not on some network file systems."""
    if sys.platform != "win32":
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.lockf(descriptor, fcntl.LOCK_UN)
        except OSError as error:
            return error.errno not in _NO_LOCKS
    return True


def _is_ours(descriptor: int) -> bool:
    """Lock an open file, and return whether that worked: another process may hold the lock."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _FAR, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return True
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK, getattr(errno, "EDEADLOCK", -1)):
            return False
        raise
    return True


def _is_still_there(path: Path, descriptor: int) -> bool:
    """Whether the locked file is still the one that others find at its path."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
