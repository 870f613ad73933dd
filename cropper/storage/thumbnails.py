"""Thumbnails in a folder of this machine: written completely, stamped, recognised, removed.

A thumbnail is *stamped*: its modification time tells which version of the photo it was made from. So a second run knows whether a
thumbnail is up to date without opening a file. A file that is neither stamped nor in the ledger is somebody else's, and stays.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cropper.errors import OutputError, remedy_for
from cropper.storage.atomic import replacing
from cropper.storage.naming import TEMPORARY_NAME
from cropper.storage.places import is_inside

# A thumbnail's time is its photo's plus this, so that a copy of the photo does not pass for a thumbnail.
_STAMP_NS = 2_000_000_000
# Steps to which file systems cut times: most; NTFS and SMB; exFAT; old and networked ones.
_CLOCK_STEPS_NS = (1, 100, 10_000_000, 1_000_000_000)


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


def write(path: Path, data: bytes, temporary_name: str, photo_modified_ns: int, ours: bool) -> None:
    """Write a thumbnail completely or not at all.

    Args:
        path: the file; its folder is made if it is not there.
        data: the encoded thumbnail.
        temporary_name: a name in the same folder that no other thread uses.
        photo_modified_ns: when its photo was last modified, in nanoseconds since 1970.
        ours: whether the ledger names ``path`` as an output of an earlier run. Then the thumbnail gets no stamp yet. ``stamp`` it
            once its row is in the ledger: until then the old row would pass for the new thumbnail's.

    Raises:
        OutputError: if it cannot be written, or somebody else's file is there: one that is not in the ledger and not stamped.
            (A thumbnail from just before a kill is stamped and not in the ledger.)
    """
    try:
        if not ours and _is_foreign(path, photo_modified_ns):
            remedy = "move it away or choose another OUT"
            raise OutputError("a file that cropper did not write is there already", path=path, remedy=remedy)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, path.with_name(temporary_name)) as temporary:
            temporary.unlink(missing_ok=True)  # a leftover, or a link to another file
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
    """Remove a thumbnail that an earlier run wrote and the settings no longer ask for.

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

    An empty file does not count: a power failure leaves one if the system had not written the data yet.
    """
    try:
        found = [os.lstat(thumbnail) for thumbnail in thumbnails]
        return all(status.st_size and _is_stamped(status.st_mtime_ns, photo_modified_ns) for status in found)
    except OSError:
        return False


def _is_stamped(modified_ns: int, photo_modified_ns: int) -> bool:
    expected = photo_modified_ns + _STAMP_NS
    return any(modified_ns == expected // step * step for step in _CLOCK_STEPS_NS)
