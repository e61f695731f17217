"""Numbers in bulk: nested lists from JSON as arrays, when they are nothing but numbers of the signature's type.

What is not plainly that is left to the slower ways, which tell what is wrong or convert it: a list with null, true,
text or rows of different lengths in it, a decimal among integers, an integer that its type does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palate.matrix import Matrix
from palate.schema import Schema, TensorSpec

__all__ = ["MatrixReader", "TensorReader"]

_DTYPES = {"double": "float64", "float": "float32", "long": "int64", "integer": "int32"}
_TENSOR_DTYPES = frozenset(["float64", "float32", "int64", "int32"])
# Up to there each integer is a double.
_EXACT = 2.0**53


class MatrixReader:
    """Reads rows of a schema whose columns are named and all of one type of numbers.

    Attributes:
        columns: their names, as a Matrix has them.
        names: the same as JSON has them.
        colons: how many colons are in the names.
        quotes: how many quotes the names have in JSON.
    """

    __slots__ = ("_dtype", "_width", "colons", "columns", "names", "quotes")

    def __init__(self, names: Sequence[str], dtype: str) -> None:
        import numpy as np

        self.columns = tuple(names)
        self.names = list(names)
        self.colons = sum(name.count(":") for name in names)
        self.quotes = sum(2 + name.count('"') for name in names)
        self._dtype = np.dtype(dtype)
        self._width = len(names)

    @classmethod
    def of(cls, schema: Schema | None) -> MatrixReader | None:
        """Return the reader for a schema, or None where cells need a closer look than numbers get here."""
        columns = schema.columns if schema is not None else ()
        types = {column.type if isinstance(column.type, str) and column.plain else None for column in columns}
        names = [column.name for column in columns if isinstance(column.name, str)]
        dtype = _DTYPES.get(str(types.pop())) if len(types) == 1 else None
        if dtype is None or len(set(names)) < len(columns):
            return None
        return cls(names, dtype)

    def read(self, rows: Any, body: bytes) -> Matrix | None:
        """Return *rows*, a list of lists that was parsed from *body*, or None if they are not plainly numbers.

        There must be no text in them: numpy gives every item the room of the longest.
        """
        if type(rows) is not list or not rows:
            return None
        # With an escape, the key may be written otherwise, and what is found be a column of that name behind the rows.
        array = _read(rows, self._dtype, body, -1 if b"\\" in body else body.find(b'"data"'))
        if array is None or array.ndim != 2 or array.shape[1] != self._width:
            return None
        return Matrix(array, self.columns)


class TensorReader:
    """Reads the only tensor of a schema."""

    __slots__ = ("_dtype",)

    def __init__(self, dtype: str) -> None:
        import numpy as np

        self._dtype = np.dtype(dtype)

    @classmethod
    def of(cls, schema: Schema | None) -> TensorReader | None:
        """Return the reader for a schema of one unnamed tensor of numbers, or None."""
        match schema.fields if schema is not None else ():
            case (TensorSpec(dtype=dtype, name=None),) if dtype in _TENSOR_DTYPES:
                return cls(dtype)
        return None

    def read(self, nested: Any, body: bytes) -> Any:
        """Return nested lists that were parsed from *body* as an array, or None if they are not plainly numbers.

        There must be no text in them: numpy gives every item the room of the longest.
        """
        if type(nested) is not list or not nested:
            return None
        return _read(nested, self._dtype, body, body.find(b":"))


def _read(nested: list[Any], dtype: Any, body: bytes, begin: int) -> Any:
    """Return nested lists as an array of *dtype*, or None; in *body* their text begins behind *begin*."""
    import numpy as np

    try:
        array = np.array(nested)
    except ValueError:  # rows of different lengths
        return None
    found = array.dtype
    if found.kind == "f" and found == dtype and _is_one_row_of_decimals(nested):
        return array
    # numpy takes truth values among numbers for 1 and 0.
    if found.kind not in "fi" or not array.size or _may_hold_words(body, begin):
        return None
    if found.kind == "i":
        return _from_integers(array, dtype)
    # An integer among decimals has become one, which it is equal to below that bound.
    if dtype.kind != "f" or not bool(np.abs(array).max() < _EXACT):
        return None
    return _rounded(array, dtype)


def _may_hold_words(body: bytes, begin: int) -> bool:
    """Tell whether true or false may be in a body, behind its first key of data: no number has a u or an l in it.

    A letter is found ten times sooner than a word.
    """
    if begin < 0 or body.find(b"u", begin) >= 0 or body.find(b"l", begin) >= 0:
        return b"true" in body or b"false" in body
    return False


def _is_one_row_of_decimals(nested: list[Any]) -> bool:
    """Tell whether there is nothing to look for. Of many rows, arrays are looked through sooner than lists."""
    row = nested[0]
    return len(nested) == 1 and type(row) is list and set(map(type, row)) == _DECIMALS


_DECIMALS = {float}


def _from_integers(array: Any, dtype: Any) -> Any:
    import numpy as np

    low, high = array.min(), array.max()
    if dtype.kind == "f":
        return _rounded(array.astype(np.float64), dtype) if low > -_EXACT and high < _EXACT else None
    limits = np.iinfo(dtype)
    return array.astype(dtype, copy=False) if limits.min <= low and high <= limits.max else None


def _rounded(array: Any, dtype: Any) -> Any:
    """Return decimals, which in JSON are of no type, as the signature's; None if one is beyond it."""
    import numpy as np

    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        rounded = array.astype(dtype)
    return rounded if bool(np.isfinite(rounded).all()) else None
