"""When a watch walks over all of IN: rarely where the system tells what changes, and often where nobody does."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cropper.ledger.state import State
from cropper.settings import IGNORE_FILE
from cropper.storage.local import version_in
from cropper.storage.places import Version

# The least seconds between two rounds: where the system tells, and where it does not and you do not say.
BETWEEN_WALKS, POLL = 600.0, 2.0
# Rounds take at most 1 / RARELY of the time where the system tells, and 1 / OFTEN where it does not.
RARELY, OFTEN = 50, 10


class Rounds:
    """The walks over all of IN, each at its time.

    Args:
        root: the real path of the folder IN.
        poll: seconds between two rounds at least; None where the system tells what changes.

    Attributes:
        are_alone: whether nothing else finds what changes.
        next: when the next round is due, in seconds of ``time.monotonic``; infinity if none is planned.
        took: seconds that the round under way has taken so far.
    """

    def __init__(self, root: Path, poll: float | None) -> None:
        self.are_alone = poll is not None
        self._least, self._rarely = (BETWEEN_WALKS, RARELY) if poll is None else (poll, OFTEN)
        self._root = root
        self._folder, self._patterns = self._identity(), self._version_of_patterns()
        self.next, self.took = float("inf"), 0.0

    def plan(self, now: float) -> None:
        """Plan the round after the one that ends now."""
        self.next = now + max(self._least, self._rarely * self.took)
        self.took, self._folder = 0.0, self._identity()

    def is_same_folder(self) -> bool:
        """Whether IN is the folder that it was at the last round. Where a disk was mounted, another one is left."""
        return self._identity() == self._folder

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the time of the body as the round's, without that in which photos are made meanwhile."""
        begun = time.monotonic()
        yield
        self.took += time.monotonic() - begun

    def have_new_patterns(self) -> bool:
        """Whether nobody tells and the file with the patterns of what to leave out is another one than at the last round."""
        if not self.are_alone:
            return False
        before, self._patterns = self._patterns, self._version_of_patterns()
        return before != self._patterns

    def away(self, state: State) -> list[str]:
        """Return the photos that a walk did not find and nobody tells of. One that is replaced may be there again soon.

        There are none if IN is another folder than it was: a disk may not be mounted, and the end of the round looks into that.
        """
        if not self.are_alone or not self.is_same_folder():
            return []
        return [path for path in state.missing() if not os.path.lexists(self._root / path)]

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._root)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _version_of_patterns(self) -> Version | None:
        try:
            return version_in(os.stat(self._root / IGNORE_FILE))
        except OSError:
            return None
