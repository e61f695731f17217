"""Jobs from buckets and to buckets, on a server that imitates Amazon's."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from object_servers import BUCKET, credentials, moto_server

from palate.batch import BadRow, JobUnfinished, OutputExists
from palate.datasets import open_dataset
from palate.errors import DataNotFound, InvalidData, InvalidOption, RemoteFailed
from palate.remote import Bucket


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Return the address of the server."""
    with moto_server() as (address, _):
        yield address


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Return a folder of the test's own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in credentials(endpoint).items():
        monkeypatch.setenv(name, value)
    return Bucket(f"s3://{BUCKET}/{uuid.uuid4().hex}")


def read(bucket: Bucket, key: str) -> pd.DataFrame:
    """Read an object with a reader that is not ours."""
    bucket.download(key, Path("got"))
    try:
        return pd.read_parquet("got")
    finally:
        Path("got").unlink()


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl", "arrow"])
def test_an_object_is_read_as_a_file_is(job, make_rows, bucket, format) -> None:
    """Of every format; its predictions go to another object."""
    table = pd.read_parquet(make_rows(50))
    path = Path(f"x.{format}")
    match format:
        case "csv":
            table.to_csv(path, index=False)
        case "jsonl":
            table.to_json(path, lines=True, orient="records")
        case "arrow":
            table.to_feather(path)
        case _:
            table.to_parquet(path, row_group_size=10, index=False)
    bucket.upload(f"in/{path.name}", path)
    report = job(f"{bucket.uri}/in/{path.name}", f"{bucket.uri}/out/o.parquet")
    assert (report.rows, report.output) == (50, f"{bucket.uri}/out/o.parquet")
    assert read(bucket, "out/o.parquet")["prediction"].tolist() == [2.0 * row for row in range(50)]
    assert [entry.key for entry in Bucket(f"{bucket.uri}/out").entries()] == ["o.parquet"]
    assert not list(Path(os.environ["XDG_STATE_HOME"]).rglob("*.arrow"))


def test_a_folder_of_objects_is_read_as_folders_are(job, make_rows, bucket) -> None:
    """With values in its names, and without what is hidden; to a folder, whose _SUCCESS comes last."""
    make_rows(20)
    for key in ("in/year=2025/a.parquet", "in/year=2026/b.parquet", "in/_temporary/c.parquet", "in/.d.parquet"):
        bucket.upload(key, Path("in.parquet"))
    dataset = open_dataset(f"{bucket.uri}/in/")
    assert dataset.columns == ("id", "x", "year")
    assert dataset.rows == 40
    report = job(f"{bucket.uri}/in", f"{bucket.uri}/out", keys=["year"])
    assert report.rows == 40
    keys = sorted(entry.key for entry in Bucket(f"{bucket.uri}/out").entries())
    assert keys == ["_SUCCESS", *(f"part-0000{number}.parquet" for number in range(4))]
    found = pd.concat([read(bucket, f"out/{key}") for key in keys[1:]])
    assert found["year"].tolist() == [2025] * 20 + [2026] * 20
    again = open_dataset(f"{bucket.uri}/out")  # as an input, it is what was written
    assert sum(len(chunk) for chunk in again.chunks()) == 40


def test_a_folder_that_has_something_is_not_replaced_unless_that_is_said(job, make_rows, bucket) -> None:
    """And never one with what no job has written, such as a whole bucket; nor the input."""
    make_rows(20)
    bucket.upload("out/part-7.parquet", Path("in.parquet"))
    with pytest.raises(OutputExists, match="a folder with objects"):
        job("in.parquet", f"{bucket.uri}/out")
    job("in.parquet", f"{bucket.uri}/out", overwrite=True)
    assert "part-7.parquet" not in {entry.key for entry in Bucket(f"{bucket.uri}/out").entries()}
    bucket.upload("thesis.tex", Path("in.parquet"))
    with pytest.raises(InvalidOption, match=r"thesis\.tex|out/"):
        job("in.parquet", bucket.uri, overwrite=True)
    with pytest.raises(InvalidOption, match="is the input"):
        job(f"{bucket.uri}/out", f"{bucket.uri}/out", overwrite=True)
    with pytest.raises(InvalidOption, match="is the input"):
        job(f"{bucket.uri}/out/part-00000.parquet", f"{bucket.uri}/out/part-00000.parquet")
    assert len(list(Bucket(f"{bucket.uri}/out").entries())) == 3


