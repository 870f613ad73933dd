"""The table ``[choosing]`` of a file of options: the weights that ``cropper tune`` learned. All commands that choose heed it.

Where several files have one, that of the nearest file counts as a whole, since weights are fitted together. In a
pyproject.toml it is ``[tool.cropper.choosing]``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import click

from cropper.choosing import asked
from cropper.errors import UsageError
from cropper.settings import WEIGHTS, Weights

TABLE = "choosing"
_META, _FILE = "cropper.weights", "cropper.weights_file"
_NAMES = asked.WEIGHT_NAMES
_REMARK = "# Learned by 'cropper tune'. Delete this table to undo it."
_ROW = re.compile(rf"[ \t]*(({'|'.join(_NAMES)})[ \t]*=.*|{re.escape(_REMARK)})\r?\n?")


def take(ctx: click.Context, table: dict[str, Any], path: Path) -> dict[str, Any]:
    """Keep the weights of a file for the commands, and return its other values.

    Raises:
        UsageError: if a weight is not known, or not a number in its range.
    """
    if TABLE in table:
        ctx.meta[_META] = weights_of(table[TABLE], path)  # in the place of those of a file that is farther away
        ctx.meta[_FILE] = path
    return {name: value for name, value in table.items() if name != TABLE}


def table_of(path: Path) -> str:
    """Return the name of the table in a file."""
    from cropper.cli.config import PYPROJECT
    from cropper.cli.config import TABLE as OURS

    return ".".join([*OURS, TABLE]) if path.name == PYPROJECT else TABLE


def weights_of(values: Any, path: Path) -> Weights:
    """Return the weights in a table. Raises the errors of ``take``."""
    where = table_of(path)
    if not isinstance(values, dict):
        raise UsageError(f"{TABLE!r} is not a table", path=path, remedy=f"write [{where}] above its keys")
    remedy = "run 'cropper --no-config tune --dry-run', or delete the line"
    return asked.weights_of(values, f" in [{where}]", path=path, remedy=remedy)


def current() -> Weights:
    """Return the weights of the file that was read, or the defaults."""
    ctx = click.get_current_context(silent=True)
    weights = ctx.meta.get(_META, WEIGHTS) if ctx is not None else WEIGHTS
    assert isinstance(weights, Weights)
    return weights


def notice() -> str | None:
    """Return a line that says that boxes follow learned weights, and how to undo it; None if they follow cropper's own."""
    if current() == WEIGHTS:
        return None
    path = click.get_current_context().meta[_FILE]
    return f"boxes follow your taste, from [{table_of(path)}] in {path}; delete this table to undo it"


def table_text(weights: Weights, table: str = TABLE) -> str:
    """Return the table that sets weights, without those that have their defaults. ``table`` is its name in the file."""
    changed = (name for name in _NAMES if getattr(weights, name) != getattr(WEIGHTS, name))
    return "\n".join([f"[{table}]", _REMARK, *(f"{name} = {getattr(weights, name)!r}" for name in changed)]) + "\n"


def write(path: Path, weights: Weights) -> None:
    """Write the table into a file, in the place of an earlier one or at the end. All other bytes stay.

    Raises:
        UsageError: if the file has the table in a form that cannot be replaced, or cannot be written.
    """
    import shutil  # loads zlib, bz2 and lzma, for which no command should wait

    from cropper.cli.config import parsed
    from cropper.storage.atomic import replacing, synced

    target = Path(os.path.realpath(path))  # a link stays one
    try:
        before = target.read_bytes() if target.exists() else b""
        after = edited(before, weights, table_of(path))
        others, old = _apart(parsed(before, path), path)
        try:
            now, new = _apart(parsed(after, path), path)
            is_right = now == others and weights_of(new, path) == weights
        except UsageError:
            is_right = False
        if not is_right:
            raise _refused(path, is_there=old is not None)
        with replacing(target, target.with_name(f".{target.name[:200]}.{os.getpid()}.part")) as temporary:
            with temporary.open("xb") as file:
                file.write(after)
                file.flush()
                synced(file.fileno())
            if target.exists():
                shutil.copymode(target, temporary)
    except OSError as error:
        raise UsageError(f"cannot be written ({error.strerror})", path=path, remedy="check its permissions") from error


def _apart(table: dict[str, Any], path: Path) -> tuple[dict[str, Any], Any]:
    """Return what a file says beside the table, and the table; None if it has none."""
    *names, last = table_of(path).split(".")
    copy = inner = dict(table)
    for name in names:
        inner[name] = dict(inner.get(name, {}))
        inner = inner[name]
    return copy, inner.pop(last, None)


def _refused(path: Path, is_there: bool) -> UsageError:
    """Return the error for a file that would say something else with the table in it."""
    table = table_of(path)
    if is_there:
        remedy = "delete it by hand and run the same command again"
        return UsageError(f"has a table [{table}] that cannot be replaced", path=path, remedy=remedy)
    remedy = "move the options of cropper to a file cropper.toml and run the same command again"
    return UsageError(f"a table [{table}] cannot be added to it", path=path, remedy=remedy)


def edited(before: bytes, weights: Weights, table: str = TABLE) -> bytes:
    """Return the bytes of a file with the table in it. Whether this is what the file says then is for the caller to check."""
    text = before.decode("utf-8", "surrogateescape")
    end = "\r\n" if "\r\n" in text else "\n"
    rows = table_text(weights, table).replace("\n", end)
    name = r"[ \t]*[.][ \t]*".join(table.split("."))
    header = re.compile(rf"[ \t]*\[[ \t]*{name}[ \t]*\][ \t]*(#.*)?\r?\n?")
    lines = text.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if header.fullmatch(line)), None)
    if start is None:
        gap = "" if not text else end if text.endswith("\n") else 2 * end
        return (text + gap + rows).encode("utf-8", "surrogateescape")
    stop = start + 1
    while stop < len(lines) and _ROW.fullmatch(lines[stop]):
        stop += 1
    return "".join([*lines[:start], rows, *lines[stop:]]).encode("utf-8", "surrogateescape")
