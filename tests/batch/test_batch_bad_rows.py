"""Bad rows: which they are, what becomes of them, and when there are too many."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from palate.batch import BadRow, TooManyBadRows
from palate.errors import InvalidData, InvalidInput


def rejects(path: str = "o.parquet.errors.jsonl") -> list[dict[str, Any]]:
    """Return the lines of a side file."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").split("\n")[:-1]]


def ids(path: str = "o.parquet") -> list[int]:
    """Return which rows have a prediction."""
    return list(parquet.read_table(path)["id"].to_pylist())


@pytest.mark.parametrize("batch_rows", [1, 3, 64])
@pytest.mark.parametrize("bad", [(0,), (49,), (24, 25), (0, 9, 10, 19, 49), tuple(range(10, 20)), tuple(range(50))])
def test_bad_rows_are_set_aside_and_all_others_are_predicted(job, make_rows, bad, batch_rows) -> None:
    """Wherever they are, also all of a batch, or all there are: each with its place, its reason and itself."""
    source = make_rows(50, bad=bad)
    report = job(source, "o.parquet", on_error="skip", batch_rows=batch_rows)
    assert (report.rows, report.rejected) == (50 - len(bad), len(bad))
    assert ids() == [row for row in range(50) if row not in bad]
    assert parquet.read_table("o.parquet")["prediction"].to_pylist() == [
        2.0 * row for row in range(50) if row not in bad
    ]
    assert rejects(report.rejects) == [
        {
            "file": "in.parquet",
            "row": row,
            "reason": "the model failed: ValueError: minus one",
            "data": {"id": row, "x": -1},
        }
        for row in bad
    ]


def test_the_first_bad_row_ends_a_job(job, make_rows) -> None:
    """It is named as it is counted in its file, and no output is there; what was done before is gone on with."""
    with pytest.raises(
        BadRow, match=r"Row 37 of 'in\.parquet', counted from 0: the model failed: ValueError: minus one\."
    ):
        job(make_rows(50, bad=(37, 41)), "o.parquet", batch_rows=4)
    assert not Path("o.parquet").exists()
    report = job("in.parquet", "o.parquet", on_error="skip", resume=True)
    assert (report.rows, report.rejected, report.resumed) == (48, 2, 30)
    assert [line["row"] for line in rejects()] == [37, 41]


@pytest.mark.parametrize("most", [0, 1, 4, 5])
def test_there_may_be_so_many_bad_rows(job, make_rows, most) -> None:
    """One more ends the job, also when an earlier run had set aside some of them."""
    make_rows(60, bad=(1, 2, 3, 44, 55))
    if most >= 5:
        assert job("in.parquet", "o.parquet", on_error="skip", max_errors=most).rejected == 5
        return
    with pytest.raises(TooManyBadRows, match=f"{most + 1} rows are bad, and {most} may be set aside"):
        job("in.parquet", "o.parquet", on_error="skip", max_errors=most)
    assert not Path("o.parquet").exists()
    assert not Path("o.parquet.errors.jsonl").exists()
    with pytest.raises(TooManyBadRows):
        job("in.parquet", "o.parquet", on_error="skip", max_errors=most, resume=True)
    assert job("in.parquet", "o.parquet", on_error="skip", resume=True).rejected == 5


def test_a_job_of_bad_rows_ends_as_soon_as_there_are_too_many(job, make_rows, monkeypatch) -> None:
    """It does not ask the model about each of a batch's rows first."""
    asked = []
    monkeypatch.setattr("palate.batch._scoring.Scorer.score_chunk", lambda _, chunk: asked.append(len(chunk)) or 1 / 0)
    make_rows(4096, group=4096)
    with pytest.raises(TooManyBadRows, match="ZeroDivisionError"):
        job("in.parquet", "o.parquet", on_error="skip", max_errors=3)
    assert len(asked) < 30


@pytest.mark.parametrize(("name", "text"), [("in.csv", "id,x\n1,1.5\n2,oh\n3,2\n4,\n"), ("in.jsonl", None)])
def test_cells_that_do_not_fit_are_bad_rows(job, name, text) -> None:
    """Of text and of JSON; the side file has the row as it was written, and a reason that names the column."""
    lines = ['{"id": 1, "x": 1.5}', '{"id": 2, "x": "oh"}', '{"id": 3, "x": 2}', '{"id": 4, "x": null}', ""]
    Path(name).write_text(text or "\n".join(lines))
    job(name, "o.parquet", on_error="skip")
    first = rejects()[0]
    assert (first["file"], first["row"]) == (name, 1)
    assert first["reason"].startswith("x: ")
    assert first["data"] in ({"id": "2", "x": "oh"}, {"id": 2, "x": "oh"})
    assert set(ids()) | {line["row"] + 1 for line in rejects()} == {1, 2, 3, 4}
    assert not set(ids()) & {line["row"] + 1 for line in rejects()}


