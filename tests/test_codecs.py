"""Bytes in and out: every format there and back, text typed by the signature, and bodies that strangers made."""

from __future__ import annotations

import base64
import decimal
import io
import json
import random
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from palate.codecs import (
    FORMATS,
    decode_input,
    encode_predictions,
    format_of,
    plain,
    read_arrow,
    read_document,
    read_npy,
    read_parquet,
    read_rows,
)
from palate.errors import InvalidInput, InvalidOption
from palate.schema import ColSpec, Schema, TensorSpec

FLOWERS = Schema((ColSpec(type="double", name="length"), ColSpec(type="long", name="petals")))
TYPES = Schema(
    (
        ColSpec(type="boolean", name="fresh"),
        ColSpec(type="float", name="weight", required=False),
        ColSpec(type="string", name="kind"),
        ColSpec(type="binary", name="seal", required=False),
    )
)
TABLE = pa.table({"length": [1.5, 2.0], "petals": [5, 6]})
RECORDS = [{"length": 1.5, "petals": 5}, {"length": 2.0, "petals": 6}]


def arrow(table: pa.Table, *, file: bool = False) -> bytes:
    """Return a table as an IPC stream or file."""
    out = io.BytesIO()
    with (pa.ipc.new_file if file else pa.ipc.new_stream)(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def parquet(table: pa.Table) -> bytes:
    """Return a table as a parquet file."""
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def npy(array: Any) -> bytes:
    """Return an array as numpy saves it."""
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def npy_of(header: str, data: bytes = b"") -> bytes:
    """Return a npy file with that header, whatever it says."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def npy_shaped(shape: str, *, descr: str = "'<f8'", data: bytes = b"12345678") -> bytes:
    """Return a npy file whose header is right but for what it tells of shape or type."""
    return npy_of(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}", data)


def records_of(data: Any) -> list[dict[str, Any]]:
    """Return decoded data as records of Python's values."""
    if isinstance(data, dict):
        columns = {name: np.asarray(cells).tolist() for name, cells in data.items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return data.to_pylist() if isinstance(data, pa.Table) else list(data)


# -- in ----------------------------------------------------------------------------------------------------------------

BODIES: dict[str, bytes] = {
    "csv": b"length,petals\n1.5,5\n2.0,6\n",
    "json": json.dumps(RECORDS).encode(),
    "jsonl": b'{"length": 1.5, "petals": 5}\n\n{"length": 2.0, "petals": 6}\r\n',
    "parquet": parquet(TABLE),
    "arrow": arrow(TABLE),
}


@pytest.mark.parametrize("format", BODIES)
def test_each_format_of_tables_gives_the_same_rows(format: Any) -> None:
    """The same table is read from each, with the types of the signature."""
    assert records_of(decode_input(BODIES[format], format, FLOWERS).data) == RECORDS


@pytest.mark.parametrize("format", ["csv", "parquet", "arrow"])
def test_without_a_signature_a_table_is_a_frame(format: Any) -> None:
    """Nothing says what the model takes, so it gets what most do."""
    pd.testing.assert_frame_equal(decode_input(BODIES[format], format, None).data, TABLE.to_pandas())


def test_an_arrow_file_is_read_like_a_stream() -> None:
    """Both forms of IPC come under one name; a file is told by its first bytes."""
    assert read_arrow(arrow(TABLE, file=True)).equals(read_arrow(arrow(TABLE)))


def test_arrow_shares_the_memory_of_the_body() -> None:
    """A large body is not copied."""
    body = arrow(TABLE)
    begin = pa.py_buffer(body).address
    cells = read_arrow(body).column("length").chunk(0).buffers()[1]
    assert begin <= cells.address < begin + len(body)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype="int32").reshape(2, 3)),
        np.zeros((0, 4), dtype="float32"),
        np.array(["ein", "zwei"]),
        np.array(["2026-01-01"], dtype="datetime64[ns]"),
        np.array(True),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_an_array_comes_back_from_npy(array: Any) -> None:
    """Of any type and shape, also of none; the same bits."""
    given = decode_input(npy(array), "npy", None).data
    assert (given.dtype, given.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(given, array)


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.CSV", "csv"), ("b.tsv", "csv"), ("c.ndjson", "jsonl"), ("d.feather", "arrow"), ("e.npy", "npy"), ("f", None)],
)
def test_a_files_ending_tells_its_format(name: str, format: str | None) -> None:
    """In capitals too; an unknown ending tells nothing."""
    assert format_of(name) == format
    assert format is None or format in FORMATS


