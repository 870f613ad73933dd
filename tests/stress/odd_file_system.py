"""A file system that lacks what others have, or loses what was not synced: passes on to a folder, by FUSE.

    python tests/stress/odd_file_system.py FOLDER MOUNT '{"step": 2000000000, "late": true}'

Times are in nanoseconds. Everything that is there at the mount counts as synced. With ``power`` the power fails before the n-th
change: what the disk may hold then goes to folders ``data``, ``zeros``, ``names``, ``both`` and ``mixed``, and all else fails.
A file is synced with its bytes, and a folder with its names. Each may be as it was when that was last done, or as it is:

    data    names as they are; bytes as synced, of files that never were: none
    zeros   the same, but these files have their size and time, and zeros
    names   names as synced, bytes as they are: what was new is gone, what was replaced or removed is back
    both    names and bytes as synced
    mixed   each file and each name by chance
"""

from __future__ import annotations

import errno
import fcntl
import importlib
import json
import os
import random
import shutil
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FUSE: Any = importlib.import_module("mfusepy")  # some have it, and its types, and some do not

VARIANTS = ("data", "zeros", "names", "both", "mixed")
# Whoever asks for a file of this name syncs everything, as syncfs does, of which FUSE does not hear.
SYNC_ALL = ".sync-all"
LAST = ((1 << 31) - 1) * 1_000_000_000
TIMES = ("st_atime", "st_mtime", "st_ctime")


@dataclass(frozen=True)
class Oddities:
    """What is odd.

    Attributes:
        step: what times are cut to.
        late: whether that, and ``ends``, come with the next mount.
        ends: whether times end in 2038.
        utime: the error that utime gets, or "ignored".
        fsync, sync_folder: the error that a sync of a file or a folder gets.
        lock: the error that locks get.
        case: whether names that differ in case are one.
        power: the change before which the power fails; 0 for never.
        lost: the folder where the variants of what the disk holds then go.
        count: a file for the number of changes.
        seed: of what is mixed.
    """

    step: int = 1
    late: bool = False
    ends: bool = False
    utime: str = ""
    fsync: str = ""
    sync_folder: str = ""
    lock: str = ""
    case: bool = False
    power: int = 0
    lost: str = ""
    count: str = ""
    seed: int = 1


@dataclass(frozen=True)
class Content:
    """The bytes of a file and its time, or the names in a folder."""

    data: bytes = b""
    time: int = 0
    names: dict[str, int] | None = None


