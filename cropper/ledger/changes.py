"""What a run says of a photo, and what the state holds of it."""

from __future__ import annotations

from cropper.ledger.table import Row
from cropper.storage.light import light_dataclass
from cropper.storage.places import UNKNOWN, Trace, Version


@light_dataclass(frozen=True)
class Change:
    """What became of one photo.

    Attributes:
        path: relative to IN.
        rows: its rows in the table, one per target.
        version: the photo as it was read; nothing of it is known if it was not.
        digest: of the photo's bytes, where they were asked for.
        late: the deadline in seconds that the photo exceeded; 0 if it did not.
        written: thumbnails by their paths in OUT, each as it was when it had been written.
    """

    path: str
    rows: tuple[Row, ...]
    version: Version = UNKNOWN
    digest: bytes = b""
    late: float = 0
    written: tuple[tuple[str, Trace], ...] = ()


@light_dataclass(frozen=True)
class Known:
    """What the state holds of a photo.

    Attributes:
        change: what became of it last; ``written`` holds the outputs of its rows.
        is_current: whether that was with the settings of this run.
        by_this_run: whether it was in this run, or in a killed process of it.
    """

    change: Change
    is_current: bool
    by_this_run: bool


def is_still(known: Known | None, now: Version | None) -> bool:
    """Whether a photo is as it was, as far as its version tells; not if nothing is known of it, then or now."""
    return known is not None and now is not None and known.change.version.is_still(now)
