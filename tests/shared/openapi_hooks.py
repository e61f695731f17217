"""What schemathesis is told of the API that its document cannot say; loaded by it, in the environment of the clients.

JSON Schema has no word for lists of equal length, nor for the text of a csv file: columns of unequal lengths are not
tried, and only JSON bodies are made.
"""

from __future__ import annotations

from typing import Any

import schemathesis

__all__: list[str] = []


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Leave the JSON of each body."""
    for item in raw_schema["paths"].values():
        for operation in item.values():
            body = operation.get("requestBody")
            if body is not None:
                body["content"] = {"application/json": body["content"]["application/json"]}


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Refuse columns of unequal lengths."""
    inputs = case.body.get("inputs") if isinstance(case.body, dict) else None
    if not isinstance(inputs, dict):
        return True
    return len({len(column) if isinstance(column, list) else -1 for column in inputs.values()}) <= 1
