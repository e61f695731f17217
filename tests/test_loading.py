"""Loading: trust, flavor choice, and directories that are not what they should be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import palate
from palate import errors
from palate._opened import open_model
from palate._opening import construct
from palate._registry import FlavorRegistry
from palate.inspection import describe

MLFLOW_MODELS = Path(__file__).parent / "data" / "mlflow_models"


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed sklearn model, not to be changed."""
    path = tmp_path_factory.mktemp("saved") / "m"
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [2.0, 1.0, 0.0]})
    palate.save_model(LinearRegression().fit(frame, [1, 2, 3]), path, input_example=frame)
    return path


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    """A copy of the saved model to break."""
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def unsealed(source: Path, target: Path, mlmodel: str | None = None) -> Path:
    """Copy an MLflow directory, which has no manifest, with another MLmodel."""
    shutil.copytree(source, target)
    if mlmodel is not None:
        (target / "MLmodel").write_text(mlmodel)
    return target


def test_a_pickle_needs_trust_and_says_which_file(tmp_path) -> None:
    """Nothing runs without trust; the error names the file and both ways on."""
    model = LinearRegression().fit([[1.0]], [1.0])
    palate.save_model(model, tmp_path / "m", format="pickle")
    with pytest.raises(errors.TrustRequired, match=r"model\.pkl.*trust=True.*format='skops'"):
        palate.load_model(tmp_path / "m")
    assert palate.load_model(tmp_path / "m", trust=True).predict(np.array([[2.0]])).shape == (1,)


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (str(self.marker),))


@pytest.mark.parametrize("name", ["model.pkl", "model.skops", "model.txt"])
def test_a_hostile_pickle_does_not_run_without_trust(tmp_path, name) -> None:
    """Whatever it is called and whatever MLmodel says of it."""
    import pickle

    marker = tmp_path / "marker"
    for format_name in ("pickle", "cloudpickle", "skops", None, "nonsense"):
        directory = tmp_path / f"m-{format_name}"
        directory.mkdir()
        (directory / name).write_bytes(pickle.dumps(Payload(marker)))
        section = f"{{pickled_model: {name}" + (f", serialization_format: {format_name}}}" if format_name else "}")
        (directory / "MLmodel").write_text(f"flavors: {{sklearn: {section}}}\n")
        with pytest.raises((errors.TrustRequired, errors.UnsafeModel)) as caught:
            palate.load_model(directory)
        assert name in str(caught.value)
    assert not marker.exists()


def test_the_model_cannot_grant_itself_trust(tmp_path) -> None:
    """Trusted types named by MLmodel are ignored, and unknown fields ask for nothing."""
    source = MLFLOW_MODELS / "sk_default_skops_inferredreqs" / "model"
    text = (source / "MLmodel").read_text()
    asked = text.replace("skops_trusted_types: null", "skops_trusted_types: [posix.system]\n    trust: true")
    directory = unsealed(source, tmp_path / "m", asked)
    assert palate.inspect_model(directory).trust_needed is False
    palate.load_model(directory)
    pickled = unsealed(MLFLOW_MODELS / "sk_cloudpickle" / "model", tmp_path / "p")
    with (pickled / "MLmodel").open("a") as file:
        file.write("trust: true\npalate_trust: true\n")
    with pytest.raises(errors.TrustRequired):
        palate.load_model(pickled)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "nothing is there|not there|does not exist"),
        (lambda path: path.mkdir(), "MLmodel"),
    ],
    ids=["absent", "an empty directory"],
)
def test_a_path_without_a_model_says_what_is_there_instead(tmp_path, make, reason) -> None:
    """ModelNotFound is precise."""
    make(tmp_path / "m")
    with pytest.raises(errors.ModelNotFound, match=reason):
        palate.load_model(tmp_path / "m")


@pytest.mark.parametrize("uri", ["gs://bucket/m", "ftp://host/m", "runs:/1/m"])
def test_an_unsupported_scheme_is_named(uri) -> None:
    """A URI is never taken for a relative path."""
    with pytest.raises(errors.ModelNotFound, match=uri.partition(":")[0]):
        palate.load_model(uri)


def test_a_file_uri_and_odd_names_work(saved, tmp_path) -> None:
    """Spaces and non-ASCII characters in a path are ordinary."""
    odd = tmp_path / "mé model #1%"
    shutil.copytree(saved, odd)
    assert palate.load_model(odd.as_uri()).flavor == "sklearn"
    assert palate.load_model(str(odd)).flavor == "sklearn"


def test_an_uninstalled_flavor_is_named_with_its_distribution(tmp_path) -> None:
    """The directory's flavor decides, and nothing else is tried in its place."""
    directory = tmp_path / "m"
    directory.mkdir()
    (directory / "MLmodel").write_text(
        "flavors: {python_function: {loader_module: mlflow.pytorch, data: data}, pytorch: {model_data: data}}\n"
    )
    opened, nothing_installed = open_model(directory), FlavorRegistry([])
    with pytest.raises(errors.FlavorNotFound, match="pip install palate-torch"):
        construct(opened, trust=False, registry=nothing_installed)
    assert "palate-torch" in (describe(opened, nothing_installed).plugin_problem or "")


