"""Read the focus file: the points and boxes that a user gives by hand."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from cropper.choosing.focus import Focus
from cropper.errors import PhotoError, UsageError
from cropper.ledger.table import FAILED, SKIPPED
from cropper.storage.opening import open_below

# ``cropper batch`` looks for it in IN.
FOCUS_FILE = ".focus.csv"


# A photo's path -> the label of a size or aspect, or "" for all -> the focus.
Given = Mapping[str, Mapping[str, Focus]]


def read_focus_file(path: Path, copy: Path | None = None, found_in: Path | None = None) -> Given:
    """Read the table in a focus file.

    Args:
        path: the file, which errors name.
        copy: where to read it instead, if it can be read only once.
        found_in: the folder that it was found in, out of which no link may lead; None for a file that the user named.

    Raises:
        UsageError: if it cannot be read, or a line is wrong; it names the line.
    """
    given: dict[str, dict[str, Focus]] = {}
    try:
        with (
            (copy or path).open("rb") if found_in is None else open_below(found_in, (path.name,)) as data,
            io.TextIOWrapper(data, newline="", encoding="utf-8-sig", errors="surrogateescape") as file,
        ):
            lines = csv.DictReader(file)
            missing = {"path", "x", "y"} - set(lines.fieldnames or ())
            if missing:
                remedy = "begin it with the line path,x,y or path,x,y,width,height"
                raise UsageError(
                    f"the focus file has no column {' and no column '.join(sorted(missing))}", path=path, remedy=remedy
                )
            for line in lines:
                if line.get("status") in (SKIPPED, FAILED):
                    continue  # a row of a ledger, without a box
                try:
                    focus = _focus(line)
                except ValueError as error:
                    raise UsageError(f"line {lines.line_num} of the focus file {error}", path=path) from error
                given.setdefault(line["path"], {})[line.get("size") or ""] = focus
    except OSError as error:
        raise UsageError(f"the focus file cannot be read ({error.strerror})", path=path) from error
    except PhotoError as error:
        raise UsageError(error.what, path=path) from error
    except csv.Error as error:
        raise UsageError(f"the focus file is not a table from line {lines.line_num} on ({error})", path=path) from error
    return given


def focus_for(given: Given, path: str, label: str) -> Focus | None:
    """Return what is given for a photo and a target's label, or None."""
    for_photo = given.get(path, {})
    return for_photo.get(label) or for_photo.get("")


def _focus(line: Mapping[str, str | None]) -> Focus:
    """Return the focus in a line. Raises ValueError, which says what is wrong with it."""
    names = ("x", "y", "width", "height")
    texts = {name: (line.get(name) or "").strip() for name in names}
    if not line["path"]:
        raise ValueError("names no photo")
    if bool(texts["width"]) != bool(texts["height"]):
        raise ValueError("has a width or a height alone")
    numbers: dict[str, int] = {}
    for name in names[: 4 if texts["width"] else 2]:
        try:
            numbers[name] = int(texts[name])
        except ValueError:
            raise ValueError(f"has {texts[name]!r} for {name}, which is not a whole number") from None
    if numbers.get("width", 1) < 1 or numbers.get("height", 1) < 1:
        raise ValueError("has a box without area")
    return Focus(**numbers)
