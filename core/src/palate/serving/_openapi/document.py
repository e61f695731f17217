"""The whole document: every route of a server, made from what is known of its models without opening them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib.metadata import version as installed_version
from typing import Any, cast, get_args

from palate.serving._contract import ModelContract
from palate.serving._openapi.cells import JSONSchema
from palate.serving._openapi.components import Components
from palate.serving._openapi.inference_routes import tf_paths, v2_paths, v2_server
from palate.serving._openapi.mlflow_routes import execution_parameters, invocations, mlflow_information, ping
from palate.serving._openapi.responses import PROBLEM, PROBLEM_SCHEMA, body_of, refusals, success
from palate.serving._openapi.typed_route import typed_paths
from palate.serving.settings import ProtocolName

__all__ = ["openapi_document"]

_TAGS = {
    "mlflow": "MLflow",
    "v2": "Open Inference Protocol",
    "tf": "TensorFlow Serving",
    "sagemaker": "SageMaker",
    "operations": "Operations",
}
_METHODS = ("get", "post")


def openapi_document(
    contracts: Sequence[ModelContract],
    *,
    title: str = "Palate",
    version: str | None = None,
    protocols: Collection[ProtocolName] = get_args(ProtocolName),
    metrics: bool = True,
    openapi: bool = True,
    docs: bool = True,
) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a server, as plain JSON data.

    Args:
        contracts: the models; routes without a model's name call the first. Paths without a version lead to the
            highest version of their model.
        title: what the document is of.
        version: its version; None for that of the only model, or of Palate where there are several.
        protocols: which protocols are answered.
        metrics: whether ``/metrics`` is.
        openapi: whether ``/openapi.json`` is.
        docs: whether ``/docs`` is.
    """
    components = Components()
    problem = components.add("Problem", PROBLEM_SCHEMA)
    paths: dict[str, dict[str, Any]] = {}
    for contract in contracts:
        paths |= _model_paths(contract, components, problem, protocols, latest=_is_latest(contract, contracts))
    paths |= _server_paths(contracts[0], components, problem, protocols) if contracts else {}
    paths |= _operations(problem, metrics=metrics, openapi=openapi, docs=docs)
    _name_operations(paths, components)
    number = contracts[0].version if len(contracts) == 1 else installed_version("palate")
    document = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version or number, **_identities(contracts)},
        "paths": paths,
        "components": {"schemas": components.schemas},
    }
    return cast(dict[str, Any], _as_text(document))


def _identities(contracts: Sequence[ModelContract]) -> dict[str, str]:
    """Return the description of the document: which models these are, as far as that is known."""
    known = [contract.title for contract in contracts if "digest" in contract.facts]
    return {"description": f"Serves {' and '.join(known)}."} if known else {}


def _as_text(value: Any) -> Any:
    """Return plain data whose every text has a form in UTF-8: a signature's JSON can name half a surrogate pair."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_as_text(name): _as_text(member) for name, member in value.items()}
    return [_as_text(item) for item in value] if isinstance(value, list) else value


def _is_latest(contract: ModelContract, contracts: Sequence[ModelContract]) -> bool:
    versions = [int(other.version) for other in contracts if other.name == contract.name]
    return int(contract.version) == max(versions)


def _model_paths(
    contract: ModelContract,
    components: Components,
    problem: JSONSchema,
    protocols: Collection[ProtocolName],
    *,
    latest: bool,
) -> dict[str, dict[str, Any]]:
    paths = typed_paths(contract, components, problem, latest=latest) if "palate" in protocols else {}
    if "v2" in protocols:
        paths |= v2_paths(contract, components, _TAGS["v2"], latest=latest)
    if "tf" in protocols:
        paths |= tf_paths(contract, components, _TAGS["tf"], latest=latest)
    return paths


def _server_paths(
    first: ModelContract, components: Components, problem: JSONSchema, protocols: Collection[ProtocolName]
) -> dict[str, dict[str, Any]]:
    """Return the routes of protocols that do not name a model, or are about the server."""
    paths: dict[str, dict[str, Any]] = {}
    tag = _TAGS["mlflow" if "mlflow" in protocols else "sagemaker"]
    if {"mlflow", "sagemaker"} & set(protocols):
        paths |= {"/invocations": invocations(first, components, tag), "/ping": ping(tag, problem)}
    if "mlflow" in protocols:
        paths |= mlflow_information(tag, problem)
    if "sagemaker" in protocols:
        paths["/execution-parameters"] = execution_parameters(_TAGS["sagemaker"])
    return {**paths, **(v2_server(_TAGS["v2"]) if "v2" in protocols else {})}


def _operations(problem: JSONSchema, *, metrics: bool, openapi: bool, docs: bool) -> dict[str, dict[str, Any]]:
    """Return the routes for whoever runs the server."""
    told = {
        "/live": ("Whether the process lives", body_of({}), True),
        "/ready": ("Whether every model is ready", body_of({}), True),
        "/metrics": ("Counters and histograms for Prometheus", body_of({"type": "string"}, "text/plain"), metrics),
        "/openapi.json": ("This document", body_of({"type": "object"}), openapi),
        "/docs": ("This document as a page", body_of({"type": "string"}, "text/html"), docs and openapi),
    }
    refused = {"/ready": refusals(problem, PROBLEM, statuses=["503"])}
    return {
        path: {
            "get": {
                "tags": [_TAGS["operations"]],
                "summary": summary,
                "responses": {**success("As asked.", content), **refused.get(path, {})},
            }
        }
        for path, (summary, content, answered) in told.items()
        if answered
    }


def _name_operations(paths: dict[str, dict[str, Any]], components: Components) -> None:
    """Give every operation that has no id one, after its method and path."""
    for path, item in paths.items():
        for method in filter(item.__contains__, _METHODS):
            item[method].setdefault("operationId", components.unique(f"{method}{path}"))
