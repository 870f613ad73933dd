"""The types of options: turn what a user writes into what the code takes.

On a wrong value, ``convert`` raises click's BadParameter, as click's own types do.
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cropper.cli.paths import LocalPath as LocalPath
from cropper.errors import UsageError
from cropper.image_formats import PHOTO_EXTENSIONS
from cropper.settings import FILLS, MOST_MARGIN

if TYPE_CHECKING:
    from cropper.ledger.given import Given
    from cropper.ledger.shards import Shard


# The most of what a user may ask for: enough for any use, and few enough that a slip of the hand is refused.
MOST_OF_ANYTHING = 1_000_000
MOST_JOBS = 4096
MOST_MEGAPIXELS = 10_000
MOST_SECONDS = 86_400


class WholeNumber(click.IntRange):
    """A whole number within limits."""

    def __init__(self, min: int, max: int = MOST_OF_ANYTHING) -> None:
        super().__init__(min, max)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a whole number."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not a whole number from {self.min} to {self.max}{self.otherwise(value)}.", param, ctx)

    def otherwise(self, value: Any) -> str:
        """Return what else is taken, for the message about a wrong value, or what the value may have meant."""
        return ""


class Jobs(WholeNumber):
    """How many workers run at once: a number, or ``auto`` or ``all``, which give ``ALL_CORES``."""

    ALL_CORES = 0

    def __init__(self) -> None:
        super().__init__(1, MOST_JOBS)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a number or ``auto``."""
        return self.ALL_CORES if str(value).lower() in ("auto", "all") else super().convert(value, param, ctx)

    def otherwise(self, value: Any) -> str:
        """Return the word that is taken."""
        return ", or auto for one for each core"


class Megapixels(WholeNumber):
    """A number of megapixels: ``150``, ``150MP`` or ``150M``."""

    def __init__(self) -> None:
        super().__init__(1, MOST_MEGAPIXELS)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a number with or without its unit."""
        match = re.fullmatch("([0-9]+) ?(mp|m|mpx|megapixels?)", str(value).lower())
        return super().convert(match[1] if match else value, param, ctx)

    def otherwise(self, value: Any) -> str:
        """Return the unit."""
        return " megapixels, such as 150"


def number_of(value: Any) -> float:
    """Return a number, written as ``0.5``, ``0,5`` or ``50%``; NaN for anything else."""
    text = str(value).strip()
    is_percent = text.endswith("%")
    text = re.sub("^([0-9]*),([0-9]+)$", r"\1.\2", text.removesuffix("%").rstrip())
    try:
        return float(text) / (100 if is_percent else 1)
    except ValueError:
        return math.nan


def _as_percent(value: Any) -> str:
    """Return what a number of percent without its sign may have meant, for the message about it, or nothing."""
    number = number_of(value)
    return (
        f"; for {number:g} percent write {number:g}%"
        if 1 < number <= 100 and number.is_integer() and "%" not in str(value)
        else ""
    )


_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1000, "m": 1_000_000, "mb": 1_000_000, "kib": 1 << 10, "mib": 1 << 20}
_BYTES = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?([a-z]*)", re.IGNORECASE | re.ASCII)


class Bytes(click.ParamType[int]):
    """A number of bytes, at least 1: ``100kB`` of 1000 bytes each, ``100KiB`` of 1024, in any case."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a number of bytes, rounded down."""
        match = _BYTES.fullmatch(str(value).strip())
        unit = _UNITS.get(match[2].lower()) if match is not None else None
        size = int(Fraction(match[1]) * unit) if match is not None and unit is not None else 0
        if size < 1:
            self.fail(f"{value!r} is not a number of bytes, as in 100kB, 0.1MB, 100KiB or 100000.", param, ctx)
        return size


