"""Name outputs: the thumbnail of each photo, no two alike, and its temporary name while it is written."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from cropper.image_formats import FORMAT_OF, PHOTO_EXTENSIONS, output_format
from cropper.storage.places import join

if TYPE_CHECKING:
    from cropper.settings import Target

# Bytes of a file name that every file system in use allows.
LONGEST_NAME = 255
# Hexadecimal digits of the hash in a name that was cut, and a name that may be such a one.
DIGITS = 16
CUT_NAME = re.compile(rf"~[0-9a-f]{{{DIGITS}}}\.[^.]+\Z")

# In an OUT: the folder with the sidecars of photos, and how their names end.
SIDECAR_FOLDER, SIDECAR_ENDING = "xmp", ".xmp"
# In an OUT: the folder with what a second run needs. A walk knows an OUT by it.
STATE_FOLDER = ".cropper"
# What other commands write: the picture of ``cropper show``, the sheet or its pages, and the folder with the pictures of the
# review page.
SALIENCY_ENDING = ".saliency.png"
SHEET_NAME = "sheet.jpg"
_SHEET_PAGE = re.compile(r"sheet-[1-9][0-9]{0,3}\.jpg")
REVIEW_FOLDER = "review_files"

# The name of a thumbnail that is not complete yet.
TEMPORARY_NAME = re.compile(r"\.cropper-(?:([0-9]+-of-[0-9]+)\.)?[0-9]+(?:\.[0-9a-f]+)?\.part")


def paths_of(targets: tuple[Target, ...], folder: str, name: str, one: bool = False) -> tuple[str, ...]:
    """Return where a photo's thumbnails go, relative to OUT.

    One target, or ``one`` of several for each photo: the photo's own path. Several: that path below a folder named after each
    target. Several candidates of a target: below a folder of each candidate, in that of the target.
    """
    path = join(folder, name)
    if one or len(targets) == 1:
        return (path,)
    sizes = len({target.label for target in targets}) > 1
    return tuple(join(label_in_paths(target) if sizes else "", join(_candidate_folder(target), path)) for target in targets)


def _candidate_folder(target: Target) -> str:
    return "" if target.candidate is None else f"candidate-{target.candidate}"


def label_in_paths(target: Target) -> str:
    """Return the label of a target as names have it: some file systems allow no colon."""
    return target.label.replace(":", "-")


def is_product(name: str) -> bool:
    """Whether a file has a name that ``cropper show`` or ``cropper sheet`` gives, so that it is not a photo."""
    return name.endswith(SALIENCY_ENDING) or name == SHEET_NAME or _SHEET_PAGE.fullmatch(name) is not None


def names_of(photos: tuple[str, ...], format: str, folders: Collection[str] = ()) -> dict[str, str]:
    """Return the output name of every photo of a folder, no two alike, even on a file system that ignores case.

    A photo that keeps its format keeps its name. A photo that changes format changes its extension: ``a.png`` becomes ``a.webp``.
    If several photos would become ``a.webp``, each of them gets a second extension instead: ``a.png.webp``. A name that would be
    too long loses the end of its stem. Takes time in proportion to the number of names.

    Args:
        photos: their names.
        format: of the thumbnails, or to keep the photos' own.
        folders: the names that the folders beside them have in OUT, by ``folders_of``.
    """
    wanted = {name: _wanted(name, format) for name in photos}
    taken = {alike(folder) for folder in folders}
    times = Counter(alike(output) for output in wanted.values())
    times.update(taken)
    free: dict[str, int] = {}
    result = {}
    # Unchanged names go first: no photo that changes format can take them.
    for name in sorted(photos, key=lambda name: (wanted[name] != name, name)):
        output = wanted[name]
        if output != name and times[alike(output)] > 1:
            output = fitting(name, f".{output_format(name, format)}")
        result[name] = _taking(output, taken, free)
    return result


def sidecars_of(photos: tuple[str, ...], folders: Collection[str] = (), in_pieces: bool = False) -> dict[str, str]:
    """Return the name of the XMP sidecar of every photo of a folder, no two alike: ``a.jpg.xmp``, as it lies beside a photo.

    Args:
        photos: their names.
        folders: the names that the folders beside them have in OUT.
        in_pieces: whether there may be too many photos to look at together. Then names may be alike.
    """
    taken, free = {alike(folder) for folder in folders}, dict[str, int]()
    wanted = {name: _told_apart(name, SIDECAR_ENDING) for name in sorted(photos)}
    return wanted if in_pieces else {name: _taking(sidecar, taken, free) for name, sidecar in wanted.items()}


def name_beside(name: str, format: str, others: Collection[str]) -> str | None:
    """Return the output name of one more photo in a folder; None if its name, or that of another, depends on both.

    Args:
        name: of the photo.
        format: of the thumbnails, or to keep the photo's own.
        others: what ``alike`` gives for the output names of the others, and of the folders beside them.
    """
    output = _wanted(name, format)
    return output if alike(output) not in others else None


def folders_of(folders: tuple[str, ...], photos: tuple[str, ...], format: str, reserved: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the name that each folder has in OUT, no two alike and none that of a photo which keeps its name.

    A folder keeps its name if it can: of ``Trip`` and ``trip`` the second becomes ``trip~2``.

    Args:
        folders: the names of the folders in one folder.
        photos: the names of the photos beside them.
        format: of the thumbnails, or to keep the photos' own.
        reserved: names of other files in OUT that no folder may have.
    """
    if not folders:
        return {}
    kept = {alike(name) for name in (*reserved, *(name for name in photos if _wanted(name, format) == name))}
    # A folder that has to change its name does not take that of another.
    taken = kept.union(alike(name) for name in folders)
    free: dict[str, int] = {}
    result = {}
    for name in sorted(folders):
        if alike(name) in kept:
            result[name] = _taking(name, taken, free, is_folder=True)
        else:
            result[name] = name
            kept.add(alike(name))
    return result


