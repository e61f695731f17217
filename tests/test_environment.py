"""The environment of a model: captured from evidence, written as MLflow's three files."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palate._environment.environment import Environment, capture_environment, compare_requirements, write_environment
from palate.errors import InvalidOption, InvalidRequirement

EXAMPLE = Environment(
    python="3.11.7",
    requirements=("numpy==2.4.6", "scikit-learn==1.9.1"),
    build_tools=("pip==23.2.1", "setuptools==84.2.1", "wheel"),
)


# -- capture -----------------------------------------------------------------------------------------------------------


def test_flavor_and_imports_are_joined() -> None:
    """The flavor's requirements and the distributions of imported modules, once each, sorted by name."""
    found = capture_environment(flavor_requirements=["scikit-learn==1.9.1"], modules=["sklearn.linear_model", "yaml"])
    assert [line.partition("=")[0] for line in found.requirements] == ["pyyaml", "scikit-learn"]
    assert found.requirements[1] == "scikit-learn==1.9.1"
    assert found.python == platform.python_version()
    assert found.unresolved == ()


def test_palate_and_mlflow_are_not_added() -> None:
    """A model asks for neither of them unless its code or the caller does."""
    found = capture_environment(flavor_requirements=["a==1"], modules=["json", "palate._code.model_code"])
    assert found.requirements == ("a==1",)
    assert capture_environment(
        flavor_requirements=["a==1"], modules=[], extra_requirements=["mlflow"]
    ).requirements == ("a==1", "mlflow")


def test_installed_in_place_is_reported() -> None:
    """A model whose code needs Palate, installed in place by its developers, gets the version and a note."""
    found = capture_environment(flavor_requirements=[], modules=["palate"])
    [line] = found.requirements
    assert line.startswith("palate==")
    assert "/" not in line


def test_missing_module_is_reported() -> None:
    """An imported module that nothing installed provides is never dropped silently."""
    found = capture_environment(flavor_requirements=[], modules=["nowhere_at_all.part"])
    assert found.unresolved == ("nowhere_at_all",)


def test_requirements_replace_the_evidence(tmp_path: Path) -> None:
    """What the caller lists is all there is, as a list or as a file."""
    path = tmp_path / "mine.txt"
    path.write_text("pandas\n# arrays\nnumpy==2.0\n")
    for given_requirements in (["pandas", "numpy==2.0"], path, str(path)):
        found = capture_environment(
            flavor_requirements=["a==1"], modules=["nowhere_at_all"], requirements=given_requirements
        )
        assert (found.requirements, found.unresolved) == (("numpy==2.0", "pandas"), ())


def test_extra_requirements_win_over_evidence() -> None:
    """A package that the caller names is taken as the caller names it."""
    found = capture_environment(flavor_requirements=["a==1", "b==1"], modules=[], extra_requirements=["B>=2", "c==3"])
    assert found.requirements == ("a==1", "B>=2", "c==3")


def test_the_caller_may_not_contradict_himself() -> None:
    """Two lists of the caller that pin one package differently are an error, not a guess."""
    with pytest.raises(InvalidRequirement, match="another line pins A to 1"):
        capture_environment(flavor_requirements=[], modules=[], requirements=["a==1"], extra_requirements=["A==2"])


def test_hostile_flavor_is_refused() -> None:
    """A plugin's answer goes through the same policy as the caller's."""
    with pytest.raises(InvalidRequirement, match="pip options"):
        capture_environment(flavor_requirements=["--index-url https://evil.example"], modules=[])


def test_no_requirements_at_all() -> None:
    """An empty list asks for an environment with nothing in it."""
    assert capture_environment(flavor_requirements=["a==1"], modules=["yaml"], requirements=[]).requirements == ()


def test_missing_requirements_file(tmp_path: Path) -> None:
    """A requirements file that does not exist is an error."""
    with pytest.raises(InvalidOption, match="cannot be read"):
        capture_environment(flavor_requirements=[], modules=[], requirements=tmp_path / "nowhere.txt")


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


def test_nothing_required(tmp_path: Path) -> None:
    """An environment without requirements leaves out conda's pip list, which may not be empty."""
    write_environment(Environment(python="3.12.0"), tmp_path)
    assert (tmp_path / "requirements.txt").read_bytes() == b""
    assert yaml.safe_load((tmp_path / "conda.yaml").read_text())["dependencies"] == ["python=3.12.0", "pip"]


def test_same_environment_same_bytes(tmp_path: Path) -> None:
    """Writing twice gives the same files, whatever the order of the evidence."""
    contents = []
    for folder, lines in (("one", ["b==1", "a==2"]), ("two", ["a==2", "b==1", "b==1"])):
        (tmp_path / folder).mkdir()
        found = capture_environment(flavor_requirements=lines, modules=["yaml"])
        write_environment(found, tmp_path / folder)
        contents.append([path.read_bytes() for path in sorted((tmp_path / folder).iterdir())])
    assert contents[0] == contents[1]


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
LINES = st.dictionaries(NAMES, st.sampled_from(["", "==1.0", ">=2,<3", "==1!3.0", "[extra]==1"]), max_size=6)


