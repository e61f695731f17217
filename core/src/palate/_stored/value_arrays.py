"""numpy arrays and scipy sparse matrices as JSON, exact to the bit, and back from documents that may be hostile.

Numbers are written as numbers and read by ``repr``'s rules, so nothing is rounded; NaN and infinity, which JSON has no
words for, as the texts "nan", "inf" and "-inf" where the dtype already says that numbers are meant.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from palate.errors import DependencyMissing, InvalidExample, Problem

__all__ = [
    "JSON",
    "decode_array",
    "decode_float",
    "decode_numpy_scalar",
    "decode_sparse",
    "encode_array",
    "encode_float",
    "encode_numpy_scalar",
    "encode_sparse",
    "malformed",
    "member",
    "unsupported",
]

JSON: TypeAlias = Any
Document: TypeAlias = dict[str, Any]
Codec: TypeAlias = Callable[[Any], Any]

_DTYPE = re.compile(
    r"[<>|]?(b1|[iu][1248]|f(2|4|8|12|16)|c(8|16|24|32)|[US]\d{1,7}|[mM]8(\[\d{0,6}(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?|O)",
    re.ASCII,
)
# Text arrays reserve the longest item's width for every item, so a short document could ask for all memory.
_MAX_TEXT_BYTES = 256 << 20
_MAX_RANK = 32


def malformed(message: str) -> InvalidExample:
    """Return the error for a stored document that is not what it should be."""
    return InvalidExample([Problem(("stored value",), "wrong_value", message)])


def unsupported(what: str, *, hint: str = "") -> InvalidExample:
    """Return the error for a value that cannot be stored."""
    message = f"{what} cannot be stored as JSON" + (f". Hint: {hint}" if hint else "")
    return InvalidExample([Problem((), "wrong_type", message)])


def member(document: Document, key: str, kind: type | tuple[type, ...]) -> Any:
    """Return a member of a stored document that must be of a type. Raises InvalidExample."""
    value = document.get(key)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise malformed(f"'{key}' is missing or of the wrong type")
    return value


# -- numbers -----------------------------------------------------------------------------------------------------------


def encode_float(value: float) -> float | str:
    """Return a number, or the name of what is not a number."""
    return value if math.isfinite(value) else repr(value)


def decode_float(value: object) -> float:
    """Read what ``encode_float`` wrote. Raises InvalidExample."""
    if isinstance(value, float) or value in ("nan", "inf", "-inf"):
        return float(value)
    raise malformed("a number was expected")


def encode_numpy_scalar(value: Any) -> Document:
    """Write a numpy scalar with its dtype."""
    import numpy

    array = encode_array(numpy.asarray(value), unsupported_item)
    return {"kind": "scalar", "dtype": array["dtype"], "data": array["data"]}


def decode_numpy_scalar(document: Document) -> Any:
    """Read what ``encode_numpy_scalar`` wrote. Raises InvalidExample."""
    return decode_array({**document, "shape": []}, unsupported_item)[()]


def unsupported_item(_: object) -> Any:
    """Refuse the content of an object array where there can be none."""
    raise malformed("an array of objects cannot be here")


# -- arrays ------------------------------------------------------------------------------------------------------------


def encode_array(array: Any, encode_item: Codec) -> Document:
    """Write an array; *encode_item* writes the items of an array of objects.

    Raises:
        InvalidExample: the dtype has no plain form (structured and void dtypes, numpy's variable-width strings).
    """
    dtype = array.dtype
    if not _DTYPE.fullmatch(dtype.str) or dtype.fields is not None:
        raise unsupported(f"an array of the dtype {dtype}")
    _check_text_size(array.size, dtype)
    return {
        "kind": "array",
        "dtype": dtype.str,
        "shape": list(array.shape),
        "data": _encode_items(array.reshape(-1), dtype.kind, encode_item),
    }


def _encode_items(flat: Any, kind: str, encode_item: Codec) -> list[Any]:
    import numpy

    if kind == "O":
        return [encode_item(item) for item in flat.tolist()]
    if kind in "mM":
        items: list[Any] = flat.astype(flat.dtype.newbyteorder("=")).view(numpy.int64).tolist()
        return items
    if kind == "S":
        return [item.decode("latin-1") for item in flat.tolist()]
    if kind == "c":
        flat = numpy.stack([flat.real, flat.imag], axis=-1).reshape(-1)
    if flat.dtype.kind == "f":
        if flat.dtype.itemsize > 8:  # wider than Python's float
            return [str(item) for item in flat]
        return list(map(encode_float, flat.tolist()))
    plain: list[Any] = flat.tolist()
    return plain


def decode_array(document: Document, decode_item: Codec) -> Any:
    """Read what ``encode_array`` wrote. Raises InvalidExample."""
    import numpy

    text, shape, items = member(document, "dtype", str), member(document, "shape", list), member(document, "data", list)
    if not _DTYPE.fullmatch(text):
        raise malformed("unknown dtype")
    if len(shape) > _MAX_RANK or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in shape):
        raise malformed("an array's shape must be a list of sizes")
    if math.prod(shape) * (2 if "c" in text else 1) != len(items):
        raise malformed("an array's shape does not match the number of its items")
    try:
        dtype = numpy.dtype(text)
        _check_text_size(len(items), dtype)
        return _decode_items(items, dtype, decode_item).reshape(shape)
    except (ValueError, TypeError, OverflowError) as exc:
        if isinstance(exc, InvalidExample):
            raise
        raise malformed(f"an array's items do not fit the dtype {text}") from exc


def _decode_items(items: list[Any], dtype: Any, decode_item: Codec) -> Any:
    import numpy

    if dtype.kind == "O":
        array = numpy.empty(len(items), dtype=object)
        for position, item in enumerate(items):
            array[position] = decode_item(item)
        return array
    _check_items(items, dtype)
    if dtype.kind in "mM":
        whole = numpy.array(items, dtype=numpy.int64).view(dtype.newbyteorder("="))
        return whole.astype(dtype)
    if dtype.kind == "S":
        return numpy.array([item.encode("latin-1") for item in items], dtype=dtype)
    with numpy.errstate(over="ignore"):  # 1e300 read as float32 is infinity, not a warning
        if dtype.kind == "c":
            parts = numpy.array(items, dtype=f"f{dtype.itemsize // 2}")
            return parts.view(dtype.newbyteorder("=")).astype(dtype)
        return numpy.array(items, dtype=dtype)


def _check_items(items: list[Any], dtype: Any) -> None:
    """Refuse items that numpy would convert: text to numbers, 1.5 to 1, text cut to the width."""
    kind, width = dtype.kind, dtype.itemsize
    if kind == "b":
        fits = all(type(item) is bool for item in items)
    elif kind in "iumM":
        signed = 8 * width - (kind != "u")
        limits = range(0 if kind == "u" else -(2**signed), 2**signed)
        fits = all(type(item) is int and item in limits for item in items)  # numpy 1 wraps around
    elif kind in "US":
        characters = width // 4 if kind == "U" else width
        fits = all(type(item) is str and len(item) <= characters for item in items)
    elif width > (8 if kind == "f" else 16):
        fits = all(type(item) is str and len(item) < 64 for item in items)
    else:
        fits = all(type(item) is float or item in ("nan", "inf", "-inf") for item in items)
    if not fits:
        raise malformed(f"an array's items do not fit the dtype {dtype.str}")


def _check_text_size(count: int, dtype: Any) -> None:
    if dtype.kind in "US" and count * dtype.itemsize > _MAX_TEXT_BYTES:
        raise unsupported("an array of text above 256 MiB")


# -- sparse ------------------------------------------------------------------------------------------------------------

_COMPRESSED = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "coo": ("data", "row", "col"),
}

_SPARSE_MEMBERS = {"format": str, "container": str, "shape": list}


def encode_sparse(matrix: Any) -> Document:
    """Write a CSR, CSC or COO matrix or sparse array. Raises InvalidExample for other formats."""
    parts = _COMPRESSED.get(matrix.format)
    if parts is None or len(matrix.shape) != 2:
        raise unsupported(f"a {type(matrix).__name__}", hint="convert it with .tocsr()")
    return {
        "kind": "sparse",
        "format": matrix.format,
        "container": "matrix" if type(matrix).__name__.endswith("_matrix") else "array",
        "shape": [int(size) for size in matrix.shape],
        **{part: encode_array(getattr(matrix, part), unsupported_item) for part in parts},
    }


def decode_sparse(document: Document) -> Any:
    """Read what ``encode_sparse`` wrote. Raises InvalidExample, or DependencyMissing without scipy."""
    try:
        import scipy.sparse
    except ModuleNotFoundError as exc:
        raise DependencyMissing("scipy", needed_for="Reading a stored sparse matrix") from exc

    name, container, shape = (member(document, key, kind) for key, kind in _SPARSE_MEMBERS.items())
    if name not in _COMPRESSED or container not in ("matrix", "array"):
        raise malformed("unknown sparse format")
    if len(shape) != 2 or any(type(size) is not int or not 0 <= size < 2**62 for size in shape):
        raise malformed("a sparse matrix has two sizes")
    data, first, second = (decode_array(member(document, part, dict), unsupported_item) for part in _COMPRESSED[name])
    build = getattr(scipy.sparse, f"{name}_{container}")
    try:
        matrix = build((data, (first, second)) if name == "coo" else (data, first, second), shape=tuple(shape))
        if name != "coo":
            # Without the full check, an index out of range is found by the first product, which reads past the array.
            matrix.check_format(full_check=True)
    except (ValueError, TypeError, IndexError, OverflowError) as exc:
        raise malformed("a sparse matrix's indices do not fit its shape") from exc
    return matrix