def test_cells_of_csv_become_their_columns_types() -> None:
    """Nothing is guessed where the signature says the type; an empty cell is a missing value."""
    body = b"fresh,weight,kind,seal\nTrue,0.1,1,YWI=\nfalse,,true,\n"
    data = decode_input(body, "csv", TYPES).data
    assert data["fresh"].tolist() == [True, False]
    assert data["weight"].dtype == np.float32
    assert data["kind"].tolist() == ["1", "true"]
    assert data["seal"].tolist() == [b"ab", None]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the csv file is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"length,petals\n1.5\n", "line 2 has 1 cells, the header has 2"),
        (b"length,petals\n1.5,5.5\n", "petals.*line 2 is not long"),
        (b"length,petals\n1.5,1e300\n", "petals.*line 2 is not long"),
        (b"length,petals\n1.5,nan\n", "petals.*line 2 is not long"),
        (b"length,petals\n1.5,9007199254740994.0\n", "petals.*line 2 is not long"),
        (b"length,petals\n1.5,1_000\n", "petals.*line 2 is not long"),
        (b"length,petals\nfive,5\n", "length.*line 2 is not double"),
        (b"length;petals\n1.5;5\n", "is that the delimiter"),
        (b"length,length\n1.5,5\n", "same name"),
        (b'length,petals\n"1.5,5\n', "line 2 is not csv"),
        (b"length,petals\n" + b'"' + b"1" * 200_000 + b'",5\n', "is not csv"),
    ],
)
def test_csv_that_does_not_fit_is_refused_in_words(body: bytes, message: str) -> None:
    """With the line, and no cell of it."""
    with pytest.raises(InvalidInput, match=message) as caught:
        decode_input(body, "csv", FLOWERS)
    assert "five" not in str(caught.value)


def test_every_wrong_cell_of_csv_is_told() -> None:
    """Of all columns, by name and row; of very many a hundred."""
    with pytest.raises(InvalidInput) as caught:
        decode_input(b"petals,length\n4.5,1\n5,long\n\nsix,wide\n", "csv", FLOWERS)
    assert [(problem.where, problem.message[:22]) for problem in caught.value.problems] == [
        (("inputs", "petals", 0), "the cell in line 2 is "),
        (("inputs", "petals", 2), "the cell in line 5 is "),
        (("inputs", "length", 1), "the cell in line 3 is "),
        (("inputs", "length", 2), "the cell in line 5 is "),
    ]
    with pytest.raises(InvalidInput) as caught:
        decode_input(b"petals,length\n" + b"x,y\n" * 90, "csv", FLOWERS)
    assert len(caught.value.problems) == 100


def test_a_whole_decimal_of_csv_is_an_integer() -> None:
    """Spreadsheets write 4.0, and JSON's 4.0 is one; digits that a decimal would round stay as they are."""
    data = decode_input(b"petals,length\n4.0,4\n-2e1,1\n9007199254740993,1\n", "csv", FLOWERS).data
    assert data["petals"].tolist() == [4, -20, 9007199254740993]


NAMELESS = Schema((ColSpec(type="double"), ColSpec(type="string")))
NUMBERS = Schema((ColSpec(type="double"), ColSpec(type="long")))
TEXTS = Schema((ColSpec(type="string"),))
ARRAY = Schema((TensorSpec(dtype="float32", shape=(-1, 2)),))
LINE = Schema((TensorSpec(dtype="int64", shape=(-1,)),))
TENSORS = Schema((TensorSpec(dtype="int64", shape=(-1,), name="a"), TensorSpec(dtype="float64", shape=(-1,), name="b")))


