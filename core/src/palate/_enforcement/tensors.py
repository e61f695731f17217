"""Tensor signatures: arrays, lists, sparse matrices, framework tensors and frames checked against dtype and shape."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from palate._containers.arrays import tensor_array
from palate._containers.arrow import fixed_size_array, to_arrow
from palate._containers.exactness import cast_array, cast_list, hint_rounding, read_decimal
from palate._containers.frames import arrow_to_frame, refuse_query
from palate._containers.kinds import (
    has_names,
    is_array_like,
    is_dataframe,
    is_ndarray,
    is_scalar,
    is_series,
    is_sparse,
    is_tabular,
    speaks_arrow,
)
from palate._containers.unfit import Unfit
from palate._containers.wrapped import cast_with_gaps, plain_values
from palate.errors import InvalidInput, Problem
from palate.schema import TensorSpec

__all__ = ["NamedTensorPlan", "TensorPlan"]


class _Tensor:
    """One tensor of a signature."""

    __slots__ = ("_anything", "_array", "_dtype", "_kind", "_ragged", "_rank", "_shape", "_tail", "spec")

    def __init__(self, spec: TensorSpec) -> None:
        import numpy as np

        self.spec = spec
        self._array = np.ndarray
        self._dtype = np.dtype(spec.dtype)
        self._kind = self._dtype.kind
        self._shape = spec.shape
        self._rank = len(spec.shape)
        self._tail = spec.shape[1:] if spec.shape and spec.shape[0] == -1 and -1 not in spec.shape[1:] else None
        self._anything = self._kind == "O" and spec.shape == (-1,)
        self._ragged = self._rank > 1 and -1 in spec.shape[1:]

    def fits(self, data: Any) -> bool:
        """Tell whether *data* is an array that needs no conversion."""
        if not isinstance(data, self._array):
            return False
        if data.dtype != self._dtype and (self._kind not in "US" or data.dtype.kind != self._kind):
            return False
        shape = data.shape
        return bool(shape) and shape[1:] == self._tail if self._tail is not None else self._has_shape(shape)

    def _has_shape(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == self._rank and all(a in (-1, b) for a, b in zip(self._shape, shape, strict=True))

    def convert(self, data: Any) -> Any:
        """Return *data* as this tensor. Raises Unfit."""
        if self.fits(data):
            return data
        if is_sparse(data):
            return self._convert_sparse(data)
        if has_names(data) and not self._anything:
            message = f"needs an array of {self._text()}, got {type(data).__name__} with names"
            raise Unfit("wrong_type", message, hint="pass an array, or a DataFrame of the columns in their order")
        if is_ndarray(data):
            return self._convert_array(data)
        if is_dataframe(data):
            return self.convert_frame(data)
        if isinstance(data, list | tuple):
            return self._convert_list(data)
        if is_series(data):
            return self.convert_frame(data.to_frame())
        if speaks_arrow(data):
            return self._convert_table(to_arrow(data))
        if is_array_like(data):
            return self.convert(tensor_array(data))
        if is_scalar(data) and not self._shape:
            return self._convert_list(data)
        refuse_query(data)
        raise Unfit("wrong_type", f"needs an array of {self._text()}, got {type(data).__name__}")

    def _text(self) -> str:
        sizes = ", ".join("any" if size == -1 else str(size) for size in self._shape)
        return f"{self.spec.dtype} with shape ({sizes})"

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if not self._has_shape(shape):
            raise Unfit("wrong_shape", f"needs {self._text()}, got shape {shape}")

    def _convert_array(self, array: Any) -> Any:
        if self._anything or (self._ragged and array.ndim == 1 and array.dtype == object):
            return array
        self._check_shape(array.shape)
        try:
            return cast_array(array, self._dtype)
        except Unfit as exc:
            raise hint_rounding(exc, array.dtype, self._dtype, f"data.astype('{self.spec.dtype}')") from exc

    def _convert_list(self, items: Any) -> Any:
        import numpy as np

        # Decimals in a list, as in JSON, are of no type before the signature gives them one; an array's have chosen.
        array = self._round(cast_list(items, np.dtype(float if self._kind == "f" else self._dtype)))
        self._check_shape(array.shape)
        return array

    def _convert_sparse(self, matrix: Any) -> Any:
        if matrix.format not in ("csr", "csc", "coo"):
            matrix = matrix.tocsr()
        if self._anything:
            return matrix
        self._check_shape(tuple(matrix.shape))
        if self._kind not in "biufc" or self._dtype.char == "e":  # scipy knows numbers only, and no float16
            raise Unfit("wrong_type", f"needs {self._text()}, which no sparse matrix holds")
        data = cast_array(matrix.data, self._dtype)
        return matrix if data is matrix.data else matrix.astype(self._dtype)

    def _convert_table(self, table: Any) -> Any:
        whole = fixed_size_array(table.column(0)) if table.num_columns == 1 else None
        if whole is not None and self._has_shape(whole.shape):
            return self._convert_array(whole)
        return self.convert_frame(arrow_to_frame(table), name="data.to_pandas()")

    # -- frames ------------------------------------------------------------------------------------------------------

    def convert_frame(self, frame: Any, *, name: str = "frame") -> Any:
        """Return the columns of a DataFrame, which hints call *name*, side by side, or its only one unfolded.

        Raises:
            Unfit: of the first column that does not fit.
        """
        if len(frame.columns) == 1:
            return self.convert_column(frame.iloc[:, 0])
        if self._shape != (-1, len(frame.columns)):
            raise Unfit("wrong_shape", f"needs {self._text()}, got a DataFrame with {len(frame.columns)} columns")
        import numpy as np

        if self._kind == "O" or all(dtype == self._dtype for dtype in frame.dtypes):
            return frame.to_numpy(dtype=self._dtype)
        stacked = np.empty(frame.shape, dtype=self._dtype)
        call = f"{name}.astype('{self.spec.dtype}')"
        arrays = [self._exact_column(frame.iloc[:, position], call) for position in range(len(frame.columns))]
        if self._kind in "US":
            return np.column_stack(arrays) if arrays else stacked
        for position, array in enumerate(arrays):
            stacked[:, position] = array
        return stacked

    def _exact_column(self, series: Any, call: str) -> Any:
        try:
            return cast_with_gaps(*plain_values(series), self._dtype)
        except Unfit as exc:
            hinted = hint_rounding(exc, series.dtype, self._dtype, call)
            raise Unfit(exc.kind, f"column {str(series.name)!r:.60} {exc.message}", hint=hinted.hint) from exc

    def convert_column(self, series: Any) -> Any:
        """Return one column, of scalars, lists or arrays, as this tensor. Raises Unfit."""
        import numpy as np

        if not self._shape or self._shape[0] != -1 or -1 in self._shape[1:]:
            raise Unfit("wrong_shape", f"no DataFrame unfolds to {self._text()}: only the first size may be any")
        if not len(series):
            return np.zeros((0, *self._shape[1:]), dtype=self._dtype)
        first = series.iloc[0]
        if is_ndarray(first) or isinstance(first, list | tuple):
            return self._unfold(series)
        if self._shape not in ((-1,), (-1, 1)):
            raise Unfit("wrong_shape", f"needs {self._text()}, got one column of {type(first).__name__}")
        values, missing = plain_values(series)
        if values.dtype == object and self._kind == "f":
            values = np.array([read_decimal(v) if isinstance(v, Decimal) else v for v in values.tolist()], dtype=object)
        wide = np.dtype(float if self._kind == "f" and values.dtype.kind in "Oiu" else values.dtype)
        return self._round(cast_with_gaps(values, missing, wide)).reshape(self._shape)

    def _unfold(self, series: Any) -> Any:
        import numpy as np

        cells = series.tolist()
        if any(map(is_ndarray, cells)):
            kinds = {cell.dtype for cell in cells if is_ndarray(cell)}
            if len(kinds) > 1 or not all(map(is_ndarray, cells)) or len({cell.shape for cell in cells}) > 1:
                raise Unfit("wrong_shape", "needs cells that are all arrays of one dtype and shape")
            array = cast_array(np.stack(cells), self._dtype)
        else:
            # In a list the type of the numbers is lost, so that MLflow rounds them to the type of the tensor.
            array = self._round(cast_list(cells, np.dtype(float if self._kind == "f" else self._dtype)))
        try:
            return array.reshape((len(cells), *self._shape[1:]))
        except ValueError as exc:
            raise Unfit("wrong_shape", f"needs {self._text()}, got {array.shape[1:]} in each cell") from exc

    def _round(self, values: Any) -> Any:
        import numpy as np

        if self._kind != "f" or values.dtype.kind != "f" or values.dtype == self._dtype:
            return cast_array(values, self._dtype)
        with np.errstate(all="ignore"):
            rounded = values.astype(self._dtype)
        if bool((np.isfinite(values) & ~np.isfinite(rounded)).any()):
            raise Unfit("wrong_value", f"holds values too large for {self._dtype}")
        return rounded


# -- plans -------------------------------------------------------------------------------------------------------------


class TensorPlan:
    """Enforces a signature of one unnamed tensor."""

    __slots__ = ("_fits", "_tensor")

    def __init__(self, spec: TensorSpec) -> None:
        self._tensor = _Tensor(spec)
        self._fits: Callable[[Any], bool] = self._tensor.fits

    def enforce(self, data: object) -> object:
        """Return *data* as the tensor, the same object where it fits already. Raises InvalidInput."""
        if self._fits(data):
            return data
        try:
            return self._tensor.convert(data)
        except Unfit as exc:
            raise exc.invalid_input() from exc


class NamedTensorPlan:
    """Enforces a signature of named tensors, which the model gets as a dict of arrays."""

    __slots__ = ("_names", "_tensors")

    def __init__(self, specs: tuple[TensorSpec, ...]) -> None:
        self._tensors = {str(spec.name): _Tensor(spec) for spec in specs}
        self._names = list(self._tensors)

    def enforce(self, data: object) -> object:
        """Return *data* as a dict of arrays, the same object where it fits already. Raises InvalidInput."""
        try:
            given = self._by_name(data)
        except Unfit as exc:
            raise exc.invalid_input() from exc
        if given is data and list(given) == self._names and all(t.fits(given[n]) for n, t in self._tensors.items()):
            return data
        return self._convert(given)

    def _by_name(self, data: Any) -> dict[Any, Any]:
        if isinstance(data, dict):
            return data
        if is_series(data):
            data = data.to_frame()
        elif speaks_arrow(data):
            return self._columns(to_arrow(data))
        elif is_ndarray(data) and data.dtype.names:
            return {name: data[name] for name in data.dtype.names}
        if is_dataframe(data):
            return {name: data[name] for name in self._names if name in data.columns}
        if len(self._names) == 1 and not is_tabular(data) and data is not None:
            return {self._names[0]: data}
        refuse_query(data)
        names = ", ".join(self._names)
        raise Unfit("wrong_type", f"needs a dict of arrays with the names {names}, got {type(data).__name__}")

    def _columns(self, table: Any) -> dict[str, Any]:
        given = table.column_names
        if len(set(given)) < len(given):
            frame = arrow_to_frame(table)
            return {name: frame[name] for name in self._names if name in given}
        return {name: table.column(name) for name in self._names if name in given}

    def _convert(self, given: dict[Any, Any]) -> dict[str, Any]:
        problems, converted = [], {}
        for name, tensor in self._tensors.items():
            if name not in given:
                problems.append(Problem(("inputs", name), "missing", "this input is missing"))
                continue
            value = given[name]
            try:
                if is_dataframe(value):
                    raise Unfit("wrong_shape", "needs one column of this name, got several")
                converted[name] = tensor.convert_column(value) if is_series(value) else tensor.convert(value)
            except Unfit as exc:
                problems.append(exc.problem("inputs", name))
        if problems:
            raise InvalidInput(problems)
        return converted
