"""Pipelines and searches handed arrays for tables, and models that look at the tables themselves."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from like_native import NAMES, TABLE, X, Y, assert_like_native, is_twin, same, tables
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

import sklearn_flavor
from palate.testing._threads import at_once

pytestmark = pytest.mark.usefixtures("one_thread")

PIPELINES: dict[str, Callable[[], Any]] = {
    "scaled": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "three": lambda: make_pipeline(SimpleImputer(), PCA(2), SVC()),
    "passthrough": lambda: make_pipeline("passthrough", None, StandardScaler(), LogisticRegression()),
    "nested": lambda: make_pipeline(make_pipeline(SelectKBest(k=3), StandardScaler()), LogisticRegression()),
    "one": lambda: make_pipeline(LogisticRegression()),
    "transformer": lambda: make_pipeline(StandardScaler(), PCA(2)),
    "ends with nothing": lambda: Pipeline([("scale", StandardScaler()), ("end", "passthrough")]),
    "tables inside": lambda: make_pipeline(StandardScaler(), PCA(2).set_output(transform="pandas"), SVC()),
    "columns inside": lambda: make_pipeline(
        StandardScaler(), make_column_transformer((StandardScaler(), [0, 1])), LogisticRegression()
    ),
    "search": lambda: GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=2),
    "halving": lambda: HalvingGridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=2),
    "search of a pipeline": lambda: GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [1, 2]}, cv=2),
    "pipeline of a search": lambda: make_pipeline(
        StandardScaler(), GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=2)
    ),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines(name):
    """Pipelines and searches whose first step is a listed estimator answer with their own bits, and are not touched."""
    model = PIPELINES[name]().fit(TABLE, Y)
    before = dict(vars(model))
    for table in tables().values():
        for data in (table, table.iloc[:1]):
            assert is_twin(model, data)
            assert_like_native(model, data)
    assert vars(model) == before
    if name != "passthrough":  # a pipeline asks its first step for them, which here is none
        assert list(model.feature_names_in_) == NAMES
    assert_like_native(PIPELINES[name]().fit(X, Y), TABLE, enforced=True, native_data=TABLE.to_numpy())


class OwnClassifier(ClassifierMixin, BaseEstimator):
    """A user's class, which may do what it likes with a table."""

    def fit(self, X: Any, y: Any) -> OwnClassifier:
        self.classes_, self.feature_names_in_ = np.unique(y), np.asarray(X.columns, dtype=object)
        return self

    def predict(self, X: Any) -> Any:
        return np.array([type(X).__name__] * len(X))


class OwnRegression(LogisticRegression):
    """A class derived from a listed one."""


def table_kernel(left: Any, right: Any) -> Any:
    """Compute a kernel from tables only."""
    return left.to_numpy() @ right.to_numpy().T


CURIOUS: dict[str, Callable[[], Any]] = {
    "own": OwnClassifier,
    "derived": OwnRegression,
    "voting": lambda: VotingClassifier([("one", LogisticRegression())]),
    "calibrated": lambda: CalibratedClassifierCV(GaussianNB(), cv=2),
    "columns": lambda: make_pipeline(make_column_transformer((StandardScaler(), ["b", "a"])), LogisticRegression()),
    "function": lambda: make_pipeline(FunctionTransformer(lambda table: table[["a"]] * 2), LogisticRegression()),
    "own first": lambda: make_pipeline("passthrough", OwnClassifier()),
    "tables": lambda: StandardScaler().set_output(transform="pandas"),
    "tables first": lambda: make_pipeline(StandardScaler().set_output(transform="pandas"), PCA(2)),
    "kernel": lambda: SVC(kernel=table_kernel),
    "categories": lambda: HistGradientBoostingClassifier(categorical_features=["a"], max_iter=2),
    "brute force": lambda: KNeighborsClassifier(3, algorithm="brute"),
    "only nothing": lambda: Pipeline([("end", "passthrough")]),
}


@pytest.mark.parametrize("name", CURIOUS)
def test_models_that_look_at_tables(name):
    """What looks at the table itself, or may, gets the table."""
    model = CURIOUS[name]().fit(TABLE.round(), Y)
    assert not is_twin(model, TABLE, enforced=True)
    assert_like_native(model, TABLE.round(), enforced=True)


def test_imputer_names_what_it_leaves_out():
    """An imputer that leaves a column out warns with its name, so it keeps the table."""
    table = TABLE.assign(b=np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SimpleImputer().fit(table)
    assert not is_twin(model, table)
    with pytest.warns(UserWarning, match=r"without any observed values: \['b'\]"):
        sklearn_flavor.predict(model=model, data=table, method="transform", params={}, enforced=True)
    assert is_twin(SimpleImputer(keep_empty_features=True).fit(table), table)


def test_threads():
    """Eight threads that share a pipeline get what one gets, without a warning."""
    model, wrong = PIPELINES["scaled"]().fit(TABLE, Y), []
    expected = model.predict_proba(TABLE)

    def work(_: int) -> None:
        for _ in range(50):
            found = sklearn_flavor.predict(model=model, data=TABLE, method="predict_proba", params={}, enforced=True)
            if not same(found, expected):
                wrong.append(found)

    at_once(work, 8)
    assert not wrong
