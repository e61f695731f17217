"""Whether this environment will do for a model, by the promises of the flavor that opens it."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.linear_model import LinearRegression

import palate
from palate._environment_check import Difference, check_environment, compare_here, find_differences_that_matter
from palate._opened import open_model
from palate._registry import default_registry
from palate.errors import LoadFailed

MLFLOW_MODELS = Path(__file__).parent / "data" / "mlflow_models"
DIRECTORIES = sorted(path.parent.name for path in MLFLOW_MODELS.glob("*/model"))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A sealed sklearn model in its safe format."""
    palate.save_model(LinearRegression().fit(np.eye(2), [1.0, 2.0]), tmp_path / "m", input_example=np.eye(2))
    return tmp_path / "m"


@pytest.fixture
def asks(tmp_path: Path):
    """Return what copies a directory of MLflow's that asks for something else."""

    def copy(name: str, *, lines: str | None = None, python: str | None = None, **section: str) -> Path:
        path = Path(shutil.copytree(MLFLOW_MODELS / name / "model", tmp_path / name))
        if lines is not None:
            (path / "requirements.txt").write_text(lines)
        if python is not None:
            (path / "python_env.yaml").write_text(f"python: {python}")
        document = yaml.safe_load((path / "MLmodel").read_text())
        for flavor in document["flavors"].values():
            flavor.update({key: value for key, value in section.items() if key in flavor})
        (path / "MLmodel").write_text(yaml.safe_dump(document))
        return path

    return copy


def brief(path: Path) -> list[tuple[str, bool]]:
    """Return the names of what differs, and whether it matters."""
    return [(d.name, d.matters) for d in check_environment(path).differences]


def test_a_model_saved_here_needs_nothing_else(saved: Path) -> None:
    """What was captured a moment ago is what is there."""
    found = check_environment(saved)
    assert (found.ok, found.flavor, found.differences) == (True, "sklearn", ())
    assert find_differences_that_matter(open_model(saved)) == ()


def test_mlflow_that_the_caller_asked_for_is_looked_for(saved: Path) -> None:
    """Stock MLflow's own line is passed over; in a model of Palate's there is none unless somebody wanted it."""
    with (saved / "requirements.txt").open("a") as file:
        file.write("\nmlflow==3.17.0")
    palate.accept_changes(saved)
    assert brief(saved) == [("mlflow", True)]


def test_what_the_lock_has_is_checked(saved: Path) -> None:
    """The versions of pylock.toml are judged by the flavor's promises, and each package is told of once."""
    lock = 'lock-version = "1.0"\n'
    for name, version in (("numpy", "1.26.4"), ("scikit-learn", "1.5.2"), ("nowhere-at-all", "1.0")):
        wheel = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        lock += f'[[packages]]\nname = "{name}"\nversion = "{version}"\n'
        lock += f'wheels = [{{name = "{wheel}", hashes = {{sha256 = "{"0" * 64}"}}}}]\n'
    (saved / "pylock.toml").write_text(lock)
    palate.accept_changes(saved)
    assert [(d.required, d.matters) for d in check_environment(saved).differences] == [
        ("nowhere-at-all==1.0 (locked)", True),
        ("scikit-learn==1.5.2 (locked)", True),
        ("numpy==1.26.4 (locked)", True),
    ]
    (saved / "requirements.txt").write_text("scikit-learn==1.5.2")
    palate.accept_changes(saved)
    assert [d.required for d in check_environment(saved).differences if d.name == "scikit-learn"] == [
        "scikit-learn==1.5.2"
    ]


@pytest.mark.parametrize("name", DIRECTORIES)
def test_directories_of_mlflow_have_what_they_need(name: str) -> None:
    """They were written with the versions that are here; a build under another name is told."""
    found = check_environment(MLFLOW_MODELS / name / "model")
    assert found.ok
    assert {d.name for d in found.differences} <= {"tensorflow-cpu"}


