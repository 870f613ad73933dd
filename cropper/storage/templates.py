"""Where thumbnails go in OUT, as a template of the user's says: ``{folder}/{stem}-{width}w.{ext}``.

A template is checked before the run, so that no name it gives leaves OUT, hides, or takes one that cropper needs. What values
make of it is mended, as a stem may be anything. ``engine.names`` sees to it that no two photos have one name.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cropper.errors import UsageError
from cropper.settings import Target
from cropper.storage.fields import Part, Value, parts_of
from cropper.storage.naming import (
    CUT_NAME,
    DIGITS,
    LONGEST_NAME,
    REVIEW_FOLDER,
    SHEET_NAME,
    STATE_FOLDER,
    alike,
    fitting,
    label_in_paths,
)
from cropper.storage.places import join

PHOTO_FIELDS = ("folder", "stem", "ext", "hash")
SHAPE_FIELDS = ("width", "height", "aspect", "size", "candidate")
FIELDS = (*PHOTO_FIELDS, *SHAPE_FIELDS)
# Hexadecimal digits of {hash}.
HASH_DIGITS = 8
# Names at the top of OUT that are taken, beside that of the table.
TAKEN = (STATE_FOLDER, SHEET_NAME, REVIEW_FOLDER, "review.html")

_NAME = "--name"
_REMEDY = f"the fields are {', '.join(FIELDS)}; a format may stand behind a colon, as in {{width:04}}"
_ENDING = ".{ext}"
# In the place of a field, where only the text between fields counts.
_FIELD = "\0"
_LOOKS_TOLD_APART = re.compile(CUT_NAME.pattern, re.IGNORECASE)
_TRIAL: dict[str, Value] = {**dict.fromkeys((*PHOTO_FIELDS, "aspect", "size"), "a"), "width": 1, "height": 1, "candidate": 1}


@dataclass(frozen=True)
class Words:
    """What the fields of a template say of one photo.

    Attributes:
        folder: where the default layout puts it, relative to OUT; empty at the top.
        stem, ext: the name that the default layout gives it, without and after the last dot.
        hash: of its content, ``HASH_DIGITS`` hexadecimal digits; a stand-in where only the rest counts.
    """

    folder: str
    stem: str
    ext: str
    hash: str = "0" * HASH_DIGITS


def hash_in_names(digest: bytes) -> str:
    """Return what {hash} says of a photo with this digest, by ``places.digest_of``."""
    return digest.hex()[:HASH_DIGITS]


@dataclass(frozen=True)
class Template:
    """A template that fits the targets of a run. ``template_of`` makes and checks one.

    Attributes:
        parts: its texts and fields.
        targets: the targets of the run.
        taken: names at the top of OUT that no thumbnail may have.
    """

    parts: tuple[Part, ...]
    targets: tuple[Target, ...]
    taken: frozenset[str]

    @cached_property
    def has_hash(self) -> bool:
        """Whether a name depends on the photo's content."""
        return any(part.field == "hash" for part in self.parts)

    @cached_property
    def has_folder(self) -> bool:
        """Whether it says where the photo's folder goes."""
        return any(part.field == "folder" for part in self.parts)

    @cached_property
    def stays_in_folder(self) -> bool:
        """Whether the photos of each folder have one of their own for each target, so that names need to differ there alone."""
        number = next((number for number, part in enumerate(self.parts) if part.field == "folder"), None)
        if number is None or not self.parts[number].is_plain:
            return False
        before, after = self.parts[:number], self.parts[number + 1 :]
        above, below = _skeleton(before) + self.parts[number].text, _skeleton(after)
        return (
            (not above or above.endswith("/"))
            and all(part.field in SHAPE_FIELDS for part in before)
            and below.startswith("/")
            and below.count("/") == 1
            and all(part.field != "folder" for part in after)
        )

    @cached_property
    def tells_photos_apart(self) -> bool:
        """Whether photos of one folder whose stems or extensions differ have names that differ, without a look at the others."""
        last = [part for part in self.parts if part.field == "stem"]
        if not self.stays_in_folder or len(last) != 1 or not last[0].is_plain:
            return False
        stand_in = Words("", _FIELD, "")
        around = [self._text(stand_in, target).rsplit("/", 1) for target in self.targets]
        found = [(folders[0] if len(folders) > 1 else "", *folders[-1].split(_FIELD)) for folders in around]
        return all(
            one[0] != other[0]
            or (one[1] == other[1] and not one[2].endswith(other[2]))
            or (one[2] == other[2] and not one[1].startswith(other[1]))
            for number, one in enumerate(found)
            for place, other in enumerate(found)
            if number != place
        )

    def paths(self, words: Words) -> tuple[tuple[str, ...], bool]:
        """Return where a photo's thumbnails go, relative to OUT, one a target.

        And whether these have to be told apart from those of other photos in any case: they had to be mended, they look like
        names that were told apart, or two of them are alike.
        """
        found = [self._path(words, target) for target in self.targets]
        paths = tuple(path for path, _ in found)
        return paths, any(is_mended for _, is_mended in found) or len({*map(alike, paths)}) < len(paths)

    def paths_told_apart(self, words: Words, photo: str) -> tuple[str, ...]:
        """Return where a photo's thumbnails go if another photo would have one of ``paths``: with a hash of the photo's path.

        Args:
            words: of the photo.
            photo: its path in IN.
        """
        paths, _ = self.paths(words)
        are_alike = len({*map(alike, paths)}) < len(paths)
        result = []
        for path, target in zip(paths, self.targets, strict=True):
            folder, _, name = path.rpartition("/")
            text = f"{photo}\0{target.label}{_of_candidate(target)}" if are_alike else photo
            ending = f"~{_digits(text)}.{words.ext}"
            result.append(join(folder, fitting(name.removesuffix(f".{words.ext}"), ending)))
        return tuple(result)

    def _text(self, words: Words, target: Target) -> str:
        values: Mapping[str, Value] = {**vars(words), **_values_of(target)}
        return "".join(part.of(values) for part in self.parts)

    def _path(self, words: Words, target: Target) -> tuple[str, bool]:
        """Return where a thumbnail goes, and whether it has to be told apart in any case."""
        *folders, last = (name for name in self._text(words, target).split("/") if name)  # {folder} may be empty
        ending = f".{words.ext}"
        sound = [*map(_sound_folder, folders), fitting(last.removesuffix(ending), ending)]
        if alike(sound[0]) in self.taken:
            sound[0] = f"_{sound[0]}"
        return "/".join(sound), sound != [*folders, last] or _LOOKS_TOLD_APART.search(alike(sound[-1])) is not None


