"""Engines that predict on many machines: Spark, Ray, Dask. Needs the extra of each, such as ``palate[spark]``."""

from palate.batch.engines._dask import dask_predict
from palate.batch.engines._files import ENGINES, Engine, EngineRun, predict_on_engine
from palate.batch.engines._ray import ray_predict
from palate.batch.engines._spark import spark_predict, spark_udf
from palate.batch.errors import EngineFailed

__all__ = [
    "ENGINES",
    "Engine",
    "EngineFailed",
    "EngineRun",
    "dask_predict",
    "predict_on_engine",
    "ray_predict",
    "spark_predict",
    "spark_udf",
]
