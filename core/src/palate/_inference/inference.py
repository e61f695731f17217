"""Schemas from data: what a model's inputs, outputs and params look like, judged by an example.

The results are MLflow's wherever MLflow infers correctly. Where it gives up and records "any", or drops a column's
name, the reason is raised instead: a signature that checks nothing must be asked for, not happen.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from numbers import Integral
from typing import Any, cast

from palate._containers.arrow import to_arrow
from palate._containers.exactness import is_missing
from palate._containers.frames import refuse_query
from palate._containers.kinds import (
    framework_tensor,
    is_dataframe,
    is_lazy,
    is_ndarray,
    is_numpy_scalar,
    is_polars,
    is_series,
    is_sparse,
    speaks_arrow,
)
from palate._containers.unfit import Unfit
from palate._enforcement.params import convert_param
from palate._inference.columnar_types import arrow_column, pandas_column, polars_column
from palate._inference.type_hints import dataclass_properties
from palate._inference.value_types import UntypedValue, array_items, dtype_scalar, value_type
from palate.errors import InvalidSignature, Problem
from palate.schema import INTEGERS, NUMBERS, ColSpec, Object, ParamSpec, Scalar, Schema, TensorSpec
from palate.signature import Signature

__all__ = ["infer_outputs", "infer_params", "infer_schema", "infer_signature"]

Field = ColSpec | TensorSpec
Name = str | int | None


def infer_signature(
    inputs: object = None, outputs: object = None, params: Mapping[str, object] | None = None
) -> Signature:
    """Infer a signature from an example of what a model takes, of what it returns, and of its params.

    Args:
        inputs: a DataFrame, array, dict of arrays, list of records, scalar, ...; None declares no inputs.
        outputs: what the model predicted on them; None declares no outputs.
        params: the params that callers may set; the values become their defaults.

    Raises:
        InvalidSignature: some of it has no type in a signature; the message names the column and the way out.
    """
    parts: dict[str, Any] = {}
    problems: list[Problem] = []
    for part, data in (("inputs", inputs), ("outputs", outputs), ("params", params)):
        if data is None:
            continue
        try:
            parts[part] = infer_params(cast("Any", data)) if part == "params" else infer_schema(data, part=part)
        except InvalidSignature as exc:
            problems.extend(exc.problems)
    if problems:
        raise InvalidSignature(problems)
    return Signature(**parts)


def infer_schema(data: object, *, part: str = "inputs") -> Schema:
    """Infer the fields of *data*; *part* says in errors what the data is.

    Frames, lists of records and dicts of scalars or lists become columns; arrays, sparse matrices and dicts of arrays
    become tensors whose first dimension is free; a list or a scalar becomes one unnamed column.

    Raises:
        InvalidSignature: with every column that has no type.
    """
    reader = _Reader(part)
    fields = reader.fields(data)
    reader.finish()
    if not fields:
        raise InvalidSignature([Problem((part,), "missing", "the data has no columns")])
    return Schema(tuple(fields))


def infer_outputs(outputs: object, inputs: Schema | None) -> Schema:
    """Infer the schema of predictions; a 1-D array predicted from columns is a column, as MLflow records it.

    Raises:
        InvalidSignature: with every column that has no type.
    """
    if is_ndarray(outputs) and outputs.ndim == 1 and inputs is not None and not inputs.is_tensor:
        reader = _Reader("outputs")
        column = reader.typed(("outputs",), lambda: _array_column(outputs))
        reader.finish()
        return Schema(tuple(column))
    return infer_schema(outputs, part="outputs")


def infer_params(params: Mapping[str, object]) -> tuple[ParamSpec, ...]:
    """Infer the specs of params from their defaults.

    Raises:
        InvalidSignature: with every param whose default is not a scalar, a flat list of one type, or a dict.
    """
    if not isinstance(params, Mapping):
        message = f"params must be a mapping of names to defaults, not a {type(params).__name__}"
        raise InvalidSignature([Problem(("params",), "wrong_type", message)])
    specs, problems = [], []
    for name, value in params.items():
        try:
            if not isinstance(name, str):
                raise UntypedValue(f"a param's name must be text, not a {type(name).__name__}")
            specs.append(_param(name, value))
        except ValueError as exc:  # UntypedValue, and what convert_param raises
            problems.append(Problem(("params", str(name)), "wrong_type", str(exc)))
        except RecursionError:
            problems.append(Problem(("params", str(name)), "wrong_value", "it is nested too deeply, or holds itself"))
    if problems:
        raise InvalidSignature(problems)
    return tuple(specs)


class _Reader:
    """Collects problems while it turns data into fields."""

    def __init__(self, part: str) -> None:
        self.part = part
        self.problems: list[Problem] = []

    def finish(self) -> None:
        if self.problems:
            raise InvalidSignature(self.problems)

    def typed(self, where: tuple[str | int, ...], infer: Callable[[], Field]) -> list[Field]:
        """Return the field that *infer* finds, or record why there is none."""
        try:
            return [infer()]
        except UntypedValue as exc:
            self.problems.append(Problem(where, "wrong_type", str(exc)))
            return []

    def fields(self, data: object) -> list[Field]:
        if is_dataframe(data):
            return self.frame(list(data.columns), lambda i: data.iloc[:, i], pandas_column)
        if is_series(data):
            return self.frame([data.name], lambda _: data, pandas_column)
        if is_polars(data):
            columns = data.get_columns() if hasattr(data, "get_columns") else [data]
            return self.frame([c.name or None for c in columns], columns.__getitem__, polars_column)
        if speaks_arrow(data) or is_lazy(data):
            return self.table(data)
        if isinstance(data, list):
            return self.rows(data)
        if isinstance(data, dict):
            return self.members(data)
        return self.single(data)

    def frame(
        self, labels: list[Any], column: Callable[[int], Any], spec: Callable[[Any, Name], ColSpec]
    ) -> list[Field]:
        found: list[Field] = []
        seen: set[Name] = set()
        for position, label in enumerate(labels):
            try:
                name = _column_name(label)
                if name in seen:
                    raise UntypedValue("several columns have this name")
                seen.add(name)
                found.append(spec(column(position), name))
            except UntypedValue as exc:
                self.problems.append(Problem((self.part, str(label)), "wrong_type", str(exc)))
        return found

    def table(self, data: object) -> list[Field]:
        try:
            refuse_query(data)
            table = to_arrow(data)
        except Unfit as exc:
            self.problems.append(exc.problem(self.part))
            return []
        return self.frame([name or None for name in table.column_names], table.column, arrow_column)

    def rows(self, data: list[Any]) -> list[Field]:
        if not data:
            return [ColSpec(type="string")]  # MLflow's answer since 2.9
        if not all(isinstance(row, dict) for row in data):
            return self.typed((self.part,), lambda: _list_column(data, None, required=True, rows=len(data)))
        columns: dict[object, list[object]] = {}
        for row in data:
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
        required = {name: all(row.get(name) is not None for row in data) for name in columns}
        return self.named(
            columns, lambda name, values: _list_column(values, name, required=required[name], rows=len(data))
        )

    def members(self, data: dict[Any, Any]) -> list[Field]:
        if data and all(is_ndarray(value) or framework_tensor(value) for value in data.values()):
            return self.named(data, lambda name, value: _tensor(value, name))
        return self.named(data, _record_member)

    def named(self, members: Mapping[Any, Any], spec: Callable[[str, Any], Field]) -> list[Field]:
        found: list[Field] = []
        for name, value in members.items():
            where = (self.part, str(name))
            if isinstance(name, str):
                found += self.typed(where, lambda name=name, value=value: spec(name, value))  # type: ignore[misc]
            else:
                message = f"names must be text, not a {type(name).__name__}"
                self.problems.append(Problem(where, "wrong_type", message))
        return found

    def single(self, data: object) -> list[Field]:
        if is_ndarray(data) or is_sparse(data) or framework_tensor(data):
            return self.typed((self.part,), lambda: _tensor(data, None))
        if dataclasses.is_dataclass(data):
            cls = data if isinstance(data, type) else type(data)
            properties = dataclass_properties(cls, (self.part,))
            return [ColSpec(type=p.type, name=p.name, required=p.required) for p in properties]
        return self.typed((self.part,), lambda: _scalar_column(data))


def _column_name(label: object) -> Name:
    if label is None:
        return None
    if isinstance(label, str):
        return str(label)
    if isinstance(label, Integral) and not isinstance(label, bool):  # numpy's integers too
        return int(label)
    if isinstance(label, tuple):
        raise UntypedValue("a signature has no multi-level columns. Hint: join the levels to one text")
    raise UntypedValue(f"a column's name must be text or an integer, not a {type(label).__name__}")


def _list_column(values: list[object], name: str | None, *, required: bool, rows: int) -> ColSpec:
    kind = array_items(values)
    if kind is None:
        raise UntypedValue("it holds only empty arrays, which do not tell their type")
    # Truth values with gaps pass as the objects they are, as in MLflow.
    has_gaps = kind in INTEGERS and (len(values) < rows or any(map(is_missing, values)))
    return ColSpec(type=kind, name=name, required=required, nullable=True if has_gaps else None)


def _record_member(name: str, value: object) -> ColSpec:
    kind = value_type(value)
    if kind is None:
        raise UntypedValue("an empty array does not tell its type")
    missing = any(map(is_missing, value)) if isinstance(value, list) else is_missing(value)
    return ColSpec(type=kind, name=name, required=not missing)


def _scalar_column(value: object) -> ColSpec:
    try:
        kind = value_type(value)
    except UntypedValue as exc:
        raise UntypedValue(
            f"{exc}. Known are frames (pandas, polars, Arrow), arrays, sparse matrices, dicts of arrays, lists, "
            "dicts and scalars"
        ) from exc
    assert kind is not None, "only arrays are undetermined, and they are tensors"
    return ColSpec(type=kind)


def _array_column(array: Any) -> ColSpec:
    kind = dtype_scalar(array.dtype) or array_items(array.tolist())
    if kind is None:
        raise UntypedValue("an empty array of objects does not tell its type")
    return ColSpec(type=kind)


def _tensor(data: Any, name: str | None) -> TensorSpec:
    dtype = data.dtype
    if framework_tensor(data) and not hasattr(dtype, "kind"):
        dtype = _framework_dtype(data)
    shape = tuple(int(size) for size in data.shape)
    return TensorSpec(dtype=_dtype_name(dtype), shape=(-1, *shape[1:]) if shape else (), name=name)


def _framework_dtype(data: Any) -> Any:
    import numpy

    # torch writes "torch.float32"; TensorFlow's DType has as_numpy_dtype, which for bfloat16 is no numpy type.
    name = str(data.dtype).removeprefix("torch.") if framework_tensor(data) == "torch" else data.dtype.name
    try:
        return numpy.dtype({"string": "object"}.get(name, name))
    except TypeError as exc:
        raise UntypedValue(f"the dtype {name} is unknown to numpy. Hint: convert it to float32") from exc


def _dtype_name(dtype: Any) -> str:
    if dtype.kind in "US":
        return "str" if dtype.kind == "U" else "bytes"
    if dtype.kind == "f" and dtype.itemsize > 8:
        return "longdouble"  # numpy's own name, float128, is unknown where it is 80 or 64 bits wide
    if dtype.kind in "biufcmMO" and dtype.itemsize <= 16:
        return str(dtype.name)
    raise UntypedValue(f"arrays of the dtype {dtype} have no type in a signature")


def _param(name: str, value: object) -> ParamSpec:
    if is_ndarray(value):
        if value.ndim != 1:
            raise UntypedValue(f"a param is a scalar, a flat list or a dict, not a {value.ndim}-D array")
        value = list(value)
    value = _builtin(value) if isinstance(value, dict) else value
    kind = _list_param_type(value) if isinstance(value, list) else _single_param_type(value)
    shape: tuple[int] | None = (-1,) if isinstance(value, list) else None
    default = convert_param(value, kind, shape)
    _check_storable(default)
    return ParamSpec(name=name, type=kind, default=default, shape=shape)


def _single_param_type(value: object) -> Scalar | Object:
    kind = value_type(value)
    if kind == "binary":
        raise UntypedValue("binary params do not exist. Hint: pass base64 text")
    if isinstance(kind, str | Object):
        return kind
    raise UntypedValue("a default of None, NaN or {} does not tell the param's type. Hint: give a typical value")


def _list_param_type(values: list[Any]) -> Scalar:
    if not values:
        raise UntypedValue("an empty list does not tell the type of its items. Hint: give a typical item")
    kinds = {value_type(value) for value in values}
    if len(kinds) == 1 and isinstance(kind := next(iter(kinds)), str) and kind != "binary":
        return kind
    if kinds <= NUMBERS:
        return "long" if kinds <= INTEGERS.keys() else "double"
    raise UntypedValue("the items of a list param must be scalars of one type (text, numbers, booleans or datetimes)")


def _builtin(value: object) -> object:
    """Replace numpy's arrays and scalars inside a dict, which the signature's JSON cannot hold."""
    if isinstance(value, dict):
        return {name: _builtin(member) for name, member in value.items()}
    if isinstance(value, list) or is_ndarray(value):
        return [_builtin(item) for item in cast("Iterable[object]", value)]
    return value.item() if is_numpy_scalar(value) else value


def _check_storable(value: object) -> None:
    """Refuse what the signature's JSON cannot hold."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UntypedValue("NaN and infinity cannot be stored as a default")
    if isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(value, dict) and isinstance(item, date | bytes | bytearray):
                raise UntypedValue(f"a {type(item).__name__} inside a dict cannot be stored as a default")
            _check_storable(item)
