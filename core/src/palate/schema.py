"""The types a signature is made of: columns, tensors, nested types and params.

The vocabulary and its meaning are MLflow's (``mlflow.types.schema``), so that signatures travel both ways. What
Palate adds to a column (``categories``) never enters the signature JSON, which stock MLflow reads strictly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

__all__ = [
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
    "type_text",
]

Scalar: TypeAlias = Literal["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"]
SCALARS: frozenset[str] = frozenset(get_args(Scalar))


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
    """A column.

    Attributes:
        type: the type of each cell.
        name: None in a schema whose columns have no names; an int for frames with numbered columns.
        required: whether the column must be present. A present column's cells are checked either way.
        categories: the values the column is known to take, or None when it is not known.
        categorical: the model was given a pandas categorical here, so it gets one with exactly ``categories``.
    """

    type: FieldType
    name: str | int | None = None
    required: bool = True
    categories: tuple[object, ...] | None = None
    categorical: bool = False

    @property
    def plain(self) -> bool:
        """Whether the type alone says what the column's cells must be, so that whole blocks can be converted."""
        return not self.categorical


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
