"""Frames for models whose signature is a nameless table, although the model knows its features' names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

import palate
from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput, InvalidModelFile
from palate.model_file import parse_model_file
from palate.schema import Schema, TensorSpec

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 5.0, 1.0], "c": [7.0, 1.0, 2.0]})
EXPECTED = [1.0, 2.0, 3.0]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A regression that was trained on a DataFrame, and saved with an array as its example."""
    path = tmp_path_factory.mktemp("features") / "m"
    with pytest.warns(UserWarning, match="valid feature names"):
        palate.save_model(LinearRegression().fit(FRAME, EXPECTED), path, input_example=FRAME.to_numpy())
    return palate.load_model(path)


def predict(model: Any, data: Any) -> list[float]:
    """Predict; scikit-learn has nothing to warn of, as it would not have had with a DataFrame."""
    return [round(float(value), 6) for value in model.predict(data)]


@pytest.mark.parametrize("data", [FRAME.to_numpy(), pd.DataFrame(FRAME.to_numpy())], ids=["array", "frame of one"])
def test_an_array_has_no_names_and_scikit_learn_says_so(model: Any, data: Any) -> None:
    """By position features are what the caller makes of them, and the warning is the framework's own."""
    with pytest.warns(UserWarning, match="valid feature names"):
        assert model.predict(data) == pytest.approx(EXPECTED)


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        FRAME[["c", "a", "b"]],
        FRAME.assign(more=1.0)[["more", "b", "c", "a"]],
        pl.DataFrame(FRAME[["c", "b", "a"]].to_dict("list")),
        pa.table(FRAME[["b", "c", "a"]].to_dict("list")),
        pa.table(FRAME[["b", "c", "a"]].to_dict("list")).to_reader(),
    ],
    ids=["in order", "another order", "more columns", "polars", "arrow", "reader"],
)
def test_columns_are_found_by_name(model: Any, data: Any) -> None:
    """Whatever the order of the columns, the prediction is the same."""
    assert predict(model, data) == EXPECTED


def test_missing_features_are_named(model: Any) -> None:
    """A frame with other columns is refused, with every feature that it lacks."""
    with pytest.raises(InvalidInput) as caught:
        model.predict(FRAME.rename(columns={"a": "x", "c": "z"}))
    assert [problem.where for problem in caught.value.problems] == [("inputs", "a"), ("inputs", "c")]


@pytest.mark.parametrize("labels", ["abcc", "cbac", "aabc"])
def test_features_that_are_there_twice_are_named(model: Any, labels: str) -> None:
    """Which of two columns of one name is the feature, nobody can know."""
    frame = FRAME[list(labels)]
    given = [frame, pa.Table.from_arrays([pa.array(frame.iloc[:, i]) for i in range(4)], names=list(labels))]
    for data in given:
        with pytest.raises(InvalidInput, match="2 columns of this name") as caught:
            model.predict(data)
        (problem,) = caught.value.problems
        assert problem.where == ("inputs", max(labels, key=labels.count))


def test_order_is_looked_at_every_time(model: Any) -> None:
    """A frame in the right order makes the model no less careful about the next one."""
    for frame in (FRAME, FRAME[["b", "a", "c"]], FRAME, FRAME[["c", "b", "a"]]):
        assert predict(model, frame) == EXPECTED
    assert predict(model, FRAME.copy()) == EXPECTED


def test_names_are_kept_in_the_model_file(model: Any) -> None:
    """MLmodel lists them in Palate's own section, and only where they say more than the signature."""
    assert model.metadata.palate["features"] == ["a", "b", "c"]
    text = model.metadata.to_yaml()
    with pytest.raises(InvalidModelFile, match="features"):
        parse_model_file(text.replace("  features:\n  - a\n", "  features: 5\n  x:\n  - a\n").encode())


