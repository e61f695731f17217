"""Small models on data that ships with scikit-learn, for ``palate quickstart`` and for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palate.hookspecs import SampleModel

__all__ = ["train_samples"]

_NUMBERS = ["age", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]
# The limits of the World Health Organization, in kg/m2.
_BMI_LIMITS = [18.5, 25.0, 30.0]
_BMI_CLASSES = ["underweight", "normal", "overweight", "obese"]


def train_samples() -> Mapping[str, SampleModel]:
    """Train a regression on mixed columns and a classifier."""
    return {"pipeline": _train_pipeline(), "classifier": _train_classifier()}


def _train_pipeline() -> SampleModel:
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table, target, numbers, categories = _diabetes()
    columns = ColumnTransformer([("numbers", StandardScaler(), numbers), ("categories", OneHotEncoder(), categories)])
    model = Pipeline([("columns", columns), ("regression", Ridge())]).fit(table, target)
    text = "How far diabetes went within a year, by age, sex, body mass, blood pressure and six blood values"
    return SampleModel(model=model, sample=table[:5], description=text)


def _diabetes() -> tuple[Any, Any, list[Any], list[Any]]:
    """Return table, target, and the numeric and the categorical columns; a DataFrame when pandas is installed."""
    import numpy as np
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    names = list(data.feature_names)
    body_mass = np.digitize(data.data[:, names.index("bmi")], _BMI_LIMITS)
    sex = data.data[:, names.index("sex")].astype(int) - 1
    numbers = data.data[:, [names.index(name) for name in _NUMBERS]]
    try:
        import pandas as pd
    except ImportError:
        width = len(_NUMBERS)
        return np.column_stack([numbers, sex, body_mass]), data.target, list(range(width)), [width, width + 1]
    frame = pd.DataFrame(numbers, columns=_NUMBERS)
    # The data set's authors do not say which of its two numbers stands for which sex.
    frame["sex"] = np.array(["1", "2"], dtype=object)[sex]
    frame["body_mass"] = np.array(_BMI_CLASSES, dtype=object)[body_mass]
    return frame, data.target, _NUMBERS, ["sex", "body_mass"]


def _train_classifier() -> SampleModel:
    from sklearn.datasets import load_wine
    from sklearn.ensemble import RandomForestClassifier

    try:
        import pandas  # noqa: F401 - asks whether there are DataFrames to train on

        data = load_wine(as_frame=True)
    except ImportError:
        data = load_wine()
    model = RandomForestClassifier(n_estimators=20, random_state=0).fit(data.data, data.target)
    text = "Which of three Italian cultivars a wine was made from, by chemical analysis"
    return SampleModel(model=model, sample=data.data[:5], description=text)
