"""Small models on real data that ships with scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.hookspecs import SampleModel

__all__ = ["train"]


def train() -> Mapping[str, SampleModel]:
    """Return a classifier, a regressor and a booster that stopped early, each within a second."""
    import lightgbm
    from sklearn.datasets import load_diabetes, load_iris

    flowers, species = load_iris(return_X_y=True)
    patients, progress = load_diabetes(return_X_y=True)
    quiet: Any = {"verbosity": -1, "n_jobs": 1}
    classifier = lightgbm.LGBMClassifier(n_estimators=10, **quiet).fit(flowers, species)
    regressor = lightgbm.LGBMRegressor(n_estimators=10, **quiet).fit(patients, progress)
    known = lightgbm.Dataset(patients[:300], progress[:300])
    unseen = lightgbm.Dataset(patients[300:], progress[300:], reference=known)
    stop = lightgbm.early_stopping(3, verbose=False)
    booster = lightgbm.train({"max_depth": 3, **quiet}, known, 50, valid_sets=[unseen], callbacks=[stop])
    return {
        "classifier": SampleModel(model=classifier, sample=flowers[::30], description="the species of iris flowers"),
        "regressor": SampleModel(model=regressor, sample=patients[::90], description="the progress of diabetes"),
        "booster": SampleModel(model=booster, sample=patients[::90], description="the same, by a bare booster"),
    }
