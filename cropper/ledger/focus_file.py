"""What a person gives by hand: points and boxes, read from a focus file and remembered in the state until they are taken back."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cropper.errors import PhotoError, UsageError
from cropper.ledger.database import connect, decoded, encoded, key_of, savepoint
from cropper.ledger.given import Given, Length, length_of
from cropper.ledger.table import FAILED, SKIPPED
from cropper.storage.opening import open_below

# ``cropper batch`` looks for it in IN.
FOCUS_FILE = ".focus.csv"


# How a share stands in the state, whose columns would make a whole number of 1.0.
_OF_ALL = " of 1"


def _stored(length: Length | None) -> int | str | None:
    return f"{length!r}{_OF_ALL}" if isinstance(length, float) else length


def _restored(length: Any) -> Any:
    return float(length.removesuffix(_OF_ALL)) if isinstance(length, str) else length


# What a focus file says of a photo, for the label of a size or aspect, or "" for all. None takes back what was given.
FocusRow = tuple[str, str, Given | None]


@dataclass(frozen=True)
class ByHand:
    """What a person gives a run by hand. It is remembered, and wins over what was given before.

    Attributes:
        rows: of a focus file, or from elsewhere. They are read once.
        was_found: whether they are from a file that every run finds in IN: only what changed in it counts.
        forgets: whether all that was given before is forgotten.
    """

    rows: Iterable[FocusRow] = ()
    was_found: bool = False
    forgets: bool = False


NOTHING_BY_HAND = ByHand()


def read_focus_file(path: Path, copy: Path | None = None, found_in: Path | None = None) -> Iterator[FocusRow]:
    """Read the table in a focus file, row by row.

    A row without ``x`` and ``y`` takes back what was given for its photo, for one size or for all.

    Args:
        path: the file, which errors name.
        copy: where to read it instead, if it can be read only once.
        found_in: the folder that it was found in, out of which no link may lead; None for a file that the user named.

    Raises:
        UsageError: if it cannot be read, or a line is wrong; it names the line.
    """
    try:
        with (
            (copy or path).open("rb") if found_in is None else open_below(found_in, (path.name,)) as data,
            io.TextIOWrapper(data, newline="", encoding="utf-8-sig", errors="surrogateescape") as file,
        ):
            lines = csv.DictReader(file)
            missing = {"path", "x", "y"} - set(lines.fieldnames or ())
            if missing:
                remedy = "begin it with the line path,x,y or path,x,y,width,height"
                first = ",".join(lines.fieldnames or ())
                if ";" in first or "\t" in first:  # as spreadsheets save it in some countries
                    sign = "semicolons" if ";" in first else "tabs"
                    raise UsageError(f"the focus file has {sign} between its columns", path=path, remedy="save it with commas")
                raise UsageError(f"the focus file has no column {_listed(sorted(missing))}", path=path, remedy=remedy)
            before = None
            further: dict[tuple[str, str], tuple[int, Given | None]] = {}
            for line in lines:
                if line.get("status") in (SKIPPED, FAILED):
                    continue  # a row of boxes.csv, without a box
                of, before = before, (line["path"], line.get("size") or "")
                if "status" in line and of == before:
                    continue  # a further candidate, behind the best
                try:
                    given = _given(line)
                except ValueError as error:
                    raise UsageError(f"line {lines.line_num} of the focus file {error}", path=path) from error
                candidate = _candidate(line)
                if candidate == 1:
                    yield *before, given
                elif before not in further or candidate < further[before][0]:
                    further[before] = candidate, given
            if further and file.seekable():  # somebody sorted the table, or removed the best ones
                file.seek(0)
                for line in csv.DictReader(file):
                    if _candidate(line) == 1 and line.get("status") not in (SKIPPED, FAILED):
                        further.pop((line["path"], line.get("size") or ""), None)
            for (photo, size), (_, given) in further.items():
                yield photo, size, given
    except OSError as error:
        raise UsageError(f"the focus file cannot be read ({error.strerror})", path=path) from error
    except PhotoError as error:
        raise UsageError(error.what, path=path) from error
    except csv.Error as error:
        raise UsageError(f"the focus file is not a table from line {lines.line_num} on ({error})", path=path) from error


def _candidate(line: Mapping[str, str | None]) -> int:
    """Return which candidate a row of boxes.csv is; 1, the best, for a row that does not say."""
    text = line.get("candidate") or ""
    return int(text) if text.isdecimal() else 1


def _listed(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _given(line: Mapping[str, str | None]) -> Given | None:
    """Return what a line gives, or None if it takes back. Raises ValueError, which says what is wrong with it."""
    names = ("x", "y", "width", "height")
    texts = {name: (line.get(name) or "").strip() for name in names}
    if not line["path"]:
        raise ValueError("names no photo")
    if not texts["x"] and not texts["y"]:
        return None
    if bool(texts["width"]) != bool(texts["height"]):
        raise ValueError("has a width or a height alone")
    numbers: dict[str, Length] = {}
    for name in names[: 4 if texts["width"] else 2]:
        try:
            numbers[name] = length_of(texts[name])
        except ValueError as error:
            raise ValueError(f"has {texts[name][:20]!r} for {name}, {error}") from None
    if min(numbers.get("width", 1), numbers.get("height", 1)) <= 0:
        raise ValueError("has a box without area")
    return Given(numbers["x"], numbers["y"], numbers.get("width"), numbers.get("height"))


class Gifts:
    """All that was given by hand, in the state of an output folder or, for a command without one, in a file of its own.

    Memory does not grow with the number of rows.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.changed = False  # since it was opened
        self._connection = connection
        self._are_some = self._connection.execute("SELECT 1 FROM given LIMIT 1").fetchone() is not None

    @staticmethod
    def of_file(path: Path | None) -> Gifts:
        """Return what a focus file gives; nothing if there is none. Raises the errors of ``read_focus_file``."""
        return Gifts.of_rows(read_focus_file(path) if path is not None else ())

    @staticmethod
    def of_rows(rows: Iterable[FocusRow]) -> Gifts:
        """Return what these rows give, in a file of its own."""
        gifts = Gifts(connect(None))
        gifts.add(rows, 0)
        return gifts

    def add(self, rows: Iterable[FocusRow], run: int, are_found: bool = False) -> None:
        """Add the rows of a focus file, all or none. They win over what is there.

        Args:
            rows: of the file.
            run: the number of the run.
            are_found: whether the file was found in IN, where every run finds it again. Then only what has changed in it since
                the last run counts: it does not win again over what a person gave later.
        """
        execute = self._connection.execute
        with savepoint(self._connection):
            for path, size, given in rows:
                key = key_of(path)
                if are_found and not self._is_news(key, size, given):
                    continue
                self._are_some = self.changed = True
                if given is None:
                    execute("DELETE FROM given WHERE photo = ?1 AND (?2 = '' OR size = ?2)", (key, size))
                    continue
                if not size:  # it is for all sizes, so what was given earlier for one does not count any more
                    execute("DELETE FROM given WHERE photo = ? AND size != '' AND run != ?", (key, run))
                execute(
                    """INSERT INTO given VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?) ON CONFLICT DO UPDATE SET run = excluded.run,
                    (image_width, image_height) = (SELECT image_width, image_height WHERE (x, y, width, height) IS
                        (excluded.x, excluded.y, excluded.width, excluded.height)),
                    x = excluded.x, y = excluded.y, width = excluded.width, height = excluded.height""",
                    (key, size, encoded(path), *map(_stored, (given.x, given.y, given.width, given.height)), run),
                )

    def copied(self) -> Gifts:
        """Return a copy in a file of its own, which goes with it: for a run that decides nothing for good."""
        copy = Gifts(connect(None))
        for table, columns in (("given", 10), ("found", 3)):
            rows = self._connection.execute(f"SELECT * FROM {table}")
            copy._connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})", rows)
        copy._are_some = self._are_some
        return copy

    def of(self, path: str) -> Mapping[str, Given]:
        """Return what is given for a photo, by the labels of sizes, in the order of the runs that it was given in."""
        if not self._are_some:
            return {}
        found = self._connection.execute(
            "SELECT size, x, y, width, height, image_width, image_height FROM given WHERE photo = ? ORDER BY run", (key_of(path),)
        )
        return {
            size: Given(
                _restored(x),
                _restored(y),
                _restored(width),
                _restored(height),
                (image_width, image_height) if image_width else None,
            )
            for size, x, y, width, height, image_width, image_height in found
        }

    def settle(self, path: str, image: tuple[int, int]) -> None:
        """Remember the size of the photo that was read, for what was given for it."""
        if not self._are_some:
            return
        update = "UPDATE given SET image_width = ?, image_height = ? WHERE photo = ? AND image_width IS NULL"
        self._connection.execute(update, (*image, key_of(path)))

    def _is_news(self, key: bytes, size: str, given: Given | None) -> bool:
        """Whether a row of a file that was found says something else than in the last run; keeps what it says."""
        says = repr(given)
        found = self._connection.execute("SELECT says FROM found WHERE photo = ? AND size = ?", (key, size)).fetchone()
        self._connection.execute("INSERT OR REPLACE INTO found VALUES (?, ?, ?)", (key, size, says))
        return found is None or found[0] != says

    def drop_all(self) -> None:
        """Forget all that was given."""
        self._connection.execute("DELETE FROM given")
        self._connection.execute("DELETE FROM found")
        self._are_some, self.changed = False, True

    def strangers(self, run: int, is_known: Callable[[bytes], bool]) -> tuple[int, str]:
        """Return how many photos that a run's focus file names are not known, by their keys, and the first of them."""
        count, first = 0, ""
        for key, path in self._connection.execute("SELECT DISTINCT photo, path FROM given WHERE run = ? ORDER BY path", (run,)):
            if not is_known(key):
                count, first = count + 1, first or decoded(path)
        return count, first
