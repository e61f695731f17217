"""Checks: other tools open the directory, and Palate's own go through the same hooks."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import palate
from palate._stored.snapshots import snapshot, tolerance_of
from palate.testing._files import native_files
from palate.testing._predictions import Answer, answer_of
from palate.testing._subject import Saved, Subject

__all__ = ["InteropChecks"]

_MLFLOW_VARIABLE = "PALATE_MLFLOW_PYTHON"
_MLFLOW_LIMIT = 300
_MLFLOW = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
import mlflow.pyfunc
with open(sys.argv[2], "rb") as file:
    sample = pickle.load(file)
prediction = mlflow.pyfunc.load_model(sys.argv[1]).predict(sample)
with open(sys.argv[3], "wb") as file:
    pickle.dump(prediction, file)
"""


class InteropChecks(Subject):
    """The directory belongs to everybody."""

    def test_stock_mlflow_predicts_the_same(self, saved: Saved, tmp_path: Path) -> None:
        """Stock MLflow opens the directory and predicts the same: nobody is locked in."""
        python = _mlflow_python()
        loader = (saved.loaded.metadata.pyfunc or {}).get("loader_module", "")
        if not loader:
            pytest.skip("the flavor leaves the python_function section out, which MLflow opens")
        if loader.partition(".")[0] == "palate" and python != sys.executable:
            pytest.skip(f"the directory names the loader {loader}, which needs Palate beside MLflow")
        sample, prediction = tmp_path / "sample.pkl", tmp_path / "prediction.pkl"
        sample.write_bytes(pickle.dumps(saved.rows()))
        done = subprocess.run(
            [python, "-c", _MLFLOW, saved.path, sample, prediction],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=_MLFLOW_LIMIT,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "MLFLOW_TRACKING_URI": f"file:{tmp_path}/runs"},
        )
        assert done.returncode == 0, done.stderr[-2000:]
        given = pickle.loads(prediction.read_bytes())
        wanted = _plain(saved.loaded.predict(saved.rows()))
        document = snapshot(wanted)
        rtol, atol = tolerance_of(document)
        self.assert_same(Answer(document), Answer(snapshot(_plain(given))), rtol=rtol, atol=atol)

    def test_model_in_one_file_predicts_the_same(
        self, saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Packed into one file, a model opens and predicts the same, also where files are mapped out of that file."""
        monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
        packed = palate.pack_model(saved.path, tmp_path / "model.palate")
        loaded = saved.load(packed.path)
        if not loaded.methods:
            pytest.skip("the model answers to no method")
        answer = answer_of(loaded, loaded.default_method, saved.rows())
        self.assert_same(saved.answer, answer)

    def test_directory_is_a_whole_mlmodel(self, saved: Saved) -> None:
        """MLmodel has what MLflow's readers ask for first: flavors, a model id, a time, files for the environment."""
        document = yaml.safe_load((saved.path / "MLmodel").read_text())
        assert {"flavors", "model_uuid", "utc_time_created", "mlflow_version"} <= document.keys()
        for name in ("requirements.txt", "python_env.yaml", "conda.yaml"):
            assert (saved.path / name).is_file(), f"there is no {name}"

    def test_verify_replays_the_predictions(self, saved: Saved) -> None:
        """palate verify finds the files whole, the environment right and the predictions as they were."""
        found = palate.verify_model(saved.path, trust=saved.trust, **self.load_options)
        assert found.ok, "; ".join(check.detail for check in found.checks if check.status == "failed")
        [replay] = [check for check in found.checks if check.name == "predictions"]
        assert replay.status == "ok", replay.detail

    def test_inspect_tells_the_model_from_the_rest(self, saved: Saved) -> None:
        """The section names the file, or the folder, that the model stands in, so that inspect can say which it is."""
        purposes = {file.name: file.purpose for file in palate.inspect_model(saved.path).files}
        found = [name for name in native_files(saved.path) if purposes[name].startswith("the model itself")]
        assert found, "no value of the section is the name of a file, or of a folder, that the flavor wrote"


def _mlflow_python() -> str:
    """Return the interpreter that has stock MLflow: this one, or the one that the environment names."""
    named = os.environ.get(_MLFLOW_VARIABLE)
    if named:
        return named
    if importlib.util.find_spec("mlflow") is None:
        pytest.skip(f"MLflow is not installed here, and {_MLFLOW_VARIABLE} names no Python that has it")
    return sys.executable


def _plain(prediction: Any) -> Any:
    """Return a prediction without its container: MLflow has its own choice of those."""
    import numpy

    if isinstance(prediction, dict):
        return {name: _plain(part) for name, part in prediction.items()}
    return numpy.asarray(prediction)
