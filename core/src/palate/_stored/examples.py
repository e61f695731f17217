"""Input examples: the files beside a model that show what it takes, in MLflow's form.

``input_example.json`` holds the data as its kind asks for, ``serving_input_example.json`` the same as a request body of
the scoring server.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from palate._containers.arrays import tensor_array
from palate._containers.arrow import to_arrow
from palate._containers.frames import refuse_query
from palate._containers.kinds import (
    framework_tensor,
    is_arrow,
    is_dataframe,
    is_foreign_table,
    is_ndarray,
    is_polars,
    is_scalar,
    is_series,
    is_sparse,
)
from palate._containers.unfit import Unfit
from palate._disk.paths import confine, read_small
from palate._inference.type_hints import is_pydantic
from palate._stored.example_json import array_json, frame_json, invalid, plain_json, sparse_json
from palate._stored.example_reading import read_arrays, read_frame, read_plain, read_sparse
from palate.schema import Schema

__all__ = ["ExampleInfo", "map_data", "read_example", "read_whole", "split_example", "write_example"]

EXAMPLE_FILE = "input_example.json"
SERVING_FILE = "serving_input_example.json"
_EXAMPLE_LIMIT = 256 << 20
# A request body has no sparse form; a wide matrix of a few rows is fine, a large one would fill the disk.
_MAX_DENSE = 10_000_000
# Bodies with these keys go to MLflow's chat path as they are.
_CHAT_KEYS = frozenset(["messages", "prompt", "input"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleInfo:
    """An example that was written.

    Attributes:
        info: the ``saved_input_example_info`` of MLmodel.
        data: the data that the model is to predict on, in the container that the files stand for.
        params: the params given with it, or None.
    """

    info: Mapping[str, str]
    data: object
    params: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encoded:
    """An example's kind, its JSON, and the same as a request body (None: there is none)."""

    info: Mapping[str, str]
    document: Any
    body: dict[str, Any] | None


def read_whole(example: object) -> object:
    """Return an example in which data that speaks Arrow is a pyarrow Table: a stream can be read only once.

    Raises:
        InvalidExample: pyarrow does not know one of its types, or it is a query and no data.
        DependencyMissing: pyarrow is not installed.
    """
    return map_data(example, _as_whole)


def _as_whole(data: object) -> object:
    try:
        refuse_query(data)
        return to_arrow(data) if is_foreign_table(data) else data
    except Unfit as exc:
        raise invalid((), str(exc)) from exc


def map_data(example: object, change: Callable[[object], object]) -> object:
    """Return an example, ``data`` or ``(data, params)``, with its data as *change* returns it."""
    if isinstance(example, tuple) and example:
        return (change(example[0]), *example[1:])
    return change(example)


def split_example(example: object) -> tuple[object, dict[str, Any] | None]:
    """Return the data and the params of an example, ``data`` or ``(data, params)``.

    Data that the files have no form for becomes what they have, when nothing is lost: a Series a DataFrame of one
    column, a tensor an ndarray.

    Raises:
        InvalidExample: it is another tuple, or a tensor without an ndarray's dtype.
    """
    params: dict[str, Any] | None = None
    if isinstance(example, tuple):
        if len(example) != 2 or not isinstance(example[1], dict):
            raise invalid((), "a tuple means (data, params), with params a dict. Hint: use a list for data")
        example, params = example
    if isinstance(example, dict) and example and all(is_ndarray(v) or framework_tensor(v) for v in example.values()):
        return {name: _as_array(value, (str(name),)) for name, value in example.items()}, params or None
    return _as_container(example), params or None


def write_example(example: object, directory: Path) -> ExampleInfo:
    """Write *example*, which may be ``(data, params)``, into *directory*.

    Raises:
        InvalidExample: with everything in it that JSON cannot hold.
    """
    data, params = split_example(example)
    encoded = _encode(data)
    info = {"artifact_path": EXAMPLE_FILE, **encoded.info}
    document, body = encoded.document, encoded.body
    if params is not None:
        stored = plain_json(params, ("params",))
        info["params"] = "true"
        document = {"inputs": document, "params": stored}
        if body is not None:
            body = {**body, "params": stored} if "inputs" in body or "dataframe_split" in body else {**body, **stored}
    (directory / EXAMPLE_FILE).write_text(json.dumps(document, allow_nan=False), encoding="ascii")
    if body is not None:
        info["serving_input_path"] = SERVING_FILE
        (directory / SERVING_FILE).write_text(json.dumps(body, allow_nan=False, indent=2), encoding="ascii")
    return ExampleInfo(info=info, data=data, params=params)


