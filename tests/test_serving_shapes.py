"""Predictions of every container as MLflow's server would write them."""

from __future__ import annotations

import datetime
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from palate.errors import UnsupportedOutput
from palate.serving._json import dump_json
from palate.serving.protocols._json_shapes import shape_predictions

SHAPES: dict[str, tuple[Any, Any]] = {
    "array": (np.array([[1.5, 2.0]]), [[1.5, 2.0]]),
    "columns of an array": (np.arange(4).reshape(2, 2)[:, 1], [1, 3]),
    "big-endian": (np.array([1, 2], ">i4"), [1, 2]),
    "long doubles": (np.array([1.5], np.longdouble), [1.5]),
    "scalar": (np.float32(0.5), 0.5),
    "nan": ([math.nan, math.inf, 1.0], [None, None, 1.0]),
    "nan in an array": (np.array([math.nan, 1.0]), [None, 1.0]),
    "texts": (np.array(["a", "é"]), ["a", "é"]),
    "truth values": (np.array([True, False]), [True, False]),
    "objects": (np.array([1, "a", None, {"b": np.int64(2)}], dtype=object), [1, "a", None, {"b": 2}]),
    "frame": (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
    "frame with gaps": (pd.DataFrame({"a": pd.array([1, None], "Int64")}), [{"a": 1}, {"a": None}]),
    "series": (pd.Series([1.5], name="p"), [{"p": 1.5}]),
    "series without a name": (pd.Series(["x"]), [{"0": "x"}]),
    "polars": (pl.DataFrame({"a": [1, None]}), [{"a": 1}, {"a": None}]),
    "polars series": (pl.Series("a", [1, 2]), [1, 2]),
    "arrow": (pa.table({"a": [1, None]}), [{"a": 1}, {"a": None}]),
    "dict": ({"a": np.arange(2), 5: (1, 2)}, {"a": [0, 1], "5": [1, 2]}),
    "bytes": ([b"ab"], ["YWI=\n"]),
    "times": (
        [datetime.date(2026, 1, 2), pd.NaT, pd.Timestamp("2026-01-02T03:04:05")],
        ["2026-01-02", None, "2026-01-02T03:04:05"],
    ),
    "sparse": (scipy.sparse.eye(2, format="coo"), [[1.0, 0.0], [0.0, 1.0]]),
    "none": (None, None),
}


@pytest.mark.parametrize(("output", "shape"), SHAPES.values(), ids=SHAPES)
def test_every_container_has_its_shape(output: Any, shape: Any) -> None:
    """Frames are records, a Series objects of one key, arrays lists; NaN and missing values are null."""
    assert json.loads(dump_json(shape_predictions(output))) == shape


@pytest.mark.parametrize(
    "output",
    [
        {1, 2},
        [1 + 2j],
        np.array([1j]),
        np.array([1], "timedelta64[s]"),
        [datetime.timedelta(1)],
        object(),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        iter([1]),
    ],
    ids=lambda output: type(output).__name__,
)
def test_what_json_has_no_form_for_is_refused(output: Any) -> None:
    """Sets, complex numbers, durations and strange objects are not turned into a text of them."""
    with pytest.raises(UnsupportedOutput):
        shape_predictions(output)
