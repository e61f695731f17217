"""Schemas from the type hints of a Python function: ``list[T]`` says what one input is.

The vocabulary is MLflow's (``mlflow.types.type_hints``), with dataclasses, TypedDict and Literal besides. A hint that
names a container of somebody else's (a DataFrame, an ndarray, a Tensor) says nothing about its content.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Literal, Union, get_args, get_origin

from palate.errors import InvalidSignature, Problem
from palate.schema import AnyType, Array, ColSpec, FieldType, Map, Object, Property, Scalar, Schema

__all__ = ["dataclass_properties", "is_pydantic", "schema_from_hints"]

_SCALAR_HINTS: Mapping[object, Scalar] = {
    str: "string",
    int: "long",
    float: "double",
    bool: "boolean",
    bytes: "binary",
    datetime: "datetime",
    date: "datetime",
}
_CONTAINERS: tuple[object, ...] = (list, dict, tuple, set, frozenset)
_UNIONS: tuple[object, ...] = (Union, types.UnionType)
_KNOWN = (
    "str, int, float, bool, bytes, datetime, list[...], dict[str, ...], pydantic models, dataclasses, TypedDict or Any"
)
Where = tuple[str | int, ...]


def schema_from_hints(function: Callable[..., object]) -> tuple[Schema | None, Schema | None]:
    """Return the inputs and outputs that the type hints of *function* declare; None where they say nothing.

    A method's ``self``, a ``context`` and ``params`` are not the input. A hint on what is returned is never an error,
    because outputs are not enforced.

    Raises:
        InvalidSignature: the input's hint cannot be resolved, or cannot be the type of one input among many.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None, None  # a builtin without a signature has no hints either
    except NameError as exc:  # Python 3.14 evaluates hints only now
        raise _unresolvable(("inputs",), exc) from exc
    name = _input_parameter(signature)
    inputs = None
    if name is not None:
        hint = _resolve(function, signature.parameters[name].annotation, ("inputs", name))
        inputs = _input_schema(hint, ("inputs", name))
    return inputs, _output_schema(function, signature.return_annotation)


def dataclass_properties(cls: type[Any], where: Where) -> tuple[Property, ...]:
    """Return the fields of a dataclass in their order; those hinted Optional are not required.

    Raises:
        InvalidSignature: with every field whose hint has no place in a signature.
    """
    reader = _HintReader()
    properties = reader.members(cls, _class_hints(cls, where), where)
    reader.finish()
    return properties


def _input_parameter(signature: inspect.Signature) -> str | None:
    """Return the parameter that takes the data, by the rule with which MLflow calls ``predict``."""
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [name for name, p in signature.parameters.items() if name != "self" and p.kind not in variable]
    has_context = "context" in names or len([name for name in names if name != "params"]) == 2
    position = 1 if has_context else 0
    return names[position] if position < len(names) else None


def _resolve(function: Callable[..., object], annotation: object, where: Where) -> object:
    """Turn an annotation, which may be text, into the type it names."""
    if annotation is inspect.Parameter.empty:
        return annotation
    home: Any = inspect.unwrap(function)
    if not hasattr(home, "__globals__"):
        home = getattr(home, "func", type(home).__call__)  # a partial, or an object that can be called

    def holder() -> None: ...

    # get_type_hints() resolves all annotations or none; ours is looked at alone, so that another one may be broken.
    holder.__annotations__ = {"hint": annotation}
    try:
        return typing.get_type_hints(holder, globalns=getattr(home, "__globals__", {}))["hint"]
    except Exception as exc:  # resolving evaluates the annotation's text, which may raise anything
        raise _unresolvable(where, exc) from exc


def _unresolvable(where: Where, exc: Exception) -> InvalidSignature:
    message = (
        f"its type hint cannot be resolved ({exc}). Hint: import at run time, not under TYPE_CHECKING, "
        "what the hint names, or remove the hint"
    )
    return InvalidSignature([Problem(where, "wrong_value", message)])


def _input_schema(hint: object, where: Where) -> Schema | None:
    if not _speaks(hint):
        return None
    if get_origin(hint) is not list:
        raise InvalidSignature([Problem(where, "wrong_type", _how_to_wrap(hint))])
    return _element_schema(hint, where)


def _how_to_wrap(hint: object) -> str:
    text = _hint_text(hint)
    members = [member for member in get_args(hint) if member is not types.NoneType]
    if hint is list:
        return "it is hinted 'list', which does not say of what. Hint: write list[str], list[dict[str, float]], ..."
    if get_origin(hint) in _UNIONS and len(members) < len(get_args(hint)):
        wanted = next((_hint_text(m) for m in members if get_origin(m) is list), f"list[{_hint_text(members[0])}]")
        return f"it is hinted '{text}', but the input cannot be optional. Hint: write {wanted}"
    return f"it is hinted '{text}', but a model predicts on many inputs at once. Hint: write list[{text}]"


def _output_schema(function: Callable[..., object], annotation: object) -> Schema | None:
    try:
        hint = _resolve(function, annotation, ("outputs",))
        if not _speaks(hint):
            return None
        return _element_schema(hint if get_origin(hint) is list else types.GenericAlias(list, (hint,)), ("outputs",))
    except InvalidSignature:
        return None


def _element_schema(hint: object, where: Where) -> Schema:
    """Return the schema of ``list[T]``: one unnamed column of type T."""
    reader = _HintReader()
    kind, required = reader.field_type(get_args(hint)[0], where)
    if not required:
        reader.refuse(where, f"'{_hint_text(hint)}' allows None, but an input cannot be optional. Hint: drop the None")
    reader.finish()
    return Schema((ColSpec(type=kind),))


