"""Folders of an object storage, through fsspec: listed page by page, read and written whole, and tried again where it stumbles.

Credentials are the libraries' business: from the environment, from files of theirs, from the machine's role. A *folder* is what
stands between slashes of a key.
"""

from __future__ import annotations

import errno
import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from cropper.errors import CropperError, DependencyError, OutputError, PhotoError, UsageError
from cropper.image_formats import MIME_OF
from cropper.storage.places import Folder, Remote, Version, join

T = TypeVar("T")

# A folder of more photos than this comes in pieces, so that the names of millions are never held at once.
MAX_PHOTOS = 20_000
# Seconds between one try and the next, each by up to a half shorter or longer.
PAUSES = (0.1, 0.3, 0.9, 2.7, 5.0)
# No other try would end otherwise.
_FINAL = (
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ImportError,
    NotImplementedError,
    TypeError,
    ValueError,
)
_S3 = {"s3", "s3a"}
_GOOGLE = {"gs", "gcs"}
# By which name a listing has the time of the last change, in the words of one library or another.
_MODIFIED = ("LastModified", "mtime", "last_modified", "updated", "modified", "created")
_GOES_ON = "run again: it goes on from here"


def folders(root: Remote, extensions: frozenset[str], leave_out: Remote | None = None) -> Iterator[Folder]:
    """Walk a folder as ``walk.walk`` does: the photos of each folder by name, then its subfolders by theirs.

    Of S3 no more than a page of keys is asked for at a time. A folder of very many photos is given in pieces, one after the
    other. What is held are the names of a piece, and of the subfolders of the folders on the way.

    Args:
        root: the folder.
        extensions: what a photo's name ends with, in lower case, with the dot.
        leave_out: a folder that is not walked.

    Raises:
        UsageError: if the folder is not there.
        CropperError: if it cannot be listed: better no run than one that takes the photos for gone.
    """
    upcoming = [""]
    while upcoming:
        relative = upcoming.pop()
        here = root / relative if relative else root
        subfolders: list[str] = []
        photos: list[tuple[str, Version]] = []
        others = 0
        in_pieces = False
        for page in _pages(here, is_root=not relative):
            for name, seen in page:
                if name.startswith("."):
                    continue
                if not name:
                    others += 1  # after two slashes: no file could be called so
                elif seen is None:
                    if leave_out is None or (here / name).url != leave_out.url:
                        subfolders.append(join(relative, name))
                elif os.path.splitext(name)[1].lower() in extensions:
                    photos.append((name, seen))
                else:
                    others += 1
            if len(photos) > MAX_PHOTOS:
                in_pieces = True
                yield _folder(relative, photos, others, in_pieces)
                photos, others = [], 0
        yield _folder(relative, photos, others, in_pieces)
        upcoming += sorted(subfolders, reverse=True)


def read(file: Remote, known: Version) -> bytes:
    """All of an object. Raises PhotoError if it cannot be read."""
    if not known.size:
        return b""
    try:
        fs, path = _at(file)
        # From the first byte on: else s3fs asks for the size before.
        return bytes(_retried(lambda: fs.cat_file(path, start=0) if _is(fs, _S3) else fs.cat_file(path)))
    except Exception as error:
        raise PhotoError(f"it cannot be read ({_reason(error)})", path=file) from error


def write(file: Remote, data: bytes) -> None:
    """Write an object whole. Raises OutputError if it cannot be written: nor could others then."""
    try:
        fs, path = _at(file)
        options = {}
        mime = MIME_OF.get(os.path.splitext(path)[1].lower())
        if mime is not None and (_is(fs, _S3) or _is(fs, _GOOGLE)):
            options = {"ContentType" if _is(fs, _S3) else "content_type": mime}
        _retried(lambda: fs.pipe_file(path, data, **options))
    except Exception as error:
        raise _not_written(file, error) from _for_all(error)


def remove(file: Remote) -> None:
    """Take away an object, if it is there. Raises OutputError if it cannot be."""
    try:
        fs, path = _at(file)
        _retried(lambda: fs.rm_file(path))
    except FileNotFoundError:
        return
    except Exception as error:
        raise OutputError(f"cannot be removed ({_reason(error)})", path=file, remedy=_GOES_ON) from _for_all(error)


def send(file: Path, to: Remote) -> None:
    """Write a file of this machine to an object, whole. Raises OutputError if it cannot be written."""
    try:
        fs, path = _at(to)
        _retried(lambda: fs.put_file(os.fspath(file), path))
    except Exception as error:
        raise _not_written(to, error) from _for_all(error)


def fetch(file: Remote, to: Path) -> bool:
    """Write an object to a file of this machine; whether there was one.

    Raises:
        OutputError: if it cannot be read.
    """
    try:
        fs, path = _at(file)
        to.parent.mkdir(parents=True, exist_ok=True)
        _retried(lambda: fs.get_file(path, os.fspath(to)))
    except FileNotFoundError:
        to.unlink(missing_ok=True)
        return False
    except Exception as error:
        raise OutputError(f"cannot be read ({_reason(error)})", path=file, remedy=_GOES_ON) from _for_all(error)
    return True


def names(folder: Remote) -> list[str]:
    """What is directly in a folder, sorted; nothing if there is no such folder. For folders of few.

    Raises:
        CropperError: if it cannot be listed.
    """
    return sorted(name for page in _pages(folder) for name, _ in page)


