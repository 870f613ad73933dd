"""Take the EXIF out of AVIFs whose EXIF OpenCV cannot read, such as those of libheif: it refuses the pixels too."""

from __future__ import annotations

import re

# An entry of the list of items: its version and flags, its number, and EXIF as its kind.
_EXIF = re.compile(rb"(infe[\x02\x03]\0\0.(?:..|....)\0\0)Exif", re.DOTALL)
_NO_EXIF = rb"\1skip"
# The most bytes to look at: the list comes before the pixels.
_MOST_BYTES = 1 << 20


def without_exif(data: bytes) -> bytes | None:
    """Return an AVIF whose EXIF is of a kind that decoders pass over; None if it has none. All lengths stay."""
    head, count = _EXIF.subn(_NO_EXIF, data[:_MOST_BYTES])
    return head + data[_MOST_BYTES:] if count else None


def is_turned(data: bytes) -> bool:
    """Whether a box of an AVIF turns or mirrors a picture. OpenCV refuses some of these that have alpha."""
    head = data[:_MOST_BYTES]
    return b"irot" in head or b"imir" in head
