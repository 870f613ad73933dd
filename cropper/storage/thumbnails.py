"""The thumbnails under OUT: what they are called, how they are written, and how they are known again.

A thumbnail is *stamped*: its modification time says which photo it was made from. So a second run tells without opening a file
whether a thumbnail is up to date, and a file that is neither stamped nor in the ledger is somebody else's and stays as it is.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cropper.errors import OutputError, remedy_for
from cropper.storage.atomic import replacing
from cropper.storage.naming import TEMPORARY_NAME
from cropper.storage.places import is_inside

if TYPE_CHECKING:  # with it is numpy, which a supervisor does without
    pass


# A thumbnail's time is its photo's and this much more, so that no copy of the photo itself passes for a thumbnail.
_STAMP_NS = 2_000_000_000
# File systems cut times to steps of their own: none, NTFS and SMB, exFAT, and old or networked ones to the second.
_CLOCK_STEPS_NS = (1, 100, 10_000_000, 1_000_000_000)


def remove_temporaries(out: Path, state_folder: str, shard: str = "") -> None:
    """Take away what a killed run had begun to write: files under OUT that bear a name of ``temporary_name``.

    Links are not followed, and a folder of another run's, which may be at work, is left alone.

    Args:
        out: the output folder.
        state_folder: the name of the folder by which an output folder is known.
        shard: the one that was killed, others of which may be at work; all of them if left out.
    """
    upcoming = [os.fspath(out)]
    while upcoming:
        # What cannot be listed was hardly written to.
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


def write(path: Path, data: bytes, temporary_name: str, photo_modified_ns: int, ours: bool) -> None:
    """Write a thumbnail whole or not at all.

    Args:
        path: the file; its folder is made if it is not there.
        data: all of it.
        temporary_name: a name in the same folder that no other thread uses.
        photo_modified_ns: when its photo was last modified.
        ours: whether the ledger says that an earlier run wrote the file that may stand there. Then the thumbnail gets no stamp
            yet: ``stamp`` it when its row is in the ledger, so that the old row never passes for its.

    Raises:
        OutputError: if it cannot be written, or a file stands there that no run of ours wrote: neither in the ledger, nor
            stamped, as one would be that was written just before a run was killed.
    """
    try:
        if not ours and _is_foreign(path, photo_modified_ns):
            remedy = "move it away or choose another OUT"
            raise OutputError("a file that cropper did not write is there already", path=path, remedy=remedy)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, path.with_name(temporary_name)) as temporary:
            temporary.unlink(missing_ok=True)  # left over, or a link to somewhere
            with temporary.open("xb") as file:
                file.write(data)
            if not ours:
                stamp(temporary, photo_modified_ns)
    except OSError as error:
        raise OutputError(f"the thumbnail cannot be written ({error.strerror})", path=path, remedy=remedy_for(error)) from error


def check_stays_in(out: Path, output: str) -> None:
    """Make sure that no link on the way to an output leads out of OUT.

    Raises:
        OutputError: if one does.
    """
    folder = (out / output).parent
    if not is_inside(os.path.realpath(folder), os.path.realpath(out)):
        raise OutputError("a link leads out of OUT", path=folder, remedy="remove it or choose another OUT")


def remove(path: Path) -> None:
    """Take away a thumbnail that an earlier run wrote and the settings do not ask for any more.

    Raises:
        OutputError: if it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"the old thumbnail cannot be removed ({error.strerror})", path=path) from error


def _is_foreign(path: Path, photo_modified_ns: int) -> bool:
    try:
        return not _is_stamped(os.lstat(path).st_mtime_ns, photo_modified_ns)
    except (FileNotFoundError, NotADirectoryError):
        return False


def stamp(path: Path, photo_modified_ns: int) -> None:
    """Mark a thumbnail as made from the photo that was last modified then."""
    modified = photo_modified_ns + _STAMP_NS
    os.utime(path, ns=(modified, modified))


def are_up_to_date(thumbnails: list[Path], photo: Path) -> bool:
    """Whether all these thumbnails are there and stamped as made from the photo as it is now."""
    try:
        return are_stamped(thumbnails, os.stat(photo).st_mtime_ns)
    except OSError:
        return False


def are_stamped(thumbnails: list[Path], photo_modified_ns: int) -> bool:
    """Whether all these thumbnails are there and stamped as made from the photo that was last modified then.

    An empty one is not: a power failure leaves it so, where the system had not written it yet.
    """
    try:
        found = [os.lstat(thumbnail) for thumbnail in thumbnails]
        return all(status.st_size and _is_stamped(status.st_mtime_ns, photo_modified_ns) for status in found)
    except OSError:
        return False


def _is_stamped(modified_ns: int, photo_modified_ns: int) -> bool:
    expected = photo_modified_ns + _STAMP_NS
    return any(modified_ns == expected // step * step for step in _CLOCK_STEPS_NS)
