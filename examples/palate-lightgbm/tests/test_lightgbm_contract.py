"""The flavor keeps every promise of a flavor, for each kind of model and file that it has."""

from __future__ import annotations

import lightgbm
import pytest

from palate.testing import FlavorContract
from palate_lightgbm import FORMATS


class TestBooster(FlavorContract):
    """A booster of three classes, in LightGBM's text."""

    flavor = "lightgbm"

    @pytest.fixture
    def model(self, numbers, target):
        params = {"objective": "multiclass", "num_class": 3, "num_leaves": 6, "verbosity": -1}
        return lightgbm.train(params, lightgbm.Dataset(numbers, target), 4)

    @pytest.fixture
    def sample(self, numbers):
        return numbers[:20]

    @pytest.fixture
    def expected(self, model, sample):
        return model.predict(sample)

    @pytest.fixture
    def foreign_model(self, numbers):
        return lightgbm.Dataset(numbers)


class TestClassifier(FlavorContract):
    """A classifier that looks at categories, as its booster's text and plain data."""

    flavor = "lightgbm"

    @pytest.fixture
    def model(self, classifier):
        return classifier

    @pytest.fixture
    def sample(self, people):
        return people[:20]

    @pytest.fixture
    def expected(self, model, sample):
        return model.predict(sample)

    @pytest.fixture
    def foreign_model(self):
        return lightgbm.LGBMClassifier()  # not fitted


class TestRegressorOfArrays(FlavorContract):
    """A regressor that was trained on an array."""

    flavor = "lightgbm"

    @pytest.fixture
    def model(self, numbers, target):
        return lightgbm.LGBMRegressor(n_estimators=3, verbosity=-1).fit(numbers.to_numpy(float), target)

    @pytest.fixture
    def sample(self, numbers):
        return numbers[:20].to_numpy(float)


class TestPickle(FlavorContract):
    """A classifier, pickled as MLflow pickles it."""

    flavor = "lightgbm"
    format = "pickle"

    @pytest.fixture
    def model(self, numbers, target):
        return lightgbm.LGBMClassifier(n_estimators=3, verbosity=-1).fit(numbers, target)

    @pytest.fixture
    def sample(self, numbers):
        return numbers[:20]


class TestSkops(TestPickle):
    """A classifier in MLflow's default format for it."""

    format = "skops"


class TestCloudpickle(TestPickle):
    """A classifier, pickled as MLflow pickles it where cloudpickle is asked for."""

    format = "cloudpickle"


def test_each_format_has_a_class():
    """No format is left out of the kit."""
    classes = (TestBooster, TestPickle, TestSkops, TestCloudpickle)
    assert {cls.format or FORMATS[0] for cls in classes} == set(FORMATS)
