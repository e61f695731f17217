"""Models through Spark Connect, with a server on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from engine_clusters import spark_connect

Columns = list[list[object]]


@pytest.mark.slow
def test_answers_come_through_a_server(
    tmp_path: Path,
    models: Path,
    rows: Path,
    expected: Callable[..., Columns],
    read_answer: Callable[[Path], Columns],
) -> None:
    """Frames and functions of columns predict the same; mistakes are told by the driver, or in the task's words."""
    with spark_connect(tmp_path / "connect") as cluster:
        done = cluster.run(Path(__file__).with_name("connect_driver.py"), models, rows)
    report = done.report
    assert report["class"] == "pyspark.sql.connect.session"
    assert read_answer(done.out / "telling") == expected("telling")
    assert read_answer(done.out / "labels") == expected("labels")
    assert report["missing"].startswith(
        "InvalidInput: The input does not fit the model's signature: inputs.b: this column"
    )
    assert (
        "InvalidInput: The input does not fit the model's signature: inputs.c: needs long, got text" in report["field"]
    )
