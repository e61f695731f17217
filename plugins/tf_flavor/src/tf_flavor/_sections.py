"""Reading the sections that Palate and MLflow write into MLmodel; nothing of a framework is imported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from palate.errors import CodeReason, InvalidModelFile, Problem
from palate.hookspecs import confine

__all__ = [
    "KERAS_FILE",
    "MODEL_FOLDER",
    "PICKLES",
    "is_keras_section",
    "keras_file",
    "keras_reasons",
    "named_path",
    "saved_model_folder",
]

MODEL_FOLDER = "model"
KERAS_FILE = "model.keras"
_LEGACY_FILE = "model.h5"
# MLflow pickles what was registered with Keras when a model was saved, whether the model needs it or not.
PICKLES = ("custom_objects.cloudpickle", "global_custom_objects.cloudpickle")


def named_path(path: Path, config: Mapping[str, Any], key: str, flavor: str) -> Path:
    """Return the file or folder that *key* of a section names.

    Raises:
        InvalidModelFile: there is no such key.
        UnsafePath: it leads outside of the model.
    """
    name = config.get(key)
    if not isinstance(name, str):
        raise InvalidModelFile(
            [Problem(("flavors", flavor, key), "missing", "must name a file or folder of the model")]
        )
    return confine(path, name, field=f"flavors.{flavor}.{key}")


def is_keras_section(config: Mapping[str, Any]) -> bool:
    """Whether a section describes a Keras model: MLflow says so, or (the flavor keras) says nothing else."""
    kind = config.get("model_type")
    return kind == "keras" if kind is not None else config.get("saved_model_dir") is None


def saved_model_folder(path: Path, config: Mapping[str, Any], flavor: str) -> Path | None:
    """Return the SavedModel of a directory, or None if a file of Keras is what it holds."""
    if config.get("saved_model_dir") is not None:
        return named_path(path, config, "saved_model_dir", flavor)
    data = _data(config)
    if config.get("save_exported_model") or _is_folder(path, f"{data}/{MODEL_FOLDER}", flavor):
        return confine(path, f"{data}/{MODEL_FOLDER}", field=f"flavors.{flavor}.data")
    return None


def keras_file(path: Path, config: Mapping[str, Any], flavor: str) -> tuple[Path, str]:
    """Return the file of Keras in a directory, and its name there."""
    name = _keras_name(path, config)
    return confine(path, name, field=f"flavors.{flavor}.data"), name


def keras_reasons(path: Path, config: Mapping[str, Any]) -> tuple[CodeReason, ...]:
    """Return why opening a directory would run its code: a pickle beside the model, or the format of Keras 2."""
    data = _data(config)
    reasons = [
        CodeReason(f"{data}/{name}", "a pickle can run any code") for name in PICKLES if (path / data / name).exists()
    ]
    name = _keras_name(path, config)
    if name.endswith(_LEGACY_FILE):
        reasons.append(CodeReason(name, "Keras loads this old format without any of its own safety checks"))
    return tuple(reasons)


def _data(config: Mapping[str, Any]) -> str:
    data = config.get("data")
    return data if isinstance(data, str) and data else "data"


def _keras_name(path: Path, config: Mapping[str, Any]) -> str:
    data = _data(config)
    if data.endswith((".keras", ".h5")):
        return data
    # MLflow's own order: the file is there, or else the old format is meant.
    legacy = f"{data}/{_LEGACY_FILE}"
    return legacy if (path / legacy).exists() and not (path / data / KERAS_FILE).exists() else f"{data}/{KERAS_FILE}"


def _is_folder(path: Path, name: str, flavor: str) -> bool:
    return (path / name).is_dir() and confine(path, name, field=f"flavors.{flavor}.data").is_dir()
