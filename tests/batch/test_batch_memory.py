"""A job's memory does not grow with its rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import parquet

import palate

COLUMNS = 30
BOUND = 500 << 20
SCRIPT = """
import re, sys
from pathlib import Path
from palate.batch import predict_files
report = predict_files(sys.argv[1], sys.argv[2], sys.argv[3])
# What getrusage tells is inherited from the process that began this one.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(report.rows, int(peak) * 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("format", "rows"), [("parquet", 3_000_000), ("csv", 1_000_000)])
def test_memory_is_bounded_whatever_the_size(tmp_path, format, rows) -> None:
    """One row group of 720 MB, and text of more than 500 MB: read as a whole, either takes more."""
    from sklearn.linear_model import LinearRegression

    random = np.random.default_rng(0)
    few = random.normal(size=(100, COLUMNS))
    names = [f"c{number}" for number in range(COLUMNS)]
    palate.save_model(LinearRegression().fit(few, few.sum(axis=1)), tmp_path / "m", input_example=few[:3])
    table = pa.table({name: random.normal(size=rows) for name in names})
    assert table.nbytes > BOUND or format == "csv"
    path = Path(f"x.{format}")
    if format == "parquet":
        parquet.write_table(table, path, row_group_size=rows, use_dictionary=False)
        assert parquet.read_metadata(path).num_row_groups == 1
    else:
        arrow_csv.write_csv(table, path)
        assert path.stat().st_size > BOUND
    del table
    command = [sys.executable, "-c", SCRIPT, tmp_path / "m", path, "o.parquet"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    predicted, peak = map(int, done.stdout.split())
    assert predicted == rows
    assert peak < BOUND, f"{peak >> 20} MB"