@pytest.mark.parametrize(
    ("name", "lines", "expected"),
    [
        ("sk_predict_proba", "scikit-learn==1.9.0", [("scikit-learn", False)]),
        ("sk_predict_proba", "scikit-learn==1.5.2", [("scikit-learn", True)]),
        ("sk_cloudpickle", "scikit-learn==1.5.2", [("scikit-learn", True)]),
        ("xgb_classifier_ubj", "xgboost==1.7.0", [("xgboost", False)]),
        ("xgb_booster_json", "xgboost==99.0", [("xgboost", True)]),
        ("torch_pt2_default", "torch==2.12.0", [("torch", True)]),
        ("torch_pickle_seq", "torch==2.12.0", [("torch", True)]),
        ("keras3_default_inferredreqs", "keras==3.0\ntensorflow-cpu==2.16.1", [("keras", 0), ("tensorflow-cpu", 0)]),
        ("keras3_default_inferredreqs", "keras==2.15.0", [("keras", True)]),
        ("tf_module_sig", "tensorflow==2.3.0", [("tensorflow", False)]),
        ("tf_module_sig", "tensorflow==1.15.0", [("tensorflow", True)]),
        ("pyf_class_nosig", "cloudpickle==2.2.0", [("cloudpickle", True)]),
    ],
)
def test_the_framework_itself_says_what_matters(asks, name: str, lines: str, expected: list[tuple[str, bool]]) -> None:
    """Each flavor carries what its framework promises for files of that format."""
    path = asks(name, lines=lines)
    assert brief(path) == expected
    assert all(d.known for d in check_environment(path).differences)


def test_weights_alone_are_of_no_version(tmp_path: Path) -> None:
    """In one flavor the promise depends on the format: safetensors are numbers, an exported program is not."""
    flavor = default_registry().get("pytorch")
    section = {"serialization_format": "safetensors"}
    assert flavor.promises(section, needs_trust=False) == {"torch": "newer"}
    assert flavor.promises({}, needs_trust=False) == {"torch": "patch"}
    assert set(flavor.promises(section, needs_trust=True)) == {"torch", "cloudpickle"}  # it cannot be what it says


def test_what_saved_it_counts_where_no_version_is_asked_for(asks) -> None:
    """MLflow lists packages as the user gave them; its section says what the model was saved with."""
    path = asks("sk_predict_proba", lines="mlflow\nscikit-learn\nskops", sklearn_version="1.2.2")
    [found] = check_environment(path).differences
    assert (found.required, found.matters) == ("scikit-learn==1.2.2 (which saved it)", True)
    assert brief(asks("xgb_classifier_ubj", lines="xgboost>=1", xgb_version="1.0.0")) == []  # a range was given
    assert brief(asks("torch_pt2_default", pytorch_version="no version; -r x")) == []


@pytest.mark.parametrize(
    ("name", "matters"),
    [
        ("sk_predict_proba", False),
        ("xgb_classifier_ubj", False),
        ("torch_pt2_default", False),
        ("keras3_default_inferredreqs", False),
        ("tf_module_sig", False),
        ("sk_cloudpickle", False),
        ("pyf_function_with_signature", True),
        ("pyf_from_code", False),
    ],
)
def test_another_python_matters_where_its_byte_code_is_carried(asks, name: str, matters: bool) -> None:
    """Not for safe formats, nor for a pickle that only names classes; source text was written for an earlier one."""
    path = asks(name, python="3.9.18", lines="")
    found = {d.kind: d for d in check_environment(path).differences}
    assert found["python"].matters is matters
    assert find_differences_that_matter(open_model(path)) == tuple(d for d in found.values() if d.matters)


def test_a_flavor_that_is_not_here_is_the_first_difference(asks) -> None:
    """Nothing is known of its promises then, which is said; what to install is named."""
    path = asks("sk_predict_proba", lines="scikit-learn==1.8.0", python="3.9.18")
    text = (path / "MLmodel").read_text()
    (path / "MLmodel").write_text(text.replace("mlflow.sklearn", "mlflow.unheard").replace("  sklearn:", "  unheard:"))
    first, *others = check_environment(path).differences
    assert (first.kind, first.name, first.matters) == ("flavor", "the flavor 'unheard'", True)
    assert [(d.name, d.matters, d.known) for d in others] == [("Python", True, False), ("scikit-learn", False, False)]


