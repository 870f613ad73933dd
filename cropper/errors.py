"""The errors of cropper. Each says in one line what happened, to which file, and what to do about it.

CropperError
├── UsageError        what was asked for makes no sense: a size of 0x10, IN inside OUT
├── PhotoError        a photo cannot be read, decoded or encoded
├── OutputError       a file or folder of the output cannot be written
├── ModelError        the model file is missing or is not one of ours
└── DependencyError   a library cropper needs cannot be loaded here
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager


class CropperError(Exception):
    """Base of all errors raised on purpose.

    Args:
        what: what happened, without the path.
        path: the file or folder it happened to, if there is one.
        remedy: what the reader can do about it.
    """

    def __init__(self, what: str, path: str | os.PathLike[str] | None = None, remedy: str = "") -> None:
        self.what, self.path, self.remedy = what, path, remedy
        super().__init__(what, path, remedy)

    @property
    def reason(self) -> str:
        """What happened and what to do, without the path: what the ledger's ``message`` holds."""
        return f"{self.what}; {self.remedy}" if self.remedy else self.what

    def __str__(self) -> str:
        return self.reason if self.path is None else f"{printable(self.path)}: {self.reason}"


class UsageError(CropperError):
    """What was asked for makes no sense."""


class PhotoError(CropperError):
    """A photo cannot be read, decoded or encoded."""


class OutputError(CropperError):
    """A file or folder of the output cannot be written."""


class ModelError(CropperError):
    """The model file is missing, unreadable or does not keep the model contract."""


class DependencyError(CropperError):
    """A library cropper needs cannot be loaded here."""


def printable(path: str | os.PathLike[str]) -> str:
    """A path as one printable line: bytes that are no UTF-8 and control characters are shown escaped."""
    text = os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def unexpected(error: Exception) -> str:
    """What is said of an error that nobody has thought of."""
    return f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"


def _numbers(*names: str) -> frozenset[int]:
    """The error numbers of these names, of those that the system has."""
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


_NO_ROOM = _numbers("ENOSPC", "EDQUOT")
_NO_MORE_FILES = _numbers("EMFILE", "ENFILE")
_BROKEN_DISK = _numbers("EIO", "EROFS", "EFBIG", "ENODEV", "ENXIO", "ESTALE", "ENOTCONN", "ESHUTDOWN", "EHOSTDOWN")
_GOES_ON = "run again: it goes on from here"


def remedy_for(error: OSError, otherwise: str = "") -> str:
    """What to do about an error of the system's, where that can be told."""
    if error.errno in _NO_ROOM:
        return f"make room and {_GOES_ON}"
    if error.errno in _NO_MORE_FILES:
        return f"raise the limit on open files (ulimit -n) or use fewer --jobs, and {_GOES_ON}"
    if error.errno == errno.EFBIG:
        return f"raise the limit on the size of files (ulimit -f) and {_GOES_ON}"
    if error.errno in _BROKEN_DISK:
        return f"check the disk and {_GOES_ON}"
    return otherwise


def raise_if_for_all(error: Exception) -> None:
    """Raise what would meet every photo alike: a disk that is full or failing, too many open files.

    So that a run ends with one message rather than one a photo. An error that is one photo's own is not raised.
    """
    cause = error.__cause__ if isinstance(error, CropperError) else error
    if not isinstance(cause, OSError):
        return
    if isinstance(error, OutputError) and cause.errno in _NO_ROOM | _NO_MORE_FILES | _BROKEN_DISK:
        raise error
    if cause.errno in _NO_MORE_FILES:
        raise CropperError("too many files are open", remedy=remedy_for(cause)) from cause


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """While a photo is read and decoded: have every error name it, and the system's be a PhotoError too."""
    try:
        yield
    except OSError as error:
        raise PhotoError(f"it cannot be read ({error.strerror})", path=path) from error
    except PhotoError as error:
        raise PhotoError(error.what, path=path, remedy=error.remedy) from error


def reason_of(error: BaseException) -> str:
    """What an error says, in one line; its type where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
