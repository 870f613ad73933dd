"""Read options from files and from environment variables.

There are two files: the user's own, ``config.toml`` in a folder of their system, and that of the photos: the one that the user
names, or else ``cropper.toml`` in the working folder, or else the table ``[tool.cropper]`` of a ``pyproject.toml`` there. A flag
wins over a variable, a variable over the photos' file, that over the user's own, and that over the default.

A file has a table for each command, with the names of its options as keys. Keys above the tables apply to every command that has
such an option and accepts the value: ``format = "webp"`` applies to thumbnails, but not to ``cropper boxes``, which prints CSV or
JSON. The table ``[choosing]`` is of no command: it holds the weights that ``cropper tune`` learned (``tuned``).

Every command checks the whole file. Only paths are checked later, by the command that uses them.

A file that is found in the working folder may come from a stranger. It may set only the options that say so where they are
declared (``help.Option``). The user's own file, and one that the user names, may set all.
"""

from __future__ import annotations

import math
import os
import re
import reprlib
import stat
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import click
from click.core import ParameterSource

from cropper.cli.help import Option, OptionsFile, keep_remark
from cropper.errors import UsageError

NAME = "cropper.toml"
# Where other tools of Python have their options too, in a table of their own.
PYPROJECT = "pyproject.toml"
TABLE = ("tool", "cropper")
# The largest file that is read, in bytes.
MOST_BYTES = 1_000_000
# The most dots in a line. Python's parser takes time that grows with the square of the parts of a name: 33 s for 40,000.
MOST_DOTS = 32
# A pyproject.toml may have a long list of versions in a line. 1 MB of such lines takes 3 s.
MOST_DOTS_OF_OTHERS = 256
_PHOTOS_FILE = "cropper.photos_file"
_NUMBERS = (click.types.IntParamType, click.types.FloatParamType)


def load(ctx: click.Context, file: Path | None, is_alone: bool = False) -> None:
    """Use the values in files as the defaults of all commands.

    Args:
        ctx: the context of the group.
        file: the file that the user names, in the place of one that lies in the working folder.
        is_alone: whether only the file that the user names counts.

    Raises:
        UsageError: if a file cannot be read, is not valid TOML, or has a key or a value that no command accepts; or if it was
            found in the working folder and sets what only a file of the user's may set.
    """
    if not isinstance(ctx.command, click.Group):
        raise TypeError("options are spread over the commands of a group")
    ctx.default_map = {}
    ctx.meta[_PHOTOS_FILE] = file
    own = user_file()
    if own is not None and not is_alone:
        data = _read_found(own)
        if data is not None:
            _use(ctx, ctx.command, parsed(data, own), OptionsFile(own, is_found=False, is_silent=True))
    if file is not None:
        try:
            data = _read(file)
        except FileNotFoundError as error:
            raise UsageError("there is no such file", path=file) from error
        except OSError as error:
            raise UsageError(f"cannot be read ({error.strerror})", path=file) from error
        is_silent = ctx.get_parameter_source("config_file") is ParameterSource.COMMANDLINE
        table = parsed(data, file)
        if file.name == PYPROJECT:
            own_table = options_in(table, file)
            if own_table is None:
                raise UsageError("it has no table [tool.cropper]", path=file, remedy="add it, or name a file of options alone")
            table = own_table
        _use(ctx, ctx.command, table, OptionsFile(file, is_found=False, is_silent=is_silent))
    elif not is_alone and (found := _found(ctx)) is not None:
        path, table = found
        ctx.meta[_PHOTOS_FILE] = path
        _use(ctx, ctx.command, table, OptionsFile(path, is_found=True, is_silent=False))


def photos_file(ctx: click.Context) -> Path:
    """Return the file of the photos that was read, or where it would be. It is the user's own only if they name it."""
    return ctx.meta.get(_PHOTOS_FILE) or Path(NAME)


def user_file() -> Path | None:
    """Return where the user's own file of options would be, or None if the user has no home."""
    if sys.platform == "win32":
        folder = os.environ.get("APPDATA", "")
    else:
        folder = os.environ.get("XDG_CONFIG_HOME", "")
        if not os.path.isabs(folder):  # as the standard asks
            folder = os.path.expanduser("~/.config")
    return Path(folder, "cropper", "config.toml") if os.path.isabs(folder) else None


