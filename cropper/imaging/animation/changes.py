"""Tell which part of a frame differs from the one before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def changed_box(before: NDArray[np.uint8] | None, now: NDArray[np.uint8], even: bool = False) -> tuple[int, int, int, int]:
    """Return the left, upper, right and lower border of what has changed between two frames.

    Args:
        before: uint8 [h, w, channels], or None for nothing, so that all has changed.
        now: uint8 of the same shape.
        even: whether the left and the upper border must be even.

    Returns:
        At least one pixel, even if nothing has changed: a frame keeps its time.
    """
    height, width = now.shape[:2]
    if before is None:
        return 0, 0, width, height
    differs = (before != now).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not rows.size:
        return 0, 0, 1, 1
    left, upper = (int(side[0]) & ~1 if even else int(side[0]) for side in (columns, rows))
    return left, upper, int(columns[-1]) + 1, int(rows[-1]) + 1
