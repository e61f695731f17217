"""Files in, a folder out: what is refused before an engine is asked, and what is said where there is none."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from palate.batch import engines
from palate.batch.engines import EngineFailed, predict_on_engine
from palate.batch.engines._failures import telling
from palate.batch.errors import OutputExists
from palate.errors import DataNotFound, DependencyMissing, InvalidInput, InvalidOption, Problem


@pytest.mark.parametrize(
    ("engine", "module", "install"),
    [("spark", "pyspark", "palate[spark]"), ("ray", "ray", "palate[ray]"), ("dask", "dask", "palate[dask]")],
)
def test_an_engine_that_is_missing_is_named(tmp_path: Path, engine: Any, module: str, install: str) -> None:
    """The error says what to install."""
    assert importlib.util.find_spec(module) is None, "this environment has none of the engines"
    with pytest.raises(DependencyMissing) as caught:
        predict_on_engine(engine, "model", str(tmp_path), tmp_path / "out")
    assert str(caught.value).endswith(f"Hint: pip install {install}.")


@pytest.mark.parametrize(
    ("call", "install"),
    [
        (lambda: engines.spark_udf(object(), "model"), "palate[spark]"),  # type: ignore[arg-type]
        (lambda: engines.spark_predict(object(), "model"), "palate[spark]"),  # type: ignore[arg-type]
        (lambda: engines.ray_predict(object(), "model"), "palate[ray]"),  # type: ignore[arg-type]
        (lambda: engines.dask_predict(object(), "model"), "palate[dask]"),  # type: ignore[arg-type]
    ],
)
def test_functions_name_what_is_missing(call: Callable[[], object], install: str) -> None:
    """So do the functions for frames."""
    with pytest.raises(DependencyMissing, match=f"pip install {install.replace('[', chr(92) + '[')}"):
        call()


def test_importing_loads_no_engine(run_python: Callable[..., Any]) -> None:
    """The functions are there without what they need."""
    done = run_python("import sys, palate.batch.engines; print(*sorted(sys.modules))")
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"pyspark", "ray", "dask", "distributed", "pandas", "pyarrow"}, done.stderr


def test_an_unknown_engine(tmp_path: Path) -> None:
    """The error lists those that there are."""
    with pytest.raises(InvalidOption, match=r"there is no 'flink'.* one of spark, ray, dask"):
        predict_on_engine("flink", "model", str(tmp_path), tmp_path / "out")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("inputs", "error", "said"),
    [
        ("nothing/*.parquet", DataNotFound, "nothing is there"),
        ([], DataNotFound, "no path was given"),
        ("s3://bucket/rows", InvalidOption, "is no path on all nodes"),
        ("rows.csv", InvalidOption, "engines read parquet only"),
    ],
)
def test_inputs_are_judged_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: Any, error: type[Exception], said: str
) -> None:
    """What no node could read is refused before anything is started."""
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").touch()
    with pytest.raises(error, match=said):
        predict_on_engine("dask", "model", inputs, "out")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("output", "overwrite", "error"),
    [
        ("answers", False, OutputExists),
        ("file", False, OutputExists),
        ("file", True, InvalidOption),
        ("foreign", True, InvalidOption),
        ("link", True, InvalidOption),
        ("s3://bucket/answers", True, InvalidOption),
    ],
)
def test_outputs_are_judged_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, overwrite: bool, error: type[Exception]
) -> None:
    """Only a folder of nothing but parquet files is replaced, and only if that is wanted."""
    monkeypatch.chdir(tmp_path)
    for folder, name in (("answers", "part-0.parquet"), ("foreign", "thesis.tex")):
        Path(folder).mkdir()
        (Path(folder) / name).touch()
    Path("file").touch()
    Path("link").symlink_to("answers")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error):
        predict_on_engine("dask", "model", str(tmp_path / "answers"), output, overwrite=overwrite)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_tasks_own_words_are_told() -> None:
    """Of a text with the traceback of a task, what Palate said remains, with all problems."""
    problems = [Problem(("inputs", name), "missing", "this column is missing") for name in "ab"]
    said = str(InvalidInput(problems))
    text = (
        f"Job aborted.\nTraceback:\n  File\npalate.errors.InvalidInput: {said}\n SQLSTATE: 38000\n\tat org.apache.Spark"
    )
    with pytest.raises(EngineFailed) as caught, telling("Spark"):
        raise RuntimeError(text)
    assert caught.value.reason == said
    assert caught.value.engine == "Spark"


def test_other_failures_keep_their_class_and_first_line() -> None:
    """What is not Palate's is named, without pages of it."""
    with (
        pytest.raises(EngineFailed, match=r"nothing was written: OSError: the disk is full$"),
        telling("Ray"),
    ):
        raise OSError("the disk is full\nat line 1\nat line 2")
    assert "pyspark" not in sys.modules
