"""``--width``: several files of one crop."""

from __future__ import annotations

from collections.abc import Sequence

from cropper.cli.help import Heading, option
from cropper.cli.options.shared import is_outranked
from cropper.cli.options.types import MAX_SIDE, WholeNumber
from cropper.errors import UsageError
from cropper.geometry import aspect_ratio
from cropper.settings import Target

width_option = option(
    "--width",
    "widths",
    metavar="W",
    type=WholeNumber(1, MAX_SIDE),
    multiple=True,
    heading=Heading.MAKE,
    found=True,
    help="With --aspect, scale the crop to this width in pixels; repeatable. All widths of an aspect show the same crop.",
)


def with_widths(targets: Sequence[Target], widths: Sequence[int]) -> tuple[Target, ...]:
    """Return the targets with each aspect among them at each width, in the order given; those that have a size stay.

    The box is chosen once for all widths of an aspect: for the largest, so that zooming does not take pixels that it needs.

    Raises:
        UsageError: if no target is an aspect alone, or a height would be larger than a picture can be.
    """
    if not widths or is_outranked("widths", by="sizes"):
        return tuple(targets)
    if all(target.size for target in targets):
        raise UsageError("--width needs a shape", remedy="add one, as in --aspect 16:9 --width 640")
    found: dict[str, Target] = {}  # by its label: two aspects may give one size
    for target in targets:
        if target.size:
            found.setdefault(target.label, target)
            continue
        sizes = [(width, max(1, round(width / aspect_ratio(target.aspect)))) for width in widths]
        largest = max(sizes)
        if largest[1] > MAX_SIDE:
            what = f"--aspect {target.label} and --width {largest[0]} make a picture {largest[1]} pixels high"
            raise UsageError(what, remedy=f"stay below {MAX_SIDE + 1}")
        for size in sizes:
            one = Target(target.aspect, size, largest)
            found.setdefault(one.label, one)
    return tuple(found.values())
