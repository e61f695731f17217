"""Arrays of numpy, sparse matrices of scipy and tensors of other frameworks, as they cross between processes."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from palate._containers.kinds import framework_tensor
from palate._process_errors import NotTransferable
from palate.errors import DependencyMissing

if TYPE_CHECKING:
    from palate._isolation.tree import Node, TreeReader, TreeWriter

__all__ = [
    "decode_array",
    "decode_scalar",
    "decode_sparse",
    "decode_tensor",
    "encode_array",
    "encode_scalar",
    "encode_sparse",
    "encode_tensor",
]

# Numbers, booleans, dates, and texts and bytes of fixed length: what an array's bytes and dtype say all of.
_FIXED = "biufcMmUS"
_COMPRESSED = ("csr", "csc", "bsr")
_SPARSE = frozenset({"csr", "csc", "coo", "bsr", "dia", "lil", "dok"})


def encode_array(writer: TreeWriter, array: Any) -> Node:
    """Return an array: its bytes, or its elements where those are objects."""
    node: dict[str, Any] = {"t": "array", "s": list(array.shape)}
    if array.dtype.kind == "T" and not hasattr(array.dtype, "na_object"):  # numpy 2's texts of any length
        return {**node, "texts": _encode_texts(writer, array.astype(object)), "variable": True}
    if array.dtype.kind == "O":
        return {**node, **_encode_objects(writer, array)}
    if isinstance(array, np.ma.MaskedArray) or (array.dtype.kind not in _FIXED and not _is_plain_record(array.dtype)):
        raise NotTransferable(f"{type(array).__name__} of {array.dtype}")
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    plain = array if fortran or array.flags.c_contiguous else np.ascontiguousarray(array)
    content = plain.reshape(-1, order="F" if fortran else "C").view(np.uint8)
    return {**node, "d": _dtype_node(array.dtype), "b": writer.add(content), **({"f": 1} if fortran else {})}


def decode_array(reader: TreeReader, node: Node) -> Any:
    """Return the array that ``encode_array`` wrote."""
    shape = tuple(node["s"])
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError("its shape is none")
    if "texts" in node:
        texts = _decode_texts(reader, node["texts"]).reshape(shape)
        # An older numpy knows these as objects only.
        return texts.astype(np.dtypes.StringDType()) if node.get("variable") and _has_string_dtype() else texts
    if "v" in node:
        array = np.empty(len(node["v"]), dtype=object)
        array[:] = reader.decode(node["v"])
        return array.reshape(shape)
    content = np.frombuffer(reader.take(node["b"]), dtype=np.uint8)
    return content.view(_dtype_of(node["d"])).reshape(shape, order="F" if node.get("f") else "C")


def encode_scalar(writer: TreeWriter, value: Any) -> Node:
    """Return a scalar of numpy's own: a float64 is no float, and 32 bits stay 32."""
    return {"t": "scalar", "a": encode_array(writer, np.asarray(value))}


def decode_scalar(reader: TreeReader, node: Node) -> Any:
    """Return the scalar that ``encode_scalar`` wrote."""
    return reader.decode(node["a"])[()]


# -- dtypes ------------------------------------------------------------------------------------------------------------


def _is_plain_record(dtype: Any) -> bool:
    return bool(dtype.names) and all(
        field[0].kind in _FIXED and field[0].subdtype is None for field in dtype.fields.values()
    )


def _dtype_node(dtype: Any) -> Node:
    if dtype.names is None:
        return dtype.str
    fields = [dtype.fields[name] for name in dtype.names]
    return {
        "names": list(dtype.names),
        "formats": [field[0].str for field in fields],
        "offsets": [field[1] for field in fields],
        "itemsize": dtype.itemsize,
    }


def _dtype_of(node: Node) -> Any:
    dtype = np.dtype(node)
    if dtype.hasobject:
        raise ValueError("bytes are no objects")
    return dtype


def _has_string_dtype() -> bool:
    return hasattr(np, "dtypes") and hasattr(np.dtypes, "StringDType")


# -- objects -----------------------------------------------------------------------------------------------------------


