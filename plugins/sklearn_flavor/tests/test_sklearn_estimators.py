"""Every estimator of scikit-learn through the default format and back."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import all_estimators

import sklearn_flavor
from palate.errors import UnsupportedModel

X, LABELS = make_classification(60, 8, n_informative=4, n_classes=3, random_state=0)
X = np.abs(X)
TARGET = X @ np.arange(1, 9)
TEXTS = ["one two", "two three", "three one four"] * 20

# What cannot be held in the safe format, with the words that the error must use.
UNSUPPORTED = {"Birch": "Birch"}

NESTED: dict[str, dict[str, Any]] = {
    "VotingClassifier": {"estimators": [("a", LogisticRegression())]},
    "StackingClassifier": {"estimators": [("a", LogisticRegression())]},
    "VotingRegressor": {"estimators": [("a", Ridge())]},
    "StackingRegressor": {"estimators": [("a", Ridge())]},
    "GridSearchCV": {"param_grid": {"C": [0.1, 1.0]}, "cv": 2},
    "HalvingGridSearchCV": {"param_grid": {"C": [0.1, 1.0]}, "cv": 2},
    "RandomizedSearchCV": {"param_distributions": {"C": [0.1, 1.0]}, "cv": 2},
    "HalvingRandomSearchCV": {"param_distributions": {"C": [0.1, 1.0]}, "cv": 2},
    "Pipeline": {"steps": [("a", LogisticRegression())]},
    "FeatureUnion": {"transformer_list": [("a", StandardScaler())]},
    "ColumnTransformer": {"transformers": [("a", StandardScaler(), [0, 2]), ("b", "passthrough", slice(3, 5))]},
    "SparseCoder": {"dictionary": np.eye(8)[:4]},
    "PatchExtractor": {"patch_size": (2, 2)},
    "TunedThresholdClassifierCV": {"cv": 2},
    "SequentialFeatureSelector": {"n_features_to_select": 1, "cv": 2},
    "LatentDirichletAllocation": {"max_iter": 2},
    "TSNE": {"max_iter": 250},
    "SpectralBiclustering": {"n_components": 3},
    "HistGradientBoostingClassifier": {"max_iter": 5},
    "HistGradientBoostingRegressor": {"max_iter": 5},
    "MiniBatchSparsePCA": {"max_iter": 5},
}
CLASSIFIER_INSIDE = {
    "ClassifierChain",
    "FixedThresholdClassifier",
    "FrozenEstimator",
    "GridSearchCV",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "MultiOutputClassifier",
    "OneVsOneClassifier",
    "OneVsRestClassifier",
    "OutputCodeClassifier",
    "RFE",
    "RFECV",
    "RandomizedSearchCV",
    "SelectFromModel",
    "SelfTrainingClassifier",
    "SequentialFeatureSelector",
    "TunedThresholdClassifierCV",
}
REGRESSOR_INSIDE = {"MultiOutputRegressor", "RegressorChain"}


def build(name: str, kind: type[BaseEstimator]) -> BaseEstimator:
    """Return an unfitted estimator with what its constructor needs."""
    arguments = dict(NESTED.get(name, {}))
    if name in CLASSIFIER_INSIDE or name in REGRESSOR_INSIDE:
        inner = Ridge() if name in REGRESSOR_INSIDE else LogisticRegression(max_iter=500)
        # scikit-learn 1.5 calls it base_estimator in SelfTrainingClassifier, as all versions do in the chains.
        key = "estimator" if "estimator" in inspect.signature(kind).parameters else "base_estimator"
        arguments[key] = inner.fit(X, LABELS) if name == "FrozenEstimator" else inner
    quick = {"n_estimators": 5, "max_iter": 200, "n_components": 2, "n_clusters": 3, "random_state": 0}
    if name in ("DictionaryLearning", "MiniBatchDictionaryLearning"):
        quick["max_iter"] = 5
    if name == "OrthogonalMatchingPursuitCV":
        del quick["max_iter"]
    known = inspect.signature(kind).parameters
    return kind(**{key: value for key, value in quick.items() if key in known} | arguments)


def training_data(name: str) -> tuple[Any, Any]:
    """Return an input and a target that *name* can learn from."""
    if name in ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer"):
        return TEXTS, LABELS
    if name in ("DictVectorizer", "FeatureHasher"):
        return [{"a": 1.0, "b": float(i)} for i in range(60)], LABELS
    if name == "MultiLabelBinarizer":
        return [(1, 2), (3,)] * 30, None
    if name in ("LabelEncoder", "LabelBinarizer"):
        return LABELS, None
    if name == "IsotonicRegression":
        return X[:, 0], TARGET
    if name == "PatchExtractor":
        return np.random.default_rng(0).random((4, 8, 8)), None
    if name == "KernelCenterer":
        return X @ X.T, LABELS
    if name in ("ClassifierChain", "MultiOutputClassifier", "MultiOutputRegressor", "RegressorChain"):
        return X, np.column_stack([LABELS > 0, LABELS > 1]).astype(int)
    if name in ("FixedThresholdClassifier", "TunedThresholdClassifierCV"):
        return X, (LABELS > 0).astype(int)
    if name.startswith("MultiTask") or name in ("CCA", "PLSCanonical", "PLSSVD", "PLSRegression"):
        return X, np.column_stack([TARGET, TARGET**2])
    return X, LABELS if name not in REGRESSORS else TARGET


REGRESSORS = {name for name, _ in all_estimators(type_filter="regressor")}
ESTIMATORS = dict(all_estimators())


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Let estimators complain about how they are used; this is about what is saved."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def equal(left: Any, right: Any) -> bool:
    """Whether two outputs are the same; BLAS rounds differently when an array starts at another address."""
    if isinstance(left, tuple | list):
        return len(left) == len(right) and all(map(equal, left, right))
    if sp.issparse(left):
        return left.shape == right.shape and abs(left - right).max() <= 1e-13
    left, right = np.asarray(left), np.asarray(right)
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    if left.dtype.kind == "f":
        return np.allclose(left, right, rtol=1e-13, atol=1e-13, equal_nan=True)
    return np.array_equal(left, right)


def fit(name: str) -> tuple[Any, Any]:
    """Return a fitted estimator and the input it was fitted on."""
    data, target = training_data(name)
    model = build(name, ESTIMATORS[name])
    return (model.fit(data) if target is None else model.fit(data, target)), data


@pytest.mark.parametrize("name", sorted(ESTIMATORS.keys() - UNSUPPORTED.keys()))
def test_round_trip(name, save, load):
    """A fitted estimator loads without trust and gives the same outputs from every method it has."""
    model, data = fit(name)
    path, section = save(model)
    loaded = load(path, section)
    assert type(loaded) is type(model)
    methods = sklearn_flavor.methods(model=loaded)
    assert list(methods) == list(sklearn_flavor.methods(model=model))
    for method in methods:
        if isinstance(getattr(model, "random_state", None), np.random.RandomState):
            continue
        before = sklearn_flavor.predict(model=model, data=data, method=method, params={}, enforced=False)
        after = sklearn_flavor.predict(model=loaded, data=data, method=method, params={}, enforced=False)
        assert equal(before, after), method


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_unsupported(name, save):
    """An estimator that skops cannot hold is refused by name, with the format that can hold it."""
    model, _ = fit(name)
    with pytest.raises(UnsupportedModel, match=UNSUPPORTED[name]) as caught:
        save(model)
    assert "format='cloudpickle'" in str(caught.value)


def test_estimator_that_skops_refuses(save):
    """A class of scikit-learn's that neither list has is refused when saving, not when loading."""
    from sklearn.datasets._base import RemoteFileMetadata  # a named tuple of no estimator

    with pytest.raises(UnsupportedModel, match=r"kw_args\['data'\] is an object of class sklearn\.datasets\._base"):
        save(FunctionTransformer(np.add, kw_args={"data": RemoteFileMetadata("a", "b", "c")}))


def test_nothing_is_left_out():
    """Every estimator that scikit-learn lists is tried, except those named as unsupported."""
    assert len(ESTIMATORS) > 180
    assert UNSUPPORTED.keys() <= ESTIMATORS.keys()
