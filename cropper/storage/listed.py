"""Photos that the user lists, as a part of a folder IN: which folder that is, where each of them lies in it, and the walk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from cropper.errors import UsageError
from cropper.storage.local import LocalPlace
from cropper.storage.patterns import EVERYTHING, Selection
from cropper.storage.places import NOTHING_LEFT_OUT, Folder, LeftOut, Place, Version, is_inside, join
from cropper.storage.walk import walk

# Bytes to read of a list at once.
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Listed(LocalPlace):
    """A folder of this machine of which the user listed photos and folders: a walk gives these, and no other photos.

    A photo outside of the folder has its absolute path in the place of one in the folder, and its thumbnail goes to that path
    below OUT.

    Attributes:
        photos: path in the walk -> as the user wrote it, for the photos that have been listed.
        folders: the same for folders, of which all photos count.
    """

    photos: Mapping[str, str] = field(default_factory=dict, compare=False)
    folders: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __truediv__(self, name: str) -> LocalPlace:
        if name in self.photos:
            return LocalPlace(Path(self.photos[name]))  # it may be a link: the user named it
        above = name
        while above.startswith("/") and above not in self.folders and above != os.path.dirname(above):
            above = os.path.dirname(above)
        if above in self.folders and above.startswith("/"):
            return LocalPlace(Path(self.folders[above])) / os.path.relpath(name, above)
        return LocalPlace(self.path / name, self.root or self.path)

    def version_of(self, name: str) -> Version:
        """Return which version of a photo is there now, wherever it lies. Raises OSError if it is gone."""
        return (self / name).version_now()

    def __reduce__(self) -> tuple[type[LocalPlace], tuple[Path]]:
        """Travel as the folder alone: another process gets each photo with the place of its own, and a list may be long."""
        return LocalPlace, (self.path,)

    @property
    def is_listed(self) -> bool:
        """Always."""
        return True

    def walk(
        self, extensions: frozenset[str], leave_out: Place | None = None, selection: Selection | None = None
    ) -> Iterator[Folder]:
        """Walk what is listed, in the order of a walk through the folder.

        The other photos beside a listed one come too, unlisted, so that its thumbnail has the same name as in a run over all.
        A listed photo is taken whatever its name, unless the user's own patterns exclude it or it lies in ``leave_out``.
        """
        chosen = selection or EVERYTHING
        real_out = os.path.realpath(leave_out) if leave_out is not None and not leave_out.is_remote else None
        real_folder = lru_cache(os.path.realpath)  # photos of one folder follow each other
        named: dict[str, list[str]] = {}
        left_out: dict[str, int] = {}
        for path, given in self.photos.items():
            folder, _, name = path.rpartition("/")
            if chosen.takes_listed(path) and not (
                real_out is not None and is_inside(real_folder(os.path.dirname(given)), real_out)
            ):
                named.setdefault(folder, []).append(name)
            else:
                left_out[folder] = left_out.get(folder, 0) + 1
        for folder in left_out:
            named.setdefault(folder, [])
        waiting = sorted(named, key=_order, reverse=True)
        for found in self._all_folders(extensions, leave_out, chosen, named):
            while waiting and _order(waiting[-1]) < _order(found.path):  # the walk does not come there: it is hidden, say
                path = waiting.pop()
                yield _with_listed(Folder(path), named[path], left_out.get(path, 0), whole=False)
            names = named[waiting.pop()] if waiting and waiting[-1] == found.path else []
            yield _with_listed(found, names, left_out.get(found.path, 0), whole=self._is_whole(found.path))
        while waiting:
            path = waiting.pop()
            yield _with_listed(Folder(path), named[path], left_out.get(path, 0), whole=False)

    def _all_folders(
        self, extensions: frozenset[str], leave_out: Place | None, selection: Selection, named: Iterable[str]
    ) -> Iterator[Folder]:
        """Yield the folders with listed photos, the folders above them, and those in listed folders, in order."""
        out = leave_out.local_path if leave_out is not None else None
        on_the_way = {above for path in (*named, *self.folders) for above in _with_those_above(path)}

        def enters(path: str) -> bool:
            return path in on_the_way or self._is_whole(path)

        inside = walk(self.path, extensions, out, selection, enters)
        yield next(inside)
        outside = {path for path in (*named, *self.folders) if path.startswith("/") and not self._is_whole(os.path.dirname(path))}
        for path in sorted(outside, key=_order):
            is_whole = path in self.folders
            patterns = selection.in_folder(LocalPlace(Path(path))) if is_whole else selection
            for folder in walk(Path(path), extensions, out, patterns, (lambda _: True) if is_whole else (lambda _: False)):
                yield replace(folder, path=join(path, folder.path) if folder.path else path)
        yield from inside

    def _is_whole(self, path: str) -> bool:
        """Whether a folder was listed, or lies in one that was."""
        return any(above in self.folders for above in (path, *_with_those_above(path)))


@dataclass(frozen=True)
class Part(Listed):
    """Photos of a folder that a program names, and not the user: a link that leads out of the folder is not followed."""

    def __truediv__(self, name: str) -> LocalPlace:
        return LocalPlace(self.path / name, self.root or self.path)


def part_of(folder: Path, paths: Iterable[str]) -> Part:
    """Return the part of a folder that these photos are, which are given by their paths in it, ``/``-separated."""
    return Part(folder, None, {path: os.path.join(folder, path) for path in paths})


def _with_those_above(path: str) -> Iterator[str]:
    """Yield a folder of a walk and those above it, up to IN for those that lie in it."""
    lies_in_it = not path.startswith("/")
    while path:
        yield path
        path = path.rpartition("/")[0]
    if lies_in_it:
        yield path


def _order(folder: str) -> list[str]:
    return folder.split("/") if folder else []


def _with_listed(folder: Folder, names: list[str], left_out: int, whole: bool) -> Folder:
    """Return a folder of a walk with its listed photos."""
    photos = tuple(sorted({*folder.photos, *names}))
    away = folder.path.lstrip("/") if folder.path.startswith("/") else None
    if whole:
        counts = replace(folder.left_out, files=folder.left_out.files + left_out)
        return replace(folder, photos=photos, named=frozenset(names), left_out=counts, in_out=away)
    counts = LeftOut(files=left_out) if left_out else NOTHING_LEFT_OUT
    wanted = tuple(sorted(names))
    return Folder(
        folder.path, photos, subfolders=folder.subfolders, left_out=counts, listed=wanted, named=frozenset(names), in_out=away
    )


def listed(paths: Iterable[str], earlier: str | None = None) -> Listed:
    """Return the folder that a list of photos and folders is a part of.

    That is the folder that OUT was made from before, or else the deepest one that holds all of them.

    Args:
        paths: of this machine, as the user wrote them.
        earlier: the full name of the folder that OUT was made from; None if it is new.

    Raises:
        UsageError: if no folder holds all of them, or OUT was made from another one and cannot take one of them as well.
    """
    wanted = {path: _absolute(path) for path in paths}
    folders = {path for path, full in wanted.items() if os.path.isdir(full)}
    holding = {full if path in folders else os.path.dirname(full) for path, full in wanted.items()}
    try:
        root = earlier or (os.path.commonpath(holding) if holding else os.getcwd())
    except ValueError:  # Windows: on several drives
        raise UsageError(
            "no folder holds all these photos", remedy="run once for each drive, each with an OUT of its own"
        ) from None
    real_root = os.path.realpath(root)
    found: tuple[dict[str, str], dict[str, str]] = {}, {}
    for path, full in wanted.items():
        below = _below(full, root, real_root)
        holder = full if path in folders else os.path.dirname(full)
        # A photo in the root of the system has no folder below OUT, and a drive of Windows has none.
        if below is None and (is_inside(real_root, holder) or holder == os.path.dirname(holder) or os.name == "nt"):
            raise UsageError(f"it is outside of {root}, which OUT was made from", path=path, remedy="choose another OUT for it")
        found[path in folders].setdefault(Path(full).as_posix() if below is None else below, path)
    is_relative = earlier is None and not any(map(os.path.isabs, wanted))
    return Listed(Path(os.path.relpath(root) if is_relative else root), None, *found)


def _below(full: str, root: str, real_root: str) -> str | None:
    """Return the path of a file or folder relative to a folder, ``/``-separated; None if it lies elsewhere."""
    if not is_inside(full, root):
        full, root = _real_folder(full), real_root
        if not is_inside(full, root):
            return None
    return full[len(root.rstrip(os.sep)) + 1 :].replace(os.sep, "/")


def _absolute(path: str) -> str:
    return _real_folder(path) if os.pardir in path.split(os.sep) else os.path.abspath(path)


def _real_folder(path: str) -> str:
    """Resolve the links to a file, but not the file itself."""
    folder, name = os.path.split(path.rstrip(os.sep) or os.sep)
    return os.path.join(os.path.realpath(folder), name) if name not in ("", os.curdir, os.pardir) else os.path.realpath(path)


def split(stream: BinaryIO, separator: bytes) -> Iterator[str]:
    """Split a stream of bytes into paths, and yield each as soon as its separator comes. Leaves out empty ones.

    Takes time in proportion to the bytes, however far apart the separators are: a chunk is looked at once.

    Args:
        stream: a file with a number, from which chunks are read.
        separator: one byte.
    """
    parts: list[bytes] = []  # of the path whose separator is yet to come
    while chunk := os.read(stream.fileno(), _CHUNK):
        *ended, rest = chunk.split(separator)
        for end in ended:
            if path := b"".join((*parts, end)):
                yield os.fsdecode(path)
            parts.clear()
        parts.append(rest)
    if path := b"".join(parts):
        yield os.fsdecode(path)
