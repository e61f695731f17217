"""``instances`` and ``inputs`` of TensorFlow Serving's REST API as data for a model."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from palate.errors import InvalidInput, Problem
from palate.serving.protocols._fields import TensorField
from palate.serving.protocols._json_arrays import (
    Array,
    Leaves,
    Where,
    object_array,
    plain_array,
    read_lists,
    refuse,
    round_decimals,
)
from palate.serving.protocols._model_input import compile_form
from palate.signature import Signature

__all__ = ["TfForm", "decode_base64"]

_WHOLE = "all columns at once"
_RAW = ("nested", "object")


class TfForm:
    """How the data of a request becomes the data of a call; safe to share between threads."""

    __slots__ = ("_fields", "_form", "_is_batch", "_is_table", "_names", "_required", "_tables")

    def __init__(self, signature: Signature) -> None:
        schema = signature.inputs
        self._form = compile_form(signature, nested_text=False)
        self._fields = {field.name: field for field in self._form.fields}
        self._names = list(self._fields)
        self._is_batch = signature.from_type_hints
        self._is_table = schema is not None and not schema.is_tensor
        optional = {str(column.name) for column in schema.columns if not column.required} if schema else set()
        self._required = [name for name in self._names if name not in optional]
        self._tables = self._is_table and not optional and all(_is_number(field) for field in self._form.fields)

    def read_instances(self, instances: object) -> object:
        """Return rows as data. Raises InvalidInput: they are no rows of the signature's."""
        where = ("instances",)
        if not isinstance(instances, list):
            raise refuse(where, "wrong_type", "must be a list")
        if self._is_batch:
            return instances
        if not instances:
            return self._form.assemble({name: _empty(field) for name, field in self._fields.items()} or _NO_ROWS)
        objects = sum(type(row) is dict and not _is_base64(row) for row in instances)
        if objects not in (0, len(instances)):
            raise refuse(where, "wrong_type", "must be objects all, or none of them")
        if objects:
            return self._form.assemble(self._from_records(instances))
        return self._form.assemble(self._from_rows(instances, where))

    def read_inputs(self, inputs: object) -> object:
        """Return inputs by name, or the only one, as data. Raises InvalidInput: they are not the signature's."""
        if self._is_batch:
            return inputs
        if not isinstance(inputs, dict) or _is_base64(inputs):
            return self._form.assemble(self._from_rows(inputs, ("inputs",)))
        self._check_names([inputs], self._required)
        return self._form.assemble({name: self._read(name, value) for name, value in inputs.items()})

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _from_records(self, rows: list[dict[str, Any]]) -> dict[str, Array]:
        if self._tables and all(len(row) == len(self._names) for row in rows):
            try:
                return {_WHOLE: self._whole(list(chain.from_iterable(map(itemgetter(*self._names), rows))))}
            except (KeyError, TypeError, InvalidInput):
                pass  # told below, with the name of the column
        names = self._names or list(rows[0])
        self._check_names(rows, self._required or names)
        given = [name for name in names if any(name in row for row in rows)]
        return {name: self._read(name, [row.get(name) for row in rows]) for name in given}

    def _whole(self, cells: list[Any]) -> Array:
        shape = (len(cells) // len(self._names), len(self._names))
        array = plain_array(Leaves(cells, shape, set(map(type, cells))), ("instances",))
        if array.dtype == object:
            raise refuse(("instances",), "missing", "holds null where numbers are")
        types = {field.type for field in self._fields.values()}
        return _round(array, types.pop() if len(types) == 1 else "", ("instances",)).reshape(shape)

    def _from_rows(self, rows: Any, where: Where) -> dict[str, Array]:
        """Read rows without names, or the only input: of a table a list of cells each, or one of its only column."""
        if not self._is_table or len(self._names) == 1:
            return {self._only(where): self._read(self._only(where), rows)}
        wide = len(self._names)
        if not isinstance(rows, list) or any(type(row) is not list or len(row) != wide for row in rows):
            raise refuse(where, "wrong_shape", f"needs rows that are objects, or lists of {wide} cells")
        if self._tables:
            try:
                return {_WHOLE: self._whole(list(chain.from_iterable(rows)))}
            except InvalidInput:
                pass  # told below, with the name of the column
        columns = zip(*rows, strict=True) if rows else [()] * wide
        return {name: self._read(name, list(cells)) for name, cells in zip(self._names, columns, strict=True)}

    def _only(self, where: Where) -> str:
        if len(self._names) > 1:
            raise refuse(where, "wrong_type", f"needs objects, for the model has {len(self._names)} inputs")
        return self._names[0] if self._names else "input-0"

    def _check_names(self, rows: Sequence[Mapping[str, Any]], required: Sequence[str]) -> None:
        """Refuse names that are not the signature's, and the lack of those that are; any are right without one."""
        given = set().union(*rows)
        unknown = sorted(given.difference(self._names)) if self._names else []
        missing = [name for name in required if any(name not in row for row in rows)]
        problems = [Problem(("inputs", f"{name:.60}"), "extra", "the model has no such input") for name in unknown]
        problems += [Problem(("inputs", name), "missing", "this input is missing") for name in missing]
        if problems:
            raise InvalidInput(problems)

    def _read(self, name: str, value: Any) -> Array:
        """Return what JSON has for one input as an array."""
        field, where = self._fields.get(name), ("inputs", f"{name:.60}")
        if field is not None and field.column and field.type in _RAW:
            if not isinstance(value, list):
                raise refuse(where, "wrong_shape", "needs a list with a value for each row")
            return object_array(value)
        if isinstance(value, list) and not value and field is not None:
            return _empty(field)
        leaves = read_lists(value, where)
        if dict in leaves.kinds:
            leaves = _decode_all(leaves, where)
        return _round(plain_array(leaves, where), field.type if field else "", where).reshape(leaves.shape)


# -- values ------------------------------------------------------------------------------------------------------------


def _is_number(field: TensorField) -> bool:
    return field.column and field.type in ("float32", "float64", "int32", "int64")


def _empty(field: TensorField) -> Array:
    """Return no rows of a field."""
    tail = tuple(0 if size == -1 else size for size in field.shape[1:])
    return np.empty((0, *tail), object if field.type in (*_RAW, "text", "bytes", "moment") else field.type)


_NO_ROWS = {"input-0": np.empty(0, dtype=np.float64)}


def _round(array: Array, kind: str, where: Where) -> Array:
    """Return decimals as the field's floats; JSON gives them no type."""
    if kind in ("float16", "float32") and array.dtype == np.float64:
        return round_decimals(array, np.dtype(kind), where)
    return array


def _is_base64(value: Mapping[Any, Any]) -> bool:
    return len(value) == 1 and isinstance(value.get("b64"), str)


def _decode_all(leaves: Leaves, where: Where) -> Leaves:
    items = [decode_base64(item, where) if isinstance(item, dict) else item for item in leaves.items]
    return Leaves(items, leaves.shape, set(map(type, items)))


def decode_base64(value: Mapping[Any, Any], where: Where) -> bytes:
    """Return the bytes that ``{"b64": "…"}`` stands for. Raises InvalidInput for another object, and for no base64."""
    if not _is_base64(value):
        raise refuse(where, "wrong_type", 'holds an object that is not {"b64": "…"}')
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError) as exc:
        raise refuse(where, "wrong_value", "holds text under b64 that is not base64") from exc
