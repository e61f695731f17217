"""Every format in pieces: the same rows, at the same places, of just the columns that somebody wants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from palate.datasets import _npy as npy
from palate.datasets import open_dataset
from palate.errors import InvalidData, InvalidInput, InvalidOption
from palate.schema import ColSpec, Schema

ROWS = 1000
TABLE = pa.table(
    {
        "id": range(ROWS),
        "x": [None if row % 7 == 0 else row / 3 for row in range(ROWS)],
        "t": [f'"{row}",\n' for row in range(ROWS)],
    }
)
SCHEMA = Schema(
    (
        ColSpec(type="long", name="id"),
        ColSpec(type="double", name="x", required=False),
        ColSpec(type="string", name="t"),
    )
)
FORMATS = ("parquet", "file.arrow", "stream.arrow", "csv", "jsonl")


def write(path: Path, table: pa.Table = TABLE) -> Path:
    """Write a table in the format that the name tells, in pieces of 300 rows where the format has such."""
    match path.name.partition(".")[2]:
        case "parquet":
            parquet.write_table(table, path, row_group_size=300)
        case "file.arrow":
            with pa.ipc.new_file(str(path), table.schema) as writer:
                writer.write_table(table, max_chunksize=300)
        case "stream.arrow":
            with pa.ipc.new_stream(str(path), table.schema) as writer:
                writer.write_table(table, max_chunksize=300)
        case "csv":
            arrow_csv.write_csv(table, path)
        case _:
            path.write_text("".join(f"{json.dumps(row)}\n\n" for row in table.to_pylist()))
    return path


def column(dataset: Any, name: str, **options: Any) -> list[Any]:
    """Return all cells of a column."""
    return [cell for chunk in dataset.chunks(**options) for cell in chunk.column(name).to_pylist()]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("batch_rows", [1, 7, 300, 100_000])
def test_all_rows_come_in_order_whatever_the_batch(tmp_path, format, batch_rows) -> None:
    """Of several files; each chunk knows where it is, and has no more rows than asked for."""
    paths = [write(tmp_path / f"{name}.{format}") for name in "ab"]
    dataset = open_dataset(paths, schema=SCHEMA)
    assert dataset.columns == ("id", "x", "t")
    assert dataset.rows == (2 * ROWS if format == "parquet" else None)
    for name in dataset.columns:
        assert column(dataset, name, batch_rows=batch_rows) == 2 * TABLE[name].to_pylist()
    done = {str(path): 0 for path in paths}
    for chunk in dataset.chunks(["id"], batch_rows=batch_rows):
        assert 0 < len(chunk) <= batch_rows
        assert chunk.place.row == done[chunk.place.file] == chunk.column("id")[0].as_py()
        done[chunk.place.file] += len(chunk)
    assert set(done.values()) == {ROWS}


@pytest.mark.parametrize("format", FORMATS)
def test_units_stand_for_all_bytes_and_rows(tmp_path, format) -> None:
    """By them progress is told, and where a job goes on."""
    dataset = open_dataset(write(tmp_path / f"a.{format}"), schema=SCHEMA)
    units = list(dataset.units())
    assert sum(unit.rows for unit in units) == ROWS
    assert 0.7 * dataset.size < sum(unit.size for unit in units) <= dataset.size
    assert [unit.number for unit in units] == list(range(len(units)))
    assert len(units) == (1 if format in ("csv", "jsonl") else 4)
    for unit in units[::-1]:  # each by itself, in any order
        assert sum(len(chunk) for chunk in unit.read(["x"], 50)) == unit.rows


@pytest.mark.parametrize("format", FORMATS)
def test_a_slice_is_the_same_rows(tmp_path, format) -> None:
    """With its place, its records and its columns."""
    chunk = next(open_dataset(write(tmp_path / f"a.{format}"), schema=SCHEMA).chunks(batch_rows=300))
    part = chunk.slice(20, 30).slice(3, 7)
    assert (len(part), part.place.row) == (4, 23)
    assert part.column("id").to_pylist() == [23, 24, 25, 26]
    assert part.record(0)["t"] == '"23",\n'
    inputs = part.inputs(["id", "missing"])
    assert (inputs if isinstance(inputs, list) else inputs.to_pylist()) == [{"id": row} for row in (23, 24, 25, 26)]
    if format == "jsonl":  # each record has what it has
        assert part.column("missing").null_count == 4
    else:
        with pytest.raises(InvalidInput, match="is not there; there is"):
            part.column("missing")


@pytest.mark.parametrize("format", ["parquet", "file.arrow", "stream.arrow"])
def test_a_table_may_have_no_rows(tmp_path, format) -> None:
    """It has columns all the same."""
    dataset = open_dataset(write(tmp_path / f"a.{format}", TABLE.slice(0, 0)))
    assert dataset.columns == ("id", "x", "t")
    assert list(dataset.chunks()) == []


# -- parquet and Arrow -------------------------------------------------------------------------------------------------


def test_only_the_columns_that_are_wanted_are_read(tmp_path) -> None:
    """A file whose pages of one column are destroyed is good for whoever wants the others."""
    path = tmp_path / "a.parquet"
    parquet.write_table(TABLE, path, compression="none", use_dictionary=False, write_page_checksum=True)
    pages = parquet.read_metadata(path).row_group(0).column(2)
    body = bytearray(path.read_bytes())
    body[pages.data_page_offset : pages.data_page_offset + pages.total_compressed_size] = (
        b"\xff" * pages.total_compressed_size
    )
    path.write_bytes(body)
    dataset = open_dataset(path)
    (chunk,) = dataset.chunks(["id", "x"])
    assert chunk.inputs(None).column_names == ["id", "x"]
    assert chunk.column("x").to_pylist() == TABLE["x"].to_pylist()
    with pytest.raises(InvalidData):
        list(dataset.chunks(["t"]))
    with pytest.raises(InvalidData):
        list(dataset.chunks())


@pytest.mark.parametrize("format", ["parquet", "file.arrow", "stream.arrow", "csv", "jsonl"])
def test_names_like_paths_are_names(tmp_path, format) -> None:
    """Dots, slashes, nothing, and names that begin as others do: each is one column, and its own."""
    names = ["a", "a.b", "a.b.c", "", "..", "/etc/passwd", "x/../y", "a b", '"', "é"]
    table = pa.table({name: [position] for position, name in enumerate(names)})
    path = write(tmp_path / f"x.{format}", table)
    schema = Schema(tuple(ColSpec(type="long", name=name) for name in names))
    dataset = open_dataset(path, schema=schema)
    assert dataset.columns == tuple(names)
    for position, name in enumerate(names):
        (chunk,) = dataset.chunks([name])
        assert chunk.column(name).to_pylist() == [position]
        if format in ("parquet", "file.arrow", "stream.arrow"):
            assert chunk.inputs(None).column_names == [name]


def test_two_columns_of_one_name_are_refused(tmp_path) -> None:
    """In the first file, and in any other."""
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    parquet.write_table(table, tmp_path / "b.parquet")
    parquet.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InvalidData, match="several columns called 'a'"):
        open_dataset(tmp_path / "b.parquet")
    for columns in (["a"], None):
        with pytest.raises(InvalidData):
            list(open_dataset(tmp_path).chunks(columns))
    with pa.ipc.new_file(str(tmp_path / "c.arrow"), table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(InvalidData, match="several columns called 'a'"):
        open_dataset(tmp_path / "c.arrow")


# -- JSON --------------------------------------------------------------------------------------------------------------


def test_a_bad_line_costs_only_its_own_rows(tmp_path) -> None:
    """The lines around it can be read, and it can be shown."""
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n  \n{"a": 2}\n{bad\n\xff\n{"a": "\\ud800"}\n[3]\n')
    schema = Schema((ColSpec(type="long", name="a"),))
    chunks = list(open_dataset(tmp_path / "x.jsonl", schema=schema).chunks(batch_rows=1))
    assert [chunk.place.row for chunk in chunks] == [0, 1, 2, 3, 4, 5]
    assert [chunk.inputs(["a"]) for chunk in chunks[:2]] == [[{"a": 1}], [{"a": 2}]]
    for chunk in chunks[2:4]:
        with pytest.raises(InvalidInput):
            chunk.inputs(["a"])
    for chunk in chunks[2:]:
        with pytest.raises(InvalidInput):
            chunk.column("a")
    assert [chunk.record(0) for chunk in chunks[2:4]] == ["{bad", "\ufffd"]


@pytest.mark.parametrize("values", [[1, "a"], [1, [2]], [{}, 1], [2**70, 1]])
def test_keys_have_a_type_in_common(tmp_path, values) -> None:
    """Else they are refused, as none of Arrow's columns could hold them."""
    (tmp_path / "x.jsonl").write_text("".join(json.dumps({"a": value}) + "\n" for value in values))
    (chunk,) = open_dataset(tmp_path / "x.jsonl").chunks()
    with pytest.raises(InvalidInput, match="no type in common"):
        chunk.column("a")


