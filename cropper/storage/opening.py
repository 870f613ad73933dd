"""Open photos for reading: regular files only, and below a folder without following a link on the way.

A file that was listed as a photo may be a link, a pipe or a device by the time it is read. Nobody can swap what is open, so each
check here asks about the open file, or has the system refuse to follow a link.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from cropper.errors import PhotoError

# Where the system keeps what a shell opens for ``<(command)``, and what it gives a process to read.
_OPEN_FILES = (Path("/dev/fd"), Path("/proc/self/fd"))
_STDIN = Path("/dev/stdin")
# An open that waits for nobody: a pipe without a writer opens at once. Windows lacks all of these flags but the last.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_NOT_THROUGH_LINKS = getattr(os, "O_NOFOLLOW", 0)
# To pass through a folder takes no right to list it.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
_STEP_BY_STEP = bool(_NOT_THROUGH_LINKS) and os.open in os.supports_dir_fd and os.scandir in os.supports_fd
# What systems say of a link where none is followed.
_IS_A_LINK = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)


def open_file(path: Path) -> FileIO:
    """Open a file that the user named, wherever a link leads. A shell's ``<(command)`` is a pipe, and is read too.

    Raises:
        PhotoError: if it is a pipe with no writer, a socket or a device, which a reader would wait for or read without end.
        OSError: if it cannot be opened.
    """
    is_given_open = path.parent in _OPEN_FILES or path == _STDIN
    return _opened(os.fspath(path), None, follow=True, pipes=is_given_open)


def open_below(root: Path, names: Sequence[str]) -> FileIO:
    """Open a file below a folder. No link leads out of the folder: not the file, and not a folder on the way.

    A link that stays in the folder is resolved, and the path that it stands for is opened without following another.

    Args:
        root: the folder; it may be a link itself.
        names: the names that lead to the file from there, at least one.

    Raises:
        PhotoError: if it is not a regular file, or lies elsewhere.
        OSError: if it cannot be opened.
    """
    _check_lead_down(names)
    try:
        return _opened_from(os.fspath(root), names)
    except OSError as error:
        if error.errno not in _IS_A_LINK:
            raise
    from cropper.storage.places import is_inside  # one photo does without the words of a walk

    real_root, real = os.path.realpath(root), os.path.realpath(os.path.join(root, *names))
    if not is_inside(real, real_root):
        raise PhotoError("it is a link that leads out of the folder", remedy="put the photo itself there")
    return _opened_from(real_root, names_below(real, real_root))


def names_below(real: str, real_root: str) -> tuple[str, ...]:
    """Return the names that lead from a folder to what lies below it; none for the folder itself. Both paths are real."""
    return () if real == real_root else tuple(os.path.relpath(real, real_root).split(os.sep))


@contextmanager
def folder_below(real_root: str, names: Sequence[str]) -> Iterator[int | str]:
    """Open a folder below another without following links, and yield what ``os.scandir`` and ``os.stat`` take for it.

    Raises:
        OSError: if it cannot be opened, or a link is on the way.
    """
    if not _STEP_BY_STEP:
        yield _without_links(real_root, names)
        return
    with _passed_through(real_root, names[:-1]) as above:
        # The root itself is wherever its path leads.
        flags = os.O_RDONLY | os.O_DIRECTORY | (_NOT_THROUGH_LINKS if names else 0)
        folder = os.open(names[-1] if names else real_root, flags, dir_fd=above if names else None)
    try:
        yield folder
    finally:
        os.close(folder)


def _check_lead_down(names: Sequence[str]) -> None:
    if not names or any(name in ("", os.curdir, os.pardir) or os.path.isabs(name) for name in names):
        raise PhotoError("it lies outside the folder", remedy="give a photo below it")


def _opened_from(root: str, names: Sequence[str]) -> FileIO:
    if not _STEP_BY_STEP:
        return _opened(_without_links(root, names), None, follow=False)
    with _passed_through(root, names[:-1]) as above:
        return _opened(names[-1], above, follow=False)


@contextmanager
def _passed_through(root: str, names: Sequence[str]) -> Iterator[int]:
    """Open folder after folder, each in the one before it, and yield the last one's number."""
    here = os.open(root, _PASS)
    try:
        for name in names:
            below = os.open(name, _PASS | _NOT_THROUGH_LINKS, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def _without_links(root: str, names: Sequence[str]) -> str:
    """Return a path, for systems that cannot go step by step. Raises OSError if a link is on it."""
    real_root = os.path.realpath(root)
    path = os.path.join(real_root, *names)
    if os.path.realpath(path) != path:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    return path


def _opened(path: str, folder: int | None, follow: bool, pipes: bool = False) -> FileIO:
    # Asked before too: opening a device may do something to it.
    _check_is_regular(os.stat(path, dir_fd=folder, follow_symlinks=follow), pipes)
    file = os.open(path, _READ | (0 if follow else _NOT_THROUGH_LINKS), dir_fd=folder)
    try:
        _check_is_regular(os.fstat(file), pipes)
        if pipes:
            os.set_blocking(file, True)
        return os.fdopen(file, "rb", buffering=0)
    except BaseException:
        os.close(file)
        raise


def _check_is_regular(status: os.stat_result, pipes: bool) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode) and not pipes:
        raise PhotoError("it is not a regular file but a pipe, a socket or a device", remedy="give the photo itself")
