"""What the last run over an output folder was asked to make, so that a program can ask for the same again.

The text of a setting in the state tells whether outputs are current. It names the model by its content and leaves out what
decides no output. A run needs more: it is kept in a table of its own, which earlier versions of cropper do not look at.
"""

from __future__ import annotations

import json
import sqlite3
import types
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from cropper.errors import UsageError
from cropper.image_formats import RAW_ALONE
from cropper.ledger.database import Files, files_of, uri_of
from cropper.settings import Settings
from cropper.storage.patterns import Selection, selection_of

_TABLE = "CREATE TABLE IF NOT EXISTS last_run (text TEXT NOT NULL)"


@dataclass(frozen=True)
class LastRun:
    """What a run was asked to make.

    Attributes:
        settings: what to make; the path of a model is absolute.
        raw: which RAWs are made, one of ``image_formats.RAW_CHOICES``.
        include, exclude: the patterns that the user gave.
    """

    settings: Settings
    raw: str = RAW_ALONE
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @staticmethod
    def of(settings: Settings, raw: str, selection: Selection) -> LastRun:
        """Return what a run is asked to make."""
        return LastRun(settings, raw, selection.include.lines, selection.exclude.lines)

    @property
    def selection(self) -> Selection:
        """Which files of IN to take, but for what a ``.cropperignore`` says."""
        return selection_of(self.include, self.exclude)


def keep_last_run(connection: sqlite3.Connection, last: LastRun) -> None:
    """Keep what a run is asked to make, in the place of what the one before it was, if that was something else."""
    connection.execute(_TABLE)
    text = json.dumps(asdict(last), default=_as_text)
    if connection.execute("SELECT text FROM last_run").fetchall() != [(text,)]:
        connection.execute("DELETE FROM last_run")
        connection.execute("INSERT INTO last_run VALUES (?)", (text,))


def last_run_of(out: Path, files: Files | None = None) -> LastRun | None:
    """Return what the last run that made thumbnails was asked to make.

    Args:
        out: the output folder.
        files: of the state that knows; None for the one without shards.

    Returns:
        None if it is not known: there was none, it is older than this table, or its options are not those of this version.
    """
    with (
        suppress(sqlite3.DatabaseError, OSError),
        closing(sqlite3.connect(f"{uri_of((files or files_of(out)).database)}&mode=ro", uri=True)) as connection,
    ):
        found = connection.execute("SELECT text FROM last_run").fetchone()
        with suppress(ValueError, TypeError, KeyError, UsageError):
            return _restored(LastRun, json.loads(found[0])) if found is not None else None
    return None


def _as_text(value: Any) -> str:
    """A path, for JSON. A relative one would be another file for a program that runs elsewhere."""
    if isinstance(value, Path):
        return str(value.absolute())
    raise TypeError(f"{type(value).__name__} is no setting")


def _restored(kind: Any, value: Any) -> Any:
    """Turn what JSON has back into a value of a type. Raises ValueError, TypeError or KeyError if it is none."""
    if get_origin(kind) is types.UnionType:
        if value is None:
            return None
        (kind,) = (one for one in get_args(kind) if one is not type(None))
    if is_dataclass(kind) and isinstance(value, Mapping):
        hints = get_type_hints(kind)
        if unknown := value.keys() - {field.name for field in fields(kind)}:
            raise KeyError(*unknown)
        return kind(**{name: _restored(hints[name], one) for name, one in value.items()})  # type: ignore[operator]
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        kinds = [inner[0]] * len(value) if inner[1:] == (...,) else inner
        return tuple(_restored(one, item) for one, item in zip(kinds, value, strict=True))
    if isinstance(kind, type) and issubclass(kind, (Enum, Path)):
        return kind(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
