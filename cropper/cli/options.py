"""What several commands share: exit codes, ``--size`` and ``--aspect``, and how they speak."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from cropper.errors import printable

if TYPE_CHECKING:
    from cropper.boxes import Target

SOME_FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130  # exit codes
DEFAULT_SIZE = (640, 360)
MAX_SIDE = 16383  # what every output format can hold


class Pair(click.ParamType[tuple[int, int]]):
    """Two whole numbers joined by a sign, ``640x360`` or ``16:9``."""

    def __init__(self, name: str, sign: str, example: str) -> None:
        self.name, self.sign, self.example = name, sign, example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """The pair a user wrote; click says what is wrong with it otherwise."""
        if isinstance(value, tuple):
            return value
        numbers = str(value).lower().split(self.sign)
        if len(numbers) != 2 or not all(re.fullmatch("[0-9]{1,5}", n) and 1 <= int(n) <= MAX_SIDE for n in numbers):
            self.fail(f"{value!r} is not two whole numbers from 1 to {MAX_SIDE}, as in {self.example}.", param, ctx)
        return int(numbers[0]), int(numbers[1])


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--size`` and ``--aspect``, the same in every command that takes them."""
    size = click.option(
        "--size",
        "sizes",
        type=Pair("WxH", "x", "640x360"),
        metavar="WxH",
        multiple=True,
        help="Pixels of the thumbnail; repeatable.  [default: 640x360]",
    )
    return size(aspect_option("Shape of the crop, at the photo's own pixels; repeatable.")(command))


def aspect_option(help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--aspect`` alone, with what it means to the command."""
    return click.option("--aspect", "aspects", type=Pair("W:H", ":", "16:9"), metavar="W:H", multiple=True, help=help)


def jobs_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--jobs``, the same in every command that works on many photos."""
    help = "Worker threads.  [default: the cores this process may use]"
    return click.option("--jobs", "-j", type=click.IntRange(1), default=usable_cores, help=help)(command)


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What thumbnails to make and how, the same in every command that makes some: ``settings`` to the command."""

    @functools.wraps(command)
    def with_settings(
        *,
        sizes: tuple[tuple[int, int], ...],
        aspects: tuple[tuple[int, int], ...],
        format: str,
        quality: int | None,
        enlarge: bool,
        **others: Any,
    ) -> Any:
        from cropper.pipeline import Settings

        return command(settings=Settings(targets_of(sizes, aspects), format, quality, enlarge), **others)

    decorated: Callable[..., Any] = with_settings
    for option in (
        click.option("--enlarge", is_flag=True, help="Enlarge photos smaller than the size, rather than crop them at their own."),
        click.option("--quality", type=click.IntRange(1, 100), help="Of JPEG, WebP and AVIF.  [default: 85, 80, 65]"),
        click.option(
            "--format",
            type=click.Choice(["keep", "jpg", "png", "webp", "avif"]),
            default="keep",
            show_default=True,
            help="Of the thumbnails. TIFF, BMP and GIF photos are kept as PNG.",
        ),
    ):
        decorated = option(decorated)
    return target_options(decorated)


def usable_cores() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def targets_of(sizes: Sequence[tuple[int, int]], aspects: Sequence[tuple[int, int]]) -> tuple[Target, ...]:
    """The targets asked for, each once, in the order given, sizes first; the default where none is."""
    from cropper.boxes import Target

    if is_outranked("sizes", by="aspects"):
        sizes = ()
    elif is_outranked("aspects", by="sizes"):
        aspects = ()
    asked = [Target(size, size) for size in sizes] + [Target(aspect) for aspect in aspects]
    return tuple(dict.fromkeys(asked or [Target(DEFAULT_SIZE, DEFAULT_SIZE)]))


def is_outranked(name: str, by: str) -> bool:
    """Whether a parameter of the running command is from farther away than another that says the same in another way.

    Someone who writes ``--aspect`` on the command line does not mean the ``size`` of a configuration as well.
    """
    ctx = click.get_current_context(silent=True)
    if ctx is None:
        return False
    source, other = ctx.get_parameter_source(name), ctx.get_parameter_source(by)
    return source is not None and other is not None and source > other  # click has them from near to far


def say(message: str) -> None:
    """One line to the user, on stderr."""
    click.echo(f"cropper: {printable(message)}", err=True)
