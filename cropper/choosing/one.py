"""Choose one of several shapes for a photo: the one whose box keeps most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cropper.choosing.decide import Decision, decide
from cropper.choosing.focus import Focus
from cropper.choosing.view import View
from cropper.geometry import Box
from cropper.settings import WHOLE_SHARE, Choosing, Fit, Target

# What a box keeps counts as equal if it is so in the table, which shows four digits.
_DIGITS = 4


def decide_one(
    view: View,
    image_width: int,
    image_height: int,
    targets: Sequence[Target],
    choosing: Choosing,
    foci: Sequence[Focus | None],
) -> tuple[int, tuple[Decision, ...]]:
    """Decide how a photo fits the one of several shapes whose box keeps most.

    A shape with a good crop comes before one without. Then comes the box of which more holds: that it shows the subject whole,
    and that it cuts no head. Then the one that keeps more of the density. The first of equals wins.

    Where a focus is given by hand for some of the shapes, it is one of these. Of boxes around a box given by hand, the smallest
    wins: it is nearest to what was given.

    Args:
        view: what the photo shows.
        image_width, image_height: the upright original in pixels, at least 1.
        targets: the shapes, at least one.
        choosing: how to choose the boxes.
        foci: the focus given by hand for each shape, or None.

    Returns:
        The number of the shape, and its decision, or several candidates, the best first.

    Raises:
        PhotoError: if a focus is not inside the photo.
        UsageError: if a side of an aspect is below 1.
    """
    given = any(focus is not None for focus in foci)
    decided: dict[int, tuple[Decision, ...]] = {}
    worths: dict[int, tuple[bool, int, int, float]] = {}
    for number, (target, focus) in enumerate(zip(targets, foci, strict=True)):
        if given and focus is None:
            continue
        decisions = decide(view, image_width, image_height, target, choosing, focus)
        is_good = decisions[0].fit is Fit.CROP
        box = decisions[0].box
        if not is_good:
            # The whole photo keeps everything in every shape, so that the crops tell.
            plain = replace(choosing, min_kept=None, whole=None, candidates=1)
            box = decide(view, image_width, image_height, target, plain)[0].box
        area = box.width * box.height if focus is not None and focus.width is not None else 0
        decided[number], worths[number] = decisions, (is_good, -area, _wholes(box), round(box.kept, _DIGITS))
    best = max(worths, key=lambda number: worths[number])  # the first of equals
    return best, decided[best]


def _wholes(box: Box) -> int:
    """Return how many of two hold: the subject is whole, and no head is cut. What the model does not tell counts as whole."""
    return (box.subject_kept is None or box.subject_kept >= WHOLE_SHARE) + (not box.heads_cut)
