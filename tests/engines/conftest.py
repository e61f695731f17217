"""Models, rows and the predictions for them in this process, which are what a cluster has to give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cluster_models import FEATURES, make_models, make_rows

import palate

ROWS = 6_000
FILES = 12


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the models."""
    folder = tmp_path_factory.mktemp("models")
    make_models(folder)
    return folder


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the rows in several files."""
    folder, table = tmp_path_factory.mktemp("rows"), pa.Table.from_pandas(make_rows(ROWS), preserve_index=False)
    each = ROWS // FILES
    for number in range(FILES):
        pq.write_table(table.slice(number * each, each), folder / f"part-{number:02}.parquet")
    return folder


@pytest.fixture(scope="session")
def expected(models: Path) -> Callable[..., list[list[object]]]:
    """Return what a model gives for all rows here, column by column, in the order of the keys."""
    inputs = make_rows(ROWS)[FEATURES]

    def predict(model: str, method: str | None = None) -> list[list[object]]:
        loaded = palate.load_model(models / model, trust=True)
        answer: Any = loaded.call(method or loaded.default_method, inputs, output="arrow")
        return [column.to_pylist() for column in answer.columns]

    return predict


@pytest.fixture(scope="session")
def read_answer() -> Callable[[Path], list[list[object]]]:
    """Return what is in a folder of predictions, column by column, in the order of the keys; each key is there once."""

    def read(folder: Path) -> list[list[object]]:
        table = pq.read_table(folder).sort_by("id")
        assert table["id"].to_pylist() == list(range(ROWS))
        return [column.to_pylist() for column in table.drop_columns("id").columns]

    return read
