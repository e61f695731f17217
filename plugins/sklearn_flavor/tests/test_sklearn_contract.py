"""The scikit-learn flavor keeps the promises of a flavor."""

from __future__ import annotations

import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from palate.testing import FlavorContract

X, Y = load_iris(return_X_y=True, as_frame=True)
MIXED = X.assign(place=["north", "south", "west"] * 50)


class TestSklearnPipeline(FlavorContract):
    """Columns of numbers and of text, in the default format."""

    flavor = "sklearn"

    @pytest.fixture
    def model(self):
        """Train a pipeline."""
        columns = make_column_transformer((StandardScaler(), list(X.columns)), (OneHotEncoder(), ["place"]))
        return make_pipeline(columns, LogisticRegression(max_iter=500)).fit(MIXED, Y)

    @pytest.fixture
    def sample(self):
        """Rows of two classes."""
        return MIXED[48:53].reset_index(drop=True)


class TestSklearnPickle(FlavorContract):
    """A forest on arrays, as a pickle."""

    flavor = "sklearn"
    format = "pickle"

    @pytest.fixture
    def model(self):
        """Train a forest."""
        return RandomForestClassifier(n_estimators=10, random_state=0).fit(X.to_numpy(), Y)

    @pytest.fixture
    def sample(self):
        """Rows of two classes."""
        return X[48:53].to_numpy()


class TestSklearnCloudpickle(FlavorContract):
    """A pipeline with a function that only cloudpickle holds."""

    flavor = "sklearn"
    format = "cloudpickle"
    rows_are_independent = True  # of this function; the flavor cannot know it of any

    @pytest.fixture
    def model(self):
        """Train a pipeline."""
        steps = FunctionTransformer(lambda rows: rows**2), LogisticRegression(max_iter=500)
        return make_pipeline(*steps).fit(X.to_numpy(), Y)

    @pytest.fixture
    def sample(self):
        """Rows of two classes."""
        return X[48:53].to_numpy()
