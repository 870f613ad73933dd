"""Refuse models that keep data in other files.

An ONNX file may name any path as the place of a tensor, and onnxruntime opens it. A model that keeps the contract does not need
this, so cropper does not let a model from a stranger open files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cropper.errors import ModelError

# From onnx.proto, all paths to a tensor: kind of message -> number of a field -> kind of the message in it.
_FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of a tensor
_BYTES_OF = {1: 8, 5: 4}  # wire types of fixed length


def refuse_external_data(path: Path) -> None:
    """Check that a model is complete in its file. Says nothing about a missing file or one that is not an ONNX model.

    Raises:
        ModelError: if the model keeps tensors in other files.
    """
    try:
        data = memoryview(path.read_bytes())
    except OSError:
        return
    if _has_external_data(data):
        raise ModelError("the model keeps data in other files, which are not read", path=path, remedy="save it as one file")


def _has_external_data(model: memoryview) -> bool:
    upcoming = [("model", model)]
    while upcoming:
        kind, message = upcoming.pop()
        try:
            for number, value in _fields(message):
                if kind == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value == 1)):
                    return True
                inner = _FIELDS[kind].get(number)
                if inner and isinstance(value, memoryview):
                    upcoming.append((inner, value))
        except (IndexError, ValueError):
            return False  # not valid protobuf: onnxruntime reports it
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the fields of a protobuf message: the number, and the value as a whole number or as bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if wire == 2:
            length, at = _varint(message, at)
        elif wire in _BYTES_OF:
            length = _BYTES_OF[wire]
        else:
            raise ValueError("not protobuf")
        if at + length > len(message):
            raise ValueError("cut off")
        yield tag >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Read a whole number, and return it with the position behind it."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
