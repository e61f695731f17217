"""Nothing lossy passes: whatever is accepted is equal to what came in, and what is refused is told without its values.

Equality is that of exact fractions and counted nanoseconds, computed apart from the code under test.
"""

# ruff: noqa: DTZ001 - times without a zone are what numpy's are

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, get_args

import numpy as np
import pandas as pd
from differential.canonical import plain
from differential.schemas import KINDS, array, column, named, obj, param, tensor, unnamed
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from palate._enforcement.params import enforce_params
from palate._enforcement.plan import compile_inputs
from palate._schema_json import parse_params, parse_schema
from palate.errors import InvalidInput, Problem, ProblemKind

WHOLE = st.integers(-(2**66), 2**66) | st.sampled_from([0, 1, 2**24 + 1, 2**53, 2**53 + 1, 2**63, 2**64])
REAL = st.floats() | st.floats(width=32) | WHOLE.map(float)
TIMES = st.datetimes(datetime(1500, 1, 1), datetime(2500, 1, 1)) | st.datetimes(timezones=st.just(UTC)) | st.dates()
TEXT = (
    st.text(max_size=4)
    | TIMES.map(lambda moment: moment.isoformat())
    | REAL.map(str)
    | st.sampled_from(["True", "nan"])
)
SCALARS = (
    st.none() | st.booleans() | WHOLE | REAL | TEXT | st.binary(max_size=3) | TIMES | st.decimals(allow_infinity=False)
)
ISO_DATE = re.compile(r"\s*\d{4}-\d\d-\d\d")
NUMPY_SCALARS = (
    hnp.from_dtype(np.dtype("float32")) | hnp.from_dtype(np.dtype("int64")) | hnp.from_dtype(np.dtype("bool"))
)
NUMPY_DTYPES = (
    *(
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
    ),
    *("complex64", "complex128", "datetime64[D]", "datetime64[s]", "datetime64[ns]", "timedelta64[ns]", "U3", "S3"),
)
WRAPPED = {
    **{f"{sign}Int{bits}": (bits, sign) for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{f"{sign.lower()}int{bits}[pyarrow]": (bits, sign) for sign in ("", "U") for bits in (8, 16, 32, 64)},
}


def accepted(schema: str, data: Any) -> Any:
    """Return what Palate makes of an input, or None when it refuses it."""
    try:
        return compile_inputs(parse_schema(schema, "inputs")).enforce(data)
    except InvalidInput:
        return None


def same(before: Any, after: Any, kind: str) -> bool:
    """Tell whether a value is the one that came in, as this type holds it."""
    came, went = plain(before), plain(after)
    if came[0] == "instant":
        return went[:2] == came[:2]  # in UTC, where it had a zone
    if came[0] == "text" and went[0] == "instant" and kind == "datetime":
        return went[:2] == plain(datetime.fromisoformat(before.strip()))[:2]
    if isinstance(before, Decimal) and kind == "double":
        return went == plain(float(before))  # the nearest, as MLflow documents
    if came[0] == "truth" and kind == "double":
        return went == plain(float(before))  # among numbers, as MLflow takes it
    return came == went


def is_signaling(value: Any) -> bool:
    """Tell whether a value is a decimal that no comparison takes."""
    return isinstance(value, Decimal) and value.is_snan()


@st.composite
def columns(draw: st.DrawFn) -> Any:
    """Draw a pandas column of any dtype."""
    form = draw(st.sampled_from(("numpy", "integers", "floats", "text", "truth", "objects", "category", "zone")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy and pandas warn of values that overflow on the way into a dtype
        match form:
            case "numpy":
                dtype = draw(
                    st.sampled_from([name for name in NUMPY_DTYPES if name != "datetime64[D]"])
                )  # pandas has none
                return pd.Series(draw(hnp.arrays(dtype, st.integers(0, 4))))
            case "integers":
                dtype = draw(st.sampled_from(sorted(WRAPPED)))
                bits, sign = WRAPPED[dtype]
                low, high = (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
                return pd.Series(draw(st.lists(st.none() | st.integers(low, high), max_size=4)), dtype=dtype)
            case "floats":
                dtype = draw(st.sampled_from(("Float64", "double[pyarrow]", "Sparse[float64]")))
                return pd.Series(draw(st.lists(st.floats(allow_nan=False), max_size=4)), dtype=dtype)
            case "text":
                dtype = draw(st.sampled_from(("str", "string", "object", "category")))
                return pd.Series(draw(st.lists(st.none() | TEXT, max_size=4)), dtype=dtype)
            case "truth":
                dtype = draw(st.sampled_from(("boolean", "bool[pyarrow]", "object")))
                return pd.Series(draw(st.lists(st.none() | st.booleans(), max_size=4)), dtype=dtype)
            case "category":
                return pd.Series(draw(st.lists(st.none() | st.integers(0, 2**60), max_size=4)), dtype="category")
            case "zone":
                moments = draw(st.lists(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)), max_size=4))
                return pd.Series(moments, dtype="datetime64[ns]").dt.tz_localize("UTC")
            case _:
                cells = (SCALARS | NUMPY_SCALARS).filter(
                    lambda cell: not is_signaling(cell)
                )  # pandas 2 stumbles over them
                return pd.Series(draw(st.lists(cells, max_size=4)), dtype=object)


@settings(max_examples=400)
@given(series=columns(), kind=st.sampled_from(KINDS))
def test_columns_come_out_equal_or_not_at_all(series: Any, kind: str) -> None:
    """A column of any dtype is refused, or each of its cells is the same: nothing is rounded, no text made a number."""
    result = accepted(named(column(kind)), pd.DataFrame({"a": series}))
    if result is not None:
        cells = result["a"].tolist()
        assert len(cells) == len(series)
        assert all(same(before, after, kind) for before, after in zip(series.tolist(), cells, strict=True))


@settings(max_examples=300)
@given(
    given_array=hnp.arrays(
        st.sampled_from((*NUMPY_DTYPES, "object")), hnp.array_shapes(max_dims=2, min_side=0, max_side=3)
    ),
    dtype=st.sampled_from((*NUMPY_DTYPES[:14], "datetime64[ns]", "timedelta64[ns]", "str", "bytes", "object")),
)
def test_arrays_come_out_equal_or_not_at_all(given_array: Any, dtype: str) -> None:
    """An array for a tensor of any dtype is refused, or each of its items is the same."""
    result = accepted(json.dumps([tensor(dtype, (-1,) * given_array.ndim)]), given_array)
    if result is not None:
        before, after = plain(given_array), plain(result)
        assert after[2:] == before[2:]


@settings(max_examples=300)
@given(
    items=st.lists(st.booleans() | WHOLE | REAL | TEXT | st.none(), max_size=4),
    dtype=st.sampled_from(NUMPY_DTYPES[:12]),
)
def test_lists_for_tensors_are_equal_or_rounded_to_a_float_type(items: list[Any], dtype: str) -> None:
    """Numbers of a list become the nearest of a float type, when they have an exact double; nothing else is changed."""
    result = accepted(json.dumps([tensor(dtype, (-1,))]), items)
    if result is not None:
        for before, after in zip(items, result, strict=True):
            number = isinstance(before, int | float) and not isinstance(before, bool) and float(before) == before
            rounded = number and np.dtype(dtype).kind == "f" and plain(after) == plain(np.dtype(dtype).type(before))
            assert rounded or plain(after) == plain(before)


@settings(max_examples=400)
@given(items=st.lists(SCALARS | NUMPY_SCALARS, max_size=4), kind=st.sampled_from(KINDS))
def test_items_of_lists_come_out_equal_or_not_at_all(items: list[Any], kind: str) -> None:
    """A list in a cell is refused, or each of its items is the same, whether it comes as a list or as an array."""
    for cell in (items, np.fromiter(items, dtype=object, count=len(items))):
        result = accepted(named(column(array(kind))), pd.DataFrame({"a": pd.Series([cell], dtype=object)}))
        if result is not None:
            for before, after in zip(items, list(result["a"][0]), strict=True):
                # MLflow reads ASCII text as bytes, and so does Palate.
                as_bytes = (
                    kind == "binary" and isinstance(before, str) and plain(after) == plain(before.encode("ascii"))
                )
                assert as_bytes or same(before, after, kind)


def test_rows_that_end_early_miss_the_rest() -> None:
    """Without a warning a shorter list, tuple or array among the rows has gaps at its end; the other cells are kept."""
    large = 2**53 + 1
    for rows in ([[large, 4], [3]], [(large, 4), (3,)], [np.array([large, 4]), np.array([3])], [[large, 4], (3,)]):
        result = accepted(unnamed("long", "double"), rows)
        assert [plain(result[label].tolist()) for label in (0, 1)] == [plain([large, 3]), plain([4, None])]


@settings(max_examples=400)
@given(value=SCALARS | NUMPY_SCALARS, kind=st.sampled_from([kind for kind in KINDS if kind != "binary"]))
def test_params_come_out_equal_or_not_at_all(value: Any, kind: str) -> None:
    """A param is refused, or it is the same value, alone as well as in a list."""
    default = {"boolean": True, "string": "x", "datetime": "2020-01-01"}.get(kind, 1)
    specs = parse_params(json.dumps([param("p", kind, default), param("q", kind, [default], shape=(-1,))]))
    try:
        values = enforce_params({"p": value, "q": [value]}, specs)
    except InvalidInput:
        return
    for after in (values["p"], values["q"][0]):  # type: ignore[index]
        # numpy reads more text than ISO 8601: "2020-05", "today".
        is_left = kind == "datetime" and isinstance(value, str) and not ISO_DATE.match(value)
        assert is_left or same(value, after, kind)


# -- refusals ----------------------------------------------------------------------------------------------------------

MARKED = st.sampled_from(
    ["QZX", "QZX\0", b"QZX", 918273645, -918273645.5, 918273645.5 + 1j, Decimal("918273645.25"), np.float32(918273645)]
) | st.sampled_from([datetime(1987, 6, 5, 4, 3, 2), date(1987, 6, 5), np.datetime64("1987-06-05"), None, True, {"QZX"}])
CELLS = st.recursive(
    MARKED, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("x"), inner), max_leaves=3
)
TYPES = st.recursive(
    st.sampled_from(KINDS).map(lambda kind: {"type": kind}),
    lambda inner: (
        inner.map(array) | inner.map(lambda kind: obj(x=kind)) | inner.map(lambda k: {"type": "map", "values": k})
    ),
    max_leaves=2,
)


def refusal(call: Callable[[], object]) -> InvalidInput | None:
    """Return the error that a call ends in, or None."""
    try:
        call()
    except InvalidInput as exc:
        return exc
    return None


def told(error: InvalidInput | None) -> bool:
    """Tell whether an error names places, kinds and reasons, and none of the marked values."""
    if error is None:
        return True
    problems: list[Problem] = error.problems
    complete = all(p.where and p.where[0] in ("inputs", "params") and p.message for p in problems)
    known = {problem.kind for problem in problems} <= set(get_args(ProblemKind))
    shown = f"{error} {error!r} {problems!r}"
    hidden = not any(mark in shown for mark in ("QZX", "9182736", "9.18", "1987"))
    return bool(problems) and complete and known and hidden


@st.composite
def containers(draw: st.DrawFn) -> Any:
    """Draw an input of any kind, full of marked values."""
    cells = draw(st.lists(CELLS, min_size=1, max_size=3))
    form = draw(st.sampled_from(("frame", "dict", "records", "rows", "list", "series", "array", "one", "numbers")))
    match form:
        case "frame":
            return pd.DataFrame({"a": pd.Series(cells, dtype=object)})
        case "dict":
            return {"a": cells, "b": cells}
        case "records":
            return [{"a": cell} for cell in cells]
        case "rows":
            return [[cell, cell] for cell in cells]
        case "list":
            return cells
        case "series":
            return pd.Series(cells, dtype=object, name="a")
        case "array":
            return np.fromiter(cells, dtype=object, count=len(cells))
        case "numbers":
            return np.full(draw(hnp.array_shapes(max_dims=3, max_side=2)), 918273645.5)
        case _:
            return cells[0]


@settings(max_examples=400)
@given(
    data=containers(),
    schema=st.one_of(
        TYPES.map(lambda kind: named(column(kind))),
        TYPES.map(lambda kind: named(column(kind), column("long", "b"))),
        TYPES.map(unnamed),
        st.sampled_from(("float32", "int8", "str", "datetime64[ns]")).map(lambda d: json.dumps([tensor(d, (-1, 2))])),
        st.just(json.dumps([tensor("float32", (-1, 2), "a"), tensor("int8", (-1,), "b")])),
    ),
)
def test_problems_are_complete_and_show_no_value(data: Any, schema: str) -> None:
    """Whatever is refused, each problem has a place, a kind and a reason, and none shows what the caller sent."""
    plan = compile_inputs(parse_schema(schema, "inputs"))
    assert told(refusal(lambda: plan.enforce(data)))


@settings(max_examples=300)
@given(
    value=CELLS, kind=st.sampled_from([*(kind for kind in KINDS if kind != "binary"), "object"]), listed=st.booleans()
)
def test_problems_of_params_are_complete_and_show_no_value(value: Any, kind: str, listed: bool) -> None:
    """The same of params."""
    default = {"boolean": True, "string": "x", "datetime": "2020-01-01", "object": {"x": 1.0}}.get(kind, 1)
    typed = obj(x="double") if kind == "object" else kind
    shape, default = ((-1,), [default]) if listed else (None, default)
    specs = parse_params(json.dumps([param("p", typed, default, shape=shape)]))
    assert told(refusal(lambda: enforce_params({"p": value}, specs)))
