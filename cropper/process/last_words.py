"""Keep what libraries print to stderr in a child process for its parent, which asks whether the child died for want of memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress

from cropper.errors import MORE_MEMORY, CropperError
from cropper.process.child import NoProcessError, fork_child, held_signals, wait_for_child
from cropper.process.journal import Journal

# What allocators print before they end a process, and what C++ prints of an exception that nothing catches. The C library cannot
# load libgcc_s to end a thread if memory is short.
_OF_MEMORY = (b"bad_alloc", b"emory", b"libgcc_s.so")
_MOST = 1 << 16


class LastWords:
    """What a child and its libraries write to file descriptor 2. Create it before the fork, and ``take_over`` in the child.

    Linux only. Where there is no room even for the empty file, stderr stays as it is and nothing is known.
    """

    def __init__(self) -> None:
        self._file: int | None = None
        with suppress(OSError):
            self._file = os.memfd_create("last words")

    def take_over(self) -> None:
        """In the child: from now on only ``sys.stderr`` reaches the user."""
        ours = sys.stderr
        if self._file is None or ours is None:
            return
        with suppress(OSError):
            ours.flush()
            if ours.fileno() == 2:
                kept = os.dup(2)
                sys.stderr = os.fdopen(kept, "w", buffering=1, encoding=ours.encoding, errors=ours.errors)
            os.dup2(self._file, 2)

    def are_of_memory(self) -> bool:
        """In the parent: tell whether the child said that memory was lacking."""
        if self._file is None:
            return False
        said = os.pread(self._file, _MOST, 0)
        return any(words in said for words in _OF_MEMORY)

    def forget(self) -> None:
        """Free the memory that they take."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def no_memory_for_run() -> CropperError:
    """Return the error for a run that has no room for its libraries or its model."""
    return CropperError("there is not enough memory for this run", remedy=MORE_MEMORY)


def with_last_words(work: Callable[[], int]) -> int:
    """Do the work in a child process and return its exit code; the function also returns in the child.

    Raises:
        KeyboardInterrupt: if a signal arrives while no child exists to take it.
        CropperError: if the child died, most likely for want of memory.
        Exception: in the child, any exception that ``work`` raises.
    """
    journal, words = Journal(), LastWords()
    try:
        with held_signals() as signals:
            child = fork_child(signals, at_once=True)
            if child is not None:
                end = wait_for_child(child, journal, signals, lambda path: 0)
                if end.code is not None:
                    return end.code
                if words.are_of_memory():
                    raise no_memory_for_run()
                raise CropperError(f"the run died ({end.how}), possibly out of memory", remedy=MORE_MEMORY)
            words.take_over()
            return journal.close_after(work)
    except NoProcessError:
        return work()
