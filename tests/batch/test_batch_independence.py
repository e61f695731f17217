"""Rows are only divided where that changes no prediction, or where somebody has said that it may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import palate
from palate.batch import JobDiffers, Progress, predict_files
from palate.cli import main
from palate.errors import InvalidOption

ROWS = pd.DataFrame({"a": [float(number) for number in range(10)]})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with a Python model and rows."""
    monkeypatch.chdir(tmp_path)

    class Centred(palate.PythonModel):
        """Answers how far a row is from the mean of all."""

        def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
            return model_input["a"] - model_input["a"].mean()

    palate.save_model(Centred(), "centred", signature=palate.infer_signature(ROWS))
    ROWS.to_parquet("rows.parquet")
    return tmp_path


def test_a_python_model_that_says_nothing_has_to_be_told_how_rows_are_divided(place: Path) -> None:
    """It may look at all rows of a call, as this one does; with batch_rows, the caller answers for it."""
    with pytest.raises(InvalidOption, match="may depend on the other rows"):
        predict_files("centred", "rows.parquet", "out.parquet", trust=True)
    assert not (place / "out.parquet").exists()
    predict_files("centred", "rows.parquet", "out.parquet", trust=True, batch_rows=5)
    assert pd.read_parquet("out.parquet").iloc[:, 0].tolist() == [-2.0, -1.0, 0.0, 1.0, 2.0] * 2


def test_the_command_predicts_such_a_model_in_one_call_unless_told_otherwise(place: Path) -> None:
    """Then each row is seen beside all others, as in Python."""
    for options, wanted in (([], [row - 4.5 for row in range(10)]), (["--batch-rows", "5"], [-2.0, -1.0, 0.0])):
        done = CliRunner().invoke(
            main, ["predict", "centred", "rows.parquet", "-o", "out.parquet", "--trust", *options]
        )
        assert done.exit_code == 0, done.stderr
        assert pd.read_parquet("out.parquet").iloc[:, 0].tolist()[: len(wanted)] == wanted


def test_an_interrupted_job_of_such_a_model_is_gone_on_with_by_calls_of_the_same_size(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other calls would be other predictions."""
    monkeypatch.setattr("palate.batch._parts._PART_BYTES", 1)
    ROWS.to_parquet("rows.parquet", row_group_size=5)

    def stop(progress: Progress) -> None:
        if progress.rows > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_files("centred", "rows.parquet", "out.parquet", trust=True, batch_rows=5, progress=stop)
    with pytest.raises(JobDiffers, match="batch_rows"):
        predict_files("centred", "rows.parquet", "out.parquet", trust=True, batch_rows=2, resume=True)
    report = predict_files("centred", "rows.parquet", "out.parquet", trust=True, batch_rows=5, resume=True)
    assert (report.rows, report.resumed) == (10, 5)
