"""Holds documents against the OpenAPI specification: ``python openapi_validator.py FILE``, a JSON object of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

__all__ = ["find_errors"]


def find_errors(documents: dict[str, dict[str, object]]) -> dict[str, list[str]]:
    """Return what is wrong with each document, of those that have something wrong."""
    found = {name: [e.message for e in OpenAPIV31SpecValidator(told).iter_errors()] for name, told in documents.items()}
    return {name: errors for name, errors in found.items() if errors}


if __name__ == "__main__":
    print(json.dumps(find_errors(json.loads(Path(sys.argv[1]).read_text("utf-8")))))
