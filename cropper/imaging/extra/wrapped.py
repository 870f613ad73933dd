"""Take the JPEG out of files that hold one: the preview of a camera's RAW, and a JPEG that was packed as JPEG XL."""

from __future__ import annotations

from cropper.image_formats import FIRST_BYTES, format_of
from cropper.imaging.extra import jxl, raw
from cropper.settings import Limits


def unwrapped(data: bytes, limits: Limits) -> bytes:
    """Return the JPEG that a file is about, or the file itself if it is a photo as it stands.

    Args:
        data: the whole file.
        limits: how many pixels a photo may have.

    Raises:
        PhotoError: if it holds no JPEG that can be used, or the library that reads it is missing.
    """
    own = format_of(data[:FIRST_BYTES])
    if own is None:
        return data
    if own.pillow == "RAW" or (own.pillow == "TIFF" and raw.is_raw(data)):
        return raw.preview(data, is_certain=own.pillow == "RAW")
    return jxl.packed_jpeg(data, limits) if own.pillow == "JXL" else data
