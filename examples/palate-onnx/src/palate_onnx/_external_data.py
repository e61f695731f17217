"""Weights in files beside the graph: where they stand, and how they are written and read."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from palate.errors import UnsafeModel
from palate.hookspecs import confine
from palate_onnx._graph_checks import count_bytes, tensors_of

__all__ = ["Buffer", "has_external_data", "move_in", "move_out", "open_external_files"]

# onnx's own threshold: what is smaller stays in the graph, where shape inference may need it.
_SMALLEST = 1024
# Where a mapping of the file may begin, for every page size in use.
_ALIGNMENT = 65536

Buffer = bytes | mmap.mmap


def move_out(model: Any, file: Path) -> None:
    """Write the large tensors of a model to *file*, and leave references to it in the model, which is changed."""
    with file.open("wb") as stream:
        for tensor in tensors_of(model):
            if not tensor.HasField("raw_data") or len(tensor.raw_data) < _SMALLEST:
                continue
            stream.seek(-stream.tell() % _ALIGNMENT, 1)
            place = {"location": file.name, "offset": stream.tell(), "length": stream.write(tensor.raw_data)}
            tensor.ClearField("raw_data")
            tensor.data_location = tensor.EXTERNAL
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))


def has_external_data(model: Any) -> bool:
    """Tell whether some tensor of the model stands in another file."""
    return any(tensor.data_location == tensor.EXTERNAL for tensor in tensors_of(model))


def open_external_files(folder: Path, model: Any, name: str) -> dict[str, Buffer]:
    """Map the files that the model's tensors stand in, by the names that the model gives them.

    Args:
        folder: where the graph's file stands; nothing outside of it is opened.
        model: the graph.
        name: the graph's file, for messages.

    Raises:
        UnsafePath: a file leads out of the folder, or is no ordinary file.
        UnsafeModel: a tensor's place is not in its file, or not of the size that its shape needs.
    """
    buffers: dict[str, Buffer] = {}
    for tensor in tensors_of(model):
        if tensor.data_location == tensor.EXTERNAL:
            location = _place_of(tensor, name)["location"]
            if location not in buffers:
                buffers[location] = _map(confine(folder, location, field=f"{name}: external data"))
            _slice_of(tensor, buffers, name)
    return buffers


def move_in(model: Any, buffers: Mapping[str, Buffer], name: str) -> None:
    """Put the data of the other files into the model, which is changed."""
    for tensor in tensors_of(model):
        if tensor.data_location == tensor.EXTERNAL:
            place = _slice_of(tensor, buffers, name)
            tensor.raw_data = buffers[_place_of(tensor, name)["location"]][place]
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")


def _map(file: Path) -> Buffer:
    with file.open("rb") as stream:
        # An empty file cannot be mapped.
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if file.stat().st_size else b""


def _place_of(tensor: Any, name: str) -> dict[str, str]:
    place = {entry.key: entry.value for entry in tensor.external_data}
    if "location" not in place or len(place) != len(tensor.external_data):
        raise UnsafeModel(name, rule=f"the tensor {tensor.name!r:.60} must name the file of its data, once")
    return place


def _slice_of(tensor: Any, buffers: Mapping[str, Buffer], name: str) -> slice:
    place, needed = _place_of(tensor, name), count_bytes(tensor)
    size = len(buffers[place["location"]])
    offset = _number(place.get("offset", "0"))
    length = _number(place.get("length", str(needed)))
    if offset is None or length is None or length != needed or offset + length > size:
        rule = f"the tensor {tensor.name!r:.60} must have the bytes that its shape needs, inside its file"
        raise UnsafeModel(name, rule=rule)
    return slice(offset, offset + length)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
