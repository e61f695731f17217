"""What a user of Ray does with models, on a cluster; writes predictions to files, and what happened to a report."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
from driver_errors import errors_of

from palate.batch.engines import predict_on_engine, ray_predict


def main(address: str, report: str, models_folder: str, rows: str, out_folder: str) -> None:
    """Predict in every way; provoke errors."""
    models, out = Path(models_folder), Path(out_folder)
    ray.init(address=address, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    dataset = ray.data.read_parquet(rows).repartition(target_num_rows_per_block=500)  # so few are one block else
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("forest", "forest", {"method": "predict_proba", "concurrency": 1, "num_cpus": 0.25}),
        ("boosted", "boosted", {"method": "predict_proba", "batch_size": 1_000}),
        ("telling", "telling", {"trust": True, "concurrency": 2, "batch_size": 500, "params": {"pause": 0.3}}),
    ]
    for name, model, options in asked:
        ray_predict(dataset, models / model, keys=["id"], **options).write_parquet(str(out / name))
    table = pa.table({"id": [1, 2], "a": [0.5, 0.5], "b": [0.5, 0.5], "c": pa.array([1, None], pa.int64())})
    gaps = ray.data.from_arrow(table)
    refused = errors_of(
        missing=lambda: ray_predict(gaps.select_columns(["a", "c"]), models / "labels"),
        column=lambda: ray_predict(ray.data.from_arrow(table.drop_columns("b")), models / "labels"),
        text=lambda: ray_predict(
            ray.data.from_arrow(table.set_column(2, "b", pa.array(["much", "more"]))), models / "labels"
        ),
        key=lambda: ray_predict(gaps, models / "labels", keys=["name"]),
        untrusted=lambda: ray_predict(gaps, models / "telling"),
        nowhere=lambda: ray_predict(gaps, models / "nowhere"),
        pool=lambda: ray_predict(gaps, models / "labels", concurrency=(3, 2)),
        size=lambda: ray_predict(gaps, models / "labels", batch_size=0),
    )
    failed = errors_of(gaps=lambda: ray_predict(gaps, models / "telling", trust=True).take_all())
    job = predict_on_engine("ray", models / "labels", rows, out / "job", keys=["id"])
    told = {"refused": refused, "failed": failed, "job": job.to_dict(), "nodes": len(ray.nodes())}
    ray.shutdown()
    Path(report).write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
