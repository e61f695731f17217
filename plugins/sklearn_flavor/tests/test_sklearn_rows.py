"""What the flavor says of rows and arrays is true: of every estimator that can be fitted here, by every method."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
from like_native import ESTIMATORS, NAMES, TABLE, X, Y, fit
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import NMF
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

import sklearn_flavor

pytestmark = pytest.mark.usefixtures("one_thread")

ROWS = np.abs(X[:6])
RANDOM = {"BernoulliRBM"}  # its score_samples draws numbers
NO_TABLES = {"FeatureHasher", "HashingVectorizer", "PatchExtractor"}  # they are fitted with anything, and take texts
MIXING = {"FunctionTransformer", "LatentDirichletAllocation", "MiniBatchNMF", "MiniBatchSparsePCA", "NMF", "SparsePCA"}


def fitted() -> dict[str, Any]:
    """Fit every estimator that takes numbers and the targets here, once."""
    models = {}
    for name in ESTIMATORS:
        try:
            models[name] = fit(name, np.abs(X))
        except Exception:  # it wants other arguments, or another kind of data
            continue
    return models


MODELS = fitted()


def outputs(answer: Any) -> list[np.ndarray]:
    """Return the arrays of an answer, of which some methods of several targets have a list."""
    parts = answer if isinstance(answer, list) else [answer]
    return [part.toarray() if hasattr(part, "toarray") else np.asarray(part) for part in parts]


@pytest.mark.parametrize("name", sorted(set(MODELS) - RANDOM - NO_TABLES))
def test_rows_of_an_estimator_are_independent_where_the_flavor_says_so(name: str) -> None:
    """Each row alone gets the values, and the shape, that it gets among others."""
    model = MODELS[name]
    if not sklearn_flavor.rows_are_independent(model):
        return  # then it may do as it likes
    for method in sklearn_flavor.methods(model):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            together = outputs(getattr(model, method)(ROWS))
            alone = [outputs(getattr(model, method)(ROWS[row : row + 1])) for row in range(len(ROWS))]
        for number, whole in enumerate(together):
            joined = np.concatenate([parts[number] for parts in alone])
            np.testing.assert_allclose(joined, whole, rtol=1e-5, atol=1e-6, err_msg=method)


def test_most_estimators_are_asked_together() -> None:
    """The list of those that are not is short, so that servers gain from it."""
    said = [name for name, model in MODELS.items() if sklearn_flavor.rows_are_independent(model)]
    assert len(said) > 100
    # Of the function by which FeatureAgglomeration joins columns nothing is known.
    assert set(MODELS) - set(said) <= {*MIXING, "FeatureAgglomeration"}


class Centred(LogisticRegression):
    """An estimator of the user's own."""

    def predict(self, X: Any) -> Any:
        """Look at all rows."""
        return super().predict(X - X.mean(axis=0))


@pytest.mark.parametrize(
    ("model", "independent"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), True),
        (make_pipeline(StandardScaler(), NMF(2)), False),
        (make_pipeline(None, "passthrough", LogisticRegression()), True),
        (make_pipeline(FeatureUnion([("a", StandardScaler()), ("b", NMF(2))]), LogisticRegression()), False),
        (make_column_transformer((StandardScaler(), NAMES[:1]), (NMF(2), NAMES[1:])), False),
        (make_pipeline(FunctionTransformer(lambda rows: rows - rows.mean()), LogisticRegression()), False),
        (Centred(), False),
        (make_pipeline(Centred()), False),
        (SVC(kernel=cosine_similarity), True),
        (SVC(kernel=lambda a, b: a @ b.T), False),
        (TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1), True),
        (TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.sort), False),
        (GaussianProcessRegressor(RBF() + WhiteKernel()), True),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", f"{value!r:.60}"),  # addresses are others in another process
)
def test_one_part_that_looks_at_all_rows_is_enough(model: Any, independent: bool) -> None:
    """Found in steps, unions, kernels and functions; a class or function of the user's may do anything."""
    assert sklearn_flavor.rows_are_independent(model) is independent


def test_the_imputer_that_iterates_is_asked_by_itself() -> None:
    """Where no row has a value it imputes otherwise than where one has."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes the next import possible
    from sklearn.impute import IterativeImputer

    data = np.c_[X[:, :1], X[:, :1] * 2 + X[:, 1:2] / 10]
    data[::4, 1] = np.nan
    model = IterativeImputer(max_iter=3, tol=1.0).fit(data)
    missing, other = np.array([[np.nan, np.nan]]), np.array([[1.0, np.nan]])
    assert not np.allclose(model.transform(np.vstack([missing, other]))[:1], model.transform(missing))
    assert sklearn_flavor.rows_are_independent(model) is False


@pytest.mark.parametrize(
    ("model", "columns", "taken"),
    [
        (LogisticRegression().fit(TABLE, Y), NAMES, True),
        (LogisticRegression().fit(TABLE, Y), NAMES[::-1], False),
        (LogisticRegression().fit(TABLE, Y), NAMES[:-1], False),
        (LogisticRegression().fit(X, Y), NAMES, True),
        (make_pipeline(StandardScaler(), LogisticRegression()).fit(TABLE, Y), NAMES, True),
        (
            make_pipeline(StandardScaler().set_output(transform="pandas"), LogisticRegression()).fit(TABLE, Y),
            NAMES,
            False,
        ),
        (make_pipeline(FunctionTransformer(), LogisticRegression()).fit(TABLE, Y), NAMES, False),
        (make_column_transformer((StandardScaler(), NAMES[:1])).fit(TABLE), NAMES, False),
        (Centred().fit(TABLE, Y), NAMES, False),
    ],
    ids=lambda value: f"{value!r:.50}",
)
def test_an_array_is_taken_where_only_numbers_are_looked_at(model: Any, columns: Any, taken: bool) -> None:
    """Not where columns are found by name, names are passed on, or the model was trained on others."""
    assert sklearn_flavor.takes_array(model, tuple(columns)) is taken
