"""A small model on data that ships with scikit-learn, for ``palate quickstart`` and for tests."""

from __future__ import annotations

from collections.abc import Mapping

from palate.hookspecs import SampleModel

__all__ = ["train_samples"]


def train_samples() -> Mapping[str, SampleModel]:
    """Train a classifier that stops early, on a table when pandas is installed."""
    from sklearn.datasets import load_breast_cancer
    from xgboost import XGBClassifier

    try:
        import pandas  # noqa: F401 - asks whether there are DataFrames to train on

        data = load_breast_cancer(as_frame=True)
    except ImportError:
        data = load_breast_cancer()
    table, target = data.data, data.target
    model = XGBClassifier(n_estimators=50, max_depth=3, learning_rate=0.2, early_stopping_rounds=5, random_state=0)
    model.fit(table[:400], target[:400], eval_set=[(table[400:], target[400:])], verbose=False)
    text = "Whether a tumour is benign, by thirty measures of the nuclei of its cells"
    return {"classifier": SampleModel(model=model, sample=table[400:405], description=text)}
