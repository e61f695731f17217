"""The xgboost flavor keeps the promises of a flavor."""

from __future__ import annotations

import pytest
from sklearn.datasets import load_iris
from xgboost import Booster, DMatrix, XGBClassifier, train

from palate.testing import FlavorContract

X, Y = load_iris(return_X_y=True, as_frame=True)


class TestXgboostClassifier(FlavorContract):
    """An estimator, in the default format."""

    flavor = "xgboost"

    @pytest.fixture
    def model(self) -> XGBClassifier:
        """Train on named columns."""
        return XGBClassifier(n_estimators=10, max_depth=3, random_state=0).fit(X, Y)

    @pytest.fixture
    def sample(self):
        """Rows of two classes."""
        return X[48:53].reset_index(drop=True)


class TestXgboostBoosterAsJson(FlavorContract):
    """A booster, as JSON, on arrays."""

    flavor = "xgboost"
    format = "json"

    @pytest.fixture
    def model(self) -> Booster:
        """Train without names."""
        return train({"max_depth": 3, "objective": "multi:softprob", "num_class": 3}, DMatrix(X.to_numpy(), Y), 5)

    @pytest.fixture
    def sample(self):
        """Rows of two classes."""
        return X[48:53].to_numpy()
