"""The types of options: turn what a user writes into what the code takes.

On a wrong value, ``convert`` raises click's BadParameter, as click's own types do.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cropper.errors import UsageError
from cropper.settings import FILLS, MOST_MARGIN

if TYPE_CHECKING:
    from cropper.ledger.focus_file import Given
    from cropper.ledger.shards import Shard


class WholeNumber(click.IntRange):
    """A whole number within limits."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a whole number."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            limit = f" to {self.max}" if self.max is not None else ""
            self.fail(f"{value!r} is not a whole number from {self.min}{limit}.", param, ctx)


class Share(click.FloatRange):
    """A share of a whole: above 0, at most 1."""

    def __init__(self) -> None:
        super().__init__(0, 1, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a share."""
        try:
            share = super().convert(value, param, ctx)
        except click.BadParameter:
            share = 0.0
        if not share > 0:  # NaN too, which passes click's own check
            self.fail(f"{value!r} is not a number above 0 and at most 1.", param, ctx)
        return share


class Margin(click.FloatRange):
    """The room on each side of the subject, as a share of the crop's side."""

    def __init__(self) -> None:
        super().__init__(0, MOST_MARGIN)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a share."""
        try:
            share = super().convert(value, param, ctx)
        except click.BadParameter:
            share = -1.0
        if not share >= 0:  # NaN too, which passes click's own check
            self.fail(f"{value!r} is not a number from 0 to {MOST_MARGIN}.", param, ctx)
        return share


class Seconds(click.FloatRange):
    """A time in seconds, 0 or more."""

    def __init__(self) -> None:
        super().__init__(0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a time."""
        try:
            seconds = super().convert(value, param, ctx)
        except click.BadParameter:
            seconds = math.inf
        if not math.isfinite(seconds):  # NaN passes click's own check
            self.fail(f"{value!r} is not a number of seconds from 0.", param, ctx)
        return seconds


class ShardType(click.ParamType["Shard"]):
    """One of several runs that share the photos, ``1/4``."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        """Read ``1/4``."""
        from cropper.ledger.shards import Shard

        if isinstance(value, Shard):
            return value
        match = re.fullmatch("([0-9]{1,6})/([0-9]{1,6})", str(value))
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


class LocalPath(click.Path):
    """A path of this machine, as a ``Path``. A URL is refused: it would be a folder with the name of the scheme."""

    def __init__(self, exists: bool = False, dir_okay: bool = True, file_okay: bool = True, allow_dash: bool = False) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, allow_dash=allow_dash, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a path."""
        from cropper.storage.places import is_url, respelt

        if isinstance(value, str) and (is_url(value) or respelt(value) is not None) and not os.path.lexists(value):
            self.fail(f"{value!r} is not a path of this machine; write ./{value} if it is one.", param, ctx)
        return super().convert(value, param, ctx)


class Where(click.Path):
    """A folder of this machine, or the URL of one in a storage, ``s3://bucket/photos``; or ``-``, if ``or_dash`` says so."""

    def __init__(self, exists: bool = False, dir_okay: bool = True, file_okay: bool = False, or_dash: bool = False) -> None:
        # An unreadable photo is not wrong usage: it fails, and the others go on.
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, readable=not or_dash, path_type=Path)
        self.or_dash = or_dash

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a path or a URL."""
        from cropper.storage.access import place
        from cropper.storage.places import is_url, respelt

        if value == "-" and self.or_dash:
            return value
        if isinstance(value, str):
            if (right := respelt(value)) is not None:
                self.fail(f"{value!r} is not the URL of a storage; write {right}, or ./{value} for a path.", param, ctx)
            if is_url(value):
                return place(value)
        path: Any = super().convert(value, param, ctx)
        return place(path)


class FileOrNone(LocalPath):
    """A file that is there, or ``none``, which gives None. ``./none`` is a file of this name."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a path, or ``none`` in any case."""
        if isinstance(value, str) and value.lower() == "none":
            return None
        return super().convert(value, param, ctx)


class Pair(click.ParamType[tuple[int, int]]):
    """Two whole numbers joined by a sign, ``640x360`` or ``16:9``."""

    def __init__(self, name: str, sign: str, example: str) -> None:
        self.name, self.sign, self.example = name, sign, example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Read ``640x360``."""
        if isinstance(value, tuple):
            return value
        numbers = str(value).lower().split(self.sign)
        if len(numbers) != 2 or not all(re.fullmatch("[0-9]{1,5}", n) and 1 <= int(n) <= MAX_SIDE for n in numbers):
            self.fail(f"{value!r} is not {self.name} in whole numbers from 1 to {MAX_SIDE}, such as {self.example}.", param, ctx)
        return int(numbers[0]), int(numbers[1])


class Point(click.ParamType["Given"]):
    """A point in a photo, in pixels or shares, ``320,200`` or ``50%,25%``."""

    name = "X,Y"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Given:
        """Read ``320,200``."""
        from cropper.ledger.focus_file import Given, point_of

        if isinstance(value, Given):
            return value
        try:
            return point_of(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class Zoomed(click.ParamType[float]):
    """The smallest zoomed box, as a share of the largest box's sides: ``auto``, ``0.5`` or ``0.5..1``."""

    name = "auto|MIN..1"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read ``auto``, as 0, or a share above 0."""
        if isinstance(value, float):
            return value
        text = str(value).lower()
        if text == "auto":
            return 0.0
        try:
            share = float(text.removesuffix("..1"))
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            self.fail(f"{value!r} is neither auto nor a number above 0 and up to 1, such as 0.5.", param, ctx)
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
            red, green, blue = ImageColor.getrgb(text)[:3]
        except ValueError:
            self.fail(f"{value!r} is neither {' nor '.join(FILLS)} nor a colour, as in white or #336699.", param, ctx)
        return f"#{red:02x}{green:02x}{blue:02x}"
