"""Options under headings in ``--help``. Each option names its heading where it is declared; click itself has no groups.

Within a heading, options appear in the order of their declaration: declare the common ones first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.types import OptionHelpExtra

# The widest option that has its help beside it; the help of wider ones begins on the next line.
COLUMN = 22


class Heading(Enum):
    """The headings of options, in the order in which help shows them."""

    MAKE = "What to make"
    CROP = "How to crop"
    PHOTOS = "Which photos"
    SPEED = "Speed and machines"
    OTHER = "Other options"


class Option(click.Option):
    """An option of a command, under one of the headings.

    Args:
        heading: where ``--help`` shows it.
        declarations, attributes: as in ``click.Option``.
    """

    def __init__(self, *declarations: Any, heading: Heading = Heading.OTHER, **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.heading = heading

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """Return the default value alone: the help text gives the range in words, where a user needs it."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


class Command(click.Command):
    """A command with its options under headings. Options without a heading of their own come last."""

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


Function = Callable[..., Any]
Decorator = Callable[[Function], Function]


def add_options(*options: Decorator) -> Decorator:
    """Return a decorator that adds options in the order in which they are given: ``--help`` keeps it."""

    def decorate(command: Function) -> Function:
        return functools.reduce(lambda decorated, one: one(decorated), reversed(options), command)

    return decorate


option = functools.partial(click.option, cls=Option)
command = functools.partial(click.command, cls=Command)
