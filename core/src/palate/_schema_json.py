"""The signature grammar of MLmodel as JSON, read and written.

Reading collects every problem. What MLflow ignores (unknown keys in nested types) is ignored here; what makes MLflow
refuse a model (an unknown key in a scalar column) is refused here, so that a directory good for one is good for both.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from palate._enforcement.params import convert_param
from palate.errors import InvalidSignature, Problem, ProblemKind
from palate.schema import (
    SCALARS,
    AnyType,
    Array,
    ColSpec,
    FieldType,
    Map,
    Object,
    ParamSpec,
    Property,
    Scalar,
    Schema,
    SparkVector,
    TensorSpec,
    find_mixtures,
    is_tensor_dtype,
)

__all__ = ["dump_params", "dump_schema", "parse_params", "parse_schema"]

_MAX_DEPTH = 32
_MAX_PROBLEMS = 1000
_MAX_DIMENSION = 2**63 - 1
_MAX_RANK = 32  # numpy's own limit was 32 up to numpy 1, 64 since

Where = tuple[str | int, ...]


class _Reader:
    """Collects problems while it narrows JSON to schema types."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def refuse(self, where: Where, kind: ProblemKind, message: str) -> None:
        self.problems.append(Problem(where, kind, message))
        if len(self.problems) >= _MAX_PROBLEMS:
            self.finish()  # millions of them would fill the memory

    def finish(self) -> None:
        if self.problems:
            raise InvalidSignature(self.problems)

    # -- types ---------------------------------------------------------------------------------------------------

    def field_type(self, spec: Mapping[str, Any], where: Where, depth: int = 0) -> FieldType:
        name = spec.get("type")
        if depth > _MAX_DEPTH:
            self.refuse(where, "wrong_value", f"types are nested deeper than {_MAX_DEPTH}")
        elif isinstance(name, str) and name in SCALARS:
            return cast(Scalar, name)
        elif name == "array":
            return Array(self.member(spec, "items", where, depth))
        elif name == "map":
            return Map(self.member(spec, "values", where, depth))
        elif name == "object":
            return Object(self.properties(spec, where, depth))
        elif name == "any":
            return AnyType()
        elif name == "sparkml_vector":
            return SparkVector()
        elif name is None:
            self.refuse(where, "missing", "has no 'type'")
        else:
            self.refuse(where, "wrong_value", f"unknown type {name!r:.60}")
        return AnyType()

    def member(self, spec: Mapping[str, Any], key: str, where: Where, depth: int) -> FieldType:
        inner = spec.get(key)
        if not isinstance(inner, dict):
            self.refuse((*where, key), "wrong_type", f"{spec['type']} needs a mapping under '{key}'")
            return AnyType()
        return self.field_type(inner, (*where, key), depth + 1)

    def properties(self, spec: Mapping[str, Any], where: Where, depth: int) -> tuple[Property, ...]:
        members = spec.get("properties")
        if not isinstance(members, dict) or not members:
            self.refuse((*where, "properties"), "missing", "object needs at least one property")
            return ()
        found = []
        for name, member in members.items():
            place = (*where, "properties", name)
            if isinstance(member, dict):
                kind = self.field_type(member, place, depth + 1)
                found.append(Property(name, kind, self.flag(member, place, absent=True)))
            else:
                self.refuse(place, "wrong_type", "must be a mapping")
        return tuple(found)

    def flag(self, spec: Mapping[str, Any], where: Where, *, absent: bool) -> bool:
        value = spec.get("required", absent)
        if value is None:
            return absent
        if not isinstance(value, bool):
            self.refuse((*where, "required"), "wrong_type", "must be true or false")
        return bool(value)

    # -- fields --------------------------------------------------------------------------------------------------

    def column(self, spec: Mapping[str, Any], where: Where) -> ColSpec:
        name = spec.get("name")
        if not (name is None or isinstance(name, str | int)) or isinstance(name, bool):
            self.refuse((*where, "name"), "wrong_type", "must be text or an integer")
            name = None
        kind = self.field_type(spec, where)
        scalar = isinstance(kind, str)
        if scalar and (unknown := sorted(set(spec) - {"type", "name", "required"})):
            self.refuse(where, "extra", f"unknown key(s) {', '.join(unknown)} in a scalar column")
        # MLflow reads a nested column without 'required' as optional, a scalar one as required.
        required = self.flag(spec, where, absent=scalar)
        if name is None and not required and scalar:
            self.refuse(where, "wrong_value", "an unnamed column cannot be optional")
        return ColSpec(type=kind, name=name, required=required)

    def tensor(self, spec: Mapping[str, Any], where: Where) -> TensorSpec:
        name = spec.get("name")
        if not (name is None or isinstance(name, str)):
            self.refuse((*where, "name"), "wrong_type", "must be text")
            name = None
        inner = spec.get("tensor-spec")
        if not isinstance(inner, dict):
            self.refuse(where, "missing", "a tensor needs a mapping under 'tensor-spec'")
            return TensorSpec(dtype="float64", shape=(-1,), name=name)
        dtype, shape = inner.get("dtype"), inner.get("shape")
        if not isinstance(dtype, str) or not is_tensor_dtype(dtype):
            self.refuse((*where, "dtype"), "wrong_value", f"{dtype!r:.60} is not a numpy dtype name without a width")
            dtype = "float64"
        return TensorSpec(dtype=dtype, shape=self.shape(shape, (*where, "shape")), name=name)

    def shape(self, shape: Any, where: Where) -> tuple[int, ...]:
        if not isinstance(shape, list) or any(isinstance(n, bool) or not isinstance(n, int) for n in shape):
            self.refuse(where, "wrong_type", "must be a list of integers")
            return (-1,)
        if len(shape) > _MAX_RANK or any(not -1 <= n <= _MAX_DIMENSION for n in shape):
            self.refuse(where, "wrong_value", "each size must be -1 (any) or a possible array size")
            return (-1,)
        return tuple(shape)

    def schema(self, specs: Any, part: str) -> Schema:
        if not isinstance(specs, list) or not specs:
            self.refuse((part,), "wrong_type", "must be a non-empty list of fields")
            self.finish()
        fields: list[ColSpec | TensorSpec] = []
        for index, spec in enumerate(specs):
            where: Where = (part, index)
            if not isinstance(spec, dict):
                self.refuse(where, "wrong_type", "must be a mapping")
            elif spec.get("type") == "tensor":
                fields.append(self.tensor(spec, where))
            else:
                fields.append(self.column(spec, where))
        for message in find_mixtures(fields) if fields else ():
            self.refuse((part,), "wrong_value", message)
        self.finish()
        return Schema.of_file(tuple(fields))

    def param(self, spec: Mapping[str, Any], where: Where) -> ParamSpec | None:
        # MLflow before 2.20 wrote "dtype" where it now writes "type".
        kind_name = spec.get("type") or spec.get("dtype")
        if "name" not in spec or "default" not in spec or not kind_name:
            self.refuse(where, "missing", "a param needs 'name', 'type' and 'default'")
            return None
        name = str(spec["name"])
        kind = self.field_type({**spec, "type": kind_name}, where)
        shape = spec.get("shape")
        if shape not in (None, [-1]):
            self.refuse((*where, "shape"), "wrong_value", "must be null or [-1]")
            return None
        if kind == "binary" or not isinstance(kind, str | Object):
            self.refuse((*where, "type"), "wrong_value", "must be a scalar type other than binary, or an object")
            return None
        length: tuple[int] | None = None if shape is None else (-1,)
        try:
            default = convert_param(spec["default"], kind, length)
        except ValueError as exc:
            self.refuse((*where, "default"), "wrong_value", str(exc))
            return None
        return ParamSpec(name=name, type=kind, default=default, shape=length)