def _found(ctx: click.Context) -> tuple[Path, dict[str, Any]] | None:
    """Return the file of options in the working folder and its options, if there is one. Keeps what to tell of one left out."""
    path = Path(NAME)
    data = _read_found(path)
    if data is not None:
        return path, parsed(data, path)
    path = Path(PYPROJECT)
    try:
        data = _read(path)
    except (OSError, UsageError):  # nothing says that it has a table for cropper
        return None
    if not _is_text(data):  # as some editors write it; whether it has a table cannot be told
        keep_remark(ctx, f"{path}: is not text in UTF-8, so no options are taken from it")
        return None
    if TABLE[-1].encode() not in data:  # saves to load the parser
        return None
    try:
        tables = parsed(data, path)
    except UsageError:
        if re.search(rb"(?m)^\s*\[\s*tool\s*\.\s*[\"']?cropper\b", data) is None:
            return None  # it is broken, but none of ours
        raise
    table = options_in(tables, path)
    return (path, table) if table is not None else None


def options_in(data: dict[str, Any], path: Path) -> dict[str, Any] | None:
    """Return the options in a pyproject.toml, or None if it has none for cropper."""
    table: Any = data
    for name in TABLE:
        table = table.get(name) if isinstance(table, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError("[tool.cropper] is not a table", path=path, remedy="write the options below it, a line each")
    return table


def _read_found(path: Path) -> bytes | None:
    """Read a file that need not be there."""
    try:
        return _read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", path=path, remedy="cropper --no-config leaves it out") from error


def _use(ctx: click.Context, group: click.Group, table: dict[str, Any], file: OptionsFile) -> None:
    """Put the options of a file above those of earlier files, and keep where they come from."""
    file.keep(ctx)
    assert ctx.default_map is not None
    from cropper.cli import tuned

    _fill(cast("dict[str, Any]", ctx.default_map), group, tuned.take(ctx, table, file.path), (), file)


def name_variables(command: click.Command, prefix: str) -> None:
    """Give every option of a command, or of all commands of a group, an environment variable, such as ``CROPPER_BATCH_SIZE``.

    Their names come from the flags, which users know; click would use the names of the functions' arguments. The group's own
    options get none, because builds often set CROPPER_VERSION for another purpose.
    """
    for names, option in _options(command):
        option.envvar = "_".join([prefix, *names, _key_of(option)]).upper().replace("-", "_")


def name_source(error: click.BadParameter) -> None:
    """Name the file or the variable that a wrong value comes from, instead of a flag that the user did not write."""
    ctx, option = error.ctx, error.param
    if ctx is None or not isinstance(option, click.Option) or option.name is None:
        return
    source = ctx.get_parameter_source(option.name)
    if source is ParameterSource.ENVIRONMENT and isinstance(option.envvar, str):
        error.param_hint = option.envvar
    elif source is ParameterSource.DEFAULT_MAP and (file := OptionsFile.of(ctx, option.name)) is not None:
        error.param_hint = f"'{_key_of(option)}' in {file.path}"


def _read(path: Path) -> bytes:
    """Read a regular file of at most ``MOST_BYTES``. Raises OSError, or UsageError for another file."""
    # Without waiting for somebody to write to a pipe.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            remedy = "give a file, or read none with --no-config"
            raise UsageError("it is not a regular file but a pipe or a device", path=path, remedy=remedy)
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise UsageError(f"it is larger than {MOST_BYTES // 1_000_000} MB", path=path, remedy="a file of options is short")
    return data


def parsed(data: bytes, path: Path) -> dict[str, Any]:
    """Return the tables of a file. Raises UsageError if it is not valid TOML."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    most_dots = MOST_DOTS_OF_OTHERS if path.name == PYPROJECT else MOST_DOTS
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.count(b".") > most_dots and not line.lstrip().startswith(b"#"):
            raise UsageError(f"line {number} has more than {most_dots} dots", path=path, remedy="split it into several lines")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line_number = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"it is not valid TOML (line {line_number} is not UTF-8)", path=path) from error
    except RecursionError as error:
        raise UsageError("it is not valid TOML (its lists or tables are nested too deeply)", path=path) from error
    except ValueError as error:  # a mistake, whose text gives the line, or a number of too many digits
        raise UsageError(f"it is not valid TOML ({error})", path=path) from error


def _fill(
    defaults: dict[str, Any], command: click.Command, table: dict[str, Any], names: tuple[str, ...], file: OptionsFile
) -> None:
    """Put the values of a table into the defaults of a command, or of all commands of a group."""
    path = file.path
    where = f" in [{'.'.join(names)}]" if names else ""
    line = partial(_line_of, path, names)
    tables = {}
    for name, value in table.items():
        if isinstance(value, dict):
            tables[name] = value
            continue
        key = name.replace("_", "-")
        options = [(below, option) for below, option in _options(command) if f"--{key}" in option.opts]
        if not options:
            remedy = f"'{' '.join(['cropper', *names])} --help' lists the options"
            raise UsageError(f"{line(name)}{name!r}{where} is not an option of any command", path=path, remedy=remedy)
        problems = []
        for below, option in options:
            try:
                _check(option, value)
            except click.BadParameter as error:
                problems.append(error.message.rstrip("."))
                continue
            if file.is_found and not option.may_be_found(value):
                reason = (
                    f"{line(name)}{name!r}{where} cannot be {reprlib.repr(value)} in a file that is found in the working folder"
                )
                remedy = f"if you trust the file, name it: cropper --config {path}; or leave it out: cropper --no-config"
                raise UsageError(reason, path=path, remedy=remedy)
            file.sets((*names, *below), str(option.name))
            inner = defaults
            for step in below:
                inner = inner.setdefault(step, {})
            inner[str(option.name)] = [value] if option.multiple and not isinstance(value, list) else value
        if len(problems) == len(options):
            raise UsageError(f"{line(name)}{name!r}{where} cannot be used: {problems[0]}", path=path)
    # After the keys for all commands: a command's own table wins over them.
    for name, inner in tables.items():
        below_it = command.commands.get(name) if isinstance(command, click.Group) else None
        if below_it is None:
            raise UsageError(f"the table [{'.'.join([*names, name])}] does not name a command", path=path)
        _fill(defaults.setdefault(name, {}), below_it, inner, (*names, name), file)


def _line_of(path: Path, names: tuple[str, ...], key: str) -> str:
    """Return ``line 3: `` for a key, where its line can be told, or nothing: the parser does not keep it.

    Args:
        path: the file. It is read again, as only a message needs this.
        names: the table that the key is in, as the command sees it.
        key: its name.
    """
    wanted = [*(TABLE if path.name == PYPROJECT else ()), *names, key]
    table: list[str] = []
    found = []
    try:
        text = _read(path).decode("utf-8-sig")
    except (OSError, ValueError, UsageError):
        return ""
    for number, line in enumerate(text.splitlines(), 1):
        if (header := re.match(r"\s*\[([^\[\]]+)\]\s*(#.*)?$", line)) is not None:
            table = _parts(header[1])
        elif (pair := re.match(r"([^=#]+)=", line)) is not None and table + _parts(pair[1]) == wanted:
            found.append(number)
    return f"line {found[0]}: " if len(found) == 1 else ""


def _parts(name: str) -> list[str]:
    return [part.strip(" \t\"'") for part in name.split(".")]


def _options(command: click.Command) -> Iterator[tuple[tuple[str, ...], Option]]:
    """Yield the options of a command, or of all commands of a group, each with the names of the commands that lead to it."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from (((name, *names), option) for names, option in _options(inner))
    else:
        # An option without a long name, such as -o, is for a single run.
        yield from (((), option) for option in command.params if isinstance(option, Option) and _key_of(option))


def _key_of(option: click.Option) -> str:
    """Return the long name of an option without dashes, or an empty string."""
    return next((name[2:] for name in option.opts if name.startswith("--")), "")


def _check(option: click.Option, value: Any) -> None:
    """Raise click.BadParameter for a value of the wrong type, or one that the flag would refuse."""
    if option.multiple and isinstance(value, list):
        for one in value:
            _check_one(option, one)
    else:
        _check_one(option, value)


def _check_one(option: click.Option, value: Any) -> None:
    from cropper.cli.options.types import Bytes

    if option.is_flag:
        expected, fits = "true or false", isinstance(value, bool)
    elif isinstance(option.type, _NUMBERS):
        whole = isinstance(option.type, click.types.IntParamType)
        expected = "a whole number" if whole else "a finite number"
        fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool) and (whole or _is_finite(value))
    elif isinstance(option.type, Bytes):
        expected = "a whole number, or a size in quotes"
        fits = isinstance(value, (int, str)) and not isinstance(value, bool)
    else:
        expected, fits = "text in quotes", isinstance(value, str)
        if option.multiple:
            expected += ", or a list of them"
    if not fits:
        raise click.BadParameter(f"it must be {expected}")
    if not isinstance(option.type, click.Path):
        option.type.convert(value, option, None)


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def _is_finite(number: int | float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond all that has a point
        return False
