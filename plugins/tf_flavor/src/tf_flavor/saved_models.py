"""The flavor ``tensorflow``: SavedModels, and the Keras models that MLflow saves under this name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.hookspecs import Guarantees, hookimpl, pin_installed
from tf_flavor._imports import import_tensorflow
from tf_flavor._sections import is_keras_section, keras_file, keras_reasons, saved_model_folder

if TYPE_CHECKING:
    from palate.errors import CodeReason
    from palate.hookspecs import LoadOptions, SaveOptions
    from palate.schema import Schema

__all__ = [
    "FORK_AFTER_LOAD",
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
    "save_model",
]

HOOK_API = 1
NATIVE_PACKAGES = ("tensorflow",)
FORMATS = ("saved_model",)
FORMATS_NEEDING_TRUST = ()
SAVE_OPTIONS = ("signatures",)
LOAD_OPTIONS = ("custom_objects", "compile")
FORK_AFTER_LOAD = False  # TensorFlow's threads do not come along, and the child waits for them
# TensorFlow's guide (Version compatibility): a SavedModel can be loaded and evaluated with a later version of the same
# major release.
VERSION_PROMISES = {"saved_model": {"tensorflow": "minor"}}

_FOLDER = "tf2model"


@hookimpl
def save_model(model: Any, path: Path, options: SaveOptions) -> dict[str, Any]:
    """Write *model* as the SavedModel ``tf2model/``, traced so that it takes any number of rows."""
    from tf_flavor._exporting import LOADER, export_module, write_loader

    single = export_module(model, path / _FOLDER, options)
    if not single:
        write_loader(path)
    return {
        "saved_model_dir": _FOLDER,
        "model_type": "tf2-module",
        "tensorflow_version": import_tensorflow().__version__,
        "stock_loader": None if single else LOADER,
    }


@hookimpl
def load_model(path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
    """Return what TensorFlow makes of the SavedModel, or the Keras model of a directory that holds one."""
    folder = saved_model_folder(path, config, "tensorflow")
    if folder is None and is_keras_section(config):
        from tf_flavor._keras_loading import open_keras

        file, name = keras_file(path, config, "tensorflow")
        return open_keras(file, name, options)
    from tf_flavor._saved_model_loading import open_saved_model

    return open_saved_model(path, folder, config, options)


@hookimpl
def executes_code(path: Path, config: Mapping[str, Any]) -> Sequence[CodeReason]:
    """Return a reason for pickles beside a Keras model and for .h5 files; the rest is judged when it is opened."""
    return keras_reasons(path, config) if is_keras_section(config) else ()


@hookimpl
def guarantees(path: Path, config: Mapping[str, Any]) -> Guarantees:
    """Return what is promised for the format of a directory."""
    from tf_flavor._guarantees import guarantees_of

    return guarantees_of(path, config, "tensorflow")


@hookimpl
def predict(model: Any, data: Any, method: str) -> object:
    """Call the model, or the signature that *method* names."""
    from tf_flavor._predicting import predict_any

    return predict_any(model, data, method)


@hookimpl
def methods(model: Any) -> Sequence[str]:
    """Return ``predict``, and the names of a SavedModel's further signatures."""
    from tf_flavor._predicting import methods_of

    return methods_of(model)


@hookimpl
def rows_are_independent(model: Any) -> bool:
    """Return whether all of the model are layers of Keras's own; a graph may compute anything of its rows together."""
    from tf_flavor._row_mixing import mixes_rows

    return not mixes_rows(model)


@hookimpl
def infer_input_schema(model: Any) -> Schema | None:
    """Return the inputs of what ``predict`` calls, where they are traced."""
    from tf_flavor._inputs import schema_of

    return schema_of(model)


@hookimpl
def requirements() -> Sequence[str]:
    """Return TensorFlow."""
    return (pin_installed("tensorflow"),)


@hookimpl
def pyfunc_section(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return MLflow's own loader, or one that comes with the model where MLflow's takes and returns one array only."""
    if config.get("stock_loader"):
        return {"loader_module": config["stock_loader"], "code": "code", "data": config["saved_model_dir"]}
    return {"loader_module": "mlflow.tensorflow", **({"data": config["data"]} if config.get("data") else {})}
