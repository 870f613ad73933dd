"""The one way from a path or a URL to a place. The module for buckets, and the libraries it needs, load with the first URL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cropper.storage.local import LocalPlace
from cropper.storage.places import Place
from cropper.storage.urls import is_url

if TYPE_CHECKING:
    from cropper.storage.bucket import BucketPlace


def place(where: str | Path | Place) -> Place:
    """Return the place that a path or a URL names, or the place itself."""
    if isinstance(where, Path):
        return LocalPlace(where)
    if not isinstance(where, str):
        return where
    if not is_url(where):
        return LocalPlace(Path(where))
    from cropper.storage.bucket import BucketPlace

    return BucketPlace(where if where.endswith("://") else where.rstrip("/"))


def bucket_place(where: Place) -> BucketPlace:
    """Return a remote place as the one of a bucket that it is, for the uploads of a ledger.

    Raises:
        TypeError: for a place of this machine.
    """
    from cropper.storage.bucket import BucketPlace

    if not isinstance(where, BucketPlace):
        raise TypeError(f"{where} is not in a bucket")
    return where
