"""The ledger: ``boxes.csv``, one row per photo and size, and what a second run needs to go on from it.

While a run goes on, its rows are appended in the walk's order to a *part* beside the last run's ledger, and the part becomes the
ledger at the end. So both are sorted alike, and a second run reads the old rows as a stream beside its own walk: memory does
not grow with the number of photos. Killed at any moment, what is on disk is a whole old ledger and a part, which ``open_run``
joins.

Beside the ledger stands a hidden folder with the part and the settings the rows were made with: rows made with other settings
still say which files are ours to replace, but none of them counts as done.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path

from cropper.boxes import Box
from cropper.errors import OutputError
from cropper.walk import order

NAME = "boxes.csv"
STATE_FOLDER = ".cropper"
_SOURCE = "source"
OK, SKIPPED, FAILED = "ok", "skipped", "failed"


@dataclass(frozen=True)
class Row:
    """One row, as text. ``path`` and ``output`` are relative to IN and OUT and ``/``-separated."""

    path: str
    output: str
    status: str
    image_width: str = ""
    image_height: str = ""
    size: str = ""
    x: str = ""
    y: str = ""
    width: str = ""
    height: str = ""
    focus_x: str = ""
    focus_y: str = ""
    kept: str = ""
    message: str = ""


HEADER = tuple(field.name for field in fields(Row))


def decided_row(path: str, output: str, status: str, image_size: tuple[int, int], size: str, box: Box, message: str = "") -> Row:
    """The row of a photo that has its box. ``output`` is empty where there is none."""
    return Row(
        path=path,
        output=output,
        status=status,
        image_width=str(image_size[0]),
        image_height=str(image_size[1]),
        size=size,
        x=str(box.x),
        y=str(box.y),
        width=str(box.width),
        height=str(box.height),
        focus_x=str(box.focus[0]),
        focus_y=str(box.focus[1]),
        kept=f"{box.kept:.4f}",
        message=message,
    )


def failed_row(path: str, size: str, message: str) -> Row:
    """The row of a photo that has no thumbnail, and why."""
    return Row(path, "", FAILED, size=size, message=message)


def read(path: Path) -> Iterator[Row]:
    """The whole rows of a ledger as a stream; none if there is no file. A torn last row is left out.

    Raises:
        OutputError: if the file is there but is no ledger.
    """
    try:
        # Bytes of a name that are no UTF-8 come back as they were; a spreadsheet may have saved it with a byte order mark.
        file = path.open(newline="", encoding="utf-8-sig", errors="surrogateescape")
    except FileNotFoundError:
        return
    with file:
        lines = csv.reader(file)
        try:
            header = next(lines, None)
            if header is not None and tuple(header) != HEADER:
                raise OutputError("is there already and is no ledger", path=path, remedy="move it away or choose another OUT")
            for line in lines:
                if len(line) == len(HEADER) and line[2] in (OK, SKIPPED, FAILED):
                    yield Row(*line)
        except csv.Error as error:
            reason = f"is no ledger from line {lines.line_num} on ({error})"
            raise OutputError(reason, path=path, remedy="move it away or choose another OUT") from error


class Writer:
    """Appends rows to a new ledger file; each photo's rows are on their way to the disk when ``append`` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", newline="", encoding="utf-8", errors="surrogateescape")
        self._csv = csv.writer(self._file)
        self._csv.writerow(HEADER)

    def append(self, rows: Iterable[Row]) -> None:
        """Write some rows, one photo's for example."""
        for row in rows:
            self._csv.writerow([getattr(row, name) for name in HEADER])
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Previous:
    """The rows of earlier runs, asked for in the walk's order."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._groups = ((path, tuple(group)) for path, group in groupby(rows, key=lambda row: row.path))
        self._next = next(self._groups, None)

    def of(self, path: str) -> tuple[Row, ...]:
        """The rows of a photo. Each call must ask for a later photo than the one before; what was passed is gone."""
        while self._next is not None and order(self._next[0]) < order(path):
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != path:
            return ()
        rows = self._next[1]
        self._next = next(self._groups, None)
        return rows


@dataclass(frozen=True)
class Run:
    """The ledger of a run in progress.

    Attributes:
        out: the output folder.
        current: rows made with the same settings, by an earlier run.
        outdated: rows made with other settings: their outputs are ours, but not up to date.
        part: where this run's rows go.
        leaves_state: whether a later run needs to know the settings: not where there are no outputs to be up to date.
    """

    out: Path
    current: Previous
    outdated: Previous
    part: Writer
    leaves_state: bool


def open_run(out: Path, source: Path, settings: str, dry: bool = False) -> Run:
    """Begin a run over an output folder: join what a killed run left, set rows of other settings aside.

    Args:
        out: the output folder; made if it is not there.
        source: the folder IN, which ``source_of`` will tell.
        settings: all that decides the outputs, beside the photos, as a string.
        dry: whether this run writes no outputs, but the ledger only.

    Raises:
        OutputError: if the folder cannot be written, holds a ``boxes.csv`` that is no ledger, or is dry-run over outputs made
            with other settings, whose ledger it would spoil.
    """
    state, ledger = out / STATE_FOLDER, out / NAME
    part, outdated, made_with = state / "part.csv", state / "outdated.csv", state / "settings.json"
    try:
        has_outputs = any(row.output for row in read(ledger))  # refuses a foreign file before anything is touched
        same_settings = made_with.exists() and made_with.read_text(encoding="utf-8") == settings
        if dry and has_outputs and not same_settings:
            remedy = "choose another OUT for the dry run"
            raise OutputError("holds thumbnails made with other settings", path=out, remedy=remedy)
        state.mkdir(parents=True, exist_ok=True)
        (state / _SOURCE).write_bytes(os.fsencode(os.path.abspath(source)))
        _join(part, ledger, state)
        if not same_settings:
            _join(ledger, outdated, state)
            made_with.write_text(settings, encoding="utf-8")
        return Run(out, Previous(read(ledger)), Previous(read(outdated)), Writer(part), has_outputs or not dry)
    except OSError as error:
        reason = f"the output cannot be written ({error.strerror})"
        raise OutputError(reason, path=error.filename or out, remedy="choose another OUT or check its permissions") from error


def source_of(out: Path) -> Path | None:
    """The folder IN that the last run over an output folder took its photos from; None where none has left word of it."""
    try:
        return Path(os.fsdecode((out / STATE_FOLDER / _SOURCE).read_bytes()))
    except OSError:
        return None


def close_run(run: Run, complete: bool) -> None:
    """End a run: its rows become the ledger; of an interrupted one, with the old rows of the photos it had not come to."""
    run.part.close()
    state, ledger = run.out / STATE_FOLDER, run.out / NAME
    if complete:
        os.replace(state / "part.csv", ledger)
        (state / "outdated.csv").unlink(missing_ok=True)
    else:
        _join(state / "part.csv", ledger, state)
    if not run.leaves_state:
        shutil.rmtree(state)


def _join(newer: Path, older: Path, state: Path) -> None:
    """Put the rows of a newer run that may not have come to the end in front of an older one's rows of later photos.

    The older file holds both then, and the newer one is gone.
    """
    if not newer.exists():
        return
    joined = state / "joined.csv"
    writer = Writer(joined)
    last: Row | None = None
    for last in read(newer):
        writer.append([last])
    writer.append(row for row in read(older) if last is None or order(row.path) > order(last.path))
    writer.close()
    os.replace(joined, older)
    newer.unlink()
