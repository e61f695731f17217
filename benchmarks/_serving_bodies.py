"""Rows as each protocol sends them, and predictions as each sends them back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from _serving_models import COLUMNS, MODEL_NAME

__all__ = ["BODIES", "Body", "make_body", "read_answer"]

ARROW = "application/vnd.apache.arrow.stream"
NPY = "application/x-npy"
JSON = "application/json"
BINARY = "application/octet-stream"
# Where v2 says how long the JSON is that stands before the tensors.
LENGTH_OF_JSON = "inference-header-content-length"
_INFER = f"/v2/models/{MODEL_NAME}/infer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is posted."""

    path: str
    content: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": JSON})


def _split(rows: Any) -> Body:
    document = {"dataframe_split": {"columns": COLUMNS, "data": rows.tolist()}}
    return Body(path="/invocations", content=_json(document))


def _records(rows: Any) -> Body:
    document = {"dataframe_records": [dict(zip(COLUMNS, row, strict=True)) for row in rows.tolist()]}
    return Body(path="/invocations", content=_json(document))


def _inputs(rows: Any) -> Body:
    return Body(path="/invocations", content=_json({"inputs": rows.tolist()}))


def _csv(rows: Any) -> Body:
    lines = [",".join(COLUMNS), *(",".join(map(repr, row)) for row in rows.tolist())]
    content = "".join(f"{line}\n" for line in lines).encode()
    return Body(path="/invocations", content=content, headers={"Content-Type": "text/csv"})


def _v2(rows: Any) -> Body:
    tensor = {"name": "inputs", "shape": list(rows.shape), "datatype": "FP64", "data": rows.ravel().tolist()}
    return Body(path=_INFER, content=_json({"inputs": [tensor]}))


def _v2_binary(rows: Any) -> Body:
    return _binary({"inputs": rows})


def _v2_binary_columns(rows: Any) -> Body:
    return _binary({name: rows[:, [number]] for number, name in enumerate(COLUMNS)})


def _binary(tensors: dict[str, Any]) -> Body:
    described = [
        {
            "name": name,
            "shape": list(tensor.shape),
            "datatype": "FP64",
            "parameters": {"binary_data_size": tensor.nbytes},
        }
        for name, tensor in tensors.items()
    ]
    head = _json({"inputs": described, "parameters": {"binary_data_output": True}})
    content = b"".join([head, *(tensor.tobytes() for tensor in tensors.values())])
    return Body(path=_INFER, content=content, headers={"Content-Type": BINARY, LENGTH_OF_JSON: str(len(head))})


def _arrow(rows: Any) -> Body:
    import pyarrow as pa

    table = pa.table({name: rows[:, number] for number, name in enumerate(COLUMNS)})
    with io.BytesIO() as stream:
        with pa.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table)
        content = stream.getvalue()
    return Body(path="/invocations", content=content, headers={"Content-Type": ARROW, "Accept": ARROW})


def _npy(rows: Any) -> Body:
    import numpy as np

    with io.BytesIO() as stream:
        np.save(stream, rows)
        content = stream.getvalue()
    return Body(path="/invocations", content=content, headers={"Content-Type": NPY, "Accept": NPY})


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


# By name, what makes the body of rows. Those for columns first, those for a tensor last; v2's own JSON is for a tensor.
BODIES: dict[str, Callable[[Any], Body]] = {
    "split": _split,
    "records": _records,
    "csv": _csv,
    "arrow": _arrow,
    "v2 binary columns": _v2_binary_columns,
    "inputs": _inputs,
    "v2": _v2,
    "v2 binary": _v2_binary,
    "npy": _npy,
}


def make_body(form: str, rows: Any) -> Body:
    """Return the body that asks for predictions of *rows*."""
    return BODIES[form](rows)


def read_answer(content: bytes, headers: dict[str, str]) -> Any:
    """Return the list of predictions that stands in an answer; *headers* have lower-case names."""
    kind = headers["content-type"].partition(";")[0]
    if kind == ARROW:
        import pyarrow as pa

        return pa.ipc.open_stream(content).read_all().column(0).to_pylist()
    if kind == NPY:
        import numpy as np

        return np.load(io.BytesIO(content)).ravel().tolist()
    if kind == BINARY:
        import numpy as np

        length = int(headers[LENGTH_OF_JSON])
        output = json.loads(content[:length])["outputs"][0]
        dtype = {"INT64": "<i8", "FP64": "<f8"}[output["datatype"]]
        return np.frombuffer(content, dtype, offset=length).tolist()
    document = json.loads(content)
    return document["predictions"] if "predictions" in document else document["outputs"][0]["data"]
