"""What is shown of a model's environment without opening the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LinearRegression

import palate
from palate._environment.lock import Lock, LockedFile, LockedPackage
from palate._environment.pylock import write_pylock
from palate.cli import main

MLFLOW_MODEL = Path(__file__).parent / "data" / "mlflow_models" / "sk_predict_proba" / "model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A directory of MLflow's, which no manifest seals."""
    return Path(shutil.copytree(MLFLOW_MODEL, tmp_path / "model"))


def locked(name: str) -> LockedPackage:
    """Return one version of a package with one file."""
    file = LockedFile(name=f"{name}-1.0-py3-none-any.whl", sha256="a" * 64)
    return LockedPackage(name=name, version="1.0", files=(file,))


def inspected(model: Path, *options: str) -> str:
    """Return what ``palate inspect`` prints."""
    done = CliRunner().invoke(main, ["inspect", str(model), *options])
    assert done.exit_code == 0, done.output
    return done.stdout


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
    assert "names package indexes, which are not used unless you say so: index_url https://packages" in notes
    assert "MLmodel says what cannot be used: palate.environment.index_options.find_links: 'file:///etc' is no" in notes
    assert "palate.environment.local_labels: 'odd' has to be text" in notes


def test_the_environment_is_told(model: Path) -> None:
    """Which Python, which bounds and how large a lock, to people and programs."""
    (model / "python_env.yaml").write_text("python: 3.12.1\n")
    (model / "requirements.txt").write_text("scipy==1.0\n-c constraints.txt\n")
    (model / "constraints.txt").write_text("numpy<3  # why\n\nidna<4\n")
    (model / "pylock.toml").write_text(write_pylock(Lock(packages=tuple(map(locked, ("numpy", "scipy", "idna"))))))
    info = palate.inspect_model(model)
    assert (info.python_version, info.constraints, info.locked_packages) == ("3.12.1", ("numpy<3", "idna<4"), 3)
    assert not [note for note in info.notes if "pylock.toml" in note]
    document = json.loads(inspected(model, "--json"))
    assert document["python_version"] == "3.12.1"
    assert document["constraints"] == ["numpy<3", "idna<4"]
    assert document["locked_packages"] == 3
    shown = " ".join(inspected(model).split())
    assert "python 3.12.1 requirements scipy==1.0, -c constraints.txt" in shown
    assert "constraints 2 in constraints.txt locked packages 3 in pylock.toml" in shown


def test_what_an_environment_has_not_is_told_too(model: Path) -> None:
    """MLmodel says the Python where no other file does; constraints.txt counts where requirements.txt names it."""
    for name in ("python_env.yaml", "conda.yaml"):
        (model / name).unlink()
    (model / "constraints.txt").write_text("numpy<3\n")
    info = palate.inspect_model(model)
    assert f"python_version: {info.python_version}\n" in (model / "MLmodel").read_text()
    assert (info.constraints, info.locked_packages) == ((), None)
    assert "constraints - locked packages - " in " ".join(inspected(model).split())


def test_an_environment_that_cannot_be_used_is_noted(model: Path) -> None:
    """A lock that no installer is given, and a Python that is none: the rest is shown all the same."""
    (model / "python_env.yaml").write_text("python: 3.11 --help\n")
    (model / "pylock.toml").write_text('lock-version = "1.0"\n[[packages]]\nname = "six"\n')
    info = palate.inspect_model(model)
    assert (info.python_version, info.locked_packages) == (None, None)
    assert "its pylock.toml cannot be used: packages.0: 'six' has no file with a SHA-256" in info.notes
    assert "the Python that it asks for is no version: '3.11 --help'" in info.notes
