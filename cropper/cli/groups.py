"""Groups of commands: click's, which forgive where ``help`` and ``--config`` are written and say what was meant."""

from __future__ import annotations

import click

from cropper.cli.mistakes import no_such_command


class Group(click.Group):
    """A group of commands. ``help NAME`` is ``NAME --help``, and its own options may also come after the command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the group's options and the name of the command."""
        if args[:1] == ["help"] and "help" not in self.commands:
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, self._own_first(ctx, args))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order in which they are added: the common ones first."""
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say what may be meant."""
        if args[0] not in self.commands and not ctx.resilient_parsing and not args[0].startswith("-"):
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
