"""What a user asks of the boxes, as the command line and Python take it, to how they are chosen. Does not load numpy."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from cropper.errors import UsageError
from cropper.settings import DEFAULT_MIN_KEPT, MOST_TARGET, MOST_WEIGHT, TARGETS, Choosing, Fit, Weights, Whole, Zoom

WEIGHT_NAMES = tuple(field.name for field in fields(Weights))


def choosing_of(
    zoom: float | None = None,
    zoom_keep: float | None = None,
    margin: float | None = None,
    min_kept: float | None = None,
    whole: str | None = None,
    otherwise: str | None = None,
) -> Choosing:
    """Return how boxes are chosen where a user asks for some of this, and leaves the rest, None, to the defaults.

    Args:
        zoom: the smallest box, as a share of the largest one's sides, 0..1; 0 for ``auto``.
        zoom_keep: the share of the density that a tightened box keeps, 0..1. It has no effect without ``zoom``.
        margin: the room around the subject as a share of the box's side. It has no effect without ``zoom``.
        min_kept: the share of the density that a good crop keeps, 0..1.
        whole: one of ``Whole``.
        otherwise: one of ``OTHERWISE``. Alone, it asks for ``DEFAULT_MIN_KEPT``.
    """
    if otherwise is not None and min_kept is None and whole is None:
        min_kept = DEFAULT_MIN_KEPT
    share = zoom_keep if min_kept is None else max(zoom_keep or 0.0, min_kept)
    return Choosing(
        zoom=None if zoom is None else Zoom(zoom, share, Zoom.margin if margin is None else margin),
        min_kept=min_kept,
        otherwise=Fit(otherwise) if otherwise else Choosing.otherwise,
        whole=Whole(whole) if whole else None,
    )


def weights_of(values: Mapping[str, Any], where: str = "", **said: Any) -> Weights:
    """Return the weights that a user gives by their names; those left out have their defaults.

    Args:
        values: the weights.
        where: where they are, for messages, with a space before it.
        said: what else an error says: its path, and the remedy for a wrong number.

    Raises:
        UsageError: if a weight is not known, or not a number in its range.
    """
    for name, value in values.items():
        if name not in WEIGHT_NAMES:
            raise UsageError(f"{name!r}{where} is not one of {', '.join(WEIGHT_NAMES)}", path=said.get("path"))
        most = MOST_TARGET if name in TARGETS else MOST_WEIGHT
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            what = f"{name!r}{where} cannot be {reprlib.repr(value)}: it must be a number from 0 to {most:g}"
            raise UsageError(what, **said)
    return Weights(**{name: float(value) for name, value in values.items()})
