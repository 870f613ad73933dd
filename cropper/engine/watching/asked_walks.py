"""The walks that a watch is to do, each at its time."""

from __future__ import annotations

# With more walks than this, one walk over all of IN replaces them.
_MANY = 500


class AskedWalks:
    """Walks over folders, in the order in which they are due. A second request for a walk replaces the first."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, bool, bool], float] = {}  # folder, whether all below it, and whether later -> when

    def ask(self, folder: str, deep: bool, at: float, later: bool = False) -> None:
        """Ask for a walk over a folder, and over all below it if it is to be deep.

        Args:
            folder: relative to IN.
            deep: whether all below it counts.
            at: when, in seconds of ``time.monotonic``.
            later: whether it comes beside one that is sooner.
        """
        if len(self._at) > _MANY:
            self._at.clear()
            folder, deep = "", True
        self._at[folder, deep, later] = at

    def next(self, now: float) -> tuple[str, bool] | None:
        """Take the next walk that is due, its folder and whether it is deep; None if there is none."""
        key = min(self._at, key=lambda key: self._at[key], default=None)
        if key is None or self._at[key] > now:
            return None
        del self._at[key]
        return key[:2]

    def soonest(self) -> float:
        """When the next walk is due; infinity if there is none."""
        return min(self._at.values(), default=float("inf"))
