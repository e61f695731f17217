"""The environment of a model, written as MLflow's three files and what goes with them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from palate._environment.environment import Environment, environment_facts, write_environment
from palate._environment.recorded import read_recorded

EXAMPLE = Environment(
    python="3.11.7",
    requirements=("numpy==2.4.6", "scikit-learn==1.9.1"),
    build_tools=("pip==23.2.1", "setuptools==84.2.1", "wheel"),
)


# -- the files ---------------------------------------------------------------------------------------------------------


def test_files_are_mlflows(tmp_path: Path) -> None:
    """Names, keys and layout are those of MLflow."""
    write_environment(EXAMPLE, tmp_path)
    assert (tmp_path / "requirements.txt").read_bytes() == b"numpy==2.4.6\nscikit-learn==1.9.1"
    assert yaml.safe_load((tmp_path / "python_env.yaml").read_text()) == {
        "python": "3.11.7",
        "build_dependencies": ["pip==23.2.1", "setuptools==84.2.1", "wheel"],
        "dependencies": ["-r requirements.txt"],
    }
    assert yaml.safe_load((tmp_path / "conda.yaml").read_text()) == {
        "name": "palate-env",
        "channels": ["conda-forge"],
        "dependencies": ["python=3.11.7", "pip<=23.2.1", {"pip": ["numpy==2.4.6", "scikit-learn==1.9.1"]}],
    }


def test_constraints_are_named_by_the_last_line(tmp_path: Path) -> None:
    """As MLflow does it: in requirements.txt and in conda's pip list, with the bounds in a file beside."""
    write_environment(replace(EXAMPLE, constraints=("scipy<9",)), tmp_path)
    assert (tmp_path / "requirements.txt").read_text().splitlines()[-1] == "-c constraints.txt"
    assert (tmp_path / "constraints.txt").read_bytes() == b"scipy<9"
    conda = yaml.safe_load((tmp_path / "conda.yaml").read_text())
    assert conda["dependencies"][-1] == {"pip": [*EXAMPLE.requirements, "-c constraints.txt"]}
    assert list(map(str, read_recorded(tmp_path).constraints)) == ["scipy<9"]


def test_facts_say_only_what_there_is() -> None:
    """MLmodel gets no empty keys."""
    assert environment_facts(EXAMPLE) == {}
    found = replace(EXAMPLE, local_labels={"torch": "cpu"}, unresolved=("a",), unpublished=("b",))
    assert environment_facts(found) == {
        "environment": {"local_labels": {"torch": "cpu"}},
        "unresolved_modules": ["a"],
        "unpublished_packages": ["b"],
    }


def test_nothing_required(tmp_path: Path) -> None:
    """An environment without requirements leaves out conda's pip list, which may not be empty."""
    write_environment(Environment(python="3.12.0"), tmp_path)
    assert (tmp_path / "requirements.txt").read_bytes() == b""
    assert yaml.safe_load((tmp_path / "conda.yaml").read_text())["dependencies"] == ["python=3.12.0", "pip"]


@pytest.mark.mlflow
def test_stock_mlflow_reads_the_files(tmp_path: Path, mlflow_python: Path) -> None:
    """Stock MLflow finds dependencies, Python and build tools in the files."""
    (tmp_path / "MLmodel").write_text(
        "flavors:\n  python_function:\n    env: {conda: conda.yaml, virtualenv: python_env.yaml}\n"
        "    loader_module: x\n    python_version: 3.11.7\n"
    )
    write_environment(replace(EXAMPLE, constraints=("scipy<9",)), tmp_path)
    script = """
import json, sys
import mlflow
from mlflow.utils.environment import _PythonEnv
where = sys.argv[1]
env = _PythonEnv.from_yaml(where + "/python_env.yaml")
conda = mlflow.pyfunc.get_model_dependencies(where, format="conda")
from mlflow.utils.requirements_utils import _parse_requirements
parsed = [(line.req_str, line.is_constraint) for line in _parse_requirements(where + "/requirements.txt", False)]
with open(mlflow.pyfunc.get_model_dependencies(where)) as file:
    print(json.dumps([file.read(), env.python, env.build_dependencies, env.dependencies, open(conda).read(), parsed]))
"""
    command = [str(mlflow_python), "-c", script, str(tmp_path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    requirements, python, build, dependencies, conda, parsed = json.loads(output.splitlines()[-1])
    assert requirements.splitlines() == [*EXAMPLE.requirements, "-c constraints.txt"]
    assert parsed == [*([line, False] for line in EXAMPLE.requirements), ["scipy<9", True]]
    assert (python, build, dependencies) == ("3.11.7", list(EXAMPLE.build_tools), ["-r requirements.txt"])
    assert yaml.safe_load(conda)["name"] == "palate-env"
