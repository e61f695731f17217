"""Example bodies: the model's own where it has one that fits, else a row that is made of its signature.

A model that declares no inputs and was saved without an example has none: whatever stood there would be a guess.
"""

from __future__ import annotations

import json
from typing import Any

from palate.serving._contract import ModelContract
from palate.serving._openapi.cells import JSONSchema
from palate.serving._openapi.components import Components, mentions_reference
from palate.serving._openapi.fields import inputs_schema, params_schema
from palate.serving._openapi.fitting import fits
from palate.serving._openapi.samples import sample_of

__all__ = ["example_inputs", "mlflow_example", "typed_example"]

_ROWS = 2  # as many show what a list is; a thousand would drown the document
_LONGEST = 10_000  # bytes
_READABLE = 1 << 20  # bytes that are read for the rows at their beginning


def typed_example(contract: ModelContract, body: JSONSchema, components: Components) -> Any:
    """Return a body as Palate's own route takes it, or None.

    Args:
        contract: the model.
        body: what the route takes.
        components: what *body* refers to.
    """
    own = _own_example(contract, body, components)
    if own is not None:
        return own
    inputs = _sample(contract, components.resolve(body)["properties"]["inputs"], components)
    return None if inputs is None or mentions_reference(inputs) else {"inputs": inputs}


def mlflow_example(contract: ModelContract) -> Any:
    """Return a body as MLflow's clients send it, or None; the one saved beside the model stays as it is."""
    body, components = _whole_body(contract)
    if _own_example(contract, body, components) is not None and len(contract.example or b"") <= _LONGEST:
        return _read(contract.example or b"")
    inputs, schema = example_inputs(contract), contract.signature.inputs
    if inputs is None or schema is None:
        return None
    if isinstance(inputs, dict) or schema.is_tensor or not schema.is_named or contract.signature.from_type_hints:
        return None if mentions_reference(inputs) else {"inputs": inputs}
    names = list(dict.fromkeys(name for record in inputs for name in record))
    return {"dataframe_split": {"columns": names, "data": [[record.get(name) for name in names] for record in inputs]}}


def example_inputs(contract: ModelContract) -> Any:
    """Return the data alone, as Palate's own route takes them for the default method, or None.

    They may have a key "$ref", which no document shows.
    """
    body, components = _whole_body(contract)
    own = _own_example(contract, body, components)
    return _sample(contract, body["properties"]["inputs"], components) if own is None else own["inputs"]


def _whole_body(contract: ModelContract) -> tuple[JSONSchema, Components]:
    """Return what Palate's own route takes for the default method, and what that refers to."""
    components, signature = Components(), contract.signature
    inputs = inputs_schema(signature, components, "example")
    return {"type": "object", "properties": {"inputs": inputs, "params": params_schema(signature.params)}}, components


def _sample(contract: ModelContract, inputs: JSONSchema, components: Components) -> Any:
    return None if contract.signature.inputs is None else sample_of(inputs, components)


# -- the model's own ---------------------------------------------------------------------------------------------------


def _own_example(contract: ModelContract, body: JSONSchema, components: Components) -> dict[str, Any] | None:
    """Return the first rows of what was saved beside the model, with its params where the method takes them."""
    given = _read(contract.example) if contract.example and len(contract.example) <= _READABLE else None
    if not isinstance(given, dict):
        return None
    schema = contract.signature.inputs
    inputs = _inputs(given, named=schema is None or schema.is_named)
    if inputs is None:
        return None
    lengths = (inputs[:_ROWS], inputs) if isinstance(inputs, list) else (inputs,)
    params = ({"params": given["params"]}, {}) if given.get("params") else ({},)
    bodies = ({"inputs": data, **told} for told in params for data in lengths)
    return next((b for b in bodies if len(json.dumps(b)) <= _LONGEST and fits(b, body, components)), None)


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