@pytest.mark.parametrize(
    ("schema", "body", "wanted"),
    [
        (FLOWERS, b"1.5,5\n2,6\n", {"length": [1.5, 2.0], "petals": [5, 6]}),
        (FLOWERS, b"\xef\xbb\xbf1.5,5", {"length": [1.5], "petals": [5]}),
        (NAMELESS, b"1.5,a\n2,b\n", {"0": [1.5, 2.0], "1": ["a", "b"]}),
        (TEXTS, b"hello\nyou\n", ["hello", "you"]),
        (TEXTS, b"42\n42\n", ["42", "42"]),
        (ARRAY, b"1.5,5\n2,6\n", [[1.5, 5.0], [2.0, 6.0]]),
        (LINE, b"1\n2\n", [1, 2]),
        (TENSORS, b"1,2\n3,4.5\n", {"a": [1, 3], "b": [2.0, 4.5]}),
    ],
    ids=["named columns", "a mark first", "columns", "texts", "equal texts", "an array", "a line", "named tensors"],
)
def test_csv_without_a_header_is_read_in_order(schema: Schema, body: bytes, wanted: Any) -> None:
    """Whatever the signature, each line is a row."""
    data = decode_input(body, "csv", schema, has_header=False).data
    read = {name: cells.tolist() for name, cells in data.items()} if isinstance(data, dict) else data
    assert (read.tolist() if isinstance(read, np.ndarray) else read) == wanted


def test_long_rows_of_a_tensor_are_read() -> None:
    """Its signature is one field, however long its rows are."""
    schema = Schema((TensorSpec(dtype="float32", shape=(-1, 3072)),))
    assert decode_input(b",".join([b"0.5"] * 3072), "csv", schema, has_header=False).data.shape == (1, 3072)


def test_csv_with_neither_a_header_nor_a_signature_is_a_frame_of_positions() -> None:
    """As pandas has it: numbers for names."""
    frame = decode_input(b"1.5,a\n2,b\n", "csv", None, has_header=False).data
    pd.testing.assert_frame_equal(frame, pd.DataFrame({0: [1.5, 2.0], 1: ["a", "b"]}))


@pytest.mark.parametrize("schema", [NAMELESS, NUMBERS, TEXTS, ARRAY, LINE])
@pytest.mark.parametrize("line", [b"1.5,2\n", b"7,7\n", b"1.5,\n", b"12\n", b"1,0\n", b"-1e5,NaN\n", b"true,false\n"])
def test_a_first_line_of_data_is_not_lost(schema: Schema, line: bytes) -> None:
    """Where a signature has no names, a line of nothing but numbers is no header, and says how it would be read."""
    with pytest.raises(InvalidInput, match=r"looks like data, not like names. Hint: .*text/csv; header=absent"):
        decode_input(line + b"3,4\n", "csv", schema)


@pytest.mark.parametrize("header", [b"0,1", b"x,1", b"x,y", b"1.5,y"])
def test_names_stay_names(header: bytes) -> None:
    """Positions are what pandas writes where there are none."""
    given = decode_input(header + b"\n1.5,5\n", "csv", ARRAY).data
    assert given.tolist() == [[1.5, 5.0]]


@pytest.mark.parametrize("schema", [FLOWERS, TENSORS])
@pytest.mark.parametrize("line", [b"1.5,5", b"77,77", b"secret,77"])
def test_a_first_line_without_any_name_is_told_once(schema: Schema, line: bytes) -> None:
    """It may be data, so nothing of it is shown; a file in one line has lost its line ends to curl."""
    with pytest.raises(InvalidInput, match=r"none of the model's column names. Hint: .*header=absent") as caught:
        decode_input(line + b"\n3,4\n", "csv", schema)
    assert len(caught.value.problems) == 1
    assert not any(cell in str(caught.value) for cell in line.decode().split(","))
    assert "--data-binary" not in str(caught.value)
    with pytest.raises(InvalidInput, match=r"none of the model's column names. Hint: .*--data-binary"):
        decode_input(line, "csv", schema)


@pytest.mark.parametrize(
    ("body", "has_header"), [(b"length,petals1.5,52.0,6", True), (b"1.5,52.0,6", False)], ids=["header", "no header"]
)
def test_a_file_that_lost_its_line_ends_is_told_apart(body: bytes, has_header: bool) -> None:
    """What curl -d makes of a file is no table, and the way out is named."""
    with pytest.raises(InvalidInput, match="--data-binary"):
        decode_input(body, "csv", FLOWERS, has_header=has_header)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty$"),
        (b"1,2\n3\n", "line 2 has 1 cells, the signature has 2"),
        (b"1,2,3\n1,2,3\n", "line 1 has 3 cells, the signature has 2$"),
        (b"length,petals\n1.5,5\n", "inputs.length.0: the cell in line 1"),
        (b"," * 5000, "5,001 cells"),
    ],
)
def test_rows_without_a_header_that_do_not_fit_are_refused(body: bytes, message: str) -> None:
    """By the number of cells and their types, as with a header."""
    with pytest.raises(InvalidInput, match=message):
        decode_input(body, "csv", FLOWERS, has_header=False)


