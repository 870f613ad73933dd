"""Messages between processes of one run: any values that pickle, one after the other through a connected socket."""

from __future__ import annotations

import pickle
import struct
from typing import TYPE_CHECKING, Any

from cropper.errors import RUN_AGAIN, CropperError, unexpected

if TYPE_CHECKING:
    import socket

MOST_AT_ONCE = 1 << 16  # bytes to receive at once
_LENGTH = struct.Struct("I")  # of a message, before it


def send(channel: socket.socket, message: Any) -> None:
    """Send a message.

    Raises:
        OSError: if the other process has ended.
    """
    packed = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    channel.sendall(_LENGTH.pack(len(packed)) + packed)


def messages(received: bytearray) -> list[Any]:
    """Take the complete messages out of what was received."""
    start, found = 0, []
    with memoryview(bytes(received)) as view:
        while len(view) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(view, start)
            end = start + _LENGTH.size + length
            if len(view) < end:
                break
            found.append(pickle.loads(view[start + _LENGTH.size : end]))
            start = end
    del received[:start]
    return found


def packable(error: Exception) -> Exception:
    """Return the same error if it survives the way to another process, else one that says what it was."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        return CropperError(unexpected(error), remedy=RUN_AGAIN)
