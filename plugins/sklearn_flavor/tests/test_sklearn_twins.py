"""Tables handed on as arrays: the same bits, errors and warnings as scikit-learn's own; all else is left to it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - makes the class below importable
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.utils import all_estimators
from threadpoolctl import threadpool_limits

import sklearn_flavor
from sklearn_flavor._plain_estimators import PLAIN, SEARCHES
from sklearn_flavor._twins import prepare_call

X, Y = (part[::3].copy() for part in load_iris(return_X_y=True))
NAMES = ["a", "b", "c", "d"]
TABLE = pd.DataFrame(X, columns=NAMES)
ESTIMATORS = dict(all_estimators())
# Models that are quickly fitted, and random projections that 50 rows suffice for.
SMALL = {"n_estimators": 3, "max_leaf_nodes": 4, "cv": 2, "Cs": 2, "n_components": 2}
REGRESSORS = {name for name, _ in all_estimators(type_filter="regressor")}


def tables() -> dict[str, pd.DataFrame]:
    """Return tables of every kind that is handed on as an array, and one with values that many refuse."""
    tens = TABLE * 10
    return {
        "float64": TABLE,
        "columns": pd.DataFrame({name: X[:, number].copy() for number, name in enumerate(NAMES)}),
        "float32": TABLE.astype("float32"),
        "int64": tens.astype("int64"),
        "int32": tens.astype("int32"),
        "uint8": tens.astype("uint8"),
        "integers": tens.astype({"a": "int64", "b": "int16", "c": "uint8", "d": "int8"}),
        "mixed": TABLE.astype({"a": "int64", "b": "float32"}),
        "large": TABLE.assign(a=np.arange(50) + 2**55 + 1),
        "every other row": pd.DataFrame(np.repeat(X, 2, axis=0), columns=NAMES).iloc[::2],
        "missing": TABLE.where(TABLE < 6),
    }


def fit(name: str, data: Any) -> Any:
    """Fit an estimator with targets of its kind; how it likes them is not asked here."""
    target = 1 + Y.astype(float) + X[:, 0] if name in REGRESSORS else Y
    if name.startswith(("MultiTask", "PLS", "CCA")):
        target = np.column_stack([target, X[:, 1]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ESTIMATORS[name](**({"estimator": LogisticRegression()} if name == "SelectFromModel" else {}))
        model.set_params(**{key: value for key, value in SMALL.items() if key in model.get_params()})
        return model.fit(data, target)


def outcome(call: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Return what *call* returns or raises, and the warnings meanwhile."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call()
        except Exception as exc:
            result = (type(exc), str(exc))
    return result, [f"{warning.category.__name__}: {warning.message}" for warning in caught]


def same(left: Any, right: Any) -> bool:
    """Whether two outputs have the same type, dtype, form and bits."""
    if type(left) is not type(right):
        return False
    if isinstance(left, tuple | list):
        return len(left) == len(right) and all(map(same, left, right))
    if sp.issparse(left):
        return left.format == right.format and left.dtype == right.dtype and (left != right).nnz == 0
    if isinstance(left, pd.DataFrame):
        return left.equals(right)
    if isinstance(left, np.ndarray):
        form = (left.dtype, left.shape, left.flags.c_contiguous, left.flags.f_contiguous, left.flags.writeable)
        flags = right.flags
        return form == (right.dtype, right.shape, flags.c_contiguous, flags.f_contiguous, flags.writeable) and (
            left.tobytes() == right.tobytes()
        )
    return bool(left == right)


def assert_like_native(model: Any, data: Any, *, enforced: bool = False, native_data: Any = None) -> None:
    """Hold every method of *model* against what the hook answers."""
    native_data = data if native_data is None else native_data
    for method in sklearn_flavor.methods(model=model):
        expected = outcome(partial(getattr(model, method), native_data))
        call = partial(sklearn_flavor.predict, model=model, data=data, method=method, params={}, enforced=enforced)
        found = outcome(call)
        assert same(found, expected), (method, found, expected)


def is_twin(model: Any, data: Any, *, enforced: bool = False) -> bool:
    """Whether an array is predicted with in place of the table."""
    _, given = prepare_call(model, data, enforced=enforced)
    return isinstance(given, np.ndarray) and not isinstance(data, np.ndarray)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Let native code run in one thread: for tables of 50 rows it would mostly wait for the others."""
    with threadpool_limits(1):
        yield


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
        assert prepare_call(model, data, enforced=False) == (model, data) or data is table
        assert not is_twin(model, data)
        assert_like_native(model, data)


def test_no_rows():
    """A table without rows is refused in the estimator's own words."""
    assert_like_native(LogisticRegression().fit(TABLE, Y), TABLE[:0])


def test_unfitted():
    """An estimator that was not fitted says so."""
    assert_like_native(LogisticRegression(), pd.DataFrame(X))


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
    assert list(model.feature_names_in_) == NAMES if name != "passthrough" else True
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


def test_threads():
    """Eight threads that share a pipeline get what one gets, without a warning."""
    model, wrong = PIPELINES["scaled"]().fit(TABLE, Y), []
    expected = model.predict_proba(TABLE)

    def work() -> None:
        for _ in range(50):
            found = sklearn_flavor.predict(model=model, data=TABLE, method="predict_proba", params={}, enforced=True)
            if not same(found, expected):
                wrong.append(found)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_lists_name_estimators():
    """Every listed name is one of scikit-learn's classes, and none of those that pass tables on is listed."""
    assert ESTIMATORS.keys() | {"HalvingRandomSearchCV"} >= PLAIN | SEARCHES
    assert not PLAIN & SEARCHES
