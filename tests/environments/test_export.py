"""palate.environments.export_environment: a model's environment in the words of other tools; nothing of it is run."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from environment_models import closed_index, rewrite
from packaging.pylock import Pylock

import palate
from palate.environments import EXPORT_FORMATS, export_environment
from palate.errors import EnvironmentFailed, InvalidModelFile, InvalidOption, InvalidRequirement, TrustRequired
from palate.verification import accept_changes

MLFLOW_MODELS = Path(__file__).parents[1] / "data" / "mlflow_models"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with requirements that have extras and markers."""

    def double(data: np.ndarray) -> np.ndarray:
        return data * 2

    lines = ["six==1.17.0", "idna[all]>=3 ; python_version > '3'", "cloudpickle"]
    palate.save_model(double, tmp_path / "double", input_example=np.arange(3.0), requirements=lines)
    return tmp_path / "double"


def test_pip(model) -> None:
    """The lines as they are, and bounds as comments."""
    (model / "constraints.txt").write_text("numpy<3\n")
    rewrite(model, "requirements.txt", 'six==1.17.0\nidna[all]>=3; python_version > "3"\n-c constraints.txt')
    lines = export_environment(model).splitlines()
    assert lines[:2] == ["six==1.17.0", 'idna[all]>=3; python_version > "3"']
    assert lines[-1] == "# numpy<3"


def test_conda(model) -> None:
    """The model's own conda.yaml, with the lines that were checked."""
    document = yaml.safe_load(export_environment(model, "conda"))
    assert document["channels"] == ["conda-forge"]
    assert document["dependencies"][-1]["pip"][-1] == "six==1.17.0"
    (model / "conda.yaml").unlink()
    accept_changes(model)
    assert yaml.safe_load(export_environment(model, "conda"))["dependencies"][0].startswith("python=3.")


@pytest.mark.parametrize(
    "text",
    [
        "channels: ['https://evil.example']\ndependencies: []",
        "channels: [conda-forge]\ndependencies: ['pip; rm -rf /']",
        "channels: [conda-forge]\ndependencies: [--file=/etc/passwd]",
        "channels: {a: b}\ndependencies: []",
        "dependencies: [3]",
    ],
)
def test_a_hostile_conda_file_is_not_handed_on(model, text) -> None:
    """Channels and packages are plain names."""
    rewrite(model, "conda.yaml", text)
    with pytest.raises(InvalidModelFile, match=r"conda\.yaml"):
        export_environment(model, "conda")


def test_pylock_is_resolved_on_demand(model, cache) -> None:
    """By pip, for this machine; the text is PEP 751, has a hash for each file and names no host."""
    rewrite(model, "requirements.txt", "six==1.17.0\nidna>=3; python_version > '3'\ncloudpickle")
    text = export_environment(model, "pylock")
    lock = Pylock.from_dict(tomllib.loads(text))
    assert [package.name for package in lock.packages] == ["cloudpickle", "idna", "six"]
    assert all(wheel.hashes["sha256"] for package in lock.packages for wheel in package.wheels or ())
    assert "://" not in text
    rewrite(model, "pylock.toml", text)
    assert export_environment(model, "pylock") == text


def test_pylock_that_does_not_resolve(model, cache) -> None:
    """The resolver's own words are in the message; a commit is not even looked at without trust."""
    rewrite(model, "requirements.txt", "six==99")
    with pytest.raises(EnvironmentFailed, match="six==99"):
        export_environment(model, "pylock")
    rewrite(model, "requirements.txt", f"six @ git+https://git.example/six@{'a' * 40}")
    with pytest.raises(TrustRequired):
        export_environment(model, "pylock")


def test_dockerfile(model) -> None:
    """No shell reads the requirements, nothing runs as root, and the lines end in LF alone."""
    text = export_environment(model, "dockerfile")
    assert "\r" not in text
    steps = dict(line.split(" ", 1) for line in text.splitlines() if line and line.split(" ", 1)[0] != "RUN")
    runs = [json.loads(line.removeprefix("RUN ")) for line in text.splitlines() if line.startswith("RUN ")]
    (install,) = [run for run in runs if "pip" in run]
    assert 'idna[all]>=3; python_version > "3"' in install
    assert any(part.startswith("palate[serve]==") for part in install)
    assert steps["USER"] == "10001"
    assert json.loads(steps["COPY"]) == ["double", "/model"]
    assert json.loads(steps["CMD"])[:3] == ["palate", "serve", "/model"]


@pytest.mark.parametrize("format", [name for name in EXPORT_FORMATS if name != "pylock"])
@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("sk_default_skops_inferredreqs", "scikit-learn==1.9.1"),
        ("pyf_function_with_signature", "cloudpickle"),
        ("xgb_classifier_ubj", "xgboost"),
    ],
)
def test_models_that_mlflow_wrote(name, package, format) -> None:
    """They have an environment like all others."""
    assert package in export_environment(MLFLOW_MODELS / name / "model", format)


@pytest.mark.parametrize(
    "options",
    [
        {"python": "3.12"},
        {"locked": True},
        {"index_url": "https://index.example"},
        {"extra_index_urls": ["https://index.example"]},
        {"use_recorded_index": True},
        {"offline": True},
    ],
    ids=lambda options: next(iter(options)),
)
def test_an_option_that_means_nothing_is_refused(model, options) -> None:
    """Where nothing is resolved, nothing can be said of how."""
    for format in ("pip", "conda", "dockerfile"):
        with pytest.raises(InvalidOption, match="means nothing here"):
            export_environment(model, format, **options)
    rewrite(model, "pylock.toml", 'lock-version = "1.0"\npackages = []')
    if not {"locked", "offline"} & options.keys():
        with pytest.raises(InvalidOption, match="lock of its own"):
            export_environment(model, "pylock", **options)


def test_no_network_is_told_without_the_password(model, cache, monkeypatch) -> None:
    """pip's own words are in the message, and the address without what could be a password."""
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_RETRIES", "0")
    rewrite(model, "requirements.txt", "six==1.17.0")
    with closed_index() as url, pytest.raises(EnvironmentFailed, match=r"six==1\.17\.0") as caught:
        export_environment(model, "pylock", index_url=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("format", EXPORT_FORMATS)
def test_hostile_requirements_are_not_handed_on(model, format) -> None:
    """An option for pip is refused, whatever it would be handed to."""
    rewrite(model, "requirements.txt", "--index-url https://evil.example")
    with pytest.raises(InvalidRequirement):
        export_environment(model, format)


def test_a_form_that_there_is_not(model) -> None:
    """The forms that there are stand in the message."""
    with pytest.raises(InvalidOption, match="dockerfile"):
        export_environment(model, "poetry")
