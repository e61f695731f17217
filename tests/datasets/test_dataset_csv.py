"""csv in blocks: the same cells, types, rows and lines as ``palate.codecs`` reads in the whole file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from palate._enforcement.plan import compile_inputs
from palate.codecs import read_csv
from palate.datasets import _blocks as blocks
from palate.datasets import open_dataset
from palate.errors import InvalidData, InvalidInput
from palate.schema import ColSpec, Schema

TYPES = ("boolean", "integer", "long", "float", "double", "string", "datetime", "binary")
SPELLINGS = (
    *("", " ", " 5", "5 ", "+5", "-0", "007", "5", "-12", "1e5", "1E400", "-1e-400", "0x10", "0X1p3", "1_000", "5.0"),
    *(
        "4.5",
        ".5",
        "5.",
        "nan",
        "NaN",
        "nan(1)",
        "NAN(X)",
        "-nan",
        "inf",
        "-Infinity",
        "infinity",
        "TRUE",
        "tRuE",
        "no",
    ),
    *(" true", "true ", "1", "0", "0.1", "16777217", "3.4028236e38", "1e39", "2147483648", "-2147483649"),
    *("9223372036854775807", "9223372036854775808", "99999999999999999999999", "9007199254740993.0", "1e22", "null"),
    *("NULL", "NA", "None", "a,b", 'a"b', '"', "a\nb", "a\r\nb", "a\rb", "é", "\u2028", "٣", "\x00", "x" * 300),
    *("2026-01-31", "2026-01-31T12:00:00Z", "aGk=", "aGk"),
)
CELLS = st.one_of(st.sampled_from(SPELLINGS), st.text(max_size=4), st.integers().map(str), st.floats().map(repr))
FEW = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, text: str | bytes) -> Path:
    """Write a file as it is."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def enforced(data: Any, schema: Schema) -> pd.DataFrame:
    """Return what a model would get."""
    return pd.DataFrame(compile_inputs(schema).enforce(data))


def outcome(read: Any) -> pd.DataFrame | str:
    """Return what a model would get, or that it would get nothing."""
    try:
        return read()
    except InvalidInput:
        return "refused"


def agree(path: Path, text: str, schema: Schema, delimiter: str = ",") -> pd.DataFrame | str:
    """See that a file in blocks is what the whole of it is, and return that."""
    write(path, text)
    whole = outcome(lambda: enforced(read_csv(text, schema, delimiter), schema))

    def by_blocks() -> pd.DataFrame:
        chunks = list(open_dataset(path, schema=schema, delimiter=delimiter).chunks())
        return pd.concat([enforced(chunk.inputs([spec.name for spec in schema]), schema) for chunk in chunks])

    parts = outcome(by_blocks)
    assert isinstance(parts, str) == isinstance(whole, str), (parts, whole)
    if not isinstance(whole, str) and not isinstance(parts, str):
        # A column without any value has no type that pandas would keep.
        empty = [name for name in whole if whole[name].isna().all()]
        assert parts[empty].isna().all(axis=None)
        texts = {name: whole[name].dtype for name in whole if pd.api.types.is_string_dtype(whole[name].dtype)}
        parts = parts.astype(texts)  # of which a chunk without any value has none
        pd.testing.assert_frame_equal(parts.drop(columns=empty).reset_index(drop=True), whole.drop(columns=empty))
    return whole


def as_csv(rows: list[list[str]], *, delimiter: str = ",", end: str = "\n") -> str:
    """Return rows as Python writes them."""
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if any({"\r", "\n"} & set(cell) for row in rows for cell in row) else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    return text.getvalue()


# -- cells -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_odd_spelling_is_read_as_in_the_whole_file(tmp_path, kind, spelling) -> None:
    """A cell of any spelling, in a column of any type, is the value that the codec reads, or refused as there."""
    schema = Schema((ColSpec(type=kind, name="a", required=False), ColSpec(type="string", name="b")))
    agree(tmp_path / "x.csv", as_csv([["a", "b"], [spelling, "x"], ["", "y"]]), schema)


@FEW
@given(kind=st.sampled_from(TYPES), cells=st.lists(CELLS, min_size=1, max_size=5), end=st.sampled_from(["\n", "\r\n"]))
@example(kind="string", cells=['5" pipe', "a\nb"], end="\n")
def test_any_column_is_read_as_in_the_whole_file(tmp_path, kind, cells, end) -> None:
    """Columns of any cells are what the codec makes of them, or refused as there."""
    schema = Schema((ColSpec(type=kind, name="a", required=False), ColSpec(type="long", name="b")))
    rows = [["a", "b"], *([cell, str(row)] for row, cell in enumerate(cells))]
    agree(tmp_path / "x.csv", as_csv(rows, end=end), schema)