def _read_json(text: object, part: str) -> Any:
    if not isinstance(text, str):
        raise InvalidSignature([Problem((part,), "wrong_type", "must be JSON text")])
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        reason = "is nested too deeply" if isinstance(exc, RecursionError) else f"is not JSON: {exc}"
        raise InvalidSignature([Problem((part,), "wrong_value", reason)]) from exc


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def parse_schema(text: object, part: str) -> Schema:
    """Read the JSON text of inputs or outputs; *part* names it in errors. Raises InvalidSignature."""
    return _Reader().schema(_read_json(text, part), part)


def parse_params(text: object, part: str = "params") -> tuple[ParamSpec, ...]:
    """Read the JSON text of a params schema; *part* names it in errors. Raises InvalidSignature."""
    specs = _read_json(text, part)
    reader = _Reader()
    if not isinstance(specs, list):
        reader.refuse((part,), "wrong_type", "must be a list")
        specs = []
    found = []
    for index, spec in enumerate(specs):
        if isinstance(spec, dict):
            found.append(reader.param(spec, (part, index)))
        else:
            reader.refuse((part, index), "wrong_type", "must be a mapping")
    names = Counter(param.name for param in found if param)
    for name in sorted(name for name, count in names.items() if count > 1):
        reader.refuse((part,), "wrong_value", f"two params are called {name!r}")
    reader.finish()
    return tuple(param for param in found if param)


def _type_json(kind: FieldType) -> dict[str, Any]:
    match kind:
        case Array(items=items):
            return {"type": "array", "items": _type_json(items)}
        case Map(values=values):
            return {"type": "map", "values": _type_json(values)}
        case Object(properties=properties):
            members = {p.name: {**_type_json(p.type), "required": p.required} for p in properties}
            return {"type": "object", "properties": members}
        case AnyType():
            return {"type": "any"}
        case SparkVector():
            return {"type": "sparkml_vector"}
        case _:
            return {"type": kind}


def _field_json(field: ColSpec | TensorSpec) -> dict[str, Any]:
    name = {} if field.name is None else {"name": field.name}
    if isinstance(field, TensorSpec):
        return {**name, "type": "tensor", "tensor-spec": {"dtype": field.dtype, "shape": list(field.shape)}}
    return {**_type_json(field.type), **name, "required": field.required}


def dump_schema(schema: Schema) -> str:
    """Write inputs or outputs as MLflow writes them."""
    return json.dumps([_field_json(field) for field in schema])


def _default_json(value: object) -> object:
    return value.isoformat() if hasattr(value, "isoformat") else value


def dump_params(params: Sequence[ParamSpec]) -> str:
    """Write a params schema as MLflow writes it."""
    specs = []
    for param in params:
        default = param.default
        plain = [_default_json(item) for item in default] if isinstance(default, list) else _default_json(default)
        shape = None if param.shape is None else list(param.shape)
        specs.append({"name": param.name, "default": plain, "shape": shape, **_type_json(param.type)})
    return json.dumps(specs)
