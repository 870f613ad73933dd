"""Read options from ``cropper.toml`` and from environment variables.

A flag wins over a variable, a variable over the file, the file over the default. The file has a table for each command, with the
names of its options as keys. Keys above the tables apply to every command that has such an option and accepts the value:
``format = "webp"`` applies to thumbnails, but not to ``cropper boxes``, which prints CSV or JSON.

Every command checks the whole file. Only paths are checked later, by the command that uses them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cropper.errors import UsageError

NAME = "cropper.toml"
_READ_FROM = "cropper.config"  # the key in a context's meta for the file that was read
_NUMBERS = (click.types.IntParamType, click.types.FloatParamType)


def load(ctx: click.Context, file: Path | None) -> None:
    """Use the values in a file as the defaults of all commands.

    Args:
        ctx: the context of the group.
        file: the file; ``cropper.toml`` in the working folder if None, and nothing if that does not exist.

    Raises:
        UsageError: if the file cannot be read, is not valid TOML, or has a key or a value that no command accepts.
    """
    path = file if file is not None else Path(NAME)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        if file is None:
            return
        raise UsageError("there is no such file", path=path) from error
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", path=path) from error
    if not isinstance(ctx.command, click.Group):
        raise TypeError("options are spread over the commands of a group")
    ctx.meta[_READ_FROM] = path
    ctx.default_map = {}
    _fill(ctx.default_map, ctx.command, _parsed(data, path), (), path)


def name_variables(group: click.Group, prefix: str) -> None:
    """Give every option of the commands an environment variable, such as ``CROPPER_BATCH_SIZE``.

    Their names come from the flags, which users know; click would use the names of the functions' arguments. The group's own
    options get none, because builds often set CROPPER_VERSION for another purpose.
    """
    for names, option in _options(group):
        option.envvar = "_".join([prefix, *names, _key_of(option)]).upper().replace("-", "_")


def name_source(error: click.BadParameter) -> None:
    """Name the file or the variable that a wrong value comes from, instead of a flag that the user did not write."""
    ctx, option = error.ctx, error.param
    if ctx is None or not isinstance(option, click.Option) or option.name is None:
        return
    source = ctx.get_parameter_source(option.name)
    if source is ParameterSource.ENVIRONMENT and isinstance(option.envvar, str):
        error.param_hint = option.envvar
    elif source is ParameterSource.DEFAULT_MAP and _READ_FROM in ctx.meta:
        error.param_hint = f"'{_key_of(option)}' in {ctx.meta[_READ_FROM]}"


def _parsed(data: bytes, path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"it is not valid TOML (line {line} is not UTF-8)", path=path) from error
    except tomllib.TOMLDecodeError as error:  # its text gives the line
        raise UsageError(f"it is not valid TOML ({error})", path=path) from error


def _fill(defaults: dict[str, Any], command: click.Command, table: dict[str, Any], names: tuple[str, ...], path: Path) -> None:
    """Put the values of a table into the defaults of a command, or of all commands of a group."""
    where = f" in [{'.'.join(names)}]" if names else ""
    tables = {}
    for name, value in table.items():
        if isinstance(value, dict):
            tables[name] = value
            continue
        key = name.replace("_", "-")
        options = [(below, option) for below, option in _options(command) if _key_of(option) == key]
        if not options:
            remedy = f"'{' '.join(['cropper', *names])} --help' lists the options"
            raise UsageError(f"{name!r}{where} is not an option of any command", path=path, remedy=remedy)
        problems = []
        for below, option in options:
            try:
                _check(option, value)
            except click.BadParameter as error:
                problems.append(error.message.rstrip("."))
                continue
            inner = defaults
            for step in below:
                inner = inner.setdefault(step, {})
            inner[str(option.name)] = [value] if option.multiple and not isinstance(value, list) else value
        if len(problems) == len(options):
            raise UsageError(f"{name!r}{where} cannot be used: {problems[0]}", path=path)
    # After the keys for all commands: a command's own table wins over them.
    for name, inner in tables.items():
        below_it = command.commands.get(name) if isinstance(command, click.Group) else None
        if below_it is None:
            raise UsageError(f"the table [{'.'.join([*names, name])}] does not name a command", path=path)
        _fill(defaults.setdefault(name, {}), below_it, inner, (*names, name), path)


def _options(command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Option]]:
    """Yield the options of a command, or of all commands of a group, each with the names of the commands that lead to it."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from (((name, *names), option) for names, option in _options(inner))
    else:
        # An option without a long name, such as -o, is for a single run.
        yield from (((), option) for option in command.params if isinstance(option, click.Option) and _key_of(option))


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
    if option.is_flag:
        expected, fits = "true or false", isinstance(value, bool)
    elif isinstance(option.type, _NUMBERS):
        whole = isinstance(option.type, click.types.IntParamType)
        expected = "a whole number" if whole else "a number"
        fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    else:
        expected, fits = "text in quotes", isinstance(value, str)
        if option.multiple:
            expected += ", or a list of them"
    if not fits:
        raise click.BadParameter(f"it must be {expected}")
    if not isinstance(option.type, click.Path):
        option.type.convert(value, option, None)
