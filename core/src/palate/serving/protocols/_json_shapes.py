"""Predictions as JSON data in the shapes of MLflow's server, whatever container the model gave them in.

The shapes are those of ``mlflow.pyfunc.scoring_server.predictions_to_json`` (MLflow 3.17), but that NaN, which JSON has
not, is null, and that what has no form there is an error and not a text of it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import date, time
from typing import Any

from palate.errors import UnsupportedOutput

__all__ = ["shape_predictions"]


def shape_predictions(output: Any) -> Any:
    """Return predictions as what ``dump_json`` takes: a frame as records, a Series as objects of one key.

    Raises:
        UnsupportedOutput: something in them has no form in JSON.
    """
    kind = type(output)
    if hasattr(output, "to_dicts"):  # polars, whose to_dict is another
        return [_members(row) for row in output.to_dicts()]
    if hasattr(output, "to_dict") and hasattr(output, "columns"):
        if not output.columns.is_unique:
            raise UnsupportedOutput("JSON", reason="two columns have the same name")
        return [_members(row) for row in output.to_dict(orient="records")]
    if hasattr(output, "to_frame") and hasattr(output, "dtype") and kind.__module__.partition(".")[0] == "pandas":
        name = "0" if output.name is None else str(output.name)
        return [{name: shape_predictions(item)} for item in output.tolist()]
    if hasattr(output, "to_pylist"):
        return [shape_predictions(row) for row in output.to_pylist()]
    if hasattr(output, "to_list") and kind.__module__.partition(".")[0] == "polars":
        return shape_predictions(output.to_list())
    if kind.__module__ == "numpy":
        return _shape_array(output)
    if isinstance(output, Mapping):
        return _members(output)
    if isinstance(output, list | tuple):
        return [shape_predictions(item) for item in output]
    return _shape_other(output)


def _members(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): shape_predictions(item) for name, item in row.items()}


def _shape_array(array: Any) -> Any:
    kind = array.dtype.kind
    if kind in "fiub" and array.dtype.itemsize <= 8 and array.ndim:
        return (
            array
            if array.flags.c_contiguous and array.dtype.isnative
            else array.astype(array.dtype.newbyteorder("="), order="C")
        )
    if array.dtype.char == "g":  # of which tolist makes the same again
        return _shape_array(array.astype(float)) if array.ndim else float(array)
    if kind == "c":
        raise UnsupportedOutput("JSON", reason="they are complex numbers")
    if kind == "m":
        raise UnsupportedOutput("JSON", reason="they are durations")
    return shape_predictions(array.tolist()) if array.ndim else _shape_other(array.item())


def _shape_other(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray):
        return base64.encodebytes(bytes(value)).decode("ascii")
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, date | time):
        return value.isoformat()
    if hasattr(value, "toarray"):
        return _shape_array(value.toarray())
    if hasattr(value, "detach"):
        return _shape_array(value.detach().cpu().numpy())
    if hasattr(value, "numpy"):
        return shape_predictions(value.numpy())
    if hasattr(value, "tolist"):
        return shape_predictions(value.tolist())
    raise UnsupportedOutput("JSON", reason=f"they hold a {type(value).__name__}")