def test_a_flavor_that_the_host_blocks_is_told(saved: Path) -> None:
    """Its name, and the list that leaves it out."""
    script = f"""
from palate._environment_check import check_environment
[found] = check_environment({str(saved)!r}).differences
print(found.kind, found.required, found.why)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PALATE_ALLOWED_PLUGINS": "none"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("flavor palate-sklearn The flavor 'sklearn' of palate-sklearn was not imported")


def test_a_check_is_data(asks) -> None:
    """Programs read it as JSON."""
    found = check_environment(asks("sk_predict_proba", lines="scikit-learn==1.5.2"))
    document = json.loads(json.dumps(found.to_dict()))
    assert document["ok"] is False
    [difference] = document["differences"]
    assert set(difference) == {"name", "required", "installed", "kind", "matters", "why", "known"}
    assert Difference(**difference) == found.differences[0]


def test_whether_an_own_environment_is_needed_is_told_soon(saved: Path) -> None:
    """It takes 30 ms at rest for ten requirements; nothing of the model is read for it."""
    names = ["numpy", "pandas", "scipy", "scikit-learn", "skops", "packaging", "pluggy", "pytest", "click", "xgboost"]
    (saved / "requirements.txt").write_text("\n".join(f"{name}==0.0.1" for name in names))
    opened = open_model(saved, verify=False)
    times = []
    for _ in range(5):
        began = time.process_time()
        assert len(find_differences_that_matter(opened)) == 9  # later skops read earlier files
        times.append(time.process_time() - began)
    assert min(times) < 0.25


# -- what a failed load says, and what a good one costs ----------------------------------------------------------------


def test_a_failed_load_names_what_matters_first(asks) -> None:
    """One line: each difference, whether it matters, and how the model gets an environment of its own."""
    lines = "\n".join(["scikit-learn==1.5.2", *(f"nowhere-{number}" for number in range(30))])
    path = asks("sk_cloudpickle", lines=lines)
    (path / "model.pkl").write_bytes(b"cnot_installed_x.deep\nThing\n.")
    with pytest.raises(LoadFailed) as caught:
        palate.load_model(path, trust=True)
    error = caught.value
    assert error.matters
    assert len(error.differences) == 6
    assert error.differences[0].startswith("nowhere-0 is required and not installed, which matters: ")
    assert error.differences[-1] == "26 more"
    assert "isolate=True" in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 1500


def test_a_failed_load_without_differences_blames_the_file(asks) -> None:
    """Nobody is sent to build an environment that is there already."""
    path = asks("sk_cloudpickle")
    (path / "model.pkl").write_bytes(b"cnot_installed_x.deep\nThing\n.")
    with pytest.raises(LoadFailed, match="so the file, or the flavor, is at fault") as caught:
        palate.load_model(path, trust=True)
    assert not caught.value.matters


def test_a_failed_load_misses_the_mlflow_that_was_asked_for(tmp_path: Path) -> None:
    """A pickle of a Python model that fails is explained by the same rule as any other load."""
    palate.save_model(lambda rows: rows, tmp_path / "m", extra_requirements=["mlflow==3.17.0"])
    pickle = next((tmp_path / "m").glob("*.pkl"))
    pickle.write_bytes(b"cnot_installed_x.deep\nThing\n.")
    palate.accept_changes(tmp_path / "m")
    with pytest.raises(LoadFailed) as caught:
        palate.load_model(tmp_path / "m", trust=True)
    assert any(told.startswith("mlflow==3.17.0 is required and not installed") for told in caught.value.differences)


WATCHED = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import palate
palate.load_model(sys.argv[1], verify=False)
names = ("requirements.txt", "python_env.yaml", "conda.yaml", "METADATA", "constraints.txt")
print([path for path in opened if path.endswith(names[:3]) and path.startswith(sys.argv[1])])
print([name for name in ("comparison", "recorded", "contents") if f"palate._environment.{name}" in sys.modules])
"""


def test_a_load_that_succeeds_compares_nothing(saved: Path) -> None:
    """It opens none of the environment files, and does not even import what would compare them."""
    command = [sys.executable, "-c", WATCHED, str(saved)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]


def test_verify_notes_what_differs(saved: Path) -> None:
    """The replay decides whether it matters; the note says what is promised."""
    (saved / "requirements.txt").write_text("scikit-learn==0.1\nno-such-distribution==1")
    palate.accept_changes(saved)
    result = palate.verify_model(saved)
    [check] = [check for check in result.checks if check.name == "environment"]
    assert check.status == "note"
    assert "no-such-distribution==1 is required and not installed, which matters" in check.detail
    assert "scikit-learn promises nothing across minor versions" in check.detail
    assert result.ok


def test_python_comes_from_mlmodel_where_no_file_says_it(asks) -> None:
    """Hand-made directories have MLmodel alone."""
    path = asks("pyf_function_with_signature", python_version="3.9.1")
    for name in ("python_env.yaml", "conda.yaml", "requirements.txt"):
        (path / name).unlink()
    [found] = compare_here(open_model(path))
    assert (found.kind, found.required, found.installed) == ("python", "3.9.1", platform.python_version())
