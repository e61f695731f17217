"""The types a signature is made of: columns, tensors, nested types and params.

The vocabulary and its meaning are MLflow's (``mlflow.types.schema``), so that signatures travel both ways. What
Palate adds to a column (its facts, from ``categories`` to ``timezone``) never enters the signature JSON, which stock
MLflow reads strictly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from palate.errors import InvalidSignature, Problem, ProblemKind

__all__ = [
    "INTEGERS",
    "NUMBERS",
    "SCALARS",
    "AnyType",
    "Array",
    "ColSpec",
    "FieldType",
    "Map",
    "Object",
    "ParamSpec",
    "Property",
    "Scalar",
    "Schema",
    "SparkVector",
    "TensorSpec",
    "is_timezone",
    "type_text",
    "whole_bounds",
]

Scalar: TypeAlias = Literal["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"]
SCALARS: frozenset[str] = frozenset(get_args(Scalar))
INTEGERS: dict[str, tuple[int, int]] = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
"""The types of integers, each with the least and the greatest that it has."""
NUMBERS: frozenset[str] = frozenset([*INTEGERS, "float", "double"])
_OFFSET = re.compile(r"UTC[+-]([01]\d|2[0-3]):[0-5]\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Array:
    """A list whose items are all of one type."""

    items: FieldType


@dataclass(frozen=True, slots=True)
class SparkVector:
    """Spark ML's vector: a list of doubles."""


@dataclass(frozen=True, slots=True)
class Map:
    """A dict from str to values of one type."""

    values: FieldType


@dataclass(frozen=True, slots=True)
class AnyType:
    """Any value at all, unchecked."""


@dataclass(frozen=True, slots=True)
class Property:
    """A named member of an object."""

    name: str
    type: FieldType
    required: bool = True


@dataclass(frozen=True, slots=True)
class Object:
    """A dict with known members, kept sorted by name as MLflow keeps them."""

    properties: tuple[Property, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "properties", tuple(sorted(self.properties, key=lambda p: p.name)))


FieldType: TypeAlias = Scalar | Array | SparkVector | Object | Map | AnyType


@dataclass(frozen=True, slots=True, kw_only=True)
class ColSpec:
    """A column. Raises InvalidSignature when its facts contradict each other or its type.

    Attributes:
        type: the type of each cell.
        name: None in a schema whose columns have no names; an int for frames with numbered columns.
        required: whether the column must be present. A present column's cells are checked either way.
        categories: the values the column is known to take, or None when it is not known.
        categorical: the model was given a pandas categorical here, so it gets one with exactly ``categories``.
        nullable: whether cells may be missing; for scalar types. True keeps integers and truth values what they are:
            the model gets pandas' Int32, Int64 or boolean, gaps or not. False refuses missing cells. None is MLflow's
            rule: integers refuse them, most other types take them.
        minimum: the least number that a cell may hold; for integer, long, float and double. NaN passes.
        maximum: the greatest number that a cell may hold.
        timezone: the zone of the datetime64[ns] that the model gets, an IANA name ("Europe/Vienna") or an offset
            ("UTC+02:00"); for datetime. None: no zone, the times are UTC.
    """

    type: FieldType
    name: str | int | None = None
    required: bool = True
    categories: tuple[object, ...] | None = None
    categorical: bool = False
    nullable: bool | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        if self.plain:
            return
        for bound in ("minimum", "maximum"):
            if hasattr(given := getattr(self, bound), "item"):  # numpy's scalars, as frame["age"].min() gives
                object.__setattr__(self, bound, given.item())
        where = () if self.name is None else (self.name,)
        problems = [Problem((*where, fact), kind, message) for fact, kind, message in _find_contradictions(self)]
        if problems:
            raise InvalidSignature(problems)

    @property
    def plain(self) -> bool:
        """Whether the type alone says what cells must be, so that many columns can be converted at once."""
        facts = (self.nullable, self.minimum, self.maximum, self.timezone)
        return not self.categorical and facts == (None, None, None, None)


