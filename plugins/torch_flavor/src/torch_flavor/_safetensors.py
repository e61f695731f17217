"""The ``.safetensors`` file: weights by name, checked before they are mapped into memory."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

from palate.errors import UnsafeModel
from palate.hookspecs import parse_json

__all__ = ["read_tensors", "write_tensors"]

_MAX_HEADER = 32 << 20
_MAX_DIMENSIONS = 64
_TIED = "palate.tied"

_DTYPES: Mapping[str, torch.dtype] = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "U16": torch.uint16,
    "I16": torch.int16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
}


@dataclass(frozen=True, slots=True)
class _Entry:
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


def write_tensors(tensors: Mapping[str, torch.Tensor], target: Path) -> None:
    """Write tensors; those that are one and the same under several names are written once."""
    from safetensors.torch import save_file

    first: dict[tuple[object, ...], str] = {}
    kept: dict[str, torch.Tensor] = {}
    tied: dict[str, str] = {}
    for name, tensor in tensors.items():
        place = (tensor.data_ptr(), tensor.device, tensor.dtype, tuple(tensor.shape), tensor.stride())
        same = first.setdefault(place, name) if tensor.numel() else name
        if same != name:
            tied[name] = same
            continue
        # What shares memory with another tensor in part, or has gaps, is written as a tensor of its own.
        whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes
        kept[name] = tensor if whole else tensor.contiguous().clone()
    save_file(kept, target, metadata={_TIED: json.dumps(tied, sort_keys=True)} if tied else None)


def read_tensors(mapped: memoryview, label: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a file, which is mapped into memory, and not copied.

    Raises:
        UnsafeModel: naming *label*, when the file is not exactly what its header says.
    """
    size = len(mapped)
    if size < 8:
        _refuse(label, "it is too short for a header")
    header_size = struct.unpack("<Q", mapped[:8])[0]
    if header_size > min(size - 8, _MAX_HEADER):
        _refuse(label, "its header is longer than the file, or than any header needs to be")
    entries, tied = _parse_header(bytes(mapped[8 : 8 + header_size]), label)
    _check_places(entries, size - 8 - header_size, label)
    start = 8 + header_size
    tensors = {name: _tensor(mapped, start, entry) for name, entry in entries.items()}
    for name, same in tied.items():
        if name in tensors or same not in tensors:
            _refuse(label, f"it ties {name!r:.80} to a tensor that is not there")
    return tensors | {name: tensors[same] for name, same in tied.items()}


def _tensor(mapped: memoryview, start: int, entry: _Entry) -> torch.Tensor:
    count = (entry.stop - entry.start) // entry.dtype.itemsize
    if not count:
        return torch.empty(entry.shape, dtype=entry.dtype)
    flat = torch.frombuffer(mapped, dtype=entry.dtype, count=count, offset=start + entry.start)
    return flat.view(entry.shape)


def _parse_header(data: bytes, label: str) -> tuple[dict[str, _Entry], dict[str, str]]:
    try:
        header = parse_json(data, max_bytes=_MAX_HEADER)
    except ValueError as exc:
        raise UnsafeModel(label, rule=f"its header is damaged: {exc!s:.200}") from exc
    if not isinstance(header, dict) or data[:1] != b"{":
        _refuse(label, "its header is not a mapping")
    metadata = header.pop("__metadata__", {})
    if not _is_text_mapping(metadata):
        _refuse(label, "its metadata are not texts by name")
    try:
        tied = parse_json(metadata.get(_TIED, "{}").encode(), max_bytes=_MAX_HEADER)
    except ValueError as exc:
        raise UnsafeModel(label, rule=f"its list of tied weights is damaged: {exc!s:.200}") from exc
    if not _is_text_mapping(tied):
        _refuse(label, "its list of tied weights is no mapping of names")
    return {name: _entry(name, fields, label) for name, fields in header.items()}, tied


def _is_text_mapping(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _entry(name: str, fields: Any, label: str) -> _Entry:
    if not isinstance(fields, dict) or set(fields) != {"dtype", "shape", "data_offsets"}:
        _refuse(label, f"its header says other things of {name!r:.80} than data type, shape and place")
    dtype = _DTYPES.get(fields["dtype"]) if isinstance(fields["dtype"], str) else None
    if dtype is None:
        _refuse(label, f"{name!r:.80} has the data type {fields['dtype']!r:.40}, which is unknown")
    shape, offsets = fields["shape"], fields["data_offsets"]
    numbers = [*shape, *offsets] if isinstance(shape, list) and isinstance(offsets, list) else [None]
    if not all(type(number) is int and 0 <= number < 2**63 for number in numbers) or len(offsets) != 2:
        _refuse(label, f"{name!r:.80} has a shape or place that is no whole numbers")
    size = dtype.itemsize
    for length in shape:
        size *= length
    if len(shape) > _MAX_DIMENSIONS or offsets[1] - offsets[0] != size:
        _refuse(label, f"{name!r:.80} takes another number of bytes than its shape says")
    return _Entry(dtype, tuple(shape), offsets[0], offsets[1])


def _check_places(entries: Mapping[str, _Entry], size: int, label: str) -> None:
    """Check that the tensors fill the file, one after the other."""
    place = 0
    for entry in sorted(entries.values(), key=lambda entry: (entry.start, entry.stop)):
        if entry.start != place:
            _refuse(label, "its tensors overlap, or something is hidden between them")
        place = entry.stop
    if place != size:
        _refuse(label, "its tensors reach past its end, or something follows them")


def _refuse(label: str, rule: str) -> NoReturn:
    raise UnsafeModel(label, rule=rule)