def test_a_line_of_jsonl_ends_at_a_line_feed_only() -> None:
    """JSON lets a text hold U+2028 and U+0085, at which Python's splitlines would cut it."""
    text = "a\u2028b\x85c"
    assert decode_input(f'{{"t": "{text}"}}\n'.encode(), "jsonl", None).data == [{"t": text}]


def test_a_bad_line_of_jsonl_is_told_by_its_number_in_the_file() -> None:
    """Blank lines count."""
    with pytest.raises(InvalidInput, match="line 3 is not JSON"):
        decode_input(b'{"a": 1}\n\n{"a": }\n', "jsonl", None)


@pytest.mark.parametrize(
    "document",
    [
        RECORDS,
        {"dataframe_split": {"columns": ["length", "petals"], "data": [[1.5, 5], [2.0, 6]]}},
        {"columns": ["length", "petals"], "index": [0, 1], "data": [[1.5, 5], [2.0, 6]]},
        {"dataframe_records": RECORDS},
        {"instances": RECORDS},
        {"inputs": RECORDS},
        {"inputs": {"length": [1.5, 2.0], "petals": [5, 6]}},
    ],
    ids=lambda document: next(iter(document)) if isinstance(document, dict) else "bare",
)
def test_every_form_of_a_json_document_gives_the_same_rows(document: Any) -> None:
    """Bare, as pandas writes it, and in each of the wrappers of MLflow's server."""
    assert records_of(read_document(document, FLOWERS).data) == RECORDS


def test_params_come_with_a_document() -> None:
    """They stand beside the data, where there is a wrapper."""
    assert read_document({"inputs": RECORDS, "params": {"k": 1}}, FLOWERS).params == {"k": 1}


def test_bytes_and_narrow_floats_are_read_from_json() -> None:
    """JSON has neither: base64 becomes bytes, and a decimal the nearest float32."""
    rows = read_rows([{"fresh": True, "weight": 0.1, "kind": "x", "seal": "YWI="}], TYPES)
    [row] = records_of(rows)
    assert row["seal"] == b"ab"
    assert np.float32(row["weight"]) == np.float32(0.1)


@pytest.mark.parametrize("schema", [None, FLOWERS, Schema((TensorSpec(dtype="float64", shape=(-1, 2)),))])
@pytest.mark.parametrize(
    "payload",
    [
        5,
        None,
        "text",
        [],
        {},
        {"data": 5},
        {"data": [5]},
        {"columns": 5, "data": [[1]]},
        {"columns": [[1]], "data": [[1]]},
        {"columns": ["a"], "data": [[1, 2]]},
        {"columns": ["a", "a"], "data": [[1, 2]]},
        {"columns": None, "data": [[1]]},
    ],
    ids=json.dumps,
)
def test_a_table_in_json_that_is_none_is_refused_in_words(payload: Any, schema: Schema | None) -> None:
    """Whatever stands where the table should, and whatever the signature, there is one kind of error."""
    nameless = schema is not None and not schema.is_named
    if nameless and isinstance(payload, dict) and "columns" not in payload:
        pytest.skip("a table without names is looked at by the signature")
    with pytest.raises(InvalidInput):
        read_document({"dataframe_split": payload}, schema)


def test_two_wrappers_in_one_document_are_refused() -> None:
    """Which of them is meant cannot be known."""
    with pytest.raises(InvalidInput, match="instances and inputs: give one"):
        read_document({"instances": [1], "inputs": [1]}, None)


@pytest.mark.parametrize("body", [b"", b"{", b'{"a": 1', b"[" * 100_000, b"\xff", b"[" + b"9" * 5000 + b"]"])
def test_json_that_is_none_is_refused_in_words(body: bytes) -> None:
    """Cut, endlessly nested, in another encoding, or a number that takes too long to read."""
    with pytest.raises(InvalidInput):
        decode_input(body, "json", None)


# -- in, from strangers ------------------------------------------------------------------------------------------------

