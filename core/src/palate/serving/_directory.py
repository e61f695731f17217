"""What clients see of a model: from its directory alone, or from the model once it is open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from palate.inspection import ModelInfo, inspect_model
from palate.locations import Location, pin_location
from palate.pyfunc import PyFuncModel
from palate.serving._contract import ModelContract
from palate.signature import Signature

__all__ = ["contract_of", "read_contract", "url_name", "url_version"]

_EXAMPLE = "serving_input_example.json"
_LONGEST_EXAMPLE = 64 << 10  # bytes; a longer one is no help to whoever reads a page
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_ANYTHING = Signature()


def url_name(title: str) -> str:
    """Return a name for URLs from what a model, its directory or its file is called."""
    return _UNSAFE.sub("-", title).strip("-._")[:128] or "model"


def url_version(location: Location) -> str:
    """Return a version for URLs, which the protocols want to be digits: that under which a model is kept, or 1."""
    return location.version if location.version and _NUMBER.fullmatch(location.version) else "1"


def read_contract(
    uri: str | PathLike[str] | Location, *, name: str | None = None, version: str | None = None
) -> ModelContract:
    """Return what can be known of the model at *uri* without opening it; its framework need not be installed.

    Args:
        uri: as ``palate.load_model`` takes it.
        name: its name in URLs, by default that under which it is kept, or that of its directory or file.
        version: its version in URLs, by default that under which it is kept, or 1.

    Raises:
        ModelNotFound, ModelChanged, InvalidModelFile: see ``palate.inspect_model``.
    """
    location = pin_location(uri)
    info = inspect_model(location)
    declared = info.signature or _ANYTHING
    default = info.default_method
    signatures = {method: declared.of(method, default=default) for method in (default, *declared.methods)}
    return ModelContract(
        name=url_name(location.title) if name is None else name,
        version=url_version(location) if version is None else version,
        default_method=default,
        signatures=signatures,
        flavor=info.flavor,
        example=_example(info.path),
        facts=_without_gaps(_facts(info)),
    )


def contract_of(model: PyFuncModel, *, name: str | None = None) -> ModelContract:
    """Return what clients see of an open model: each of its methods.

    Args:
        model: the model.
        name: its name in URLs, if it is not to be the one that ``read_contract`` would give it.
    """
    first = model.default_method
    place = model.location
    known = model.metadata
    facts = {
        "model_uuid": known.model_uuid,
        "created": known.utc_time_created,
        "mlflow_version": known.mlflow_version,
        "digest": place.digest,
    }
    return ModelContract(
        name=url_name(place.title) if name is None else name,
        version=url_version(place),
        default_method=first,
        signatures={method: model.signatures[method] for method in sorted(model.methods, key=lambda m: m != first)},
        flavor=model.flavor,
        example=_example(model.path),
        facts=_without_gaps(facts),
    )


def _facts(info: ModelInfo) -> dict[str, Any]:
    return {
        "model_uuid": info.model_uuid,
        "created": info.created,
        "mlflow_version": info.mlflow_version,
        "digest": info.digest,
    }


def _without_gaps(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def _example(path: Path) -> bytes | None:
    file = path / _EXAMPLE
    try:
        return file.read_bytes() if file.stat().st_size <= _LONGEST_EXAMPLE else None
    except OSError:  # there is none
        return None
