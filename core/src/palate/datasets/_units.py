"""The parts of a file that are read at once: row groups, record batches, blocks of text, ranges of an array."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from tokenize import TokenError
from typing import Any, Final

from palate.datasets._chunks import Chunk
from palate.datasets._files import DataFile
from palate.errors import DependencyMissing, InvalidData, PalateError

__all__ = ["Columns", "Unit", "reading", "require_pyarrow", "require_unique", "with_partition"]

Columns = Sequence[str] | None

# numpy reads a header as Python's own parser and, where that fails, its tokenizer do.
_OF_NUMPY: Final = (MemoryError, RecursionError, SyntaxError, TokenError, TypeError, OverflowError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A part of a file.

    Attributes:
        file: the file's name.
        number: which part of it, from 0.
        size: how many bytes of all that is to be read it stands for.
        rows: how many rows it has.
        read: reads the rows of these columns, or for None of all, in chunks of at most so many rows.
    """

    file: str
    number: int
    size: int
    rows: int
    read: Callable[[Columns, int], Iterator[Chunk]]


@contextmanager
def reading(file: DataFile, format: str) -> Iterator[None]:
    """Turn what Arrow, or for npy numpy, raises in the block into InvalidData."""
    pa = require_pyarrow()
    expected: tuple[type[Exception], ...] = (pa.ArrowException, OSError, ValueError, EOFError, KeyError)
    if format == "npy":
        expected += _OF_NUMPY
    try:
        yield
    except expected as exc:
        if isinstance(exc, PalateError):  # the server that has it failed, say
            raise
        reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        hint = f"see that it is whole, and {format}, or say which format it is (--format)"
        raise InvalidData(file.name, reason=reason.rstrip("."), hint=hint) from exc


def require_pyarrow() -> Any:
    """Return pyarrow. Raises DependencyMissing."""
    try:
        import pyarrow
    except ImportError as exc:
        raise DependencyMissing("pyarrow", needed_for="reading files of rows", install="palate[parquet]") from exc
    return pyarrow


def require_unique(file: DataFile, names: Sequence[str]) -> None:
    """Raise InvalidData where two columns have one name, of which one would be lost."""
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise InvalidData(file.name, reason=f"it has several columns called {twice!r:.60}", hint="rename them")


def with_partition(rows: Any, file: DataFile, columns: Columns) -> Any:
    """Return a Table with the columns that the names of its folders say, unless it has them itself."""
    pa = require_pyarrow()
    for name, value in file.partition.items():
        if name not in rows.column_names and (columns is None or name in columns):
            kind = pa.type_for_alias(file.partition_types[name])
            rows = rows.append_column(name, pa.repeat(pa.scalar(value, kind), rows.num_rows))
    return rows
