"""Write a file completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path, temporary: Path) -> Iterator[Path]:
    """Yield a temporary file to write, and move it to a path if the body ends without an error; else remove it.

    Args:
        path: the file to write or replace.
        temporary: the temporary file, on the same file system. Nobody else may use it meanwhile. The caller names it, because
            a name made from ``path`` could be too long.

    Raises:
        OSError: if it cannot be moved.
    """
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # a full disk needs the room; the first error matters more
            temporary.unlink(missing_ok=True)
        raise
