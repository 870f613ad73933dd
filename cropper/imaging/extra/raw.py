"""Camera RAW: find the preview that the camera made of the photo. Cropper develops no RAW itself."""

from __future__ import annotations

import io
import struct
from contextlib import suppress

import numpy as np
from PIL import ExifTags, Image

from cropper.errors import COPY_AGAIN, PhotoError, reason_of
from cropper.imaging.extra.library import library_for
from cropper.imaging.opencv import cv2
from cropper.imaging.pillow import opened

# Tags of a TIFF (TIFF 6, TIFF/EP, DNG 1.7): what kind of picture, how it is packed, what its samples mean, who made the camera.
_SUBFILE, _COMPRESSION, _PHOTOMETRIC, _MAKE, _SUBFILES, _DNG = 254, 259, 262, 271, 330, 50706
_REDUCED, _MOSAIC = 1, 32803
# The compressions of Sony, Nikon, Pentax and Kodak.
_OF_CAMERAS = {32767, 34713, 65535, 65000}
_MOST_TAGS = 1000
# LibRaw's turn of the camera -> the EXIF orientation that says the same.
_TURNED = {3: 3, 5: 8, 6: 6}
_QUALITY = 95
NO_PREVIEW = "it is a RAW without a preview that cropper can use"
EXPORT_JPEG = "export it as a JPEG"


def is_raw(tiff: bytes) -> bool:
    """Tell whether a TIFF is a camera's RAW, by the tags of its first directory."""
    tags = _first_tags(tiff)
    if _DNG in tags:
        return True
    is_of_sensor = tags.get(_PHOTOMETRIC) == _MOSAIC or tags.get(_COMPRESSION) in _OF_CAMERAS
    return _MAKE in tags and (is_of_sensor or (tags.get(_SUBFILE) == _REDUCED and _SUBFILES in tags))


def _first_tags(tiff: bytes) -> dict[int, int]:
    """Return the tags of the first directory and the first 2 or 4 bytes of their values, as numbers."""
    order = "<" if tiff[:2] == b"II" else ">"
    tags = {}
    with suppress(struct.error):
        start = struct.unpack_from(order + "4xI", tiff)[0]
        for number in range(min(struct.unpack_from(order + "H", tiff, start)[0], _MOST_TAGS)):
            tag, type, _ = struct.unpack_from(order + "HHI", tiff, start + 2 + 12 * number)
            tags[tag] = struct.unpack_from(order + ("H" if type == 3 else "I"), tiff, start + 10 + 12 * number)[0]
    return tags


def preview(data: bytes, is_certain: bool) -> bytes:
    """Return the largest preview of a RAW as a JPEG, which says how to turn it.

    Args:
        data: the whole file.
        is_certain: whether it can be nothing but a RAW. A TIFF that only looks like one is returned as it is.

    Raises:
        PhotoError: if the RAW is damaged, of a camera that LibRaw does not know, or has no preview.
    """
    rawpy = library_for("RAW")
    try:
        with rawpy.imread(io.BytesIO(data)) as opened_raw:
            orientation = _TURNED.get(opened_raw.sizes.flip, 1)
            found = opened_raw.extract_thumb()
    except rawpy.LibRawFileUnsupportedError as error:
        if not is_certain:
            return data
        raise PhotoError("it is a RAW of a kind that LibRaw does not know", remedy=EXPORT_JPEG) from error
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError) as error:
        raise PhotoError(NO_PREVIEW, remedy=EXPORT_JPEG) from error
    except MemoryError:
        raise
    except Exception as error:  # LibRaw's errors, and what its Python part raises on a forged header
        said = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else reason_of(error)
        raise PhotoError(f"the RAW is truncated or damaged ({said})", remedy=COPY_AGAIN) from error
    if found.format == rawpy.ThumbFormat.BITMAP:
        bgr = cv2.cvtColor(np.asarray(found.data, np.uint8), cv2.COLOR_RGB2BGR)
        done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if not done:
            raise PhotoError(NO_PREVIEW, remedy=EXPORT_JPEG)
        return _turned(encoded.tobytes(), orientation)
    if found.format != rawpy.ThumbFormat.JPEG:
        raise PhotoError(NO_PREVIEW, remedy=EXPORT_JPEG)
    return _turned(bytes(found.data), orientation)


def _turned(jpeg: bytes, orientation: int) -> bytes:
    """Return a preview with the RAW's orientation in its EXIF, unless it says one itself."""
    if orientation == 1 or jpeg[:2] != b"\xff\xd8":
        return jpeg
    with suppress(Exception):  # a preview that Pillow does not open fails later, with its own message
        exif = Image.Exif()
        exif.load(opened(jpeg, ["JPEG"]).info.get("exif", b""))
        if ExifTags.Base.Orientation in exif:
            return jpeg
    block = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", ExifTags.Base.Orientation, 3, 1, orientation, 0) + bytes(4)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]
