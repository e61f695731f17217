"""Predictions on their way: written as Arrow's own bytes while a job runs, read back when all are there."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.batch._first_line import first_line
from palate.batch._stage import Stage
from palate.datasets import possible_types
from palate.errors import UnsupportedOutput

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PieceWriter", "narrow_texts", "read_pieces", "unify_schemas"]


class PieceWriter:
    """Writes the predictions of one part, a new file whenever their types change.

    Attributes:
        rows: how many were written.
        pieces: to how many files.
    """

    def __init__(self, stage: Stage, part: int) -> None:
        self._stage = stage
        self._part = part
        self._writer: Any = None
        self._sink: Any = None
        self._schema: pa.Schema | None = None
        self.rows = 0
        self.pieces = 0

    def write(self, rows: pa.Table) -> None:
        """Add rows. Raises OSError."""
        import pyarrow as pa

        if self._schema is None or not rows.schema.equals(self._schema):
            self.close()
            self._sink = self._stage.piece(self._part, self.pieces).open("wb")
            self._schema = rows.schema
            self._writer = pa.ipc.new_file(self._sink, rows.schema)
            self.pieces += 1
        self._writer.write_table(rows)
        self.rows += rows.num_rows

    def close(self) -> None:
        """Force what was written to disk. Raises OSError."""
        if self._writer is not None:
            self._writer.close()
            self._sink.flush()
            os.fsync(self._sink.fileno())
            self._sink.close()
            self._writer = self._sink = self._schema = None

    def abandon(self) -> None:
        """Close the file of a part that will not be finished. Raises OSError."""
        if self._sink is not None:
            self._sink.close()


def read_pieces(paths: Iterable[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of pieces, with the types of *schema*. Raises UnsupportedOutput where that would alter one."""
    import pyarrow as pa

    for path in paths:
        with pa.memory_map(os.fsencode(path)) as source, pa.ipc.open_file(source) as reader:
            for number in range(reader.num_record_batches):
                rows = pa.Table.from_batches([reader.get_batch(number)])
                yield rows if rows.schema.equals(schema) else _conform(rows, schema)


def _conform(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    missing = [field for field in schema if field.name not in rows.column_names]
    for field in missing:
        rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    try:
        return rows.select(schema.names).cast(schema)
    except pa.ArrowException as exc:  # a whole number, say, that no decimal is equal to
        raise UnsupportedOutput("arrow", reason=f"they are of other types in other rows: {first_line(exc)}") from exc


def unify_schemas(paths: Sequence[Path]) -> pa.Schema:
    """Return types that all pieces can be written with.

    Raises:
        UnsupportedOutput: there are none, as for numbers here and texts there.
    """
    import pyarrow as pa

    schemas: list[pa.Schema] = []
    for path in paths:
        with pa.memory_map(os.fsencode(path)) as source, pa.ipc.open_file(source) as reader:
            if not any(reader.schema.equals(known) for known in schemas):
                schemas.append(reader.schema)
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as exc:
        raise UnsupportedOutput("arrow", reason=f"they have no type in common in all rows: {first_line(exc)}") from exc


def narrow_texts(schema: pa.Schema, paths: Sequence[Path], names: Collection[str]) -> pa.Schema:
    """Return the same columns, but that texts of which nothing told the type have the narrowest that all of them allow.

    Args:
        schema: of all pieces.
        paths: the pieces.
        names: the columns that this is about.
    """
    import pyarrow as pa

    for name in names:
        place = schema.get_field_index(name)
        kinds: tuple[str, ...] | None = None
        empty = True
        for rows in read_pieces(paths, schema):
            texts = rows.column(name)
            empty = empty and texts.null_count == len(texts)
            kinds = possible_types(texts) if kinds is None else possible_types(texts, kinds)
        if kinds and not empty:
            schema = schema.set(place, pa.field(name, pa.type_for_alias(kinds[0])))
    return schema
