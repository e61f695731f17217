"""Pairs of signatures that differ in this and that, and inputs for them: strategies for hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from hypothesis import strategies as st

from palate.errors import InvalidSignature
from palate.schema import (
    AnyType,
    Array,
    ColSpec,
    FieldType,
    Map,
    Object,
    Property,
    Schema,
    SparkVector,
    TensorSpec,
)

__all__ = ["column_pairs", "column_tables", "hint_items", "hint_pairs", "tensor_inputs", "tensor_pairs"]

NARROW = st.sampled_from([-1, 0, 1, 2, 3])
WHOLE = NARROW | st.sampled_from([2**24, 2**24 + 1, -(2**24) - 1, 2**31 - 1, -(2**31)])
WIDE = WHOLE | st.sampled_from([2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)])
SINGLE = WHOLE.map(np.float32).map(float) | st.sampled_from([0.5, -1.5, float("inf"), float(np.float32(0.1))])
REAL = SINGLE | st.sampled_from([0.1, 1e300, 2.0**53])
ZONE = timezone(timedelta(hours=2))
TIMES = st.sampled_from(
    [datetime(2024, 1, 1), datetime(2024, 6, 1, 12, tzinfo=UTC), datetime(2024, 6, 1, 14, tzinfo=ZONE)]  # noqa: DTZ001
)
TEXT = st.sampled_from(["", "a", "b", "c"])
NUMBERS = ("integer", "long", "float", "double")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": WHOLE,
    "long": WIDE,
    "float": SINGLE | WHOLE,
    "double": REAL | WIDE,
    "string": TEXT,
    "binary": TEXT.map(str.encode),
    "datetime": TIMES,
}
CATEGORIES: dict[str, st.SearchStrategy[Any]] = {
    **VALUES,
    **dict.fromkeys(("integer", "long"), NARROW),
    **dict.fromkeys(("float", "double"), st.sampled_from([0.0, 0.5, 1.0, -1.0])),
}
SCALARS = st.sampled_from(NUMBERS) | st.sampled_from(list(VALUES))
PROPERTIES = st.dictionaries(st.sampled_from("pq"), st.tuples(SCALARS, st.booleans()), min_size=1)


def _object(members: dict[str, tuple[FieldType, bool]]) -> Object:
    return Object(tuple(Property(name, kind, required) for name, (kind, required) in members.items()))


TYPES: st.SearchStrategy[FieldType] = st.recursive(
    SCALARS | st.just(AnyType()),
    lambda inner: st.one_of(
        inner.map(Array),
        inner.map(Map),
        st.just(SparkVector()),
        st.dictionaries(st.sampled_from("pq"), st.tuples(inner, st.booleans()), min_size=1).map(_object),
    ),
    max_leaves=3,
)

# -- columns -----------------------------------------------------------------------------------------------------------


@st.composite
def _columns(draw: st.DrawFn, name: str | int | None) -> ColSpec:
    kind = draw(SCALARS | SCALARS | TYPES)
    facts: dict[str, Any] = {"required": draw(st.booleans()) if name is not None else True}
    for fact, values in _facts_of(kind).items():
        if draw(st.integers(0, 2)) == 0:
            facts[fact] = draw(values)
    return _valid(ColSpec(type=kind, name=name), facts)


def _facts_of(kind: FieldType) -> dict[str, st.SearchStrategy[Any]]:
    if not isinstance(kind, str):
        return {}
    facts: dict[str, st.SearchStrategy[Any]] = {"nullable": st.sampled_from([None, True, False])}
    if kind in CATEGORIES and kind != "binary":
        facts["categories"] = st.lists(CATEGORIES[kind], unique=True, min_size=1, max_size=3).map(tuple)
        facts["closed"] = st.booleans()
        facts["categorical"] = st.booleans()
    if kind in NUMBERS:
        bounds = st.sampled_from([None, -1, 0, 0.1, 3, 2**24, 2**53, -(2**31)])
        facts |= {"minimum": bounds, "maximum": bounds}
    if kind == "datetime":
        facts["timezone"] = st.sampled_from([None, "UTC", "Europe/Vienna"])
    return facts


def _valid(column: ColSpec, facts: dict[str, Any]) -> ColSpec:
    """Return the column with those of the facts that it can have."""
    for fact, value in facts.items():
        try:
            column = replace(column, **{fact: value})
        except InvalidSignature:
            continue
    return column


@st.composite
def _other_columns(draw: st.DrawFn, column: ColSpec) -> ColSpec:
    """Return a column that differs from another in its type, or in a few facts."""
    if draw(st.booleans()):
        kind = draw(_other_types(column.type))
        return _valid(ColSpec(type=kind, name=column.name), _facts(column))
    facts = {"required": st.booleans(), **_facts_of(column.type)}
    if column.name is None:
        del facts["required"]
    declared = [fact for fact in facts if getattr(column, fact) != _PLAIN[fact]]
    chosen = draw(st.lists(st.sampled_from([*facts, *declared, *declared]), min_size=1, max_size=2)) if facts else []
    return _valid(column, {fact: draw(st.just(_PLAIN[fact]) | facts[fact]) for fact in chosen})


_NAMES = ("required", "nullable", "categories", "closed", "categorical", "minimum", "maximum", "timezone")
_PLAIN = {name: getattr(ColSpec(type="long"), name) for name in _NAMES}


def _facts(column: ColSpec) -> dict[str, Any]:
    return {name: getattr(column, name) for name in _NAMES}


@st.composite
def _other_types(draw: st.DrawFn, kind: FieldType) -> FieldType:
    """Return a type that may be a wider or narrower one."""
    match kind:
        case Array(items=items) if draw(st.booleans()):
            return Array(draw(_other_types(items)))
        case Map(values=values) if draw(st.booleans()):
            return Map(draw(_other_types(values)))
        case Object(properties=properties) if draw(st.booleans()):
            members = {p.name: (draw(_other_types(p.type)), draw(st.booleans())) for p in properties}
            return _object({**members, **draw(PROPERTIES)} if draw(st.booleans()) else members)
        case "integer" | "long" | "float":
            return draw(st.sampled_from(NUMBERS))
        case _:
            return draw(st.just(kind) | SCALARS | TYPES | st.just(AnyType()))


@st.composite
def column_pairs(draw: st.DrawFn) -> tuple[Schema, Schema]:
    """Return two schemas of columns, of which the second is often much like the first."""
    names: list[str | int | None] = draw(
        st.sampled_from([["a"], ["a", "b"], ["a", "b", 0], [0, 1], [None], [None] * 2])
    )
    old = [draw(_columns(name)) for name in names]
    new = [draw(_other_columns(column)) for column in old]
    if names[0] is not None and draw(st.booleans()):
        new.append(replace(draw(_columns("n")), required=False))
    if len(new) > 1 and draw(st.booleans()):
        new = new[1:] if draw(st.booleans()) else new[:-1]
    return Schema(tuple(old)), Schema(tuple(new))


@st.composite
def column_tables(draw: st.DrawFn, schema: Schema) -> Any:
    """Return a table, in some container, that may fit the schema."""
    count = draw(st.integers(1, 2))
    cells: list[list[Any]] = []
    chosen = [column for column in schema.columns if column.required or draw(st.booleans())]
    for column in chosen:
        missing = draw(st.booleans())
        cells.append([draw(_cells(column, missing=missing)) for _ in range(count)])
    rows = [list(row) for row in zip(*cells, strict=True)]
    names = [column.name for column in chosen]
    if not schema.is_named:
        makers: list[Callable[[], Any]] = [lambda: rows, lambda: pd.DataFrame(rows), lambda: _frame(draw, cells, names)]
        if len(names) == 1:
            makers.append(lambda: cells[0])
        return draw(st.sampled_from(makers))()
    makers = [
        lambda: _frame(draw, cells, names),
        lambda: [dict(zip(names, row, strict=True)) for row in rows],
        lambda: dict(zip(names, cells, strict=True)),
        lambda: dict(zip(names, rows[0], strict=True)) if rows else {},
    ]
    return draw(st.sampled_from(makers))()


def _cells(column: ColSpec, *, missing: bool) -> st.SearchStrategy[Any]:
    if column.categories and not isinstance(column.type, AnyType):
        known = st.sampled_from(list(column.categories))
    else:
        known = _values(column.type)
    return known | st.none() if missing else known


def _values(kind: FieldType) -> st.SearchStrategy[Any]:
    match kind:
        case Array(items=items):
            lists = st.lists(_values(items), max_size=2)
            return lists | lists.map(_as_array) if isinstance(items, str) else lists
        case SparkVector():
            return st.lists(REAL, max_size=2)
        case Map(values=values):
            return st.dictionaries(st.sampled_from("xy"), _values(values), max_size=2)
        case Object(properties=properties):
            needed = {p.name: _values(p.type) for p in properties if p.required}
            return st.fixed_dictionaries(
                needed, optional={p.name: _values(p.type) for p in properties if not p.required}
            )
        case AnyType():
            return WIDE | TEXT | st.lists(WIDE, max_size=2)
        case _:
            return VALUES[kind]


def _as_array(items: list[Any]) -> Any:
    if any(isinstance(item, datetime) for item in items):
        return items
    return np.array(items)


def _frame(draw: st.DrawFn, cells: list[list[Any]], names: list[Any]) -> pd.DataFrame:
    """Return a DataFrame whose columns have any of the dtypes that hold their cells."""
    columns = {}
    for position, items in enumerate(cells):
        series = pd.Series(items, dtype=object)
        dtype = draw(st.sampled_from([None, None, "inferred", "Int64", "float32", "float64", "category", "string"]))
        try:
            columns[position] = series if dtype is None else _cast(series, dtype)
        except (TypeError, ValueError, OverflowError):
            columns[position] = series
    frame = pd.DataFrame(columns)
    frame.columns = pd.Index(range(len(cells)) if None in names else names, dtype=object)
    return frame


def _cast(series: Any, dtype: str) -> Any:
    if dtype == "inferred":
        return series.infer_objects()
    if dtype == "string" and not all(isinstance(item, str) for item in series):
        return series  # numbers would become text
    if dtype not in ("category", "string") and any(isinstance(item, bool | str | bytes | datetime) for item in series):
        return series
    return series.astype(dtype)


# -- type hints --------------------------------------------------------------------------------------------------------


@st.composite
def hint_pairs(draw: st.DrawFn) -> tuple[Schema, Schema]:
    """Return two schemas as type hints give them."""
    old = draw(SCALARS | TYPES)
    new = draw(_other_types(old))
    return Schema((ColSpec(type=old),)), Schema((ColSpec(type=new),))


def hint_items(schema: Schema) -> st.SearchStrategy[list[Any]]:
    """Return lists that may fit."""
    return st.lists(_values(schema.columns[0].type), min_size=1, max_size=3)


# -- tensors -----------------------------------------------------------------------------------------------------------

DTYPES = ("bool", "int8", "int32", "int64", "uint8", "uint64", "float16", "float32", "float64", "longdouble")
OTHERS = ("complex64", "str", "object", "datetime64[ns]", "datetime64[s]")
SIZES = st.sampled_from([-1, -1, 1, 2])


@st.composite
def tensor_pairs(draw: st.DrawFn) -> tuple[Schema, Schema]:
    """Return two schemas of tensors."""
    names: list[str | None] = draw(st.sampled_from([[None], [None], ["x"], ["x", "y"]]))
    old = [TensorSpec(dtype=draw(_dtypes()), shape=draw(_shapes()), name=name) for name in names]
    new = []
    for tensor in old:
        dtype = draw(st.just(tensor.dtype) | _dtypes())
        shape = tuple(draw(st.just(size) | SIZES) for size in tensor.shape) if draw(st.booleans()) else tensor.shape
        new.append(TensorSpec(dtype=dtype, shape=shape, name=tensor.name))
    return Schema(tuple(old)), Schema(tuple(new[:1] if draw(st.booleans()) else new))


def _dtypes() -> st.SearchStrategy[str]:
    return st.sampled_from(DTYPES) | st.sampled_from(DTYPES) | st.sampled_from(OTHERS)


def _shapes() -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(SIZES, min_size=1, max_size=3).map(tuple)


@st.composite
def tensor_inputs(draw: st.DrawFn, schema: Schema) -> Any:
    """Return arrays, lists, sparse matrices or frames that may fit."""
    made = {tensor.name: draw(_tensor(tensor)) for tensor in schema.tensors}
    return made if schema.is_named else made[None]


@st.composite
def _tensor(draw: st.DrawFn, tensor: TensorSpec) -> Any:
    shape = tuple(draw(st.integers(1, 3)) if size == -1 else size for size in tensor.shape)
    if tensor.dtype in OTHERS and tensor.dtype != "complex64":
        items: Any = {"str": "a", "object": "a"}.get(tensor.dtype, np.datetime64(draw(st.integers(0, 9)), "s"))
        return np.full(shape, items, dtype=None if tensor.dtype != "object" else object)
    values = [draw(WIDE | REAL) for _ in range(int(np.prod(shape)))]
    dtype = draw(st.just(tensor.dtype) | st.sampled_from([*DTYPES, "complex64"]))
    with np.errstate(all="ignore"):
        try:
            array = np.array(values).astype(dtype).reshape(shape)
        except (OverflowError, ValueError):
            array = np.zeros(shape, dtype)
    forms: list[Callable[[], Any]] = [lambda: array, lambda: array.tolist()]
    if len(shape) == 2 and dtype not in ("float16", "longdouble"):
        forms += [lambda: pd.DataFrame(array), lambda: scipy.sparse.csr_matrix(array)]
    return draw(st.sampled_from(forms))()
