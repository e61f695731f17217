"""Frames and series of pandas, and tables of Arrow and polars, as they cross between processes.

pandas on the other side may be of another major version. So a column goes by what it holds (an array, categories and
codes, values and which are missing), not by how this pandas keeps it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from palate._containers.frames import require_pandas
from palate._containers.kinds import is_arrow, is_dataframe, is_polars, is_series, loaded_types
from palate._enforcement.blocks import Block, build_frame, read_blocks
from palate._isolation.array_wire import decode_array, encode_array
from palate._isolation.zones import decode_zone, encode_zone
from palate._process_errors import NotTransferable
from palate.errors import DependencyMissing
from palate.matrix import Matrix

if TYPE_CHECKING:
    from palate._isolation.tree import Node, TreeReader, TreeWriter

__all__ = [
    "as_matrix",
    "decode_arrow",
    "decode_frame",
    "decode_index",
    "decode_missing",
    "decode_moment",
    "decode_polars",
    "decode_series",
    "encode_part",
    "encode_table",
    "is_missing",
]


def encode_table(writer: TreeWriter, table: Any) -> Node:
    """Return a frame or a series of any of the packages known here."""
    if is_dataframe(table):
        return _encode_frame(writer, table)
    if is_series(table):
        return {
            "t": "series",
            "n": writer.encode(table.name),
            "i": encode_index(writer, table.index),
            "c": _encode_column(writer, table),
        }
    if is_polars(table):
        return _encode_polars(writer, table)
    assert is_arrow(table)
    return {
        "t": "arrow",
        "batch": _is_batch(table),
        "b": _arrow_bytes(writer, table),
    }


# -- frames of pandas --------------------------------------------------------------------------------------------------


def _encode_frame(writer: TreeWriter, frame: Any) -> Node:
    pandas, blocks = require_pandas(), []
    for values, positions in read_blocks(frame):
        if isinstance(values.dtype, np.dtype) and values.ndim == 2:
            blocks.append({"a": encode_array(writer, np.asarray(values)), "p": positions.tolist()})
            continue
        # Of times with a zone a block holds several columns, of other types that numpy does not have one.
        for position, column in zip(positions.tolist(), values if values.ndim == 2 else [values], strict=True):
            blocks.append({"c": _encode_column(writer, pandas.Series(column, copy=False)), "p": [position]})
    return {
        "t": "frame",
        "l": encode_index(writer, frame.columns),
        "i": encode_index(writer, frame.index),
        "blocks": blocks,
    }


def decode_frame(reader: TreeReader, node: Node) -> Any:
    """Return the DataFrame that was written."""
    pandas = require_pandas()
    labels, index = reader.decode(node["l"]), reader.decode(node["i"])
    blocks = [_decode_block(reader, part, len(index)) for part in node["blocks"]]
    places = sorted(position for _, positions in blocks for position in positions.tolist())
    if len(places) != len(labels) or places != list(range(len(places))):
        raise ValueError("its columns are not those that it has labels for")
    return build_frame(blocks, index, labels) if blocks else pandas.DataFrame(index=index, columns=labels)


def _decode_block(reader: TreeReader, node: Node, rows: int) -> Block:
    positions = np.array(node["p"], dtype=np.intp)
    if "c" in node:
        values = _decode_column(reader, node["c"], None).array
        if len(values) != rows or len(positions) != 1:
            raise ValueError("a column is longer or shorter than the index")
        return values, positions
    values = decode_array(reader, node["a"])
    if values.shape != (len(positions), rows):
        raise ValueError("some columns are longer or shorter than the index")
    order = positions.argsort()  # pandas takes it for granted
    return (values, positions) if (order[1:] > order[:-1]).all() else (values[order], positions[order])


def as_matrix(frame: Any) -> Matrix | None:
    """Return a frame of numbers of one type and no more than that, rows without names, as what crosses soonest."""
    blocks, index, labels = read_blocks(frame), frame.index, frame.columns
    if len(blocks) != 1 or not _is_range(index) or not _are_plain(labels):
        return None
    values, positions = blocks[0]
    is_plain = isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype.kind in "iuf"
    if not is_plain or (index.start, index.step, index.name) != (0, 1, None):
        return None
    names = labels.tolist()
    if any(type(name) is not str for name in names) or (positions[1:] < positions[:-1]).any():
        return None
    return Matrix(values.T, tuple(names))


def _are_plain(labels: Any) -> bool:
    """Whether labels are texts, and no more than that, as pandas keeps a list of them."""
    pandas = require_pandas()
    return type(labels) is pandas.Index and labels.name is None and labels.dtype == pandas.Index(["a"]).dtype


def decode_series(reader: TreeReader, node: Node) -> Any:
    """Return the Series that was written."""
    index = reader.decode(node["i"])
    series = _decode_column(reader, node["c"], index)
    series.name = reader.decode(node["n"])
    return series


# -- columns -----------------------------------------------------------------------------------------------------------


def _encode_column(writer: TreeWriter, column: Any) -> Node:
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        return {"k": "array", "a": encode_array(writer, column.to_numpy(copy=False))}
    encode = _COLUMN_ENCODERS.get(type(dtype).__name__)
    if encode is None:
        raise NotTransferable(f"pandas {dtype}")
    return encode(writer, column)


def _encode_texts(writer: TreeWriter, column: Any) -> Node:
    texts = column.astype(object).where(column.notna(), None).to_numpy(dtype=object)
    # "str" is what pandas 3 infers, with NaN for what is missing; "string" was always asked for.
    return {"k": "texts", "d": str(column.dtype).partition("[")[0], "a": encode_array(writer, texts)}


def _encode_masked(writer: TreeWriter, column: Any) -> Node:
    array = column.array
    # Of pandas' internals these two; the public way makes one of what is missing and of what is no number.
    missing = getattr(array, "_mask", None)
    values = getattr(array, "_data", None)
    if missing is None or values is None:
        missing = column.isna().to_numpy(dtype=bool)
        values = column.fillna(False if str(column.dtype) == "boolean" else 0).to_numpy(dtype=column.dtype.numpy_dtype)
    return {
        "k": "masked",
        "a": encode_array(writer, np.asarray(values)),
        "m": encode_array(writer, np.asarray(missing)),
    }


def _encode_categories(writer: TreeWriter, column: Any) -> Node:
    values = column.array
    return {
        "k": "categories",
        "c": encode_index(writer, values.categories),
        "o": bool(values.ordered),
        "a": encode_array(writer, np.asarray(values.codes)),
    }


def _encode_zoned(writer: TreeWriter, column: Any) -> Node:
    moments = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
    return {"k": "zoned", "z": encode_zone(column.dtype.tz), "a": encode_array(writer, moments)}


def _encode_arrow_column(writer: TreeWriter, column: Any) -> Node:
    import pyarrow as pa

    return {"k": "arrow", "b": _arrow_bytes(writer, pa.table({"": pa.chunked_array(column.array.__arrow_array__())}))}


_COLUMN_ENCODERS: dict[str, Callable[[TreeWriter, Any], Node]] = {
    "StringDtype": _encode_texts,
    "CategoricalDtype": _encode_categories,
    "DatetimeTZDtype": _encode_zoned,
    "ArrowDtype": _encode_arrow_column,
    **{f"{sign}Int{bits}Dtype": _encode_masked for sign in ("", "U") for bits in (8, 16, 32, 64)},
    "Float32Dtype": _encode_masked,
    "Float64Dtype": _encode_masked,
    "BooleanDtype": _encode_masked,
}


def _decode_column(reader: TreeReader, node: Node, index: Any) -> Any:
    pandas, kind = require_pandas(), node["k"]
    if kind == "arrow":
        table = _read_arrow(reader, node)
        return pandas.Series(pandas.arrays.ArrowExtensionArray(table.column(0)), index=index, copy=False)
    array = decode_array(reader, node["a"])
    if kind == "array":
        # Objects stay objects, which pandas would otherwise look into for texts.
        return pandas.Series(array, index=index, dtype=array.dtype, copy=False)
    if kind == "texts":
        return pandas.Series(array, index=index, dtype=_text_dtype(pandas, node["d"]), copy=False)
    if kind == "masked":
        make = {"b": pandas.arrays.BooleanArray, "f": pandas.arrays.FloatingArray}.get(
            array.dtype.kind, pandas.arrays.IntegerArray
        )
        return pandas.Series(make(array, decode_array(reader, node["m"])), index=index, copy=False)
    if kind == "categories":
        categories = reader.decode(node["c"])
        made = pandas.Categorical.from_codes(array, categories=categories, ordered=node["o"])
        return pandas.Series(made, index=index, copy=False)
    if kind == "zoned":
        moments = pandas.Series(array, index=index, copy=False)
        return moments.dt.tz_localize("UTC").dt.tz_convert(decode_zone(node["z"]))
    raise ValueError(f"{kind!r:.20} is no kind of column")


def _text_dtype(pandas: Any, dtype: str) -> str:
    """Return the dtype of texts; what pandas 3 calls "str" an older one keeps as objects."""
    if dtype == "str" and int(pandas.__version__.partition(".")[0]) < 3:
        return "object"
    return dtype if dtype in ("str", "string") else "object"


# -- labels ------------------------------------------------------------------------------------------------------------


def _is_range(index: object) -> TypeGuard[Any]:
    return isinstance(index, loaded_types("pandas", "RangeIndex"))


def _is_multiple(index: object) -> TypeGuard[Any]:
    return isinstance(index, loaded_types("pandas", "MultiIndex"))


def encode_index(writer: TreeWriter, index: Any) -> Node:
    """Return the labels of rows or columns."""
    if _is_range(index):
        return {"t": "index", "range": [index.start, index.stop, index.step], "n": writer.encode(index.name)}
    if _is_multiple(index):
        levels = [encode_index(writer, level) for level in index.levels]
        codes = [encode_array(writer, np.asarray(code)) for code in index.codes]
        return {"t": "index", "levels": levels, "codes": codes, "n": writer.encode(list(index.names))}
    names = index.tolist()
    if all(type(name) is str for name in names) and str(index.dtype) in ("object", "str"):
        return {"t": "index", "names": names, "d": str(index.dtype), "n": writer.encode(index.name)}
    column = _encode_column(writer, require_pandas().Series(index.array, dtype=index.dtype, copy=False))
    return {"t": "index", "c": column, "n": writer.encode(index.name)}


def decode_index(reader: TreeReader, node: Node) -> Any:
    """Return the labels that were written."""
    pandas, name = require_pandas(), reader.decode(node["n"])
    if "range" in node:
        return pandas.RangeIndex(*node["range"], name=name)
    if "names" in node:
        return pandas.Index(list(map(str, node["names"])), dtype=_text_dtype(pandas, node["d"]), name=name)
    if "levels" in node:
        codes = [decode_array(reader, code) for code in node["codes"]]
        return pandas.MultiIndex(levels=[reader.decode(level) for level in node["levels"]], codes=codes, names=name)
    column = _decode_column(reader, node["c"], None)
    return pandas.Index(column, dtype=column.dtype, name=name, copy=False)


# -- single values of pandas -------------------------------------------------------------------------------------------


def is_missing(value: object) -> bool:
    """Tell whether *value* is one of pandas' own marks for what is missing."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and (value is getattr(pandas, "NA", ...) or value is getattr(pandas, "NaT", ...))


