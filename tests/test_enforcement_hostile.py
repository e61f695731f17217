"""Whatever a caller sends, enforcement answers with data or with InvalidInput: a server must not fail on it."""

from __future__ import annotations

import datetime as dt
import decimal
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse as sp

from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.schema import AnyType, Array, ColSpec, FieldType, Map, Object, Property, Schema, SparkVector, TensorSpec

RECORD = Object((Property("a", "long"), Property("b", Array("string"), False)))
TYPES: list[FieldType] = [
    *("boolean", "integer", "long", "float", "double", "string", "binary", "datetime"),
    *(Array("double"), Array("datetime"), Array(Array("long")), Array(RECORD), Array(AnyType())),
    *(RECORD, Map("double"), Map(AnyType()), AnyType(), SparkVector()),
]
DTYPES = ["float32", "int64", "uint8", "bool", "str", "bytes", "object", "datetime64[ns]", "complex64"]
SHAPES: list[tuple[int, ...]] = [(-1,), (-1, 2), (2, 2), (), (-1, 2, 2)]

CELLS: list[Any] = [
    *(None, 1, -1.5, float("nan"), float("inf"), True, 2**70, 1 + 2j, decimal.Decimal("1.1")),
    *("x", "", "nan", "2020-01-01", b"x"),
    *([], [1, 2], [1.0, None], ["a"], [None], [[1, 2], [3]], [True, 2], ["1", 2.0], (1, 2), {1, 2}),
    *({}, {"a": 1}, {"a": [1]}, {"a": None}, {1: 2}, [{"a": 1}], [{"a": None}, {}]),
    *(np.array(1), np.array([1, 2]), np.array([[1.5, 2]]), np.array(["a"]), np.array([None, 1], dtype=object)),
    *(np.zeros((0, 2)), np.zeros((2, 0)), np.ma.masked_array([1, 2], mask=[0, 1])),
    *(np.array([[1, 2], [3]], dtype=object), np.array(["2020-01-01"], dtype="M8[D]"), np.datetime64("2020")),
    *(dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.time(1), pd.NaT, pd.NA, pd.Timestamp("2020")),
    *(pd.Timedelta("1s"), pd.Period("2020"), pd.Interval(0, 1), object(), range(3)),
]


def deep(levels: int) -> Any:
    """Return a number inside that many lists."""
    value: Any = 1.0
    for _ in range(levels):
        value = [value]
    return value


def not_text(start: str) -> pa.Table:
    """Return a column of text that is not UTF-8 behind its start."""
    content = start.encode() + b"\xff\xfe"
    offsets = np.array([0, len(content)], "int32")
    return pa.table({"a": pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(content)])})


def containers() -> Iterator[Any]:
    """Yield every cell alone, in frames, series, dicts and lists; and frames that are odd as a whole."""
    for cell in CELLS:
        yield from (cell, {"a": cell}, {"a": [cell, cell]}, [cell, cell], [{"a": cell}])
        yield pd.DataFrame({"a": pd.Series([cell, cell], dtype=object)})
        yield pd.Series([cell, cell], name="a", dtype=object)
    yield from (deep(33), deep(100), pd.DataFrame(), pd.DataFrame(index=[0, 1]), pd.DataFrame({"a": []}))
    yield pd.DataFrame([[1, 2]], columns=["a", "a"])
    yield pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("b", "y")]))
    for dtype in ("Int64", "boolean", "string", "category", "period[D]", "int64[pyarrow]"):
        values = {"boolean": [True, None], "string": ["a", None], "period[D]": ["2020-01-01"]}.get(dtype, [1, None])
        yield pd.DataFrame({"a": pd.array(values, dtype=dtype)})
    yield pd.DataFrame({"a": pd.arrays.SparseArray([0, 1])})
    yield from (sp.csr_matrix([[1, 0], [0, 1]]), sp.coo_matrix([[1, 0]]))
    yield from (pa.table({"a": [1, None]}), pa.table({}), pa.table({"a": [[1], [2]]}), pa.table({"a": [{"a": 1}]}))
    yield pa.table([[1], [2]], names=["a", "a"])
    itself: list[Any] = []
    itself.append(itself)
    yield from (itself, [itself], {"a": itself}, {"a": [itself]}, [{"a": itself}])
    yield pd.DataFrame({"a": pd.Series([itself], dtype=object)})
    yield from (not_text("SECRET"), pa.table({"a": pa.array([[1, None]])}), pa.table({"a": pa.array([{"a": None}])}))


def plans(kind: str) -> list[tuple[Schema, bool]]:
    """Return the schemas of one kind, and whether they come from type hints."""
    if kind == "tensors":
        return [
            (Schema((TensorSpec(dtype=d, shape=s, name=n),)), False)
            for d in DTYPES
            for s in SHAPES
            for n in (None, "a")
        ]
    if kind == "categories":
        known: list[tuple[FieldType, tuple[Any, ...]]] = [("string", ("x", "y")), ("long", (1, 2)), ("double", (1.5,))]
        return [(Schema((ColSpec(type=t, name="a", categories=c, categorical=True),)), False) for t, c in known]
    name = None if kind in ("unnamed", "hints") else "a"
    return [(Schema((ColSpec(type=t, name=name, required=kind != "optional"),)), kind == "hints") for t in TYPES]


@pytest.mark.parametrize("kind", ["named", "optional", "unnamed", "hints", "categories", "tensors"])
def test_no_input_makes_enforcement_fail_otherwise(kind: str) -> None:
    """Every plan, given anything, returns or raises InvalidInput."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy and pandas warn of odd values; what counts here is how it ends
        data = list(containers())
        found = []
        for schema, from_hints in plans(kind):
            plan = compile_inputs(schema, from_type_hints=from_hints)
            for given in data:
                try:
                    plan.enforce(given)
                except InvalidInput:
                    continue
                except Exception as exc:
                    found.append((schema, type(given), type(exc), str(exc)))
    assert found == []


@pytest.mark.parametrize("kind", ["string", "double", AnyType()])
def test_text_that_is_not_utf8_is_told_of_without_showing_it(kind: FieldType) -> None:
    """pyarrow would tell whoever reads the cell, which is the model, and show the cell."""
    plan = compile_inputs(Schema((ColSpec(name="a", type=kind),)))
    with pytest.raises(InvalidInput, match="column 'a' holds text that is not UTF-8") as caught:
        plan.enforce(not_text("SECRET"))
    assert "SECRET" not in str(caught.value)
