"""Which files are read, in which order, and what the names of their folders say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from palate.datasets import open_dataset
from palate.errors import DataNotFound, InvalidData, InvalidOption, PalateError
from palate.schema import ColSpec, Schema


@pytest.fixture(autouse=True)
def in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name files as people do, from where they are."""
    monkeypatch.chdir(tmp_path)


def put(*paths: str) -> None:
    """Write parquet files of one row, with their own path in it."""
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.table({"x": [path]}), path)


def rows(*inputs: Any, **options: Any) -> list[dict[str, Any]]:
    """Return all rows."""
    dataset = open_dataset(list(inputs), **options)
    return [chunk.record(row) for chunk in dataset.chunks() for row in range(len(chunk))]


def names(*inputs: Any, **options: Any) -> list[str]:
    """Return which files are read."""
    return [row["x"] for row in rows(*inputs, **options)]


# -- which -------------------------------------------------------------------------------------------------------------


def test_files_come_in_a_fixed_order_and_each_once() -> None:
    """As they are given, those of a pattern or a folder by their names; however often they are named."""
    put("d/b.parquet", "d/a.parquet", "d/sub/c.parquet", "e.parquet")
    assert names("e.parquet", "d", "d/a.parquet", "./e.parquet") == [
        *("e.parquet", "d/a.parquet", "d/b.parquet", "d/sub/c.parquet"),
    ]
    assert names("d/*.parquet") == ["d/a.parquet", "d/b.parquet"]
    assert names("**/*.parquet") == ["d/a.parquet", "d/b.parquet", "d/sub/c.parquet", "e.parquet"]
    assert names(Path("d")) == names("d/")


def test_hidden_files_are_left_out_unless_they_are_named() -> None:
    """As Spark and Hive do it: what begins with a dot or an underscore is no data."""
    put("d/a.parquet", "d/.b.parquet", "d/_c.parquet", "d/_temporary/e.parquet", "d/.git/f.parquet")
    Path("d/_SUCCESS").touch()
    assert names("d") == names("d/*") == ["d/a.parquet"]
    assert names("d/_c.parquet") == names("d/_*.parquet") == ["d/_c.parquet"]


def test_what_links_lead_to_is_read_once() -> None:
    """A link out of the folder is followed; one to what is there anyhow, or in a circle, is not."""
    put("d/2026/a.parquet", "else/b.parquet", "file.parquet")
    os.symlink("2026", "d/latest")
    os.symlink("../else", "d/more")
    os.symlink("../else", "d/more-again")
    os.symlink("..", "d/circle")
    os.symlink("2026/a.parquet", "d/same.parquet")
    os.symlink("../file.parquet", "d/other.parquet")
    assert names("d") == ["file.parquet", "d/2026/a.parquet", "else/b.parquet"]
    os.symlink("nowhere", "d/broken.parquet")
    with pytest.raises(DataNotFound, match=r"broken\.parquet"):
        names("d")


def test_names_may_hold_anything() -> None:
    """Marks of patterns, spaces, ends of lines, quotes; what exists is meant as it is named."""
    odd = ["a[1].parquet", "*.parquet", "a b\n'c'.parquet", "ü%20.parquet", "-x.parquet"]
    put(*odd)
    for name in odd:
        assert names(name) == [name]
    assert len(names(".")) == len(odd)


def test_a_name_may_be_no_text() -> None:
    """Arrow takes no names that are no UTF-8; other formats do."""
    put("a.parquet")
    os.rename(b"a.parquet", b"\xff.parquet")
    with pytest.raises(InvalidData, match="surrogates not allowed"):
        names(".")
    Path(os.fsdecode(b"d\xff")).mkdir()
    Path(os.fsdecode(b"d\xff/\xfe.csv")).write_text("x\n1\n")
    assert rows(os.fsdecode(b"d\xff")) == [{"x": "1"}]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("nothing.parquet", "no such file"),
        ("empty", "no files"),
        ("*.csv", "no file matches"),
        ("pipe", "no ordinary file"),
        ("pipes", "no ordinary file"),
        ("/dev/null", "no ordinary file"),
        ("", "no such file"),
        ("a\x00b.parquet", "."),
    ],
)
def test_what_cannot_be_read_is_refused(given, reason) -> None:
    """At once: a pipe that nobody writes to would let a job wait for ever."""
    Path("empty").mkdir()
    Path("pipes").mkdir()
    os.mkfifo("pipe")
    os.mkfifo("pipes/x.parquet")
    with pytest.raises(DataNotFound, match=reason):
        open_dataset(given, format="parquet")


@pytest.mark.parametrize("given", [[], 3, None, [3], "x", object()])
def test_what_is_no_input_is_refused(given) -> None:
    """With an error of ours."""
    with pytest.raises(PalateError):
        open_dataset(given)


