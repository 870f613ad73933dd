"""OpenCV, or one clear line why it cannot be loaded; and a lid on what image libraries print. Import ``cv2`` from here."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from cropper.errors import DependencyError

try:
    import cv2
except ImportError as error:
    remedy = (
        "install the system's OpenGL library (Debian, Ubuntu: apt install libgl1 libglib2.0-0), "
        "or: pip uninstall opencv-python; pip install opencv-python-headless"
    )
    raise DependencyError(f"OpenCV cannot be loaded ({error})", remedy=remedy) from error

__all__ = ["cv2", "libraries_muted"]


@contextmanager
def libraries_muted() -> Iterator[None]:
    """Keep what image libraries print by themselves off the user's stderr; what goes to ``sys.stderr`` still arrives.

    libpng, libjpeg and OpenCV write to file descriptor 2, for photos that fail and for many that do not, and cannot be asked to
    stop. Every failure is said by an error of ours already. The descriptor is the whole process's, and so are Pillow's warnings:
    for commands, not for a library that is a guest in someone's program.
    """
    ours = sys.stderr
    if ours is None:  # started without one
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
    except (AttributeError, OSError, ValueError):  # a stand-in without a descriptor, as in tests
        return False
