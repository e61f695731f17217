"""What Palate knows of methods besides the default one: outputs, and params of their own.

It stands in MLmodel under ``palate.methods``, by method, as the JSON texts that MLflow's ``signature`` is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from palate.errors import InvalidModelFile, InvalidSignature, Problem
from palate.signature import MethodSignature, Signature

__all__ = ["add_methods", "method_facts"]


def method_facts(signature: Signature) -> dict[str, dict[str, str]]:
    """Return the facts of a signature's methods as plain data."""
    return {name: own.to_dict() for name, own in signature.methods.items()}


def add_methods(signature: Signature | None, facts: Mapping[Any, Any]) -> Signature | None:
    """Return *signature* with the methods that *facts* describes.

    Raises:
        InvalidModelFile: with everything that is wrong with *facts*.
    """
    problems: list[Problem] = []
    methods: dict[str, MethodSignature] = {}
    for name, document in facts.items():
        try:
            methods[str(name)] = MethodSignature.from_dict(document)
        except InvalidSignature as exc:
            problems += [replace(p, where=("palate", "methods", str(name), *p.where)) for p in exc.problems]
    if problems:
        raise InvalidModelFile(problems)
    return replace(signature, methods=methods) if signature is not None and methods else signature
