"""A model that raised: on which row, so that somebody can look at it."""

from __future__ import annotations

from collections.abc import Sequence

from palate.batch import BadRow, Scorer, find_bad_row
from palate.datasets import Chunk, TableChunk
from palate.evaluation.errors import ModelFailed
from palate.pyfunc import PyFuncModel

__all__ = ["explain_failure"]


def explain_failure(
    model: PyFuncModel, method: str, chunk: Chunk, names: Sequence[str] | None, failure: Exception
) -> ModelFailed:
    """Return the error that names the first row on which a model raises what it raised on all of them.

    Args:
        model: the model.
        method: what was called.
        chunk: the rows.
        names: of the columns that it is given; None for all.
        failure: what it raised.
    """
    told = f"{type(failure).__name__}: {next(iter(str(failure).splitlines()), '')}"
    inputs = chunk.inputs(names)
    given = TableChunk(inputs, chunk.place) if hasattr(inputs, "column_names") else chunk
    found = find_bad_row(Scorer(model, method=method), given, failure)
    # Rows are predicted again one by one, on the way of a batch: what fails there in another way is not the cause.
    if isinstance(found, BadRow) and type(found.__cause__) is type(failure):
        return ModelFailed(model.location.uri, file=found.file, row=found.row, reason=told)
    return ModelFailed(model.location.uri, file=chunk.place.file, row=None, reason=told)
