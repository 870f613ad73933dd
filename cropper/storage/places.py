"""Where photos are and thumbnails go: a path of this machine or a URL, and the words of a walk through either."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from cropper.errors import PhotoError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True)
class Remote:
    """A folder or an object of a storage that fsspec knows.

    Attributes:
        url: ``s3://bucket/photos``, without a slash at its end.
    """

    url: str

    def __truediv__(self, name: str) -> Remote:
        return Remote(f"{self.url.removesuffix('/')}/{name}")

    def __fspath__(self) -> str:
        return self.url

    def __str__(self) -> str:
        return self.url


Place = Path | Remote


def is_url(text: str) -> bool:
    """Whether it names a place in a storage, rather than a path."""
    return _URL.match(text) is not None


def place(text: str) -> Place:
    """The place that a URL or a path names."""
    return Remote(text.rstrip("/") if not text.endswith("://") else text) if is_url(text) else Path(text)


@dataclass(frozen=True)
class Version:
    """One version of a file.

    Attributes:
        size: in bytes.
        modified_ns: when it was last modified, in nanoseconds since 1970.
        version: another text for another content, as far as can be told without reading it.
    """

    size: int
    modified_ns: int
    version: str


@dataclass(frozen=True)
class Folder:
    """One folder of the walk.

    Attributes:
        path: relative to the root, ``/``-separated, ``""`` for the root itself.
        photos: the names of its photos, sorted.
        others: how many other files it holds that are not hidden.
        error: why it could not be listed, or None.
        seen: of each photo what the listing said of it, where it said so.
        in_pieces: whether other photos of the folder come apart from these.
    """

    path: str
    photos: tuple[str, ...] = ()
    others: int = 0
    error: PhotoError | None = None
    seen: tuple[Version, ...] = ()
    in_pieces: bool = False


def join(folder: str, name: str) -> str:
    """A name in a folder of the walk, relative to the root."""
    return f"{folder}/{name}" if folder else name


def order(path: str) -> list[tuple[bool, str]]:
    """The key that sorts relative paths as the walk yields them."""
    *folders, name = path.split("/")
    return [*((True, folder) for folder in folders), (False, name)]


def is_inside(path: str, folder: str) -> bool:
    """Whether a real path is a folder's or lies below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
