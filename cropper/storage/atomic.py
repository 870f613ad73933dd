"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path, temporary: Path) -> Iterator[Path]:
    """Give a temporary file to write, and put it in another file's place when the body ends well.

    Args:
        path: the file.
        temporary: on the same file system, and nobody else's meanwhile. Its name is not made from the other's, which may be as
            long as names can be.

    Raises:
        OSError: if it cannot take the file's place.
    """
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # a full disk needs the room, and why it failed matters more
            temporary.unlink(missing_ok=True)
        raise
