"""Walk a folder of this machine: its photos, in a stable order."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from cropper.errors import PhotoError
from cropper.image_formats import name_of_kind
from cropper.storage.naming import REVIEW_FOLDER, STATE_FOLDER, is_product
from cropper.storage.opening import folder_below, names_below
from cropper.storage.patterns import EVERYTHING, Selection
from cropper.storage.places import Folder, LeftOut, is_inside, join


def walk(
    root: Path,
    extensions: frozenset[str],
    leave_out: Path | None = None,
    selection: Selection = EVERYTHING,
    enters: Callable[[str], bool] = lambda path: True,
    start: str = "",
) -> Iterator[Folder]:
    """Walk a folder: the photos of each folder sorted by name, then its subfolders sorted by name.

    Each folder comes once, whatever links and mounts lead to it: as itself, not by a link. Hidden ones come by the first link.

    Leaves out hidden files and folders, symbolic links that lead out of the root, and all that lies in ``leave_out`` or another
    OUT, even where a link leads there. So it does with what ``selection`` does not take. The root is walked whatever it is.

    Args:
        root: the folder to walk.
        extensions: of photos' names, in lower case, with the dot.
        leave_out: a folder not to walk, such as an OUT inside IN.
        selection: which files and folders to take, by their paths in the walk.
        enters: says of a folder, by its path in the walk, whether to walk it; else it is only named in the one above.
        start: the folder to begin with, by its path in a walk of the whole root, which would come to it.
    """
    real_root = os.path.realpath(root)
    real_out = os.path.realpath(leave_out) if leave_out is not None else None
    seen: set[int | str] = set()
    # Folders to list, the next one last: relative path and real path.
    upcoming = [(start, os.path.join(real_root, *start.split("/")) if start else real_root)]
    while upcoming:
        relative, real = upcoming.pop()
        photos: list[str] = []
        others = files = folders = links = 0
        kinds: Counter[str] = Counter()
        of_systems: list[str] = []
        subfolders: list[tuple[str, str]] = []
        is_out = False
        # The files in it are counted, and none is a photo.
        is_of_review = bool(relative) and os.path.basename(real) == REVIEW_FOLDER
        try:
            with folder_below(real_root, names_below(real, real_root)) as here, os.scandir(here) as entries:
                identity = _identity(os.stat(here), real)
                if identity in seen:
                    continue
                seen.add(identity)
                for entry in entries:
                    name = entry.name
                    if name == STATE_FOLDER and relative:
                        is_out = True
                        break
                    if name.startswith("."):
                        of_system = selection.system_folder(join(relative, name))
                        of_systems += [of_system] * (bool(of_system) and entry.is_dir())
                        continue
                    path = os.path.join(real, name)
                    if entry.is_symlink():
                        # Ask about the path: the entry of a link to itself would raise.
                        path = os.path.realpath(path)
                        is_folder, is_file = os.path.isdir(path), os.path.isfile(path)
                        if not is_inside(path, real_root):
                            links += 1
                            continue
                        if _is_in_an_out(path, real_root):
                            continue
                        if is_folder and _comes_as_itself(path, real_root):
                            continue
                    else:
                        is_folder, is_file = entry.is_dir(), entry.is_file()
                    if real_out is not None and is_inside(path, real_out):
                        continue
                    if is_folder and (of_system := selection.system_folder(join(relative, name))):
                        of_systems.append(of_system)
                    elif is_folder and not selection.takes_folder(join(relative, name)):
                        folders += 1
                    elif is_folder:
                        subfolders.append((name, path))
                    elif is_file and not selection.takes_file(join(relative, name)):
                        files += 1
                    elif is_file and not is_of_review and _extension(name) in extensions and not is_product(name):
                        photos.append(name)
                    else:
                        others += 1
                        if is_file and not is_of_review and _extension(name) not in extensions:
                            kinds[name_of_kind(name)] += 1
        except OSError as error:
            reason = f"the folder cannot be listed ({error.strerror})"
            yield Folder(relative, error=PhotoError(reason, path=root / relative, remedy="check its permissions"))
            continue
        if is_out:
            yield Folder(relative, is_out=True)
            continue
        if is_of_review:
            subfolders = []
        subfolders.sort()
        names = tuple(name for name, _ in subfolders)
        left_out = LeftOut(files, folders, links, tuple(sorted(of_systems)))
        yield Folder(relative, tuple(sorted(photos)), others, subfolders=names, left_out=left_out, kinds=known_kinds(kinds))
        upcoming += [(join(relative, name), path) for name, path in reversed(subfolders) if enters(join(relative, name))]


def known_kinds(kinds: Counter[str]) -> tuple[tuple[str, int], ...]:
    """Return the counts of a folder's other files by what they are, without those that no table knows."""
    return tuple(sorted((kind, number) for kind, number in kinds.items() if kind))


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _identity(status: os.stat_result, real: str) -> int | str:
    """Return what tells a folder from all others: device and inode, or the real path on systems that have no inodes."""
    return status.st_dev << 64 | status.st_ino if status.st_ino else real


def _comes_as_itself(real: str, real_root: str) -> bool:
    """Whether the walk comes to a folder below the root without a link: neither it nor a folder above it is hidden."""
    return not any(name.startswith(".") for name in names_below(real, real_root))


def _is_in_an_out(real: str, real_root: str) -> bool:
    """Whether the folder above a file or a folder is an OUT, or one further up is; the root does not count."""
    above = os.path.dirname(real)
    while len(above) > len(real_root):
        if os.path.lexists(os.path.join(above, STATE_FOLDER)):
            return True
        above = os.path.dirname(above)
    return False
