"""Encode pixels as a JPEG, with a colour profile and metadata."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cropper.imaging.metadata import Metadata
from cropper.imaging.opencv import cv2

# The length of a JPEG in bytes up to the end of its JFIF header, behind which markers go.
_JFIF_HEADER = 20
# The most bytes of a marker behind its length.
_MOST_BYTES = 65_533
_EXIF, _XMP, _ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_APP1, _APP2 = b"\xff\xe1", b"\xff\xe2"


def encode_jpeg(
    thumbnail: NDArray[np.uint8], profile: bytes | None, metadata: Metadata, quality: int, progressive: bool
) -> bytes | None:
    """Encode a thumbnail, uint8 [h, w] grey or [h, w, 3] BGR; None if the encoder rejects it or a part of the metadata.

    OpenCV and Pillow write the same bytes. OpenCV takes a quarter less time and lets other threads run meanwhile, but it writes
    no profile longer than the 64 KB of one marker, so the markers are put in here.
    """
    if progressive:
        return _by_pillow(thumbnail, profile, metadata, quality)
    try:
        markers = b"".join(_markers(profile, metadata))
        done, encoded = cv2.imencode(".jpg", thumbnail, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except (ValueError, cv2.error):
        return None
    if not done:
        return None
    file = encoded.tobytes()
    return file[:_JFIF_HEADER] + markers + file[_JFIF_HEADER:] if markers else file


def _markers(profile: bytes | None, metadata: Metadata) -> Iterator[bytes]:
    """Yield the markers for a profile and metadata. Raises ValueError if one has too many bytes."""
    for name, content in ((_EXIF, metadata.exif), (_XMP, metadata.xmp)):
        if content:
            yield marker(_APP1, name + content)
    if profile:
        room = _MOST_BYTES - len(_ICC) - 2
        parts = [profile[start : start + room] for start in range(0, len(profile), room)]
        for number, part in enumerate(parts, 1):
            yield marker(_APP2, _ICC + bytes([number & 255, len(parts) & 255]) + part)


def marker(kind: bytes, content: bytes) -> bytes:
    """Return a marker of a JPEG, such as ``APP1``. Raises ValueError if it has too many bytes."""
    if len(content) > _MOST_BYTES:
        raise ValueError("too many bytes for a marker")
    return kind + struct.pack(">H", len(content) + 2) + content


def _by_pillow(thumbnail: NDArray[np.uint8], profile: bytes | None, metadata: Metadata, quality: int) -> bytes | None:
    rgb = thumbnail if thumbnail.ndim == 2 else cv2.cvtColor(thumbnail, cv2.COLOR_BGR2RGB)
    exif = _EXIF + metadata.exif if metadata.exif else b""
    extra = {"icc_profile": profile, "exif": exif, "xmp": metadata.xmp or None}
    file = io.BytesIO()
    try:
        Image.fromarray(rgb).save(file, "JPEG", quality=quality, progressive=True, **extra)
    except (OSError, ValueError):
        return None
    return file.getvalue()
