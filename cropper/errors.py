"""The errors of cropper. The text of each is one line: the file, what happened to it, and what to do about it.

CropperError
├── UsageError        a request that makes no sense: a size of 0x10, IN inside OUT
├── PhotoError        a photo cannot be read, decoded or encoded
│   └── LateError     it takes longer than the deadline
├── OutputError       a file or folder of the output cannot be written
├── ModelError        the model file is missing, unreadable or does not keep the model contract
└── DependencyError   a library that cropper needs cannot be loaded
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class CropperError(Exception):
    """The base class of all errors that cropper raises on purpose.

    Args:
        what: what happened, without the path.
        path: the file or folder concerned, if any.
        remedy: what the user can do about it, or empty.
    """

    def __init__(self, what: str, path: str | os.PathLike[str] | None = None, remedy: str = "") -> None:
        self.what, self.path, self.remedy = what, path, remedy
        super().__init__(what, path, remedy)

    @property
    def reason(self) -> str:
        """What happened and what to do, without the path, as in the ledger's ``message``."""
        return f"{self.what}; {self.remedy}" if self.remedy else self.what

    def __str__(self) -> str:
        return self.reason if self.path is None else f"{printable(self.path)}: {self.reason}"


class UsageError(CropperError):
    """A request makes no sense."""


class PhotoError(CropperError):
    """A photo cannot be read, decoded or encoded."""


class LateError(PhotoError):
    """A photo takes longer than the deadline: ``seconds``."""

    seconds: float = 0.0


class OutputError(CropperError):
    """A file or folder of the output cannot be written."""


class ModelError(CropperError):
    """The model file is missing, unreadable or does not keep the model contract."""


class DependencyError(CropperError):
    """A library that cropper needs cannot be loaded."""


# What to do about a photo that is damaged, and about one that is whole but packed in a way that cannot be read.
COPY_AGAIN = "copy it again from where it came from"
EXPORT_AGAIN = "export it again from its source"


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path as one printable line, with control characters and bytes that are not UTF-8 escaped."""
    text = os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


NO_MEMORY = "there is not enough memory for it"


def unexpected(error: Exception) -> str:
    """Return the text for an error that no code expects, or one of memory, which may come anywhere."""
    if isinstance(error, MemoryError):
        return f"{NO_MEMORY}; use fewer --jobs, or leave large photos out with --max-pixels"
    said = f": {' '.join(str(error).split())}" if str(error) else ""
    return f"unexpected {type(error).__name__}{said}; please report it as a bug of cropper"


def _numbers(*names: str) -> frozenset[int]:
    """Return the error numbers for these names, except those that this system lacks."""
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


_NO_ROOM = _numbers("ENOSPC", "EDQUOT")
_NO_MORE_FILES = _numbers("EMFILE", "ENFILE")
_NOT_ALLOWED = _numbers("EACCES", "EPERM")
_BROKEN_DISK = _numbers("EIO", "EROFS", "EFBIG", "ENODEV", "ENXIO", "ESTALE", "ENOTCONN", "ESHUTDOWN", "EHOSTDOWN")
# The remedy where a run keeps what it has done.
RUN_AGAIN = "run again: it goes on from here"


# The remedy where there is not enough memory.
MORE_MEMORY = "run again with more memory or fewer --jobs"
# What an ImportError says if there is not enough memory for a library, a SystemError of a library that has not even room for
# that, or a RuntimeError if there is none for a thread.
_SAYS_NO_MEMORY = (
    "failed to map segment",
    "cannot allocate memory",
    "Cannot allocate memory",
    "Failed to allocate memory",
    "bad_alloc",
    "error return without exception set",
    "can't start new thread",
    "Can't register ",  # OpenCV: a constant, which fails for want of memory alone
)


def says_no_memory(error: BaseException | None) -> bool:
    """Tell whether Python raised an error because memory was lacking, for an object, a library or a thread."""
    if error is None:
        return False
    is_said = isinstance(error, MemoryError) or any(words in str(error) for words in _SAYS_NO_MEMORY)
    return is_said or says_no_memory(error.__cause__)


def in_bytes(size: int) -> str:
    """Return a number of bytes for a sentence: ``3.2 GB`` or ``324 MB``."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"


def out_of_memory(needed: int = 0) -> PhotoError:
    """Return the error for a photo that does not fit into memory; ``needed`` is how many bytes it takes, if that is known."""
    about = f" (about {in_bytes(needed)})" if needed else ""
    return PhotoError(f"{NO_MEMORY}{about}", remedy=MORE_MEMORY)


def remedy_for(error: OSError, otherwise: str = "") -> str:
    """Return what to do about a system error, or ``otherwise`` if that is not known."""
    if error.errno in _NO_ROOM:
        return f"free some disk space and {RUN_AGAIN}"
    if error.errno in _NO_MORE_FILES:
        return f"raise the limit on open files (ulimit -n) or use fewer --jobs, and {RUN_AGAIN}"
    if error.errno == errno.EFBIG:
        return f"raise the limit on the size of files (ulimit -f) and {RUN_AGAIN}"
    if error.errno in _BROKEN_DISK:
        return f"check the disk and {RUN_AGAIN}"
    if error.errno in _NOT_ALLOWED:
        return "check the permissions, and run again"
    return otherwise


def raise_if_for_all(error: Exception) -> None:
    """Raise an error that every photo would hit: a full or failing disk, too many open files.

    The run then ends with one message instead of one for each photo. An error of a single photo is not raised.
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
    """Name the photo in every PhotoError of the body, and turn system errors and a want of memory into PhotoErrors."""
    try:
        yield
    except OSError as error:
        raise PhotoError(f"cannot be read ({error.strerror})", path=path) from error
    except MemoryError as error:
        raise PhotoError(NO_MEMORY, path=path, remedy="check that it is a photo, or scale it down first") from error
    except PhotoError as error:
        raise PhotoError(error.what, path=path, remedy=error.remedy) from error


@contextmanager
def naming(originals: Mapping[Path, str | os.PathLike[str]]) -> Iterator[None]:
    """Name in every CropperError of the body the place that the user knows, instead of a copy of it in a temporary folder.

    Args:
        originals: what each copy, a file or a folder, is a copy of. The first that fits counts.
    """
    try:
        yield
    except CropperError as error:
        path = Path(error.path) if error.path is not None else None
        for copy, original in originals.items():
            if path is not None and (path == copy or copy in path.parents):
                error.path = "/".join((os.fspath(original), *path.relative_to(copy).parts))
                error.args = (error.what, error.path, error.remedy)
                break
        raise


def reason_of(error: BaseException) -> str:
    """Return the text of an error in one line, or its type if it has no text."""
    return " ".join(str(error).split()) or type(error).__name__
