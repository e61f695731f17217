"""pandas frames and series as JSON, column by column with their dtypes, and back.

Only the dtypes that predictions have in practice are known; any other is refused by name rather than changed.
"""

from __future__ import annotations

import re
from typing import Any

from palate._stored.value_arrays import Codec, Document, decode_array, encode_array, malformed, member, unsupported
from palate.errors import DependencyMissing, PalateError

__all__ = ["ZONE_NAME", "decode_pandas", "encode_pandas"]

_MASKED = {
    "boolean": "bool",
    "Float32": "float32",
    "Float64": "float64",
    **{f"{sign}Int{bits}": f"{sign.lower()}int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
}
# A zone's name reaches the file system; "dateutil/..." would open any file.
ZONE_NAME = re.compile(r"(?!dateutil)[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*|UTC[+-]\d\d:\d\d", re.ASCII)
_RANGE = range(-(2**62), 2**62)


def encode_pandas(data: Any, encode: Codec) -> Document:
    """Write a DataFrame or a Series; *encode* writes names and the items of object columns. Raises InvalidExample."""
    index = _encode_index(data.index, encode)
    if not hasattr(data, "columns"):
        return {"kind": "series", "name": encode(data.name), "index": index, "data": _encode_column(data, encode)}
    columns = [_encode_column(data.iloc[:, position], encode) for position in range(data.shape[1])]
    return {"kind": "dataframe", "columns": _encode_index(data.columns, encode), "index": index, "data": columns}


def decode_pandas(document: Document, decode: Codec) -> Any:
    """Read what ``encode_pandas`` wrote. Raises InvalidExample, or DependencyMissing without pandas."""
    try:
        import pandas
    except ModuleNotFoundError as exc:
        raise DependencyMissing("pandas", needed_for="Reading a stored DataFrame", install="palate[pandas]") from exc
    reader = _Reader(pandas, decode)
    try:
        return reader.series(document) if document["kind"] == "series" else reader.frame(document)
    except PalateError:
        raise
    except (ValueError, TypeError, KeyError, OverflowError, pandas.errors.OutOfBoundsDatetime) as exc:
        # zoneinfo raises a KeyError of its own for a zone that it does not know.
        raise malformed(f"a column cannot be rebuilt ({type(exc).__name__})") from exc


def _encode_index(index: Any, encode: Codec) -> Document:
    if hasattr(index, "levels"):
        raise unsupported("a frame with a multi-level index", hint="call reset_index() on the predictions")
    name = encode(index.name)
    if isinstance(getattr(index, "step", None), int):
        return {"kind": "range", "name": name, "start": index.start, "stop": index.stop, "step": index.step}
    return {"kind": "index", "name": name, "values": _encode_column(index.to_series(), encode)}


def _encode_column(column: Any, encode: Codec) -> Document:
    import numpy

    dtype = column.dtype
    if isinstance(dtype, numpy.dtype):
        return encode_array(column.to_numpy(), encode)
    if hasattr(dtype, "categories"):
        categories = _encode_column(dtype.categories.to_series(), encode)
        codes = encode_array(column.cat.codes.to_numpy(), encode)
        return {"kind": "categorical", "ordered": bool(dtype.ordered), "categories": categories, "codes": codes}
    missing = column.isna().to_numpy(dtype=bool)
    if dtype.name in _MASKED:
        plain = numpy.dtype(_MASKED[dtype.name])
        values = column.to_numpy(dtype=plain, na_value=plain.type(0))
        parts = {"data": encode_array(values, encode), "missing": encode_array(missing, encode)}
        return {"kind": "masked", "dtype": dtype.name, **parts}
    if dtype.name in ("str", "string") and not hasattr(dtype, "pyarrow_dtype"):
        data = [None if gone else str(value) for value, gone in zip(column, missing, strict=True)]
        return {"kind": "text", "missing": "NaN" if isinstance(dtype.na_value, float) else "NA", "data": data}
    zone = str(getattr(dtype, "tz", ""))
    if ZONE_NAME.fullmatch(zone):
        naive = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        return {"kind": "zoned", "zone": zone, "data": encode_array(naive, encode)}
    raise unsupported(f"a column of the dtype {dtype}")


class _Reader:
    """Rebuilds frames; a ValueError, TypeError or KeyError from it means that the document is malformed."""

    def __init__(self, pandas: Any, decode: Codec) -> None:
        self.pandas, self.decode = pandas, decode

    def series(self, document: Document) -> Any:
        index = self.index(member(document, "index", dict))
        values = self.column(document.get("data"), len(index))
        name = self.decode(document.get("name"))
        return self.pandas.Series(values, index=index, name=name, dtype=values.dtype)

    def frame(self, document: Document) -> Any:
        index, columns = (self.index(member(document, part, dict)) for part in ("index", "columns"))
        stored = member(document, "data", list)
        if len(stored) != len(columns):
            raise malformed("a frame has as many columns as labels")
        # Built by position, because labels may repeat.
        series = {}
        for position, column in enumerate(stored):
            values = self.column(column, len(index))
            series[position] = self.pandas.Series(values, index=index, dtype=values.dtype)
        frame = self.pandas.DataFrame(series, index=index)
        frame.columns = columns
        return frame

    def index(self, document: Document) -> Any:
        name = self.decode(document.get("name"))
        if document.get("kind") == "range":
            bounds = [member(document, part, int) for part in ("start", "stop", "step")]
            if any(bound not in _RANGE for bound in bounds):
                raise malformed("a range index goes beyond 64 bits")
            return self.pandas.RangeIndex(*bounds, name=name)
        values = self.column(document.get("values"), None)
        return self.pandas.Index(values, dtype=values.dtype, name=name)

    def column(self, document: object, length: int | None) -> Any:
        """Return a one-dimensional array of numpy's or pandas'."""
        if not isinstance(document, dict):
            raise malformed("a column must be an object")
        readers = {"categorical": self.categorical, "masked": self.masked, "text": self.text, "zoned": self.zoned}
        values = readers.get(str(document.get("kind")), self.array)(document)
        if length is not None and len(values) != length:
            raise malformed("a frame's columns are as long as its index")
        return values

    def array(self, document: Document) -> Any:
        values = decode_array(document, self.decode)
        if values.ndim != 1:
            raise malformed("a column has one dimension")
        return values

    def categorical(self, document: Document) -> Any:
        values = self.column(document.get("categories"), None)
        categories = self.pandas.Index(values, dtype=values.dtype)
        codes = self.array(member(document, "codes", dict))
        ordered = member(document, "ordered", bool)
        return self.pandas.Categorical.from_codes(codes, categories=categories, ordered=ordered)

    def masked(self, document: Document) -> Any:
        name = member(document, "dtype", str)
        data, missing = (self.array(member(document, part, dict)) for part in ("data", "missing"))
        if _MASKED.get(name) != data.dtype.name or missing.dtype != bool or len(data) != len(missing):
            raise malformed("a nullable column's values and mask do not fit together")
        values = self.pandas.array(data, dtype=name)
        values[missing] = self.pandas.NA
        return values

    def text(self, document: Document) -> Any:
        data, missing = member(document, "data", list), document.get("missing")
        if missing not in ("NaN", "NA") or not all(item is None or isinstance(item, str) for item in data):
            raise malformed("a text column holds text and null")
        if missing == "NA":
            return self.pandas.array(data, dtype="string")
        if int(self.pandas.__version__.partition(".")[0]) >= 3:
            return self.pandas.array(data, dtype="str")
        return self.pandas.Series([float("nan") if item is None else item for item in data], dtype=object).to_numpy()

    def zoned(self, document: Document) -> Any:
        zone = member(document, "zone", str)
        naive = self.array(member(document, "data", dict))
        if not ZONE_NAME.fullmatch(zone) or naive.dtype.kind != "M":
            raise malformed("a column in a time zone holds datetimes and a zone's name")
        return self.pandas.Series(naive).dt.tz_localize("UTC").dt.tz_convert(zone).array
