"""Open a photo that somebody has in Python: a path, the bytes of a file, an open file, one of Pillow's images or an array."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cropper.errors import PhotoError, out_of_memory, reading
from cropper.imaging.header import Header
from cropper.imaging.in_memory import pixels_of_array, pixels_of_image
from cropper.imaging.opencv import is_out_of_memory
from cropper.model.look import OpenedPhoto, open_photo, photo_of
from cropper.settings import Limits
from cropper.storage.access import place
from cropper.storage.photo_file import read_opened

Photo = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[Any]
"""What ``Cropper`` takes as a photo. ``Cropper`` says what each of them means."""


def open_any(
    photo: Photo, needed: Callable[[int, int], tuple[int, int]], limits: Limits, with_faces: bool = False
) -> OpenedPhoto:
    """Open a photo and prepare the model's input. Files are decoded as ``cropper batch`` decodes them.

    Args:
        photo: one of ``Photo``.
        needed: takes the upright photo's width and height, and returns the width and height to decode at least of a file.
        limits: which files are accepted.
        with_faces: whether the header takes along the faces that are marked in a file.

    Raises:
        PhotoError: if it is none of these, or cannot be read or decoded.
    """
    path = _path_of(photo)
    if path is not None:
        with reading(path):
            return _guarded(lambda: _opened(photo, needed, limits, with_faces))
    return _guarded(lambda: _opened(photo, needed, limits, with_faces))


def _opened(photo: Photo, needed: Callable[[int, int], tuple[int, int]], limits: Limits, with_faces: bool) -> OpenedPhoto:
    if isinstance(photo, np.ndarray):
        return _of_pixels(pixels_of_array(photo))
    if isinstance(photo, Image.Image):
        return _of_pixels(pixels_of_image(photo))
    return open_photo(_bytes_of(photo), needed, limits, with_faces=with_faces)


def _of_pixels(pixels: NDArray[np.uint8]) -> OpenedPhoto:
    height, width, channels = pixels.shape
    return photo_of(pixels, Header("", width, height, 1, channels == 4, False, False, None))


def _bytes_of(photo: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO) -> bytes:
    """Return the whole file of a photo. Raises PhotoError or OSError if it cannot be read."""
    if isinstance(photo, bytes):
        return photo
    if isinstance(photo, bytearray | memoryview):
        return bytes(photo)
    if isinstance(photo, str | os.PathLike):
        path = os.fspath(photo)
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        return place(path if isinstance(photo, str) else Path(path)).read()[0]
    if isinstance(photo, io.TextIOBase):
        raise PhotoError("the file is open as text", remedy="open it with the mode 'rb'")
    if not callable(getattr(photo, "read", None)):
        kinds = "a path, the bytes of a file, a file open for reading, a PIL image or a numpy array"
        raise PhotoError(f"an object of type {type(photo).__name__} is not a photo", remedy=f"give {kinds}")
    return read_opened(photo)


def _path_of(photo: Photo) -> str | None:
    """Return the path that errors name, if the photo has one."""
    named = photo if isinstance(photo, str | os.PathLike) else getattr(photo, "name", None)
    if isinstance(photo, Image.Image):
        named = getattr(photo, "filename", None)
    return os.fsdecode(named) if isinstance(named, str | os.PathLike) and named else None


def _guarded(opened: Callable[[], OpenedPhoto]) -> OpenedPhoto:
    """Say in one line that a photo cannot be read or does not fit into memory."""
    try:
        return opened()
    except OSError as error:
        raise PhotoError(f"it cannot be read ({error.strerror or error})") from error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory() from error