def test_a_flavor_that_the_directory_does_not_name_is_refused(saved) -> None:
    """flavor= chooses among what is there."""
    with pytest.raises(errors.InvalidOption, match=r"has no flavor 'toy' \(it has: .*sklearn"):
        palate.load_model(saved, flavor="toy")


def test_a_directory_of_several_flavors_and_no_main_one_wants_to_be_told(tmp_path) -> None:
    """Inspecting it says so and lists them; so does loading it without flavor=."""
    (tmp_path / "MLmodel").write_text("flavors: {sklearn: {}, xgboost: {}}\n")
    assert "it has: sklearn, xgboost" in (palate.inspect_model(tmp_path).plugin_problem or "")
    with pytest.raises(errors.InvalidOption, match=r"it has: sklearn, xgboost.* name one"):
        palate.load_model(tmp_path)


def test_an_unknown_load_option_is_refused(saved) -> None:
    """A misspelt option is an error, not a shrug."""
    with pytest.raises(errors.InvalidOption, match="trsut"):
        palate.load_model(saved, trsut=True)


def test_an_mlmodel_without_flavors_is_refused(tmp_path) -> None:
    """There is nothing to open it with."""
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    with pytest.raises(errors.InvalidModelFile, match="flavor"):
        palate.load_model(tmp_path)


@pytest.mark.parametrize("name", ["MLmodel", "model.skops", "requirements.txt", "golden_predictions.json"])
@pytest.mark.parametrize("change", ["flip", "truncate", "remove", "link", "swap"])
def test_a_changed_file_is_found_before_anything_is_parsed(copy, name, change) -> None:
    """Every file counts, and the error names it."""
    file = copy / name
    if change == "flip":
        body = bytearray(file.read_bytes())
        body[len(body) // 2] ^= 1
        file.write_bytes(body)
    elif change == "truncate":
        file.write_bytes(file.read_bytes()[:-1])
    elif change == "remove":
        file.unlink()
    elif change == "link":
        moved = file.rename(copy.parent / "moved")
        file.symlink_to(moved)
    else:
        other = copy / "conda.yaml"
        ours, theirs = file.read_bytes(), other.read_bytes()
        file.write_bytes(theirs)
        other.write_bytes(ours)
    with pytest.raises((errors.ModelChanged, errors.UnsafePath, errors.ModelNotFound)) as caught:
        palate.load_model(copy)
    assert name in str(caught.value)


def test_an_extra_file_is_found_and_what_mlflow_adds_is_reported(copy) -> None:
    """A stranger's file is refused; the registry's note is tolerated and shown."""
    (copy / "registered_model_meta").write_text("model_name: m\nmodel_version: '1'\n")
    assert any("registered_model_meta" in note for note in palate.inspect_model(copy).notes)
    palate.load_model(copy)
    (copy / "sitecustomize.py").write_text("raise SystemExit")
    with pytest.raises(errors.ModelChanged, match=r"not listed: sitecustomize\.py"):
        palate.load_model(copy)


def test_a_missing_manifest_is_not_taken_for_an_mlflow_directory(copy) -> None:
    """A directory that Palate wrote has a manifest, or somebody took it away."""
    (copy / "MANIFEST.json").unlink()
    with pytest.raises(errors.ModelChanged, match=r"MANIFEST\.json"):
        palate.load_model(copy)


def test_a_rewritten_mlmodel_names_mlflow_as_the_cause_and_can_be_accepted(copy) -> None:
    """MLflow's set_signature rewrites MLmodel; accepting it makes the directory whole again."""
    (copy / "MLmodel").write_text((copy / "MLmodel").read_text() + "added_by: somebody\n")
    with pytest.raises(errors.ModelChanged, match=r"MLflow.*--accept"):
        palate.load_model(copy)
    digest = palate.accept_changes(copy)
    assert palate.inspect_model(copy).digest == digest
    palate.load_model(copy)


def test_verify_false_skips_the_digest(copy) -> None:
    """For huge models in a trusted place; a harmless change passes then."""
    (copy / "requirements.txt").write_text("numpy\n")
    assert palate.load_model(copy, verify=False).flavor == "sklearn"


PATH_FIELDS = [
    "flavors: {sklearn: {pickled_model: PATH, serialization_format: skops}}",
    "flavors: {python_function: {loader_module: mlflow.sklearn, model_path: PATH}}",
    "flavors: {python_function: {loader_module: mlflow.pyfunc.model, python_model: PATH}}",
    "flavors: {python_function: {loader_module: mlflow.pyfunc.model, python_model: ok.txt, code: PATH}}",
    "flavors: {python_function: {loader_module: some_loader, data: PATH}}",
    "flavors: {python_function: {loader_module: mlflow.pyfunc.model, python_model: ok.txt, "
    "artifacts: {a: {path: PATH}}}}",
]


@pytest.mark.parametrize("field", PATH_FIELDS)
@pytest.mark.parametrize(
    ("value", "error"),
    [
        *((path, errors.UnsafePath) for path in ("../secret", "/etc/passwd", "a/../../secret", "link", "pipe")),
        *((path, errors.UnsafePath) for path in ("'C:\\secret'", "dir/link")),
        ('"a\\0b"', errors.InvalidModelFile),
        ("~/x", errors.ModelChanged),  # an ordinary name, of a file that is not there
    ],
)
def test_a_path_that_leaves_the_directory_is_refused_in_every_field(tmp_path, field, value, error) -> None:
    """Traversal, absolute paths, links and special files: one rule, also with trust."""
    root = tmp_path / "m"
    (root / "dir").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (root / "ok.txt").write_text("")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "dir" / "link").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    (root / "MLmodel").write_text(field.replace("PATH", value) + "\n")
    with pytest.raises(error):
        palate.load_model(root, trust=True)


