"""Folders and files of an object storage, through fsspec: listed page by page, read and written whole, retried when it stumbles.

The storage libraries find the credentials: in the environment, in their own files, in the machine's role. A *folder* is a part of
a key between slashes.

Only what the user wrote is read as a URL. A name that a listing gives, or that a photo has, is a key as it is: strangers may have
chosen it, and no library may find a version, another file or another storage in it.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cropper.errors import RUN_AGAIN, CropperError, DependencyError, OutputError, PhotoError, UsageError, reading
from cropper.extras import install_command
from cropper.image_formats import MIME_OF, name_of_kind
from cropper.storage.listing import is_one_of, pages_of, version_of
from cropper.storage.naming import REVIEW_FOLDER, STATE_FOLDER, is_product
from cropper.storage.patterns import EVERYTHING, Selection
from cropper.storage.photo_file import check_size
from cropper.storage.places import (
    NOTHING_LEFT_OUT,
    Folder,
    Found,
    LeftOut,
    Place,
    Trace,
    Version,
    Whose,
    digest_of,
    join,
    leads_elsewhere,
)
from cropper.storage.retries import OF_ONE_NAME, KeyRefusedError, as_disk_error, one_line, retried
from cropper.storage.urls import AZURE, GOOGLE, S3
from cropper.storage.walk import known_kinds

# A folder with more photos than this comes in pieces: the names of millions are never held at once.
MAX_PHOTOS = 20_000
# The longest key that the storages take, in bytes of UTF-8; Azure counts characters.
_LONGEST_KEY = 1024


@dataclass(frozen=True)
class BucketPlace:
    """A folder or an object of a storage that fsspec knows; ``places.Place`` describes the methods that it shares.

    A method that makes a request may also find that a library for the storage is missing (DependencyError) or that there is no
    such storage (UsageError). It raises them as they are, or as the cause of its own error.

    Attributes:
        url: ``s3://bucket/photos``, without a slash at its end.
        given: the beginning of it that the user wrote; what follows is a key. All of it if empty.
    """

    url: str
    given: str = field(default="", compare=False)

    def __truediv__(self, name: str) -> BucketPlace:
        slash = "" if self.url.endswith("://") else "/"
        return BucketPlace(f"{self.url}{slash}{name}", self.given or self.url)

    def __fspath__(self) -> str:
        return self.url

    def __str__(self) -> str:
        return self.url

    @property
    def local_path(self) -> None:
        """None: it has no path here."""
        return None

    @property
    def is_remote(self) -> bool:
        """Always."""
        return True

    @property
    def is_listed(self) -> bool:
        """Never."""
        return False

    def full_name(self) -> str:
        """The URL."""
        return self.url

    def is_inside(self, folder: Place) -> bool:
        """Whether this folder is ``folder`` or lies below it, by their URLs."""
        return folder.is_remote and f"{self.url}/".startswith(f"{folder.full_name().rstrip('/')}/")

    def is_gone(self) -> bool:
        """Always False: only a listing can tell, and ``walk`` raises then."""
        return False

    def walk(
        self, extensions: frozenset[str], leave_out: Place | None = None, selection: Selection | None = None
    ) -> Iterator[Folder]:
        """Walk the folder, in the order of ``walk.walk``.

        Lists S3 one page of keys at a time. A folder with very many photos comes in pieces, one after another. Held in memory are
        the names of one piece, and those of the subfolders on the way down.

        Args:
            extensions: of photos' names, in lower case, with the dot.
            leave_out: a folder not to walk.
            selection: which objects and folders to take; all but those of systems if None.

        Raises:
            UsageError: if the folder does not exist.
            CropperError: if it cannot be listed. A run that went on would take its photos for removed. A folder below it with a
                name that the library cannot take is a ``Folder`` with an error.
        """
        chosen = selection or EVERYTHING
        upcoming = [""]  # with a slash at their ends, and empty for the folder itself
        while upcoming:
            prefix = upcoming.pop()
            here = self / prefix[:-1] if prefix else self
            # The folder without a name in this one would pass for this one: its photos get the slash instead.
            path, slash = ("", "/") if prefix == "/" else (prefix[:-1], "")
            subfolders: list[str] = []
            photos: list[tuple[str, Version]] = []
            others = files = folders = 0
            kinds: Counter[str] = Counter()
            of_systems: list[str] = []
            is_of_review = path.rpartition("/")[2] == REVIEW_FOLDER
            in_pieces = is_out = False
            error = None
            try:
                for page in here._pages(is_root=not prefix):
                    for name, version in page:
                        if name == STATE_FOLDER and version is None and prefix:
                            is_out = True
                        below = join(path, name)
                        if version is None and self / f"{prefix}{name}" == leave_out:
                            continue
                        if version is None and (of_system := chosen.system_folder(below)):
                            of_systems.append(of_system)
                        elif name.startswith(".") and not (version is None and leads_elsewhere(name)):
                            continue
                        elif version is None and not chosen.takes_folder(below):
                            folders += 1
                        elif version is None:
                            subfolders.append(name)
                        elif not chosen.takes_file(below):
                            files += 1
                        elif is_product(name) or is_of_review:
                            others += 1
                        elif os.path.splitext(name)[1].lower() in extensions:
                            photos.append((slash + name, version))
                        else:
                            others += 1
                            kinds[name_of_kind(name)] += 1
                    if is_out:  # its name sorts before those of nearly all photos
                        break
                    if len(photos) > MAX_PHOTOS:
                        in_pieces = True
                        yield _folder(path, photos, others, in_pieces, kinds=kinds)
                        photos, others, kinds = [], 0, Counter()
            except UsageError as refused:
                if not prefix or not isinstance(refused.__cause__, OF_ONE_NAME):
                    raise
                error = PhotoError(refused.what, path=refused.path, remedy=refused.remedy)
            if is_out:
                yield Folder(path or slash, is_out=True)
                continue
            subfolders = [] if is_of_review else sorted(subfolders)
            left_out = LeftOut(files, folders, 0, tuple(of_systems))
            inside = tuple(slash + name for name in subfolders)
            yield _folder(path, photos, others, in_pieces, error, inside, left_out, kinds)
            upcoming += [f"{prefix}{name}/" for name in reversed(subfolders)]

    def check_stays_in(self, output: str) -> None:
        """Do nothing: a bucket has no links."""

    def find(self, output: str, trace: Trace, closely: bool = False) -> Found:
        """Believe the state: looking costs a request for each photo."""
        return Found.SAME if trace.size is not None else Found.LOST

    def is_taken(self, output: str) -> bool:
        """Always False: nobody looks."""
        return False

    def modified_ns(self, output: str) -> int:
        """Always 0: nobody looks."""
        return 0

    def version_now(self) -> Version:
        """Return which version of the object is there now. Raises OSError if it cannot be found out."""
        fs, path = self._object()
        return version_of(retried(lambda: fs.info(path)))

    def version_of(self, name: str) -> Version:
        """Return which version of an object in this folder is there now. Raises OSError if it cannot be found out."""
        return (self / name).version_now()

    def read(self, known: Version | None = None) -> tuple[bytes, Version]:
        """Read a whole object. Raises PhotoError if it cannot be read."""
        if known is not None and known.size == 0:
            return b"", known
        if known is not None:
            with reading(self):
                check_size(known.size or 0)
        try:
            fs, path = self._object()
            # A start keeps s3fs from asking for the size first.
            data = bytes(retried(lambda: fs.cat_file(path, start=0) if is_one_of(fs, S3) else fs.cat_file(path)))
        except Exception as error:
            remedy = "rename it" if isinstance(error, OF_ONE_NAME) else ""
            raise PhotoError(f"cannot be read ({one_line(error)})", path=self, remedy=remedy) from error
        return data, known or Version(len(data))

    def write_thumbnail(self, data: bytes, temporary_name: str, whose: Whose) -> Trace:
        """Write a thumbnail, which a storage does completely or not at all. Raises OutputError."""
        self.write(data)
        return Trace(len(data), digest=digest_of(data))

    def remove(self) -> None:
        """Remove an object, if it is there. Raises OutputError if it cannot be removed."""
        try:
            fs, path = self._object()
            retried(lambda: fs.rm_file(path))
        except FileNotFoundError:
            return
        except Exception as error:
            raise OutputError(f"cannot be removed ({one_line(error)})", path=self, remedy=RUN_AGAIN) from as_disk_error(error)

    def write(self, data: bytes) -> None:
        """Write a whole object. Raises OutputError if it cannot be written: others could not be, either."""
        try:
            fs, path = self._object()
            options = {}
            mime = MIME_OF.get(os.path.splitext(path)[1].lower())
            if mime is not None and (is_one_of(fs, S3) or is_one_of(fs, GOOGLE)):
                options = {"ContentType" if is_one_of(fs, S3) else "content_type": mime}
            retried(lambda: fs.pipe_file(path, data, **options))
        except Exception as error:
            raise self._not_written(error) from as_disk_error(error)

    def send(self, file: Path) -> None:
        """Write a file of this machine to this object. Raises OutputError if it cannot be written."""
        try:
            fs, path = self._object()
            retried(lambda: fs.put_file(os.fspath(file), path))
        except Exception as error:
            raise self._not_written(error) from as_disk_error(error)

    def fetch(self, to: Path) -> bool:
        """Write this object to a file of this machine, and say whether there is one; ``to`` is gone if there is none.

        Raises:
            OutputError: if it cannot be read.
        """
        try:
            fs, path = self._object()
            to.parent.mkdir(parents=True, exist_ok=True)
            retried(lambda: fs.get_file(path, os.fspath(to)))
        except FileNotFoundError:
            to.unlink(missing_ok=True)
            return False
        except Exception as error:
            raise OutputError(f"cannot be read ({one_line(error)})", path=self, remedy=RUN_AGAIN) from as_disk_error(error)
        return True

    def names(self) -> list[str]:
        """List a small folder: the sorted names of its files and subfolders; empty if there is no such folder.

        Raises:
            CropperError: if it cannot be listed.
        """
        return sorted(name for page in self._pages() for name, _ in page)

    def is_empty(self) -> bool:
        """Whether the folder holds nothing. Raises CropperError if it cannot be listed."""
        return not any(page for page in self._pages())

    def _pages(self, is_root: bool = False) -> Iterator[list[tuple[str, Version | None]]]:
        """List a folder: the names of its files, sorted, with their versions, and those of its subfolders, with None."""
        try:
            fs, path = self._opened()
            if not is_one_of(fs, S3):  # whose keys are not the library's to read in a listing
                _check_library(fs, path)
            yield from pages_of(fs, path)
        except FileNotFoundError as error:
            if is_root:
                raise UsageError("there is no such folder", path=self) from error
        except PermissionError as error:
            raise UsageError(f"it cannot be listed ({one_line(error)})", path=self, remedy="check the credentials") from error
        except OF_ONE_NAME as error:
            raise UsageError(f"it cannot be listed ({one_line(error)})", path=self, remedy="rename it") from error
        except CropperError:
            raise
        except Exception as error:
            raise CropperError(f"it cannot be listed ({one_line(error)})", path=self, remedy=RUN_AGAIN) from error

    def _opened(self) -> tuple[Any, str]:
        """Return the file system that holds this place, and the name it has there.

        Raises:
            DependencyError: if the library for it is not installed.
            UsageError: if there is no such storage.
        """
        scheme, _, rest = (self.given or self.url).partition("://")
        bucket = rest.partition("/")[0]
        storage = f"{scheme}://{bucket}"
        if "::" in bucket:
            raise UsageError("it is a chain of URLs", path=self, remedy="give one, such as s3://bucket/photos")
        try:
            from fsspec.core import url_to_fs

            fs, start = url_to_fs(storage, use_listings_cache=False)
        except ImportError as error:
            remedy = f"run: {install_command('cloud')}"
            raise DependencyError(f"{scheme}:// needs a library ({one_line(error)})", path=self, remedy=remedy) from error
        except (TypeError, ValueError, IsADirectoryError) as error:  # a scheme that nobody knows, or of no storage by itself
            remedy = "give s3://, gs://, az:// or a path"
            raise UsageError(f"no storage is known as {scheme}://", path=self, remedy=remedy) from error
        if is_one_of(fs, {"file"}):
            raise UsageError("it is a folder of this machine", path=self, remedy="give its path alone")
        key = self.url[len(storage) :]
        return fs, f"{start.rstrip('/')}/{key.removeprefix('/') if bucket else key}" if key else start  # as it is: no URL

    def _object(self) -> tuple[Any, str]:
        """Return what ``_opened`` does, of an object.

        Raises:
            KeyRefusedError: if it has a name under which the library, or the storage, would not find it or would find another.
        """
        fs, path = self._opened()
        below = self.url[len(self.given) :].removeprefix("/") if self.given else ""
        if below and leads_elsewhere(below):
            raise KeyRefusedError(errno.EINVAL, "its name has a part that is empty, '.' or '..'")
        _check_library(fs, path)
        return fs, path

    def _not_written(self, error: Exception) -> OutputError:
        if isinstance(error, OutputError):
            return error
        remedy = "rename the photo or choose another OUT" if isinstance(error, OF_ONE_NAME) else RUN_AGAIN
        return OutputError(f"cannot be written ({one_line(error)})", path=self, remedy=remedy)


def _check_library(fs: Any, path: str) -> None:
    """Make sure that a library takes a name for what it is: some find a version behind a question mark, or drop what is odd.

    Raises:
        KeyRefusedError: if it does not, or if the storage takes no such key.
    """
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise KeyRefusedError(errno.EINVAL, "its name is not UTF-8") from None
    has_bucket = is_one_of(fs, S3 | GOOGLE | AZURE)
    taken = "/".join(fs.split_path(path)[:2]) if has_bucket and "/" in path else fs._strip_protocol(path)
    if taken.lstrip("/") != path.lstrip("/"):
        raise KeyRefusedError(errno.EINVAL, "the library for this storage takes its name for another one's")
    if has_bucket and (len(path) if is_one_of(fs, AZURE) else size) - path.find("/") - 1 > _LONGEST_KEY:
        raise KeyRefusedError(errno.EINVAL, f"its key is longer than the {_LONGEST_KEY:,} bytes that a storage takes")


def _folder(
    path: str,
    photos: list[tuple[str, Version]],
    others: int,
    in_pieces: bool,
    error: PhotoError | None = None,
    subfolders: tuple[str, ...] = (),
    left_out: LeftOut = NOTHING_LEFT_OUT,
    kinds: Counter[str] | None = None,
) -> Folder:
    names, versions = tuple(name for name, _ in photos), tuple(version for _, version in photos)
    counted = known_kinds(kinds or Counter())
    return Folder(path, names, others, error, versions, in_pieces, subfolders, left_out=left_out, kinds=counted)
