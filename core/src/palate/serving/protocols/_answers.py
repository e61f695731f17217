"""The forms of bodies and answers of the routes that are not bound to JSON: MLflow's and Palate's own."""

from __future__ import annotations

import io
from typing import Any

from palate.codecs import DataFormat, encode_predictions
from palate.errors import InvalidOption
from palate.serving._content import CONTENT_TYPES
from palate.serving._json import dump_json
from palate.serving._wire import Answer
from palate.serving.errors import NotAcceptable
from palate.serving.protocols._json_shapes import shape_predictions

__all__ = ["ANSWER_FORMATS", "BODY_FORMATS", "encode_json", "encode_output"]

BODY_FORMATS: tuple[DataFormat, ...] = ("json", "csv", "parquet", "arrow", "npy")
"""The forms of a body."""
ANSWER_FORMATS: tuple[DataFormat, ...] = ("json", "arrow", "npy", "csv")
"""The forms of an answer; the first for clients that have no preference."""

# JSON has no NaN; whoever has to tell it from a missing value asks for a binary form.
_NULLS = ((b"palate-nan-as-null", b"true"),)


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
