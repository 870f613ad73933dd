"""Decide how a photo fits each shape: choose the box, and pad, centre or skip the photo if no crop is good."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cropper.choosing.boxes import best_box, box_at, outside
from cropper.choosing.focus import Focus, around, place_of
from cropper.choosing.view import View, is_flat
from cropper.choosing.zoom import best_place, smallest_size, tightest
from cropper.geometry import Box, central_place, largest_size, placed
from cropper.settings import DONE, WHOLE_SHARE, Choosing, Fit, Target, Whole

# The ledger's message for a box that you give by hand.
BY_HAND = "focus given"
# What stands between two notes in one message.
AND = "; "
# Why a photo has no thumbnail of a candidate.
NO_FURTHER = "the photo has no further crop that differs"
ONE_BY_HAND = "the focus given is for one crop alone"
# A photo counts as whole if its crop lacks no more than this on a side, in pixels: sizes are rounded to whole ones.
_LACKING = 1
# Shares of the density add up to 1 only about so closely.
_ROUNDING = 1e-6
# A further candidate shows at least this share of the density that the earlier candidates do not show.
NEW_SHARE = 0.05
# It overlaps each of them by at most this share of its area.
MOST_OVERLAP = 0.5


@dataclass(frozen=True)
class Decision:
    """How a photo fits one shape.

    Attributes:
        box: the visible part of the photo, in pixels of the upright original; for a skipped photo, the best crop.
        fit: how that part fits into the shape.
        note: the ledger's message, or empty.
    """

    box: Box
    fit: Fit = Fit.CROP
    note: str = ""


def is_by_hand(message: str) -> bool:
    """Whether a message of the ledger says that the box is given by hand, alone or before other notes."""
    return message.partition(AND)[0] == BY_HAND


def decide(
    view: View,
    image_width: int,
    image_height: int,
    target: Target,
    choosing: Choosing,
    focus: Focus | None = None,
) -> tuple[Decision, ...]:
    """Decide how a photo fits one shape.

    Args:
        view: what the photo shows.
        image_width, image_height: the upright original in pixels, at least 1.
        target: the shape.
        choosing: how to choose the boxes.
        focus: the focus given by hand, which overrides what the photo shows, or None.

    Returns:
        One decision, or several candidates, the best first. They depend on the target's shape alone, not on its size beside that.

    Raises:
        PhotoError: if the focus is not inside the photo.
        UsageError: if a side of the aspect is below 1.
    """
    target = target.shape
    if focus is not None:
        return (Decision(around(focus, view, image_width, image_height, target.aspect), note=BY_HAND),)
    boxes = _candidates(view, image_width, image_height, target, choosing)
    why = _fault(boxes[0], (image_width, image_height), view, choosing)
    if not why:
        return tuple(Decision(box) for box in boxes)
    if choosing.zoom is not None:
        # What is too close may be good from further away.
        further = _candidates(view, image_width, image_height, target, replace(choosing, zoom=None))
        if not _fault(further[0], (image_width, image_height), view, choosing):
            return tuple(Decision(box) for box in further)
    instead = _instead(boxes[0], view, image_width, image_height, target, choosing)
    return (Decision(instead, choosing.otherwise, f"{DONE[choosing.otherwise]}: {why}"),)


def _fault(best: Box, image: tuple[int, int], view: View, choosing: Choosing) -> str:
    """Return why the best crop of a photo of this width and height is not good, or nothing if it is."""
    if choosing.whole is Whole.PHOTO and max(image[0] - best.width, image[1] - best.height) > _LACKING:
        return "the photo has another shape"
    if choosing.min_kept is not None:
        if view.is_flat:
            return "nothing stands out"
        if best.kept < choosing.min_kept - _ROUNDING:
            return f"no crop keeps {choosing.min_kept:g}, the best keeps {best.kept:.2f}"
    if choosing.whole in (Whole.HEADS, Whole.SUBJECT) and best.heads_cut:
        return f"every crop cuts a head, the best {best.heads_cut}" if best.heads_cut > 1 else "every crop cuts a head"
    if choosing.whole is Whole.SUBJECT and best.subject_kept is not None and best.subject_kept < WHOLE_SHARE:
        return f"no crop shows the whole subject, the best {best.subject_kept:.2f} of it"
    return ""


def smallest_box(
    image_width: int, image_height: int, target: Target, choosing: Choosing, focus: Focus | None = None
) -> tuple[int, int]:
    """Return the width and height of the smallest box that ``decide`` can choose for any photo.

    Arguments and errors are those of ``decide``.
    """
    if focus is not None:
        (_, _, width, height), _ = place_of(focus, image_width, image_height, target.aspect)
        return width, height
    largest = largest_size(image_width, image_height, target.aspect)
    return largest if choosing.zoom is None else smallest_size(largest, target.shape.size, choosing.zoom)


def _instead(best: Box, view: View, image_width: int, image_height: int, target: Target, choosing: Choosing) -> Box:
    """Return the visible part of a photo without a good crop."""
    if choosing.otherwise is Fit.CENTRE:
        return box_at(view, image_width, image_height, central_place(image_width, image_height, target.aspect))
    if choosing.otherwise is Fit.SKIP:
        return best
    return box_at(view, image_width, image_height, (0, 0, image_width, image_height), best.focus)


def _candidates(view: View, image_width: int, image_height: int, target: Target, choosing: Choosing) -> list[Box]:
    """Return the best box, then further boxes of its size by the density they keep.

    Each further box is the best for the density that the boxes before it do not show.
    """
    image = image_width, image_height
    zoom = choosing.zoom
    if zoom is None:
        best = best_box(view, *image, target.aspect, choosing.weights)
    else:
        best = tightest(view, *image, target, zoom, choosing.weights)
    if choosing.candidates == 1:
        return [best]
    remaining, found = view.mass, [best]
    while len(found) < choosing.candidates and not is_flat(view.mass):
        remaining = outside(remaining, *image, found[-1])
        shown, centre = best_place(remaining, image, (best.width, best.height))
        box = box_at(view, *image, placed(centre, (best.width, best.height), image))
        if shown < NEW_SHARE or any(_overlap(box, other) > MOST_OVERLAP for other in found):
            break
        found.append(box)
    return [best, *sorted(found[1:], key=lambda box: -box.kept)]


def _overlap(one: Box, other: Box) -> float:
    """Return the share of their area that two boxes of equal size have in common, 0..1."""
    across = min(one.x, other.x) + one.width - max(one.x, other.x)
    down = min(one.y, other.y) + one.height - max(one.y, other.y)
    return max(0, across) * max(0, down) / (one.width * one.height)
