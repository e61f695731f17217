"""What a user of Dask does with models, on a cluster; writes predictions to files, and what happened to a report."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import pandas as pd
from distributed import Client
from driver_errors import errors_of

from palate.batch.engines import dask_predict, predict_on_engine


def main(address: str, report: str, models_folder: str, rows: str, out_folder: str) -> None:
    """Predict in every way, with and without the cluster; provoke errors."""
    models, out = Path(models_folder), Path(out_folder)
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("labels", "labels", {}),
        ("forest", "forest", {"method": "predict_proba"}),
        ("boosted", "boosted", {"method": "predict_proba"}),
        ("telling", "telling", {"trust": True, "params": {"pause": 0.2}}),
    ]
    few = dd.from_pandas(pd.DataFrame({"id": [1, 2], "a": 0.5, "b": 0.5, "c": [1, 2]}), npartitions=1)
    predict_on_engine("dask", models / "labels", rows, out / "here", keys=["id"])
    with Client(address):
        frame = dd.read_parquet(rows, split_row_groups=True, aggregate_files=False)
        for name, model, options in asked:
            dask_predict(frame, models / model, keys=["id"], **options).to_parquet(str(out / name), write_index=False)
        by_key = dask_predict(frame.set_index("id", sorted=True), models / "labels").compute()
        index = [int(by_key.index[0]), int(by_key.index[-1]), len(by_key)]
        refused = errors_of(
            missing=lambda: dask_predict(few.drop(columns="b"), models / "labels"),
            text=lambda: dask_predict(few.assign(b="much"), models / "labels"),
            key=lambda: dask_predict(few, models / "labels", keys=["name"]),
            untrusted=lambda: dask_predict(few, models / "telling"),
            nowhere=lambda: dask_predict(few, models / "nowhere"),
            silent=lambda: dask_predict(few, models / "silent"),
        )
        gaps = few.assign(c=few.c.where(few.c != 1))
        failed = errors_of(gaps=lambda: dask_predict(gaps, models / "telling", trust=True).compute())
    job = predict_on_engine("dask", models / "boosted", rows, out / "job", address=address, keys=["id"])
    told = {"refused": refused, "failed": failed, "job": job.to_dict(), "index": index}
    Path(report).write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