def encode_part(writer: TreeWriter, value: Any) -> Node:
    """Return a Timestamp, a Timedelta, an Index, NA or NaT."""
    if is_missing(value):
        return {"t": "missing", "v": "NA" if value is sys.modules["pandas"].NA else "NaT"}
    if isinstance(value, loaded_types("pandas", "Index")):
        return encode_index(writer, value)
    zone = getattr(value, "tz", None)
    naive = value.tz_convert("UTC").tz_localize(None) if zone is not None else value
    return {"t": "timestamp", "a": encode_array(writer, np.asarray(naive.to_numpy())), "z": encode_zone(zone)}


def decode_moment(reader: TreeReader, node: Node) -> Any:
    """Return the Timestamp or Timedelta that was written."""
    pandas, value = require_pandas(), decode_array(reader, node["a"])[()]
    if value.dtype.kind not in "mM":
        raise ValueError("it is no time")
    if value.dtype.kind == "m":
        return pandas.Timedelta(value)
    moment = pandas.Timestamp(value)
    return moment.tz_localize("UTC").tz_convert(decode_zone(node["z"])) if node["z"] else moment


def decode_missing(_: TreeReader, node: Node) -> Any:
    """Return NA or NaT."""
    pandas = require_pandas()
    return pandas.NA if node["v"] == "NA" else pandas.NaT


