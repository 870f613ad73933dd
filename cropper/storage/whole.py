"""Tell by its end whether a file that somebody writes is whole. A guess, to be quick: who reads the file finds out."""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from cropper.storage.opening import open_below

_TAIL = 32
_IEND = b"IEND\xaeB`\x82"


def ends_as_format(root: Path, path: str) -> bool:
    """Whether a photo below a folder ends as its format does; True also if it cannot be read, so that somebody says why."""
    try:
        with open_below(root, path.split("/")) as file:
            return ends_whole(file)
    except Exception:
        return True


def ends_whole(file: FileIO) -> bool:
    """Whether an open photo ends as its format does. False also where the format does not tell, as TIFF."""
    head = file.read(16)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    if head.startswith(b"\xff\xd8"):
        return tail.rstrip(b"\0\n").endswith(b"\xff\xd9")
    if head.startswith(b"\x89PNG"):
        return tail.endswith(_IEND)
    if head.startswith(b"GIF8"):
        return tail.endswith(b";")
    if head.startswith(b"RIFF"):
        return int.from_bytes(head[4:8], "little") + 8 <= size
    if head.startswith(b"BM"):
        return 0 < int.from_bytes(head[2:6], "little") <= size
    return head[4:8] == b"ftyp" and _ends_with_a_box(file, size)


def _ends_with_a_box(file: FileIO, size: int) -> bool:
    """Whether the boxes of an AVIF fill the file, and the last one with the pixels is there."""
    at, kinds = 0, set()
    for _ in range(64):
        if at >= size:
            return at == size and b"mdat" in kinds
        file.seek(at)
        header = file.read(8)
        length = int.from_bytes(header[:4], "big")
        if length < 8:  # to the end of the file, or of 64 bits: it does not tell
            return False
        kinds.add(header[4:])
        at += length
    return False
