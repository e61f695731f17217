"""The forms of bodies and answers of the routes that are not bound to JSON: MLflow's and Palate's own."""

from __future__ import annotations

import io
from typing import Any

from palate.codecs import DataFormat, decode_input, encode_predictions
from palate.errors import InvalidOption
from palate.matrix import Matrix
from palate.schema import Schema
from palate.serving._content import CONTENT_TYPES, has_header_line
from palate.serving._json import dump_json
from palate.serving._wire import Answer, Request
from palate.serving.errors import NotAcceptable
from palate.serving.protocols._json_shapes import shape_predictions

__all__ = ["encode_json", "encode_output", "read_table"]

# How many times as long as the body a table may be, which is compressed in it, and the bytes that any body may become.
_MOST_GROWTH, _LEAST_LIMIT = 16, 64 << 20
# JSON has no NaN; whoever has to tell it from a missing value asks for a binary form.
_NULLS = ((b"palate-nan-as-null", b"true"),)


def read_table(request: Request, form: DataFormat, schema: Schema | None) -> Any:
    """Return the data of a body that is no JSON.

    An array without names has the columns in the signature's order, and so have rows of csv that say they came without
    a header line.

    Raises:
        InvalidInput: it is not of that form.
        DependencyMissing: pyarrow is needed, and not installed.
    """
    body = request.body
    has_header = form != "csv" or has_header_line(request.headers)
    most = max(_LEAST_LIMIT, _MOST_GROWTH * len(body))
    data = decode_input(body, form, schema, has_header=has_header, max_cells=most // 8, max_bytes=most).data
    if schema is None or schema.is_tensor or not schema.is_named:
        return data
    names = tuple(column.name for column in schema.columns if column.name is not None)
    if form == "npy":
        is_table = data.ndim == 2 and data.dtype.kind in "iuf" and data.shape[1] == len(names)
        return Matrix(data, names) if is_table else data
    return _matrix_of(data, names) if form in ("parquet", "arrow") else data


def _matrix_of(table: Any, names: tuple[str | int, ...]) -> Any:
    """Return an Arrow table of nothing but the columns of a signature, all of one type of numbers, as a Matrix.

    Of a table that is anything else, all is left to the signature's enforcement.
    """
    import numpy as np
    import pyarrow as pa

    kinds = set(table.schema.types)
    is_plain = len(kinds) == 1 and (pa.types.is_floating(kind := kinds.pop()) or pa.types.is_integer(kind))
    if not is_plain or table.num_columns != len(names) or set(table.column_names) != set(names):
        return table
    columns = [table.column(name) for name in names]
    if any(column.null_count for column in columns):
        return table
    return Matrix(np.stack([column.to_numpy() for column in columns]).T, names)


def encode_output(output: Any, wanted: DataFormat) -> Answer:
    """Return an answer of MLflow's shape, ``{"predictions": …}``, or a table or an array.

    Raises:
        UnsupportedOutput: the predictions have no form in JSON.
        NotAcceptable: they have none in what the client prefers.
    """
    if wanted == "json":
        return encode_json({"predictions": shape_predictions(output)})
    if wanted == "arrow" and type(output).__module__ == "numpy":
        return Answer(_encode_arrow(output), CONTENT_TYPES[wanted])
    try:
        return Answer(encode_predictions(output, wanted), CONTENT_TYPES[wanted])
    except (InvalidOption, ValueError, TypeError) as exc:
        raise _not_in(wanted) from exc


def _not_in(wanted: DataFormat) -> NotAcceptable:
    return NotAcceptable(CONTENT_TYPES[wanted].decode(), available=[CONTENT_TYPES["json"].decode()])


def encode_json(document: dict[str, Any]) -> Answer:
    """Return plain data, with arrays of numbers in it, as JSON."""
    body = dump_json(document)
    return Answer(body, headers=_NULLS) if b"null" in body else Answer(body)


def _encode_arrow(array: Any) -> bytes:
    """Return an array as an Arrow stream: a column "prediction", or one for each of its columns."""
    import pyarrow as pa

    columns = {"prediction": array} if array.ndim == 1 else {f"prediction_{n}": part for n, part in enumerate(array.T)}
    try:
        batch = pa.RecordBatch.from_arrays([pa.array(part) for part in columns.values()], names=list(columns))
    except pa.ArrowException as exc:  # of another dtype than Arrow has, or with more dimensions than a table
        raise _not_in("arrow") from exc
    out = io.BytesIO()
    with pa.ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)
    return out.getvalue()
