"""Files in, a folder of parquet files out, by one of the engines.

The engine writes to a hidden folder beside the output, which gets its name when it is whole: it has as many rows as
the input. All nodes have to see these folders at the same paths.
"""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from palate.batch._replacing import replace_folder
from palate.batch.engines._dask import dask_predict, require_dask
from palate.batch.engines._failures import telling
from palate.batch.engines._ray import ray_predict, require_ray
from palate.batch.engines._shipping import Uri
from palate.batch.engines._spark import require_spark, spark_predict
from palate.batch.errors import EngineFailed, OutputExists
from palate.errors import DataNotFound, InvalidOption
from palate.locations import scheme_of

__all__ = ["ENGINES", "Engine", "EngineRun", "predict_on_engine"]

Engine = Literal["spark", "ray", "dask"]
ENGINES: Final = get_args(Engine)
Inputs: TypeAlias = "str | PathLike[str] | Sequence[str | PathLike[str]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRun:
    """What a job on an engine has written.

    Attributes:
        engine: which engine.
        path: the folder.
        rows: how many rows its files have, as many as the input.
        files: how many parquet files it has.
    """

    engine: Engine
    path: Path
    rows: int
    files: int

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON data."""
        return {"engine": self.engine, "path": str(self.path), "rows": self.rows, "files": self.files}


def predict_on_engine(
    engine: Engine,
    uri: Uri,
    inputs: Inputs,
    output: str | PathLike[str],
    *,
    address: str | None = None,
    overwrite: bool = False,
    **options: Any,
) -> EngineRun:
    """Predict for parquet files on an engine, and write a folder of parquet files, which appears whole or not at all.

    Args:
        engine: "spark", "ray" or "dask".
        uri: the model.
        inputs: parquet files, folders of them or patterns such as ``data/*.parquet``, one or several, which all nodes
            see at the same paths.
        output: the folder, on a file system that all nodes have.
        address: where the cluster is: Spark's master (``spark://host:7077``, ``yarn``, ``sc://host`` for Connect), the
            address of Ray (``auto``, ``host:6379``) or of Dask's scheduler. By default what the engine is set up for,
            else this machine.
        overwrite: replace a folder of parquet files that is there.
        **options: of ``spark_predict``, ``ray_predict`` or ``dask_predict``: method, params, keys, trust, …

    Raises:
        InvalidOption: *engine* is none, or an option does not work.
        OutputExists: *output* is taken.
        DataNotFound: there are no such files.
        EngineFailed: a task, or the engine, failed; nothing was written.
        DependencyMissing: the engine is not installed.
        PalateError: what ``spark_predict``, ``ray_predict`` and ``dask_predict`` raise.
    """
    if engine not in ENGINES:
        raise InvalidOption("engine", reason=f"there is no {engine!r:.60}", hint=f"give one of {', '.join(ENGINES)}")
    target = _check_output(output, overwrite=overwrite)
    paths = _find(inputs)
    _REQUIRE[engine](f"engine='{engine}'")
    with _stage(target) as stage, telling(engine.capitalize()):
        _RUN[engine](paths, uri, stage, address, options)
        rows, files = _count(sorted(map(str, stage.glob("**/*.parquet"))))
        expected, _ = _count(paths)
        if rows != expected:
            reason = f"{stage} has {rows:,} rows, and the input {expected:,}; do all nodes see that folder?"
            raise EngineFailed(engine.capitalize(), reason=reason)
        before = stage.with_name(f"{stage.name}.before")
        replace_folder(target, stage, aside=before)
        shutil.rmtree(before, ignore_errors=True)  # the output is there, whatever becomes of the old one
    return EngineRun(engine=engine, path=target, rows=rows, files=files)


# -- files -------------------------------------------------------------------------------------------------------------


def _find(inputs: Inputs) -> list[str]:
    given = [inputs] if isinstance(inputs, str | PathLike) else list(inputs)
    paths = [path for one in given for path in _expand(os.fspath(one))]
    if not paths:
        raise DataNotFound("", reason="no path was given")
    return paths


