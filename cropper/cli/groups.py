"""Groups of commands: click's, which load a command when it is called, forgive where ``help`` and ``--config`` are written and
say what was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import click


class Commands(MutableMapping[str, click.Command]):
    """Commands by their names, in the order in which they are added. One that is added with ``later`` loads at its first use."""

    def __init__(self) -> None:
        self._commands: dict[str, click.Command | None] = {}
        self._later: dict[str, tuple[str, Callable[[], click.Command]]] = {}

    def later(self, name: str, short_help: str, load: Callable[[], click.Command]) -> None:
        """Add a command that ``load`` returns."""
        self._commands[name] = None
        self._later[name] = short_help, load

    def short_help(self, name: str, limit: int) -> str:
        """Return what a list of commands says of one, in at most ``limit`` characters; empty for a hidden one."""
        command = self._commands[name] or click.Command(name, short_help=self._later[name][0])
        return "" if command.hidden else command.get_short_help_str(limit)

    def __getitem__(self, name: str) -> click.Command:
        command = self._commands[name]
        if command is None:
            short_help, load = self._later[name]
            command = self._commands[name] = load()
            command.short_help = short_help
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __contains__(self, name: object) -> bool:
        return name in self._commands

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)


class Group(click.Group):
    """A group of commands. ``help NAME`` is ``NAME --help``, and its own options may also come after the command."""

    commands: Commands

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.commands = Commands()

    def add_later(self, name: str, short_help: str, load: Callable[[], click.Command]) -> None:
        """Add a command that loads when it is called; until then only its name and what ``--help`` says of it are there.

        Args:
            name: its name.
            short_help: what the list of commands says of it.
            load: imports and returns it.
        """
        self.commands.later(name, short_help, load)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the group's options and the name of the command."""
        if args[:1] == ["help"] and "help" not in self.commands:
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, self._own_first(ctx, args))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order in which they are added: the common ones first."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        limit = formatter.width - 6 - max(map(len, self.commands), default=0)  # click's own limit
        rows = [(name, text) for name in self.commands if (text := self.commands.short_help(name, limit))]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say what may be meant."""
        if args[0] not in self.commands and not ctx.resilient_parsing and not args[0].startswith("-"):
            from cropper.cli.mistakes import no_such_command

            raise no_such_command(self, ctx, args)
        return super().resolve_command(ctx, args)

    def _own_first(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the group's long options that follow the command in front of it; those behind ``--`` are none.

        ``--help`` and ``--version`` stay: commands have the one, and the other is none of theirs.
        """
        options = {
            name: param
            for param in self.params
            if isinstance(param, click.Option) and param.expose_value
            for name in param.opts
            if name.startswith("--")
        }
        own: list[str] = []
        others: list[str] = []
        rest = iter(args)
        for arg in rest:
            option = options.get(arg.partition("=")[0])
            if arg == "--":
                others += [arg, *rest]
            elif option is None:
                others.append(arg)
            else:
                own.append(arg)
                if not option.is_flag and "=" not in arg:
                    value = next(rest, None)
                    if value is None and not ctx.resilient_parsing:
                        raise click.BadOptionUsage(arg, f"Option {arg!r} requires an argument.", ctx)
                    own += [] if value is None else [value]
        return own + others
