"""Tensors of the Open Inference Protocol, as JSON and as binary data behind the JSON.

The protocol is kserve's open-inference-protocol (``inference_rest.md``); the binary form is Triton's binary tensor data
extension (``extension_binary_data.md``): little-endian, row-major; BYTES are elements with four bytes of length first.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from palate.errors import UnsupportedOutput
from palate.serving._json import dump_json
from palate.serving.protocols._fields import TensorField
from palate.serving.protocols._json_arrays import (
    Array,
    Leaves,
    Where,
    object_array,
    plain_array,
    read_lists,
    refuse,
    round_decimals,
    writable,
)

__all__ = ["datatype_of", "read_binary", "read_json", "read_shape", "write_binary", "write_json"]

_NOTHING = type(None)
_DTYPES = {
    "BOOL": np.dtype(np.bool_),
    **{f"{sign}INT{bits}": np.dtype(f"{sign.lower()}int{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)},
}
_DATATYPES = {dtype: datatype for datatype, dtype in _DTYPES.items()}
_KINDS: Mapping[str, tuple[frozenset[type], str]] = {
    "b": (frozenset([bool, _NOTHING]), "true and false"),
    "i": (frozenset([int, _NOTHING]), "whole numbers"),
    "u": (frozenset([int, _NOTHING]), "whole numbers"),
    "f": (frozenset([int, float, _NOTHING]), "numbers"),
    "O": (frozenset([str, _NOTHING]), "text"),
}
_MOST_DIMENSIONS = 32
# Of a tensor without elements: what its other sizes may multiply to. Models make memory for rows that hold nothing.
_MOST_EMPTY = 2**20


def datatype_of(field: TensorField) -> str:
    """Return the datatype of a field; text, bytes and what is written as text are BYTES."""
    return _DATATYPES[np.dtype(field.type)] if field.type in _NAMES else "BYTES"


_NAMES = frozenset(dtype.name for dtype in _DATATYPES)


def _dtype(datatype: object, where: Where) -> np.dtype[Any]:
    """Return the numpy dtype of a datatype, object for BYTES. Raises InvalidInput for one that is not read."""
    if datatype == "BYTES":
        return np.dtype(object)
    if isinstance(datatype, str) and datatype in _DTYPES:
        return _DTYPES[datatype]
    told = "BF16, which numpy has no form for" if datatype == "BF16" else "no datatype"
    raise refuse(where, "wrong_type", f"has {told}. Hint: send one of {', '.join(_DTYPES)}, BYTES")


def read_shape(shape: object, where: Where) -> tuple[int, ...]:
    """Return the shape that a tensor is said to have. Raises InvalidInput when no array has it."""
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise refuse(where, "wrong_shape", "needs a shape that is a list of sizes, each a whole number from 0")
    if len(shape) > _MOST_DIMENSIONS or (0 in shape and math.prod(size for size in shape if size) > _MOST_EMPTY):
        raise refuse(where, "wrong_shape", "has a shape that no array here may have")
    return tuple(shape)


def _count(shape: tuple[int, ...], count: int, where: Where) -> None:
    if math.prod(shape) != count:
        raise refuse(where, "wrong_shape", f"holds {count:,} elements, which is not what its shape says")


# -- JSON --------------------------------------------------------------------------------------------------------------


def read_json(data: object, datatype: object, shape: tuple[int, ...], where: Where) -> Array:
    """Return the array that ``data``, flat or nested, is; BYTES as an array of str.

    Decimals become the nearest floats of the datatype. null is NaN among floats; among others it makes an array of
    objects with None, which only columns that may hold it pass.

    Raises:
        InvalidInput: the data is not of its datatype or shape, or the datatype would change a value.
    """
    dtype = _dtype(datatype, where)
    leaves = read_lists(data, where)
    if not isinstance(data, list):
        raise refuse(where, "wrong_type", "needs data that is a list")
    if len(leaves.shape) > 1 and leaves.shape != shape:
        raise refuse(where, "wrong_shape", f"has lists of the shape {list(leaves.shape)}, which its shape is not")
    _count(shape, len(leaves.items), where)
    allowed, words = _KINDS[dtype.kind]
    if not leaves.kinds <= allowed:
        raise refuse(where, "wrong_type", f"is {datatype}, whose data are {words}, and holds something else")
    return _typed(leaves, dtype, where).reshape(shape)


def _typed(leaves: Leaves, dtype: np.dtype[Any], where: Where) -> Array:
    if not leaves.items:
        return np.empty(0, dtype)
    array = plain_array(leaves, where)
    if dtype.kind == "f":
        return _floats(array, leaves, dtype, where)
    if array.dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise refuse(where, "wrong_value", f"holds numbers that {dtype} cannot hold")
        return array.astype(dtype, copy=False)
    if dtype.kind in "iu" and int in leaves.kinds:
        if _NOTHING not in leaves.kinds:  # from below zero to beyond 2**63
            raise refuse(where, "wrong_value", f"holds numbers that {dtype} cannot hold")
        there = [item for item in leaves.items if item is not None]
        _typed(Leaves(there, (len(there),), {int}), dtype, where)
    return array


def _floats(array: Array, leaves: Leaves, dtype: np.dtype[Any], where: Where) -> Array:
    if array.dtype.kind == "f" and int not in leaves.kinds:
        return round_decimals(array, dtype, where)
    whole = [item for item in leaves.items if type(item) is int]
    with np.errstate(over="ignore"):
        if any(float(dtype.type(item)) != item for item in whole):
            raise refuse(where, "wrong_value", f"holds whole numbers that {dtype} cannot hold exactly")
    filled = [math.nan if item is None else item for item in leaves.items]
    return round_decimals(np.array(filled, dtype=np.float64), dtype, where)


# -- binary ------------------------------------------------------------------------------------------------------------


def read_binary(raw: memoryview, datatype: object, shape: tuple[int, ...], where: Where) -> Array:
    """Return the array that *raw* holds, in memory of its own; BYTES as an array of bytes.

    Raises:
        InvalidInput: there are more or fewer elements than the shape says, or a BOOL that is neither 0 nor 1.
    """
    dtype = _dtype(datatype, where)
    if dtype.kind == "O":
        return object_array(_split(raw, shape, where)).reshape(shape)
    count, rest = divmod(len(raw), dtype.itemsize)
    if rest:
        raise refuse(where, "wrong_shape", f"holds {len(raw):,} bytes, which are no whole number of {datatype}")
    _count(shape, count, where)
    if dtype.kind == "b" and bool((np.frombuffer(raw, np.uint8) > 1).any()):
        raise refuse(where, "wrong_value", "holds bytes that are neither 0 nor 1, which a BOOL is")
    # A copy: a model may write into what it is given, and where the bytes begin suits no processor.
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(shape)


def _split(raw: memoryview, shape: tuple[int, ...], where: Where) -> list[bytes]:
    """Return the elements of BYTES."""
    count, place = math.prod(shape), 0
    elements: list[bytes] = []
    if count * 4 <= len(raw):
        while place + 4 <= len(raw) and len(elements) < count:
            (length,) = struct.unpack_from("<I", raw, place)
            elements.append(raw[place + 4 : place + 4 + length].tobytes())
            place += 4 + length
    if place != len(raw) or len(elements) != count:
        raise refuse(where, "wrong_shape", "holds elements whose lengths do not add up to its bytes and its shape")
    return elements


def write_json(array: Array, *, as_base64: bool) -> dict[str, Any]:
    """Return an output tensor with its data in JSON, without its name.

    Args:
        array: as ``name_outputs`` returns it.
        as_base64: whether bytes are written as base64, and not as the text that they are.

    Raises:
        UnsupportedOutput: it holds bytes that are no text, or is of no datatype.
    """
    if array.dtype != object:
        return {"shape": list(array.shape), "datatype": _datatype(array.dtype), "data": writable(array).ravel()}
    datatype, cells = _cells(array)
    tensor = {"shape": list(array.shape), "datatype": datatype}
    if not any(isinstance(cell, bytes) for cell in cells):
        return {**tensor, "data": cells}
    if as_base64:
        texts = [None if cell is None else base64.b64encode(cell).decode() for cell in cells]
        return {**tensor, "parameters": {"content_type": "base64"}, "data": texts}
    try:
        return {**tensor, "data": [None if cell is None else cell.decode() for cell in cells]}
    except UnicodeDecodeError as exc:
        raise UnsupportedOutput("JSON", reason="they hold bytes that are no text; ask for binary data") from exc


def write_binary(array: Array) -> tuple[dict[str, Any], bytes]:
    """Return an output tensor without its name and data, and the data.

    Raises:
        UnsupportedOutput: it holds missing values, or is of no datatype.
    """
    if array.dtype != object:
        raw = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        datatype = _datatype(array.dtype)
    else:
        datatype, cells = _cells(array)
        if None in cells:
            raise UnsupportedOutput("binary data", reason="they hold missing values; ask for JSON")
        raw = b"".join(part for cell in cells for part in _element(cell))
    return {"shape": list(array.shape), "datatype": datatype, "parameters": {"binary_data_size": len(raw)}}, raw


def _datatype(dtype: np.dtype[Any]) -> str:
    return _DATATYPES[dtype.newbyteorder("=")]


def _cells(array: Array) -> tuple[str, list[Any]]:
    """Return the datatype of an array of objects, and what is in it, nested values as JSON text."""
    cells = array.ravel().tolist()
    kinds = set(map(type, cells)) - {_NOTHING}
    if kinds <= {str} or kinds == {bytes}:
        return "BYTES", cells
    if kinds in ({int}, {bool}):
        return ("INT64" if kinds == {int} else "BOOL"), cells
    if kinds <= {list, dict}:
        return "BYTES", [None if cell is None else dump_json(cell).decode() for cell in cells]
    raise UnsupportedOutput("tensors", reason=f"they mix {', '.join(sorted(kind.__name__ for kind in kinds))}")


def _element(cell: str | bytes) -> tuple[bytes, bytes]:
    raw = cell.encode() if isinstance(cell, str) else cell
    return struct.pack("<I", len(raw)), raw
