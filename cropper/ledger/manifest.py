"""The manifest for sites, ``--manifest``: each photo that has a box, with its thumbnails and what a page needs to show them.

It is a report, written whole from the state like the table, photo by photo in the order of the walk. The state also keeps what
stands in for each picture until it is loaded, so that no thumbnail is read twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, TextIO
from urllib.parse import quote

from cropper.errors import OutputError, remedy_for
from cropper.image_formats import MIME_OF
from cropper.ledger.database import encoded
from cropper.ledger.known import rows_of
from cropper.ledger.shares import aspect_of, shape_of, shares_of
from cropper.ledger.state import State
from cropper.ledger.table import OK, Row, write_text
from cropper.storage.atomic import make_folder_of
from cropper.storage.places import Place, is_inside

# How a manifest begins. A file that begins otherwise is somebody else's.
BEGINNING = '{"manifest": 1, "photos": {'
# Made when it is first needed, so that states without a manifest stay as they are.
_TABLE = """CREATE TABLE IF NOT EXISTS placeholder (
    path BLOB PRIMARY KEY,  -- of an output
    bytes INTEGER, digest BLOB,  -- of the file that was looked at
    width INTEGER, height INTEGER, color TEXT, thumbhash TEXT
) WITHOUT ROWID"""
_FIND = """SELECT o.bytes, o.digest, p.bytes, p.digest, p.width, p.height, p.color, p.thumbhash
    FROM output o LEFT JOIN placeholder p ON p.path = o.path WHERE o.path = ?"""


@dataclass(frozen=True)
class Thumbnail:
    """The file of a thumbnail, as it is there.

    Attributes:
        output: relative to OUT.
        width, height: in pixels; 0 if somebody changed the file and nobody looked at it since.
        size: of the file, in bytes.
        digest: of its bytes as cropper wrote them; empty if somebody changed the file.
        color, thumbhash: what stands in for it, ``#rrggbb`` and Base64; None if nobody looked at it yet. There is no ThumbHash of
            one that was looked at without the library for it.
    """

    output: str
    width: int
    height: int
    size: int
    digest: bytes
    color: str | None = None
    thumbhash: str | None = None


@dataclass(frozen=True)
class Shown:
    """One crop of a photo, and the files that show it.

    Attributes:
        name: the aspect, ``16:9``; the label of the size if an earlier size of the aspect has another box.
        row: of the first size with this crop.
        files: from the narrowest to the widest.
    """

    name: str
    row: Row
    files: tuple[Thumbnail, ...]


@dataclass(frozen=True)
class Manifest:
    """A manifest to write.

    Attributes:
        path: the file.
        base: what the URLs begin with; empty for those relative to the file.
    """

    path: Path
    base: str = ""

    def check(self, out: Place) -> None:
        """Make its folder, unless that is OUT or in it. Raises OutputError if it cannot be made, or something else lies there."""
        folder = os.path.abspath(self.path.parent)
        try:
            if out.local_path is None or not is_inside(folder, os.path.abspath(out.local_path)):  # OUT may be yet to come
                make_folder_of(self.path)
            start = _start_of(self.path) if self.path.is_file() else b""
        except OSError as error:
            raise self.unwritable(error) from error
        if start and start != BEGINNING.encode():
            raise OutputError("holds something else, so nothing is written to it", path=self.path, remedy="give another name")

    def unwritable(self, error: OSError) -> OutputError:
        """Return the error for a manifest that the system refuses."""
        what = f"the manifest cannot be written ({error.strerror})"
        return OutputError(what, path=self.path, remedy=remedy_for(error, "give another name"))

    def url_of(self, output: str, out: Place) -> str:
        """Return the URL of an output: below the base, or relative to the manifest's folder; relative to OUT in a storage."""
        quoted = quote(output, errors="surrogateescape")
        if self.base:
            return f"{self.base.rstrip('/')}/{quoted}"
        if out.local_path is None:
            return quoted
        folder = os.path.relpath(os.path.realpath(out.local_path), os.path.realpath(self.path.parent))
        return quoted if folder == "." else f"{quote(folder.replace(os.sep, '/'), errors='surrogateescape')}/{quoted}"


def begin(state: State) -> None:
    """Make room in the state for what stands in for pictures, and forget what stood for outputs that are gone."""
    state.connection.execute(_TABLE)
    state.connection.execute("DELETE FROM placeholder WHERE path NOT IN (SELECT path FROM output)")


def photos_of(state: State) -> Iterator[tuple[Row, list[Shown]]]:
    """Yield each photo that has a box: its first row, and its crops."""
    for _, lines in groupby(rows_of(state.connection), key=lambda line: line[0]):
        rows = [row for row in (Row(*line) for line in lines) if row.status == OK and row.width]
        if rows:
            yield rows[0], crops_of(rows, {row.output: _thumbnail(state, row) for row in rows if row.output})


