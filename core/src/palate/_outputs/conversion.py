"""Predictions in the container that the caller asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from palate._containers.frames import require_pandas
from palate._containers.kinds import is_dataframe, is_ndarray, is_pandas_array, is_series, speaks_arrow
from palate._containers.unfit import Unfit
from palate._outputs.arrays import column_array, is_column, plain_array
from palate._outputs.columns import Columns, has_labels, named_outputs, read_columns
from palate._outputs.container import check_container
from palate._outputs.frames import to_arrow_table, to_pandas_frame, to_polars_frame
from palate.errors import UnsupportedOutput
from palate.schema import Schema

__all__ = ["convert_output"]

_FRAMES: dict[str, Callable[[Columns], Any]] = {
    "pandas": to_pandas_frame,
    "polars": to_polars_frame,
    "arrow": to_arrow_table,
}


def convert_output(predictions: object, container: str, *, method: str, schema: Schema | None, given: object) -> object:
    """Return the predictions of a model in a container.

    "numpy" is an ndarray; for several outputs, and for a frame with columns of several dtypes, a dict of them. The
    others are a DataFrame of pandas or polars or a pyarrow Table. Memory is shared where both sides have the same
    layout: columns of numbers that lie in one piece.

    Args:
        predictions: arrays, lists, scalars, sparse matrices or tensors; a dict or tuple of these; records; or a frame.
        container: "pandas", "polars", "arrow" or "numpy".
        method: the method that made them, which names columns that nothing else names.
        schema: the outputs of the signature, whose names unnamed columns take if it has as many.
        given: the input; its pandas index becomes that of as many predictions that have none.

    Raises:
        InvalidOption: there is no such container.
        UnsupportedOutput: the predictions have no form there that keeps their values.
        DependencyMissing: the package of the container is not installed.
    """
    check_container(container)
    answer = require_pandas().Series(predictions) if is_pandas_array(predictions) else predictions
    try:
        if container == "numpy":
            return _to_numpy(answer, method, schema)
        columns = read_columns(answer, method=method, schema=schema)
        frame = _FRAMES[container](columns)
    except Unfit as exc:
        raise UnsupportedOutput(container, reason=exc.message) from exc
    return _with_index(frame, predictions, given) if container == "pandas" else frame


def _with_index(frame: Any, predictions: object, given: Any) -> Any:
    if is_dataframe(predictions) or is_series(predictions) or not (is_dataframe(given) or is_series(given)):
        return frame
    return frame.set_axis(given.index) if len(given) == len(frame) and not has_labels(frame.index) else frame


# -- numpy -------------------------------------------------------------------------------------------------------------


def _to_numpy(predictions: Any, method: str, schema: Schema | None) -> Any:
    if is_ndarray(predictions):
        return predictions
    if is_column(predictions):
        return column_array(predictions)
    if is_dataframe(predictions) or speaks_arrow(predictions):
        return _table_arrays(read_columns(predictions, method=method, schema=schema))
    outputs = named_outputs(predictions, method=method, schema=schema)
    if outputs is None:
        return plain_array(predictions)
    return {name: plain_array(value) for name, value in outputs.items()}


def _table_arrays(columns: Columns) -> Any:
    import numpy as np

    if is_dataframe(columns.frame) and _has_one_dtype(columns.frame):
        return columns.frame.to_numpy()
    arrays = [column_array(column) for column in columns.cells]
    if len(arrays) == 1 and arrays[0].ndim > 1:
        return arrays[0]
    if len({array.dtype for array in arrays}) == 1 and all(array.ndim == 1 for array in arrays):
        return np.stack(arrays).T
    return dict(zip(columns.names, arrays, strict=True))


def _has_one_dtype(frame: Any) -> bool:
    import numpy as np

    kinds = set(frame.dtypes.tolist())
    return all(isinstance(kind, np.dtype) for kind in kinds) and len(kinds) <= 1
