"""Options from elsewhere: ``cropper.toml``, and variables of the environment.

A flag goes before a variable, a variable before the file, the file before the default. The file has a table a command, with the
names of its options as keys, and above the tables the keys that hold for every command which has such an option and can take
the value: ``format = "webp"`` is for thumbnails, and nothing that ``cropper boxes`` could print.

What is wrong with a file is said whatever command runs, but for paths, which matter only where they are used.
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
_READ_FROM = "cropper.config"  # where a context's meta says which file it was
_NUMBERS = (click.types.IntParamType, click.types.FloatParamType)


def load(ctx: click.Context, file: Path | None) -> None:
    """Give the commands below a context the defaults of a file, or of ``cropper.toml`` in the working folder if there is one.

    Raises:
        UsageError: if the file cannot be read, is no TOML, or says what no command understands.
    """
    path = file if file is not None else Path(NAME)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        if file is None:
            return
        raise UsageError("there is no such file", path=path) from error
    except OSError as error:
        raise UsageError(f"it cannot be read ({error.strerror})", path=path) from error
    if not isinstance(ctx.command, click.Group):
        raise TypeError("options are spread over the commands of a group")
    ctx.meta[_READ_FROM] = path
    ctx.default_map = {}
    _fill(ctx.default_map, ctx.command, _parsed(data, path), (), path)


def name_variables(group: click.Group, prefix: str) -> None:
    """Let every option of the commands take its value from a variable too: ``CROPPER_BATCH_SIZE``.

    They are named after the flags, as a user knows them, where click's own prefix takes what functions call their arguments. The
    group's own are left out: CROPPER_VERSION is what many call a version they build with.
    """
    for names, option in _options(group):
        option.envvar = "_".join([prefix, *names, _key_of(option)]).upper().replace("-", "_")


def say_where_from(error: click.BadParameter) -> None:
    """Have an error about a value name the file or the variable that it is from, instead of a flag that nobody wrote."""
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
        raise UsageError(f"it is no TOML (line {line} is not UTF-8)", path=path) from error
    except tomllib.TOMLDecodeError as error:  # says the line itself
        raise UsageError(f"it is no TOML ({error})", path=path) from error


def _fill(defaults: dict[str, Any], command: click.Command, table: dict[str, Any], names: tuple[str, ...], path: Path) -> None:
    """Put what a table says into the defaults of a command; of a group, into those of all its commands."""
    where = f" in [{'.'.join(names)}]" if names else ""
    tables = {}
    for name, value in table.items():
        if isinstance(value, dict):
            tables[name] = value
            continue
        key = name.replace("_", "-")
        options = [(below, option) for below, option in _options(command) if _key_of(option) == key]
        if not options:
            remedy = f"'{' '.join(['cropper', *names])} --help' says what there is"
            raise UsageError(f"no command has an option for {name!r}{where}", path=path, remedy=remedy)
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
    # After what holds for all: a table of a command's own goes before it.
    for name, inner in tables.items():
        below_it = command.commands.get(name) if isinstance(command, click.Group) else None
        if below_it is None:
            raise UsageError(f"there is no command for the table [{'.'.join([*names, name])}]", path=path)
        _fill(defaults.setdefault(name, {}), below_it, inner, (*names, name), path)


def _options(command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Option]]:
    """All options of a command, or of the commands of a group, each after the names of the commands on the way to it."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from (((name, *names), option) for names, option in _options(inner))
    else:
        # One without a long name, as -o, is about a single run.
        yield from (((), option) for option in command.params if isinstance(option, click.Option) and _key_of(option))


def _key_of(option: click.Option) -> str:
    """The long name of an option, without its dashes; empty if it has none."""
    return next((name[2:] for name in option.opts if name.startswith("--")), "")


def _check(option: click.Option, value: Any) -> None:
    """Raise click.BadParameter for a value that is not of the option's kind, or that its flag would not take."""
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
        expected, fits = "a text in quotes", isinstance(value, str)
        if option.multiple:
            expected += ", or a list of such"
    if not fits:
        raise click.BadParameter(f"it must be {expected}")
    if not isinstance(option.type, click.Path):
        option.type.convert(value, option, None)
