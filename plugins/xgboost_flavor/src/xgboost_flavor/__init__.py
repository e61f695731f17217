"""The XGBoost flavor of Palate: boosters saved safely, in directories that stock MLflow opens too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.errors import CodeReason, InvalidModelFile, Problem
from palate.hookspecs import EmbeddedType, Guarantees, confine, hookimpl, pin_installed
from xgboost_flavor import _prediction

if TYPE_CHECKING:
    from palate.hookspecs import LoadOptions, SampleModel, SaveOptions
    from palate.schema import Schema

__all__ = [
    "FORMATS",
    "FORMATS_NEEDING_TRUST",
    "HOOK_API",
    "NATIVE_PACKAGES",
    "VERSION_PROMISES",
    "embedded_types",
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
    "takes_array",
]

HOOK_API = 1
NATIVE_PACKAGES = ("xgboost",)
FORMATS = ("ubj", "json")
FORMATS_NEEDING_TRUST = ()
# XGBoost's "Introduction to Model IO": models of earlier versions are accessible in later ones, memory snapshots
# (pickles) are not.
VERSION_PROMISES = {"ubj": {"xgboost": "newer"}, "json": {"xgboost": "newer"}}


@hookimpl
def save_model(model: Any, path: Path, options: SaveOptions) -> dict[str, Any]:
    """Write *model* as ``model.ubj`` or ``model.json``, with the section that MLflow writes and the parameters."""
    from xgboost_flavor._persistence import write_model

    return write_model(model, path, options.format)


@hookimpl
def load_model(path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
    """Return the Booster, or the estimator, after every number of its file has been checked."""
    from xgboost_flavor._persistence import read_model

    name = config.get("data")
    if not isinstance(name, str):
        raise InvalidModelFile([Problem(("flavors", "xgboost", "data"), "missing", "must name the model's file")])
    confine(path, name, field="flavors.xgboost.data")
    return read_model(name, config, options)


@hookimpl
def mapped_files(config: Mapping[str, Any]) -> Sequence[str]:
    """Return the one file."""
    name = config.get("data")
    return (name,) if isinstance(name, str) else ()


@hookimpl
def executes_code(config: Mapping[str, Any]) -> Sequence[CodeReason]:
    """Return a reason for a class that is not xgboost's, which MLflow would import; files themselves hold no code."""
    from xgboost_flavor._classes import is_known

    wanted = config.get("model_class")
    if wanted is None or is_known(wanted):
        return ()
    return (
        CodeReason("MLmodel", f"model_class is {wanted!r:.80}, which is no class of xgboost; importing it runs code"),
    )


@hookimpl
def predict(model: Any, data: Any, method: str, params: Mapping[str, Any]) -> object:
    """Call *method*: one of the model's class, or a kind of prediction in xgboost's own words."""
    return _prediction.call(model, data, method, params)


@hookimpl
def takes_array(model: Any, columns: Sequence[str | int]) -> bool:
    """Return whether an array gives the same bits as the table: for trees over plain numbers, in the model's order."""
    return _prediction.takes_array(model, columns)


@hookimpl
def rows_are_independent(model: Any) -> bool:
    """Return whether the model is one of xgboost's own, which looks at each row by itself."""
    return _prediction.is_own(model)


@hookimpl
def methods(model: Any) -> Sequence[str]:
    """Return ``predict``, what the model's class offers besides, and the kinds of prediction that its booster makes."""
    return _prediction.method_names(model)


@hookimpl
def infer_input_schema(model: Any) -> Schema | None:
    """Return the columns that *model* was trained on, with their types and categories, if it knows their names."""
    from xgboost_flavor._inputs import input_schema

    return input_schema(model)


@hookimpl
def requirements(model: Any) -> Sequence[str]:
    """Return xgboost, and scikit-learn for the classes that are built on it."""
    from xgboost_flavor._classes import BOOSTER, name_of

    names = ("xgboost",) if name_of(model) == BOOSTER else ("scikit-learn", "xgboost")
    return tuple(map(pin_installed, names))


@hookimpl
def pyfunc_section(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return MLflow's own loader."""
    return {"loader_module": "mlflow.xgboost", "data": config["data"]}


@hookimpl
def sample_models() -> Mapping[str, SampleModel]:
    """Train a classifier on mixed columns, on data that ships with scikit-learn; takes less than a second."""
    from xgboost_flavor._samples import train_samples

    return train_samples()


@hookimpl
def guarantees(config: Mapping[str, Any]) -> Guarantees:
    """Return what holds for files of either format."""
    if executes_code(config=config):
        return Guarantees(no_code=False, memory_safe=False, bounded=False)
    return Guarantees(
        no_code=True,
        memory_safe=True,
        bounded=True,
        exceptions=(
            "pred_contribs and pred_interactions take time by the square of a tree's depth, and their answers have a "
            "number for each feature, or pair of features, that the model says it has",
        ),
    )


@hookimpl
def embedded_types() -> Sequence[EmbeddedType]:
    """Return Booster and the classes of scikit-learn's kind, as steps of another framework's pipeline."""
    from xgboost_flavor._embedded import list_types

    return list_types()
