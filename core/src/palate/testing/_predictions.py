"""What a model answers to rows of input, in a form that can be compared and sent between processes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from palate._containers.kinds import is_dataframe, is_series, is_sparse
from palate._stored.differences import differences
from palate._stored.snapshots import JSON, snapshot
from palate.pyfunc import PyFuncModel

__all__ = ["Answer", "NoRows", "answer_of", "compare_answers", "count_rows", "take_rows", "unwarned"]


@dataclass(frozen=True)
class Answer:
    """A prediction as JSON data, or the type of the error that there was instead, or neither: it cannot say yet."""

    document: JSON = None
    error: str | None = None
    is_known: bool = True


class NoRows(TypeError):
    """Data whose rows the kit cannot take apart."""


def answer_of(model: PyFuncModel, method: str, data: object) -> Answer:
    """Return what *method* answers to *data*; whatever it raises is an answer, too.

    A method may not take the rows that another one takes; then it shall say so in the same way after loading.
    """
    with unwarned():
        try:
            prediction = model.call(method, data)
        except Exception as exc:
            return Answer(error=f"{type(exc).__module__}.{type(exc).__qualname__}")
    return Answer(is_known=False) if prediction is NotImplemented else Answer(snapshot(prediction))


@contextmanager
def unwarned() -> Iterator[None]:
    """Ignore warnings: frameworks warn of data, and whether they do is theirs."""
    with warnings.catch_warnings():
        # The filters belong to the process. scikit-learn empties and refills them in every thread that predicts, so
        # that any other filter might be found there alone: pytest's "error", for one.
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        yield


def compare_answers(expected: Answer, given: Answer, *, rtol: float, atol: float) -> list[str]:
    """Return how *given* differs from *expected*, in sentences."""
    if expected.error or given.error:
        if expected.error == given.error:
            return []
        return [f"expected {expected.error or 'a prediction'}, got {given.error or 'a prediction'}"]
    return differences(expected.document, given.document, rtol=rtol, atol=atol)


def count_rows(data: Any) -> int:
    """Return how many rows *data* has. Raises NoRows."""
    if isinstance(data, dict):
        return min((count_rows(part) for part in data.values()), default=0)
    shape = getattr(data, "shape", None)
    if shape is not None and len(shape) > 0:
        return int(shape[0])
    if isinstance(data, list):
        return len(data)
    raise NoRows(f"a {type(data).__name__} has no rows to take")


def take_rows(data: Any, rows: Sequence[int]) -> Any:
    """Return the rows of those numbers, in that order and as often as named, in a container of the same kind.

    Raises:
        NoRows: *data* is of a kind that is not known here.
    """
    if isinstance(data, dict):
        return {name: take_rows(part, rows) for name, part in data.items()}
    if isinstance(data, list):
        return [data[row] for row in rows]
    if is_dataframe(data) or is_series(data):
        return data.iloc[list(rows)].reset_index(drop=True)
    if hasattr(data, "take") and type(data).__module__.partition(".")[0] == "pyarrow":
        import numpy

        return data.take(numpy.asarray(rows, dtype=numpy.int64))  # of an empty list it would not know the type
    if type(data).__module__.partition(".")[0] == "tensorflow":
        import tensorflow

        return tensorflow.gather(data, list(rows))
    if is_sparse(data):
        return data.tocsr()[list(rows)]
    if getattr(data, "shape", ()):
        import numpy

        # An empty list would be taken for floats.
        return data[numpy.asarray(rows, dtype=numpy.int64)]
    raise NoRows(f"a {type(data).__name__} has no rows to take")
