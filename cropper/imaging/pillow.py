"""Open files with Pillow, whose parsers are loops of Python over what a file says: bounded in number, and so in time.

Open every photo through ``opened``. A file of megabytes can be nothing but empty chunks, comments or padding, and each costs
Pillow a microsecond or more.
"""

from __future__ import annotations

import io
import struct

from PIL import Image, ImageFile

from cropper.errors import EXPORT_AGAIN, PhotoError
from cropper.image_formats import PILLOW_FORMATS
from cropper.imaging.containers import png, webp

# The most times that Pillow may read to find the pixels. It reads up to four times for each chunk, marker or block, and once for
# each byte of padding. Headers with much metadata need some hundreds.
_MOST_READS = 20_000
# To read the pixels it may read once more for so many bytes of the file. It reads three times for each chunk, and encoders write
# chunks of a KB or more.
_BYTES_A_READ = 256
# The segments of a JPEG that Pillow joins or takes apart at each one, and how many of them it sees as such. A photo has one of
# the first kind, and several of the second if there is more than 64 KB in them.
_COSTLY = (b"Exif\0\0", b"Photoshop 3.0\0")
_MOST_COSTLY = 64
# The most values of a TIFF's tag that says how its pixels lie, such as the offsets of its strips; and the numbers of those tags.
_MOST_VALUES = 200_000
_OF_THE_LAYOUT = range(254, 700)
_MOST_TAGS = 4096
# The most bytes before the first frame of a WebP: a profile lies there.
_MOST_BEFORE = 20_000_000


class _Bounded(io.BytesIO):
    """A file in memory that fails after so many reads, and hides the segments that one photo has no use for."""

    def __init__(self, data: bytes, reads: int) -> None:
        super().__init__(data)
        self._reads, self._costly = reads, 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads -= 1
        if self._reads < 0:
            raise PhotoError("it has more parts than is safe to read", remedy=EXPORT_AGAIN)
        data = super().read(size)
        if data.startswith(_COSTLY):
            self._costly += 1
            if self._costly > _MOST_COSTLY:
                return b"\0" + data[1:]
        return data


def opened(data: bytes, formats: list[str] = PILLOW_FORMATS, with_pixels: bool = False) -> ImageFile.ImageFile:
    """Open a file with Pillow, as ``Image.open`` does, and read no more than a photo needs.

    This drops broken chunks of a PNG or WebP that hold no pixels, and animations that Pillow does not understand.

    Args:
        data: the whole file.
        formats: Pillow's names of the formats to try.
        with_pixels: whether the caller loads the pixels too.

    Raises:
        PhotoError: if the file has far more parts than a photo; later, while the pixels load, too.
        MemoryError: if Pillow could not load the reader of a format.
        Exception: any error of ``Image.open``. Pillow's parsers raise a dozen built-in types on malformed headers.
    """
    _check_tiff(data)
    reads = _MOST_READS + (len(data) // _BYTES_A_READ if with_pixels else 0)
    data = webp.sound(png.sound(data))
    try:
        return Image.open(_Bounded(data, reads), formats=formats)
    except KeyError as error:
        # Pillow goes on without a reader that it had no memory to load, and misses it here.
        if error.args and error.args[0] in formats and error.args[0] not in Image.OPEN:
            raise MemoryError(f"Pillow could not load its reader of {error.args[0]}") from error
        raise
    except (SyntaxError, ValueError, OSError):
        if not data.startswith(png.SIGNATURE) or b"acTL" not in data:
            raise
        return Image.open(_Bounded(png.still(data), reads), formats=formats)


def _check_tiff(data: bytes) -> None:
    """Refuse a TIFF of very many strips or tiles. Pillow makes an object for each, without reading.

    Raises:
        PhotoError: if a tag of its first directory has too many values.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return
    is_big = 43 in data[2:4]
    start = struct.unpack_from(order + ("8xQ" if is_big else "4xI"), data)[0]
    head, entry = struct.Struct(order + ("Q" if is_big else "H")), struct.Struct(order + ("HHQ8x" if is_big else "HHI4x"))
    if start + head.size > len(data):
        return
    entries = min(head.unpack_from(data, start)[0], _MOST_TAGS, (len(data) - start - head.size) // entry.size)
    for at in range(start + head.size, start + head.size + entries * entry.size, entry.size):
        tag, _, count = entry.unpack_from(data, at)
        if tag in _OF_THE_LAYOUT and count > _MOST_VALUES:
            raise PhotoError("it has more parts than is safe to read", remedy=EXPORT_AGAIN)


def first_frame(data: bytes, image: Image.Image) -> tuple[int, int, int, int] | None:
    """Return the left, upper, right and lower border of an animation's first frame if it is smaller than the canvas; else None.

    What lies outside is clear, as in browsers, whatever the background that the file names.

    Args:
        data: the whole file.
        image: the file opened with Pillow, before its pixels are loaded.
    """
    box = image.tile[0][1] if image.format == "GIF" and image.tile else None  # type: ignore[attr-defined]
    if data[:4] == b"RIFF" and data[12:16] == b"VP8X" and data[20] & 2:
        at = data.find(b"ANMF", 30, 30 + _MOST_BEFORE)
        if at > 0 and len(data) >= at + 20:
            x, y, right, lower = (int.from_bytes(data[at + i : at + i + 3], "little") for i in (8, 11, 14, 17))
            box = 2 * x, 2 * y, 2 * x + right + 1, 2 * y + lower + 1
    return None if box is None or tuple(box) == (0, 0, *image.size) else box


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height in a WebP's header, or None. To open one Pillow allocates all its pixels."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    if data[12:16] == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if data[12:16] == b"VP8L":
        sides = int.from_bytes(data[21:25], "little")
        return (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF
