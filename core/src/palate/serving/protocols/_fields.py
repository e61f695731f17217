"""What a signature looks like to protocols that know tensors only: named, of one type and shape each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.schema import AnyType, ColSpec, Schema, TensorSpec

__all__ = ["TensorField", "tensor_fields"]

_COLUMN_TYPES = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "text",
    "binary": "bytes",
    "datetime": "moment",
}
_KINDS = {"U": "text", "S": "bytes", "O": "object", "M": "moment"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorField:
    """One input or output as a tensor.

    Attributes:
        name: its name; of fields without names "input-0", "input-1", … or "output-0", ….
        type: a numpy dtype's name for numbers and truth values; "text", "bytes", "moment" (ISO 8601 text), "nested"
            (JSON) or "object" (anything).
        shape: the size of each dimension, -1 for any.
        named: whether the signature gives the name.
        column: whether it is a column of a table.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    named: bool
    column: bool


def tensor_fields(schema: Schema | None, *, word: str) -> tuple[TensorField, ...]:
    """Return the fields of *schema* as tensors, a column as one of shape [-1]; none where there is no schema.

    Args:
        schema: the inputs or outputs of a signature.
        word: "input" or "output", which the names of fields without one are made of.
    """
    return tuple(_field(spec, place, word) for place, spec in enumerate(schema or ()))


def _field(spec: ColSpec | TensorSpec, place: int, word: str) -> TensorField:
    named = spec.name is not None
    name = str(spec.name) if named else f"{word}-{place}"
    if isinstance(spec, TensorSpec):
        dtype = np.dtype(spec.dtype)
        kind = _KINDS.get(dtype.kind, dtype.name)
        return TensorField(name=name, type=kind, shape=spec.shape, named=named, column=False)
    return TensorField(name=name, type=_column_type(spec), shape=(-1,), named=named, column=True)


def _column_type(spec: ColSpec) -> str:
    if isinstance(spec.type, str):
        return _COLUMN_TYPES[spec.type]
    return "object" if isinstance(spec.type, AnyType) else "nested"
