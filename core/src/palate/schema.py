"""The types a signature is made of: columns, tensors, nested types and params.

The vocabulary and its meaning are MLflow's (``mlflow.types.schema``), so that signatures travel both ways. What
Palate adds to a column (its facts, from ``categories`` to ``timezone``) never enters the signature JSON, which stock
MLflow reads strictly.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, ClassVar, TypeAlias

from palate._field_types import (
    INTEGERS,
    NUMBERS,
    SCALARS,
    TENSOR_DTYPES,
    AnyType,
    Array,
    FieldType,
    Map,
    Object,
    Property,
    Scalar,
    SparkVector,
    find_wrong_type,
    has_categories,
    is_category,
    is_tensor_dtype,
    is_timezone,
    type_text,
)
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
    "find_mixtures",
    "is_tensor_dtype",
    "is_timezone",
    "type_text",
    "whole_bounds",
]


def _show(spec: Any) -> str:
    """Return a spec as the Python that makes it, its name first, without what is as it would be anyway."""
    shown = {f.name: getattr(spec, f.name) for f in fields(spec) if getattr(spec, f.name) != f.default}
    shown = {name: shown[name] for name in sorted(shown, key=lambda name: name != "name")}
    return f"{type(spec).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColSpec:
    """A column. Raises InvalidSignature when its facts contradict each other or its type.

    Attributes:
        type: the type of each cell: "boolean", "integer" (32 bits), "long" (64 bits), "float" (32 bits), "double" (64
            bits), "string", "binary" or "datetime"; or an Array, Map, Object, SparkVector or AnyType of this module.
        name: None in a schema whose columns have no names; an int for frames with numbered columns.
        required: whether the column must be present. A present column's cells are checked either way.
        categories: the values the column is known to take, or None when it is not known. Others pass, unless it is
            ``closed`` or ``categorical``.
        categorical: the model was given a pandas categorical here, so it gets one with exactly ``categories``.
        closed: whether other values than ``categories`` are refused; for text, integers, truth values and times.
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
    closed: bool = False
    nullable: bool | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.categories, list):
            object.__setattr__(self, "categories", tuple(self.categories))
        for bound in ("minimum", "maximum"):
            if hasattr(given := getattr(self, bound), "item"):  # numpy's scalars, as frame["age"].min() gives
                object.__setattr__(self, bound, given.item())
        _require(self.name, _find_bad_basics(self) or (() if self._says_no_more else _find_contradictions(self)))

    __repr__ = _show

    @property
    def _says_no_more(self) -> bool:
        return self.plain and self.categories is None

    @property
    def plain(self) -> bool:
        """Whether the type alone says what cells must be, so that many columns can be converted at once."""
        facts = (self.nullable, self.minimum, self.maximum, self.timezone)
        return not (self.categorical or self.closed) and facts == (None, None, None, None)


_Contradiction: TypeAlias = tuple[str, ProblemKind, str]


def _require(name: str | int | None, contradictions: Iterable[_Contradiction]) -> None:
    """Raise InvalidSignature with what is wrong with the spec of this name."""
    where = (name,) if isinstance(name, str | int) else ()
    if problems := [Problem((*where, attribute), kind, message) for attribute, kind, message in contradictions]:
        raise InvalidSignature(problems)


def _find_bad_basics(column: ColSpec) -> list[_Contradiction]:
    found: list[_Contradiction] = []
    if message := find_wrong_type(column.type):
        found.append(("type", "wrong_value", message))
    if not (column.name is None or isinstance(column.name, str | int)) or isinstance(column.name, bool):
        found.append(("name", "wrong_type", "must be text, an integer or None"))
    for flag in ("required", "categorical", "closed"):
        if not isinstance(getattr(column, flag), bool):
            found.append((flag, "wrong_type", "must be true or false"))
    return found


def _find_contradictions(column: ColSpec) -> Iterator[_Contradiction]:
    """Yield each fact that cannot be, the kind of problem and why."""
    yield from _find_bad_categories(column)
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


def _find_bad_categories(column: ColSpec) -> Iterator[_Contradiction]:
    values, enforced = column.categories, "closed" if column.closed else "categorical"
    if values is not None and not isinstance(values, tuple):
        yield "categories", "wrong_type", "must be a tuple of the values"
        return
    if not (column.closed or column.categorical):
        return
    if not has_categories(column.type) or (column.closed and column.type in ("float", "double")):
        kinds = "text, integers, truth values and times"
        yield enforced, "wrong_value", f"is for columns of {kinds}, not for {type_text(column.type)}"
    elif values is None:
        yield "categories", "missing", f"a {enforced} column needs its categories"
    elif not all(is_category(value, column.type) for value in values):
        yield "categories", "wrong_type", f"holds values that are not {column.type}"
    elif len(set(values)) < len(values):
        yield "categories", "wrong_value", "holds a value twice"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """An n-dimensional array. Raises InvalidSignature when numpy has no such dtype or array.

    Attributes:
        dtype: the name of a numpy dtype ("float64"), "str" and "bytes" without a width.
        shape: the size of each dimension, -1 for any.
        name: None for the only tensor of a schema.
        required: True, as there are no optional tensors in MLflow's grammar.
    """

    required: ClassVar[bool] = True
    dtype: str
    shape: tuple[int, ...]
    name: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.shape, list):
            object.__setattr__(self, "shape", tuple(self.shape))
        _require(self.name, _find_bad_tensor(self))

    __repr__ = _show