class Amount(click.FloatRange):
    """How much of something, from 0."""

    def __init__(self, most: float) -> None:
        super().__init__(0, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read an amount."""
        try:
            amount = super().convert(value, param, ctx)
        except click.BadParameter:
            amount = -1.0
        if not amount >= 0:  # NaN too, which passes click's own check
            self.fail(f"{value!r} is not a number from 0 to {self.max:g}.", param, ctx)
        return amount


class Share(click.FloatRange):
    """A share of a whole: above 0, at most 1. ``60%`` is 0.6."""

    def __init__(self) -> None:
        super().__init__(0, 1, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a share."""
        share = number_of(value)
        if not 0 < share <= 1:  # NaN too
            self.fail(f"{value!r} is not a number above 0 and at most 1, such as 0.6 or 60%{_as_percent(value)}.", param, ctx)
        return share


class Margin(click.FloatRange):
    """The room on each side of the subject, as a share of the crop's side. ``5%`` is 0.05."""

    def __init__(self) -> None:
        super().__init__(0, MOST_MARGIN)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a share."""
        share = number_of(value)
        if not 0 <= share <= MOST_MARGIN:  # NaN too
            self.fail(f"{value!r} is not a number from 0 to {MOST_MARGIN}, such as 0.1 or 10%{_as_percent(value)}.", param, ctx)
        return share


_SECONDS_IN = {"": 1, "s": 1, "sec": 1, "seconds": 1, "m": 60, "min": 60, "minutes": 60, "h": 3600}


class Seconds(click.FloatRange):
    """A time in seconds, 0 or more. ``2m`` is 120."""

    def __init__(self) -> None:
        super().__init__(0, MOST_SECONDS)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a time."""
        match = re.fullmatch(f"([0-9]*[.,]?[0-9]+|[0-9]+\\.) ?({'|'.join(_SECONDS_IN)})", str(value).lower())
        seconds = number_of(match[1]) * _SECONDS_IN[match[2]] if match else math.inf
        if not seconds <= MOST_SECONDS:
            self.fail(f"{value!r} is not a number of seconds from 0 to {MOST_SECONDS}, such as 30 or 2m.", param, ctx)
        return seconds


class Choice(click.Choice[str]):
    """One of several words, in any case, or another name for one of them.

    Args:
        choices: the words, as help shows them.
        others: further names that users know, each with the word that it stands for.
    """

    def __init__(self, choices: Sequence[str], others: Mapping[str, str] | None = None) -> None:
        super().__init__(choices, case_sensitive=False)
        self._others = dict(others or {})

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read a word."""
        return super().convert(self._others.get(str(value).lower(), value), param, ctx)


class ShardType(click.ParamType["Shard"]):
    """One of several runs that share the photos, ``1/4`` or ``1 of 4``."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        """Read ``1/4``."""
        from cropper.ledger.shards import Shard

        if isinstance(value, Shard):
            return value
        match = re.fullmatch("([0-9]{1,6}) ?(?:/|of) ?([0-9]{1,6})", str(value))
        if match is None:
            self.fail(f"{value!r} is not the number of a shard and the number of all shards, as in 1/4.", param, ctx)
        try:
            return Shard(int(match[1]), int(match[2]))
        except UsageError as error:
            self.fail(f"{error}.", param, ctx)


class Named(click.ParamType[tuple[str, str]]):
    """A name and a file, ``sharp=boxes.csv``."""

    name = "NAME=FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Read ``sharp=boxes.csv``."""
        if isinstance(value, tuple):
            return value
        name, sign, file = str(value).partition("=")
        if not (name and sign and file):
            self.fail(f"{value!r} is not a name and a file, as in sharp=boxes.csv.", param, ctx)
        return name, file


MAX_SIDE = 16383  # what every output format can hold


class Where(click.Path):
    """A folder of this machine, or the URL of one in a storage, ``s3://bucket/photos``; or ``-``, if ``or_dash`` says so."""

    def __init__(self, exists: bool = False, dir_okay: bool = True, file_okay: bool = False, or_dash: bool = False) -> None:
        # An unreadable photo is not wrong usage: it fails, and the others go on.
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, readable=not or_dash, path_type=Path)
        self.or_dash = or_dash

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a path or a URL."""
        from cropper.storage.access import place
        from cropper.storage.urls import is_url, respelt

        if value == "-" and self.or_dash:
            return value
        if isinstance(value, str):
            if (right := respelt(value)) is not None:
                self.fail(f"{value!r} is not the URL of a storage; write {right}, or ./{value} for a path.", param, ctx)
            if is_url(value):
                return place(value)
        path: Any = super().convert(value, param, ctx)
        return place(path)


class Photo(LocalPath):
    """One photo of this machine. For a folder, the message names the command that takes one, ``for_folders``."""

    def __init__(self, for_folders: str, allow_dash: bool = False) -> None:
        super().__init__(exists=True, dir_okay=False, allow_dash=allow_dash)
        self._for_folders = for_folders

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a path."""
        if isinstance(value, str) and os.path.isdir(value):
            self.fail(f"{value!r} is a folder, and this command takes one photo; for a folder: {self._for_folders}.", param, ctx)
        return super().convert(value, param, ctx)