def test_a_corrupt_file_is_a_typed_error_that_compares_environments(tmp_path) -> None:
    """What the framework throws is the cause; the message says whether versions may be why."""
    directory = unsealed(MLFLOW_MODELS / "sk_cloudpickle" / "model", tmp_path / "m")
    (directory / "model.pkl").write_bytes(b"\x80\x05garbage.")
    (directory / "requirements.txt").write_text("scikit-learn==0.1\nno-such-package==1")
    with pytest.raises(errors.PalateError, match=r"scikit-learn.*0\.1") as caught:
        palate.load_model(directory, trust=True)
    assert caught.value.__cause__ is not None


def test_loading_imports_no_framework_but_the_models_own(saved) -> None:
    """Inspecting imports no sklearn; loading brings in no other flavor's plugin."""
    script = (
        "import sys, palate; palate.inspect_model(sys.argv[1]);"
        "assert 'sklearn' not in sys.modules and 'skops' not in sys.modules;"
        "palate.load_model(sys.argv[1]); assert 'toy_framework' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(saved)], check=True)


def test_a_read_only_directory_loads(copy) -> None:
    """Loading writes nothing beside the model."""
    before = sorted(copy.rglob("*"))
    for path in before:
        path.chmod(0o444)
    copy.chmod(0o555)
    try:
        palate.load_model(copy)
    finally:
        copy.chmod(0o755)
    assert sorted(copy.rglob("*")) == before


def test_golden_predictions_of_a_sealed_model_are_json(saved) -> None:
    """They can be read by anything."""
    assert json.loads((saved / "golden_predictions.json").read_text())


@pytest.mark.parametrize("trust", ["no", "0", 1, None])
def test_trust_is_true_or_false(saved, trust) -> None:
    """Text from a settings file grants nothing."""
    with pytest.raises(errors.InvalidOption, match="trust"):
        palate.load_model(saved, trust=trust)


@pytest.mark.parametrize(
    ("value", "trusts"), [(None, True), ("true", True), ("1", True), ("False", False), ("0", False)]
)
def test_mlflows_own_switch_says_whether_its_loader_trusts(monkeypatch, tmp_path, value, trusts) -> None:
    """Stock MLflow, opening a flavor that it does not know, trusts unless its own variable forbids pickles."""
    from palate.mlflow_loader import _load_pyfunc

    palate.save_model(len, tmp_path / "m")
    monkeypatch.delenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", raising=False)
    if value is not None:
        monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", value)
    if trusts:
        assert _load_pyfunc(str(tmp_path / "m")).predict("abc") == 3
        return
    with pytest.raises(errors.TrustRequired):
        _load_pyfunc(str(tmp_path / "m"))


def test_a_switch_that_says_nothing_is_refused(monkeypatch, tmp_path) -> None:
    """A permission is never guessed."""
    from palate.mlflow_loader import _load_pyfunc

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "no")
    with pytest.raises(errors.InvalidOption, match="MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        _load_pyfunc(str(tmp_path / "m"))


def test_what_a_models_code_opens_by_mlflows_name_gets_its_options(tmp_path) -> None:
    """mlflow.pyfunc.load_model(uri, model_config=...) in a model's code means what it says."""

    class Inner(palate.PythonModel):
        def load_context(self, context):
            self.k = context.model_config["k"]

        def predict(self, context, model_input, params=None):
            return [self.k]

    palate.save_model(Inner(), tmp_path / "inner", model_config={"k": 1})
    (tmp_path / "outer.py").write_text(
        "import mlflow\n"
        "from mlflow.models import set_model\n"
        f"inner = mlflow.pyfunc.load_model({str(tmp_path / 'inner')!r}, model_config={{'k': 2}})\n"
        "set_model(lambda rows: inner.predict(rows))\n"
    )
    palate.save_model(tmp_path / "outer.py", tmp_path / "outer")
    assert palate.load_model(tmp_path / "outer", trust=True).predict(["x"]) == [2]


def test_the_native_model_is_loaded_with_the_flavors_options(tmp_path) -> None:
    """load_native takes what load_model takes."""
    palate.save_model(len, tmp_path / "m", model_config={"k": 1})
    with pytest.raises(errors.InvalidOption, match="knows no z"):
        palate.load_native(tmp_path / "m", trust=True, model_config={"z": 1})
