"""Example bodies: the model's own, where it has one that fits."""

from __future__ import annotations

import json
from typing import Any

from palate.serving._contract import ModelContract
from palate.serving._openapi.cells import JSONSchema
from palate.serving._openapi.components import Components, mentions_reference
from palate.serving._openapi.fitting import fits

__all__ = ["mlflow_example", "typed_example"]

_ROWS = 2  # as many show what a list is; a thousand would drown the document
_LONGEST = 10_000  # bytes
_READABLE = 1 << 20  # bytes that are read for the rows at their beginning


def mlflow_example(contract: ModelContract) -> Any:
    """Return the request body saved beside the model, or None when there is none that a document can show."""
    return _read(contract.example) if contract.example and len(contract.example) <= _LONGEST else None


def typed_example(contract: ModelContract, body: JSONSchema, components: Components) -> Any:
    """Return the body saved beside the model as Palate's own route takes it: its first rows, or None.

    Args:
        contract: the model.
        body: what the route takes.
        components: what *body* refers to.
    """
    given = _read(contract.example) if contract.example and len(contract.example) <= _READABLE else None
    if not isinstance(given, dict):
        return None
    inputs = contract.signature.inputs
    example = {"inputs": _inputs(given, named=inputs is None or inputs.is_named)}
    if given.get("params"):
        example["params"] = given["params"]
    if isinstance(example["inputs"], list):
        shorter = {**example, "inputs": example["inputs"][:_ROWS]}
        example = shorter if fits(shorter, body, components) else example
    if len(json.dumps(example)) > _LONGEST or not fits(example, body, components):
        return None
    return example


def _read(text: bytes) -> Any:
    """Return the document in *text*, or None for what no JSON document may show."""
    try:
        document = json.loads(text, parse_constant=_refuse)
    except ValueError:
        return None
    return None if mentions_reference(document) else document


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _inputs(body: dict[str, Any], *, named: bool) -> Any:
    """Return the data in a body of MLflow's; a split table as records where columns are *named*, else as rows."""
    split = body.get("dataframe_split")
    if not isinstance(split, dict):
        return next((body[key] for key in ("inputs", "instances", "dataframe_records") if key in body), None)
    names, rows = split.get("columns"), split.get("data")
    if not named or not isinstance(rows, list) or not isinstance(names, list):
        return rows
    return [dict(zip(map(str, names), row, strict=False)) for row in rows if isinstance(row, list)]
