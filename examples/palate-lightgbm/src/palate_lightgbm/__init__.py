"""The LightGBM flavor: boosters and estimators as LightGBM's own text, checked before LightGBM reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.hookspecs import hookimpl

if TYPE_CHECKING:
    from palate.errors import CodeReason
    from palate.hookspecs import Guarantees, LoadOptions, SampleModel, SaveOptions
    from palate.schema import Schema

__all__ = [
    "FORMATS",
    "FORMATS_NEEDING_TRUST",
    "HOOK_API",
    "NATIVE_PACKAGES",
    "VERSION_PROMISES",
    "executes_code",
    "guarantees",
    "infer_input_schema",
    "load_model",
    "methods",
    "predict",
    "pyfunc_section",
    "requirements",
    "rows_are_independent",
    "sample_models",
    "save_model",
]

HOOK_API = 1
NATIVE_PACKAGES = ("lightgbm",)
FORMATS = ("text", "skops", "pickle", "cloudpickle")
FORMATS_NEEDING_TRUST = ("skops", "pickle", "cloudpickle")
# LightGBM's releases are versioned semantically, model files included (LightGBM#4407); pickles of its estimators hold
# attributes of scikit-learn's.
_ESTIMATORS = {"lightgbm": "minor", "scikit-learn": "patch"}
VERSION_PROMISES = {
    "text": {"lightgbm": "minor"},
    "skops": {**_ESTIMATORS, "skops": "newer"},
    "pickle": _ESTIMATORS,
    "cloudpickle": {**_ESTIMATORS, "cloudpickle": "patch"},
}


@hookimpl
def save_model(model: Any, path: Path, options: SaveOptions) -> dict[str, Any]:
    """Write the model in one of FORMATS; the layout is that of ``mlflow.lightgbm``."""
    from palate_lightgbm import _persistence

    return _persistence.save_model(model, path, options)


@hookimpl
def load_model(path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
    """Read what ``save_model`` or ``mlflow.lightgbm.save_model`` wrote."""
    from palate_lightgbm import _persistence

    return _persistence.load_model(path, config, options)


@hookimpl
def predict(model: Any, data: Any, method: str, params: Mapping[str, Any], enforced: bool) -> object:
    """Return the bits that LightGBM's own method returns; each kind of prediction is a method."""
    from palate_lightgbm import _prediction

    return _prediction.predict(model, data, method, params, enforced=enforced)


@hookimpl
def methods(model: Any) -> Sequence[str]:
    """Return predict, predict_proba for classifiers, and LightGBM's further kinds of prediction."""
    from palate_lightgbm import _prediction

    return _prediction.methods(model)


@hookimpl
def rows_are_independent(model: Any) -> bool:
    """Return whether the class is LightGBM's own; one that is derived from it may do anything with its rows."""
    return type(model).__module__.partition(".")[0] == "lightgbm"


@hookimpl
def requirements(model: Any, options: SaveOptions) -> Sequence[str]:
    """Return lightgbm, pinned; for estimators scikit-learn too, and what the format needs."""
    from palate_lightgbm import _persistence

    return _persistence.requirements(model, options.format)


@hookimpl
def executes_code(config: Mapping[str, Any]) -> Sequence[CodeReason]:
    """Return nothing for text; the reason for the formats that need trust."""
    from palate_lightgbm import _layout

    return _layout.executes_code(config)


@hookimpl
def infer_input_schema(model: Any) -> Schema | None:
    """Return the columns that the model was trained on, or None if it knows no names for them."""
    from palate_lightgbm import _schema

    return _schema.infer_input_schema(model)


@hookimpl
def pyfunc_section(config: Mapping[str, Any]) -> dict[str, Any]:
    """Name MLflow's own loader where it gives the same predictions; nothing means Palate's."""
    from palate_lightgbm import _layout

    return _layout.pyfunc_section(config)


@hookimpl
def guarantees() -> Guarantees:
    """Return what the checks of the text achieve."""
    from palate.hookspecs import Guarantees

    return Guarantees(
        no_code=True,
        memory_safe=True,
        bounded=True,
        exceptions=(
            "pred_contrib takes time by the square of a tree's depth, and answers with a number per feature and class",
        ),
    )


@hookimpl
def sample_models() -> Mapping[str, SampleModel]:
    """Train a classifier, a regressor and a booster."""
    from palate_lightgbm import _samples

    return _samples.train()