def template_of(text: str, targets: Sequence[Target], taken: Collection[str] = ()) -> Template:
    """Return the template in a text.

    Args:
        text: as the user wrote it.
        targets: the targets of the run, at least one, all with different labels.
        taken: names at the top of OUT that no thumbnail may have, beside ``TAKEN``.

    Raises:
        UsageError: if it is not one, leads out of OUT, may give a hidden or a taken name, or gives two targets one name.
    """
    if not text:
        raise UsageError(f"{_NAME} is empty", remedy="write one such as {stem}-{width}w.{ext}")
    parts = tuple(parts_of(text, FIELDS, _NAME, _REMEDY, _TRIAL))
    template = Template(parts, tuple(targets), frozenset(map(alike, (*TAKEN, *taken))))
    _check_text(text, template)
    _check_targets(template)
    return template


def _check_text(text: str, template: Template) -> None:
    """Raise UsageError if a name would leave OUT, or be hidden, taken or none."""
    named, skeleton = f"{_NAME} {text!r}", _skeleton(template.parts)
    names = skeleton.split("/")
    if skeleton.startswith("/"):
        raise UsageError(f"{named} is an absolute path", remedy="write where thumbnails go below OUT, without / in front")
    if ".." in names:
        raise UsageError(f"{named} leads out of OUT", remedy="leave out ..")
    for bad, what in (("\\", "a backslash"), (":", "a colon")):
        if bad in skeleton:
            raise UsageError(f"{named} has {what}, which not all systems allow in names", remedy="write / between folders")
    if any(character < " " and character != _FIELD for character in skeleton) or "\0" in text:
        raise UsageError(f"{named} has a control character", remedy="leave it out")
    if any(character in part.spec for part in template.parts for character in "/\\:\0"):
        raise UsageError(f"{named} fills a field with a character that no name may have", remedy="fill it with another one")
    if template.parts[-1].field != "ext" or not template.parts[-1].is_plain or not skeleton.endswith(f".{_FIELD}"):
        raise UsageError(f"{named} does not end in {_ENDING}", remedy="end it so: the name has to say what the file is")
    if not all(names) or names[-1] == f".{_FIELD}":
        raise UsageError(f"{named} has an empty name", remedy="put a field or a text there, as in {stem}.{ext}")
    if any(name.startswith(".") for name in names):
        raise UsageError(f"{named} has a hidden name", remedy="let no name begin with a dot")
    first = alike(names[0].replace(f".{_FIELD}", ".jpg") if len(names) == 1 else names[0])
    if first in template.taken:
        raise UsageError(f"{named} takes a name that cropper needs in OUT", remedy="choose another one")


