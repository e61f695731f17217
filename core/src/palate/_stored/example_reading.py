"""Example data from its JSON form, with the dtypes that a signature tells.

The rule throughout: a value takes the type of the schema when nothing is lost by it (base64 becomes bytes, ISO text a
datetime, null NaN), and stays as it is stored otherwise, because judging data is the part of enforcement.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from datetime import datetime
from itertools import chain
from typing import Any

from palate._containers.exactness import cast_list
from palate._containers.moments import read_moment
from palate._containers.unfit import Unfit
from palate._enforcement.facts import NULLABLE
from palate._enforcement.nested import NUMPY_NAMES
from palate._stored.example_json import invalid
from palate.errors import DependencyMissing
from palate.schema import Array, ColSpec, FieldType, Map, Object, Schema, TensorSpec

__all__ = ["read_arrays", "read_frame", "read_plain", "read_sparse"]

_ZONED = re.compile(r".*\d(Z|[+-]\d\d:?\d\d)", re.ASCII)
# numpy itself also reads "now", and drops offsets with a warning.
_NUMPY_TIME = re.compile(r"NaT|-?\d{1,20}(-\d\d(-\d\d([T ]\d\d(:\d\d)*(\.\d*)?)?)?)?", re.ASCII)
_NAN = float("nan")
_NAT = -(2**63)  # numpy's integer for "not a time"
_MAX_RANK = 32


# -- frames ------------------------------------------------------------------------------------------------------------


def read_frame(document: Any, schema: Schema | None) -> Any:
    """Return the DataFrame of a ``{"columns", "data"}`` document."""
    try:
        import pandas
    except ModuleNotFoundError as exc:
        raise DependencyMissing("pandas", needed_for="Reading this input example", install="palate[pandas]") from exc
    rows, labels = _table(document)
    columns = {
        position: _frame_column([row[position] for row in rows], field, pandas)
        for position, field in enumerate(_fields(schema, labels))
    }
    frame = pandas.DataFrame(columns, index=pandas.RangeIndex(len(rows)))
    if document.get("columns") is not None:
        frame.columns = pandas.Index(labels)
    # Only now, because pandas aligns columns that are Series with the index it is given.
    return frame if document.get("index") is None else frame.set_axis(document["index"], axis=0)


def _table(document: Any) -> tuple[list[list[Any]], list[str | int]]:
    """Return the rows and the labels of a frame, checked to fit together."""
    rows = document.get("data") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise invalid(("data",), "must be a list of rows")
    labels = document.get("columns")
    if labels is None:
        labels = list(range(len(rows[0]) if rows else 0))
    if not isinstance(labels, list) or not all(isinstance(label, str | int) for label in labels):
        raise invalid(("columns",), "must be a list of names")
    if any(len(row) != len(labels) for row in rows):
        raise invalid(("data",), "must have a value for each column in every row")
    index = document.get("index")
    if index is not None and not (
        isinstance(index, list) and len(index) == len(rows) and all(isinstance(label, str | int) for label in index)
    ):
        raise invalid(("index",), "must have a label for each row")
    return rows, labels


def _fields(schema: Schema | None, labels: list[str | int]) -> list[ColSpec | TensorSpec | None]:
    """Return the field for each column: by name, or by position in a schema without names."""
    if schema is None:
        return [None] * len(labels)
    if schema.is_named:
        named = {field.name: field for field in schema}
        return [named.get(label) for label in labels]
    if schema.is_tensor:
        return [schema.fields[0]] * len(labels)  # one tensor, of which these are the columns
    return [schema.fields[position] if position < len(schema) else None for position in range(len(labels))]


def _frame_column(values: list[Any], field: ColSpec | TensorSpec | None, pandas: Any) -> Any:
    """Return a column as an array or Series of its field's type."""
    if isinstance(field, TensorSpec):
        cells = any(isinstance(value, list) for value in values)  # which enforcement stacks
        return pandas.Series(values, dtype=object) if cells else _number_column(values, field.dtype, pandas)
    if field is None:
        return _natural_column(values, pandas)
    known = field.categories
    if field.categorical and known is not None and all(value is None or value in known for value in values):
        return pandas.Categorical(values, categories=list(known))
    if field.type == "datetime":
        return _in_zone(_datetime_column(values, pandas), field.timezone, pandas)
    if field.nullable and field.type in NULLABLE:
        return _nullable_column(values, NULLABLE[field.type], pandas)
    if isinstance(field.type, str) and field.type in NUMPY_NAMES:
        return _number_column(values, NUMPY_NAMES[field.type], pandas)
    if field.type == "string":
        return _natural_column(values, pandas)
    return pandas.Series([_nested(value, field.type) for value in values], dtype=object)