READERS: dict[str, tuple[Callable[[bytes], Any], bytes]] = {
    "parquet": (read_parquet, parquet(TABLE)),
    "arrow": (read_arrow, arrow(TABLE)),
    "arrow file": (read_arrow, arrow(TABLE, file=True)),
    "npy": (read_npy, npy(np.arange(6.0).reshape(2, 3))),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_cut_body_is_refused_in_words(kind: str) -> None:
    """At whatever byte it was cut; but that an Arrow stream may end, by its definition, after any of its messages."""
    read, whole = READERS[kind]
    read_anyway = []
    for length in range(len(whole)):
        try:
            read_anyway.append(len(read(whole[:length])))
        except InvalidInput:
            continue
    assert set(read_anyway) <= ({0, 2} if kind == "arrow" else set())


@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_body_is_read_or_refused_in_words(kind: str) -> None:
    """Whichever bytes were changed; and what was read can be looked at whole."""
    read, whole = READERS[kind]
    chance = random.Random(6)
    for _ in range(1500):
        body = bytearray(whole)
        for _ in range(chance.choice([1, 2, 4])):
            body[chance.randrange(len(body))] = chance.randrange(256)
        try:
            given = read(bytes(body))
        except InvalidInput:
            continue
        plain(given)


@pytest.mark.parametrize(
    "body",
    [
        npy_shaped("(1,)", descr="'|O'", data=b"cos\nsystem\n(S'true'\ntR."),
        npy_shaped("(1,)", descr="[('a', '|O')]", data=b"cos\nsystem\n(S'true'\ntR."),
        b"\x80\x04K\x01.",
        npy(np.arange(3)) + b"more",
        npy_of("(" * 5000),
        npy_of("{'descr': " + "[('a'," * 150 + "'<f8'" + ")]" * 150 + ", 'fortran_order': False, 'shape': (1,), }"),
        npy_of("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), []: 1}"),
        npy_of("__import__('os').abort()"),
        npy_shaped("(-1,)"),
        npy_shaped("(1.0,)"),
        npy_shaped("(True,)"),
        npy_shaped(f"({'9' * 4000},)"),
        npy_shaped("(1,)", descr="'<U500000000'"),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
        b"\x93NUMPY\x09\x00\x00\x00",
    ],
    ids=lambda body: repr(body[10:40]),
)
def test_a_hostile_npy_is_refused_in_words(body: bytes) -> None:
    """Pickles, headers that are programs, and shapes that are none: nothing runs, and the error is typed."""
    with pytest.raises(InvalidInput):
        read_npy(body)


HUGE: dict[str, Callable[[], Any]] = {
    "a terabyte of npy": lambda: read_npy(npy_shaped("(1000000000000,)")),
    "ten gigabytes of npy": lambda: read_npy(npy_shaped("(1250000000,)")),
    "a trillion rows of no columns": lambda: read_npy(npy_shaped("(1000000000000, 0)", data=b"")),
    "a trillion columns of no rows": lambda: read_npy(npy_shaped("(0, 1000000000000)", data=b"")),
    "a billion empty texts": lambda: read_npy(npy_shaped("(1000000000,)", descr="'|S0'", data=b"")),
    "a billion nulls of Arrow": lambda: read_arrow(arrow(pa.table({"a": pa.nulls(10**9)}))),
    "a billion empty structs of Arrow": lambda: read_arrow(arrow(pa.table({"a": pa.array([{}] * 10).take(TAKEN)}))),
    "a gigabyte of zeros in an Arrow stream": lambda: read_arrow(zeros(pa.ipc.new_stream), max_bytes=10**8),
    "a gigabyte of zeros in an Arrow file": lambda: read_arrow(zeros(pa.ipc.new_file), max_bytes=10**8),
    "a text of Arrow a million times": lambda: read_arrow(arrow(pa.table({"a": LONG.take(TAKEN)})), max_bytes=10**8),
    "a text of parquet a million times": lambda: read_parquet(
        parquet(pa.table({"a": LONG.take(TAKEN)})), max_bytes=10**8
    ),
    "a million equal cells of parquet": lambda: read_parquet(parquet(pa.table({"a": EQUAL})), max_cells=10**5),
}
TAKEN = pa.array(np.zeros(10**6, dtype="int64"))
EQUAL = pa.array(np.ones(10**6))
LONG = pa.array(["x" * 10**5]).dictionary_encode()


def zeros(write: Callable[..., Any]) -> bytes:
    """Return eight megabytes of zeros, compressed, that say of themselves that they are a gigabyte."""
    table = pa.table({"a": np.zeros(10**6)})
    out = io.BytesIO()
    with write(out, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    size = (8 * 10**6).to_bytes(8, "little")
    assert out.getvalue().count(size) == 1
    return out.getvalue().replace(size, (10**9).to_bytes(8, "little"))


@pytest.mark.parametrize("body", HUGE)
def test_what_only_tells_of_its_size_is_refused_before_it_takes_any(body: str) -> None:
    """A few hundred bytes that tell of a billion cells cost no memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidInput):
        HUGE[body]()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"a": [True] * 100_000}),
        pa.table({"a": pa.nulls(3)}),
        pa.table({"a": pa.array([], pa.float64())}),
        pa.table({"a": pa.array([None] * 1000, pa.float64())}),
        pa.table({"a": pa.array(["x"] * 1000).dictionary_encode()}),
        pa.table({"a": [[]] * 100, "b": [""] * 100}),
    ],
    ids=lambda table: f"{table.schema.types[0]}",
)
def test_what_has_few_bytes_for_good_reasons_is_read(table: pa.Table) -> None:
    """Truth values, missing values, and columns that are empty."""
    assert read_arrow(arrow(table)).equals(table)
    assert read_arrow(arrow(table), max_bytes=10**6).equals(table)


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_limits_change_nothing_of_what_keeps_to_them(compression: str | None) -> None:
    """Text, nested values and categories come out as they went in, of Arrow and of parquet."""
    table = pa.table(
        {
            "a": ["x", None, "zz"],
            "b": [1, 2, 3],
            "c": pa.array(["p", "q", "p"]).dictionary_encode(),
            "d": [[1, 2], [3], None],
            "e": [b"1", b"2", None],
            "f": [{"x": "a"}] * 3,
            "g": pa.array(["short", "a text of more than twelve letters", None], pa.large_string()),
        }
    )
    for write in (pa.ipc.new_stream, pa.ipc.new_file):
        out = io.BytesIO()
        with write(out, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
            writer.write_table(table)
        assert read_arrow(out.getvalue(), max_bytes=10**4).equals(table)
        with pytest.raises(InvalidInput, match="bytes of values"):
            read_arrow(out.getvalue(), max_bytes=10)
    assert read_parquet(parquet(table), max_bytes=10**4).equals(table)


def test_a_table_of_views_is_as_large_as_its_texts() -> None:
    """A view of sixteen bytes may be of any text in the body."""
    table = pa.table({"a": pa.array(["x" * 1000] * 10, pa.string_view())})
    assert read_arrow(arrow(table), max_bytes=10**4).equals(table)
    with pytest.raises(InvalidInput, match="10,000 bytes of values"):
        read_arrow(arrow(table), max_bytes=9999)
    assert read_parquet(parquet(table)).num_rows == table.num_rows


def test_offsets_beyond_the_buffers_of_arrow_are_refused() -> None:
    """Whoever followed them would read other memory of the process."""
    body = arrow(pa.table({"a": ["one", "two", "three"]}))
    offsets = np.array([0, 3, 6, 11], dtype="int32").tobytes()
    assert body.count(offsets) == 1
    for wrong in ([0, 3, 6, 1 << 30], [0, -5, 6, 11], [0, 9, 6, 11]):
        with pytest.raises(InvalidInput):
            read_arrow(body.replace(offsets, np.array(wrong, dtype="int32").tobytes()))


# -- out ---------------------------------------------------------------------------------------------------------------

PLAIN: dict[str, tuple[Any, Any]] = {
    "array": (np.array([1.5, np.nan, np.inf]), [1.5, None, None]),
    "matrix": (np.array([[1, 2]]), [[1, 2]]),
    "scalar of numpy": (np.float64("nan"), None),
    "truth of numpy": (np.array([True]), [True]),
    "texts": (np.array(["a"]), ["a"]),
    "longer floats": (np.array([1.5], dtype=np.longdouble), [1.5]),
    "sparse": (sparse.csr_matrix([[0, 2.0]]), [[0.0, 2.0]]),
    "frame": (pd.DataFrame({"a": [1, 2]}), [{"a": 1}, {"a": 2}]),
    "frame with gaps": (pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}), [{"a": 1}, {"a": None}]),
    "moments with gaps": (
        pd.DataFrame({"t": pd.to_datetime(["2026-01-01T12:00", None])}),
        [{"t": "2026-01-01T12:00:00"}, {"t": None}],
    ),
    "series": (pd.Series([1.0, None], name="x"), [1.0, None]),
    "series with gaps": (pd.Series([1, None], dtype="Int64"), [1, None]),
    "moments": (np.array(["2026-01-01", "NaT"], dtype="datetime64[ns]"), ["2026-01-01T00:00:00", None]),
    "nanoseconds": (
        np.array(["2026-01-01T00:00:00.000000001"], "M8[ns]"),
        ["2026-01-01T00:00:00.000000001"],
    ),
    "days": (np.array(["2026-01-01"], dtype="datetime64[D]"), ["2026-01-01"]),
    "polars": (pl.DataFrame({"a": [1, None]}), [{"a": 1}, {"a": None}]),
    "series of polars": (pl.Series([1, 2]), [1, 2]),
    "table of Arrow": (pa.table({"a": [1, None]}), [{"a": 1}, {"a": None}]),
    "column of Arrow": (pa.chunked_array([[1], [2]]), [1, 2]),
    "dict of arrays": ({"a": np.array([1]), 2: "x"}, {"a": [1], "2": "x"}),
    "tuple": ((np.array([1]), [None]), [[1], [None]]),
    "bytes": (b"ab", base64.b64encode(b"ab").decode()),
    "decimal": ([decimal.Decimal("1.50")], ["1.50"]),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_predictions_of_any_container_are_json_data(kind: str) -> None:
    """The values themselves, and null for what is missing, whatever the container calls that."""
    given, wanted = PLAIN[kind]
    assert plain(given) == wanted
    assert json.loads(json.dumps(plain(given), allow_nan=False)) == wanted


@pytest.mark.parametrize("format", ["parquet", "arrow", "csv", "jsonl", "json"])
def test_predictions_come_back_from_what_was_written(format: Any) -> None:
    """Rows of named cells; one value for each row is called prediction."""
    body = encode_predictions(np.array([1.5, 2.5]), format)
    if format == "json":
        assert json.loads(body) == {"predictions": [1.5, 2.5]}
    elif format == "jsonl":
        assert [json.loads(line) for line in body.splitlines()] == [{"prediction": 1.5}, {"prediction": 2.5}]
    else:
        [column] = decode_input(body, format, None).data.items()
        assert (column[0], list(column[1])) == ("prediction", [1.5, 2.5])


@pytest.mark.parametrize("format", ["parquet", "arrow", "csv"])
def test_rows_of_other_fields_lose_none(format: Any) -> None:
    """A field that only later rows have is a column too."""
    body = encode_predictions([{"a": 1.0}, {"a": 2.0, "b": "x"}], format)
    assert list(decode_input(body, format, None).data.columns) == ["a", "b"]


def test_an_array_of_predictions_keeps_its_bits_in_npy() -> None:
    """Its dtype and shape too."""
    array = np.array([[0.1, np.nan]], dtype="float32")
    given = read_npy(encode_predictions(array, "npy"))
    assert (given.dtype, given.tobytes()) == (array.dtype, array.tobytes())


@pytest.mark.parametrize("format", ["csv", "parquet", "arrow", "npy"])
@pytest.mark.parametrize(
    "predictions",
    [[[[1]], [[1, 2]]], [{"a": {"b": 1}}], [None, {"a": [1]}]],
    ids=["unequal", "nested", "mixed"],
)
def test_predictions_without_that_form_are_refused_in_words(format: Any, predictions: Any) -> None:
    """With a format that has one; nothing is made up, and nothing is written as a text of it."""
    with pytest.raises(InvalidOption, match="use json"):
        encode_predictions(predictions, format)


@pytest.mark.parametrize("predictions", [[1, "a"], [2**70]], ids=["types", "large"])
@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_values_without_a_type_in_common_are_refused_in_words(format: Any, predictions: Any) -> None:
    """Arrow's columns have one type each, and integers of 64 bits."""
    with pytest.raises(InvalidOption, match="no type in common"):
        encode_predictions(predictions, format)


def test_of_two_columns_of_one_name_none_is_lost() -> None:
    """Records would have the last one only, so there is an error."""
    with pytest.raises(InvalidOption, match="same name"):
        plain(pd.DataFrame([[1, 2]], columns=["a", "a"]))