@pytest.mark.parametrize("output", ["o.parquet", "out"])
def test_an_interrupted_job_goes_on_from_this_machine(job, make_rows, bucket, output) -> None:
    """Nothing is in the bucket before; bad rows go to a file here."""
    make_rows(60, bad=(33,))
    bucket.upload("in.parquet", Path("in.parquet"))
    given = (f"{bucket.uri}/in.parquet", f"{bucket.uri}/{output}")
    with pytest.raises(BadRow, match=r"Row 33 of 's3://"):
        job(*given)
    assert [entry.key for entry in bucket.entries()] == ["in.parquet"]
    with pytest.raises(JobUnfinished):
        job(*given)
    report = job(*given, resume=True, on_error="skip")
    assert (report.rows, report.rejected, report.resumed) == (59, 1, 30)
    assert report.rejects == str(Path(f"{output}.errors.jsonl").absolute())
    assert Path(report.rejects).exists()


def test_an_upload_that_breaks_off_is_gone_on_with(job, make_rows, bucket, monkeypatch) -> None:
    """What it had uploaded is its own: that the folder is no longer empty does not stop it."""
    make_rows(40)
    upload, done = Bucket.upload, []

    def break_off(self: Bucket, key: str, file: Path) -> None:
        if len(done) == 2:
            raise RemoteFailed(self.uri, doing="upload to", reason="it broke off", hint="try again")
        done.append(key)
        upload(self, key, file)

    monkeypatch.setattr(Bucket, "upload", break_off)
    with pytest.raises(RemoteFailed):
        job("in.parquet", f"{bucket.uri}/out")
    monkeypatch.setattr(Bucket, "upload", upload)
    keys = [entry.key for entry in Bucket(f"{bucket.uri}/out").entries()]
    assert sorted(keys) == ["part-00000.parquet", "part-00001.parquet"]
    with pytest.raises(JobUnfinished):
        job("in.parquet", f"{bucket.uri}/out")
    assert job("in.parquet", f"{bucket.uri}/out", resume=True).resumed == 40
    assert len(list(Bucket(f"{bucket.uri}/out").entries())) == 5


@pytest.mark.parametrize("source", ["in/a.parquet", "in"])
def test_an_object_that_changes_meanwhile_gives_no_output(job, make_rows, bucket, source) -> None:
    """Also where the new one is of the same size."""
    bucket.upload("in/a.parquet", make_rows(30))
    size = Path("in.parquet").stat().st_size
    make_rows(30, bad=(7,), path="other.parquet")
    Path("other.parquet").write_bytes(Path("other.parquet").read_bytes().ljust(size, b"\0")[:size])

    def change(progress: Any) -> None:
        if progress.rows == 30:
            bucket.upload("in/a.parquet", Path("other.parquet"))

    with pytest.raises(InvalidData, match="changed while it was read"):
        job(f"{bucket.uri}/{source}", "o.parquet", progress=change)
    assert not Path("o.parquet").exists()


@pytest.mark.parametrize("given", ["nothing", "nothing.parquet", "in*.parquet"])
def test_what_is_not_there_is_told(bucket, given) -> None:
    """As for files; there are no patterns of addresses."""
    with pytest.raises(DataNotFound):
        open_dataset(f"{bucket.uri}/{given}")
    with pytest.raises((DataNotFound, InvalidOption)):
        open_dataset("s3://")
