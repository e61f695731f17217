"""The type of one value, as the signature grammar names it: scalars, arrays, objects and how they merge.

The rules are MLflow's (``mlflow.types.utils``), except that numbers of several types, as in ``[1, 2.5]``, have the
wider one. What else MLflow gives up on is refused here with the reason, as an ``UntypedValue``, which the caller turns
into a problem of the column it found it in.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, cast

from palate._containers.exactness import is_missing
from palate._containers.kinds import is_ndarray, is_numpy_scalar
from palate._inference.type_hints import is_pydantic
from palate.schema import INTEGERS, NUMBERS, AnyType, Array, FieldType, Object, Property, Scalar, type_text

__all__ = ["UntypedValue", "array_items", "dtype_scalar", "value_type"]

_MAX_DEPTH = 32
_LONG = range(-(2**63), 2**63)


class UntypedValue(ValueError):
    """A value has no type in a signature."""


def dtype_scalar(dtype: Any) -> Scalar | None:
    """Return the type of a numpy or pandas dtype, or None for one that needs its values looked at.

    int8, int16, int32, uint8 and uint16 are integers; int64 and uint32 longs; float16 and float32 floats.

    Raises:
        UntypedValue: no type holds every value of the dtype.
    """
    kind, size = dtype.kind, getattr(dtype, "itemsize", 8)
    if kind == "u" and size == 8:
        raise UntypedValue(
            "uint64 has no type in a signature, since values above 2**63-1 fit none. Hint: convert it to int64, "
            "or to float64 if it need not be exact"
        )
    if kind in "iu":
        return "integer" if size < 4 or (kind == "i" and size == 4) else "long"
    if kind == "f" and size <= 8:
        return "float" if size <= 4 else "double"
    if kind == "O":
        return None
    plain: dict[str, Scalar] = {"b": "boolean", "U": "string", "S": "binary", "M": "datetime"}
    if kind not in plain:
        raise UntypedValue(f"the dtype {dtype} has no type in a signature")
    return plain[kind]


def value_type(value: object, depth: int = 0) -> FieldType | None:
    """Return the type of a value; None for an empty ndarray, which says nothing.

    Raises:
        UntypedValue: the value, or one inside it, has no type.
    """
    if depth > _MAX_DEPTH:
        raise UntypedValue(f"it is nested deeper than {_MAX_DEPTH}")
    if is_missing(value) or (isinstance(value, list | dict) and not value):
        return AnyType()
    if isinstance(value, dict):
        return Object(tuple(_property(name, member, depth) for name, member in value.items()))
    if isinstance(value, list) or (is_ndarray(value) and value.ndim > 0):
        items = array_items(cast("Iterable[object]", value), depth)
        return None if items is None else Array(items)
    return _scalar_type(value)


def array_items(values: Iterable[object], depth: int = 0) -> FieldType | None:
    """Return the one type that all values have; None when there is nothing to tell it by.

    Raises:
        UntypedValue: they differ, or one of them has no type.
    """
    merged: FieldType | None = None
    for value in values:
        kind = value_type(value, depth + 1)
        if kind is not None and kind != merged:
            merged = kind if merged is None else _merge_types(merged, kind)
    return merged


def _merge_types(one: FieldType, other: FieldType) -> FieldType:
    """Return the type that admits both; what only one object has becomes optional.

    Raises:
        UntypedValue: no type admits both.
    """
    if one == other:
        return one
    if isinstance(one, AnyType):
        return other if isinstance(other, str) else _merge_types(other, one)
    if isinstance(other, AnyType):
        return _all_optional(one) if isinstance(one, Object) else one
    if one in NUMBERS and other in NUMBERS:
        return "long" if {one, other} <= INTEGERS.keys() else "double"
    if isinstance(one, Array) and isinstance(other, Array):
        return Array(_merge_types(one.items, other.items))
    if isinstance(one, Object) and isinstance(other, Object):
        return _merge_objects(one, other)
    raise UntypedValue(
        f"it holds both {type_text(one)} and {type_text(other)}. Hint: convert the values to one type, or declare "
        "the type 'any' in a signature of your own"
    )


def _property(name: object, value: object, depth: int) -> Property:
    if not isinstance(name, str):
        raise UntypedValue(f"it holds a dict with a key of type {type(name).__name__}; keys must be text")
    try:
        kind = value_type(value, depth + 1)
    except UntypedValue as exc:
        raise UntypedValue(f"in '{name}': {exc}") from exc
    if kind is None:
        raise UntypedValue(f"in '{name}': an empty array does not tell its type")
    return Property(name, kind, required=not isinstance(kind, AnyType))


def _scalar_type(value: object) -> Scalar:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, bytes | bytearray):
        return "binary"
    if isinstance(value, date):  # datetime and pandas' Timestamp are dates too
        return "datetime"
    if is_numpy_scalar(value) and (kind := dtype_scalar(value.dtype)):
        return kind
    if isinstance(value, int):
        if value not in _LONG:
            raise UntypedValue("it holds an integer that does not fit 64 bits")
        return "long"
    if isinstance(value, float):
        return "double"
    raise UntypedValue(_refusal(value))


def _refusal(value: object) -> str:
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    if is_pydantic(type(value)):
        return (
            f"the pydantic model {name} is declared by a type hint, not inferred. Hint: write "
            f"'def predict(self, model_input: list[{type(value).__name__}])'"
        )
    if isinstance(value, tuple):
        return "a tuple has no type in a signature. Hint: use a list"
    return f"a value of type {name} has no type in a signature"


def _all_optional(kind: Object) -> Object:
    return Object(tuple(Property(p.name, p.type, required=False) for p in kind.properties))


def _merge_objects(one: Object, other: Object) -> Object:
    mine, theirs = ({p.name: p for p in kind.properties} for kind in (one, other))
    merged = []
    for name in mine | theirs:
        if name in mine and name in theirs:
            kind = _merge_types(mine[name].type, theirs[name].type)
            merged.append(Property(name, kind, mine[name].required and theirs[name].required))
        else:
            merged.append(Property(name, (mine | theirs)[name].type, required=False))
    return Object(tuple(merged))
