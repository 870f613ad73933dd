"""Read the file of a photo. Its first bytes and its size come before the rest: what is no photo costs no time and no memory."""

from __future__ import annotations

import io
import os
import stat
from typing import BinaryIO

from cropper.errors import PhotoError, in_bytes, out_of_memory
from cropper.image_formats import FIRST_BYTES, why_not_read

# OpenCV decodes no more bytes than this. 150 megapixels of 16 bits and four channels have 1.2 GB.
MOST_BYTES = (1 << 31) - 1
_BLOCK = 1 << 20


def check_size(size: int) -> None:
    """Refuse a photo of more bytes than can be decoded. Raises PhotoError."""
    if size > MOST_BYTES:
        what = f"the file is larger than can be decoded ({in_bytes(size)}, at most {in_bytes(MOST_BYTES)})"
        raise PhotoError(what, remedy="save it smaller")


def read_opened(opened: BinaryIO | io.FileIO) -> bytes:
    """Read an open file to its end, unless its first bytes are not those of a photo or it is too large.

    Args:
        opened: where the photo begins. A regular file, a pipe or a stream in memory.

    Raises:
        PhotoError: if it is not a photo, has too many bytes or does not fit into memory.
        OSError: if it cannot be read.
    """
    status = _status(opened)
    size = status.st_size if status is not None and stat.S_ISREG(status.st_mode) else 0
    try:
        head = opened.read(FIRST_BYTES) or b""
        while 0 < len(head) < FIRST_BYTES and (more := opened.read(FIRST_BYTES - len(head))):
            head += more
        refused = why_not_read(head) if head else None
        if refused is not None:
            raise PhotoError(refused[0], remedy=refused[1])
        check_size(size)
        if size and opened.seekable():
            opened.seek(-len(head), os.SEEK_CUR)
            return opened.read()  # into memory of the file's size, and without a copy
        parts, size = [head], len(head)
        while block := opened.read(_BLOCK):
            parts.append(block)
            size += len(block)
            check_size(size)
        return b"".join(parts)
    except MemoryError as error:
        raise out_of_memory(size) from error


def _status(opened: BinaryIO | io.FileIO) -> os.stat_result | None:
    try:
        return os.fstat(opened.fileno())
    except (OSError, ValueError):  # a stream in memory
        return None
