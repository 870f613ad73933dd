"""Load OpenCV, or report in one line why it fails; mute what image libraries print. Import ``cv2`` from this module."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from cropper.errors import MORE_MEMORY, DependencyError, says_no_memory

try:
    import cv2
except ImportError as error:
    if says_no_memory(error):
        raise DependencyError("there is not enough memory to load OpenCV", remedy=MORE_MEMORY) from error
    remedy = (
        "install the system's OpenGL library (Debian, Ubuntu: apt install libgl1 libglib2.0-0), "
        "or run: pip uninstall opencv-python; pip install opencv-python-headless"
    )
    raise DependencyError(f"OpenCV cannot be loaded ({error})", remedy=remedy) from error

__all__ = ["cv2", "is_out_of_memory", "libraries_muted", "reads_avif"]


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of any library means that memory could not be allocated."""
    return isinstance(error, MemoryError) or (isinstance(error, cv2.error) and getattr(error, "code", 0) == cv2.Error.StsNoMem)


@lru_cache(maxsize=1)
def reads_avif() -> bool:
    """Tell whether this build of OpenCV reads AVIF. Builds that do write it too, and only that can be asked without a file."""
    return bool(cv2.haveImageWriter("any.avif"))


@contextmanager
def libraries_muted() -> Iterator[None]:
    """Discard what image libraries print to stderr. Text written to ``sys.stderr`` still appears.

    libpng, libjpeg and OpenCV write to file descriptor 2, even for many photos that decode, and have no switch to stop it. The
    errors of cropper already report every failure. The descriptor and Pillow's warnings belong to the whole process, so only
    commands may use this, not code that runs as a library in another program.
    """
    ours = sys.stderr
    if ours is None:  # the process has no stderr
        yield
        return
    ours.flush()
    kept = os.fdopen(os.dup(2), "w", buffering=1, encoding=ours.encoding, errors=ours.errors)
    with kept, open(os.devnull, "w") as nowhere, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        os.dup2(nowhere.fileno(), 2)
        if _writes_to(ours, 2):
            sys.stderr = kept
        try:
            yield
        finally:
            kept.flush()
            sys.stderr = ours
            os.dup2(kept.fileno(), 2)


def _writes_to(stream: object, descriptor: int) -> bool:
    try:
        return bool(stream.fileno() == descriptor)  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):  # a replacement without a descriptor, as in tests
        return False
