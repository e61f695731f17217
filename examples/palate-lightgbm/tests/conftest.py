"""Data and models that the tests share."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def people() -> pd.DataFrame:
    """Return rows with integers, truth values, gaps and categories."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(0, 90, 300),
            "member": rng.random(300) > 0.5,
            "score": rng.random(300),
            "city": pd.Categorical(np.array(["Graz", "Bern", "Łódź"])[rng.integers(0, 3, 300)]),
        }
    )
    frame.loc[::7, "score"] = np.nan
    return frame


@pytest.fixture(scope="session")
def numbers(people: pd.DataFrame) -> pd.DataFrame:
    """Return the rows without gaps and categories."""
    return people[["age", "member", "score"]].fillna(0.5)


@pytest.fixture(scope="session")
def target(people: pd.DataFrame) -> Any:
    """Return 0, 1 or 2 for each row."""
    return (people["age"] > 40).to_numpy().astype(int) + (people["city"] == "Bern").to_numpy()


@pytest.fixture(scope="session")
def classifier(people: pd.DataFrame, target: Any) -> lightgbm.LGBMClassifier:
    """Return a classifier of three labels."""
    return lightgbm.LGBMClassifier(n_estimators=4, num_leaves=6, verbosity=-1).fit(people, target)


@pytest.fixture(scope="session")
def booster(people: pd.DataFrame, target: Any) -> lightgbm.Booster:
    """Return a booster of three classes that looks at categories."""
    params = {"objective": "multiclass", "num_class": 3, "num_leaves": 6, "verbosity": -1}
    return lightgbm.train(params, lightgbm.Dataset(people, target), 4)
