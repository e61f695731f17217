"""Tables handed on as arrays: the same bits, errors and warnings as scikit-learn's own; all else is left to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from like_native import ESTIMATORS, NAMES, TABLE, X, Y, assert_like_native, fit, is_twin, same, tables
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_flavor
from sklearn_flavor._plain_estimators import PLAIN, SEARCHES
from sklearn_flavor._twins import prepare_call

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def config() -> Iterator[Callable[..., None]]:
    """Set scikit-learn's configuration until the end of the test."""
    before = sklearn.get_config()
    yield sklearn.set_config
    sklearn.set_config(**before)


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_plain_estimators(name):
    """Each listed estimator answers every table of numbers with its own bits, types, errors and warnings."""
    model = fit(name, TABLE)
    before = dict(vars(model))
    for kind, table in tables().items():
        for data in (table, table.iloc[:1]):
            assert is_twin(model, data), kind
            assert_like_native(model, data)
    assert vars(model).keys() == before.keys()
    assert all(value is before[key] for key, value in vars(model).items())
    assert list(model.feature_names_in_) == NAMES


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_plain_estimators_fitted_on_arrays(name):
    """Fitted on an array, each answers a table, whose names a signature has seen to, as it answers the array."""
    model = fit(name, X)
    for kind, table in list(tables().items())[::3]:
        assert is_twin(model, table.iloc[:1], enforced=True), kind
        assert_like_native(model, table.iloc[:1], enforced=True, native_data=table.iloc[:1].to_numpy())


def test_labels_nobody_checked_are_warned_of():
    """Without a signature an estimator fitted on an array warns of a table's labels as ever."""
    model = LogisticRegression().fit(X, Y)
    assert not is_twin(model, TABLE)
    with pytest.warns(UserWarning, match="X has feature names, but LogisticRegression was fitted without"):
        sklearn_flavor.predict(model=model, data=TABLE, method="predict", params={}, enforced=False)
    assert is_twin(model, pd.DataFrame(X))
    assert_like_native(model, pd.DataFrame(X))


@pytest.mark.parametrize(
    "table",
    {
        "order": TABLE[TABLE.columns[::-1]],
        "names": TABLE.rename(columns={"a": "x"}),
        "fewer": TABLE[["a", "b"]],
        "more": TABLE.assign(e=1.0),
        "numbers": pd.DataFrame(X),
        "mixed labels": TABLE.set_axis(["a", "b", "c", 4], axis=1),
        "labels of numpy": TABLE.set_axis(pd.Index([np.str_(name) for name in NAMES], dtype=object), axis=1),
        "booleans": TABLE.assign(a=True),
        "objects": TABLE.astype(object),
        "text": TABLE.assign(a="1"),
        "nullable": TABLE.convert_dtypes(),
        "nullable missing": TABLE.where(TABLE < 6).convert_dtypes(),
        "category": TABLE.assign(a=pd.Categorical([1, 2] * 25)),
        "sparse": TABLE.astype(pd.SparseDtype(float, 0.0)),
        "complex": TABLE.astype(complex),
        "dates": TABLE.assign(a=pd.Timestamp("2020-01-01")),
        "no columns": TABLE[[]],
        "polars": pl.DataFrame(X, schema=NAMES),
        "series": TABLE["a"],
        "array": X,
        "list": X.tolist(),
        "csr": sp.csr_matrix(X),
    }.items(),
    ids=lambda item: item[0],
)
def test_everything_else_is_left_to_the_estimator(table):
    """Other labels, dtypes and containers get scikit-learn's own answers, errors and warnings."""
    _, data = table
    for model in (
        LogisticRegression().fit(TABLE, Y),
        make_pipeline(StandardScaler(), LogisticRegression()).fit(TABLE, Y),
    ):
        estimator, given = prepare_call(model, data, enforced=False)
        assert estimator is model
        assert given is data
        assert_like_native(model, data)