def _number_column(values: list[Any], dtype: str, pandas: Any) -> Any:
    if dtype in ("int32", "int64") and None in values:
        return _nullable_column(values, dtype.title(), pandas)
    fitted = _fit(values, dtype)
    return _natural_column(values, pandas) if fitted is None else fitted


def _fit(values: Any, dtype: str) -> Any:
    """Return (nested) lists as an array of *dtype*, null as NaN; or None when a value would change."""
    import numpy

    wanted = numpy.dtype(dtype)
    if wanted.kind in "iu" and (leaves := _whole_numbers(values)) is not None:
        limits = numpy.iinfo(wanted)
        fits = not leaves.size or (limits.min <= leaves.min() and leaves.max() <= limits.max)
        return leaves.astype(wanted) if fits else None
    try:
        return cast_list(_fill(values, _NAN) if wanted.kind in "fc" else values, wanted)
    except (Unfit, ValueError, OverflowError):
        return None


def _whole_numbers(values: Any) -> Any:
    """Return the integers of (nested) lists as objects, for numpy makes floats of [2**63, 0]; None if some are none."""
    leaves = _object_array(values, _rank(values))
    return leaves if leaves is not None and all(type(leaf) is int for leaf in leaves.flat) else None


def _fill(values: Any, missing: object) -> Any:
    if isinstance(values, list):
        return [_fill(value, missing) for value in values]
    return missing if values is None else values


def _nullable_column(values: list[Any], dtype: str, pandas: Any) -> Any:
    """Return integers or truth values, null among them, as the pandas dtype *dtype*; as objects if they are neither."""
    plain = pandas.api.types.pandas_dtype(dtype).numpy_dtype
    fitted = _fit([plain.type(0).item() if value is None else value for value in values], plain.name)
    if fitted is None:
        return pandas.Series(values, dtype=object)
    column = pandas.array(fitted, dtype=dtype)
    column[[value is None for value in values]] = pandas.NA
    return column


def _natural_column(values: list[Any], pandas: Any) -> Any:
    """Return the column that the JSON values alone tell."""
    kinds = {type(value) for value in values}
    if kinds == {int, type(None)}:  # pandas would make floats of them
        return _nullable_column(values, "Int64", pandas)
    uniform = kinds - {type(None)} in ({str}, {bool}, {int}, {float}, {int, float})
    return pandas.Series(values) if uniform else pandas.Series(values, dtype=object)


def _in_zone(column: Any, zone: str | None, pandas: Any) -> Any:
    """Return datetimes in a zone, where those without one are UTC; what is no datetime stays."""
    if zone is None or not pandas.api.types.is_datetime64_any_dtype(column.dtype):
        return column
    aware = column if hasattr(column.dtype, "tz") else column.dt.tz_localize("UTC")
    return aware.dt.tz_convert(zone)


def _datetime_column(values: list[Any], pandas: Any) -> Any:
    """Return datetimes, whose texts may differ in precision; in UTC when they have offsets."""
    texts = [None if value == "NaT" else value for value in values]
    present = [text for text in texts if text is not None]
    zoned = {bool(_ZONED.fullmatch(text)) for text in present if isinstance(text, str)}
    dated = all(isinstance(text, str) and text[:4].isdigit() for text in present)  # pandas also reads "now"
    if len(zoned) > 1 or not dated:
        return _natural_column(values, pandas)
    try:
        column = pandas.to_datetime(pandas.Series(texts, dtype=object), format="ISO8601", utc=zoned == {True})
        return column.dt.as_unit("ns")
    except pandas.errors.OutOfBoundsDatetime:
        return _distant_dates(texts, pandas)
    except ValueError:
        return _natural_column(values, pandas)