def test_files_are_of_one_format() -> None:
    """Which is told by their names, all of them, or by the caller."""
    put("d/a.parquet", "d/b.parq")
    with pytest.raises(InvalidData, match=r"b\.parq.*of no known format, and 'd/a\.parquet' is parquet"):
        open_dataset("d")
    assert names("d", format="parquet") == ["d/a.parquet", "d/b.parq"]
    Path("d/c.csv").write_text("x\n1\n")
    with pytest.raises(InvalidData, match="it is csv"):
        open_dataset(["d/a.parquet", "d/c.csv"])
    with pytest.raises(InvalidData, match="does not tell its format"):
        open_dataset("d/b.parq")
    Path("e.csv.gz").write_bytes(b"x")
    with pytest.raises(InvalidData, match=r"it is compressed\. Hint: unpack it"):
        open_dataset("e.csv.gz")
    Path("e.json").write_text("[]")
    with pytest.raises(InvalidData, match="read as a whole"):
        open_dataset("e.json")


@pytest.mark.parametrize("delimiter", ["", ",,", "\n", '"', "\r"])
def test_a_delimiter_is_one_character(delimiter) -> None:
    """And none that has another meaning."""
    Path("x.csv").write_text("a\n1\n")
    with pytest.raises(InvalidOption, match="delimiter"):
        open_dataset("x.csv", delimiter=delimiter)


def test_a_change_is_seen() -> None:
    """Of a file's size, of its time, or that it is gone; and the fingerprint is another one."""
    put("a.parquet", "b.parquet")
    dataset = open_dataset(["a.parquet", "b.parquet"])
    assert dataset.find_changed() is None
    os.utime("b.parquet", ns=(1, 1))
    assert dataset.find_changed() == "b.parquet"
    assert open_dataset(["a.parquet", "b.parquet"]).fingerprint != dataset.fingerprint
    os.remove("a.parquet")
    assert dataset.find_changed() == "a.parquet"


# -- folders with values -----------------------------------------------------------------------------------------------


def test_folders_tell_columns() -> None:
    """Whole numbers where all are such; text elsewhere, also 007; quoted characters; a missing value."""
    put("d/year=2025/city=K%C3%B6ln%2F1/code=007/a.parquet")
    put("d/year=-3/city=__HIVE_DEFAULT_PARTITION__/code=8/a.parquet")
    put("d/year=__HIVE_DEFAULT_PARTITION__/city=x=y/code=9/a.parquet")
    dataset = open_dataset("d")
    assert dataset.columns == ("x", "year", "city", "code")
    found = sorted((str(row["code"]), row["year"], row["city"]) for row in rows("d"))
    assert found == [("007", 2025, "Köln/1"), ("8", -3, None), ("9", None, "x=y")]
    kinds = {(chunk.column("year").type, chunk.column("city").type) for chunk in dataset.chunks()}
    assert kinds == {(pa.int64(), pa.string())}
    assert names("d/year=2025/*/*/a.parquet") == ["d/year=2025/city=K%C3%B6ln%2F1/code=007/a.parquet"]


@pytest.mark.parametrize("value", ["--5", "-", "-0", "+5", "5_0", "٣", "9" * 19, "1e3", "5.0", ""])
def test_what_is_not_quite_a_whole_number_stays_text(value) -> None:
    """Nothing of it is lost, and no file is refused for it."""
    put(f"d/v={value}/a.parquet")
    assert [row["v"] for row in rows("d")] == [value]


@pytest.mark.parametrize(
    ("kind", "values", "read"),
    [
        ("string", ["1", "2"], ["1", "2"]),
        ("double", ["1", "2.5"], [1.0, 2.5]),
        ("long", ["1", "2"], [1, 2]),
        ("double", ["1", "x"], ["1", "x"]),
    ],
)
@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl", "arrow"])
def test_the_signature_says_what_a_folders_values_are(kind, values, read, format) -> None:
    """As it says of cells of text; in files of every format."""
    for value in values:
        Path(f"d/v={value}").mkdir(parents=True)
        table = pa.table({"x": [0.5]})
        match format:
            case "parquet":
                parquet.write_table(table, f"d/v={value}/a.parquet")
            case "csv":
                Path(f"d/v={value}/a.csv").write_text("x\n0.5\n")
            case "jsonl":
                Path(f"d/v={value}/a.jsonl").write_text('{"x": 0.5}\n')
            case _:
                with pa.ipc.new_file(f"d/v={value}/a.arrow", table.schema) as writer:
                    writer.write_table(table)
    schema = Schema((ColSpec(type="double", name="x"), ColSpec(type=kind, name="v")))
    chunks = list(open_dataset("d", schema=schema).chunks(["x", "v"]))
    assert [cell for chunk in chunks for cell in chunk.column("v").to_pylist()] == read
    for chunk, value in zip(chunks, read, strict=True):
        given = chunk.inputs(["x", "v"])
        assert (given["v"].to_pylist() if isinstance(given, pa.Table) else [given[0]["v"]]) == [value]


def test_a_folder_that_does_not_tell_a_column_is_refused() -> None:
    """Rows without a value would look like rows with a missing one."""
    put("d/year=2025/a.parquet", "d/b.parquet")
    with pytest.raises(InvalidData, match="do not tell year"):
        open_dataset("d")


def test_a_column_of_the_file_goes_before_its_folders() -> None:
    """What a file says of itself is not replaced."""
    put("d/x=1/a.parquet")
    assert rows("d") == [{"x": "d/x=1/a.parquet"}]
    assert open_dataset("d").columns == ("x",)
