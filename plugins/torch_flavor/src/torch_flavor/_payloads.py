"""Checks the tensors of an archive against the records that hold them, and against the graph that uses them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["check_payloads", "check_states"]

# Bytes of an element, by torch's number of the data type.
_ELEMENT_SIZES: Mapping[int, int] = {
    **dict.fromkeys((1, 2, 12, 29, 30, 31, 32, 33), 1),
    **dict.fromkeys((3, 6, 13, 28), 2),
    **dict.fromkeys((4, 7, 9, 34), 4),
    **dict.fromkeys((5, 8, 10, 35), 8),
    11: 16,
}
_MAX_DIMENSIONS = 64
# A tensor may repeat what is stored, as expand() makes it, up to so many elements.
_FREE_ELEMENTS = 1 << 24


def check_payloads(config: Mapping[str, Mapping[str, Any]], records: Mapping[str, int], prefix: str) -> str | None:
    """Return the rule that the tensors of a config break, or None.

    Args:
        config: the tensors by name, as ``rebuild_payloads`` returns them.
        records: the sizes of the records that may hold them.
        prefix: what the names of such records start with, ``weight_`` or ``tensor_``.
    """
    pattern = re.compile(re.escape(prefix) + r"\d{1,7}", re.ASCII)
    dtypes: dict[str, int] = {}
    for name, payload in config.items():
        path, meta = payload["path_name"], payload["tensor_meta"]
        if not pattern.fullmatch(path) or path not in records:
            return f"the tensor {name!r} is in {path!r:.60}, which is no record for tensors"
        if dtypes.setdefault(path, meta["dtype"]) != meta["dtype"]:
            return f"the record {path} is read as two data types"
        if problem := _layout_problem(meta, records[path]):
            return f"the tensor {name!r} {problem}"
    unused = sorted(set(records) - set(dtypes))
    return f"the record {unused[0]} belongs to no tensor" if unused else None


def _layout_problem(meta: Mapping[str, Any], stored: int) -> str | None:
    numbers = [_plain(n) for n in (*meta["sizes"], *meta["strides"], meta["storage_offset"])]
    if len(meta["sizes"]) != len(meta["strides"]) or len(meta["sizes"]) > _MAX_DIMENSIONS:
        return "has sizes and strides that do not fit together"
    if any(number is None or number < 0 for number in numbers):
        return "has a size that is no number"
    sizes, strides, offset = numbers[: len(meta["sizes"])], numbers[len(meta["sizes"]) : -1], numbers[-1]
    element, count = _ELEMENT_SIZES[meta["dtype"]], 1
    for size in sizes:
        count *= size
    if stored % element:
        return "is in a record that holds no whole number of elements"
    reach = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True)) + 1
    if count and reach * element > stored:
        return f"reaches past the {stored:,} bytes of its record"
    if not count and offset * element > stored:
        return "starts past the end of its record"
    if count > max(stored // element, _FREE_ELEMENTS):
        return "has far more elements than are stored"
    return None


def _plain(size: Mapping[str, Any]) -> Any:
    return size.get("as_int")


def check_states(program: Mapping[str, Any], tensors: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return why the graph's parameters and buffers are not the stored *tensors*, or None."""
    module = program["graph_module"]
    values = module["graph"]["tensor_values"]
    for spec in module["signature"]["input_specs"]:
        ((kind, content),) = spec.items()
        key = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}.get(
            kind
        )
        if key is None:
            continue
        name, meta = content[key], values.get(content["arg"]["name"])
        stored = tensors.get(name)
        if stored is None or meta is None:
            return f"the graph uses the tensor {name!r}, which is not stored"
        if any(meta[part] != stored["tensor_meta"][part] for part in ("dtype", "sizes")):
            return f"the graph uses the tensor {name!r} with another shape or data type than is stored"
    return None
