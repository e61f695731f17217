"""What a user of Spark does with models, on a cluster; writes predictions to files, and what happened to a report."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from driver_errors import errors_of
from pyspark.sql import SparkSession
from pyspark.sql.functions import lit, struct

import palate
from palate.batch.engines import predict_on_engine, spark_predict, spark_udf


def main(address: str, report: str, models: str, rows: str, out: str) -> None:
    """Predict in every way; provoke errors."""
    builder = SparkSession.builder.master(address).config("spark.executorEnv.HOME", f"{out}/nobody")
    # What does not fit does not fit the next time either.
    spark = builder.config("spark.ui.enabled", "false").config("spark.task.maxFailures", "1").getOrCreate()
    frame = spark.read.parquet(rows)
    driver = Driver(spark, frame, Path(models), Path(out))
    driver.predict_frames()
    driver.predict_columns()
    told: dict[str, Any] = {"refused": driver.refused(), "jobs": driver.jobs_of_refusals, "failed": driver.failed()}
    told["job"] = driver.run_job(rows)
    told["executors"] = spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1
    spark.stop()
    Path(report).write_text(json.dumps(told))


class Driver:
    """A session, rows in it, and where to put predictions."""

    def __init__(self, spark: Any, frame: Any, models: Path, out: Path) -> None:
        self.spark, self.frame, self.models, self.out = spark, frame, models, out
        self.jobs_of_refusals = -1
        self.written: list[str] = []

    def predict_frames(self) -> None:
        """Predict for whole frames, with each kind of model."""
        asked: list[tuple[str, str, dict[str, Any]]] = [
            ("labels", "labels", {}),
            ("forest", "forest", {"method": "predict_proba"}),
            ("boosted", "boosted", {"method": "predict_proba"}),
            ("telling", "telling", {"trust": True}),
            ("isolated", "labels", {"isolate": palate.Isolation(environment="here")}),
            ("typed", "boosted", {"result_type": "double"}),
        ]
        for name, model, options in asked:
            self._write(name, spark_predict(self.frame, self.models / model, keys=["id"], **options))

    def predict_columns(self) -> None:
        """Predict with functions of columns, called in each way."""
        labels = spark_udf(self.spark, self.models / "labels")
        self.spark.udf.register("labels_of", labels)
        self.frame.createOrReplaceTempView("rows")
        by_struct, by_position = labels(struct("c", "a", "b")), labels("a", "b", "c")
        called = (by_struct.alias("fields"), by_position.alias("places"), labels().alias("names"))
        self._write("columns", self.frame.select("id", *called))
        self._write("sql", self.spark.sql("SELECT id, labels_of(a, b, c) AS label FROM rows"))
        scores = spark_udf(self.spark, self.models / "boosted", method="predict_proba")
        told = spark_udf(self.spark, self.models / "telling", trust=True)
        self._write("nested", self.frame.select("id", scores().alias("scores"), told().alias("told")))

    def _write(self, name: str, answer: Any) -> None:
        answer.write.parquet(str(self.out / name))
        self.written.append(name)

    def refused(self) -> dict[str, str]:
        """Return what is said of mistakes before any job runs."""
        frame, models = self.frame, self.models
        labelled = frame.withColumnRenamed("id", "label")
        self.spark.sparkContext.setJobGroup("refusals", "")
        errors = errors_of(
            missing=lambda: spark_predict(frame.drop("b"), models / "labels"),
            text=lambda: spark_predict(frame.withColumn("b", lit("much")), models / "labels"),
            interval=lambda: spark_predict(frame.selectExpr("a", "b", "INTERVAL 1 DAY AS c"), models / "labels"),
            key=lambda: spark_predict(frame, models / "labels", keys=["name"]),
            clash=lambda: spark_predict(labelled, models / "telling", keys=["label"], trust=True),
            untrusted=lambda: spark_predict(frame, models / "telling"),
            nowhere=lambda: spark_udf(self.spark, models / "nowhere"),
            other=lambda: spark_udf(self.spark, f"{models / 'labels'}@sha256:{'0' * 64}"),
            silent=lambda: spark_udf(self.spark, models / "silent"),
            type=lambda: spark_udf(self.spark, models / "labels", result_type="dubble"),
            few=lambda: spark_udf(self.spark, models / "labels")("a", "b"),
            column=lambda: frame.drop("a").select(spark_udf(self.spark, models / "labels")()),
        )
        self.jobs_of_refusals = len(self.spark.sparkContext.statusTracker().getJobIdsForGroup("refusals"))
        return errors

    def failed(self) -> dict[str, str]:
        """Return what is said of rows that do not fit, which only tasks see."""
        gaps = self.frame.selectExpr("id", "a", "b", "IF(id = 7, NULL, c) AS c")
        labels = spark_udf(self.spark, self.models / "labels")
        return errors_of(
            gaps=lambda: spark_predict(gaps, self.models / "telling", trust=True).collect(),
            field=lambda: self.frame.select(labels(struct("a", "b"))).collect(),
        )

    def run_job(self, rows: str) -> dict[str, Any]:
        """Predict from files to files in this session; over the same files again; and for rows that do not fit."""
        models, out = self.models, self.out
        done = predict_on_engine("spark", models / "boosted", rows, out / "job", keys=["id"])
        errors = errors_of(
            taken=lambda: predict_on_engine("spark", models / "boosted", rows, out / "job"),
            gaps=lambda: predict_on_engine("spark", models / "telling", _write_gaps(out), out / "no", trust=True),
        )
        again = predict_on_engine("spark", models / "boosted", rows, out / "job", keys=["id"], overwrite=True)
        names = sorted(path.name for path in out.iterdir() if path.name not in self.written)
        return {**done.to_dict(), **errors, "again": again.rows, "left": names}


def _write_gaps(out: Path) -> Path:
    """Write two rows, one of which has a gap."""
    (out / "gaps").mkdir()
    gaps = pa.table({"id": [1, 2], "a": [0.5, 0.5], "b": [0.5, 0.5], "c": pa.array([1, None], pa.int64())})
    pq.write_table(gaps, out / "gaps" / "part-0.parquet")
    return out / "gaps"


if __name__ == "__main__":
    main(*sys.argv[1:])
