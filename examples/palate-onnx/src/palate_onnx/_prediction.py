"""Rows in, predictions out: the feeds of a session as stock MLflow makes them, without its silent rounding."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from palate.errors import InvalidInput, Problem
from palate_onnx._casts import TYPES, cast
from palate_onnx._engine import Engine

__all__ = ["make_feeds", "run"]


def run(engine: Engine, data: Any, *, enforced: bool) -> Any:
    """Run the graph on *data*.

    Args:
        engine: the graph with its session.
        data: a DataFrame; a dict of arrays by the names of the inputs; or, for graphs of one input, an array.
        enforced: whether a signature of columns declares the types of *data*. What it declares wider than the graph
            takes (double for float32) is rounded, as in MLflow; without it only exact values pass.

    Returns:
        For a DataFrame whose rows each get one value of every output, a DataFrame; else a dict of what onnxruntime
        returns, by the names of the outputs.

    Raises:
        InvalidInput: inputs that are missing, or not of the type and rank that the graph takes.
    """
    session = engine.session
    feeds = make_feeds(data, session.get_inputs(), rounding=enforced)
    names = [output.name for output in session.get_outputs()]
    results = dict(zip(names, session.run(names, feeds), strict=True))
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame) and _is_table(results):
        return pandas.DataFrame({name: numpy.asarray(values).reshape(-1) for name, values in results.items()})
    return results


def make_feeds(data: Any, inputs: Sequence[Any], *, rounding: bool) -> dict[str, Any]:
    """Return an array for each input of a graph. Raises InvalidInput, with every problem."""
    problems: list[Problem] = []
    feeds = {}
    given = _arrays_by_name(data, inputs)
    for node in inputs:
        if node.name not in given:
            problems.append(Problem(("inputs", node.name), "missing", "the graph needs this input"))
            continue
        wanted = TYPES.get(node.type)
        values = given[node.name]
        if wanted is None or not (isinstance(values, numpy.ndarray) or hasattr(values, "dtypes")):
            feeds[node.name] = values  # sequences and maps go to onnxruntime as they are
            continue
        array, problem = cast(values, wanted, rounding=rounding)
        if problem is None:
            array, problem = _fit_rank(array, node.shape)
        if problem is not None:
            problems.append(Problem(("inputs", node.name), *problem))
        feeds[node.name] = array
    if problems:
        raise InvalidInput(problems)
    return feeds


def _arrays_by_name(data: Any, inputs: Sequence[Any]) -> Mapping[str, Any]:
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        if len(inputs) == 1:
            return {inputs[0].name: data}
        return {node.name: data[node.name].to_numpy() for node in inputs if node.name in data}
    if isinstance(data, Mapping):
        return data
    if hasattr(data, "toarray"):  # SciPy's sparse forms
        data = data.toarray()
    if isinstance(data, numpy.ndarray) and len(inputs) == 1:
        return {inputs[0].name: data}
    names = ", ".join(repr(node.name) for node in inputs)
    needed = f"a DataFrame, or a dict of arrays called {names}{', or an array' if len(inputs) == 1 else ''}"
    raise InvalidInput([Problem(("inputs",), "wrong_type", f"must be {needed}; it is a {type(data).__name__}")])


def _fit_rank(array: Any, shape: Sequence[Any]) -> tuple[Any, tuple[Any, str] | None]:
    """Make one column the vector or the matrix that the graph takes; find any other rank or size wrong."""
    if len(shape) == array.ndim + 1 and shape[-1] == 1:
        array = array.reshape(*array.shape, 1)
    elif len(shape) == 1 and array.ndim == 2 and array.shape[1] == 1:
        array = array.reshape(-1)
    fits = len(shape) == array.ndim and all(
        not isinstance(wanted, int) or wanted == size for wanted, size in zip(shape, array.shape, strict=True)
    )
    # onnxruntime shows an unknown shape as that of a scalar; it knows better itself.
    if fits or not shape:
        return array, None
    wanted_text = ", ".join(str(size) if isinstance(size, int) else "any" for size in shape)
    return array, ("wrong_shape", f"the graph takes the shape ({wanted_text}); it is {array.shape}")


def _is_table(results: Mapping[str, Any]) -> bool:
    """Tell whether every output has the same number of values for a row, as MLflow needs it for a DataFrame."""
    if not all(isinstance(values, numpy.ndarray | list) for values in results.values()):
        return False
    shapes = [numpy.asarray(values).shape for values in results.values()]
    return len({(shape[:1], int(numpy.prod(shape[1:]))) for shape in shapes}) == 1
