"""Manual pages, for those who package cropper: ``python -m cropper.cli.man DIR`` writes one for each command, in roff.

All text is that of ``--help``. The same version gives the same bytes: a page has no date.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from cropper._version import __version__
from cropper.cli.help import Heading

_FILES = {
    "cropper.toml": "Options, in the folder that you work in. The table [tool.cropper] of a pyproject.toml there does the same.",
    "~/.config/cropper/config.toml": "Your own options, for all folders. $XDG_CONFIG_HOME may name another ~/.config.",
}
_EXIT = {
    "0": "All is done.",
    "1": "Some photos failed.",
    "2": "The usage is wrong, or an output cannot be written.",
    "130": "The run was interrupted.",
}


def pages(group: click.Group, name: str) -> dict[str, str]:
    """Return the pages of a program and all its commands.

    Args:
        group: its command line.
        name: what users type.

    Returns:
        roff by file name, ``cropper-batch.1``.
    """
    found = list(_commands(_context(group, name)))
    all_names = [_name(ctx) for ctx in found]
    return {f"{_name(ctx)}.1": _page(ctx, [one for one in all_names if one != _name(ctx)]) for ctx in found}


def _commands(ctx: click.Context) -> Iterator[click.Context]:
    yield ctx
    if isinstance(ctx.command, click.Group):
        for name, command in ctx.command.commands.items():
            if not command.hidden:
                yield from _commands(_context(command, name, ctx))


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    return click.Context(command, info_name=name, parent=parent, **command.context_settings)


def _name(ctx: click.Context) -> str:
    return ctx.command_path.replace(" ", "-")


def _page(ctx: click.Context, others: list[str]) -> str:
    command = ctx.command
    first, _, rest = inspect.cleandoc(command.help or "").partition("\n\n")
    short = command.short_help or first
    lines = [f'.TH "{_name(ctx).upper()}" "1" "" "cropper {__version__}" "User commands"']
    lines += [".SH NAME", _text(f"{_name(ctx)} - {' '.join(short.split()).rstrip('.')}")]
    lines += [".SH SYNOPSIS", f"\\fB{_text(ctx.command_path)}\\fR {_text(' '.join(command.collect_usage_pieces(ctx)))}"]
    lines += [".SH DESCRIPTION", _text(" ".join(first.split()))]
    for paragraph in filter(None, rest.split("\n\n")):
        if paragraph.startswith("\b"):
            lines += [".PP", ".nf", *map(_text, paragraph.splitlines()[1:]), ".fi"]
        else:
            lines += [".PP", _text(" ".join(paragraph.split()))]
    arguments = [param for param in command.get_params(ctx) if isinstance(param, click.Argument)]
    if arguments:
        lines.append(".SH ARGUMENTS")
        lines += _items({param.make_metavar(ctx): getattr(param, "help", None) or "" for param in arguments})
    sections: dict[str, dict[str, str]] = {heading.value: {} for heading in Heading}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
        if record is not None:
            sections[getattr(param, "heading", Heading.OTHER).value][record[0]] = record[1]
    for title, records in sections.items():
        if records:
            lines += [f'.SH "{_text(title.upper())}"', *_items(records)]
    if isinstance(command, click.Group):
        commands = {name: one.get_short_help_str(200) for name, one in command.commands.items() if not one.hidden}
        lines += [".SH COMMANDS", *_items(commands)]
    if ctx.parent is None:
        lines += [".SH FILES", *_items(_FILES)]
    lines += [".SH EXIT STATUS", *_items(_EXIT)]
    lines += [".SH SEE ALSO", ",\n".join(f"\\fB{_text(one)}\\fR(1)" for one in others)]
    return "\n".join(lines) + "\n"


def _items(items: dict[str, str]) -> list[str]:
    return [line for name, text in items.items() for line in (".TP", f"\\fB{_text(name)}\\fR", _text(" ".join(text.split())))]


def _text(text: str) -> str:
    """Return plain text for roff, which reads backslashes, and dots and quotes at the start of a line."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("^", "\\(ha").replace("~", "\\(ti").replace("`", "\\(ga")
    return re.sub(r"(?m)^(?=[.'])", r"\\&", plain.replace("'", "\\(aq"))


def main(folder: Path) -> None:
    """Write the pages of cropper into a folder, which is made if it is missing."""
    from cropper.cli import cli

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(cli, "cropper").items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m cropper.cli.man DIR")
    main(Path(sys.argv[1]))
