"""Make the C library's allocator keep the memory freed by one photo's pixels for the next photo."""

from __future__ import annotations

import ctypes
import os
import sys

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
# Free memory to keep, and the largest block to keep, in bytes. By default, glibc returns the pixels of each photo to the system,
# which then clears every page again. That costs about 4 % of the time of JPEGs and 8 % of AVIFs.
_KEPT = 64 << 20
_LARGEST = 32 << 20
# Threads that share freed memory. With an arena each, one thread cannot reuse memory that another freed: two threads then take 13
# to 40 MB more and are no faster.
_THREADS_AN_ARENA = 2


def keep_memory(threads: int) -> None:
    """Make this process keep freed memory for reuse, tuned for this many busy threads.

    Call it before you start the threads. It is for programs, not for libraries, as it changes the whole process. It does nothing
    without glibc, or if environment variables already configure the allocator.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        arenas = -(-threads // _THREADS_AN_ARENA)
        for parameter, value in ((_TRIM_THRESHOLD, _KEPT), (_MMAP_THRESHOLD, _LARGEST), (_ARENA_MAX, arenas)):
            mallopt(parameter, value)


def is_memory_limited() -> bool:
    """Tell whether this process may have only part of the system's memory, as after ``ulimit -v``."""
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