@given(LINES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_written_requirements_read_the_same(tmp_path: Path, lines: dict[str, str]) -> None:
    """What is written is read back as the same environment."""
    found = capture_environment(
        flavor_requirements=[], modules=[], requirements=[name + rest for name, rest in lines.items()]
    )
    write_environment(found, tmp_path)
    again = capture_environment(flavor_requirements=[], modules=[], requirements=tmp_path / "requirements.txt")
    assert again == found


@pytest.mark.mlflow
def test_stock_mlflow_reads_the_files(tmp_path: Path, mlflow_python: Path) -> None:
    """Stock MLflow finds dependencies, Python and build tools in the files."""
    (tmp_path / "MLmodel").write_text(
        "flavors:\n  python_function:\n    env: {conda: conda.yaml, virtualenv: python_env.yaml}\n"
        "    loader_module: x\n    python_version: 3.11.7\n"
    )
    write_environment(EXAMPLE, tmp_path)
    script = """
import json, sys
import mlflow
from mlflow.utils.environment import _PythonEnv
where = sys.argv[1]
env = _PythonEnv.from_yaml(where + "/python_env.yaml")
conda = mlflow.pyfunc.get_model_dependencies(where, format="conda")
with open(mlflow.pyfunc.get_model_dependencies(where)) as file:
    print(json.dumps([file.read(), env.python, env.build_dependencies, env.dependencies, open(conda).read()]))
"""
    command = [str(mlflow_python), "-c", script, str(tmp_path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    requirements, python, build, dependencies, conda = json.loads(output.splitlines()[-1])
    assert requirements.split() == list(EXAMPLE.requirements)
    assert (python, build, dependencies) == ("3.11.7", list(EXAMPLE.build_tools), ["-r requirements.txt"])
    assert yaml.safe_load(conda)["name"] == "palate-env"


# -- comparison --------------------------------------------------------------------------------------------------------


def test_own_environment_does_not_differ(tmp_path: Path) -> None:
    """The environment that a model is saved in has what the model asks for."""
    write_environment(capture_environment(flavor_requirements=[], modules=["yaml", "numpy"]), tmp_path)
    assert compare_requirements(tmp_path) == []


def test_differences_are_named(tmp_path: Path) -> None:
    """Each difference says what is required and what is there."""
    lines = [f"pytest=={pytest.__version__}", "numpy==0.1", "nowhere-at-all", "gone==1; python_version < '3'"]
    (tmp_path / "requirements.txt").write_text("\n".join(lines))
    (tmp_path / "python_env.yaml").write_text("python: 2.7.18\n")
    python, numpy, nowhere = compare_requirements(tmp_path)
    assert python == f"Python 2.7.18 is required, {platform.python_version()} is running"
    assert numpy.startswith("numpy==0.1 is required, ")
    assert nowhere == "nowhere-at-all is required and not installed"


def test_mlflow_is_not_missed(tmp_path: Path) -> None:
    """MLflow asks for itself in every directory; Palate opens them without, so that explains nothing."""
    (tmp_path / "requirements.txt").write_text("mlflow==0.0.1\nmlflow_skinny==0.0.1")
    assert compare_requirements(tmp_path) == []


def test_no_files_ask_for_nothing(tmp_path: Path) -> None:
    """Old or hand-made directories may lack the files."""
    assert compare_requirements(tmp_path) == []


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"-c constraints.txt", b"a==1\r-r x", b"a\n" * 1_000_000])
def test_odd_requirements_are_a_difference(tmp_path: Path, content: bytes) -> None:
    """A file that is no plain requirements file is said to be so, and nothing is raised."""
    (tmp_path / "requirements.txt").write_bytes(content)
    [difference] = compare_requirements(tmp_path)
    assert difference


def test_odd_python_env_is_passed_over(tmp_path: Path) -> None:
    """A malformed python_env.yaml cannot explain anything, nor hurt."""
    for content in (b"\xff", b"[", b"python: [1]", b"- 1", b"python: 3.1", b"x" * 100_000):
        (tmp_path / "python_env.yaml").write_bytes(content)
        assert compare_requirements(tmp_path) == []


def test_long_lists_are_cut(tmp_path: Path) -> None:
    """An error message does not grow with the model's requirements."""
    (tmp_path / "requirements.txt").write_text("\n".join(f"nowhere-{number}==1" for number in range(100)))
    differences = compare_requirements(tmp_path)
    assert len(differences) == 21
    assert differences[-1] == "80 more"


def test_capture_loads_nothing_heavy() -> None:
    """Capturing the environment imports none of the packages it names."""
    script = (
        "import sys; from palate._environment.environment import capture_environment as c;"
        "c(flavor_requirements=[], modules=['numpy', 'sklearn', 'pandas']);"
        "print(sorted({'numpy', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert output.strip() == "[]"
