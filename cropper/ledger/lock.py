"""A lock on an output folder: no two runs work on it at once.

The system holds it for the process and lets go of it when the process ends, however it ends. The file it is on tells the next
run whether the last one could tidy up: it is empty then.
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

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Of the byte that Windows locks: far behind what is written, so that others can read that.
_FAR = 1 << 30
# What a file system says that knows no locks, some networked ones for example: better unlocked than no run at all.
_NO_LOCKS = {getattr(errno, name, -1) for name in ("ENOLCK", "ENOSYS", "ENOTSUP", "EOPNOTSUPP")}
_ATTEMPTS = 20


@dataclass(frozen=True)
class Lock:
    """A lock that this process holds.

    Attributes:
        path: the file it is on.
        file: that file, open. Whoever forgets it lets go of the lock too.
        was_left: whether an earlier run was killed while it had the lock, and may have left files half made.
    """

    path: Path
    file: io.FileIO
    was_left: bool


def take(path: Path, out: Path | None = None) -> Lock:
    """Take the lock, or say who has it. The file and its folder are made where they are not there.

    Args:
        path: the file.
        out: the output folder it is about; the one that holds the file's folder if left out.

    Raises:
        OutputError: if another run has it.
        OSError: if the file cannot be made.
    """
    for _ in range(_ATTEMPTS):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
        except FileNotFoundError:  # a dry run has just ended and taken the folder along
            continue
        try:
            if not _is_ours(file.fileno()):
                process = file.read(20).decode("ascii", "replace").strip()
                who = f"another run (process {process})" if process.isdigit() else "another run"
                remedy = "wait for it to end, stop it, or choose another OUT"
                raise OutputError(f"{who} is at work there", path=out or path.parent.parent, remedy=remedy)
            if _is_still_there(path, file.fileno()):
                was_left = os.fstat(file.fileno()).st_size > 0
                file.truncate(0)
                file.write(b"%d\n" % os.getpid())
                return Lock(path, file, was_left)
        except BaseException:
            file.close()
            raise
        file.close()
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))


def release(lock: Lock, tidy: bool, remove: bool = False) -> None:
    """Let go of the lock.

    Args:
        lock: is of no use any more afterwards.
        tidy: whether the run left nothing half made.
        remove: whether the file goes, and its folder if nothing else is in it.
    """
    try:
        if tidy:
            lock.file.truncate(0)
        if remove and os.name != "nt":  # while it is locked, so that nobody else's goes
            lock.path.unlink(missing_ok=True)
    finally:
        lock.file.close()
    if remove:
        with suppress(OSError):  # somebody has taken the lock anew
            if os.name == "nt":  # takes away no open file
                lock.path.unlink(missing_ok=True)
            lock.path.parent.rmdir()


def _is_ours(descriptor: int) -> bool:
    """Lock an open file, unless another process has."""
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
    """Whether the file that was locked is the one that others will find."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