# -- Arrow and polars --------------------------------------------------------------------------------------------------


def _is_batch(table: Any) -> bool:
    return isinstance(table, loaded_types("pyarrow", "RecordBatch"))


def _arrow_bytes(writer: TreeWriter, table: Any) -> int:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write(table)
    return writer.add(memoryview(sink.getvalue()))


def _read_arrow(reader: TreeReader, node: Node) -> Any:
    try:
        import pyarrow as pa
    except ModuleNotFoundError as exc:
        raise DependencyMissing("pyarrow", needed_for="A table of Arrow", install="palate[parquet]") from exc
    try:
        with pa.ipc.open_stream(pa.py_buffer(reader.take(node["b"]))) as stream:
            table = stream.read_all()
            table.validate(full=True)  # what native code would follow out of its memory
            return table
    except pa.ArrowInvalid as exc:
        raise ValueError(str(exc)) from exc


def decode_arrow(reader: TreeReader, node: Node) -> Any:
    """Return the Table or RecordBatch that was written."""
    table = _read_arrow(reader, node)
    if not node["batch"]:
        return table
    import pyarrow as pa

    chunks = table.combine_chunks().to_batches()
    return chunks[0] if chunks else pa.RecordBatch.from_pylist([], schema=table.schema)


def _encode_polars(writer: TreeWriter, table: Any) -> Node:
    is_frame = hasattr(table, "columns")
    if any(str(dtype) == "Object" for dtype in (table.dtypes if is_frame else [table.dtype])):
        raise NotTransferable("polars Object")  # which it would write as addresses
    sink = BytesIO()
    (table if is_frame else table.to_frame()).write_ipc_stream(sink)
    return {"t": "polars", "frame": is_frame, "b": writer.add(sink.getbuffer())}


def decode_polars(reader: TreeReader, node: Node) -> Any:
    """Return the DataFrame or Series of polars that was written."""
    try:
        import polars
    except ModuleNotFoundError as exc:
        raise DependencyMissing("polars", needed_for="A frame of polars", install="palate[polars]") from exc
    frame = polars.read_ipc_stream(BytesIO(reader.take(node["b"])))
    return frame if node["frame"] else frame.to_series()