def folder_in_out(path: str, renamed: Mapping[str, str]) -> str:
    """Return where the thumbnails of a folder's photos go, relative to OUT.

    Args:
        path: the folder, relative to IN.
        renamed: such paths -> relative to OUT, of the folders that have another name there.
    """
    above = path
    while renamed and above:
        if above in renamed:
            return renamed[above] + path[len(above) :]
        above = above.rpartition("/")[0]
    return path


def _wanted(name: str, format: str) -> str:
    stem, extension = os.path.splitext(name)
    new = output_format(name, format)
    return name if FORMAT_OF.get(extension.lower()) == new else fitting(stem, f".{new}")


def names_one_by_one(photos: tuple[str, ...], format: str) -> dict[str, str]:
    """Return the output names of photos as ``names_of`` does, but each without looking at the other photos of the folder.

    For folders with too many photos to look at together. A photo that keeps its format keeps its name; all others get a second
    extension, ``a.gif.png``. A photo that has such a name already gets one more, so that no two are alike. A name that would
    be too long loses its end to a hash of the whole name, ``aaa~0123456789abcdef.png``.
    """
    result = {}
    for name in photos:
        new = output_format(name, format)
        ending = f".{new}"
        stays = FORMAT_OF.get(os.path.splitext(name)[1].lower()) == new
        stem = name
        while stem.endswith(ending):
            stem = stem.removesuffix(ending)
        extension = os.path.splitext(stem)[1].lower()
        taken = stem != name and extension in PHOTO_EXTENSIONS and FORMAT_OF.get(extension) != new == output_format(stem, format)
        taken = taken or (len(os.fsencode(name)) > LONGEST_NAME - 4 and CUT_NAME.search(name) is not None)
        result[name] = name if stays and not taken else _told_apart(name, ending)
    return result


def _told_apart(name: str, ending: str) -> str:
    """Return a name with one more ending: as it is if that fits, else cut, with a hash of what it was."""
    if len(os.fsencode(name + ending)) <= LONGEST_NAME:
        return name + ending
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]
    return fitting(name, f"~{digest}{ending}")


def alike(name: str) -> str:
    """Return a key that is equal for names that some file systems take for one: they differ in case or in composed letters."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name.casefold())


def _taking(name: str, taken: set[str], free: dict[str, int], is_folder: bool = False) -> str:
    """Return a name that nobody has taken, and take it: this one, else with ``~2``, ``~3``, ... before its extension.

    Args:
        name: the name.
        taken: what ``alike`` gives for the names that are taken.
        free: for what is before the number, the first number that may be free. It spares each name the way of those before.
        is_folder: whether it is that of a folder, which has no extension.
    """
    output, digits = name, 1
    while (key := alike(output)) in taken:
        stem, extension = (name, "") if is_folder else os.path.splitext(name)
        highest = 10**digits - 1
        ending = f"~{highest}{extension}"
        begins = alike(fitting(stem, ending))
        number = free.get(begins, max(2, 10 ** (digits - 1)))
        if number > highest:
            digits += 1
            continue
        free[begins] = number + 1
        output = fitting(stem, f"~{number}{extension}")
    taken.add(key)
    return output


def fitting(stem: str, ending: str) -> str:
    """Return a stem and an ending as one name, without the end of the stem if the name would be too long."""
    while len(os.fsencode(stem + ending)) > LONGEST_NAME:
        stem = stem[:-1]
    return stem + ending


def temporary_name(number: int, shard: str = "") -> str:
    """Return the name under which the thumbnail of the photo with this number is written; each shard has names of its own."""
    return f".cropper-{shard}.{number}.part" if shard else f".cropper-{number}.part"


def marked(temporary_name: str, mark: str) -> str:
    """Return a temporary name for one of several processes that may write the same photo; the mark is hexadecimal digits."""
    return f"{temporary_name.removesuffix('.part')}.{mark}.part"
