"""Models that clusters predict with, and the rows. This file goes with the model that tells, so it needs little."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import palate

__all__ = ["FEATURES", "LOG_VARIABLE", "TellingModel", "make_models", "make_rows"]

FEATURES = ["a", "b", "c"]
LOG_VARIABLE = "PALATE_TEST_LOG"


class TellingModel(palate.PythonModel):
    """Writes down where it is opened, and where it predicts; gives text, times, lists and structs."""

    def load_context(self, context: Any) -> None:
        _tell("opened")

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        import pandas as pd

        time.sleep((params or {}).get("pause", 0.0))
        _tell(f"predicted {len(model_input)}")
        a, b, c = (model_input[name].tolist() for name in FEATURES)
        return pd.DataFrame(
            {
                "label": [f"class {number}" for number in c],
                "at": pd.Timestamp("2026-01-01") + pd.to_timedelta(model_input["c"].to_numpy(), unit="h"),
                "parts": [[x, y] for x, y in zip(a, b, strict=True)],
                "deep": [{"x": x, "tags": ["tag"] * (number % 3)} for x, number in zip(a, c, strict=True)],
            }
        )


def _tell(what: str) -> None:
    """Add a line with the process, the one that started it, the machine, and *what*."""
    if log := os.environ.get(LOG_VARIABLE):
        machine = os.stat("/proc/self/ns/net").st_ino
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {os.getppid()} {machine} {what}\n")


def make_rows(count: int) -> Any:
    """Return rows with a key, two columns of numbers and one of whole numbers."""
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(20261128)
    numbers = {name: random.normal(size=count) for name in FEATURES[:2]}
    return pd.DataFrame({"id": np.arange(count), **numbers, "c": random.integers(0, 9, count)})


def make_models(folder: Path) -> None:
    """Save a model of each kind: trees, a linear model that gives labels, one that tells, one without a signature."""
    import numpy as np
    import xgboost
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    rows = make_rows(500)
    inputs, classes = rows[FEATURES], (rows["a"] + rows["b"] > 0).astype(int)
    palate.save_model(
        LogisticRegression().fit(inputs, np.where(classes, "yes", "no")), folder / "labels", input_example=inputs[:5]
    )
    palate.save_model(
        RandomForestClassifier(5, max_depth=4).fit(inputs, classes), folder / "forest", input_example=inputs[:5]
    )
    palate.save_model(
        xgboost.XGBClassifier(n_estimators=10).fit(inputs, classes), folder / "boosted", input_example=inputs[:5]
    )
    palate.save_model(
        TellingModel(), folder / "telling", input_example=inputs[:5], params={"pause": 0.0}, code_paths=[__file__]
    )
    palate.save_model(LogisticRegression().fit(inputs, classes), folder / "silent", signature=None)
