"""What is shown of a model's environment without opening the model."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import palate

MLFLOW_MODEL = Path(__file__).parent / "data" / "mlflow_models" / "sk_predict_proba" / "model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A directory of MLflow's, which no manifest seals."""
    return Path(shutil.copytree(MLFLOW_MODEL, tmp_path / "model"))


@pytest.mark.parametrize(
    "line",
    [
        *("numpy", "numpy>=2", "numpy==2.*", "numpy!=2.0", "numpy ; python_version == '3.11'"),
        *("numpy @ https://example.com/numpy.whl", "numpy @ git+https://example.com/numpy@main", "./numpy.whl"),
    ],
)
def test_a_loose_requirement_is_noted(model: Path, line: str) -> None:
    """One that another day another version may meet, or that installs what lies there then."""
    (model / "requirements.txt").write_text(f"scipy==1.0\n{line}\n")
    [note] = [note for note in palate.inspect_model(model).notes if "another version" in note]
    assert note.endswith(f": {line}")


@pytest.mark.parametrize(
    "line",
    [
        *("numpy==2.0", "numpy===2.0", "numpy==2.0,>=1", "numpy == 2.0 ; python_version > '3'", "numpy[x]==2.0  # why"),
        *(f"numpy @ git+https://example.com/numpy@{COMMIT}", "-c constraints.txt", "--pre", "# numpy"),
    ],
)
def test_a_pinned_requirement_is_not_noted(model: Path, line: str) -> None:
    """A version or a commit; and options and comments are no requirements."""
    (model / "requirements.txt").write_text(line)
    assert not [note for note in palate.inspect_model(model).notes if "another version" in note]


def test_recorded_facts_are_noted(tmp_path: Path) -> None:
    """Where packages came from, what is missing, and what of it nobody could use."""
    palate.save_model(LinearRegression().fit(np.eye(2), [1.0, 2.0]), tmp_path / "m", requirements=[])
    section = (
        "palate:\n  unresolved_modules: [lost]\n  environment:\n    local_labels: {torch: cpu, odd: 7}\n"
        "    index_options: {index_url: 'https://packages.example.com/simple', find_links: ['file:///etc']}\n"
    )
    text = (tmp_path / "m" / "MLmodel").read_text()
    (tmp_path / "m" / "MLmodel").write_text(text.replace("palate:\n", section, 1))
    notes = "\n".join(palate.inspect_model(tmp_path / "m", verify=False).notes)
    assert "no installed distribution provided: lost" in notes
    assert "goes without the local labels of what was installed: torch (+cpu)\n" in notes
    assert "fetched from other indexes, which are not used unless you say so: index_url https://packages" in notes
    assert "MLmodel says what cannot be used: palate.environment.index_options.find_links: 'file:///etc' is no" in notes
    assert "palate.environment.local_labels: 'odd' has to be text" in notes
