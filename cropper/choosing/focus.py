"""Make boxes from points and boxes that you give by hand; they override the model.

A focus file is a CSV table with the columns ``path,x,y``, or ``path,x,y,width,height`` for boxes. An optional column ``size``
holds the label of the size or aspect that a row is for. Columns may come in any order, and other columns are ignored. Pixels are
those of the upright original, and ``ledger.focus_file`` makes them of shares. A ledger is a focus file too: it fixes its own
boxes. If several rows match a photo and size, the last one counts; a row for that size overrides a row for all sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

from cropper.choosing.boxes import box_at
from cropper.choosing.view import View
from cropper.errors import PhotoError
from cropper.geometry import Box, aspect_ratio, largest_size, placed


@dataclass(frozen=True)
class Focus:
    """A point in pixels of the upright original, or a box with ``x, y`` as its corner.

    Attributes:
        x, y: the point, or the left and top edge.
        width, height: of the box, at least 1; None for a point.
    """

    x: int
    y: int
    width: int | None = None
    height: int | None = None


def around(focus: Focus, view: View, image_width: int, image_height: int, aspect: tuple[int, int]) -> Box:
    """Return the box for a focus, with what it keeps and cuts of the view.

    Raises:
        PhotoError: if the focus is not inside the photo.
    """
    place, point = place_of(focus, image_width, image_height, aspect)
    return box_at(view, image_width, image_height, place, point)


def place_of(
    focus: Focus, image_width: int, image_height: int, aspect: tuple[int, int]
) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """Return the box ``(x, y, width, height)`` for a focus, and its focus point.

    A point gives the largest box of the aspect around it. A box that has the aspect, to within a pixel, stays unchanged. Any
    other box gives the smallest box of the aspect that holds it, or the largest box of the aspect if none holds it.

    Raises:
        PhotoError: if the focus is not inside the photo.
    """
    image = image_width, image_height
    x, y, width, height = focus.x, focus.y, focus.width or 1, focus.height or 1
    if x < 0 or y < 0 or x + width > image_width or y + height > image_height:
        what = f"the focus {','.join(str(n) for n in (x, y, focus.width, focus.height) if n is not None)} is not inside the photo"
        raise PhotoError(
            f"{what} of {image_width}x{image_height}",
            remedy="give another one; if it came from --focus, a row with empty x and y takes it back",
        )
    largest = largest_size(image_width, image_height, aspect)
    centre = x + width / 2, y + height / 2
    point = int(centre[0]), int(centre[1])
    if focus.width is None:
        return placed(centre, largest, image), point
    ratio = aspect_ratio(aspect)
    wanted = max(width, round(height * ratio)), max(height, round(width / ratio))
    if max(wanted[0] - width, wanted[1] - height) <= 1:
        return (x, y, width, height), point
    return placed(centre, largest if wanted[0] > largest[0] or wanted[1] > largest[1] else wanted, image), point
