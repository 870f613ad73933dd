"""Name outputs: the thumbnail of each photo, no two alike, and its temporary name while it is written."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from cropper.image_formats import FORMAT_OF, PHOTO_EXTENSIONS, output_format
from cropper.storage.places import join

if TYPE_CHECKING:
    from cropper.settings import Target

# Bytes of a file name that every file system in use allows.
_LONGEST_NAME = 255

# The name of a thumbnail that is not complete yet.
TEMPORARY_NAME = re.compile(r"\.cropper-(?:([0-9]+-of-[0-9]+)\.)?[0-9]+(?:\.[0-9a-f]+)?\.part")


def paths_of(targets: tuple[Target, ...], folder: str, name: str) -> tuple[str, ...]:
    """Return where a photo's thumbnails go, relative to OUT.

    One target: the photo's own path. Several: that path below a folder named after each target.
    """
    path = join(folder, name)
    # Some file systems allow no colon in a name.
    return (path,) if len(targets) == 1 else tuple(join(target.label.replace(":", "-"), path) for target in targets)


def names_of(photos: tuple[str, ...], format: str) -> dict[str, str]:
    """Return the output name of every photo of a folder, no two alike, even on a file system that ignores case.

    A photo that keeps its format keeps its name. A photo that changes format changes its extension: ``a.png`` becomes ``a.webp``.
    If several photos would become ``a.webp``, each of them gets a second extension instead: ``a.png.webp``. A name that would be
    too long loses the end of its stem.
    """
    wanted = {}
    for name in photos:
        stem, extension = os.path.splitext(name)
        new = output_format(name, format)
        wanted[name] = name if FORMAT_OF.get(extension.lower()) == new else _fitting(stem, f".{new}")
    times = Counter(_alike(output) for output in wanted.values())
    taken: set[str] = set()
    result = {}
    # Unchanged names go first: no photo that changes format can take them.
    for name in sorted(photos, key=lambda name: (wanted[name] != name, name)):
        output = wanted[name]
        if output != name and times[_alike(output)] > 1:
            output = _fitting(name, f".{output_format(name, format)}")
        stem, extension = os.path.splitext(output)
        again = 2
        while _alike(output) in taken:
            output = _fitting(stem, f"~{again}{extension}")
            again += 1
        taken.add(_alike(output))
        result[name] = output
    return result


def names_one_by_one(photos: tuple[str, ...], format: str) -> dict[str, str]:
    """Return the output names of photos as ``names_of`` does, but each without looking at the other photos of the folder.

    For folders with too many photos to look at together. A photo that keeps its format keeps its name; all others get a second
    extension, ``a.gif.png``. A photo that has such a name already gets one more, so that no two are alike.
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
        result[name] = name if stays and not taken else _fitting(name, ending)
    return result


def _alike(name: str) -> str:
    """Return a key that is equal for names that some file systems take for one: they differ in case or in composed letters."""
    return unicodedata.normalize("NFC", name.casefold())


def _fitting(stem: str, ending: str) -> str:
    while len(os.fsencode(stem + ending)) > _LONGEST_NAME:
        stem = stem[:-1]
    return stem + ending


def temporary_name(number: int, shard: str = "") -> str:
    """Return the name under which the thumbnail of the photo with this number is written; each shard has names of its own."""
    return f".cropper-{shard}.{number}.part" if shard else f".cropper-{number}.part"


def marked(temporary_name: str, mark: str) -> str:
    """Return a temporary name for one of several processes that may write the same photo; the mark is hexadecimal digits."""
    return f"{temporary_name.removesuffix('.part')}.{mark}.part"
