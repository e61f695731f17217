"""The signature: what a model takes, what it returns, and the params it answers to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from palate._schema_json import dump_params, dump_schema, parse_params, parse_schema
from palate.errors import InvalidSignature, Problem
from palate.schema import ParamSpec, Schema

__all__ = ["Signature"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Declared inputs, outputs and params; inputs and params are enforced before every prediction.

    Attributes:
        inputs: the fields that a method takes, or None when they are not declared.
        outputs: the fields that ``predict`` returns; recorded, never enforced.
        params: the params that a caller may set.
        from_type_hints: the inputs came from the type hints of a Python function, which is given plain lists.
    """

    inputs: Schema | None = None
    outputs: Schema | None = None
    params: tuple[ParamSpec, ...] = field(default=())
    from_type_hints: bool = False

    def to_dict(self) -> dict[str, str | None]:
        """Return the ``signature`` mapping of MLmodel: three JSON texts, null where nothing is declared."""
        return {
            "inputs": dump_schema(self.inputs) if self.inputs else None,
            "outputs": dump_schema(self.outputs) if self.outputs else None,
            "params": dump_params(self.params) if self.params else None,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], *, from_type_hints: bool = False) -> Signature:
        """Read the ``signature`` mapping of MLmodel.

        Raises:
            InvalidSignature: with every problem of the three parts.
        """
        if not isinstance(document, Mapping):
            message = f"must be a mapping with inputs, outputs and params, not a {type(document).__name__}"
            raise InvalidSignature([Problem((), "wrong_type", message)])
        problems: list[Problem] = []
        parts: dict[str, Any] = {"inputs": None, "outputs": None, "params": ()}
        for part in parts:
            text = document.get(part)
            if text is None:
                continue
            try:
                parts[part] = parse_params(text) if part == "params" else parse_schema(text, part)
            except InvalidSignature as exc:
                problems.extend(exc.problems)
        if problems:
            raise InvalidSignature(problems)
        return cls(**parts, from_type_hints=from_type_hints)