def _find_bad_tensor(tensor: TensorSpec) -> Iterator[_Contradiction]:
    if not is_tensor_dtype(tensor.dtype):
        given = f"{tensor.dtype!r:.60}" if isinstance(tensor.dtype, str) else f"a {type(tensor.dtype).__name__}"
        known = ", ".join(TENSOR_DTYPES)
        yield "dtype", "wrong_value", f"{given} is no dtype of a tensor. Hint: give one of {known}, datetime64[ns]"
    if not isinstance(tensor.shape, tuple) or not all(type(size) is int and size >= -1 for size in tensor.shape):
        yield "shape", "wrong_type", "must be a tuple of sizes that are int, -1 for any"
    if not (tensor.name is None or isinstance(tensor.name, str)):
        yield "name", "wrong_type", "must be text or None"


@dataclass(frozen=True, slots=True)
class Schema:
    """All inputs, or all outputs: only columns or only tensors, all named or all unnamed.

    Raises InvalidSignature for other fields, and for two of one name.
    """

    fields: tuple[ColSpec | TensorSpec, ...]

    def __post_init__(self) -> None:
        if isinstance(self.fields, list):
            object.__setattr__(self, "fields", tuple(self.fields))
        if not isinstance(self.fields, tuple) or not all(isinstance(f, ColSpec | TensorSpec) for f in self.fields):
            message = "must be a tuple of palate.ColSpec, or of palate.TensorSpec"
            raise InvalidSignature([Problem(("fields",), "wrong_type", message)])
        messages = [*find_mixtures(self.fields), *_find_doubles(self.fields)]
        if messages:
            raise InvalidSignature(Problem(("fields",), "wrong_value", message) for message in messages)

    @classmethod
    def of_file(cls, fields: tuple[ColSpec | TensorSpec, ...]) -> Schema:
        """Return a schema as it stands in a file, which MLflow lets name two columns alike: then the last counts.

        Args:
            fields: all columns or all tensors, all named or all unnamed.
        """
        schema = object.__new__(cls)
        object.__setattr__(schema, "fields", fields)
        return schema

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


def find_mixtures(fields: Sequence[ColSpec | TensorSpec]) -> Iterator[str]:
    """Yield what keeps fields from being one schema."""
    if not fields:
        yield "a schema needs at least one field; where none is declared it is None"
    if len({isinstance(field, TensorSpec) for field in fields}) > 1:
        yield "columns and tensors cannot be mixed"
    if len({field.name is None for field in fields}) > 1:
        yield "named and unnamed fields cannot be mixed"
    if len(fields) > 1 and all(isinstance(field, TensorSpec) and field.name is None for field in fields):
        yield "several tensors need names"


def _find_doubles(fields: Sequence[ColSpec | TensorSpec]) -> Iterator[str]:
    counts = Counter(field.name for field in fields if field.name is not None)
    yield from (f"{count} fields are called {name!r:.60}" for name, count in counts.items() if count > 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamSpec:
    """A param of a method. Raises InvalidSignature when its default is not of its type.

    Attributes:
        name: its name.
        type: a scalar type other than "binary", or an Object.
        default: its value when the caller gives none, as plain Python; None for a scalar that is then unset.
        shape: None for one value, (-1,) for a list of them.
    """

    name: str
    type: Scalar | Object
    default: object
    shape: tuple[int] | None = None

    def __post_init__(self) -> None:
        _require(self.name, _find_bad_param(self))

    __repr__ = _show


_DEFAULTS: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "string": (str,),
    "datetime": (date,),
}


def _find_bad_param(param: ParamSpec) -> Iterator[_Contradiction]:
    if not isinstance(param.name, str):
        yield "name", "wrong_type", "must be text"
    if not isinstance(param.type, Object) and (not isinstance(param.type, str) or param.type not in _DEFAULTS):
        yield "type", "wrong_value", f"must be one of {', '.join(_DEFAULTS)}, or an Object of palate.schema"
    elif param.shape not in (None, (-1,)):
        yield "shape", "wrong_value", "must be None for one value, or (-1,) for a list"
    elif param.shape is not None and not isinstance(param.default, list):
        yield "default", "wrong_type", f"must be a list of {type_text(param.type)}, for its shape is (-1,)"
    elif not all(_is_default(value, param.type) for value in _values(param)):
        yield "default", "wrong_type", f"must be {type_text(param.type)}, as the type says"


def _values(param: ParamSpec) -> list[object]:
    return param.default if isinstance(param.default, list) and param.shape else [param.default]


def _is_default(value: object, kind: Scalar | Object) -> bool:
    if isinstance(kind, Object):
        return isinstance(value, dict)
    if isinstance(value, bool):
        return kind == "boolean"
    return value is None or isinstance(value, _DEFAULTS[kind])