def test_lines_may_have_no_objects(tmp_path) -> None:
    """Then there are no names, and rows are what the lines hold."""
    (tmp_path / "x.jsonl").write_text("[1, 2]\n[3, 4]\n")
    dataset = open_dataset(tmp_path / "x.jsonl")
    assert dataset.columns is None
    (chunk,) = dataset.chunks()
    assert [chunk.record(row) for row in (0, 1)] == [[1, 2], [3, 4]]
    (tmp_path / "empty.jsonl").write_text("\n \n")
    assert list(open_dataset(tmp_path / "empty.jsonl").chunks()) == []


# -- arrays ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", ">f8", "int8", "bool", "U5", "M8[s]", "complex64"])
@pytest.mark.parametrize("shape", [(100,), (100, 3), (100, 2, 2), (0, 3), (1, 0)])
def test_arrays_come_in_ranges_of_rows(tmp_path, monkeypatch, dtype, shape) -> None:
    """Of any type and any number of dimensions; and a model may write into what it is given."""
    monkeypatch.setattr(npy, "_UNIT_BYTES", 200)
    array = np.arange(np.prod(shape)).reshape(shape).astype("int64").astype(dtype)
    np.save(tmp_path / "x.npy", array)
    if shape == (1, 0):
        with pytest.raises(InvalidData, match="its header tells of"):
            list(open_dataset(tmp_path / "x.npy").chunks())
        return
    dataset = open_dataset(tmp_path / "x.npy")
    assert (dataset.rows, dataset.columns) == (len(array), None)
    chunks = list(dataset.chunks(batch_rows=7))
    parts = [chunk.inputs(None) for chunk in chunks]
    assert all(part.flags.writeable for part in parts)
    assert sum(map(len, chunks)) == len(array)
    if chunks:
        assert np.array_equal(np.concatenate(parts), array)
        assert [chunk.place.row for chunk in chunks] == list(np.cumsum([0, *map(len, chunks)])[:-1])
        with pytest.raises(InvalidInput, match="an array has no names"):
            chunks[0].column("a")
        json.dumps(chunks[0].slice(1, 2).record(0), default=str)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array(3), "a single value"),
        (np.asfortranarray(np.ones((4, 3))), "its columns one by one"),
        (np.array([{}], object), "pickled objects"),
    ],
)
def test_arrays_without_rows_are_refused(tmp_path, array, reason) -> None:
    """Nothing is unpickled."""
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(InvalidData, match=reason):
        list(open_dataset(tmp_path / "x.npy").chunks())


