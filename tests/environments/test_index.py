"""Environments from the package index that uv and pip are configured for: what a user does, in full."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from palate.environments import create_environment
from palate.errors import PythonNotFound, TrustRequired

pytestmark = pytest.mark.slow

MLFLOW_MODELS = Path(__file__).parents[1] / "data" / "mlflow_models"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of this test alone."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))


def test_a_model_of_mlflows_under_another_python(tmp_path) -> None:
    """It names packages that Palate does not require, so it needs trust; then it opens, without MLflow."""
    model = tmp_path / "model"
    shutil.copytree(MLFLOW_MODELS / "sk_default_skops_inferredreqs" / "model", model)
    lines = (model / "requirements.txt").read_text().splitlines()
    (model / "requirements.txt").write_text("\n".join(line for line in lines if not line.startswith("torch")))
    with pytest.raises(TrustRequired, match="opt-einsum"):
        create_environment(model)
    others = [minor for minor in ("3.13", "3.12", "3.11") if not platform.python_version().startswith(minor)]
    for minor in others:
        try:
            built = create_environment(model, python=minor, trust=True)
        except PythonNotFound:
            continue
        assert built.python_version.startswith(minor)
        assert built.left_out == ("mlflow==3.17.2",)
        assert built.detail == "the model loads; it has no golden predictions"
        code = "import importlib.util, sklearn; print(importlib.util.find_spec('mlflow'), sklearn.__version__)"
        done = subprocess.run([built.python, "-I", "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["None", "1.9.1"]
        return
    pytest.skip("no other Python that Palate runs on is installed here")
