"""The XMP sidecar of a photo, ``--sidecar xmp``: its crops, as its rows in the table say."""

from __future__ import annotations

from collections.abc import Iterable

from cropper.imaging.image_regions import Crop, sidecar
from cropper.ledger.shares import aspect_of, shape_of, shares_of
from cropper.ledger.table import OK, Row


def sidecar_of(rows: Iterable[Row], orientation: int) -> bytes | None:
    """Return the sidecar of a photo; None if it has no crop.

    Args:
        rows: of the photo, in the order of the table.
        orientation: EXIF orientation, 1-8, of the stored pixels.
    """
    good = [(row, found) for row in rows if row.status == OK and (found := shares_of(row)) is not None]
    if not good:
        return None
    crops: dict[str, Crop] = {}
    for row, found in good:
        shape, _ = shape_of(row.size)
        place = found.left, found.top, found.right, found.bottom
        number = "" if row.is_best else f" #{row.candidate}"
        name = aspect_of(row.size) + number
        if name in crops and crops[name].place != place:
            name = row.size + number
        crops.setdefault(name, Crop(name, shape, place))
    first = good[0][1]
    return sidecar([*crops.values()], (first.focus_left, first.focus_top), orientation)
