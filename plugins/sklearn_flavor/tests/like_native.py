"""Tables, fitted estimators, and what the hook answers held against what scikit-learn answers itself."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - makes HalvingGridSearchCV importable
from sklearn.linear_model import LogisticRegression
from sklearn.utils import all_estimators

import sklearn_flavor
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