def test_no_rows():
    """A table without rows is refused in the estimator's own words."""
    assert_like_native(LogisticRegression().fit(TABLE, Y), TABLE[:0])


def test_unfitted():
    """An estimator that was not fitted says so."""
    assert_like_native(LogisticRegression(), pd.DataFrame(X))


def test_output_configured_for_all(config):
    """Where tables are asked for as output everywhere, they come with the index and the names of the input."""
    model = StandardScaler().fit(TABLE)
    data = TABLE.set_index(np.arange(50) + 100)
    config(transform_output="pandas")
    assert not is_twin(model, data)
    found = sklearn_flavor.predict(model=model, data=data, method="transform", params={}, enforced=True)
    assert list(found.columns) == NAMES
    assert found.index.equals(data.index)


def test_other_array_libraries(config, monkeypatch):
    """Where scikit-learn is told to look for arrays of other libraries, it is left alone."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    config(array_api_dispatch=True)
    assert not is_twin(LogisticRegression().fit(TABLE, Y), TABLE)


def test_large_tables_are_left_alone():
    """A table so large that a look at it is nothing goes in as it is, so that no copy of it is made."""
    model = StandardScaler().fit(TABLE)
    rows = (1 << 17) // 4
    large = pd.DataFrame(np.zeros((rows + 1, 4)), columns=NAMES)
    assert is_twin(model, large.iloc[:rows])
    assert not is_twin(model, large)


def test_nothing_is_copied():
    """The array of a table of one dtype is the table's own memory, read-only where pandas says so."""
    _, array = prepare_call(LogisticRegression().fit(TABLE, Y), TABLE, enforced=False)
    assert np.shares_memory(array, TABLE.to_numpy())


def test_data_is_left_alone():
    """Scaling in place does not reach the caller's table, since pandas 3 lends its memory for reading only."""
    model, table = StandardScaler(copy=False).fit(TABLE.copy()), TABLE.copy()
    sklearn_flavor.predict(model=model, data=table, method="transform", params={}, enforced=True)
    assert table.equals(TABLE)


def test_what_is_learnt_later():
    """A model fitted again, on other columns, answers as it was fitted last."""
    model = LogisticRegression().fit(TABLE, Y)
    assert_like_native(model, TABLE)
    model.fit(TABLE[["d", "a"]], Y)
    assert is_twin(model, TABLE[["d", "a"]])
    assert_like_native(model, TABLE[["d", "a"]])
    assert_like_native(model, TABLE)


def test_params_of_a_method():
    """With a param of its own a method may look at the table twice: it gets the table, and answers with a Series."""
    model = fit("BayesianRidge", TABLE)
    expected = model.predict(TABLE, return_std=True)
    params = {"return_std": True, "unknown": 1}
    found = sklearn_flavor.predict(model=model, data=TABLE, method="predict", params=params, enforced=True)
    assert same(found[0], expected[0])
    assert found[1].equals(expected[1])
    assert same(
        sklearn_flavor.predict(model=model, data=TABLE, method="predict", params={"unknown": 1}, enforced=True),
        expected[0],
    )


# They look at the table itself, or hand it on to estimators that know its names.
PASSING_ON = frozenset(
    """
    CalibratedClassifierCV ColumnTransformer FeatureUnion FunctionTransformer Isomap OneHotEncoder OrdinalEncoder
    StackingClassifier StackingRegressor TargetEncoder TransformedTargetRegressor VotingClassifier VotingRegressor
    """.split()
)


def test_lists_name_estimators():
    """Every listed name is one of scikit-learn's classes, and none of those that pass tables on is listed."""
    known = ESTIMATORS.keys() | {"HalvingRandomSearchCV"}
    assert known >= PLAIN | SEARCHES | PASSING_ON
    assert not PASSING_ON & (PLAIN | SEARCHES)
    assert not PLAIN & SEARCHES
