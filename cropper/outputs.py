"""The thumbnails under OUT: what they are called, how they are written, and how they are known again.

A thumbnail is *stamped*: its modification time says which photo it was made from. So a second run tells without opening a file
whether a thumbnail is up to date, and a file that is neither stamped nor in the ledger is somebody else's and stays as it is.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cropper.errors import OutputError, remedy_for
from cropper.walk import is_inside, join
from cropper.whole import replacing

if TYPE_CHECKING:  # with it is numpy, which a supervisor does without
    from cropper.boxes import Target

# A thumbnail's time is its photo's and this much more, so that no copy of the photo itself passes for a thumbnail.
_STAMP_NS = 2_000_000_000
# File systems cut times to steps of their own: none, NTFS and SMB, exFAT, and old or networked ones to the second.
_CLOCK_STEPS_NS = (1, 100, 10_000_000, 1_000_000_000)
# What a file name can be long on every file system in use.
_LONGEST_NAME = 255

# What a thumbnail is called until it is whole.
_TEMPORARY = re.compile(r"\.cropper-(?:([0-9]+-of-[0-9]+)\.)?[0-9]+(?:\.[0-9a-f]+)?\.part")

# Extensions that already name an output format.
FORMAT_OF = {".jpg": "jpg", ".jpeg": "jpg", ".jpe": "jpg", ".jfif": "jpg", ".png": "png", ".webp": "webp", ".avif": "avif"}

_PHOTOS = {*FORMAT_OF, ".tif", ".tiff", ".bmp", ".gif"}


def format_of(name: str, format: str) -> str:
    """The output format of a photo: its own where it is kept and can be, PNG for what has none of its own."""
    return format if format != "keep" else FORMAT_OF.get(os.path.splitext(name)[1].lower(), "png")


def paths_of(targets: tuple[Target, ...], folder: str, name: str) -> tuple[str, ...]:
    """Where under OUT a photo's thumbnails go: in the photo's own folder, or that folder in one named after each target."""
    path = join(folder, name)
    # A colon cannot stand in a file name everywhere.
    return (path,) if len(targets) == 1 else tuple(join(target.label.replace(":", "-"), path) for target in targets)


def names_of(photos: tuple[str, ...], format: str) -> dict[str, str]:
    """The output name of every photo of a folder, no two alike, not even on a file system that takes A for a.

    A photo whose format stays keeps its name. One that changes format changes its extension, ``a.png`` to ``a.webp``; where
    several photos would become ``a.webp``, each of them gets the extension after its own, ``a.png.webp``. A name that would
    get too long loses the end of its stem.
    """
    wanted = {}
    for name in photos:
        stem, extension = os.path.splitext(name)
        new = format_of(name, format)
        wanted[name] = name if FORMAT_OF.get(extension.lower()) == new else _fitting(stem, f".{new}")
    times = Counter(_alike(output) for output in wanted.values())
    taken: set[str] = set()
    result = {}
    # Names that stay go first: no photo that changes format can take them.
    for name in sorted(photos, key=lambda name: (wanted[name] != name, name)):
        output = wanted[name]
        if output != name and times[_alike(output)] > 1:
            output = _fitting(name, f".{format_of(name, format)}")
        stem, extension = os.path.splitext(output)
        again = 2
        while _alike(output) in taken:
            output = _fitting(stem, f"~{again}{extension}")
            again += 1
        taken.add(_alike(output))
        result[name] = output
    return result


def names_one_by_one(photos: tuple[str, ...], format: str) -> dict[str, str]:
    """As ``names_of``, but without a look at the folder's other photos, of which there are too many.

    Names that stay still stay; all others get the extension after their own, ``a.gif.png``. A photo that has such a name itself
    gets one more, so that no two are alike.
    """
    result = {}
    for name in photos:
        new = format_of(name, format)
        ending = f".{new}"
        stays = FORMAT_OF.get(os.path.splitext(name)[1].lower()) == new
        stem = name
        while stem.endswith(ending):
            stem = stem.removesuffix(ending)
        extension = os.path.splitext(stem)[1].lower()
        taken = stem != name and extension in _PHOTOS and FORMAT_OF.get(extension) != new == format_of(stem, format)
        result[name] = name if stays and not taken else _fitting(name, ending)
    return result


def _alike(name: str) -> str:
    """Equal for names that some file systems take for one: of other case, or of letters composed otherwise."""
    return unicodedata.normalize("NFC", name.casefold())


def _fitting(stem: str, ending: str) -> str:
    while len(os.fsencode(stem + ending)) > _LONGEST_NAME:
        stem = stem[:-1]
    return stem + ending


def temporary_name(number: int, shard: str = "") -> str:
    """What the thumbnail of a photo of this number is called until it is whole; shards at work in one OUT have names apart."""
    return f".cropper-{shard}.{number}.part" if shard else f".cropper-{number}.part"


def marked(temporary_name: str, mark: str) -> str:
    """A temporary name for one of several processes that may be at the same photo; the mark is of hexadecimal digits."""
    return f"{temporary_name.removesuffix('.part')}.{mark}.part"


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
                    (match := _TEMPORARY.fullmatch(entry.name))
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