class Out(Where):
    """OUT, a folder that need not be there yet. A new one with a photo's name is refused: the user means a file."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a path or a URL."""
        from cropper.storage.urls import is_url

        is_name = isinstance(value, str) and os.path.splitext(value)[1].lower() in PHOTO_EXTENSIONS
        if is_name and not is_url(value) and not os.path.lexists(value):
            example = f"cropper crop PHOTO -o {shlex.quote(value)}"
            self.fail(f"{value!r} is the name of a photo; for one photo: {example}; for a folder: {value}/.", param, ctx)
        return super().convert(value, param, ctx)


class FileOrNone(LocalPath):
    """A file that is there, or ``none``, which gives None. ``./none`` is a file of this name."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a path, or ``none`` in any case."""
        if isinstance(value, str) and value.lower() == "none":
            return None
        if isinstance(value, str) and re.fullmatch("[0-9.]+[,:x ][0-9.]+", value) and not os.path.lexists(value):
            self.fail(f"{value!r} is not a file; a point goes into a CSV table, in a line below path,x,y.", param, ctx)
        return super().convert(value, param, ctx)


class Point(click.ParamType["Given"]):
    """A point in a photo, in pixels or shares, ``320,200`` or ``50%,25%``."""

    name = "X,Y"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Given:
        """Read ``320,200``."""
        from cropper.ledger.given import Given, point_of

        if isinstance(value, Given):
            return value
        try:
            return point_of(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class Zoomed(click.ParamType[float]):
    """The smallest zoomed box, as a share of the largest box's sides: ``auto``, ``0.5``, ``50%`` or ``0.5..1``."""

    name = "auto|MIN..1"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read ``auto``, as 0, or a share above 0."""
        if isinstance(value, float):
            return value
        text = str(value).lower()
        if text == "auto":
            return 0.0
        share = number_of(text.removesuffix("..1"))
        if not 0 < share <= 1:
            self.fail(
                f"{value!r} is neither auto nor a number above 0 and up to 1, such as 0.5 for half of the largest crop's sides.",
                param,
                ctx,
            )
        return share


class Pattern(click.ParamType[str]):
    """A pattern of files, as in a ``.gitignore``."""

    name = "PATTERN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read a pattern that can match something."""
        from cropper.storage.patterns import Patterns

        try:
            Patterns.of([str(value)])
        except UsageError as error:
            self.fail(f"{error}.", param, ctx)
        return str(value)


class Fill(click.ParamType[str]):
    """What padding is filled with: ``blur``, ``edge``, or a colour as CSS writes it, which becomes ``#rrggbb``."""

    name = "|".join((*FILLS, "COLOUR"))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read a fill, in any case."""
        text = str(value).lower()
        if text in FILLS:
            return text
        from PIL import ImageColor

        try:
            red, green, blue, *alpha = ImageColor.getrgb(text)
        except ValueError:
            meant = f"; if you mean #{text}, write '#{text}'" if re.fullmatch("[0-9a-f]{3}|[0-9a-f]{6}", text) else ""
            self.fail(f"{value!r} is neither {' nor '.join(FILLS)} nor a colour, as in white or '#336699'{meant}.", param, ctx)
        if alpha and alpha[0] < 255:
            self.fail(f"{value!r} is transparent, and padding is not; give a colour such as white or '#336699'.", param, ctx)
        return f"#{red:02x}{green:02x}{blue:02x}"
