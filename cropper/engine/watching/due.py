"""Paths to look at, each at its time, and whether what is there has been as it is for a while."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

# Seconds after which a file that nobody writes to counts as whole, and a missing one as gone.
QUIET = 1.0

# Size and modification time of a file, or None if it is away.
_Look = tuple[int, int] | None


class Due:
    """Paths to look at, in the order in which they are due."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []  # also holds times that do not count any more
        self._seen: dict[str, tuple[_Look, float]] = {}  # path -> what was there, and since when

    def __contains__(self, path: str) -> bool:
        return path in self._at

    def __iter__(self) -> Iterator[str]:
        return iter(self._at)

    def ask(self, path: str, at: float = 0.0) -> None:
        """Ask for a look at a path, now or at a later time. This replaces an earlier request for the path."""
        self._at[path] = at
        heappush(self._heap, (at, path))

    def next(self, now: float) -> str | None:
        """Take the next path that is due; None if there is none."""
        while self._heap and self._heap[0][0] <= now:
            at, path = heappop(self._heap)
            if self._at.get(path) == at:
                del self._at[path]
                return path
        return None

    def soonest(self) -> float:
        """When the next path is due, or before; infinity if there is none."""
        return self._heap[0][0] if self._heap else float("inf")

    def is_long_so(self, path: str, look: _Look, now: float) -> bool:
        """Whether what is at a path has been as it is for a while; else ask for another look when it has."""
        before, since = self._seen.get(path, (look, now))
        since = since if before == look else now
        if now - since >= QUIET:
            self._seen.pop(path, None)
            return True
        self._seen[path] = look, since
        self.ask(path, since + QUIET)
        return False

    def forget(self, path: str) -> None:
        """Forget what was at a path."""
        self._seen.pop(path, None)
