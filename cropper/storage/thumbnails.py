"""Thumbnails in a folder of this machine: written completely, recognised, removed.

The state holds a *trace* of each: its size, its time and a digest. So a second run knows whether a thumbnail is still the one
that cropper wrote, mostly without opening a file. A file that the state does not know is somebody else's, and stays.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePath
from typing import BinaryIO

from cropper.errors import OutputError, remedy_for
from cropper.storage.atomic import replacing
from cropper.storage.naming import TEMPORARY_NAME
from cropper.storage.places import Found, Trace, Whose, digest_of, in_64_bits, is_inside

# Bytes at the end of a file that are zero in no thumbnail.
_ZEROS = 64
# How often a file is tried to be made while what stands in the way is removed.
_TRIES = 3


def remove_temporaries(out: Path, state_folder: str, shard: str = "") -> None:
    """Remove the half-written thumbnails of a killed run: files under OUT with a name of ``naming.temporary_name``.

    Follows no links, and leaves out folders that are the OUT of another run, which may be at work.

    Args:
        out: the output folder.
        state_folder: the name of the folder that marks an output folder.
        shard: the label of the killed shard, since others may be at work; empty for the files of any run.
    """
    upcoming = [os.fspath(out)]
    while upcoming:
        # A folder that cannot be listed can hardly have been written to.
        with suppress(OSError), os.scandir(upcoming.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != state_folder and not os.path.lexists(os.path.join(entry.path, state_folder)):
                        upcoming.append(entry.path)
                elif (
                    (match := TEMPORARY_NAME.fullmatch(entry.name))
                    and shard in ("", match[1])
                    and entry.is_file(follow_symlinks=False)
                ):
                    with suppress(OSError):
                        os.unlink(entry.path)


def write(path: Path, data: bytes, temporary_name: str, whose: Whose) -> Trace:
    """Write a thumbnail completely or not at all, and return its trace. A file with the same bytes stays as it is.

    Args:
        path: the file; its folder is made if it is not there.
        data: the encoded thumbnail.
        temporary_name: a name in the same folder that no other thread uses.
        whose: whose file is there, if one is. Only ours is replaced.

    Raises:
        OutputError: if it cannot be written, or a file is there that is not ours and has other bytes.
    """
    try:
        digest = digest_of(data)
        if (status := _status(path)) is not None:
            there = trace_now(path) if status.st_size == len(data) else None
            if there is not None and there.digest == digest:
                return replace(there, was_there=True)
            if whose is not Whose.OURS:
                raise _taken(path, whose)
        with replacing(path, path.with_name(temporary_name)) as temporary, _made(temporary) as file:
            file.write(data)
        return Trace(len(data), in_64_bits(os.lstat(path).st_mtime_ns), digest)
    except OSError as error:
        raise OutputError(f"the thumbnail cannot be written ({error.strerror})", path=path, remedy=remedy_for(error)) from error


def _made(path: Path) -> BinaryIO:
    """Make and open a file. Nearly always its folder is there and it is not, so nothing is asked before."""
    for _ in range(_TRIES):
        try:
            return path.open("xb")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)  # a watch may remove it again, as it was empty
        except FileExistsError:
            path.unlink()  # a leftover, or a link to another file
    return path.open("xb")


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _taken(path: Path, whose: Whose) -> OutputError:
    if whose is Whose.ALTERED:
        what = "someone has changed this thumbnail since cropper wrote it"
        remedy = "delete it to have it made again; --force replaces all that were changed"
    else:
        what, remedy = "a file that cropper did not write is there already", "move it away or choose another OUT"
    return OutputError(what, path=path, remedy=remedy)


def find(path: str | Path, trace: Trace, closely: bool = False) -> Found:
    """Say what lies at a path where cropper wrote a file with this trace.

    An empty file counts as lost: a power failure leaves one if the system had not written the data yet.

    Args:
        path: the file.
        trace: the file as cropper wrote it.
        closely: whether to read it in any case. Then a file with the size and time of ours and other bytes counts as lost, and so
            does one that ends in zeros: a power failure can leave either.
    """
    try:
        status = os.lstat(path)
    except OSError:
        return Found.LOST
    if trace.size is None or not status.st_size:
        return Found.LOST
    is_as_it_was = status.st_size == trace.size and in_64_bits(status.st_mtime_ns) == trace.modified_ns
    if is_as_it_was and not closely:
        return Found.SAME
    now = trace_now(Path(path))
    if now is not None and now.digest == trace.digest:
        return Found.SAME if is_as_it_was else Found.MOVED
    if closely and (is_as_it_was or _ends_in_zeros(Path(path))):
        return Found.LOST
    return Found.LOST if now is not None and trace.earlier and now.digest == trace.earlier else Found.ALTERED


def _ends_in_zeros(path: Path) -> bool:
    """Whether a file ends as no format does: in a part that nobody has written."""
    try:
        return path.read_bytes().endswith(bytes(_ZEROS))
    except OSError:
        return False


def trace_now(path: Path) -> Trace | None:
    """Return the trace of a file as it is now; None if it is not there, or is not a regular file that can be read."""
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            return None
        return Trace(status.st_size, in_64_bits(status.st_mtime_ns), digest_of(path.read_bytes()))
    except OSError:
        return None


def check_stays_in(out: Path, output: str) -> None:
    """Make sure that no link on the way to an output leads out of OUT.

    Raises:
        OutputError: if one does.
    """
    names = PurePath(output).parts[:-1]
    if _leads_down(out, names):
        return
    folder = out.joinpath(*names)
    if not is_inside(os.path.realpath(folder), os.path.realpath(out)):
        raise OutputError("a link leads out of OUT", path=folder, remedy="remove it or choose another OUT")


def _leads_down(out: Path, names: tuple[str, ...]) -> bool:
    """Whether names are those of folders, each in the one before, or not there yet: then there is nothing to resolve.

    Windows has links that look like folders.
    """
    if os.name == "nt" and names:
        return False
    here = os.fspath(out)
    for name in names:
        here = os.path.join(here, name)
        if name == os.pardir or os.path.isabs(name) or _is_no_folder(here):
            return False
    return True


def _is_no_folder(path: str) -> bool:
    try:
        return not stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def remove_emptied(out: Path, output: str) -> None:
    """Remove the folders of OUT that an output was the last file of. What holds anything else stays, and so does OUT."""
    with suppress(OSError):
        for folder in [*PurePath(output).parents][:-1]:
            os.rmdir(out / folder)


def remove(path: Path) -> None:
    """Remove a thumbnail that an earlier run wrote and the settings no longer ask for.

    Raises:
        OutputError: if it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"the old thumbnail cannot be removed ({error.strerror})", path=path) from error