def _distant_dates(texts: list[str | None], pandas: Any) -> Any:
    """Return datetimes that are too far from 1970 for nanoseconds, in microseconds."""
    import numpy

    moments = _time_array(texts, numpy.dtype("datetime64[us]"))
    return _natural_column(texts, pandas) if moments is None else pandas.Series(moments)


# -- arrays ------------------------------------------------------------------------------------------------------------


def read_arrays(document: Any, schema: Schema | None) -> Any:
    """Return the ndarray of nested lists, or a dict of them."""
    fields: dict[object, ColSpec | TensorSpec] = {field.name: field for field in schema or ()}
    if isinstance(document, dict):
        return {name: _read_array(value, fields.get(name)) for name, value in document.items()}
    return _read_array(document, schema.fields[0] if schema is not None and len(schema) == 1 else None)


def _read_array(value: Any, field: ColSpec | TensorSpec | None) -> Any:
    dtype, shape = None, None
    if isinstance(field, TensorSpec):
        dtype, shape = field.dtype, field.shape
    elif field is not None and isinstance(field.type, str):
        dtype = {"string": "str", "binary": "bytes", **NUMPY_NAMES}[field.type]
    array = None if dtype is None else _typed_array(value, dtype, shape)
    if array is None:
        array = _natural_array(value)
    if shape is None or array.size or not array.ndim or array.ndim == len(shape):
        return array
    full = [*array.shape[:1], *(max(size, 0) for size in shape[1:])]  # [] may stand for (0, 3)
    return array if math.prod(full) else array.reshape(full)


def _typed_array(value: Any, dtype: str, shape: tuple[int, ...] | None) -> Any:
    import numpy

    wanted = numpy.dtype(dtype)
    if wanted.kind == "O":
        return _object_array(value, 1 if shape is None else len(shape))
    if wanted.kind in "mM":
        return _time_array(value, wanted)
    if wanted.kind == "S":
        value = _nested(value, _array_type(value, "binary"))
    if not isinstance(value, list):
        fitted = _fit([value], dtype)
        return None if fitted is None else fitted.reshape(())
    return _fit(value, dtype)


def _array_type(value: Any, item: FieldType) -> FieldType:
    """Return the type of nested lists of *item*."""
    depth = 0
    while isinstance(value, list) and value and depth < _MAX_RANK:
        value, item, depth = value[0], Array(item), depth + 1
    return item


def _object_array(value: Any, rank: int) -> Any:
    """Return an array of objects of this rank, whose items may be lists."""
    import numpy

    shape, level = [], value
    for _ in range(rank):
        if not isinstance(level, list):
            return None
        shape.append(len(level))
        level = level[0] if level else None
    items = value if rank else [value]
    for _ in range(rank - 1):
        if not all(isinstance(item, list) for item in items):
            return None
        items = list(chain.from_iterable(items))
    if len(items) != math.prod(shape):
        return None
    array = numpy.empty(len(items), dtype=object)
    array[:] = items
    return array.reshape(shape)


def _time_array(value: Any, dtype: Any) -> Any:
    """Return datetimes or durations from integers (of the dtype's unit) or ISO texts."""
    import numpy

    leaves = _object_array(value, _rank(value))
    if leaves is None:
        return None
    kinds = set(map(type, leaves.flat))
    try:
        if kinds <= {int, type(None)}:
            counts = [_NAT if leaf is None else leaf for leaf in leaves.flat]
            return numpy.array(counts, dtype=numpy.int64).view(dtype).reshape(leaves.shape)
        texts = ["NaT" if leaf is None else leaf for leaf in leaves.flat]
        if dtype.kind == "M" and all(isinstance(text, str) and _NUMPY_TIME.fullmatch(text) for text in texts):
            return numpy.array(texts, dtype=dtype).reshape(leaves.shape)
    except (ValueError, OverflowError):
        return None
    return None


def _rank(value: Any) -> int:
    rank = 0
    while isinstance(value, list) and rank < _MAX_RANK:
        value, rank = value[0] if value else None, rank + 1
    return rank