def _expand(place: str) -> list[str]:
    if scheme_of(place) not in (None, "file"):
        hint = "read it with the engine, and give the frame to palate.batch's function for it"
        raise InvalidOption("inputs", reason=f"'{place:.200}' is no path on all nodes", hint=hint)
    place = place.removeprefix("file://")
    found = [place] if os.path.lexists(place) else sorted(glob.glob(place, recursive=True))
    if not found:
        raise DataNotFound(place, reason="nothing is there")
    if wrong := [path for path in found if os.path.isfile(path) and not path.endswith((".parquet", ".pq"))]:
        raise InvalidOption("inputs", reason=f"'{wrong[0]:.200}' is no parquet file", hint="engines read parquet only")
    return [os.path.abspath(path) for path in found]


def _count(paths: Sequence[str]) -> tuple[int, int]:
    """Return the number of rows and of files, from the ends of the files."""
    import pyarrow.dataset as ds

    parts = [ds.dataset(path, format="parquet") for path in paths]
    return sum(part.count_rows() for part in parts), sum(len(part.files) for part in parts)


def _check_output(output: str | PathLike[str], *, overwrite: bool) -> Path:
    if scheme_of(output) is not None:
        hint = "write to a folder that all nodes see, or let the engine write the frame that palate.batch gives"
        raise InvalidOption("output", reason=f"'{output}' cannot be renamed in one step", hint=hint)
    target = Path(os.path.abspath(output))
    if not os.path.lexists(target):
        return target
    if not overwrite:
        raise OutputExists(str(output), what="a folder" if target.is_dir() else "a file")
    if not target.is_dir() or target.is_symlink() or any(_is_foreign(path) for path in target.rglob("*")):
        reason = f"'{target}' is no folder with nothing but parquet files"
        raise InvalidOption("output", reason=reason, hint="choose another folder; this one is not replaced")
    return target


def _is_foreign(path: Path) -> bool:
    return path.is_file() and path.suffix != ".parquet" and path.name != "_SUCCESS" and path.suffix != ".crc"


@contextmanager
def _stage(target: Path) -> Iterator[Path]:
    """Yield the name of a hidden folder beside the target; what is left of it is removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


# -- engines -----------------------------------------------------------------------------------------------------------


def _run_spark(paths: Sequence[str], uri: Uri, stage: Path, address: str | None, options: Mapping[str, Any]) -> None:
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    spark = running or _start_spark(SparkSession.builder.appName("palate predict"), address)
    try:
        frame = spark.read.parquet(*(f"file://{_literal(path)}" for path in paths))
        spark_predict(frame, uri, **options).write.parquet(f"file://{stage}")
    finally:
        if running is None:
            spark.stop()


def _start_spark(builder: Any, address: str | None) -> Any:
    if address is None or address.startswith("local"):
        # Spark's own default is whatever python3 the PATH leads to.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if address is not None:
        builder = builder.remote(address) if address.startswith("sc://") else builder.master(address)
    return builder.getOrCreate()


def _literal(path: str) -> str:
    """Return a path in which Hadoop sees no pattern."""
    return "".join(f"\\{letter}" if letter in "*?[]{}\\" else letter for letter in path)


def _run_ray(paths: Sequence[str], uri: Uri, stage: Path, address: str | None, options: Mapping[str, Any]) -> None:
    ray = require_ray("engine='ray'")
    running = ray.is_initialized()
    if not running:
        ray.init(address=address, log_to_driver=False)
    try:
        ray_predict(ray.data.read_parquet(list(paths)), uri, **options).write_parquet(str(stage))
    finally:
        if not running:
            ray.shutdown()


def _run_dask(paths: Sequence[str], uri: Uri, stage: Path, address: str | None, options: Mapping[str, Any]) -> None:
    import dask.dataframe as dd

    with _client(address):
        frame = dd.read_parquet(list(paths), index=False)
        dask_predict(frame, uri, **options).to_parquet(str(stage), write_index=False)


@contextmanager
def _client(address: str | None) -> Iterator[None]:
    if address is None:
        yield
        return
    from distributed import Client

    with Client(address):
        yield


_Run: TypeAlias = Callable[[Sequence[str], Uri, Path, str | None, Mapping[str, Any]], None]
_RUN: Final[Mapping[str, _Run]] = {"spark": _run_spark, "ray": _run_ray, "dask": _run_dask}
_REQUIRE: Final[Mapping[str, Callable[[str], object]]] = {
    "spark": require_spark,
    "ray": require_ray,
    "dask": require_dask,
}
