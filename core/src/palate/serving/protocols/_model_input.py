"""Named arrays, as clients send them, put together to what a signature takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from palate.errors import DependencyMissing, InvalidInput, Problem
from palate.matrix import Matrix
from palate.schema import ColSpec
from palate.serving._json import parse_json
from palate.serving.errors import MalformedBody
from palate.serving.protocols._fields import TensorField, tensor_fields
from palate.serving.protocols._json_arrays import Array, Where, object_array, refuse, refuse_wide_text
from palate.signature import Signature

__all__ = ["InputForm", "compile_form", "decode_cells"]


class InputForm(Protocol):
    """How arrays become the data of a call."""

    fields: tuple[TensorField, ...]

    def assemble(self, arrays: Mapping[str, Array]) -> object:
        """Return the data for ``PyFuncModel.call``.

        Args:
            arrays: by the names that the client gives them; text is an array of objects, of str or bytes.

        Raises:
            InvalidInput: an array has no place in the signature, or columns are not of one length.
            DependencyMissing: the model has columns, and pandas is not installed.
        """


def compile_form(signature: Signature, *, nested_text: bool) -> InputForm:
    """Return how arrays become what *signature* takes.

    Args:
        signature: of the model; all methods have the same inputs.
        nested_text: whether nested values come as text, which is JSON, and not as what it says.
    """
    fields = tensor_fields(signature.inputs, word="input")
    if signature.inputs is None:
        return _OpenForm()
    if signature.inputs.is_tensor:
        return _NamedTensors(fields) if signature.inputs.is_named else _OneTensor(fields)
    if signature.from_type_hints:
        return _Batch(fields, nested_text=nested_text)
    return _Columns(signature.inputs.columns, fields, nested_text=nested_text)


# -- cells of text -----------------------------------------------------------------------------------------------------


def decode_cells(array: Array, kind: str, where: Where) -> Array:
    """Return an array with its text as a field of this type has it: str, bytes, or the values that JSON says.

    Raises:
        InvalidInput: text is not UTF-8, or no JSON where it has to be.
    """
    convert = None if array.dtype != object else _CELLS.get(kind, _to_text)
    if convert is None or not array.size:
        return array
    try:
        cells = [None if cell is None else convert(cell) for cell in array.ravel().tolist()]
    except UnicodeDecodeError as exc:
        raise refuse(where, "wrong_value", "holds text that is not UTF-8") from exc
    except MalformedBody as exc:
        raise refuse(where, "wrong_value", "holds text that is not JSON, which stands for nested values here") from exc
    return object_array(cells).reshape(array.shape)


def _to_text(cell: Any) -> Any:
    return cell.decode() if isinstance(cell, bytes) else cell


def _to_bytes(cell: Any) -> Any:
    return cell.encode() if isinstance(cell, str) else cell


def _to_value(cell: Any) -> Any:
    return parse_json(_to_bytes(cell)) if isinstance(cell, str | bytes) else cell


_CELLS: Mapping[str, Callable[[Any], Any]] = {"bytes": _to_bytes, "nested": _to_value}


def _cell_type(field: TensorField, *, nested_text: bool) -> str:
    return "object" if field.type == "nested" and not nested_text else field.type


# -- tensors -----------------------------------------------------------------------------------------------------------


class _OpenForm:
    """No declared inputs: one array as it is, several as a dict."""

    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: tuple[TensorField, ...] = ()

    def assemble(self, arrays: Mapping[str, Array]) -> object:
        if not arrays:
            raise refuse(("inputs",), "missing", "needs at least one input")
        decoded = {name: decode_cells(array, "object", ("inputs", name)) for name, array in arrays.items()}
        return decoded if len(decoded) > 1 else next(iter(decoded.values()))


def _decode_tensor(array: Array, kind: str, where: Where) -> Array:
    decoded = decode_cells(array, kind, where)
    if kind in ("text", "bytes") and decoded.dtype == object and decoded.size:
        longest = max((len(cell) for cell in decoded.flat if isinstance(cell, str | bytes)), default=0)
        refuse_wide_text(decoded.size, longest, where)
    return decoded


class _OneTensor:
    """One tensor, which the signature does not name, so that any name is right."""

    __slots__ = ("fields",)

    def __init__(self, fields: tuple[TensorField, ...]) -> None:
        self.fields = fields

    def assemble(self, arrays: Mapping[str, Array]) -> object:
        _refuse_unknown(list(arrays)[1:], self.fields)
        return _decode_tensor(next(iter(arrays.values())), self.fields[0].type, ("inputs",))


class _NamedTensors:
    """Tensors by name."""

    __slots__ = ("_types", "fields")

    def __init__(self, fields: tuple[TensorField, ...]) -> None:
        self.fields = fields
        self._types = {field.name: field.type for field in fields}

    def assemble(self, arrays: Mapping[str, Array]) -> object:
        _refuse_unknown([name for name in arrays if name not in self._types], self.fields)
        return {name: _decode_tensor(array, self._types[name], ("inputs", name)) for name, array in arrays.items()}


def _refuse_unknown(names: list[str], fields: tuple[TensorField, ...]) -> None:
    if names:
        known = ", ".join(f"{field.name:.60}" for field in fields[:20])
        message = f"the model has no such input (it has: {known}{', …' if len(fields) > 20 else ''})"
        raise InvalidInput([Problem(("inputs", f"{name:.60}"), "extra", message) for name in names])


# -- columns -----------------------------------------------------------------------------------------------------------


class _Columns:
    """Columns: a tensor each, of shape [n] or [n, 1]; or all of them as one of shape [n, columns], in their order."""

    __slots__ = ("_columns", "_floats", "_labels", "_types", "fields")

    def __init__(self, specs: tuple[ColSpec, ...], fields: tuple[TensorField, ...], *, nested_text: bool) -> None:
        self.fields = fields
        # A name that stands there twice counts as the last of them, as in MLflow.
        self._types = {field.name: _cell_type(field, nested_text=nested_text) for field in fields}
        pairs = zip(fields, specs, strict=True)
        self._labels = {
            field.name: place if spec.name is None else spec.name for place, (field, spec) in enumerate(pairs)
        }
        self._columns = tuple(self._labels.values())
        types = set(self._types.values())
        self._floats = np.dtype(types.pop()) if types in ({"float32"}, {"float64"}) else None

    def assemble(self, arrays: Mapping[str, Array]) -> object:
        if len(arrays) == 1:
            name, array = next(iter(arrays.items()))
            if name not in self._types and (whole := self._whole(array)) is not None:
                return whole
        _refuse_unknown([name for name in arrays if name not in self._types], self.fields)
        if not self.fields[0].named and (missing := self._types.keys() - arrays.keys()):
            problems = [Problem(("inputs", name), "missing", "this column is missing") for name in sorted(missing)]
            raise InvalidInput(problems)
        return self._frame({name: self._cells(name, array) for name, array in arrays.items()})

    def _whole(self, array: Array) -> object:
        """Return one array as all columns, or None when it is not of their number."""
        if array.ndim == 1 and len(self._types) == 1:
            array = array.reshape(-1, 1)
        if array.ndim != 2 or array.shape[1] != len(self._types):
            return None
        if array.dtype != object:
            return self._matrix(array)
        return self._frame({name: self._cells(name, array[:, place]) for place, name in enumerate(self._types)})

    def _cells(self, name: str, array: Array) -> Array:
        where = ("inputs", name)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise refuse(where, "wrong_shape", f"a column is a tensor of shape [n] or [n, 1], not {list(array.shape)}")
        return decode_cells(array, self._types[name], where)

    def _frame(self, columns: dict[str, Array]) -> object:
        names = [name for name in self._types if name in columns]
        arrays = [columns[name] for name in names]
        if len(set(map(len, arrays))) > 1:
            raise refuse(("inputs",), "wrong_shape", "the columns are not of one length")
        dtypes = {array.dtype for array in arrays}
        if len(dtypes) == 1 and object not in dtypes and len(names) == len(self._types):
            return self._matrix(np.stack(arrays, axis=1))
        frame = _pandas().DataFrame(dict(enumerate(arrays)))
        frame.columns = [self._labels[name] for name in names]
        return frame

    def _matrix(self, values: Array) -> Matrix:
        if self._floats is not None and values.dtype.kind == "f" and values.dtype.itemsize < self._floats.itemsize:
            values = values.astype(self._floats)  # which changes no value, and is what the model takes as it is
        return Matrix(values, self._columns)


class _Batch:
    """The input of a function with type hints: a list, with an item for each row."""

    __slots__ = ("_type", "fields")

    def __init__(self, fields: tuple[TensorField, ...], *, nested_text: bool) -> None:
        self.fields = fields
        self._type = _cell_type(fields[0], nested_text=nested_text)

    def assemble(self, arrays: Mapping[str, Array]) -> object:
        _refuse_unknown(list(arrays)[1:], self.fields)
        array = next(iter(arrays.values()))
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        return decode_cells(array, self._type, ("inputs",)).tolist()


def _pandas() -> Any:
    try:
        import pandas as pd
    except ImportError as exc:
        raise DependencyMissing("pandas", needed_for="A model with columns", install="palate[pandas]") from exc
    return pd
