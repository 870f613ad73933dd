"""Look at the thumbnails that nobody has looked at yet, and write the manifest."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice

from cropper.errors import CropperError
from cropper.imaging.placeholder import can_hash, placeholder_of
from cropper.ledger import manifest as ledger
from cropper.ledger.manifest import Manifest, Thumbnail
from cropper.ledger.state import State
from cropper.storage.places import Place

# Thumbnails that are looked at between two commits.
_AT_ONCE = 256


def write_manifest(manifest: Manifest, state: State, jobs: int, stop: Callable[[], bool]) -> None:
    """Write the manifest of all that the state knows. What was looked at is kept, so that it need not be read again.

    Args:
        manifest: where to, and with which URLs.
        state: of OUT, with the run at its end.
        jobs: threads that look at thumbnails, at least 1.
        stop: called again and again; True ends it, and leaves an earlier manifest as it is.

    Raises:
        OutputError: if it cannot be written.
        KeyboardInterrupt: if ``stop`` returned True.
    """
    ledger.begin(state)
    hashed = can_hash()
    with ThreadPoolExecutor(jobs, thread_name_prefix="cropper-manifest") as pool:
        files = (file for _, crops in ledger.photos_of(state) for file in ledger.unseen(crops, hashed))
        while some := [*islice(files, _AT_ONCE)]:
            for file, found in zip(some, pool.map(partial(_look, state.out, hashed), some), strict=True):
                if found is not None:
                    ledger.keep(state, file, *found)
            state.commit()
            if stop():
                raise KeyboardInterrupt
    ledger.write(manifest, state)


def _look(out: Place, hashed: bool, file: Thumbnail) -> tuple[str, str | None, int, int] | None:
    """Return what stands in for a thumbnail, its width and height; None if it cannot be read: its entry goes without."""
    try:
        return placeholder_of((out / file.output).read()[0], hashed)
    except (CropperError, OSError):
        return None
