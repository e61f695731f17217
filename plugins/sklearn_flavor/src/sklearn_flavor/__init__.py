"""The scikit-learn flavor of Palate: estimators saved without pickle, in directories that stock MLflow opens too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.errors import CodeReason, InvalidModelFile, InvalidOption, Problem
from palate.hookspecs import Guarantees, confine, hookimpl
from sklearn_flavor import _twins
from sklearn_flavor._in_place import own_copy
from sklearn_flavor._params import accepted_params
from sklearn_flavor._row_mixing import mixes_rows

if TYPE_CHECKING:
    from palate.hookspecs import LoadOptions, SampleModel, SaveOptions
    from palate.schema import Schema

__all__ = [
    "FORMATS",
    "FORMATS_NEEDING_TRUST",
    "HOOK_API",
    "LOAD_OPTIONS",
    "NATIVE_PACKAGES",
    "SAVE_OPTIONS",
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
    "takes_array",
]

HOOK_API = 1
NATIVE_PACKAGES = ("sklearn",)
FORMATS = ("skops", "pickle", "cloudpickle")
FORMATS_NEEDING_TRUST = ("pickle", "cloudpickle")
SAVE_OPTIONS = ("predict_fn", "allow")
LOAD_OPTIONS = ("allow",)
# scikit-learn's guide (Model persistence) calls loading with another version unsupported and inadvisable; its bug-fix
# releases change no attributes. skops keeps the reader of each protocol it has had, and refuses those to come.
VERSION_PROMISES = {
    "skops": {"scikit-learn": "patch", "skops": "newer"},
    "pickle": {"scikit-learn": "patch"},
    "cloudpickle": {"scikit-learn": "patch", "cloudpickle": "patch"},
}

# What estimators answer to without learning anything, in the order in which one of them becomes the default.
_METHODS = ("predict", "transform", "predict_proba", "predict_log_proba", "decision_function", "score_samples")
_MLFLOW_METHODS = ("predict", "predict_proba", "predict_log_proba")


@hookimpl
def save_model(model: Any, path: Path, options: SaveOptions) -> dict[str, Any]:
    """Write *model* as ``model.skops`` or ``model.pkl``, with the section that MLflow writes."""
    import sklearn

    from sklearn_flavor._persistence import FILE_NAMES, allowed_names, write_model

    chosen = _predict_fn(model, options.extra.get("predict_fn"))
    name = FILE_NAMES[options.format]
    trusted = write_model(model, path / name, options.format, allowed_names(options.extra), options.embedded)
    section: dict[str, Any] = {
        "code": None,
        "pickled_model": name,
        "serialization_format": options.format,
        "sklearn_version": sklearn.__version__,
        "skops_trusted_types": trusted,
    }
    # MLflow keeps this key in its python_function section, which pyfunc_section has to derive from this one.
    return section if chosen == "predict" else {**section, "predict_fn": chosen}


def _predict_fn(model: Any, asked: object) -> str | None:
    if asked is None:
        return "predict" if hasattr(model, "predict") else None
    if asked not in _MLFLOW_METHODS or not hasattr(model, str(asked)):
        answers = [name for name in _MLFLOW_METHODS if hasattr(model, name)]
        hint = f"choose one of {', '.join(answers)}" if answers else "leave it out; this model does not predict"
        raise InvalidOption(
            "predict_fn", reason=f"{asked!r} is no method of this model that MLflow can call", hint=hint
        )
    return str(asked)


@hookimpl
def load_model(path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
    """Return the estimator: from a .skops file after an audit, from a pickle only with trust."""
    from sklearn_flavor._persistence import read_model

    name = config.get("pickled_model")
    if not isinstance(name, str):
        raise InvalidModelFile(
            [Problem(("flavors", "sklearn", "pickled_model"), "missing", "must name the model's file")]
        )
    file = confine(path, name, field="flavors.sklearn.pickled_model")
    return read_model(file, name, _format_of(config), options)


def _format_of(config: Mapping[str, Any]) -> str:
    """Return the serialization format that *config* names; MLflow's early releases wrote none, and meant pickle."""
    return str(config.get("serialization_format") or "pickle")


@hookimpl
def executes_code(config: Mapping[str, Any]) -> Sequence[CodeReason]:
    """Return a reason for every format but skops; what is inside a .skops file is judged when it is opened."""
    written = _format_of(config)
    if written == "skops":
        return ()
    known = written in FORMATS
    rule = "a pickle can run any code" if known else f"its format {written!r:.60} is unknown, and may run any code"
    return (CodeReason(str(config.get("pickled_model") or "the model file"), rule),)


@hookimpl
def guarantees(config: Mapping[str, Any]) -> Guarantees:
    """Return what the audit and the structure checks of a .skops file achieve; pickles can do anything."""
    safe = _format_of(config) == "skops"
    slow = "an estimator's own parameters can ask for a long computation, such as a slow regular expression"
    return Guarantees(no_code=safe, memory_safe=safe, bounded=safe, exceptions=(slow,) if safe else ())


@hookimpl
def predict(model: Any, data: Any, method: str, params: Mapping[str, Any], enforced: bool) -> object:
    """Call *method* of the estimator with what the caller gave, or with an array of it that gives the same bits sooner.

    Of the params it gets those that it takes. MLflow hands none on, so that its models declare what nothing takes.
    """
    taken = accepted_params(model, method, params) if params else {}
    data = own_copy(model, data)
    if not taken:  # with params of its own a method may look at the table again
        model, data = _twins.prepare_call(model, data, enforced=enforced)
    return getattr(model, method)(data, **taken)


@hookimpl
def takes_array(model: Any, columns: Sequence[str | int]) -> bool:
    """Return whether an array gives the same bits as the table: of an estimator that sees nothing but its numbers."""
    return _twins.takes_array(model, columns)


@hookimpl
def rows_are_independent(model: Any) -> bool:
    """Return whether every estimator in *model* is one of scikit-learn's that looks at each row by itself."""
    return not mixes_rows(model)


@hookimpl
def methods(model: Any) -> Sequence[str]:
    """Return what a fitted *model* answers to, ``predict`` first, or else ``transform``."""
    return tuple(name for name in _METHODS if hasattr(model, name))


@hookimpl
def infer_input_schema(model: object) -> Schema | None:
    """Return the columns that *model* was fitted on, with the categories that its encoders know."""
    from sklearn_flavor._inputs import input_schema

    return input_schema(model)


@hookimpl
def requirements(model: object, options: SaveOptions) -> Sequence[str]:
    """Return scikit-learn, what reads the file, and whatever else the objects inside *model* come from."""
    from sklearn_flavor._packages import pinned_requirements

    return pinned_requirements(model, options.format)


@hookimpl
def pyfunc_section(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return MLflow's own loader, or None for an estimator that does not predict, as MLflow does."""
    chosen = config.get("predict_fn", "predict")
    if chosen is None:
        return None
    return {"loader_module": "mlflow.sklearn", "model_path": config["pickled_model"], "predict_fn": chosen}


@hookimpl
def sample_models() -> Mapping[str, SampleModel]:
    """Train a regression on mixed columns and a classifier; takes less than a second."""
    from sklearn_flavor._samples import train_samples

    return train_samples()
