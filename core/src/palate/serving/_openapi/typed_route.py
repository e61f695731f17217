"""Palate's own route: one path for each model and method, typed by the signature of that method."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from palate.serving._content import ANSWER_FORMATS, BODY_FORMATS
from palate.serving._contract import ModelContract
from palate.serving._openapi.cells import JSONSchema
from palate.serving._openapi.components import Components, identifier
from palate.serving._openapi.examples import typed_example
from palate.serving._openapi.fields import inputs_schema, outputs_schema, params_schema
from palate.serving._openapi.responses import (
    JSON,
    PROBLEM,
    body_of,
    bulk_bodies,
    refusals,
    success,
)
from palate.signature import Signature

__all__ = ["typed_paths"]


def typed_paths(
    contract: ModelContract, components: Components, problem: JSONSchema, *, latest: bool
) -> dict[str, dict[str, Any]]:
    """Return the paths of a model.

    Args:
        contract: the model.
        components: gets the schemas of its bodies.
        problem: the shape of a refusal.
        latest: whether the paths without a version lead to it.
    """
    model = f"{identifier(contract.name)}_v{identifier(contract.version)}"
    inputs = components.add(f"{model}_inputs", inputs_schema(contract.signature, components, model))
    name = quote(contract.name, safe="")
    paths: dict[str, dict[str, Any]] = {}
    for method, signature in contract.signatures.items():
        operation = _operation(contract, method, _Bodies(model, method, signature, inputs, components), problem)
        places = [f"/models/{name}/versions/{quote(contract.version, safe='')}"]
        for place in [f"/models/{name}", *places] if latest else places:
            own = {"operationId": components.unique(f"{method}_{model if 'versions' in place else contract.name}")}
            paths[f"{place}/{quote(method, safe='')}"] = {"post": {**own, **operation}}
    return paths


class _Bodies:
    """The request and the answer of one method, kept among the components."""

    def __init__(
        self, model: str, method: str, signature: Signature, inputs: JSONSchema, components: Components
    ) -> None:
        self.signature, self.components = signature, components
        body = {
            "type": "object",
            "properties": {"inputs": inputs, "params": params_schema(signature.params)},
            "required": ["inputs"],
            "additionalProperties": False,
        }
        answer = {
            "type": "object",
            "properties": {"predictions": outputs_schema(signature.outputs)},
            "required": ["predictions"],
        }
        self.request = components.add(f"{model}_{method}_request", body)
        self.answer = components.add(f"{model}_{method}_answer", answer)


def _operation(contract: ModelContract, method: str, bodies: _Bodies, problem: JSONSchema) -> dict[str, Any]:
    example = typed_example(contract, bodies.request, bodies.components)
    answers = {**body_of(bodies.answer), **bulk_bodies(ANSWER_FORMATS)}
    content = {**body_of(bodies.request, JSON, example=example), **bulk_bodies(BODY_FORMATS)}
    return {
        "tags": [contract.name],
        "summary": f"Call {method} of {contract.name}",
        "requestBody": {"required": True, "content": content},
        "responses": {**success("The predictions.", answers), **refusals(problem, PROBLEM)},
    }
