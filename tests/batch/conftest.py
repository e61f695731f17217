"""Models and rows for jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

import palate
from palate.batch import BatchReport, predict_files
from palate.schema import ColSpec, ParamSpec, Schema

Job = Callable[..., BatchReport]


@pytest.fixture(scope="session")
def rows_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return where a model is that does to each row what a param says."""
    path = tmp_path_factory.mktemp("rows") / "model"
    signature = palate.Signature(
        inputs=Schema((ColSpec(type="double", name="x"),)),
        params=(ParamSpec(name="mode", type="string", default="double"),),
    )
    palate.save_model(str(Path(__file__).with_name("rows_model.py")), path, signature=signature)
    return str(path)


@pytest.fixture(autouse=True)
def in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name files as people do, from where they are; let no job of another place be seen."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def make_rows() -> Callable[..., Path]:
    """Write parquet of the numbers from 0, in row groups; minus one at some places."""

    def make(count: int, *, group: int = 10, bad: tuple[int, ...] = (), path: str = "in.parquet") -> Path:
        x = [-1.0 if row in bad else float(row) for row in range(count)]
        table = pa.table({"id": pa.array(range(count), pa.int64()), "x": pa.array(x, pa.float64())})
        parquet.write_table(table, path, row_group_size=group)
        return Path(path)

    return make


@pytest.fixture
def job(rows_model: str, monkeypatch: pytest.MonkeyPatch) -> Job:
    """Predict with that model, each row group by itself."""
    monkeypatch.setattr("palate.batch._parts._PART_BYTES", 1)

    def run(inputs: Any, output: Any, mode: str = "double", **options: Any) -> BatchReport:
        given = {"keys": ["id"], "params": {"mode": mode}, "trust": True, **options}
        return predict_files(given.pop("model", rows_model), inputs, output, **given)

    return run
