"""What a job must not lose: the rows that an earlier run set aside, and files that no job has written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from palate.batch import JobDiffers
from palate.datasets import open_dataset
from palate.errors import InvalidData, InvalidOption


def test_bad_rows_of_an_interrupted_run_are_not_forgotten(job, make_rows, monkeypatch) -> None:
    """A job that set some aside is only gone on with as such, as nobody would hear of them otherwise."""
    monkeypatch.setattr("palate.batch._parts._PART_BYTES", 1)
    rows = pd.DataFrame({"id": range(40), "x": ["1.5"] * 40})
    rows.loc[3, "x"] = "bad"
    rows.to_csv("in.csv", index=False)

    def stop(progress) -> None:
        if progress.rows > 20:
            raise KeyboardInterrupt

    monkeypatch.setattr("palate.datasets._blocks._BLOCK_BYTES", 64)
    with pytest.raises(KeyboardInterrupt):
        job("in.csv", "o.parquet", on_error="skip", progress=stop)
    with pytest.raises(JobDiffers, match="bad rows are set aside already"):
        job("in.csv", "o.parquet", resume=True)
    report = job("in.csv", "o.parquet", on_error="skip", resume=True)
    assert (report.rows, report.rejected) == (39, 1)
    assert '"row": 3' in Path("o.parquet.errors.jsonl").read_text()


@pytest.mark.parametrize("name", [".git", ".env", "_private", "part-time.csv", "part-00000.txt", "notes.md"])
def test_a_folder_with_anything_but_a_jobs_files_is_not_replaced(job, make_rows, name) -> None:
    """Though its name begins as theirs do."""
    make_rows(5, path="in.parquet")
    Path("out").mkdir()
    (Path("out") / name).write_text("the only copy")
    with pytest.raises(InvalidOption, match="which no job has written"):
        job("in.parquet", "out", overwrite=True)
    assert (Path("out") / name).read_text() == "the only copy"


def test_folders_of_all_engines_are_replaced(job, make_rows) -> None:
    """Those that Spark, Ray and Dask leave behind, too."""
    make_rows(5, path="in.parquet")
    Path("out").mkdir()
    spark = "part-00000-8e2a7f0c-c000.snappy.parquet"
    for name in ("_SUCCESS", "._SUCCESS.crc", spark, f".{spark}.crc", "0_000000_000000.parquet", "part.0.parquet"):
        (Path("out") / name).touch()
    job("in.parquet", "out", overwrite=True)
    assert [path.name for path in Path("out").iterdir()] == ["part-00000.parquet"]


def test_bad_rows_go_to_no_file_that_somebody_else_has_written(job, make_rows) -> None:
    """Only to a new one, an empty one, or one of earlier bad rows."""
    make_rows(5, path="in.parquet")
    Path("thesis.txt").write_text("three years of work")
    with pytest.raises(InvalidOption, match="no file of bad rows"):
        job("in.parquet", "o.parquet", on_error="skip", errors="thesis.txt")
    assert Path("thesis.txt").read_text() == "three years of work"
    for _ in range(2):
        job("in.parquet", "o.parquet", on_error="skip", errors="bad.jsonl")


def test_a_long_header_is_read_to_its_end(tmp_path) -> None:
    """No name is cut, and none is lost, however many there are."""
    names = [f"column_{number:06}" for number in range(80_000)]
    (tmp_path / "x.csv").write_text(",".join(names) + "\n" + ",".join(["1"] * len(names)) + "\n")
    dataset = open_dataset(tmp_path / "x.csv")
    assert dataset.columns == tuple(names)
    assert [len(chunk) for chunk in dataset.chunks(["column_000001"])] == [1]


def test_an_array_of_more_dimensions_than_there_are_is_refused(tmp_path) -> None:
    """By its header, before anything is read."""
    np.save(tmp_path / "x.npy", np.ones((2, 3)))
    body = (tmp_path / "x.npy").read_bytes()
    header = body.replace(b"(2, 3), }" + b" " * 20, b"(" + b"1, " * 40 + b"), }", 1)
    (tmp_path / "x.npy").write_bytes(header[: 10 + 118] + body[128:])
    with pytest.raises(InvalidData):
        list(open_dataset(tmp_path / "x.npy").chunks())
