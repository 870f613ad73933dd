"""Commands and options: click's, and what cropper says of them where they are declared.

Each option names its heading in ``--help``; click itself has no groups. Within a heading, options appear in the order of their
declaration: declare the common ones first.

Each option also says whether a ``cropper.toml`` that lies in the working folder may set it. Such a file may come from a stranger,
with the photos. It may say what is made and how it is cropped. It may not say where something is read, written or opened, or
which machine is asked, and it may not weaken a limit or privacy.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cropper.cli.terminal import QUIET, is_quiet, say, tell
from cropper.errors import UsageError, printable

if TYPE_CHECKING:
    from click.types import OptionHelpExtra

# The widest option that has its help beside it; the help of wider ones begins on the next line.
COLUMN = 22
# The key of the options that were given in a context's meta, that of the ``OptionsFile``, and that of
# what a command says first of a file that was left out.
_GIVEN = "cropper.given"
_OPTIONS_FILE = "cropper.options_file"
_REMARK = "cropper.remark"
# An option as messages name it.
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


class Heading(Enum):
    """The headings of options, in the order in which help shows them."""

    MAKE = "What to make"
    CROP = "How to crop"
    PHOTOS = "Which photos"
    AGAIN = "Running again"
    SPEED = "Speed and machines"
    OTHER = "Other options"


class Option(click.Option):
    """An option of a command, under one of the headings.

    Args:
        heading: where ``--help`` shows it.
        found: whether a ``cropper.toml`` that lies in the working folder may set it: always, never, or to which values.
            Repeatable options say always or never.
        declarations, attributes: as in ``click.Option``.
    """

    def __init__(
        self,
        *declarations: Any,
        heading: Heading = Heading.OTHER,
        found: bool | Callable[[Any], bool] = False,
        **attributes: Any,
    ) -> None:
        super().__init__(*declarations, **attributes)
        self.heading = heading
        self._found = found

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """Find the option's value, and keep it as it was given for ``given_options``."""
        value, source = super().consume_value(ctx, opts)
        if source is not ParameterSource.DEFAULT:
            ctx.meta.setdefault(_GIVEN, {})[max(self.opts, key=len).lstrip("-")] = value
        return value, source

    def may_be_found(self, value: Any) -> bool:
        """Return whether a file in the working folder may set the option to this value, which the option accepts."""
        return self._found(value) if callable(self._found) else self._found

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """Return the default value alone: the help text gives the range in words, where a user needs it."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


def given_options(ctx: click.Context) -> dict[str, Any]:
    """Return the options that the user gave in any way, by their long names: as text, or as the configuration file has them."""
    return dict(ctx.meta.get(_GIVEN, {}))


@dataclass(frozen=True)
class OptionsFile:
    """The file that options were read from.

    Attributes:
        path: the file.
        is_found: whether it was found in the working folder, rather than named.
        is_silent: whether it is the user's own or the command line names it, so that nobody needs to be told.
        options: the parameters that it sets, each with the names that lead to its command.
    """

    path: Path
    is_found: bool
    is_silent: bool
    options: set[tuple[tuple[str, ...], str]] = field(default_factory=set)

    @staticmethod
    def all_of(ctx: click.Context) -> list[OptionsFile]:
        """Return the files that were read for a command, the nearest last."""
        return list(ctx.meta.get(_OPTIONS_FILE, ()))

    @staticmethod
    def of(ctx: click.Context, name: str) -> OptionsFile | None:
        """Return the file that sets a parameter of a command, the nearest one if several do."""
        path = tuple(_path_of(ctx))
        return next((file for file in reversed(OptionsFile.all_of(ctx)) if (path, name) in file.options), None)

    def keep(self, ctx: click.Context) -> None:
        """Keep it for the commands below, nearer than those that were kept before."""
        ctx.meta[_OPTIONS_FILE] = (*ctx.meta.get(_OPTIONS_FILE, ()), self)

    def sets(self, path: tuple[str, ...], name: str) -> None:
        """Keep that it sets a parameter of a command, which ``path`` leads to from the group."""
        self.options.add((path, name))


def keep_remark(ctx: click.Context, remark: str) -> None:
    """Keep a line for the command below, which says it first unless it is to be quiet."""
    ctx.meta[_REMARK] = remark


def _places_of(ctx: click.Context, text: str) -> Iterator[str]:
    """Yield where the options that a text names are set, of those that a file or a variable sets."""
    flags = set(_FLAG.findall(text))
    for option in ctx.command.params:
        if not isinstance(option, Option) or option.name is None or flags.isdisjoint(option.opts):
            continue
        source = ctx.get_parameter_source(option.name)
        if source is ParameterSource.ENVIRONMENT and isinstance(option.envvar, str):
            yield f"{option.envvar} is set"
        elif source is ParameterSource.DEFAULT_MAP and (file := OptionsFile.of(ctx, option.name)) is not None:
            yield f"{max(option.opts, key=len).lstrip('-')} is set in {printable(file.path)}"


class Command(click.Command):
    """A command with its options under headings. Options without a heading of their own come last.

    Every command has ``--quiet``, which ``terminal`` heeds. It says once which file options were read from, unless the command
    line names the file or asks for quiet.
    """

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        help = "Print errors only."
        self.params.append(
            Option(("--quiet", "-q"), is_flag=True, expose_value=False, callback=_keep_quiet, found=True, help=help)
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments. Every error knows the command, also those of click's parser that do not."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. An error that names an option says where it is set, if that is not the command line."""
        for file in OptionsFile.all_of(ctx):
            # A file that was found has no say in this.
            by_file = ctx.get_parameter_source("quiet") is ParameterSource.DEFAULT_MAP and OptionsFile.of(ctx, "quiet") == file
            if not file.is_silent and ((file.is_found and by_file) or not is_quiet()):
                say(f"{file.path}: sets options of this run; --no-config leaves it out")
        if (remark := ctx.meta.get(_REMARK)) is not None:
            tell(remark)
        from cropper.cli.supervision import alone_with_little_memory

        try:
            return alone_with_little_memory(lambda: super(Command, self).invoke(ctx), self.callback)
        except UsageError as error:
            if places := ", ".join(_places_of(ctx, error.reason)):
                raise UsageError(f"{error.what} ({places})", path=error.path, remedy=error.remedy) from error
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section for each heading that has options."""
        sections: dict[Heading, list[tuple[str, str]]] = {heading: [] for heading in Heading}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                sections[getattr(param, "heading", Heading.OTHER)].append(record)
        used = {heading: records for heading, records in sections.items() if records}
        for heading, records in used.items():
            name, help = records[0]
            records[0] = name.ljust(COLUMN), help  # the help texts of all sections begin in one column
            with formatter.section(heading.value if len(used) > 1 else "Options"):
                formatter.write_dl(records, col_max=COLUMN)


def _path_of(ctx: click.Context) -> list[str]:
    """The names of the commands that lead from the group to a command."""
    return [*_path_of(ctx.parent), str(ctx.info_name)] if ctx.parent is not None else []


def _keep_quiet(ctx: click.Context, param: click.Parameter, quiet: bool) -> None:
    ctx.meta[QUIET] = quiet


Function = Callable[..., Any]
Decorator = Callable[[Function], Function]


def add_options(*options: Decorator) -> Decorator:
    """Return a decorator that adds options in the order in which they are given: ``--help`` keeps it."""

    def decorate(command: Function) -> Function:
        return functools.reduce(lambda decorated, one: one(decorated), reversed(options), command)

    return decorate


option = functools.partial(click.option, cls=Option)
command = functools.partial(click.command, cls=Command)
