"""Let one thread of one process at a time do something, among processes that were forked from one."""

from __future__ import annotations

import os
from threading import Lock
from types import TracebackType


class Turns:
    """A lock for a ``with`` statement. Make it before the fork, and ``join`` in each process. The end of a process frees it.

    Linux only.

    Raises:
        OSError: if the system has no room for an empty file.
    """

    def __init__(self) -> None:
        self._file = os.memfd_create("turns")
        self._here = Lock()

    def join(self) -> None:
        """In a forked process: take part."""
        self._file = os.open(f"/proc/self/fd/{self._file}", os.O_RDWR | os.O_CLOEXEC)  # the lock belongs to who opened the file

    def __enter__(self) -> None:
        import fcntl

        self._here.acquire()
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        import fcntl

        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._here.release()

    def close(self) -> None:
        """Close the file, in the process that made the lock."""
        os.close(self._file)
