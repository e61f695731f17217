"""Predictions as JSON: exact and typed, so that what a model predicted once can be compared with what it predicts now.

Plain JSON values stand for themselves; everything else is an object with a "kind". Reading trusts nothing: a
malformed document is an InvalidExample, and nothing in it names a class or a function.
"""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from palate._enforcement.containers import is_arrow, is_dataframe, is_ndarray, is_polars, is_series, is_sparse
from palate._stored.differences import differences, tolerance_of
from palate._stored.value_arrays import (
    JSON,
    Document,
    decode_array,
    decode_float,
    decode_numpy_scalar,
    decode_sparse,
    encode_array,
    encode_float,
    encode_numpy_scalar,
    encode_sparse,
    malformed,
    member,
    unsupported,
)
from palate._stored.value_columns import decode_arrow, decode_polars, encode_arrow, encode_polars
from palate._stored.value_frames import decode_pandas, encode_pandas
from palate.errors import DependencyMissing

__all__ = ["decode_value", "differences", "encode_value", "tolerance_of"]

_MAX_DEPTH = 64


def encode_value(value: object) -> JSON:
    """Return *value* as JSON data, without NaN or infinity, from which ``decode_value`` makes an equal one.

    Raises:
        InvalidExample: it holds something that has no plain form; the message names the type.
    """
    return _Writer().value(value)


def decode_value(document: JSON) -> object:
    """Return the value that ``encode_value`` wrote.

    Raises:
        InvalidExample: the document is malformed.
        DependencyMissing: it holds a frame or a sparse matrix whose package is not installed.
    """
    return _Reader().value(document)


class _Nested:
    """Counts how deep it is, since JSON this deep is hostile or cyclic, not a prediction."""

    def __init__(self) -> None:
        self.depth = 0

    def __enter__(self) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise malformed(f"it is nested deeper than {_MAX_DEPTH}")

    def __exit__(self, *exc: object) -> None:
        self.depth -= 1


class _Writer:
    def __init__(self) -> None:
        self.nested = _Nested()

    def value(self, value: Any) -> JSON:
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if isinstance(number := encode_float(value), float) else {"kind": "float", "value": number}
        with self.nested:
            return self.container(value)

    def container(self, value: Any) -> JSON:
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, tuple):
            return {"kind": "tuple", "items": [self.value(item) for item in value]}
        if isinstance(value, dict):
            # A list of pairs keeps keys that are not text, and the order even where a writer sorts keys.
            return {"kind": "dict", "items": [[self.value(k), self.value(v)] for k, v in value.items()]}
        if is_ndarray(value):
            return encode_array(value, self.value)
        if is_dataframe(value) or is_series(value):
            return encode_pandas(value, self.value)
        if is_sparse(value):
            return encode_sparse(value)
        if is_arrow(value):
            return encode_arrow(value, self.value)
        if is_polars(value):
            return encode_polars(value, self.value)
        return _encode_scalar(value)


def _encode_scalar(value: Any) -> Document:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return encode_numpy_scalar(value)
    if type(value).__name__ in ("NaTType", "NAType"):
        return {"kind": "missing", "value": type(value).__name__.removesuffix("Type")}
    if isinstance(value, datetime) and hasattr(value, "nanosecond"):  # pandas' Timestamp
        return {"kind": "timestamp", "value": value.isoformat()}
    for name, (kind, write, _) in _SCALARS.items():
        if type(value) is kind:
            return {"kind": name, "value": write(value)}
    raise unsupported(f"a value of the type {type(value).__module__}.{type(value).__qualname__}")


def _parse_timestamp(text: str) -> Any:
    try:
        import pandas
    except ModuleNotFoundError as exc:
        raise DependencyMissing("pandas", needed_for="Reading a stored timestamp", install="palate[pandas]") from exc
    datetime.fromisoformat(text)  # pandas itself reads "now" and "today" as well
    return pandas.Timestamp(text)


def _parse_complex(text: str) -> complex:
    real, _, imaginary = text.partition(" ")
    return complex(float(real), float(imaginary))


def _parse_delta(text: str) -> timedelta:
    return timedelta(microseconds=int(text))


def _microseconds(delta: timedelta) -> str:
    return str(delta // timedelta(microseconds=1))


_SCALARS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "bytes": (bytes, lambda v: base64.b64encode(v).decode("ascii"), lambda text: base64.b64decode(text, validate=True)),
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
    "timedelta": (timedelta, _microseconds, _parse_delta),
    "decimal": (Decimal, str, Decimal),
    "complex": (complex, lambda v: f"{v.real!r} {v.imag!r}", _parse_complex),
    "float": (float, repr, decode_float),
}


class _Reader:
    def __init__(self) -> None:
        self.nested = _Nested()
        self.readers: dict[str, Callable[[Document], Any]] = {
            "tuple": lambda d: tuple(self.items(d)),
            "dict": self.mapping,
            "array": lambda d: decode_array(d, self.value),
            "scalar": decode_numpy_scalar,
            "sparse": decode_sparse,
            "series": lambda d: decode_pandas(d, self.value),
            "dataframe": lambda d: decode_pandas(d, self.value),
            "arrow": lambda d: decode_arrow(d, self.value),
            "polars": lambda d: decode_polars(d, self.value),
            "missing": _decode_missing,
            "timestamp": lambda d: _decode_scalar(d, _parse_timestamp),
        }

    def value(self, document: JSON) -> Any:
        if document is None or isinstance(document, bool | int | float | str):
            return document
        with self.nested:
            if isinstance(document, list):
                return [self.value(item) for item in document]
            if isinstance(document, dict):
                return self.container(document)
        raise malformed(f"a {type(document).__name__} is not JSON data")

    def container(self, document: Document) -> Any:
        name = document.get("kind")
        if isinstance(name, str) and name in self.readers:
            return self.readers[name](document)
        if isinstance(name, str) and name in _SCALARS:
            return _decode_scalar(document, _SCALARS[name][2])
        raise malformed("unknown kind of value")

    def items(self, document: Document) -> list[Any]:
        return [self.value(item) for item in member(document, "items", list)]

    def mapping(self, document: Document) -> Any:
        pairs = self.items(document)
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise malformed("a dict is a list of pairs")
        try:
            return dict(pairs)
        except TypeError as exc:
            raise malformed("a dict's keys must be hashable") from exc


def _decode_scalar(document: Document, parse: Callable[[str], Any]) -> Any:
    text = member(document, "value", str)
    try:
        return parse(text)
    except (ValueError, OverflowError, InvalidOperation, binascii.Error) as exc:
        raise malformed(f"not a {document['kind']}") from exc


def _decode_missing(document: Document) -> Any:
    name = document.get("value")
    if name not in ("NaT", "NA"):
        raise malformed("unknown missing value")
    try:
        import pandas
    except ModuleNotFoundError as exc:
        raise DependencyMissing(
            "pandas", needed_for="Reading a stored missing value", install="palate[pandas]"
        ) from exc
    return getattr(pandas, name)
