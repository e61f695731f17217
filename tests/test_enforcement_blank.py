"""Columns without a single value: their dtype says nothing of what they are for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.schema import ColSpec, Schema

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")


def series(dtype: Any) -> Any:
    """Return a frame of two cells that are missing."""
    return pd.DataFrame({"a": pd.Series([None, None], dtype=dtype)})


BLANKS = {
    "records of None": [{"a": None}, {"a": None}],
    "records of NaN": [{"a": math.nan}, {"a": math.nan}],
    "dict": {"a": [None, None]},
    "dict of an object array": {"a": np.array([None, None], dtype=object)},
    **{dtype: series(dtype) for dtype in ("object", "float64", "float32", "Float64", "Int64", "boolean", "category")},
    "text": series("string"),
    "sparse": pd.DataFrame({"a": pd.arrays.SparseArray([math.nan, math.nan])}),
    "ArrowDtype": series(pd.ArrowDtype(pa.null())),
    "ArrowDtype of floats": series(pd.ArrowDtype(pa.float64())),
    "polars null": pl.DataFrame({"a": [None, None]}),
    "polars text": pl.DataFrame({"a": [None, None]}, schema={"a": pl.String}),
    "arrow null": pa.table({"a": pa.nulls(2)}),
    "arrow dictionary": pa.table({"a": pa.nulls(2).cast(pa.dictionary(pa.int8(), pa.string()))}),
}
COLUMNS: dict[str, tuple[dict[str, Any], str]] = {
    "boolean?": ({"type": "boolean", "nullable": True}, "boolean"),
    "integer?": ({"type": "integer", "nullable": True}, "Int32"),
    "long?": ({"type": "long", "nullable": True}, "Int64"),
    "double": ({"type": "double"}, "float64"),
    "float": ({"type": "float"}, "float32"),
    "datetime": ({"type": "datetime"}, "datetime64[ns]"),
    "zoned": ({"type": "datetime", "timezone": "Europe/Vienna"}, "datetime64[ns, Europe/Vienna]"),
    "categories": ({"type": "string", "categories": ("x", "y"), "categorical": True}, "category"),
    "numbered": ({"type": "long", "categories": (1, 2), "categorical": True}, "category"),
}


def enforce(data: Any, **spec: Any) -> Any:
    """Enforce one column called a."""
    return compile_inputs(Schema((ColSpec(name="a", **spec),))).enforce(data)["a"]  # type: ignore[index]


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("form", BLANKS)
def test_a_column_without_values_is_missing_in_every_type(form: str, column: str) -> None:
    """None, NaN, null and NA in every container are missing values of the type that the column has."""
    spec, dtype = COLUMNS[column]
    result = enforce(BLANKS[form], **spec)
    assert result.dtype == dtype
    assert result.isna().tolist() == [True, True]


@pytest.mark.parametrize("kind", ["string", "binary", "boolean"])
@pytest.mark.parametrize("form", BLANKS)
def test_objects_without_values_are_none(form: str, kind: str) -> None:
    """Text, bytes and truth values are objects when they are missing, not the floats that pandas made of them."""
    result = enforce(BLANKS[form], type=kind)
    assert result.dtype == object or isinstance(result.dtype, pd.StringDtype)
    assert result.isna().tolist() == [True, True]


@pytest.mark.parametrize("kind", ["integer", "long"])
@pytest.mark.parametrize("form", BLANKS)
def test_integers_without_values_are_told_of_as_missing(form: str, kind: str) -> None:
    """Where integers cannot be missing, that is the problem, and not the dtype that nobody chose."""
    with pytest.raises(InvalidInput) as caught:
        enforce(BLANKS[form], type=kind)
    (problem,) = caught.value.problems
    assert (problem.where, problem.kind) == (("inputs", "a"), "missing")
    assert "2 missing value(s)" in problem.message
    assert "nullable" in problem.message


@pytest.mark.parametrize("form", BLANKS)
def test_cells_that_must_be_there_are_missed(form: str) -> None:
    """A column that is declared to have no gaps does not take a column of gaps for none."""
    for kind in ("string", "datetime", "double", "boolean"):
        with pytest.raises(InvalidInput, match="2 missing value"):
            enforce(BLANKS[form], type=kind, nullable=False)


@pytest.mark.parametrize("column", ["boolean?", "integer?", "long?"])
def test_rows_that_are_none_have_no_dtype(column: str) -> None:
    """Whatever a package makes of no values is an empty column of integers or truth values."""
    spec, dtype = COLUMNS[column]
    for data in ({"a": np.array([])}, pl.DataFrame({"a": []}), series(None)[:0]):
        result = enforce(data, **spec)
        assert (result.dtype, len(result)) == (dtype, 0)


@pytest.mark.parametrize("column", ["boolean?", "integer?", "long?", "double", "categories", "numbered"])
def test_times_that_are_missing_are_times(column: str) -> None:
    """NaT says that a time is missing, which is no missing number, truth value or text."""
    for dtype in ("datetime64[ns]", "timedelta64[ns]", "datetime64[ns, UTC]"):
        with pytest.raises(InvalidInput) as caught:
            enforce(pd.DataFrame({"a": pd.Series([None, None], dtype=dtype)}), **COLUMNS[column][0])
        assert caught.value.problems[0].kind == "wrong_type"


def test_one_value_makes_a_column_of_its_type() -> None:
    """A float among gaps is a float: no text, time or truth value is made of it."""
    for column in ("boolean?", "datetime", "zoned", "categories"):
        with pytest.raises(InvalidInput):
            enforce(pd.DataFrame({"a": [math.nan, 1.5]}), **COLUMNS[column][0])
