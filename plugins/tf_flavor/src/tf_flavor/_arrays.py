"""What callers give and get: arrays by name, whatever container the data came in."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from palate.errors import InvalidInput, Problem

__all__ = ["Specs", "as_arrays", "name_outputs"]

# The inputs of a model by name: shape (None for any size) and dtype.
Specs = Mapping[str, tuple[tuple[int | None, ...], str]]


def as_arrays(data: Any, specs: Specs) -> Any:
    """Return *data* as an array, or as a dict of arrays by input name; what a model takes beyond that stays."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return _from_frame(data, specs)
    if isinstance(data, Mapping):
        return {name: _as_array(value) for name, value in data.items()}
    if isinstance(data, list | tuple) and data and all(hasattr(item, "shape") for item in data):
        return type(data)(_as_array(item) for item in data)
    return _as_array(data)


def _as_array(value: Any) -> Any:
    """Return an array of what numpy knows, or a tensor's numbers; sparse and ragged tensors stay what they are."""
    import numpy as np

    if isinstance(value, np.ndarray):
        return value
    if type(value).__module__.partition(".")[0] in ("tensorflow", "torch", "jax", "jaxlib"):
        return _from_tensor(value)
    return np.asarray(value)


def _from_tensor(value: Any) -> Any:
    import numpy as np

    if hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    dense = hasattr(value, "numpy") and not hasattr(value, "row_splits") and not hasattr(value, "dense_shape")
    return np.asarray(value) if dense or hasattr(value, "__array__") else value


def _from_frame(frame: Any, specs: Specs) -> Any:
    """Return a frame's columns by input name, or all of them as the rows of a model's only input."""
    if len(specs) > 1 or (len(specs) == 1 and list(frame.columns) == list(specs)):
        missing = [name for name in specs if name not in frame.columns]
        if missing:
            raise InvalidInput(
                [
                    Problem(("inputs", name), "missing", "the model has an input of that name, and the frame no column")
                    for name in missing
                ]
            )
        columns = {name: _from_column(frame[name], *spec) for name, spec in specs.items()}
        return columns if len(columns) > 1 else next(iter(columns.values()))
    dtype = next(iter(specs.values()))[1] if specs else None
    if dtype in ("float16", "float32", "float64"):  # a gap in a column of integers is NaN, as in one of floats
        return frame.to_numpy(dtype=dtype, na_value=float("nan"))
    array = frame.to_numpy()
    return array if dtype in (None, "string") else array.astype(dtype)


def _from_column(column: Any, shape: tuple[int | None, ...], dtype: str) -> Any:
    """Return a column as one input: a cell is a row of it, a number or a list."""
    import numpy as np

    cells = column.to_numpy()
    if cells.dtype == object and len(cells) and isinstance(cells[0], list | tuple | np.ndarray):
        cells = np.stack([np.asarray(cell) for cell in cells])
    if dtype != "string":
        cells = cells.astype(dtype)
    elif cells.dtype.kind not in "OSU":
        cells = cells.astype(object)
    return cells.reshape(-1, 1) if cells.ndim == 1 and len(shape) == 2 and shape[1] in (1, None) else cells


def name_outputs(outputs: Any, names: Sequence[str]) -> Any:
    """Return one output as an array, and several as a dict of arrays by name."""
    if isinstance(outputs, Mapping):
        return {key: value for name in outputs for key, value in _named(str(name), outputs[name])}
    if not isinstance(outputs, list | tuple):
        return _as_array(outputs)
    if len(outputs) == 1:
        return name_outputs(outputs[0], names)
    known = list(names) if len(set(names)) == len(outputs) else [f"output_{place}" for place in range(len(outputs))]
    return {key: value for name, output in zip(known, outputs, strict=True) for key, value in _named(name, output)}


def _named(name: str, output: Any) -> Iterator[tuple[str, Any]]:
    """Yield what stands under a name: an array, or the arrays of a structure, whose places join the name."""
    if isinstance(output, Mapping):
        for key in output:
            yield from _named(f"{name}_{key}", output[key])
    elif isinstance(output, list | tuple):
        for place, value in enumerate(output):
            yield from _named(f"{name}_{place}", value)
    else:
        yield name, _as_array(output)