@FEW
@given(text=st.text(alphabet='ab1,"\n\r \x00é', max_size=40), block=st.integers(1, 12))
@example(text='5" p,3\n"a\nb",1\n', block=4)
@example(text="1,2\r3,4\r", block=5)
@example(text='"a"b,1\n1,2\n', block=3)
@example(text='"a""b\n",1\r\n\r\n1,2', block=2)
def test_any_text_is_read_as_in_the_whole_file(tmp_path, text, block) -> None:
    """Whatever stands in a file, and wherever its blocks end: its rows are the codec's rows, or refused as there."""
    schema = Schema(
        (ColSpec(type="string", name="a", required=False), ColSpec(type="string", name="b", required=False))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_BLOCK_BYTES", block)
        whole = agree_or_empty(tmp_path / "x.csv", "a,b\n" + text, schema)
    if isinstance(whole, pd.DataFrame):
        assert sum(unit.rows for unit in open_dataset(tmp_path / "x.csv", schema=schema).units()) == len(whole)


def agree_or_empty(path: Path, text: str, schema: Schema) -> pd.DataFrame | str:
    """Do the same, also for a file without any row, of which there are no chunks."""
    whole = outcome(lambda: enforced(read_csv(text, schema, ","), schema))
    if isinstance(whole, pd.DataFrame) and not len(whole):
        write(path, text)
        assert list(open_dataset(path, schema=schema).chunks()) == []
        return whole
    return agree(path, text, schema)


@pytest.mark.parametrize("delimiter", [";", "\t", "|", "§", " "])
def test_cells_may_be_separated_by_any_one_character(tmp_path, delimiter) -> None:
    """Also by one that is no ASCII, which Arrow does not take."""
    schema = Schema((ColSpec(type="double", name="a"), ColSpec(type="string", name="b")))
    text = as_csv([["a", "b"], ["1.5", f"x{delimiter}y"], ["2", 'a"\nb']], delimiter=delimiter)
    assert list(agree(tmp_path / "x.csv", text, schema, delimiter)["b"]) == [f"x{delimiter}y", 'a"\nb']


def test_names_that_end_in_tsv_have_tabs(tmp_path) -> None:
    """A file called .tsv needs no word about its tabs."""
    (chunk,) = open_dataset(write(tmp_path / "x.tsv", "a\tb\n1\t2\n")).chunks()
    assert chunk.record(0) == {"a": "1", "b": "2"}


# -- rows and lines ----------------------------------------------------------------------------------------------------

QUOTED = '\ufeffa,b\r\n1,"x\ny"\r\n\r\n2,"""q"""\n3,\n\n4,"z,z"'


@pytest.mark.parametrize("block", [1, 2, 3, 7, 16, 1 << 20])
@pytest.mark.parametrize("batch_rows", [1, 2, 3, 100])
def test_rows_do_not_depend_on_blocks_or_batches(tmp_path, monkeypatch, block, batch_rows) -> None:
    """A mark at the beginning, both ends of lines, blank lines, ends of lines in cells, and none at the end."""
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", block)
    schema = Schema((ColSpec(type="long", name="a"), ColSpec(type="string", name="b", required=False)))
    dataset = open_dataset(write(tmp_path / "x.csv", QUOTED), schema=schema)
    assert dataset.columns == ("a", "b")
    chunks = list(dataset.chunks(batch_rows=batch_rows))
    assert max(map(len, chunks)) <= batch_rows
    records = [chunk.record(row) for chunk in chunks for row in range(len(chunk))]
    assert [record["b"] for record in records] == ["x\ny", '"q"', "", "z,z"]
    assert [number for chunk in chunks for number in chunk.column("a").to_pylist()] == [1, 2, 3, 4]
    assert [chunk.place.row for chunk in chunks] == list(np.cumsum([0, *map(len, chunks)])[:-1])


@pytest.mark.parametrize("block", [4, 1 << 20])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_errors_name_the_line_of_the_file(tmp_path, monkeypatch, block, end) -> None:
    """The line of a bad cell is counted from the file's beginning, over blank lines and lines in cells."""
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", block)
    lines = ["a,b", "1,x", "", '2,"y', 'y"', "three,z", "4,z", ""]
    schema = Schema((ColSpec(type="long", name="a"),))
    chunks = list(open_dataset(write(tmp_path / "x.csv", end.join(lines)), schema=schema).chunks(batch_rows=1))
    assert [chunk.place.row for chunk in chunks] == [0, 1, 2, 3]
    with pytest.raises(InvalidInput, match="cell in line 6 is not long"):
        chunks[2].inputs(["a"])
    whole = next(
        chunk for chunk in open_dataset(tmp_path / "x.csv", schema=schema).chunks() if chunk.place.row + len(chunk) > 2
    )
    with pytest.raises(InvalidInput, match="cell in line 6 is not long"):
        whole.inputs(["a"])


@FEW
@given(
    rows=st.lists(st.lists(st.text(alphabet='a",\n\r ', max_size=4), min_size=2, max_size=2), max_size=12),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_records_are_counted_as_they_are_split(rows, end) -> None:
    """For what Python's writer of csv writes, the count is the number of records, and of rows."""
    text = as_csv([[first or "x", second] for first, second in rows], end=end).encode()
    records = blocks.split_records(text, delimiter=",")
    assert blocks.count_records(text, delimiter=",") == len(records) == len(rows)
    assert b"".join(records) == text
    assert not blocks.has_stray_marks(text, delimiter=",")


@FEW
@given(st.text(alphabet='ab",\n\r é', max_size=30))
def test_any_text_is_counted_as_it_is_split(text) -> None:
    """Also where quotation marks stand anywhere."""
    for delimiter in (",", None):
        body = text.encode()
        assert blocks.count_records(body, delimiter=delimiter) == len(blocks.split_records(body, delimiter=delimiter))


def test_a_record_may_be_longer_than_a_block(tmp_path, monkeypatch) -> None:
    """It is read whole; beyond a limit it is refused, as its end is missing, perhaps."""
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 64)
    schema = Schema((ColSpec(type="string", name="a"),))
    long = "x\n" * 5000
    path = write(tmp_path / "x.csv", f'a,b\n1,2\n"{long}",3\n4,5\n')
    found = [cell for chunk in open_dataset(path, schema=schema).chunks() for cell in chunk.column("a").to_pylist()]
    assert found == ["1", long, "4"]
    monkeypatch.setattr(blocks, "_LONGEST_RECORD", 1000)
    with pytest.raises(InvalidData, match="longer than 1,000 bytes"):
        list(open_dataset(path, schema=schema).chunks())


# -- columns that only the cells tell of -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-20", ""], [1, -20, None]),
        (["007", "8"], ["007", "8"]),
        (["1.5", "2"], [1.5, 2.0]),
        (["1e5", "2"], ["1e5", "2"]),
        (["-0", "1"], [-0.0, 1.0]),
        (["9" * 19], ["9" * 19]),
        (["true", "FALSE", "False"], [True, False, False]),
        (["", "x"], [None, "x"]),
    ],
)
def test_keys_keep_what_their_cells_say(tmp_path, cells, values) -> None:
    """A column beside the signature's is of the narrowest type in which no cell loses anything."""
    path = write(tmp_path / "x.csv", as_csv([["id", "a"], *([cell, "1"] for cell in cells)]))
    (chunk,) = open_dataset(path, schema=Schema((ColSpec(type="long", name="a"),))).chunks()
    assert chunk.column("id").to_pylist() == values
    assert list(map(type, chunk.column("id").to_pylist())) == list(map(type, values))


