"""List the folders of a storage, page by page, and read sizes, times and versions in the words of any library."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from cropper.storage.places import Version
from cropper.storage.retries import retried
from cropper.storage.urls import S3

# The names that different libraries give the time of the last change.
_MODIFIED = ("LastModified", "mtime", "last_modified", "updated", "modified", "created")


def pages_of(fs: Any, path: str) -> Iterator[list[tuple[str, Version | None]]]:
    """List a folder: the names of its files, sorted, with their versions, and those of its subfolders, with None.

    Args:
        fs: an fsspec file system.
        path: the folder's name there.

    Raises:
        FileNotFoundError: if there is no such folder.
        NotADirectoryError: if the library gives an object of that name instead.
        Exception: as the library raises it.
    """
    yield from _s3_pages(fs, path) if is_one_of(fs, S3) else iter([_whole_folder(fs, path)])


def _whole_folder(fs: Any, path: str) -> list[tuple[str, Version | None]]:
    """List a folder in one piece, as fsspec does for any storage."""
    entries = retried(lambda: fs.ls(path, detail=True))
    found: list[tuple[str, Version | None]] = []
    for entry in entries:
        name = entry["name"].rstrip("/")
        if name != path.rstrip("/"):
            found.append((name.rsplit("/", 1)[-1], None if entry["type"] == "directory" else version_of(entry)))
        elif entry["type"] != "directory" and len(entries) == 1 and not entry["name"].endswith("/"):
            raise NotADirectoryError(errno.ENOTDIR, "the library finds an object of that name instead", path)
    return sorted(found, key=lambda one: one[0])


def _s3_pages(fs: Any, path: str) -> Iterator[list[tuple[str, Version | None]]]:
    bucket, _, key = path.partition("/")
    prefix = f"{key}/" if key else ""
    request = {"Bucket": bucket, "Prefix": prefix, "Delimiter": "/", **fs.req_kw}
    first = True
    while True:
        page = retried(lambda: fs.call_s3("list_objects_v2", **request))
        found: list[tuple[str, Version | None]] = []
        for entry in page.get("Contents", ()):
            if entry["Key"] != prefix:  # an object that only marks the folder
                found.append((entry["Key"][len(prefix) :], version_of({**entry, "size": entry["Size"]})))
        found += [(entry["Prefix"][len(prefix) : -1], None) for entry in page.get("CommonPrefixes", ())]
        if first and not page.get("Contents") and not found and key:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        yield found
        first = False
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def version_of(entry: dict[str, Any]) -> Version:
    """Return the version of an object in a listing: by its tag, where it has one, since a time may be in whole seconds."""
    modified = nanoseconds(next((entry[name] for name in _MODIFIED if entry.get(name) is not None), 0))
    tag = next((str(entry[name]).strip('"') for name in ("ETag", "etag", "generation") if entry.get(name)), "")
    size = int(entry.get("size") or 0)
    return Version(size, modified, f"{tag or modified}-{size}")


def nanoseconds(moment: Any) -> int:
    """Convert a time, of whatever type a library gives, to nanoseconds since 1970."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    if isinstance(moment, datetime):
        since = moment.replace(tzinfo=moment.tzinfo or timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)
        return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
    seconds = float(moment)
    return int(seconds) * 1_000_000_000 + round(seconds % 1 * 1e9)


def is_one_of(fs: Any, protocols: set[str]) -> bool:
    """Whether a file system speaks one of these protocols."""
    own = fs.protocol
    return not protocols.isdisjoint({own} if isinstance(own, str) else own)