@pytest.mark.parametrize("value", ["a\x00b", "\u2028", '"', "\x1b[31m", "é"])
def test_the_side_file_is_lines_of_json_whatever_is_in_it(job, value) -> None:
    """Also for what no text editor likes."""
    Path("in.jsonl").write_text("".join(json.dumps({"id": 1, "x": x}) + "\n" for x in (value, 1.0)))
    job("in.jsonl", "o.parquet", on_error="skip")
    (line,) = rejects()
    assert line["data"] == {"id": 1, "x": value}


def test_a_file_whose_name_is_no_text_has_a_side_file_too(job) -> None:
    """With its name as JSON can say it."""
    folder = os.fsdecode(b"d\xff")
    Path(folder).mkdir()
    Path(folder, "in.jsonl").write_text('{"id": 1, "x": "oh"}\n{"id": 2, "x": 1}\n')
    assert job(folder, f"{folder}/../o.parquet", on_error="skip").rejected == 1
    assert rejects()[0]["file"] == f"{folder}/in.jsonl"


def test_a_row_that_ends_the_models_process_is_set_aside(job, make_rows) -> None:
    """An isolated model begins again, and only that row is missing."""
    make_rows(20, group=20, bad=(7,))
    report = job("in.parquet", "o.parquet", "die", on_error="skip", isolate=True)
    assert (report.rows, report.rejected) == (19, 1)
    assert rejects()[0]["row"] == 7
    assert "ended" in rejects()[0]["reason"] or "SIGKILL" in rejects()[0]["reason"]


def test_columns_that_are_missing_are_no_rows_fault(job) -> None:
    """They are told once, before any row is read."""
    pd.DataFrame({"id": [1], "y": [1.0]}).to_parquet("in.parquet")
    for on_error in ("skip", "fail"):
        with pytest.raises(InvalidData, match=r"'in\.parquet' .* it has no 'x' that the model takes; it has id, y"):
            job("in.parquet", "o.parquet", on_error=on_error)
    assert [path.name for path in Path().iterdir()] == ["in.parquet"]
    Path("in.csv").write_text("id;x\n1;2\n")
    with pytest.raises(InvalidData, match="--delimiter ';'"):
        job("in.csv", "o.parquet", keys=[])


def test_a_record_without_a_column_is_a_bad_row(job) -> None:
    """Though among others that have it, it would be taken for one with a missing value."""
    Path("in.jsonl").write_text('{"id": 0, "x": 1.0}\n{"id": 1}\n{"id": 2, "x": 3.0}\n')
    report = job("in.jsonl", "o.parquet", on_error="skip", keys=["id"])
    assert (report.rows, report.rejected) == (2, 1)
    assert "row 1 does not have it" in Path("o.parquet.errors.jsonl").read_text()


def test_what_all_rows_have_in_common_is_said_to_be_so(job, make_rows) -> None:
    """The first row is named, and setting it aside is not what is advised."""
    pd.DataFrame({"id": range(5), "x": list("abcde")}).to_parquet("in.parquet")
    with pytest.raises(BadRow, match=r"Row 0 .* other rows are like that, too") as failed:
        job("in.parquet", "o.parquet")
    assert failed.value.like_others
    rows = pd.DataFrame({"id": range(5), "x": ["1.0", "no", "2.0", "3.0", "4.0"]})
    rows.to_csv("in.csv", index=False)
    with pytest.raises(BadRow, match=r"Row 1 .* set such rows aside"):
        job("in.csv", "o.parquet")


def test_keys_of_csv_have_the_type_that_all_of_them_allow(job) -> None:
    """Not that of the first ones: no row is bad, and nothing is cut, because a later one is written otherwise."""
    for cells, kind, values in (
        (["1", "2", ""], "int64", [1, 2, None]),
        (["1", "2.5", "1e-05"], "double", [1.0, 2.5, 1e-05]),
        (["0.6369616873214543", "-1", "+2.50"], "double", [0.6369616873214543, -1.0, 2.5]),
        (["1", "2", "007"], "string", ["1", "2", "007"]),
        (["12345678901234567890", "1", "2"], "string", ["12345678901234567890", "1", "2"]),
        (["true", "False", ""], "bool", [True, False, None]),
        (["2E5", "1", "2"], "string", ["2E5", "1", "2"]),
    ):
        Path("in.csv").write_text("key,x\n" + "".join(f"{cell},1.5\n" for cell in cells))
        job("in.csv", "o.parquet", keys=["key"])
        found = parquet.read_table("o.parquet").column("key")
        assert (str(found.type), found.to_pylist()) == (kind, values)


def test_files_with_other_columns_are_not_taken_for_missing_values(job, make_rows) -> None:
    """A second file without the column is refused, and so is one without the key."""
    make_rows(10, path="a.parquet")
    parquet.write_table(pa.table({"id": [1]}), "b.parquet")
    with pytest.raises((InvalidInput, BadRow), match="x"):
        job(["a.parquet", "b.parquet"], "o.parquet")
    parquet.write_table(pa.table({"x": [1.0]}), "b.parquet")
    with pytest.raises((InvalidInput, BadRow), match="id"):
        job(["a.parquet", "b.parquet"], "o.parquet", overwrite=True)
    assert not Path("o.parquet").exists()
