"""Take JPEGs apart: bytes that belong to no segment, and segments that are not pixels."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cropper.errors import PhotoError

END = b"\xff\xd9"
_SCAN, _END = 0xDA, 0xD9
# A marker that begins a segment. Fill bytes, stuffed bytes, restarts and other markers without a segment do not match.
# Fill bytes, 0xFF again, may stand before it: a pattern with all of them would try each of them as the first one.
MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])", re.DOTALL)
# The application segments that describe colours (JFIF, Adobe and profiles), and the least length of each.
_OF_COLOURS = {0xE0: 16, 0xEE: 14, 0xE2: 16}
_MOST_SEGMENTS = 20_000
# The marker of a JPEG-LS, and the markers in the range of frame markers that begin no frame.
_LOSSLESS, _NO_FRAMES = 0xF7, (0xC4, 0xC8, 0xCC)
# The markers of frames whose pixels are in one scan, or in one scan for each channel.
_AT_ONCE = (0xC0, 0xC1)
_EXTRANEOUS_AT_END = re.compile("([0-9]+) extraneous bytes before marker 0xd9")
# The most fill bytes before the end of a JPEG, the most places to consider as its end, and the most of these to try.
_MOST_PADDING, _MOST_ENDS, _MOST_TRIES = 1 << 20, 1000, 8


def sound(jpeg: bytes, bare: bool = False) -> bytes | None:
    """Return a JPEG without the bytes between the segments before its pixels; None if there are none, or the segments break off.

    Decoders skip such bytes with a warning. Behind the first pixels they stay: there they may be what is left of a lost scan.

    Args:
        jpeg: the whole file.
        bare: whether to leave comments and all metadata but the profile out as well.
    """
    if not jpeg.startswith(b"\xff\xd8"):
        return None
    parts, at, is_sound = [jpeg[:2]], 2, True
    for _ in range(_MOST_SEGMENTS):
        found = MARKER.search(jpeg, at)
        if found is None:
            return None
        marker, start = found[1][0], found.end() - 2
        is_sound = is_sound and not jpeg[at:start].strip(b"\xff")
        if marker == _END:
            return None
        length = int.from_bytes(jpeg[start + 2 : start + 4], "big")
        at = start + 2 + length
        if length < 2 or at > len(jpeg):
            return None
        if marker == _SCAN:
            return None if is_sound else b"".join([*parts, jpeg[start:]])
        if bare and (marker == 0xFE or (0xE0 <= marker <= 0xEF and length < _OF_COLOURS.get(marker, 1 << 16))):
            is_sound = False
            continue
        parts.append(jpeg[start:at])
    return None


def with_end(jpeg: bytes) -> bytes | None:
    """Return a JPEG that lacks its end marker with one; None if its pixels are in several scans, of which some may be missing.

    libjpeg then says whether the pixels of the one scan are all there.
    """
    at, frame, scan = 2, b"", -1
    for _ in range(_MOST_SEGMENTS if jpeg.startswith(b"\xff\xd8") else 0):
        found = MARKER.search(jpeg, at)
        if found is None:
            break
        marker, at = found[1][0], found.end()
        if marker in _AT_ONCE and not frame:
            frame = jpeg[at : at + 8]
        elif marker == _SCAN and scan < 0:
            scan = jpeg[at + 2] if at + 2 < len(jpeg) else 0
        elif scan >= 0 or (0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES):
            return None
        at += int.from_bytes(jpeg[at : at + 2], "big")
    return jpeg.rstrip(b"\xff") + END if len(frame) == 8 and scan == frame[7] else None


def unreadable(jpeg: bytes) -> PhotoError | None:
    """Return the error for a JPEG that is coded in a way that cropper does not read, or None."""
    at = 2
    for _ in range(_MOST_SEGMENTS if jpeg.startswith(b"\xff\xd8") else 0):
        found = MARKER.search(jpeg, at)
        if found is None or found[1][0] in (_SCAN, _END):
            return None
        marker, at = found[1][0], found.end()
        if marker == _LOSSLESS:
            return PhotoError("it is a JPEG-LS, which cropper does not read", remedy="save it as a JPEG")
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES:
            depth = int.from_bytes(jpeg[at + 2 : at + 3], "big")
            return PhotoError(f"it has {depth} bits per channel", remedy="save it with 8") if 8 < depth <= 16 else None
        at += int.from_bytes(jpeg[at : at + 2], "big")
    return None


def extraneous_at_end(warning: str) -> int:
    """Return how many bytes libjpeg finds extraneous before the end of a JPEG, by its words; 0 if they say something else."""
    found = _EXTRANEOUS_AT_END.search(warning)
    return int(found[1]) if found else 0


def without_padding(jpeg: bytes, count: int) -> Iterator[bytes]:
    """Yield a JPEG without so many fill bytes before its end, which some cameras write and libjpeg warns about.

    Further pictures may follow the first one's end, so this yields one candidate for each place that may be the end.
    """
    if not 0 < count <= _MOST_PADDING:
        return
    tries, end = 0, -1
    for _ in range(_MOST_ENDS):
        end = jpeg.find(END, end + 1)
        if end < 0 or tries == _MOST_TRIES:
            return
        padding = jpeg[max(0, end - count) : end]
        if len(padding) == count == padding.count(padding[:1]):
            tries += 1
            yield jpeg[: end - count] + jpeg[end:]