def _speaks(hint: object) -> bool:
    """Whether a hint says something about the content of the data."""
    origin = get_origin(hint)
    if origin in _UNIONS:
        return any(_speaks(member) for member in get_args(hint))
    if hint in _SCALAR_HINTS or hint in _CONTAINERS or origin in _CONTAINERS or origin is Literal:
        return True
    return _is_record(hint)


def _is_record(hint: object) -> bool:
    return isinstance(hint, type) and (is_pydantic(hint) or typing.is_typeddict(hint) or dataclasses.is_dataclass(hint))


def is_pydantic(hint: object) -> bool:
    """Tell whether *hint* is a pydantic model class, without importing pydantic."""
    base = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    return isinstance(base, type) and isinstance(hint, type) and issubclass(hint, base)


def _class_hints(cls: type[Any], where: Where) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except Exception as exc:  # as in _resolve
        raise _unresolvable((*where, cls.__name__), exc) from exc


def _optional_keys(cls: Any) -> frozenset[str]:
    """Return the fields that a record may leave out: a model's with a default, a TypedDict's NotRequired ones.

    A dataclass's are not among them: to leave a field out is one thing, but None for it would reach the model unseen.
    """
    if is_pydantic(cls):
        return frozenset(name for name, field in cls.model_fields.items() if not field.is_required())
    if not typing.is_typeddict(cls):
        return frozenset()
    # Where annotations are text, a TypedDict's own __optional_keys__ overlooks NotRequired.
    hints = typing.get_type_hints(cls, include_extras=True)
    optional = {name for name, hint in hints.items() if get_origin(hint) is typing.NotRequired}
    return frozenset(cls.__optional_keys__) | optional


class _HintReader:
    """Collects problems while it turns hints into types."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.open: list[type[Any]] = []

    def refuse(self, where: Where, message: str) -> None:
        self.problems.append(Problem(where, "wrong_type", message))

    def finish(self) -> None:
        if self.problems:
            raise InvalidSignature(self.problems)

    def field_type(self, hint: Any, where: Where) -> tuple[FieldType, bool]:
        """Return the type that a hint declares and whether a value is required."""
        origin = get_origin(hint)
        if hint is Any or hint is object:
            return AnyType(), True
        if hint in _SCALAR_HINTS:
            return _SCALAR_HINTS[hint], True
        if origin in _UNIONS:
            return self.union(hint, where)
        if origin is Literal:
            return _literal_type(hint), True
        if origin is list and len(get_args(hint)) == 1:
            return Array(self.field_type(get_args(hint)[0], where)[0]), True
        if origin is dict:
            return self.map(hint, where), True
        if _is_record(hint):
            return self.record(hint, where), True
        self.refuse(where, f"'{_hint_text(hint)}' has no type in a signature. Hint: use {_KNOWN}")
        return AnyType(), True

    def union(self, hint: Any, where: Where) -> tuple[FieldType, bool]:
        members = [member for member in get_args(hint) if member is not types.NoneType]
        required = len(members) == len(get_args(hint))
        if len(members) == 1:
            return self.field_type(members[0], where)[0], required
        return AnyType(), required

    def map(self, hint: Any, where: Where) -> FieldType:
        arguments = get_args(hint)
        if len(arguments) != 2 or arguments[0] is not str:
            self.refuse(where, f"'{_hint_text(hint)}' needs str keys. Hint: write dict[str, ...]")
            return AnyType()
        return Map(self.field_type(arguments[1], where)[0])

    def record(self, cls: type[Any], where: Where) -> FieldType:
        if cls in self.open:
            self.refuse(where, f"'{cls.__name__}' contains itself, which a signature cannot say. Hint: use Any there")
            return AnyType()
        self.open.append(cls)
        hints = self.pydantic_hints(cls, where) if is_pydantic(cls) else _class_hints(cls, where)
        properties = self.members(cls, hints, where)
        self.open.pop()
        if not properties:
            self.refuse(where, f"'{cls.__name__}' has no fields")
            return AnyType()
        return Object(properties)

    def members(self, cls: type[Any], hints: Mapping[str, Any], where: Where) -> tuple[Property, ...]:
        names = [field.name for field in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else list(hints)
        optional_keys = _optional_keys(cls)
        found = []
        for name in names:
            kind, required = self.field_type(hints[name], (*where, name))
            found.append(Property(name, kind, required and name not in optional_keys))
        return tuple(found)

    def pydantic_hints(self, cls: Any, where: Where) -> dict[str, Any]:
        for name, field in cls.model_fields.items():
            allows_none = get_origin(field.annotation) in _UNIONS and types.NoneType in get_args(field.annotation)
            if allows_none and field.is_required():
                # The signature lets callers leave the field out; pydantic would then refuse the record.
                message = f"'{cls.__name__}.{name}' may be None but has no default. Hint: write '= None' behind it"
                self.refuse((*where, name), message)
        return {name: field.annotation for name, field in cls.model_fields.items()}


def _literal_type(hint: Any) -> FieldType:
    kinds = {_SCALAR_HINTS.get(type(value)) for value in get_args(hint)}
    kind = kinds.pop() if len(kinds) == 1 else None
    return kind if kind is not None else AnyType()


def _hint_text(hint: object) -> str:
    """Return a hint as people write it: "list[str]", "Person | None"."""
    if isinstance(hint, type) and get_origin(hint) is None:
        return hint.__name__
    return str(hint).replace("typing.", "")
