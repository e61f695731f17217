"""Every flavor's sample models predict the same in a process of their own as in this one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import palate
from palate import Isolation, flavors

pytestmark = pytest.mark.slow

HERE = Isolation(environment="here")


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")  # the logarithm of a forest's probability 0
@pytest.mark.parametrize("name", ["keras", "pytorch", "sklearn", "tensorflow", "xgboost"])
def test_sample_models_predict_the_same_elsewhere(name: str, tmp_path: Path) -> None:
    """Each method of each sample model answers the same bits and types, framework by framework."""
    for label, sample in flavors.sample_models(name).items():
        path = tmp_path / label
        palate.save_model(sample.model, path, flavor=name, input_example=sample.sample)
        direct = palate.load_model(path)
        with palate.load_model(path, isolate=HERE) as isolated:
            assert isolated.methods == direct.methods
            for method in direct.methods:
                assert isolated.rows_are_independent(method) == direct.rows_are_independent(method)
                found, expected = isolated.call(method, sample.sample), direct.call(method, sample.sample)
                assert type(found) is type(expected)
                np.testing.assert_equal(_plain(found), _plain(expected), err_msg=f"{label}.{method}")


def _plain(value: object) -> object:
    return value.toarray() if hasattr(value, "toarray") else value
