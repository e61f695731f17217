"""Predicts for all rows with a model that takes its time, so that something can be ended in the middle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from palate.batch.engines import predict_on_engine, ray_predict


def main(address: str, report: str, engine: str, model: str, rows: str, out: str, pause: str) -> None:
    """Predict from files to files."""
    options: dict[str, Any] = {"keys": ["id"], "trust": True, "params": {"pause": float(pause)}}
    if engine == "ray":
        _predict_blocks(address, model, rows, out, options)
    else:
        predict_on_engine(engine, model, rows, out, address=address, **options)  # type: ignore[arg-type]
    Path(report).write_text("{}")


def _predict_blocks(address: str, model: str, rows: str, out: str, options: dict[str, Any]) -> None:
    """Do so in many blocks; Ray makes one of so few rows."""
    import ray

    ray.init(address=address, log_to_driver=False)
    dataset = ray.data.read_parquet(rows).repartition(target_num_rows_per_block=500)
    ray_predict(dataset, model, concurrency=2, batch_size=250, **options).write_parquet(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
