"""What a signature promises of the outputs, as Arrow's types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from palate.schema import AnyType, Array, ColSpec, FieldType, Map, Object, Schema, SparkVector, TensorSpec

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NAMELESS", "number_names", "output_fields"]


NAMELESS: Final = "prediction"
"""What a column of predictions is called that nothing names; of several, with their numbers."""


def number_names(name: str, count: int) -> list[str]:
    """Return what several columns of one name are called: name_0, name_1, …; the name itself if there is only one."""
    return [name] if count == 1 else [f"{name}_{place}" for place in range(count)]


def output_fields(outputs: Schema | None) -> tuple[pa.Field, ...] | None:
    """Return the columns that predictions become, with the names that they are given; None where that is not told."""
    if outputs is None or not len(outputs):
        return None
    fields: list[pa.Field] = []
    for spec, nameless in zip(outputs, number_names(NAMELESS, len(outputs)), strict=True):
        name = nameless if spec.name is None else str(spec.name)
        found = _tensor_fields(spec, name) if isinstance(spec, TensorSpec) else _column_fields(spec, name)
        if found is None:
            return None
        fields += found
    return tuple(fields)


def _column_fields(spec: ColSpec, name: str) -> list[pa.Field] | None:
    import pyarrow as pa

    kind = _arrow_type(spec.type)
    return None if kind is None else [pa.field(name, kind)]


def _tensor_fields(spec: TensorSpec, name: str) -> list[pa.Field] | None:
    """Return one column for a tensor of one dimension, one for each column of a matrix, lists for more dimensions."""
    import numpy as np
    import pyarrow as pa

    if any(size < 0 for size in spec.shape[1:]):
        return None
    try:
        kind: Any = pa.string() if spec.dtype in ("str", "object") else pa.from_numpy_dtype(np.dtype(spec.dtype))
    except (pa.ArrowException, TypeError):
        return None
    if len(spec.shape) == 2:
        return [pa.field(column, kind) for column in number_names(name, spec.shape[1])]
    for size in reversed(spec.shape[1:]):
        kind = pa.list_(kind, size)
    return [pa.field(name, kind)]


def _arrow_type(kind: FieldType) -> Any:
    """Return Arrow's type for values of that type; None where values of several types may be meant."""
    import pyarrow as pa

    match kind:
        case AnyType():
            return None
        case Array(items=items):
            inner = _arrow_type(items)
            return None if inner is None else pa.list_(inner)
        case SparkVector():
            return pa.list_(pa.float64())
        case Map(values=values):
            inner = _arrow_type(values)
            return None if inner is None else pa.map_(pa.string(), inner)
        case Object(properties=properties):
            members = [(member.name, _arrow_type(member.type)) for member in properties]
            return None if any(inner is None for _, inner in members) else pa.struct(members)
        case _:
            return pa.type_for_alias(_SCALARS[kind])


_SCALARS = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "string",
    "binary": "binary",
    "datetime": "timestamp[us]",
}
