"""Frames for models whose signature is a nameless table, although the model knows its features' names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

import palate
from palate.errors import InvalidInput, InvalidModelFile
from palate.model_file import parse_model_file

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
    """Predict; scikit-learn warns of arrays without names."""
    with pytest.warns(UserWarning, match="valid feature names"):
        return [round(float(value), 6) for value in model.predict(data)]


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        FRAME[["c", "a", "b"]],
        FRAME.assign(more=1.0)[["more", "b", "c", "a"]],
        pl.DataFrame(FRAME[["c", "b", "a"]].to_dict("list")),
        pa.table(FRAME[["b", "c", "a"]].to_dict("list")),
        pa.table(FRAME[["b", "c", "a"]].to_dict("list")).to_reader(),
        FRAME.to_numpy(),
        pd.DataFrame(FRAME.to_numpy()),
    ],
    ids=["in order", "another order", "more columns", "polars", "arrow", "reader", "array", "frame of an array"],
)
def test_columns_are_found_by_name(model: Any, data: Any) -> None:
    """Whatever the order of the columns, the prediction is the same; arrays are taken by position."""
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
