"""The types of options: what a user writes, turned into what the code takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cropper.errors import UsageError

if TYPE_CHECKING:
    from cropper.ledger.shards import Shard
if TYPE_CHECKING:
    pass
if TYPE_CHECKING:
    pass


class ShardType(click.ParamType["Shard"]):
    """One of several runs that share the photos, ``1/4``."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        """The shard a user wrote; click says what is wrong with it otherwise."""
        from cropper.ledger.shards import Shard

        if isinstance(value, Shard):
            return value
        match = re.fullmatch("([0-9]{1,6})/([0-9]{1,6})", str(value))
        if match is None:
            self.fail(f"{value!r} is not a shard's number and how many there are, as in 1/4.", param, ctx)
        try:
            return Shard(int(match[1]), int(match[2]))
        except UsageError as error:
            self.fail(f"{error}.", param, ctx)


class Named(click.ParamType[tuple[str, str]]):
    """A name and a file, ``sharp=boxes.csv``."""

    name = "NAME=FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The name and the file; click says what is wrong otherwise."""
        if isinstance(value, tuple):
            return value
        name, sign, file = str(value).partition("=")
        if not (name and sign and file):
            self.fail(f"{value!r} is not a name and a file as in sharp=boxes.csv", param, ctx)
        return name, file


MAX_SIDE = 16383  # what every output format can hold


class Where(click.Path):
    """A folder of this machine, or the URL of one in a storage, ``s3://bucket/photos``."""

    def __init__(self, exists: bool = False, dir_okay: bool = True, file_okay: bool = False) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The place a user wrote; click says what is wrong with a path otherwise."""
        from cropper.storage.access import place
        from cropper.storage.places import is_url

        if isinstance(value, str) and is_url(value):
            return place(value)
        path: Any = super().convert(value, param, ctx)
        return place(path)


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


class Zoomed(click.ParamType[float]):
    """How small a zoomed box may be, of the largest one's sides: ``auto`` or ``0.5`` or ``0.5..1``."""

    name = "auto|MIN..1"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The smallest share, 0 for ``auto``; click says what is wrong otherwise."""
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
            self.fail(f"{value!r} is neither auto nor a share of the largest crop's sides, as in 0.5..1.", param, ctx)
        return share


class Fill(click.ParamType[str]):
    """What photos are padded with: ``blur``, ``edge``, or a colour by its CSS name or number, which becomes ``#rrggbb``."""

    name = "blur|edge|COLOUR"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The fill in lower case; click says what is wrong otherwise."""
        text = str(value).lower()
        if text in ("blur", "edge"):
            return text
        from PIL import ImageColor

        try:
            red, green, blue = ImageColor.getrgb(text)[:3]
        except ValueError:
            self.fail(f"{value!r} is neither blur nor edge nor a colour, as in white or #336699.", param, ctx)
        return f"#{red:02x}{green:02x}{blue:02x}"
