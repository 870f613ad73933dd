"""The C library's allocator, told to keep what one photo's pixels gave back for the next one's."""

from __future__ import annotations

import ctypes
import os
import sys

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
# How much free memory is kept, and the largest piece that is. Left to itself, glibc gives pixels back to the system photo by
# photo, and the system clears every page anew: some 4 % of the time of JPEGs, 8 % of AVIFs'.
_KEPT = 64 << 20
_LARGEST = 32 << 20
# Threads that share what was given back. With an arena for each, memory that one thread is done with is no use to the other: two
# take 13 to 40 MB more, and no less time.
_THREADS_AN_ARENA = 2


def keep_memory(threads: int) -> None:
    """Have this process keep freed memory for what comes next, as suits so many busy threads; before they are started.

    For a program of its own, not for a library that is a guest in someone's. Without glibc nothing happens, nor where the
    environment tells the allocator what to do.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        arenas = -(-threads // _THREADS_AN_ARENA)
        for parameter, value in ((_TRIM_THRESHOLD, _KEPT), (_MMAP_THRESHOLD, _LARGEST), (_ARENA_MAX, arenas)):
            mallopt(parameter, value)
