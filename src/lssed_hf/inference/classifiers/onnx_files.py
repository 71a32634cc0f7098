"""Files that an ONNX file takes weights from.

onnxruntime 1.23, the last for Python 3.10, reads them from anywhere on the machine. So they are looked up before it
opens the file, in the encoding of protocol buffers (https://protobuf.dev/programming-guides/encoding) and the messages
of ONNX (onnx/onnx.proto).
"""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from ...files import content_folders


#: Message of ONNX -> number of a field -> message in it, for all that can hold tensors.
_PARTS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_FIXED = {1: 8, 5: 4}  # wire type -> bytes
_KEY, _VALUE = 1, 2  # fields of an entry
_DAMAGED = "it is no ONNX file, or a damaged one"


def check_weights(path: Path) -> None:
    """Check that an ONNX file takes weights from its own folder alone, or from that of a snapshot of the Hub.

    Raises:
        ValueError: A file of weights lies elsewhere, or the file is damaged.
    """
    folders = content_folders(path.parent.resolve())
    for name in external_files(path):
        found = Path(os.path.realpath(path.parent / name))
        if not any(found.is_relative_to(folder) for folder in folders):
            raise ValueError(f"its external weights {name!r} lie outside of its folder")


def external_files(path: Path) -> set[str]:
    """Return the names of the files that an ONNX file takes weights from, as they stand there.

    Raises:
        ValueError: The file is damaged.
    """
    names = set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        parts = [("model", 0, len(data))]
        while parts:
            message, start, end = parts.pop()
            fields = list(_fields(data, start, end))
            if message == "entry":
                texts = [(field, data[low:high]) for field, low, high in fields]
                if (_KEY, b"location") in texts:
                    names |= {os.fsdecode(text) for field, text in texts if field == _VALUE}
            else:
                inner = _PARTS[message]
                parts += [(inner[field], low, high) for field, low, high in fields if field in inner]
    return names


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each field with a length in a message."""
    while start < end:
        tag, start = _varint(data, start, end)
        kind = tag & 7
        if kind == 0:
            _, start = _varint(data, start, end)
        elif kind == 2:
            length, start = _varint(data, start, end)
            if start + length > end:
                raise ValueError(_DAMAGED)
            yield tag >> 3, start, start + length
            start += length
        elif kind in _FIXED:
            start += _FIXED[kind]
        else:
            raise ValueError(_DAMAGED)


def _varint(data: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, the lowest first, and the place behind it."""
    value = 0
    for shift, place in enumerate(range(start, min(end, start + 10))):
        value |= (data[place] & 127) << (7 * shift)
        if data[place] < 128:
            return value, place + 1
    raise ValueError(_DAMAGED)


__all__ = ["check_weights", "external_files"]
