"""Rows that do not fit, or on which the model fails: which they are, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from palate.batch._first_line import first_line
from palate.batch._scoring import Scorer
from palate.batch.errors import BadRow
from palate.datasets import Chunk
from palate.errors import InvalidInput, ModelCrashed, ModelOutOfMemory, ModelTimeout, PalateError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Reject", "find_bad_row", "score_good_rows"]

# What may be one row's fault: that of the model's process, too, where the model has one of its own.
_OF_ROWS = (InvalidInput, ModelCrashed, ModelTimeout, ModelOutOfMemory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A bad row.

    Attributes:
        file: where it is.
        row: which one of that file, from 0.
        reason: what is wrong with it.
        data: the row itself.
    """

    BEGIN: ClassVar[bytes] = b'{"file": '
    """How each line begins."""

    file: str
    row: int
    reason: str
    data: Any

    def to_line(self) -> bytes:
        """Return it as a line of JSON."""
        told = {"file": self.file, "row": self.row, "reason": self.reason, "data": self.data}
        try:
            line = json.dumps(told, ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError:  # the file's name is no UTF-8, say
            line = json.dumps(told, default=str).encode()
        return line + b"\n"


def score_good_rows(scorer: Scorer, chunk: Chunk) -> Iterator[pa.Table | Reject]:
    """Yield predictions and bad rows in order, by halving whatever fails until it is one row.

    Raises:
        PalateError: what is no row's fault.
    """
    try:
        yield scorer.score_chunk(chunk)
        return
    except Exception as exc:
        if not _may_be_a_row(exc):
            raise
        failure = exc
    yield from _halve(scorer, chunk, failure)


def _halve(scorer: Scorer, chunk: Chunk, failure: Exception) -> Iterator[pa.Table | Reject]:
    if len(chunk) == 1:
        place = chunk.place
        yield Reject(file=place.file, row=place.row, reason=_explain(failure), data=chunk.record(0))
        return
    middle = len(chunk) // 2
    for half in (chunk.slice(0, middle), chunk.slice(middle, len(chunk))):
        try:
            yield scorer.score_chunk(half)
        except Exception as exc:
            if not _may_be_a_row(exc):
                raise
            yield from _halve(scorer, half, exc)


def find_bad_row(scorer: Scorer, chunk: Chunk, failure: Exception) -> Exception:
    """Return the error that names the first bad row of a chunk that failed; *failure* itself if no row alone is bad."""
    if not _may_be_a_row(failure):
        return failure
    whole = chunk
    while len(chunk) > 1:
        middle = len(chunk) // 2
        first, second = chunk.slice(0, middle), chunk.slice(middle, len(chunk))
        found = _fails(scorer, first)
        if found is None:
            first, found = second, _fails(scorer, second)
        if found is None:
            return failure
        chunk, failure = first, found
    reason = _explain(failure)
    bad = BadRow(chunk.place.file, row=chunk.place.row, reason=reason, like_others=_is_last(whole, scorer, reason))
    bad.__cause__ = failure
    return bad


def _is_last(chunk: Chunk, scorer: Scorer, reason: str) -> bool:
    """Tell whether the last of several rows is bad for the same reason, as where the file is not the model's."""
    last = _fails(scorer, chunk.slice(len(chunk) - 1, len(chunk))) if len(chunk) > 1 else None
    return last is not None and _explain(last) == reason


def _fails(scorer: Scorer, chunk: Chunk) -> Exception | None:
    try:
        scorer.score_chunk(chunk)
    except Exception as exc:
        return exc
    return None


def _may_be_a_row(exc: Exception) -> bool:
    if isinstance(exc, InvalidInput):
        return any(problem.where[:1] != ("params",) for problem in exc.problems)
    if isinstance(exc, PalateError):
        return isinstance(exc, _OF_ROWS)
    return not isinstance(exc, MemoryError | ImportError)


def _explain(exc: Exception) -> str:
    if isinstance(exc, InvalidInput):
        return "; ".join(f"{_column(problem.where)}: {problem.message}" for problem in exc.problems)
    if isinstance(exc, PalateError):
        return str(exc)
    return f"the model failed: {type(exc).__name__}: {first_line(exc)}"


def _column(where: tuple[str | int, ...]) -> str:
    """Return the column that a problem of a single row is in, without its number in the call."""
    parts = [str(part) for part in where[1:] if not isinstance(part, int)]
    return ".".join(parts) or "the row"
