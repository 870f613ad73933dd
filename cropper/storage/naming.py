"""Name outputs: which thumbnail a photo becomes, with no two names alike, and what a file is called until it is whole."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from cropper.image_formats import FORMAT_OF, PHOTO_EXTENSIONS, output_format
from cropper.storage.places import join

if TYPE_CHECKING:  # with it is numpy, which a supervisor does without
    from cropper.settings import Target

# What a file name can be long on every file system in use.
_LONGEST_NAME = 255

# What a thumbnail is called until it is whole.
TEMPORARY_NAME = re.compile(r"\.cropper-(?:([0-9]+-of-[0-9]+)\.)?[0-9]+(?:\.[0-9a-f]+)?\.part")


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
        new = output_format(name, format)
        wanted[name] = name if FORMAT_OF.get(extension.lower()) == new else _fitting(stem, f".{new}")
    times = Counter(_alike(output) for output in wanted.values())
    taken: set[str] = set()
    result = {}
    # Names that stay go first: no photo that changes format can take them.
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
    """As ``names_of``, but without a look at the folder's other photos, of which there are too many.

    Names that stay still stay; all others get the extension after their own, ``a.gif.png``. A photo that has such a name itself
    gets one more, so that no two are alike.
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