class Disk:
    """What of a folder is synced. A file has a number, which outlives its name."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.numbers: dict[int, int] = {}  # inode -> number
        self.synced: dict[int, Content] = {}
        self.removed: dict[int, Content] = {}
        self.last = 0
        self.sync_all()

    def number(self, inode: int) -> int:
        if inode not in self.numbers:
            self.last += 1
            self.numbers[inode] = self.last
        return self.numbers[inode]

    def now(self, path: str | int) -> Content:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(path) as entries:
                return Content(names={entry.name: self.number(entry.inode()) for entry in entries})
        data = os.pread(path, 1 << 30, 0) if isinstance(path, int) else Path(path).read_bytes()
        return Content(data, status.st_mtime_ns)

    def sync(self, path: str | int) -> None:
        self.synced[self.number(os.stat(path).st_ino)] = self.now(path)

    def sync_all(self) -> None:
        for folder, _, files in os.walk(self.root):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                self.sync(path)

    def remove(self, path: str) -> None:
        """A name is about to go."""
        if os.path.lexists(path):
            number = self.number(os.stat(path).st_ino)
            self.removed[number] = self.now(path)
            if os.path.isdir(path) or os.stat(path).st_nlink == 1:
                del self.numbers[os.stat(path).st_ino]

    def lose(self, to: Path, variant: str, chance: random.Random) -> None:
        """Write what the disk may hold if the power fails now."""
        alive = dict(self.removed)
        for folder, _, files in os.walk(self.root):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                alive[self.number(os.stat(path).st_ino)] = self.now(path)

        def write(number: int, to: Path) -> None:
            now, synced = alive[number], self.synced.get(number)
            if now.names is not None:
                before = synced.names or {} if synced is not None else {}
                names = dict(now.names if variant in ("data", "zeros") else before)
                if variant == "mixed":
                    for name in {*now.names, *before}:
                        one = chance.choice([now.names.get(name), before.get(name)])
                        names.pop(name, None)
                        if one is not None:
                            names[name] = one
                to.mkdir()
                for name, one in names.items():
                    write(one, to / name)
                return
            what = variant if variant != "mixed" else chance.choice(["data", "zeros", "names"])
            if what == "names":
                left = now
            elif synced is not None:
                left = synced
            else:
                left = Content(bytes(len(now.data)) if what == "zeros" else b"", now.time)
            to.write_bytes(left.data)
            os.utime(to, ns=(left.time, left.time))

        write(self.number(os.stat(self.root).st_ino), to)


class OddFileSystem(FUSE.Operations):  # type: ignore[misc]
    """Passes on to a folder. One request at a time."""

    use_ns = True

    def __init__(self, root: str, odd: Oddities) -> None:
        self.root, self.odd = root, odd
        self.touched: set[int] = set()  # inodes whose times this mount still has in full
        self.changes, self.is_dead = 0, False
        self.disk = Disk(root) if odd.lost or odd.count else None

    # What is odd

    def real(self, path: str) -> str:
        if self.is_dead:
            raise FUSE.FuseOSError(errno.EIO)
        if not self.odd.case:
            return self.root + path
        found = self.root
        for name in path.strip("/").split("/") if path != "/" else ():
            there = os.listdir(found) if os.path.isdir(found) else []
            found = os.path.join(found, next((one for one in there if one.lower() == name.lower()), name))
        return found

    def refuse(self, number: str) -> None:
        if number:
            raise FUSE.FuseOSError(getattr(errno, number))

    def change(self) -> None:
        self.changes += 1
        if self.disk is not None and self.changes == self.odd.power:
            for variant in VARIANTS:
                self.disk.lose(Path(self.odd.lost) / variant, variant, random.Random(self.odd.seed))
            self.is_dead = True
            raise FUSE.FuseOSError(errno.EIO)

    def shown(self, time: int, inode: int) -> int:
        if self.odd.late and inode in self.touched:
            return time
        time -= time % self.odd.step
        return min(time, LAST) if self.odd.ends else time

    # Requests

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        if path.endswith(SYNC_ALL) and self.disk is not None and not self.is_dead:
            self.disk.sync_all()
        status = os.fstat(fh) if fh is not None and not self.is_dead else os.lstat(self.real(path))
        names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino", "st_blocks")
        found = {name: getattr(status, name) for name in names}
        found.update({name: self.shown(getattr(status, f"{name}_ns"), status.st_ino) for name in TIMES})
        if self.odd.late and self.odd.step > 1_000_000 and status.st_ino not in self.touched:
            found["st_ctime"] = found["st_mtime"]  # as FAT, which keeps none
        return found

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(self.real(path))]

    def opendir(self, path: str) -> int:
        return 0

    def readlink(self, path: str) -> str:
        return os.readlink(self.real(path))

    def open(self, path: str, flags: int) -> int:
        if flags & os.O_WRONLY:  # what is synced is read
            flags = flags & ~os.O_WRONLY | os.O_RDWR
        return os.open(self.real(path), flags & ~os.O_APPEND)  # the kernel gives the place

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        real = self.real(path)
        self.change()
        file = os.open(real, os.O_RDWR | os.O_CREAT, mode)
        self.touched.add(os.fstat(file).st_ino)
        return file

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        self.real("/")
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self.real("/")
        self.change()
        self.touched.add(os.fstat(fh).st_ino)
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        real = self.real(path)
        self.change()
        os.truncate(fh if fh is not None else real, length)
        self.touched.add(os.stat(real if fh is None else fh).st_ino)

    def release(self, path: str, fh: int) -> None:
        os.close(fh)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        self.real("/")
        self.refuse(self.odd.fsync)
        if self.disk is not None:
            self.disk.sync(fh)

    def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
        real = self.real(path)
        self.refuse(self.odd.sync_folder)
        if self.disk is not None:
            self.disk.sync(real)

    def mkdir(self, path: str, mode: int) -> None:
        real = self.real(path)
        self.change()
        os.mkdir(real, mode)

    def rmdir(self, path: str) -> None:
        self._gone(path)
        os.rmdir(self.real(path))

    def unlink(self, path: str) -> None:
        self._gone(path)
        os.unlink(self.real(path))

    def rename(self, old: str, new: str) -> None:
        self._gone(new)
        os.rename(self.real(old), os.path.join(os.path.dirname(self.real(new)), os.path.basename(new)))

    def _gone(self, path: str) -> None:
        real = self.real(path)
        self.change()
        if self.disk is not None:
            self.disk.remove(real)

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self.real(path), mode)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        real = self.real(path)
        if self.odd.utime != "ignored":
            self.refuse(self.odd.utime)
            os.utime(real, ns=times or (time.time_ns(),) * 2)
            self.touched.add(os.stat(real).st_ino)

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self.root)
        return {name: getattr(found, name) for name in ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_files", "f_namemax")}

    def destroy(self, path: str) -> None:
        if self.odd.count:
            Path(self.odd.count).write_text(str(self.changes))


class WithoutLocks(OddFileSystem):
    """Locks of neither kind."""

    def lock(self, path: str, fh: int, cmd: int, lock: Any) -> None:
        self.refuse(self.odd.lock)

    def flock(self, path: str, fh: int, op: int) -> None:
        if not op & fcntl.LOCK_UN:
            self.refuse(self.odd.lock)


def mount(folder: str, at: str, odd: Oddities, **options: Any) -> None:
    """Mount, and serve until somebody unmounts."""
    made = (WithoutLocks if odd.lock else OddFileSystem)(os.path.abspath(folder), odd)
    shutil.rmtree(odd.lost, ignore_errors=True)
    if odd.lost:
        os.makedirs(odd.lost)
    # Nothing is remembered on the way here.
    never = {"attr_timeout": 0, "entry_timeout": 0, "negative_timeout": 0, "hard_remove": True}
    FUSE.FUSE(made, at, foreground=True, nothreads=True, **never, **options)


if __name__ == "__main__":
    told = json.loads(sys.argv[3])
    mount(sys.argv[1], sys.argv[2], Oddities(**told), **({"direct_io": True} if "--no-mmap" in sys.argv else {}))
