"""What a server answers besides predictions: problems after RFC 9457, and JSON documents."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from palate.serving._json import dump_json
from palate.serving._wire import Answer, Failure

__all__ = ["PROBLEM_TYPE", "document_answer", "problem_answer"]

PROBLEM_TYPE = b"application/problem+json"


def document_answer(document: Any) -> Answer:
    """Return plain data as JSON."""
    return Answer(dump_json(document))


def problem_answer(failure: Failure) -> Answer:
    """Return an error as a problem document (RFC 9457)."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(failure.status).phrase,
        "status": failure.status,
        "detail": failure.message,
        "kind": failure.kind,
        "request_id": failure.request_id,
    }
    if failure.problems:
        document["problems"] = [
            {"where": list(problem.where), "kind": problem.kind, "message": problem.message}
            for problem in failure.problems
        ]
    return Answer(dump_json(document), PROBLEM_TYPE)
