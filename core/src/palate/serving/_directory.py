"""What clients see of a model: from its directory alone, or from the model once it is open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from palate.inspection import ModelInfo, inspect_model
from palate.pyfunc import PyFuncModel
from palate.serving._contract import ModelContract
from palate.signature import Signature

__all__ = ["contract_of", "read_contract", "url_name"]

_EXAMPLE = "serving_input_example.json"
_LONGEST_EXAMPLE = 64 << 10  # bytes; a longer one is no help to whoever reads a page
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_ANYTHING = Signature()


def url_name(directory: str) -> str:
    """Return a name for URLs from that of a directory."""
    return _UNSAFE.sub("-", directory).strip("-._")[:128] or "model"


def read_contract(uri: str | PathLike[str], *, name: str | None = None, version: str = "1") -> ModelContract:
    """Return what can be known of the model at *uri* without opening it; its framework need not be installed.

    Args:
        uri: as ``palate.load_model`` takes it.
        name: its name in URLs, by default that of its directory.
        version: its version in URLs.

    Raises:
        ModelNotFound, ModelChanged, InvalidModelFile: see ``palate.inspect_model``.
    """
    info = inspect_model(uri)
    declared = info.signature or _ANYTHING
    default = info.default_method
    signatures = {method: declared.of(method, default=default) for method in (default, *declared.methods)}
    return _contract(info.path, info.flavor, default, signatures, _facts(info), name=name, version=version)


def contract_of(model: PyFuncModel, *, name: str | None = None, version: str = "1") -> ModelContract:
    """Return what clients see of an open model: each of its methods."""
    first = model.default_method
    signatures = {method: model.signatures[method] for method in sorted(model.methods, key=lambda m: m != first)}
    known = model.metadata
    facts = {"model_uuid": known.model_uuid, "created": known.utc_time_created, "mlflow_version": known.mlflow_version}
    return _contract(model.path, model.flavor, first, signatures, facts, name=name, version=version)


def _contract(
    path: Path,
    flavor: str,
    default: str,
    signatures: Mapping[str, Signature],
    facts: Mapping[str, Any],
    *,
    name: str | None,
    version: str,
) -> ModelContract:
    return ModelContract(
        name=url_name(path.resolve().name) if name is None else name,
        version=version,
        default_method=default,
        signatures=signatures,
        flavor=flavor,
        example=_example(path),
        facts={key: value for key, value in facts.items() if value is not None},
    )


def _facts(info: ModelInfo) -> dict[str, Any]:
    return {
        "model_uuid": info.model_uuid,
        "created": info.created,
        "mlflow_version": info.mlflow_version,
        "digest": info.digest,
    }


def _example(path: Path) -> bytes | None:
    file = path / _EXAMPLE
    try:
        return file.read_bytes() if file.stat().st_size <= _LONGEST_EXAMPLE else None
    except OSError:  # there is none
        return None
