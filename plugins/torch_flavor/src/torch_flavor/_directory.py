"""Where the files of a PyTorch model lie in its directory: MLflow's layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palate.errors import InvalidModelFile, Problem
from palate.hookspecs import confine

__all__ = ["DATA", "FILE_NAMES", "LOADER", "PICKLE_INFO", "ModelFile", "find_file"]

DATA = "data"
FILE_NAMES: Mapping[str, str] = {"pickle": "model.pth", "pt2": "model.pt2", "safetensors": "model.safetensors"}
PICKLE_INFO = "pickle_module_info.txt"
# The module that stock MLflow imports for models which its own wrapper cannot call.
LOADER = "palate_torch_loader"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The file that holds the model.

    Attributes:
        path: where it is.
        name: the same, relative to the model directory.
        format: what is in it, one of the flavor's formats.
    """

    path: Path
    name: str
    format: str


def find_file(root: Path, config: Mapping[str, Any]) -> ModelFile:
    """Return the model's file; where there are several, the one that MLflow would open."""
    data = config.get("model_data") or config.get("data") or DATA
    place = confine(root, data, field="flavors.pytorch.model_data")
    if place.is_file():
        formats = {Path(file).suffix: name for name, file in FILE_NAMES.items()}
        return ModelFile(place, str(data), formats.get(place.suffix, "pickle"))
    for name, file in FILE_NAMES.items():
        relative = f"{str(data).rstrip('/')}/{file}"
        if (place / file).exists() or (place / file).is_symlink():
            return ModelFile(confine(root, relative, field="flavors.pytorch.model_data"), relative, name)
    message = f"names {data!r:.80}, which holds none of {', '.join(FILE_NAMES.values())}"
    raise InvalidModelFile([Problem(("flavors", "pytorch", "model_data"), "missing", message)])