def read_example(
    directory: Path, info: Mapping[str, Any], schema: Schema | None
) -> tuple[object, dict[str, Any] | None] | None:
    """Read a stored example back: the data with the dtypes of *schema*, and the params given with it.

    A value that does not fit the schema is returned as it is stored, since to judge it is enforcement's part.

    Returns:
        ``(data, params)``, or None when the example is of a type that only later versions know.

    Raises:
        InvalidExample: the file is malformed.
        UnsafePath: *info* names a file outside the directory.
        DependencyMissing: it is a DataFrame or a sparse matrix, and pandas or scipy is not installed.
    """
    kind = info.get("type")
    if kind not in ("dataframe", "ndarray", "json_object", "sparse_matrix_csr", "sparse_matrix_csc"):
        return None
    path = confine(directory, info.get("artifact_path"), field="saved_input_example_info.artifact_path")
    document, params = _stored(read_small(path, _EXAMPLE_LIMIT), info, path.name)
    if kind == "dataframe":
        return read_frame(document, schema), params
    if kind == "ndarray":
        return read_arrays(document, schema), params
    if kind == "json_object":
        return read_plain(document, schema), params
    return read_sparse(document, schema, layout=kind.removeprefix("sparse_matrix_")), params


def _stored(content: bytes, info: Mapping[str, Any], name: str) -> tuple[Any, dict[str, Any] | None]:
    """Return the JSON of the data, and that of the params."""
    document = _parse(content, name)
    if info.get("params"):
        if not isinstance(document, dict) or "inputs" not in document or not isinstance(document.get("params"), dict):
            raise invalid((name,), "must hold 'inputs' and 'params'")
        return document["inputs"], document["params"]
    if info.get("format") == "tf-serving" and isinstance(document, dict):  # MLflow before 2.0
        return document.get("inputs", document.get("instances")), None
    return document, None


def _parse(content: bytes, name: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as exc:
        reason = "is nested too deeply" if isinstance(exc, RecursionError) else f"is not JSON: {exc}"
        raise invalid((name,), reason) from exc


# -- kinds of data -----------------------------------------------------------------------------------------------------


def _as_array(value: Any, where: tuple[str | int, ...] = ()) -> Any:
    """Return an ndarray for a tensor of torch or TensorFlow."""
    if framework_tensor(value) is None:
        return value
    try:
        return tensor_array(value)
    except Unfit as exc:  # bfloat16; a symbolic tensor
        raise invalid(where, str(exc)) from exc


def _as_container(data: Any) -> Any:
    if is_series(data):
        return data.to_frame() if data.name is not None else data.to_frame(0)
    if is_polars(data) and not hasattr(data, "get_columns"):
        return data.to_frame()
    if is_sparse(data) and data.format not in ("csr", "csc"):
        return data.tocsr()
    return _as_array(data)


def _encode(data: Any) -> _Encoded:
    if is_dataframe(data) or is_arrow(data) or is_polars(data):
        document = frame_json(data)
        info = {"type": "dataframe", "pandas_orient": "split" if "columns" in document else "values"}
        return _Encoded(info=info, document=document, body={"dataframe_split": document})
    if is_ndarray(data):
        return _inputs("ndarray", array_json(data, ()))
    if is_sparse(data):
        dense = array_json(data.toarray(), ()) if math.prod(data.shape) <= _MAX_DENSE else None
        body = None if dense is None else {"inputs": dense}
        return _Encoded(info={"type": f"sparse_matrix_{data.format}"}, document=sparse_json(data), body=body)
    if isinstance(data, dict) and any(map(is_ndarray, data.values())):
        if not all(map(is_ndarray, data.values())):
            raise invalid((), "a dict holds either ndarrays only, or none. Hint: make all its values ndarrays or lists")
        return _inputs("ndarray", plain_json(data, ()))
    return _encode_plain(data)


def _inputs(kind: str, document: Any) -> _Encoded:
    return _Encoded(info={"type": kind}, document=document, body={"inputs": document})


def _encode_plain(data: Any) -> _Encoded:
    is_record = is_pydantic(type(data)) or (dataclasses.is_dataclass(data) and not isinstance(data, type))
    if not (isinstance(data, dict | list | date) or is_scalar(data) or is_record):
        raise invalid(
            (),
            f"a {type(data).__name__} cannot be an input example. Hint: give a DataFrame, an Arrow table, an ndarray, "
            "a dict, a list, a sparse matrix or a scalar",
        )
    if isinstance(data, list) and _holds_array(data):
        raise invalid((), "a list of ndarrays cannot be an input example. Hint: use numpy.stack, or a dict of ndarrays")
    document = plain_json(data, ())
    if isinstance(document, dict) and _CHAT_KEYS & document.keys():
        return _Encoded(info={"type": "json_object"}, document=document, body=document)
    return _inputs("json_object", document)


def _holds_array(value: object) -> bool:
    waiting, seen = [value], set()
    while waiting:
        item = waiting.pop()
        if not isinstance(item, list):
            if is_ndarray(item) or framework_tensor(item) is not None:
                return True
        elif id(item) not in seen:  # a list may contain itself
            seen.add(id(item))
            waiting.extend(item)
    return False
