"""Retry requests to a storage, and explain in one line why one failed."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable
from typing import TypeVar

from cropper.errors import NO_MEMORY

T = TypeVar("T")


class KeyRefusedError(OSError):
    """The name of one object is one that its storage, or the library for it, cannot take as it is."""


# These are about the name of one object: the next one may well work.
OF_ONE_NAME = (KeyRefusedError, FileExistsError, IsADirectoryError, NotADirectoryError)

# Seconds between two tries. Each is varied at random, by up to a half either way.
PAUSES = (0.1, 0.3, 0.9, 2.7, 5.0)
# Another try would end the same way.
_FINAL = (
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ImportError,
    MemoryError,
    NotImplementedError,
    TypeError,
    ValueError,
)


def retried(attempt: Callable[[], T]) -> T:
    """Make a request again and again, with longer and longer pauses, until it works or no other try can."""
    for pause in PAUSES:
        try:
            return attempt()
        except _FINAL:
            raise
        except Exception:
            time.sleep(pause * random.uniform(0.5, 1.5))
    return attempt()


def one_line(error: BaseException) -> str:
    """Say why a request failed, in one line."""
    if isinstance(error, MemoryError):
        return NO_MEMORY
    text = (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__
    return " ".join(text.split())


def as_disk_error(error: Exception) -> Exception:
    """Return the error as one of a failing disk, which ends a run: after all these tries the next object would fail too.

    An error that is about the name of one object stays what it is, and costs that object alone.
    """
    if isinstance(error, OF_ONE_NAME):
        return error
    cause = OSError(errno.EIO, one_line(error))
    cause.__cause__ = error
    return cause
