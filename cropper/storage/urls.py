"""Tell URLs of a storage from paths, and from what looks like one."""

from __future__ import annotations

import re

# Names of one storage in URLs.
S3 = {"s3", "s3a"}
GOOGLE = {"gs", "gcs"}
AZURE = {"az", "abfs", "abfss", "adl"}
_OF_THIS_MACHINE = {"file", "local"}
_SCHEMES = S3 | GOOGLE | AZURE | _OF_THIS_MACHINE | {"data", "ftp", "http", "https", "memory", "sftp"}

_SCHEME = "[A-Za-z][A-Za-z0-9+.-]+"  # one letter is a drive of Windows
_URL = re.compile(rf"{_SCHEME}://")
_CHAIN = re.compile(rf"{_SCHEME}(://.*)?::({_SCHEME}:/.*)", re.DOTALL)
_NEARLY = re.compile(rf"({_SCHEME}):(/?)(?!/)(.*)", re.DOTALL)
_NO_BUCKET = re.compile(rf"({'|'.join(sorted(S3 | GOOGLE | AZURE))}):///*(/.*)?", re.DOTALL)


def is_url(text: str) -> bool:
    """Whether a text is a URL rather than a path."""
    return _URL.match(text) is not None


def respelt(text: str) -> str | None:
    """Return how to write a text that looks like a URL and is none of a storage; None for a URL and for a path.

    ``s3:/bucket/photos``, ``data:,x`` and ``filecache::s3://bucket/photos`` would be folders of such a name.
    """
    if chain := _CHAIN.fullmatch(text):
        return respelt(chain[2]) or chain[2]
    example = "s3://bucket/photos"
    if without := _NO_BUCKET.fullmatch(text):
        rest = (without[2] or "").strip("/")
        return f"{without[1]}://{rest}" if rest else example
    nearly = _NEARLY.fullmatch(text)
    if nearly is None or is_url(text):
        return None
    scheme = nearly[1].lower()
    if scheme in _OF_THIS_MACHINE:
        return nearly[2] + nearly[3] or "its path"
    if scheme not in _SCHEMES and not (nearly[2] and nearly[1].islower()):
        return None  # a folder may well be called "Rome: day 1"
    return f"{scheme}://{nearly[3]}" if nearly[3] and scheme != "data" else example