def crops_of(rows: Iterable[Row], thumbnails: dict[str, Thumbnail | None]) -> list[Shown]:
    """Return the crops of a photo. Sizes of one shape, to a pixel, with one box are one crop.

    Args:
        rows: of the photo, those with a box.
        thumbnails: the files by their outputs; None or nothing if there is none.
    """
    crops: list[list[Row]] = []
    for row in rows:
        same = (crop for crop in crops if _place(crop[0]) == _place(row) and _is_one_shape(crop[0].size, row.size))
        found = next(same, None)
        if found is not None:
            found.append(row)
        else:
            crops.append([row])
    shown: dict[str, Shown] = {}
    for crop in crops:
        aspect = aspect_of(crop[0].size)
        name = aspect if aspect not in shown else crop[0].size
        files = (file for row in crop if (file := thumbnails.get(row.output)) is not None)
        shown[name] = Shown(name, crop[0], tuple(sorted(files, key=lambda file: (file.width, file.height, file.output))))
    return list(shown.values())


def unseen(crops: Iterable[Shown], hashed: bool) -> Iterator[Thumbnail]:
    """Yield the thumbnails of a photo that must be looked at: the smallest of each crop, and what somebody changed.

    Args:
        crops: of the photo.
        hashed: whether a look gives a ThumbHash, so that those without one are looked at again.
    """
    for crop in crops:
        for number, file in enumerate(crop.files):
            is_seen = file.color is not None and (file.thumbhash is not None or not hashed)
            if not is_seen and (not number or not file.width):
                yield file


def keep(state: State, file: Thumbnail, color: str, thumbhash: str | None, width: int, height: int) -> None:
    """Keep in the state what stands in for a thumbnail."""
    insert = "INSERT OR REPLACE INTO placeholder VALUES (?, ?, ?, ?, ?, ?, ?)"
    state.connection.execute(insert, (encoded(file.output), file.size, file.digest, width, height, color, thumbhash))


def write(manifest: Manifest, state: State) -> None:
    """Write the manifest, completely or not at all.

    Raises:
        OutputError: if it cannot be written.
    """

    def write_to(file: TextIO) -> None:
        file.write(BEGINNING)
        comma = ""
        for row, crops in photos_of(state):
            file.write(f"{comma}\n{json.dumps(row.path)}: {json.dumps(_entry(manifest, state.out, row, crops))}")
            comma = ","
        file.write("\n}}\n")

    try:
        make_folder_of(manifest.path)
        write_text(manifest.path, write_to)
    except OSError as error:
        raise manifest.unwritable(error) from error


def _entry(manifest: Manifest, out: Place, row: Row, crops: list[Shown]) -> dict[str, Any]:
    found = shares_of(row)
    assert found is not None
    return {
        "width": int(row.image_width),
        "height": int(row.image_height),
        "focus": {"left": found.focus_left, "top": found.focus_top},
        "aspects": {crop.name: _crop_entry(manifest, out, crop) for crop in crops},
    }


def _crop_entry(manifest: Manifest, out: Place, crop: Shown) -> dict[str, Any]:
    found = shares_of(crop.row)
    assert found is not None
    urls = [manifest.url_of(file.output, out) for file in crop.files]
    by_width = {file.width: f"{url} {file.width}w" for file, url in reversed([*zip(crop.files, urls, strict=True)])}
    looked_at = next((file for file in crop.files if file.color), None)
    return {
        "box": {"left": found.left, "top": found.top, "right": found.right, "bottom": found.bottom},
        "object_position": found.object_position,
        "srcset": ", ".join(by_width[width] for width in sorted(by_width)),
        "color": looked_at.color if looked_at is not None else None,
        "thumbhash": looked_at.thumbhash if looked_at is not None else None,
        "files": [
            {
                "url": url,
                "width": file.width,
                "height": file.height,
                "bytes": file.size,
                "type": MIME_OF.get(PurePosixPath(file.output).suffix.lower()),
            }
            for file, url in zip(crop.files, urls, strict=True)
        ],
    }


def _thumbnail(state: State, row: Row) -> Thumbnail | None:
    """Return the file of a row's thumbnail; None if it is not there."""
    found = state.connection.execute(_FIND, (encoded(row.output),)).fetchone()
    if found is None or found[0] is None:
        return None
    size, digest, seen_size, seen_digest, seen_width, seen_height, color, thumbhash = found
    width, height = int(row.output_width or 0), int(row.output_height or 0)
    digest = digest or b""
    if state.out.local_path is not None:
        try:
            now = (state.out.local_path / row.output).stat().st_size
        except OSError:
            return None
        if now != size:  # somebody changed it
            size, digest, width, height = now, b"", 0, 0
    if (seen_size, seen_digest) != (size, digest):
        return Thumbnail(row.output, width, height, size, digest)
    return Thumbnail(row.output, width or seen_width, height or seen_height, size, digest, color, thumbhash)


def _place(row: Row) -> tuple[str, str, str, str]:
    return row.x, row.y, row.width, row.height


def _is_one_shape(one: str, other: str) -> bool:
    """Whether the shapes of two labels are the same, but for the rounding of a size to whole pixels."""
    ((a, b), size), ((c, d), other_size) = shape_of(one), shape_of(other)
    # A side that is half a pixel off makes the products differ by half of the other shape's side.
    slack = max((c, d) if size else (0, 0)), max((a, b) if other_size else (0, 0))
    return 2 * abs(a * d - b * c) <= sum(slack)


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(BEGINNING))
