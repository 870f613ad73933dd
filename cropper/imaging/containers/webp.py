"""Take WebPs apart into chunks, and put them together."""

from __future__ import annotations

import struct
from collections.abc import Iterator

# Where the first chunk of a file begins.
FIRST = 12


def chunks_of(data: bytes, start: int = FIRST, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the start of the content and the stated length of each chunk; the last one may break off.

    Args:
        data: the whole file.
        start: where to begin.
        end: where to end; None for the end of the data.
    """
    at, end = start, len(data) if end is None else end
    while at + 8 <= end:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + 8, length
        at += 8 + length + (length & 1)


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk; one of odd length has a byte behind it."""
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) & 1)


def file_of(chunks: bytes) -> bytes:
    """Return a file of these chunks."""
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def sound(data: bytes) -> bytes:
    """Return a WebP that breaks off behind its first picture, or states a length beyond its end, as a file of its whole chunks.

    An animation keeps its whole frames. Any other file comes back as it is.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or int.from_bytes(data[4:8], "little") + 8 <= len(data):
        return data
    whole = [(name, start, length) for name, start, length in chunks_of(data) if start + length <= len(data)]
    if not any(name in (b"VP8 ", b"VP8L", b"ANMF") for name, _, _ in whole):
        return data
    return file_of(b"".join(chunk(name, data[start : start + length]) for name, start, length in whole))
