"""The flavor ``keras``: models of Keras 3, on whatever backend it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.hookspecs import Guarantees, hookimpl
from tf_flavor._sections import KERAS_FILE, MODEL_FOLDER, keras_file, keras_reasons, saved_model_folder

if TYPE_CHECKING:
    from palate.errors import CodeReason
    from palate.hookspecs import LoadOptions, SampleModel, SaveOptions
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
    "sample_models",
    "save_model",
]

HOOK_API = 1
NATIVE_PACKAGES = ("keras",)
FORMATS = ("keras", "saved_model")
FORMATS_NEEDING_TRUST = ()
SAVE_OPTIONS = ("custom_objects",)
LOAD_OPTIONS = ("custom_objects", "compile")
FORK_AFTER_LOAD = False  # TensorFlow's threads do not come along, and the child waits for them
# Keras guarantees nothing between major versions (keras-team/keras#20081), and mends as a bug what later releases of
# one do not read (#20824). TensorFlow: see saved_models. HDF5 reads the files of all earlier releases.
VERSION_PROMISES = {
    "keras": {"keras": "minor", "tensorflow": "minor", "h5py": "newer"},
    "saved_model": {"keras": "minor", "tensorflow": "minor"},
}

_DATA = "data"


@hookimpl
def save_model(model: Any, path: Path, options: SaveOptions) -> dict[str, Any]:
    """Write *model* as ``data/model.keras`` or ``data/model/``, with what MLflow's readers of both flavors look for."""
    from tf_flavor._imports import import_keras
    from tf_flavor._keras_loading import custom_objects
    from tf_flavor._keras_saving import check_model, write_keras

    check_model(model, options.example)
    data = path / _DATA
    data.mkdir()
    exported = options.format == "saved_model"
    if exported:
        from tf_flavor._exporting import LOADER, export_keras, write_loader

        single = export_keras(model, data / MODEL_FOLDER, options)
        if not single:
            write_loader(path)
    else:
        write_keras(model, data / KERAS_FILE, custom_objects(options.extra.get("custom_objects")))
        # mlflow.tensorflow reads both, and takes a line break for part of the name.
        (data / "save_format.txt").write_text("keras", encoding="utf-8")
    (data / "keras_module.txt").write_text("keras", encoding="utf-8")
    keras = import_keras()
    section = {
        "data": _DATA,
        "keras_version": keras.__version__,
        "keras_backend": keras.backend.backend(),
        "save_exported_model": exported,
    }
    if exported:
        return {**section, "stock_loader": None if single else LOADER}
    several = isinstance(model.outputs, list) and len(model.outputs) > 1 if getattr(model, "outputs", None) else False
    return {**section, "model_type": "keras", "save_format": "keras", "several_outputs": several}


@hookimpl
def load_model(path: Path, config: Mapping[str, Any], options: LoadOptions) -> object:
    """Return the model: from a .keras file or a SavedModel after checks, from an .h5 file only with trust."""
    folder = saved_model_folder(path, config, "keras")
    if folder is not None:
        from tf_flavor._saved_model_loading import read_saved_model

        return read_saved_model(folder, folder.relative_to(path).as_posix(), options)
    from tf_flavor._keras_loading import open_keras

    file, name = keras_file(path, config, "keras")
    return open_keras(file, name, options)


@hookimpl
def executes_code(path: Path, config: Mapping[str, Any]) -> Sequence[CodeReason]:
    """Return a reason for pickles beside the model and for .h5 files; the other formats are judged when opened."""
    return () if saved_model_folder(path, config, "keras") is not None else keras_reasons(path, config)


@hookimpl
def guarantees(path: Path, config: Mapping[str, Any]) -> Guarantees:
    """Return what is promised for the format of a directory."""
    from tf_flavor._guarantees import guarantees_of

    return guarantees_of(path, config, "keras")


@hookimpl
def predict(model: Any, data: Any, method: str) -> object:
    """Predict as ``model.predict`` does, or call a signature of a SavedModel."""
    from tf_flavor._predicting import predict_any

    return predict_any(model, data, method)


@hookimpl
def methods(model: Any) -> Sequence[str]:
    """Return ``predict``, and the further signatures of a SavedModel."""
    from tf_flavor._predicting import methods_of

    return methods_of(model)


@hookimpl
def rows_are_independent(model: Any) -> bool:
    """Return whether all of the model are layers of Keras's own that look at each row by itself."""
    from tf_flavor._row_mixing import mixes_rows

    return not mixes_rows(model)


@hookimpl
def infer_input_schema(model: Any) -> Schema | None:
    """Return the inputs of a model that knows them: those that are built from ``keras.Input``."""
    from tf_flavor._inputs import schema_of

    return schema_of(model)


@hookimpl
def requirements(options: SaveOptions) -> Sequence[str]:
    """Return Keras and its backend, or TensorFlow alone for a SavedModel."""
    from tf_flavor._packages import keras_requirements

    return keras_requirements(options.format)


@hookimpl
def pyfunc_section(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return MLflow's own loader; of several outputs mlflow.keras makes no arrays, and mlflow.tensorflow does."""
    if config.get("stock_loader"):
        return {"loader_module": config["stock_loader"], "code": "code", "data": f"{config['data']}/{MODEL_FOLDER}"}
    if config.get("several_outputs"):
        return {"loader_module": "mlflow.tensorflow", "data": config["data"]}
    return {"loader_module": "mlflow.keras"}


@hookimpl
def sample_models() -> Mapping[str, SampleModel]:
    """Train a small classifier of flowers."""
    from tf_flavor._samples import train_samples

    return train_samples()
