"""Estimators that do not copy their input leave the caller's table alone, and work in place in arrays as ever."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler

import sklearn_flavor

TABLE = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)) * 10, columns=["a", "b", "c"])
SCALED = StandardScaler(copy=False)
MODELS = [
    *(SCALED, MinMaxScaler(copy=False, clip=True), MaxAbsScaler(copy=False), RobustScaler(copy=False)),
    *(Normalizer(copy=False), SimpleImputer(copy=False)),
    make_pipeline(SCALED, LinearRegression()),
    make_pipeline(MinMaxScaler(), SCALED, LinearRegression()),
    make_pipeline(make_pipeline(SCALED), LinearRegression()),
    FeatureUnion([("one", SCALED), ("other", MinMaxScaler(copy=False))]),
    ColumnTransformer([("all", SCALED, slice(0, 3))]),
    GridSearchCV(make_pipeline(SCALED, LinearRegression()), {"linearregression__positive": [False]}, cv=2),
]


def method_of(model: object) -> str:
    """Return what a model is asked for."""
    return "predict" if hasattr(model, "predict") else "transform"


@pytest.mark.parametrize("rows", [4, 40, 60_000])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_table_is_left_alone(model, rows):
    """Whatever the size of a table and however deep the estimator, its cells stay, and so do the results."""
    model.fit(TABLE.copy(), TABLE["a"])
    table = pd.concat([TABLE] * (rows // len(TABLE) + 1), ignore_index=True)[:rows].copy()
    before, method = table.copy(deep=True), method_of(model)
    wanted = getattr(model, method)(table.copy(deep=True))
    found = sklearn_flavor.predict(model=model, data=table, method=method, params={}, enforced=True)
    pd.testing.assert_frame_equal(table, before)
    np.testing.assert_array_equal(found, wanted)


def test_an_array_is_worked_on_in_place():
    """An estimator told not to copy an array does not, as without Palate."""
    model, array = SCALED.fit(TABLE.to_numpy(copy=True)), TABLE.to_numpy(copy=True)
    found = sklearn_flavor.predict(model=model, data=array, method="transform", params={}, enforced=True)
    assert np.shares_memory(found, array)


def test_a_table_is_copied_for_nobody_else(monkeypatch):
    """An estimator that copies what it writes into gets the caller's table itself."""
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(TABLE, TABLE["a"])
    monkeypatch.setattr(pd.DataFrame, "copy", None)
    sklearn_flavor.predict(model=model, data=TABLE, method="predict", params={}, enforced=True)