def _check_targets(template: Template) -> None:
    """Raise UsageError if a target has no such field, or two of them have one name."""
    for target in template.targets:
        values = _values_of(target)
        for part in template.parts:
            if part.field in SHAPE_FIELDS and values[part.field] is None:
                what = f"{_NAME} has {{{part.field}}}, and --aspect {target.label} says none"
                raise UsageError(what, remedy="add --width, or write {aspect}")

    def twice(fields: tuple[str, ...]) -> tuple[Target, Target] | None:
        seen: dict[str, Target] = {}
        for target in template.targets:
            values = _values_of(target)
            text = _FIELD.join(part.of(values) if part.field in SHAPE_FIELDS else part.text for part in template.parts)
            key = alike(_FIELD.join((text, *(str(values[field]) for field in fields))))
            if key in seen:
                return seen[key], target
            seen[key] = target
        return None

    if (both := twice(())) is not None:
        shapes = [field for field in ("width", "aspect", "size") if _all_have(template, field)]
        tried = [("candidate",), *((field,) for field in shapes), *(("candidate", field) for field in shapes)]
        add = next(fields for fields in tried if twice(fields) is None)
        one, other = (f"{target.label}{_of_candidate(target)}" for target in both)
        words = " and ".join(f"{{{field}}}" for field in add)
        raise UsageError(f"{_NAME} gives {one} and {other} one name", remedy=f"add {words}, which differ{'s' * (len(add) == 1)}")


def _all_have(template: Template, field: str) -> bool:
    return all(_values_of(target)[field] is not None for target in template.targets)


def _values_of(target: Target) -> dict[str, Value]:
    """Return what the fields say of a target; None for the width and height of one without a size."""
    across, down = target.aspect
    if target.size == target.aspect:  # asked for as a size
        across, down = (side // math.gcd(*target.aspect) for side in target.aspect)
    width, height = target.size or (None, None)
    size, candidate = label_in_paths(target), target.candidate or 1
    return {"width": width, "height": height, "aspect": f"{across}x{down}", "size": size, "candidate": candidate}


def _of_candidate(target: Target) -> str:
    return "" if target.candidate is None else f" candidate {target.candidate}"


def _skeleton(parts: Sequence[Part]) -> str:
    return "".join(part.text + _FIELD * bool(part.field) for part in parts)


def _digits(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]


def _sound_folder(name: str) -> str:
    """Return the name of a folder that leads nowhere else and is not too long."""
    if name in (".", ".."):
        return "_" * len(name)
    return name if len(os.fsencode(name)) <= LONGEST_NAME else fitting(name, f"~{_digits(name)}")