def _natural_array(value: Any) -> Any:
    """Return the array that the JSON values alone tell; null among numbers is NaN."""
    import numpy

    leaves = _object_array(value, _rank(value))
    if leaves is None:  # ragged
        return _object_array(value, 1) if isinstance(value, list) else numpy.array(value, dtype=object)
    kinds = set(map(type, leaves.flat))
    if kinds == {bool} or kinds == {str} or not kinds:
        return numpy.array(leaves.tolist())
    if not kinds <= {int, float, type(None)} or kinds == {type(None)}:
        return leaves
    for dtype in ("int64", "uint64") if kinds == {int} else ("float64",):
        if (fitted := _fit(leaves.ravel().tolist(), dtype)) is not None:
            return fitted.reshape(leaves.shape)
    return leaves


def read_sparse(document: Any, schema: Schema | None, *, layout: str) -> Any:
    """Return the CSR or CSC matrix of MLflow's four lists."""
    try:
        import scipy.sparse
    except ModuleNotFoundError as exc:
        raise DependencyMissing("scipy", needed_for="Reading this input example") from exc
    names = ("data", "indices", "indptr", "shape")
    parts: list[Any] = [document.get(name) if isinstance(document, dict) else None for name in names]
    if not all(isinstance(part, list) for part in parts):
        raise invalid((), "a sparse example holds the lists data, indices, indptr and shape")
    data, indices, indptr, shape = parts
    if len(shape) != 2 or any(type(size) is not int or not 0 <= size < 2**62 for size in shape):
        raise invalid(("shape",), "must be two sizes")
    positions = [_fit(part, "int64") for part in (indices, indptr)]
    if any(part is None or part.ndim != 1 for part in positions):
        raise invalid(("indices",), "must be lists of integers")
    values = _read_array(data, None if schema is None or len(schema) != 1 else _values_field(schema.fields[0]))
    if values.dtype.kind not in "biuf" or values.ndim != 1:
        raise invalid(("data",), "must be a list of numbers")
    build = scipy.sparse.csc_matrix if layout == "csc" else scipy.sparse.csr_matrix
    try:
        matrix = build((values, *positions), shape=tuple(shape))
        # Without the full check, an index out of range is found by the first product, which reads past the array.
        matrix.check_format(full_check=True)
    except (ValueError, TypeError, IndexError, OverflowError) as exc:
        raise invalid(("indices",), "do not fit the shape") from exc
    return matrix


def _values_field(field: ColSpec | TensorSpec) -> ColSpec | TensorSpec:
    return TensorSpec(dtype=field.dtype, shape=(-1,)) if isinstance(field, TensorSpec) else field


# -- plain data --------------------------------------------------------------------------------------------------------


def read_plain(document: Any, schema: Schema | None) -> Any:
    """Return a dict, list or scalar, in which text that stands for bytes or a datetime becomes that."""
    if schema is None or schema.is_tensor:
        return document
    if schema.is_named:
        types = {column.name: column.type for column in schema.columns}
        if isinstance(document, list):
            return [_members(row, types) for row in document]
        return _members(document, types)
    kind = schema.columns[0].type
    return _nested(document, Array(kind) if isinstance(document, list) else kind)


def _members(value: Any, types: Mapping[Any, FieldType]) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _nested(item, types[name]) if name in types else item for name, item in value.items()}


def _nested(value: Any, kind: FieldType) -> Any:
    if isinstance(kind, Array) and isinstance(value, list):
        if kind.items in ("float", "double"):
            value = [_NAN if item is None else item for item in value]
        return [_nested(item, kind.items) for item in value]
    if isinstance(kind, Map) and isinstance(value, dict):
        return {name: _nested(item, kind.values) for name, item in value.items()}
    if isinstance(kind, Object) and isinstance(value, dict):
        return _members(value, {p.name: p.type for p in kind.properties})
    if kind == "binary" and isinstance(value, str):
        return _bytes(value)
    if kind == "datetime" and isinstance(value, str):
        return _moment(value)
    return value


def _bytes(text: str) -> str | bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:  # not base64, or not ASCII
        return text


def _moment(text: str) -> str | datetime:
    try:
        moment, nanoseconds = read_moment(text)
    except Unfit:
        return text
    return text if nanoseconds else moment
