"""Walk a folder of this machine: its photos, in a stable order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cropper.errors import PhotoError
from cropper.storage.places import Folder, is_inside, join


def walk(root: Path, extensions: frozenset[str], leave_out: Path | None = None) -> Iterator[Folder]:
    """Walk a folder: the photos of each folder sorted by name, then its subfolders sorted by name.

    Leaves out hidden files and folders, symbolic links that lead out of the root or up to a folder that holds them, and all that
    lies in ``leave_out``, even where a link leads there.

    Args:
        root: the folder to walk.
        extensions: of photos' names, in lower case, with the dot.
        leave_out: a folder not to walk, such as an OUT inside IN.
    """
    real_root = os.path.realpath(root)
    real_out = os.path.realpath(leave_out) if leave_out is not None else None
    # Folders to list, the next one last: relative path, path, and the real paths of the folder and of those above it.
    upcoming: list[tuple[str, str, tuple[str, ...]]] = [("", os.fspath(root), (real_root,))]
    while upcoming:
        relative, path, above = upcoming.pop()
        photos: list[str] = []
        others = 0
        subfolders: list[tuple[str, str, tuple[str, ...]]] = []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_symlink():
                        # Ask about the path: the entry of a link to itself would raise.
                        real = os.path.realpath(entry.path)
                        is_folder, is_file = os.path.isdir(real), os.path.isfile(real)
                    else:
                        real = os.path.join(above[-1], entry.name)
                        is_folder, is_file = entry.is_dir(), entry.is_file()
                    if not is_inside(real, real_root) or (real_out is not None and is_inside(real, real_out)):
                        continue
                    if is_folder:
                        if real not in above:
                            subfolders.append((join(relative, entry.name), entry.path, (*above, real)))
                    elif is_file and os.path.splitext(entry.name)[1].lower() in extensions:
                        photos.append(entry.name)
                    else:
                        others += 1
        except OSError as error:
            reason = f"the folder cannot be listed ({error.strerror})"
            yield Folder(relative, error=PhotoError(reason, path=path, remedy="check its permissions"))
            continue
        yield Folder(relative, tuple(sorted(photos)), others)
        upcoming += sorted(subfolders, reverse=True)
