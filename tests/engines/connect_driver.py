"""What a user of Spark Connect does: the same, through a server that the driver only talks to."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from driver_errors import errors_of
from pyspark.sql import SparkSession

from palate.batch.engines import spark_predict, spark_udf


def main(address: str, report: str, models_folder: str, rows: str, out_folder: str) -> None:
    """Predict in two ways; provoke two errors."""
    models, out = Path(models_folder), Path(out_folder)
    spark = SparkSession.builder.remote(address).config("spark.ui.enabled", "false").getOrCreate()
    frame = spark.read.parquet(rows)
    spark_predict(frame, models / "telling", keys=["id"], trust=True).write.parquet(str(out / "telling"))
    labels = spark_udf(spark, models / "labels")
    frame.select("id", labels().alias("label")).write.parquet(str(out / "labels"))
    errors = errors_of(
        missing=lambda: spark_predict(frame.drop("b"), models / "labels"),
        field=lambda: frame.select(labels("a", "b", frame.a.cast("string"))).collect(),
    )
    spark.stop()
    Path(report).write_text(json.dumps({"class": type(spark).__module__, **errors}))


if __name__ == "__main__":
    main(*sys.argv[1:])
