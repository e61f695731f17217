"""The types of cells and params: scalars, and what is nested of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from numbers import Integral, Real
from typing import Literal, TypeAlias, get_args

from palate.errors import InvalidSignature, Problem

__all__ = [
    "INTEGERS",
    "NUMBERS",
    "SCALARS",
    "TENSOR_DTYPES",
    "AnyType",
    "Array",
    "FieldType",
    "Map",
    "Object",
    "Property",
    "Scalar",
    "SparkVector",
    "find_wrong_type",
    "has_categories",
    "is_category",
    "is_tensor_dtype",
    "is_timezone",
    "type_text",
]

Scalar: TypeAlias = Literal["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"]
SCALARS: frozenset[str] = frozenset(get_args(Scalar))
INTEGERS: dict[str, tuple[int, int]] = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
"""The types of integers, each with the least and the greatest that it has."""
NUMBERS: frozenset[str] = frozenset([*INTEGERS, "float", "double"])
_OFFSET = re.compile(r"UTC[+-]([01]\d|2[0-3]):[0-5]\d", re.ASCII)
TENSOR_DTYPES = (
    *("bool", "str", "bytes", "object"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "longdouble", "complex64", "complex128"),
)
"""The dtypes of tensors, but for those of times, which have a unit."""
_TENSOR_TIME = re.compile(r"(datetime64|timedelta64)(\[\d{0,6}(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Array:
    """A list whose items are all of one type. Raises InvalidSignature when that is none."""

    items: FieldType

    def __post_init__(self) -> None:
        _check_type("items", self.items)


@dataclass(frozen=True, slots=True)
class SparkVector:
    """Spark ML's vector: a list of doubles."""


@dataclass(frozen=True, slots=True)
class Map:
    """A dict from str to values of one type. Raises InvalidSignature when that is none."""

    values: FieldType

    def __post_init__(self) -> None:
        _check_type("values", self.values)


@dataclass(frozen=True, slots=True)
class AnyType:
    """Any value at all, unchecked."""


@dataclass(frozen=True, slots=True)
class Property:
    """A named member of an object. Raises InvalidSignature when its type is none."""

    name: str
    type: FieldType
    required: bool = True

    def __post_init__(self) -> None:
        _check_type(self.name, self.type)


@dataclass(frozen=True, slots=True)
class Object:
    """A dict with known members, kept sorted by name as MLflow keeps them."""

    properties: tuple[Property, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "properties", tuple(sorted(self.properties, key=lambda p: p.name)))


FieldType: TypeAlias = Scalar | Array | SparkVector | Object | Map | AnyType


def type_text(kind: FieldType) -> str:
    """Return a type as people write it: "double", "array(string)", "object(a: long, b?: string)"."""
    match kind:
        case Array(items=items):
            return f"array({type_text(items)})"
        case Map(values=values):
            return f"map({type_text(values)})"
        case Object(properties=properties):
            inner = ", ".join(f"{p.name}{'' if p.required else '?'}: {type_text(p.type)}" for p in properties)
            return f"object({inner})"
        case AnyType():
            return "any"
        case SparkVector():
            return "sparkml_vector"
        case _:
            return kind


def find_wrong_type(kind: object) -> str | None:
    """Return why something is no type of a signature, and which there are; None for a type."""
    if (isinstance(kind, str) and kind in SCALARS) or isinstance(kind, Array | SparkVector | Object | Map | AnyType):
        return None
    given = f"{kind!r:.60}" if isinstance(kind, str) else getattr(kind, "__name__", f"a {type(kind).__name__}")
    return (
        f"{given} is no type of a signature. Hint: give 'boolean', 'integer' (32 bits), 'long' (64 bits), 'float' "
        "(32 bits), 'double' (64 bits), 'string', 'binary' or 'datetime', or of palate.schema an Array, Map, Object, "
        "SparkVector or AnyType"
    )


def _check_type(part: str, kind: object) -> None:
    if message := find_wrong_type(kind):
        raise InvalidSignature([Problem((part,), "wrong_value", message)])


# -- values ------------------------------------------------------------------------------------------------------------


def is_tensor_dtype(name: object) -> bool:
    """Tell whether a signature has tensors of that dtype."""
    return isinstance(name, str) and (name in TENSOR_DTYPES or _TENSOR_TIME.fullmatch(name) is not None)


def is_timezone(name: str) -> bool:
    """Tell whether a name means the same zone on every machine, and this one knows it."""
    if _OFFSET.fullmatch(name) or name == "UTC":
        return True
    # In lower case zoneinfo also finds "localtime", which is another zone on each machine, and "right/…".
    if not name[:1].isupper():
        return False
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # unknown; no path of a zone; a folder such as "Europe"
        return False
    return True


def _is_whole(value: object, least: int, greatest: int) -> bool:
    """Tell whether a value is an integer, of Python's or numpy's, within limits."""
    return isinstance(value, Integral) and not isinstance(value, bool) and least <= int(value) <= greatest


def _is_double(value: object) -> bool:
    """Tell whether a value is a number that some double is equal to, so that no two values become one category."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value) and float(value) == value
    except OverflowError:  # an integer beyond all doubles
        return False


def _is_text(value: object) -> bool:
    """Tell whether a value is text that can be written: pandas takes no half of a surrogate pair."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


_VALUES: dict[str, Callable[[object], bool]] = {
    "boolean": lambda value: type(value).__name__ in ("bool", "bool_"),
    **{kind: partial(_is_whole, least=low, greatest=high) for kind, (low, high) in INTEGERS.items()},
    "float": _is_double,
    "double": _is_double,
    "string": _is_text,
    # What datetime64[ns] holds of whole years.
    "datetime": lambda value: isinstance(value, datetime) and 1677 < value.year < 2262,
}


def has_categories(kind: FieldType) -> bool:
    """Tell whether columns of that type can be held to categories."""
    return isinstance(kind, str) and kind in _VALUES


def is_category(value: object, kind: FieldType) -> bool:
    """Tell whether a value can be a category of a column of that type."""
    return has_categories(kind) and _VALUES[str(kind)](value)
