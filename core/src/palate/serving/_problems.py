"""Errors as documents: the problems of RFC 9457, for every route whose protocol has no form of its own for them."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from palate.errors import Problem
from palate.serving._json import dump_json
from palate.serving._wire import Answer, Failure

__all__ = ["PROBLEM_TYPE", "list_problems", "problem_answer", "problem_document"]

PROBLEM_TYPE = b"application/problem+json"


def problem_document(status: int, detail: str) -> dict[str, Any]:
    """Return the members that every problem document has."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}


def problem_answer(failure: Failure) -> Answer:
    """Return an error as a problem document."""
    document = problem_document(failure.status, failure.message)
    document |= {"kind": failure.kind, "request_id": failure.request_id}
    if failure.problems:
        document["problems"] = list_problems(failure.problems)
    return Answer(dump_json(document), PROBLEM_TYPE)


def list_problems(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Return what did not fit as plain data, the same in every protocol that tells of it."""
    return [{"where": list(one.where), "kind": one.kind, "message": one.message} for one in problems]
