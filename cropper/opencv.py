"""OpenCV, or one clear line why it cannot be loaded. Import ``cv2`` from here."""

from __future__ import annotations

from cropper.errors import DependencyError

try:
    import cv2
except ImportError as error:
    remedy = (
        "install the system's OpenGL library (Debian, Ubuntu: apt install libgl1 libglib2.0-0), "
        "or: pip uninstall opencv-python; pip install opencv-python-headless"
    )
    raise DependencyError(f"OpenCV cannot be loaded ({error})", remedy=remedy) from error

__all__ = ["cv2"]
