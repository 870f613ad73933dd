"""Find the part of every photo that people look at first, and cut the thumbnail there.

    from cropper import Cropper
    cropper = Cropper()
    thumbnail = cropper.crop("photo.jpg", size=(640, 360))

The command line, ``cropper --help``, does the same for whole folders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cropper._version import __version__
from cropper.errors import CropperError, DependencyError, ModelError, OutputError, PhotoError, UsageError

if TYPE_CHECKING:
    from cropper.api.cropper import Choice, Chosen, Cropper
    from cropper.geometry import Box
    from cropper.model.sources import Photo


__all__ = [
    "Box",
    "Choice",
    "Chosen",
    "Cropper",
    "CropperError",
    "DependencyError",
    "ModelError",
    "OutputError",
    "Photo",
    "PhotoError",
    "UsageError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    # numpy, OpenCV and onnxruntime load on first use, not on import: `cropper --help` needs none of them.
    if name in ("Choice", "Chosen", "Cropper"):
        from cropper.api import cropper

        return getattr(cropper, name)
    if name == "Photo":
        from cropper.model.sources import Photo

        return Photo
    if name == "Box":
        from cropper.geometry import Box

        return Box
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
