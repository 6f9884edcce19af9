"""Tell from the bytes of an ONNX file whether it keeps tensors in other files, before anything loads it.

An ONNX file is a protobuf message (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3); only the few fields that
lead to a tensor are looked at (https://protobuf.dev/programming-guides/encoding).
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from bonaface.core.errors import ModelFileError
from bonaface.core.text import encodable

_LENGTH = 2  # wire type of strings, bytes and messages
_WIDTHS = {1: 8, 5: 4}  # bytes of the fixed-size wire types
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of a TensorProto
_DEPTH = 100  # protobuf's own limit

# Message -> field number -> message in it.
_INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}


def network_source(path: Path) -> str | bytes:
    """Return what onnxruntime opens the network at `path` by: the path, or the bytes where that is no UTF-8."""
    text = str(path)
    return text if text == encodable(text) else path.read_bytes()


def has_external_data(path: Path) -> bool:
    """Return whether a tensor of the ONNX file at `path` lies in another file.

    Raises:
        ModelFileError: the file is no protobuf message.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            return False  # which can't be mapped
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            # A tensor names its file under this key, so a file without the word has no such tensor.
            if data.find(b"location") < 0:
                return False
            try:
                return _is_external(data, 0, len(data), "model", 0)
            except (IndexError, ValueError) as error:
                raise ModelFileError(
                    f"{path}: expected an ONNX file, got something else ({error})"
                ) from error


def _is_external(data: mmap.mmap, begin: int, end: int, message: str, depth: int) -> bool:
    if depth > _DEPTH:
        raise ValueError(f"messages nested more than {_DEPTH} deep")
    for field, wire, start, stop in _fields(data, begin, end):
        if message == "tensor" and (
            field == _EXTERNAL_DATA or (field == _DATA_LOCATION and _varint(data, start, stop)[0])
        ):
            return True
        inside = _INSIDE[message].get(field)
        if inside and wire == _LENGTH and _is_external(data, start, stop, inside, depth + 1):
            return True
    return False


def _fields(data: mmap.mmap, position: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (field number, wire type, first byte of the value, byte after it) of the fields of a message."""
    while position < end:
        tag, start = _varint(data, position, end)
        wire = tag & 7
        if wire == 0:
            _, position = _varint(data, start, end)
        elif wire == _LENGTH:
            length, start = _varint(data, start, end)
            position = start + length
        elif wire in _WIDTHS:
            position = start + _WIDTHS[wire]
        else:
            raise ValueError(f"a field of the unknown kind {wire}")
        if position > end:
            raise ValueError("a field longer than its message")
        yield tag >> 3, wire, start, position


def _varint(data: mmap.mmap, position: int, end: int) -> tuple[int, int]:
    """Return the number at `position` and the position after it."""
    value = 0
    for number, at in enumerate(range(position, min(position + 10, end))):
        value |= (data[at] & 0x7F) << 7 * number
        if data[at] < 0x80:
            return value, at + 1
    raise ValueError("a number without an end")