def _encode_objects(writer: TreeWriter, array: Any) -> dict[str, Node]:
    if all(value is None or type(value) is str for value in array.flat):
        return {"texts": _encode_texts(writer, array)}
    return {"v": [writer.encode(value) for value in array.flat]}


def _encode_texts(writer: TreeWriter, array: Any) -> Node:
    """Return texts end to end, with where each one ends; a missing one ends at -1."""
    parts = [None if value is None else str(value).encode("utf-8", "surrogatepass") for value in array.flat]
    ends = list(accumulate(len(part or b"") for part in parts))
    marked = [-1 if part is None else end for part, end in zip(parts, ends, strict=True)]
    joined = b"".join(part for part in parts if part)
    return [writer.add(joined), writer.add(np.array(marked, dtype=np.int64).view(np.uint8))]


def _decode_texts(reader: TreeReader, node: Node) -> Any:
    joined, ends = bytes(reader.take(node[0])), np.frombuffer(reader.take(node[1]), dtype=np.int64)
    array = np.empty(len(ends), dtype=object)
    start = 0
    for at, end in enumerate(ends.tolist()):
        if end >= 0:
            array[at] = joined[start:end].decode("utf-8", "surrogatepass")
            start = end
    return array


# -- other packages ----------------------------------------------------------------------------------------------------


def encode_sparse(writer: TreeWriter, matrix: Any) -> Node:
    """Return a sparse matrix by its coordinates, and the format that it had."""
    if matrix.format not in _SPARSE or matrix.ndim != 2:
        raise NotTransferable(f"{type(matrix).__name__} of {matrix.ndim} dimensions")
    if matrix.format in _COMPRESSED:  # these keep their own arrays, explicit zeros and order included
        parts = [matrix.data, matrix.indices, matrix.indptr]
    else:
        coordinates = matrix.tocoo()
        parts = [coordinates.data, coordinates.row, coordinates.col]
    return {
        "t": "sparse",
        "f": matrix.format,
        "s": list(matrix.shape),
        "array": type(matrix).__name__.endswith("_array"),
        "v": [encode_array(writer, np.asarray(part)) for part in parts],
    }


def decode_sparse(reader: TreeReader, node: Node) -> Any:
    """Return the matrix that ``encode_sparse`` wrote."""
    try:
        from scipy import sparse
    except ModuleNotFoundError as exc:
        raise DependencyMissing("scipy", needed_for="A sparse matrix") from exc
    name, shape = node["f"], tuple(node["s"])
    if name not in _SPARSE:
        raise ValueError(f"{name!r:.20} is no format of sparse matrices")
    first, second, third = reader.decode(node["v"])
    kind = "array" if node["array"] else "matrix"
    if name in _COMPRESSED:
        made = getattr(sparse, f"{name}_{kind}")((first, second, third), shape=shape)
        made.check_format(full_check=True)  # native code follows these indices
        return made
    return getattr(sparse, f"coo_{kind}")((first, (second, third)), shape=shape).asformat(name)


def encode_tensor(writer: TreeWriter, tensor: Any) -> Node:
    """Return a tensor of torch, TensorFlow or another framework by its array."""
    detached = tensor.detach().cpu() if hasattr(tensor, "detach") else tensor
    try:
        array = np.asarray(detached)
    except (TypeError, ValueError, RuntimeError) as exc:  # bfloat16, which numpy does not have
        raise NotTransferable(f"{type(tensor).__module__}.{type(tensor).__qualname__}") from exc
    return {"t": "tensor", "p": framework_tensor(tensor), "a": encode_array(writer, array)}


def decode_tensor(reader: TreeReader, node: Node) -> Any:
    """Return the tensor, or its array where the framework is not installed."""
    array, package = reader.decode(node["a"]), node["p"]
    if package == "torch" and _is_installed("torch"):
        import torch

        return torch.from_numpy(array)
    if package == "tensorflow" and _is_installed("tensorflow"):
        import tensorflow

        return tensorflow.convert_to_tensor(array)
    return array


def _is_installed(package: str) -> bool:
    return package in sys.modules or find_spec(package) is not None