@pytest.mark.parametrize("later", ["007", "x", "1.5", " 3", "+3", "0x3", "true"])
def test_a_key_of_another_kind_in_a_later_block_is_refused_and_never_altered(tmp_path, monkeypatch, later) -> None:
    """What the first block says of a column holds for all: 007 among whole numbers would come out as 7."""
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 12)
    path = write(tmp_path / "x.csv", f"id,a\n1,1\n2,2\n3,3\n4,4\n{later},5\n")
    dataset = open_dataset(path, schema=Schema((ColSpec(type="long", name="a"),)))
    *_, last = dataset.chunks(["id", "a"])
    with pytest.raises(InvalidInput, match="no int64"):
        last.column("id")
    assert list(last.inputs(["a"])["a"])[-1] == 5


# -- headers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("\n\r\n\n", "it is empty"),
        ("\ufeff", "it is empty"),
        ("a,b,a\n1,2,3\n", "several columns called 'a'"),
        (b"\xff\xfe,b\n1,2\n", "no csv in UTF-8"),
        ('"a"b,c\n1,2\n', "no csv in UTF-8"),
    ],
)
def test_a_file_without_a_usable_header_is_refused(tmp_path, text, reason) -> None:
    """Before any of its rows is read."""
    with pytest.raises(InvalidData, match=reason):
        open_dataset(write(tmp_path / "x.csv", text))


@pytest.mark.parametrize("text", ["a,b\n", "a,b", "\na,b\r\n\n"])
def test_a_file_may_have_no_rows(tmp_path, text) -> None:
    """It has columns and no chunks."""
    dataset = open_dataset(write(tmp_path / "x.csv", text))
    assert dataset.columns == ("a", "b")
    assert list(dataset.chunks()) == []


@pytest.mark.parametrize("row", ["1", "1,2,3", '1,"2', b"\xff,1"])
def test_a_row_that_is_none_is_refused_when_it_is_read(tmp_path, row) -> None:
    """With too few or too many cells, without an end, or of other bytes; the rows before it can be read."""
    text = b"a,b\n1,2\n" + (row if isinstance(row, bytes) else row.encode()) + b"\n"
    schema = Schema((ColSpec(type="string", name="a"), ColSpec(type="string", name="b")))
    first, second = open_dataset(write(tmp_path / "x.csv", text), schema=schema).chunks(batch_rows=1)
    assert first.inputs(["a"]).to_pylist() == [{"a": "1"}]
    with pytest.raises(InvalidInput):
        second.inputs(["a"])
    second.record(0)  # can be shown all the same
