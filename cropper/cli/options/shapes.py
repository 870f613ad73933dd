"""The types of ``--size`` and ``--aspect``. Each takes what people write for it, and else says what it takes."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import click

from cropper.cli.options.types import MAX_SIDE, number_of

Sides = tuple[int, int]

# A ratio with a point, such as 1.91, becomes the nearest one of whole numbers with at most this much below the line.
_MOST_BELOW = 1000
_TIMES = "x*\N{MULTIPLICATION SIGN}"
_NUMBER = "[0-9]{1,6}(?:[.,][0-9]{1,9})?"


class Size(click.ParamType[Sides]):
    """Width and height in pixels: ``640x360``, and also ``640*360`` or ``640 x 360px``."""

    name = "WxH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Sides:
        """Read ``640x360``."""
        if isinstance(value, tuple):
            return value
        text = str(value).lower().strip()
        match = re.fullmatch(f"([0-9]{{1,5}}) ?[{_TIMES}] ?([0-9]{{1,5}}) ?(?:px)?", text)
        if match is not None and all(1 <= int(side) <= MAX_SIDE for side in match.groups()):
            return int(match[1]), int(match[2])
        meant = ""
        if (one := re.fullmatch("([0-9]{1,5})(?:px|x)?", text)) is not None:
            has_width = ctx is not None and any("--width" in param.opts for param in ctx.command.params)
            meant = f"; for a square write {one[1]}x{one[1]}" + (
                f", for a width and a shape --aspect 16:9 --width {one[1]}" if has_width else ""
            )
        elif (shape := re.fullmatch(f"({_NUMBER})[:/]({_NUMBER})", text)) is not None:
            meant = f"; for a shape without a size write --aspect {shape[1]}:{shape[2]}"
        self.fail(
            f"{value!r} is not WxH in whole numbers from 1 to {MAX_SIDE}, such as 640x360{meant}.",
            param,
            ctx,
        )


class Aspect(click.ParamType[Sides]):
    """A shape: ``16:9``, and also ``16/9``, ``16x9``, ``1.91:1`` or ``1.91``."""

    name = "W:H"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Sides:
        """Read ``16:9``. Whole numbers stay as they are; ``1.91:1`` becomes ``191:100``."""
        if isinstance(value, tuple):
            return value
        text = str(value).lower().strip()
        match = re.fullmatch(f"({_NUMBER}) ?[:/{_TIMES}] ?({_NUMBER})", text) or re.fullmatch(f"({_NUMBER})", text)
        sides = self._sides(*match.groups()) if match is not None and (match.lastindex == 2 or "." in text) else (0, 0)
        if not all(1 <= side <= MAX_SIDE for side in sides):
            meant = f"; for a square write 1:1, for pixels --size {text}x{text}" if text.isascii() and text.isdigit() else ""
            self.fail(f"{value!r} is not W:H in numbers from 1 to {MAX_SIDE}, such as 16:9 or 1.91:1{meant}.", param, ctx)
        return sides

    @staticmethod
    def _sides(width: str, height: str = "1") -> Sides:
        if width.isdigit() and height.isdigit():
            return int(width), int(height)
        across, down = Fraction(str(number_of(width))), Fraction(str(number_of(height)))
        if not across or not down:
            return 0, 0
        ratio = (across / down).limit_denominator(_MOST_BELOW)
        return ratio.numerator, ratio.denominator