_Contradiction: TypeAlias = tuple[str, ProblemKind, str]


def _find_contradictions(column: ColSpec) -> Iterator[_Contradiction]:
    """Yield each fact that cannot be, the kind of problem and why."""
    if column.nullable is not None:
        if not isinstance(column.nullable, bool):
            yield "nullable", "wrong_type", "must be true or false"
        elif not isinstance(column.type, str):
            yield "nullable", "wrong_value", f"is for scalar types, not for {type_text(column.type)}"
    yield from _find_bad_bounds(column)
    if column.timezone is not None:
        if column.type != "datetime" or column.categorical:
            kind = "a categorical" if column.categorical else type_text(column.type)
            yield "timezone", "wrong_value", f"is for datetime columns, not for {kind}"
        elif not isinstance(column.timezone, str):
            yield "timezone", "wrong_type", "must be text"
        elif not is_timezone(column.timezone):
            known = "is no time zone known here. Hint: give an IANA name (Europe/Vienna) or an offset (UTC+02:00)"
            yield "timezone", "wrong_value", f"{known}; where the system has no zones, pip install tzdata"


def _find_bad_bounds(column: ColSpec) -> Iterator[_Contradiction]:
    bounds = {name: bound for name in ("minimum", "maximum") if (bound := getattr(column, name)) is not None}
    unfit = [name for name, bound in bounds.items() if not _is_finite(bound)]
    yield from ((name, "wrong_type", "must be a finite number") for name in unfit)
    if column.type not in NUMBERS or column.categorical:
        kind = "a categorical" if column.categorical else type_text(column.type)
        yield from ((name, "wrong_value", f"is for columns of numbers, not for {kind}") for name in bounds)
    elif bounds and not unfit:
        low, high = whole_bounds(column) if column.type in INTEGERS else (column.minimum, column.maximum)
        if low is not None and high is not None and low > high:
            given = " and ".join(f"the {name} {bound!s:.40}" for name, bound in bounds.items())
            leaves = f"{given} {'leave' if len(bounds) > 1 else 'leaves'} no {column.type} that the column could hold"
            yield next(iter(bounds)), "wrong_value", f"{leaves}. Hint: widen the bounds, or leave them out"


def whole_bounds(column: ColSpec) -> tuple[int, int]:
    """Return the least and the greatest integer that a column of the type integer or long may hold."""
    least, greatest = INTEGERS[str(column.type)]
    low = least if column.minimum is None else max(least, math.ceil(column.minimum))
    high = greatest if column.maximum is None else min(greatest, math.floor(column.maximum))
    return low, high


def _is_finite(bound: object) -> bool:
    try:
        return isinstance(bound, int | float) and not isinstance(bound, bool) and math.isfinite(bound)
    except OverflowError:  # an integer beyond all floats
        return False


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """An n-dimensional array: a numpy dtype name ("float64", "str" without a width) and a shape, -1 for any size."""

    dtype: str
    shape: tuple[int, ...]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """All inputs, or all outputs: only columns or only tensors, all named or all unnamed."""

    fields: tuple[ColSpec | TensorSpec, ...]

    @property
    def is_tensor(self) -> bool:
        """Whether the fields are tensors."""
        return isinstance(self.fields[0], TensorSpec)

    @property
    def is_named(self) -> bool:
        """Whether the fields have names."""
        return self.fields[0].name is not None

    @property
    def columns(self) -> tuple[ColSpec, ...]:
        """The fields of a column schema; empty for tensors."""
        return tuple(field for field in self.fields if isinstance(field, ColSpec))

    @property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """The fields of a tensor schema; empty for columns."""
        return tuple(field for field in self.fields if isinstance(field, TensorSpec))

    def __iter__(self) -> Iterator[ColSpec | TensorSpec]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamSpec:
    """A param of a method: a scalar or object (shape None) or a list of scalars (shape (-1,)), with a default."""

    name: str
    type: Scalar | Object
    default: object
    shape: tuple[int] | None = None


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
