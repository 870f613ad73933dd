"""What is asked for in Python, checked and turned into the settings of the command line."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, TypedDict

from PIL import ImageColor

from cropper.choosing.asked import choosing_of
from cropper.choosing.focus import Focus
from cropper.errors import UsageError
from cropper.geometry import aspect_ratio
from cropper.settings import DEFAULT_TARGET, FILLS, MOST_MARGIN, OTHERWISE, Limits, Settings, Target, Weights, Whole

Pair = tuple[int, int]


class Asked(TypedDict, total=False):
    """How to choose, as the command's options of these names say. What is left out, or None, has the command's default.

    Attributes:
        zoom: how far to tighten the box: ``"auto"`` down to the subject and its margin, or no further than a share of the largest
            box's sides, above 0 and at most 1. By default the box is the largest.
        margin: with ``zoom``, the room around the subject as a share of the box's side, 0..0.45.
        zoom_keep: with ``zoom``, the share of the density that the box keeps at least, above 0 and at most 1.
        whole: call a crop good only if it cuts no head (``"heads"``), neither a head nor the subject (``"subject"``), or nothing
            of the photo (``"photo"``).
        min_kept: call a crop good only if it keeps this share of the density, above 0 and at most 1.
        otherwise: what to do where no crop is good.
        faces_from_metadata: whether the faces that are marked in a file's XMP count as heads. Arrays and PIL images have none.
    """

    zoom: float | Literal["auto"] | None
    margin: float | None
    zoom_keep: float | None
    whole: Literal["heads", "subject", "photo"] | None
    min_kept: float | None
    otherwise: Literal["pad", "center", "keep", "skip"] | None
    faces_from_metadata: bool | None


def settings_of(
    aspects: Sequence[Pair], sizes: Sequence[Pair], one: bool, limits: Limits, weights: Weights, asked: Asked, **others: Any
) -> Settings:
    """Return the settings that a call asks for. Raises UsageError for what makes no sense."""
    wanted = [Target(pair, pair) for pair in map(_pair, sizes)] + [Target(_pair(aspect)) for aspect in aspects]
    unknown = set(asked) - set(Asked.__annotations__)
    if unknown:
        raise TypeError(f"got an unexpected keyword argument {min(unknown)!r}")
    zoom = asked.get("zoom")
    margin, zoom_keep = asked.get("margin"), asked.get("zoom_keep")
    whole, otherwise = asked.get("whole"), asked.get("otherwise")
    for name, value in (("margin", margin), ("zoom_keep", zoom_keep)):
        if value is not None and zoom is None:
            raise UsageError(f"{name} says how to zoom, and nothing asks for zoom", remedy="add zoom='auto'")
    if isinstance(zoom, str) and zoom != "auto":
        raise UsageError(f"zoom is {zoom!r}", remedy="give 'auto', or a number above 0 and at most 1")
    _check_one_of("whole", whole, [one.value for one in Whole])
    _check_one_of("otherwise", otherwise, [one.value for one in OTHERWISE])
    choosing = choosing_of(
        0.0 if isinstance(zoom, str) else _share("zoom", zoom),
        _share("zoom_keep", zoom_keep),
        _share("margin", margin, MOST_MARGIN, with_zero=True),
        _share("min_kept", asked.get("min_kept")),
        whole,
        otherwise,
    )
    choosing = replace(choosing, weights=weights, faces_from_metadata=bool(asked.get("faces_from_metadata")))
    return Settings(tuple(wanted or [DEFAULT_TARGET]), choosing=choosing, limits=limits, one=one, **others)


def _pair(pair: Sequence[int]) -> Pair:
    """Return an aspect or a size as whole numbers from 1. Raises UsageError."""
    try:
        width, height = map(operator.index, pair)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{pair!r} is not an aspect or a size", remedy="give two whole numbers, such as (16, 9)") from error
    aspect_ratio((width, height))
    return width, height


def focus_of(focus: Sequence[int] | None) -> Focus | None:
    """Return the point or the box to crop around. Raises UsageError if it is neither."""
    if focus is None:
        return None
    try:
        numbers = [operator.index(number) for number in focus]
    except TypeError:
        numbers = []
    if len(numbers) not in (2, 4) or min(numbers[2:], default=1) < 1:
        remedy = "give (x, y) or (x, y, width, height) in whole pixels of the upright photo"
        raise UsageError(f"the focus {focus!r} is neither a point nor a box", remedy=remedy)
    return Focus(*numbers)


def _share(name: str, value: float | None, most: float = 1.0, with_zero: bool = False) -> float | None:
    """Return a share. Raises UsageError if it is out of its range."""
    if value is None:
        return None
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = math.nan
    if not (0 <= share <= most and (share > 0 or with_zero)):
        remedy = f"give a number from 0 to {most:g}" if with_zero else f"give a number above 0 and at most {most:g}"
        raise UsageError(f"{name} is {value!r}", remedy=remedy)
    return share


def _check_one_of(name: str, value: str | None, choices: Sequence[str]) -> None:
    if value is not None and value not in choices:
        raise UsageError(f"{name} is {value!r}", remedy=f"give one of {', '.join(choices)}")


def fill_of(fill: str) -> str:
    """Return what padding is filled with, a colour as ``#rrggbb``. Raises UsageError."""
    if fill in FILLS:
        return fill
    try:
        red, green, blue = ImageColor.getrgb(fill)[:3]
    except (AttributeError, ValueError) as error:
        remedy = f"give {', '.join(FILLS)} or a colour such as white or #336699"
        raise UsageError(f"pad_with is {fill!r}", remedy=remedy) from error
    return f"#{red:02x}{green:02x}{blue:02x}"