@pytest.mark.parametrize("shape", ["(-2, -3)", "(-1,)", "(2, -1)", "(True, 2)", "(10**18,)", "(2**62, 4)", "(6, 0)"])
def test_headers_that_lie_are_refused(tmp_path, shape) -> None:
    """Of fewer rows than none, of more than there are, of rows without anything."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + header.encode() + bytes(48))
    with pytest.raises(InvalidData):
        list(open_dataset(tmp_path / "x.npy").chunks())


# -- memory ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.DataFrame({"a": [1, 2, 3], "b": list("xyz")}, index=[7, 8, 9]),
        lambda: pl.DataFrame({"a": [1, 2, 3], "b": list("xyz")}),
        lambda: pa.table({"a": [1, 2, 3], "b": list("xyz")}),
        lambda: pa.record_batch({"a": [1, 2, 3], "b": list("xyz")}),
        lambda: {"a": [1, 2, 3], "b": list("xyz")},
    ],
)
def test_tables_in_memory_are_read_alike(make) -> None:
    """Of pandas, polars and Arrow, without an index."""
    dataset = open_dataset(make())
    assert (dataset.columns, dataset.rows) == (("a", "b"), 3)
    first, second = dataset.chunks(["b"], batch_rows=2)
    assert first.inputs(None).to_pydict() == {"b": ["x", "y"]}
    assert (second.column("b").to_pylist(), second.place.row) == (["z"], 2)
    assert dataset.find_changed() is None


def test_arrays_in_memory_are_read_alike() -> None:
    """They have no names."""
    dataset = open_dataset(np.arange(6).reshape(3, 2))
    assert (dataset.columns, dataset.rows) == (None, 3)
    assert [chunk.inputs(None).tolist() for chunk in dataset.chunks(batch_rows=2)] == [[[0, 1], [2, 3]], [[4, 5]]]


@pytest.mark.parametrize(
    ("given", "error"),
    [(np.array(3), InvalidOption), (3, InvalidOption), (pd.DataFrame({"a": [1, "x"]}), InvalidData)],
)
def test_what_has_no_rows_in_memory_is_refused(given, error) -> None:
    """Or rows of no type."""
    with pytest.raises(error):
        open_dataset(given)
