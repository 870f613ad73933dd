"""What ``--help`` says: complete, within 80 columns, and in step with the pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import click
import pytest
from fixtures import Command
from pages import PAGES

from cropper.cli import cli
from cropper.cli.help import Heading

WRITTEN = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
WIDTH = 80


def commands(command: click.Command = cli, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands, each with the words that call it."""
    yield names, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, (*names, name))


COMMANDS = {" ".join(("cropper", *names)): (names, command) for names, command in commands()}
every_command = pytest.mark.parametrize("name", COMMANDS)


def options_of(command: click.Command) -> list[click.Option]:
    return [param for param in command.params if isinstance(param, click.Option)]


@pytest.fixture
def help_of(cropper: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """A function from a command to its help, as a terminal of 80 columns shows it."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))

    def show(name: str) -> str:
        code, out, err = cropper(*COMMANDS[name][0], "--help")
        assert (code, err) == (0, "")
        return out

    return show


@every_command
def test_every_command_argument_and_option_has_help(name: str) -> None:
    _, command = COMMANDS[name]
    assert command.help
    assert command is cli or command.short_help
    for param in command.params:
        assert param.help, param.name
        assert param.help.endswith((".", "]")), param.help


@every_command
def test_help_fits_into_80_columns(help_of: Callable[[str], str], name: str) -> None:
    wide = [line for line in help_of(name).splitlines() if len(line) > WIDTH]
    assert not wide


@every_command
def test_every_command_shows_an_example(help_of: Callable[[str], str], name: str) -> None:
    assert re.search(rf"^  (.*\| )?{name}\b", help_of(name), re.MULTILINE)


@every_command
def test_options_stand_under_headings_each_once(help_of: Callable[[str], str], name: str) -> None:
    _, command = COMMANDS[name]
    headings = ["Options", *(heading.value for heading in Heading)]
    lines = help_of(name).splitlines()
    shown = [line[:-1] for line in lines if line[:-1] in headings]
    assert shown
    assert shown == sorted(shown, key=headings.index)
    below = lines[lines.index(f"{shown[0]}:") :]
    for option in options_of(command):
        flag = max(option.opts, key=len)
        assert sum(re.match(rf"  (-\w, )?{flag}(,| |$)", line) is not None for line in below) == 1


def test_batch_shows_the_common_options_first_and_the_rare_ones_last(help_of: Callable[[str], str]) -> None:
    text = help_of("cropper batch")
    order = ["What to make:", "--size", "--format", "How to crop:", "--focus", "Which photos:", "Speed and machines:", "--jobs"]
    places = [text.index(word, text.index("Positional arguments:")) for word in [*order, "Other options:", "--deadline"]]
    assert places == sorted(places)


# Options that take nearly any text, or a file to write.
FREE = {
    *("--template", "--name", "--address", "--include", "--exclude", "-o", "--output", "--report", "--log-file"),
    *("--manifest", "--base-url"),
}
VALUED = [
    (name, o.opts[0]) for name, (_, c) in COMMANDS.items() for o in options_of(c) if not o.is_flag and o.opts[0] not in FREE
]


@pytest.mark.parametrize(("name", "flag"), VALUED)
def test_a_wrong_value_is_one_line_that_names_the_option(cropper: Command, name: str, flag: str) -> None:
    code, out, err = cropper(*COMMANDS[name][0], flag, "no!such")
    assert (code, out) == (2, "")
    assert err.startswith("cropper: Invalid value for ")
    assert flag in err
    assert "no!such" in err
    assert err.endswith(f"Try '{name} --help'.\n")
    assert err.count("\n") == 1


@every_command
def test_every_command_can_be_quiet(name: str) -> None:
    _, command = COMMANDS[name]
    flags = [option.opts for option in options_of(command) if "-q" in option.opts]
    assert flags == ([] if isinstance(command, click.Group) else [["--quiet", "-q"]])


@every_command
def test_every_command_and_option_is_on_a_page(name: str) -> None:
    _, command = COMMANDS[name]
    assert name in WRITTEN
    missing = [option.opts for option in options_of(command) if not any(is_mentioned(flag) for flag in option.opts)]
    assert not missing


def is_mentioned(flag: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", WRITTEN) is not None
