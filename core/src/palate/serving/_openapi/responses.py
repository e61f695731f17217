"""Answers: the good one, and every refusal with its status and its shape in each protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from palate.codecs import DataFormat
from palate.errors import ProblemKind
from palate.serving._content import CONTENT_TYPES
from palate.serving._openapi.cells import JSONSchema
from palate.serving._problems import PROBLEM_TYPE

__all__ = [
    "JSON",
    "PROBLEM",
    "PROBLEM_SCHEMA",
    "REFUSALS",
    "body_of",
    "bulk_bodies",
    "refusals",
    "success",
]

JSON = CONTENT_TYPES["json"].decode()
PROBLEM = PROBLEM_TYPE.decode()

_TEXTS: Mapping[str, str] = {
    "400": "The body cannot be read, or does not fit the signature; nothing was predicted.",
    "404": "There is no such model, version or method.",
    "405": "The route does not answer to that HTTP method; Allow names those it does.",
    "406": "The answer has none of the forms that Accept names.",
    "408": "The request did not arrive in time.",
    "413": "The body is longer than the server takes, before or after decompression.",
    "415": "Content-Type, its charset or Content-Encoding is not read here.",
    "500": "The model failed on input that fits its signature; the server's log has the cause under the request's id.",
    "503": "The model is not ready, or too much is waiting; Retry-After says in how many seconds to try again.",
    "504": "The model did not answer in time.",
}
REFUSALS = tuple(_TEXTS)
"""Every status by which a prediction may be refused."""

_REQUEST_ID = {
    "X-Request-ID": {"description": "What the server's log calls this request.", "schema": {"type": "string"}}
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}}
_ALLOW = {"Allow": {"description": "The HTTP methods of the route.", "schema": {"type": "string"}}}
_HEADERS: Mapping[str, dict[str, Any]] = {"503": _RETRY_AFTER, "405": _ALLOW}

_BULK: Mapping[DataFormat, JSONSchema] = {
    "csv": {"type": "string", "description": "A line of column names, then a line for each row."},
    "parquet": {"description": "A parquet file."},
    "arrow": {"description": "An Arrow IPC stream of one table."},
    "npy": {"description": "An array as numpy.save writes it, without pickle."},
}

PROBLEM_SCHEMA: JSONSchema = {
    "type": "object",
    "description": "A problem as in RFC 9457. It shows nothing of the data that was sent.",
    "properties": {
        "type": {"type": "string", "description": "A URI reference for the kind of problem."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong and what to do."},
        "kind": {"type": "string", "description": "The name of the error's class."},
        "request_id": {"type": "string", "description": "What the server's log calls the request."},
        "problems": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "where": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "kind": {"type": "string", "enum": list(get_args(ProblemKind))},
                    "message": {"type": "string"},
                },
                "required": ["where", "kind", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "detail"],
}


def body_of(schema: JSONSchema, media_type: str = JSON, *, example: Any = None) -> dict[str, Any]:
    """Return the ``content`` of one media type."""
    return {media_type: {"schema": schema, **({} if example is None else {"example": example})}}


def bulk_bodies(formats: Iterable[DataFormat]) -> dict[str, Any]:
    """Return the ``content`` of the bodies among *formats* that are not JSON."""
    return {CONTENT_TYPES[name].decode(): {"schema": _BULK[name]} for name in formats if name != "json"}


def success(description: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the responses of a route that answers 200 and nothing else of its own."""
    return {"200": {"description": description, "headers": _REQUEST_ID, **({"content": content} if content else {})}}


def refusals(schema: JSONSchema, media_type: str = JSON, *, statuses: Iterable[str] = REFUSALS) -> dict[str, Any]:
    """Return the responses by which a route refuses, all of one shape."""
    return {
        status: {
            "description": _TEXTS[status],
            "headers": {**_REQUEST_ID, **_HEADERS.get(status, {})},
            "content": body_of(schema, media_type),
        }
        for status in statuses
    }