def test_models_without_names_have_none(tmp_path: Path) -> None:
    """A model trained on an array takes every frame of the right width by position."""
    palate.save_model(LinearRegression().fit(FRAME.to_numpy(), EXPECTED), tmp_path / "m", input_example=np.eye(3))
    model = palate.load_model(tmp_path / "m")
    assert "features" not in model.metadata.palate
    assert model.predict(FRAME).round(6).tolist() == EXPECTED


@pytest.mark.parametrize(
    "data",
    [
        FRAME[["c", "a", "b"]].to_dict("records"),
        FRAME[["c", "b", "a"]].assign(more=1.0).to_dict("list"),
        {name: FRAME[name].to_numpy() for name in ("b", "c", "a")},
        {"c": FRAME["c"], "a": FRAME["a"].tolist(), "b": FRAME["b"].to_numpy()},
        FRAME[["b", "c", "a"]].to_records(index=False),
    ],
    ids=["records", "dict of lists", "dict of arrays", "dict of both", "structured array"],
)
def test_what_has_names_is_found_by_name(model: Any, data: Any) -> None:
    """Records, dicts of columns and structured arrays say which value is which, as frames do."""
    assert predict(model, data) == EXPECTED


def test_one_record_is_a_row(model: Any) -> None:
    """A dict of numbers is one row, and integers in it are numbers as they are."""
    assert predict(model, {"c": 7, "b": 0, "a": 1}) == EXPECTED[:1]


@pytest.mark.parametrize(
    "data",
    [
        [{"a": 1.0, "x": 2.0}],
        {"a": [1.0], "x": [2.0]},
        FRAME[["a"]].assign(x=1.0),
        FRAME[["a"]].to_records(index=False),
    ],
    ids=["records", "dict", "frame", "structured array"],
)
def test_missing_features_are_told_of_beside_what_came(model: Any, data: Any) -> None:
    """Every feature that is missing is named, and once the names that came, without their values."""
    with pytest.raises(InvalidInput, match=r"this feature of the model is missing \(got a") as caught:
        model.predict(data)
    assert [(problem.where[-1], problem.kind) for problem in caught.value.problems] == [
        ("b", "missing"),
        ("c", "missing"),
    ]


def test_no_more_than_ten_names_are_told(model: Any) -> None:
    """A table of hundreds of columns does not fill the screen."""
    with pytest.raises(InvalidInput, match=r"got x0, x1, .* x9, …\)"):
        model.predict(pd.DataFrame({f"x{number}": [1.0] for number in range(300)}))


def test_lists_of_columns_need_one_length(model: Any) -> None:
    """Columns of several lengths are no table."""
    with pytest.raises(InvalidInput, match="no rows and columns could be made of this dict"):
        model.predict({"a": [1.0, 2.0], "b": [1.0], "c": [1.0]})


@pytest.mark.parametrize("data", [{"a": [1.0], "b": [2.0]}, [{"a": 1.0, "b": 2.0}], np.array([(1.0, 2.0)], "f8,f8")])
def test_names_that_the_model_does_not_know_are_no_order(data: Any) -> None:
    """Where features have no names, what is found by name is refused with what to pass instead."""
    plan = compile_inputs(Schema((TensorSpec(dtype="float64", shape=(-1, 2)),)))
    with pytest.raises(InvalidInput, match="Hint: pass an array, or a DataFrame"):
        plan.enforce(data)


@pytest.mark.parametrize(("make", "call"), [(pd.DataFrame, "frame"), (pl.DataFrame, "data.to_pandas()")])
def test_frames_of_doubles_are_told_how_to_round(make: Any, call: str) -> None:
    """A float32 tensor does not take a frame of doubles silently; the hint is the call that rounds them."""
    plan = compile_inputs(Schema((TensorSpec(dtype="float32", shape=(-1, 2)),)))
    data = make({"a": [0.1], "b": [0.2]})
    hint = f"{call}.astype('float32')"
    with pytest.raises(InvalidInput, match=re.escape(f"Hint: {hint} rounds them")):
        plan.enforce(data)
    assert plan.enforce(eval(hint, {"data": data, "frame": data})) is not None
