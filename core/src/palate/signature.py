"""The signature: what a model takes, what it returns, and the params it answers to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from palate._schema_json import dump_params, dump_schema, parse_params, parse_schema
from palate.errors import InvalidSignature, Problem
from palate.schema import ParamSpec, Schema

__all__ = ["MethodSignature", "Signature"]


def _wrong(where: tuple[str, ...], value: object, kind: Any, needed: str) -> list[Problem]:
    given = type(value).__name__
    return [] if isinstance(value, kind) else [Problem(where, "wrong_type", f"must be {needed}, not a {given}")]


def _wrong_params(where: tuple[str, ...], params: object) -> list[Problem]:
    if isinstance(params, tuple) and all(isinstance(param, ParamSpec) for param in params):
        return []
    hint = "must be a tuple of palate.ParamSpec, such as palate.infer_signature(data, params={...}).params"
    return [Problem(where, "wrong_type", hint)]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodSignature:
    """What one method has of its own; its inputs are the model's.

    Attributes:
        outputs: the fields that it returns, or None when they are not known.
        params: the params that it takes instead of the model's, or None when it takes those.
    """

    outputs: Schema | None = None
    params: tuple[ParamSpec, ...] | None = None

    def __post_init__(self) -> None:
        problems = _wrong(("outputs",), self.outputs, Schema | None, "a palate.Schema, or None")
        if problems := [*problems, *_wrong_params(("params",), () if self.params is None else self.params)]:
            raise InvalidSignature(problems)

    def to_dict(self) -> dict[str, str]:
        """Return what there is in the form of ``Signature.to_dict``."""
        outputs = {"outputs": dump_schema(self.outputs)} if self.outputs else {}
        return {**outputs, **({} if self.params is None else {"params": dump_params(self.params)})}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> MethodSignature:
        """Read what ``to_dict`` returns. Raises InvalidSignature."""
        return cls(**_read_parts(document, ("outputs", "params")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Declared inputs, outputs and params; inputs and params are enforced before every prediction.

    Attributes:
        inputs: the fields that a method takes, or None when they are not declared.
        outputs: the fields that the default method, ``predict``, returns; recorded, never enforced.
        params: the params that a caller may set.
        from_type_hints: the inputs came from the type hints of a Python function, which is given plain lists.
        methods: what methods besides the default one return, and params of their own; MLflow has no place for it.
    """

    inputs: Schema | None = None
    outputs: Schema | None = None
    params: tuple[ParamSpec, ...] = field(default=())
    from_type_hints: bool = False
    methods: Mapping[str, MethodSignature] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        problems = [
            *_wrong(("inputs",), self.inputs, Schema | None, "a palate.Schema, or None"),
            *_wrong(("outputs",), self.outputs, Schema | None, "a palate.Schema, or None"),
            *_wrong_params(("params",), self.params),
            *_wrong(("methods",), self.methods, Mapping, "a mapping of names to palate.MethodSignature"),
        ]
        for name, own in self.methods.items() if isinstance(self.methods, Mapping) else ():
            problems += _wrong(("methods", str(name)), own, MethodSignature, "a palate.MethodSignature")
        if problems:
            raise InvalidSignature(problems)

    def of(self, method: str, *, default: str = "predict") -> Signature:
        """Return the signature of one method: the same inputs, its own outputs and params.

        Args:
            method: the method.
            default: the method that ``outputs`` and ``params`` are of.
        """
        if method == default:
            return self
        own = self.methods.get(method, _NOTHING_OWN)
        params = self.params if own.params is None else own.params
        return replace(self, outputs=own.outputs, params=params, methods={})

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
        parts = _read_parts(document, ("inputs", "outputs", "params"))
        return cls(**{**parts, "params": parts["params"] or ()}, from_type_hints=from_type_hints)


_NOTHING_OWN = MethodSignature()


def _read_parts(document: object, names: tuple[str, ...]) -> dict[str, Any]:
    """Read the JSON texts of a mapping; None where there is none. Raises InvalidSignature."""
    if not isinstance(document, Mapping):
        message = f"must be a mapping with {', '.join(names)}, not a {type(document).__name__}"
        raise InvalidSignature([Problem((), "wrong_type", message)])
    problems: list[Problem] = []
    parts: dict[str, Any] = {}
    for name in names:
        text = document.get(name)
        try:
            parse = parse_params if name == "params" else parse_schema
            parts[name] = None if text is None else parse(text, name)
        except InvalidSignature as exc:
            problems.extend(exc.problems)
    if problems:
        raise InvalidSignature(problems)
    return parts
