"""Examples of columns with facts: what is stored is what the model gets again, with the same dtype."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate._enforcement.plan import compile_inputs
from palate._inference.inference import infer_schema
from palate._stored.examples import read_example, write_example
from palate.errors import InvalidInput
from palate.schema import ColSpec, Schema

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")


def frame_with_facts() -> Any:
    """Return gaps of every dtype that has facts, and times in zones."""
    times = pd.to_datetime(pd.Series(["2024-07-01T10:00:00.5", None, "2024-01-01"]), format="ISO8601")
    return pd.DataFrame(
        {
            "long": pd.array([2**53 + 1, None, -(2**63)], dtype="Int64"),
            "integer": pd.array([1, None, 3], dtype="Int32"),
            "boolean": pd.array([True, None, False], dtype="boolean"),
            "vienna": times.dt.tz_localize("Europe/Vienna").astype("datetime64[ns, Europe/Vienna]"),
            "offset": times.dt.tz_localize("UTC+02:00").astype("datetime64[ns, UTC+02:00]"),
            "utc": times.dt.tz_localize("UTC").astype("datetime64[ns, UTC]"),
        }
    )


def read_back(example: Any, directory: Path, schema: Schema) -> Any:
    """Store an example and read it back."""
    read = read_example(directory, write_example(example, directory).info, schema)
    assert read is not None
    return read[0]


def test_columns_with_facts_come_back_with_their_dtypes(tmp_path: Path) -> None:
    """Int64 with gaps, boolean with gaps and times in zones survive a round trip, and then pass untouched."""
    frame = frame_with_facts()
    schema = infer_schema(frame)
    back = read_back(frame, tmp_path, schema)
    pd.testing.assert_frame_equal(back, frame)
    assert compile_inputs(schema).enforce(back) is back


def test_the_dtype_does_not_depend_on_the_gaps(tmp_path: Path) -> None:
    """Where no cell of the stored rows is missing, a nullable column is still of the nullable dtype."""
    frame = frame_with_facts()
    pd.testing.assert_frame_equal(read_back(frame[:1], tmp_path, infer_schema(frame)), frame[:1])


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas], ids=["polars", "arrow"])
def test_polars_and_arrow_come_back_as_the_model_gets_them(tmp_path: Path, convert: Any) -> None:
    """An example of polars or Arrow, stored and read back, is to the model what the original was."""
    table = convert(frame_with_facts().drop(columns="offset"))  # polars has no offsets
    schema = infer_schema(table)
    plan = compile_inputs(schema)
    given_first: Any = plan.enforce(table)
    pd.testing.assert_frame_equal(plan.enforce(read_back(table, tmp_path, schema)), given_first)
    assert given_first.dtypes.astype(str).tolist()[:4] == ["Int64", "Int32", "boolean", "datetime64[ns, Europe/Vienna]"]


def test_stored_values_that_do_not_fit_stay_as_they_are(tmp_path: Path) -> None:
    """What is no integer, no truth value and no time is for enforcement to refuse, with its column's name."""
    frame = pd.DataFrame({"a": ["x", None], "b": [1.5, None], "c": ["x", None]}, dtype=object)
    schema = Schema(
        (
            ColSpec(type="long", name="a", nullable=True),
            ColSpec(type="boolean", name="b", nullable=True),
            ColSpec(type="datetime", name="c", timezone="UTC"),
        )
    )
    back = read_back(frame, tmp_path, schema)
    assert back["a"].tolist() == ["x", None]
    assert back["c"][0] == "x"
    with pytest.raises(InvalidInput) as caught:
        compile_inputs(schema).enforce(back)
    assert [problem.where for problem in caught.value.problems] == [("inputs", name) for name in "abc"]


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=1))
def test_integers_with_gaps_survive_exactly(items: list[int | None]) -> None:
    """No integer beside a gap becomes a float on its way through the example's file."""
    import tempfile

    frame = pd.DataFrame({"a": pd.array(items, dtype="Int64")})
    with tempfile.TemporaryDirectory() as directory:
        schema = Schema((ColSpec(type="long", name="a", nullable=True),))
        pd.testing.assert_frame_equal(read_back(frame, Path(directory), schema), frame)


class Echo(palate.PythonModel):
    """Predicts the dtypes that it was given, and how many cells were missing."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return one text for each column."""
        return [f"{name}: {column.dtype}, {int(column.isna().sum())} missing" for name, column in model_input.items()]


def test_a_model_gets_the_dtypes_of_its_example(tmp_path: Path) -> None:
    """From saving to prediction, in this container and in others, the model sees the dtypes that it was saved with."""
    frame = frame_with_facts()
    palate.save_model(Echo(), tmp_path / "m", input_example=frame)
    model = palate.load_model(tmp_path / "m", trust=True)
    expected = [f"{name}: {dtype}, 1 missing" for name, dtype in frame.dtypes.items()]
    assert model.predict(frame) == expected
    assert model.predict(pa.Table.from_pandas(frame)) == expected
    assert model.predict(frame.astype(object).where(frame.notna(), None).to_dict("records")) == expected
    assert [text.replace("0 m", "1 m") for text in model.predict(frame[:1])] == expected
    assert palate.verify_model(tmp_path / "m", trust=True).ok


def test_bounds_are_enforced_by_a_loaded_model(tmp_path: Path) -> None:
    """Bounds declared in a signature are in the file, and the loaded model refuses what lies outside of them."""
    columns = (
        ColSpec(type="long", name="age", minimum=0, maximum=120),
        ColSpec(type="double", name="x", nullable=False),
    )
    frame = pd.DataFrame({"age": [1, 2], "x": [0.5, 1.5]})
    palate.save_model(Echo(), tmp_path / "m", signature=palate.Signature(inputs=Schema(columns)), input_example=frame)
    model = palate.load_model(tmp_path / "m", trust=True)
    assert model.signature.inputs == Schema(columns)
    with pytest.raises(InvalidInput) as caught:
        model.predict(pd.DataFrame({"age": [-1, 121], "x": [np.nan, 1.5]}))
    assert [(p.where, p.kind) for p in caught.value.problems] == [
        (("inputs", "age"), "wrong_value"),
        (("inputs", "age"), "wrong_value"),
        (("inputs", "x"), "missing"),
    ]