def is_empty(folder: Remote) -> bool:
    """Whether nothing is in a folder. Raises CropperError if it cannot be listed."""
    return not any(page for page in _pages(folder))


def _folder(path: str, photos: list[tuple[str, Version]], others: int, in_pieces: bool) -> Folder:
    return Folder(path, tuple(name for name, _ in photos), others, seen=tuple(seen for _, seen in photos), in_pieces=in_pieces)


def _pages(folder: Remote, is_root: bool = False) -> Iterator[list[tuple[str, Version | None]]]:
    """What is directly in a folder: the names of files, in their order, with what they are like, and of subfolders, with None."""
    try:
        fs, path = _at(folder)
        yield from _s3_pages(fs, path) if _is(fs, _S3) else iter([_listed(fs, path)])
    except FileNotFoundError as error:
        if is_root:
            raise UsageError("there is no such folder", path=folder) from error
    except PermissionError as error:
        raise UsageError(f"it cannot be listed ({_reason(error)})", path=folder, remedy="check the credentials") from error
    except CropperError:
        raise
    except Exception as error:
        raise CropperError(f"it cannot be listed ({_reason(error)})", path=folder, remedy=_GOES_ON) from error


def _listed(fs: Any, path: str) -> list[tuple[str, Version | None]]:
    """All of a folder at once: what fsspec offers for every storage."""
    entries = _retried(lambda: fs.ls(path, detail=True))
    found: list[tuple[str, Version | None]] = []
    for entry in entries:
        name = entry["name"].rstrip("/")
        if name.rstrip("/") != path.rstrip("/"):
            found.append((name.rsplit("/", 1)[-1], None if entry["type"] == "directory" else _seen(entry)))
    return sorted(found, key=lambda one: one[0])


def _s3_pages(fs: Any, path: str) -> Iterator[list[tuple[str, Version | None]]]:
    bucket, _, key = path.partition("/")
    prefix = f"{key}/" if key else ""
    request = {"Bucket": bucket, "Prefix": prefix, "Delimiter": "/", **fs.req_kw}
    first = True
    while True:
        page = _retried(lambda: fs.call_s3("list_objects_v2", **request))
        found: list[tuple[str, Version | None]] = []
        for entry in page.get("Contents", ()):
            if entry["Key"] != prefix:  # a mark that the folder is there
                found.append((entry["Key"][len(prefix) :], _seen({**entry, "size": entry["Size"]})))
        found += [(entry["Prefix"][len(prefix) : -1], None) for entry in page.get("CommonPrefixes", ())]
        if first and not page.get("Contents") and not found and key:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        yield found
        first = False
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def _seen(entry: dict[str, Any]) -> Version:
    """What a listing says of an object. Its tag, where it has one, is of its content; a time may be of whole seconds only."""
    modified = _nanoseconds(next((entry[name] for name in _MODIFIED if entry.get(name) is not None), 0))
    tag = next((str(entry[name]).strip('"') for name in ("ETag", "etag", "generation") if entry.get(name)), "")
    return Version(int(entry.get("size") or 0), modified, f"{tag or modified}-{entry.get('size') or 0}")


def _nanoseconds(moment: Any) -> int:
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    if isinstance(moment, datetime):
        since = moment.replace(tzinfo=moment.tzinfo or timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)
        return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
    seconds = float(moment)
    return int(seconds) * 1_000_000_000 + round(seconds % 1 * 1e9)


def _at(place: Remote) -> tuple[Any, str]:
    """The file system that a place is in, and what it calls it.

    Raises:
        DependencyError: if the library for it is not installed.
        UsageError: if there is none.
    """
    scheme = place.url.split("://", 1)[0]
    try:
        from fsspec.core import url_to_fs

        fs, path = url_to_fs(place.url, use_listings_cache=False)
    except ImportError as error:
        remedy = "pip install 'cropper[cloud]'"
        raise DependencyError(f"{scheme}:// needs a library ({_reason(error)})", path=place, remedy=remedy) from error
    except ValueError as error:
        raise UsageError(
            f"no storage is known as {scheme}://", path=place, remedy="give s3://, gs://, az:// or a path"
        ) from error
    if _is(fs, {"file"}):
        raise UsageError("it is a folder of this machine", path=place, remedy="give its path alone")
    return fs, path


def _is(fs: Any, protocols: set[str]) -> bool:
    own = fs.protocol
    return not protocols.isdisjoint({own} if isinstance(own, str) else own)


def _retried(attempt: Callable[[], T]) -> T:
    """Try until it works, with longer and longer pauses, or until it is hopeless."""
    for pause in PAUSES:
        try:
            return attempt()
        except _FINAL:
            raise
        except Exception:
            time.sleep(pause * random.uniform(0.5, 1.5))
    return attempt()


def _reason(error: BaseException) -> str:
    text = (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__
    return " ".join(text.split())


def _not_written(file: Remote, error: Exception) -> OutputError:
    if isinstance(error, OutputError):
        return error
    return OutputError(f"cannot be written ({_reason(error)})", path=file, remedy=_GOES_ON)


def _for_all(error: Exception) -> OSError:
    """As of a disk that fails: what meets one object after all tries would meet the next one too."""
    cause = OSError(errno.EIO, _reason(error))
    cause.__cause__ = error
    return cause
