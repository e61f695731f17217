"""Saving through the public door: arguments, proofs, and failures that leave nothing behind."""

from __future__ import annotations

import inspect
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import palate
from palate import errors
from palate.testing._threads import at_once


@pytest.fixture
def frame() -> pd.DataFrame:
    """Ten rows of two numeric columns."""
    generator = np.random.default_rng(0)
    return pd.DataFrame({"a": generator.normal(size=10), "b": generator.normal(size=10)})


@pytest.fixture
def regression(frame: pd.DataFrame) -> LinearRegression:
    """A model fitted on named columns."""
    return LinearRegression().fit(frame, frame.a * 2 - frame.b)


def entries(directory: Path) -> set[str]:
    """Return everything in a directory, hidden entries too."""
    return {entry.name for entry in directory.iterdir()}


def test_save_returns_what_inspect_shows(tmp_path, regression, frame) -> None:
    """The info of a save describes the published directory."""
    info = palate.save_model(regression, tmp_path / "m", input_example=frame.head(2))
    seen = palate.inspect_model(tmp_path / "m")
    assert info.digest == seen.digest
    assert info.flavor == "sklearn"
    assert info.trust_needed is False
    assert seen.verified
    assert {"MLmodel", "MANIFEST.json", "requirements.txt", "golden_predictions.json"} <= {f.name for f in seen.files}
    json.dumps(seen.to_dict())


def test_declared_requirements_of_all_kinds(tmp_path, regression) -> None:
    """A requirements file of the caller's is taken apart, and credentials in it are told once and kept nowhere."""
    (tmp_path / "bounds.txt").write_text("scipy<99\n")
    (tmp_path / "reqs.txt").write_text(
        "-i https://user:hunter2@packages.example.com/simple\nscikit-learn\nskops\n"
        "ray[serve]==2.9; python_version<'3'\n-c bounds.txt\n"
    )
    with pytest.warns(errors.PalateWarning, match="without the credentials") as caught:
        info = palate.save_model(regression, tmp_path / "m", requirements=tmp_path / "reqs.txt")
    assert [warning.filename for warning in caught] == [__file__]
    assert info.requirements == ('ray[serve]==2.9; python_version < "3"', "scikit-learn", "skops", "-c constraints.txt")
    assert (tmp_path / "m" / "constraints.txt").read_text() == "scipy<99"
    assert any("https://packages.example.com/simple" in note for note in info.notes)
    assert any(note.endswith("by another version: scikit-learn, skops") for note in info.notes)
    assert not any(b"hunter2" in file.read_bytes() for file in (tmp_path / "m").rglob("*") if file.is_file())
    assert palate.verify_model(tmp_path / "m").ok


def test_requirements_that_the_model_was_not_made_with(tmp_path, regression) -> None:
    """They are written as the caller wants them, and one warning says that nobody has tried the model there."""
    lines = ["scikit-learn==1.0", "scikit-lern", "skops"]
    with pytest.warns(errors.PalateWarning, match=r"ask for scikit-learn==1\.0, and .*; scikit-lern is not") as caught:
        info = palate.save_model(regression, tmp_path / "m", requirements=lines)
    assert [warning.filename for warning in caught] == [__file__]
    assert list(info.requirements) == lines


def test_an_example_gives_signature_params_and_golden_predictions(tmp_path, regression, frame) -> None:
    """Inputs come from the example, outputs from the reloaded model's predictions."""
    info = palate.save_model(regression, tmp_path / "m", input_example=frame.head(2))
    assert [c.name for c in info.signature.inputs.columns] == ["a", "b"]
    assert info.signature.outputs is not None
    assert info.golden == "stored"


def test_an_explicit_none_saves_without_signature(tmp_path, regression, frame) -> None:
    """signature=None is a decision, and inspect tells it."""
    info = palate.save_model(regression, tmp_path / "m", input_example=frame.head(2), signature=None)
    assert info.signature is None
    assert any("unchecked" in note for note in info.notes)


def test_an_example_that_no_signature_fits_is_an_error_not_a_missing_signature(tmp_path) -> None:
    """uint64 has no column type: the save fails, naming the column, and leaves nothing."""
    model = LinearRegression().fit([[1.0]], [1.0])
    data = pd.DataFrame({"huge": np.array([1, 2], dtype="uint64")})
    with pytest.raises(errors.InvalidSignature, match="huge"):
        palate.save_model(model, tmp_path / "m", input_example=data)
    assert entries(tmp_path) == set()


def test_an_existing_path_is_refused_before_any_work(tmp_path, regression) -> None:
    """What is there stays as it was."""
    target = tmp_path / "m"
    target.mkdir()
    (target / "notes.txt").write_text("mine")
    with pytest.raises(errors.ModelExists):
        palate.save_model(regression, target)
    with pytest.raises(errors.ModelExists, match="not a model"):
        palate.save_model(regression, target, overwrite=True)
    assert (target / "notes.txt").read_text() == "mine"
    assert entries(tmp_path) == {"m"}


def test_overwrite_replaces_a_model_and_only_when_the_new_one_is_whole(tmp_path, regression, frame) -> None:
    """A failing overwrite leaves the old model; a good one replaces it."""
    old = palate.save_model(regression, tmp_path / "m")
    broken = FunctionTransformer(lambda x: x)
    with pytest.raises(errors.UnsupportedModel):
        palate.save_model(broken, tmp_path / "m", overwrite=True)
    assert palate.inspect_model(tmp_path / "m").digest == old.digest
    new = palate.save_model(regression, tmp_path / "m", overwrite=True, input_example=frame.head(1))
    assert palate.inspect_model(tmp_path / "m").digest == new.digest != old.digest
    assert entries(tmp_path) == {"m"}


def test_an_object_that_no_flavor_owns_names_the_way_out(tmp_path) -> None:
    """An arbitrary object cannot be saved by accident."""
    with pytest.raises(errors.UnsupportedModel, match=r"threading.*PythonModel"):
        palate.save_model(threading.Barrier(1), tmp_path / "m")
    assert entries(tmp_path) == set()


SPEEDY = palate.Signature(params=(palate.ParamSpec(name="speed", type="long", default=1),))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"format": "joblib"}, errors.InvalidOption, "skops, pickle, cloudpickle"),
        ({"compresion": 3}, errors.InvalidOption, "compresion"),
        ({"metadata": {"when": {1, 2}}}, errors.InvalidOption, "metadata"),
        ({"metadata": {"ratio": float("nan")}}, errors.InvalidOption, "metadata"),
        ({"requirements": ["--trusted-host x"]}, errors.InvalidRequirement, "trusted-host"),
        ({"extra_requirements": ["-e ."]}, errors.InvalidRequirement, "refused"),
        ({"code_paths": ["nowhere.py"]}, errors.InvalidOption, "nowhere.py"),
        ({"flavor": "lightgbm"}, errors.FlavorNotFound, "check the spelling"),
        ({"artifacts": {"x": "y"}}, errors.InvalidOption, "artifacts"),
        ({"params": {"x": 1}, "signature": SPEEDY}, errors.InvalidOption, "params"),
        *(
            ({name: 3}, errors.InvalidOption, f"^{name}: .*(int|format 3)")
            for name in ("flavor", "format", "signature")
        ),
        ({"requirements": 3}, errors.InvalidOption, "requirements: it is int"),
        ({"metadata": "text"}, errors.InvalidOption, "metadata: it is not a dict"),
        ({"run_id": 3}, errors.InvalidOption, "run_id"),
        ({"code_paths": "steps.py"}, errors.InvalidOption, "code_paths: it is str.*list"),
        ({"code_paths": [3]}, errors.InvalidOption, "code_paths: it is int"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_left(tmp_path, regression, options, error, text) -> None:
    """Each mistake has one typed error with the argument in it."""
    with pytest.raises(error, match=text):
        palate.save_model(regression, tmp_path / "m", **options)
    assert entries(tmp_path) == set()


@pytest.mark.parametrize(
    ("path", "text"), [(None, "path: it is NoneType"), (3, "path: it is int"), ("", "it is empty")]
)
def test_a_wrong_path_is_named(regression, path, text) -> None:
    """What is no path is not taken for the working directory."""
    with pytest.raises(errors.InvalidOption, match=text):
        palate.save_model(regression, path)


@pytest.mark.parametrize(("model", "text"), [({}, "builtins"), (3, "builtins"), (LinearRegression, "instance of it")])
def test_what_is_no_model_is_refused_with_what_would_be(tmp_path, model, text) -> None:
    """Data, and a class in place of its instance, are no models."""
    with pytest.raises(errors.UnsupportedModel, match=text) as caught:
        palate.save_model(model, tmp_path / "m")
    assert "install the plugin" not in str(caught.value)


@pytest.mark.parametrize("flavor", ["sklearn", "python_function"])
def test_a_pickle_of_code_that_only_this_machine_has_is_refused(tmp_path, monkeypatch, flavor) -> None:
    """A class of a module that is neither installed nor in code/ is refused; with code_paths it is saved."""
    source = tmp_path / "my_project_y.py"
    source.write_text(
        "from sklearn.base import BaseEstimator\n"
        "class Model(BaseEstimator):\n"
        "    def load_context(self, context): pass\n"
        "    def predict(self, x): return x\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_project_y

    options = {"flavor": flavor, **({"format": "pickle"} if flavor == "sklearn" else {})}
    with pytest.raises(errors.UnsupportedModel, match=r"my_project_y.*code_paths=\["):
        palate.save_model(my_project_y.Model(), tmp_path / "m", **options)
    assert entries(tmp_path) <= {"my_project_y.py", "__pycache__"}
    palate.save_model(my_project_y.Model(), tmp_path / "m", code_paths=[source], **options)
    del sys.modules["my_project_y"]
    assert palate.load_model(tmp_path / "m", trust=True).predict([1]) == [1]


def test_a_pickle_of_a_class_of_the_main_script_is_refused(tmp_path, regression, monkeypatch) -> None:
    """Such a pickle opens in this process alone; the error names the format that carries the class along."""
    kind = type("Mine", (LinearRegression,), {"__module__": "__main__"})
    monkeypatch.setattr(sys.modules["__main__"], "Mine", kind, raising=False)
    model = kind().fit([[0.0], [1.0]], [0.0, 1.0])
    with pytest.raises(errors.UnsupportedModel, match=r"__main__.*format='cloudpickle'"):
        palate.save_model(model, tmp_path / "m", format="pickle")
    palate.save_model(model, tmp_path / "m", format="cloudpickle")
    monkeypatch.undo()
    assert palate.load_model(tmp_path / "m", trust=True).predict([[1.0]]) == pytest.approx([1.0])


class Forgetful(RegressorMixin, BaseEstimator):
    """Predicts with something that it does not keep."""

    def fit(self, X, y):
        """Learn a number."""
        self.offset_ = 1.0
        self.lost = 1.0
        return self

    def predict(self, X):
        """Predict differently after a round trip."""
        return np.asarray(X)[:, 0] * 0 + self.lost

    def __getstate__(self):
        return {"offset_": 1.0, "lost": 2.0}


def test_a_model_that_comes_back_different_is_not_published(tmp_path, frame) -> None:
    """The reloaded model must predict what the original predicts."""
    model = Forgetful().fit(frame, frame.a)
    with pytest.raises(errors.PredictionChanged):
        palate.save_model(model, tmp_path / "m", input_example=frame.head(2), format="cloudpickle")
    assert entries(tmp_path) == set()


def test_an_unrepeatable_model_is_told_apart_from_a_changed_one(tmp_path, frame) -> None:
    """A sklearn model whose predictions vary is saved without golden predictions, and says why."""

    class Dice(RegressorMixin, BaseEstimator):
        def fit(self, X, y):
            return self

        def predict(self, X):
            return np.random.normal(size=len(X))

    info = palate.save_model(Dice().fit(frame, None), tmp_path / "m", input_example=frame.head(2), format="cloudpickle")
    assert "vary" in info.golden


def test_saving_draws_no_numbers_from_the_experiment(tmp_path, frame, regression) -> None:
    """Python's and numpy's global generators stand where they stood."""
    random.seed(1)
    np.random.seed(1)
    expected = (random.random(), np.random.random())
    random.seed(1)
    np.random.seed(1)
    palate.save_model(regression, tmp_path / "m", input_example=frame.head(2))
    assert (random.random(), np.random.random()) == expected


def test_categories_that_the_encoder_knows_reach_the_signature(tmp_path) -> None:
    """They are kept beside MLflow's signature and survive the round trip."""
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    data = pd.DataFrame({"city": ["Bern", "Graz", "Bern"], "area": [1.0, 2.0, 3.0]})
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough"), LinearRegression()
    )
    palate.save_model(model.fit(data, [1, 2, 3]), tmp_path / "m", input_example=data.head(1))
    columns = palate.load_model(tmp_path / "m").signature.inputs.columns
    assert columns[0].categories == ("Bern", "Graz")
    assert columns[1].categories is None


def test_a_pandas_categorical_comes_back_as_one(tmp_path) -> None:
    """A model fitted on categoricals gets them, also when the caller has only text."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    data = pd.DataFrame({"city": pd.Categorical(["Bern", "Graz", "Linz"] * 20), "area": np.arange(60.0)})
    model = HistGradientBoostingRegressor(categorical_features="from_dtype", max_iter=5).fit(data, np.arange(60.0))
    palate.save_model(model, tmp_path / "m", input_example=data.head(3))
    loaded = palate.load_model(tmp_path / "m")
    text = data.astype({"city": str})
    np.testing.assert_array_equal(loaded.predict(text), model.predict(data))
    with pytest.raises(errors.InvalidInput, match="city"):
        loaded.predict(text.assign(city="Atlantis"))


def test_run_id_comes_from_the_argument_or_the_active_mlflow_run(tmp_path, regression, monkeypatch) -> None:
    """MLFLOW_RUN_ID is the active run's variable; the argument wins."""
    run = "0123456789abcdef0123456789abcdef"
    monkeypatch.setenv("MLFLOW_RUN_ID", run)
    assert palate.save_model(regression, tmp_path / "a").run_id == run
    assert palate.save_model(regression, tmp_path / "b", run_id="mine").run_id == "mine"


def test_the_directory_has_ordinary_modes_and_no_absolute_path(tmp_path, regression, frame) -> None:
    """The staging directory's private mode does not stay, and no path of this machine is written."""
    palate.save_model(regression, tmp_path / "m", input_example=frame.head(1))
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o777 & ~_umask()
    for file in (tmp_path / "m").rglob("*"):
        assert str(tmp_path).encode() not in file.read_bytes()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_transformer_predicts_by_transforming(tmp_path, frame) -> None:
    """A model without predict answers predict with its first method, and MLflow's pyfunc is left out."""
    scaler = StandardScaler().fit(frame)
    info = palate.save_model(scaler, tmp_path / "m", input_example=frame)
    assert info.flavors == ("sklearn",)
    np.testing.assert_array_equal(palate.load_model(tmp_path / "m").predict(frame), scaler.transform(frame))


def test_two_savers_of_one_path_publish_one_whole_model(tmp_path, frame) -> None:
    """Exactly one thread wins; the others get ModelExists."""
    outcomes: list[object] = []

    def save(number: int) -> None:
        model = LogisticRegression().fit(frame, frame.a > (0.0, 0.1, -0.1, 0.2)[number])
        try:
            outcomes.append(palate.save_model(model, tmp_path / "m").digest)
        except errors.ModelExists:
            outcomes.append("exists")

    at_once(save, 4)
    won = [outcome for outcome in outcomes if outcome != "exists"]
    assert len(outcomes) == 4
    assert won == [palate.inspect_model(tmp_path / "m").digest]
    assert entries(tmp_path) == {"m"}


def test_modules_in_code_need_no_distribution(tmp_path) -> None:
    """What a pickle names below code/ counts as there, by its full name too."""
    package = tmp_path / "carried_pkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("def double(model_input):\n    return model_input['x'] * 2\n")
    code = (
        "import sys, palate; sys.path.insert(0, '.')\n"
        "from carried_pkg.part import double\n"
        "palate.save_model(double, 'm', code_paths=['carried_pkg'])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert "unresolved_modules" not in yaml.safe_load((tmp_path / "m" / "MLmodel").read_text())["palate"]


def test_what_is_allowed_at_save_is_allowed_for_the_proof(tmp_path, frame) -> None:
    """A type of another package named in allow= passes the reload at save, and needs naming again at load."""
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(FunctionTransformer(json.dumps), FunctionTransformer(json.loads))
    allow = ["json.dumps", "json.loads"]
    palate.save_model(model, tmp_path / "m", input_example=[1, 2], signature=None, allow=allow)
    with pytest.raises(errors.UnsafeModel, match=r"json\.dumps"):
        palate.load_model(tmp_path / "m")
    assert palate.load_model(tmp_path / "m", allow=allow).predict([1, 2]) == [1, 2]


# -- examples ----------------------------------------------------------------------------------------------------------


def test_rows_of_numbers_are_an_array(tmp_path, regression) -> None:
    """A list of rows, as people write arrays, is stored and enforced as the array that it means."""
    model = LinearRegression().fit([[1, 2], [3, 4]], [1, 2])
    info = palate.save_model(model, tmp_path / "m", input_example=[[1, 2], [3, 4]])
    assert info.signature.inputs.is_tensor
    assert palate.load_model(tmp_path / "m").predict([[1, 2], [3, 4]]) == pytest.approx([1, 2])


@pytest.mark.parametrize(
    "column", [pd.array([True, None, False], dtype="boolean"), pd.array([1, None, 3], dtype="Int64")]
)
def test_a_saved_model_takes_its_own_example(tmp_path, column) -> None:
    """Columns with gaps fit the signature that was inferred from them."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    frame = pd.DataFrame({"gaps": column.take([0, 1, 2] * 10), "x": np.arange(30.0)})
    model = HistGradientBoostingRegressor(max_iter=2).fit(frame, frame.x)
    palate.save_model(model, tmp_path / "m", input_example=frame.head(3))
    predictions = palate.load_model(tmp_path / "m").predict(frame.head(3))
    assert predictions == pytest.approx(model.predict(frame.head(3)))


def test_a_series_that_is_taken_for_other_rows_is_refused(tmp_path) -> None:
    """A Series of texts would be stored as a frame, of which a vectorizer reads the column's name."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    texts = pd.Series(["good day", "bad day", "good night", "awful night"], name="review")
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0])
    with pytest.raises(errors.InvalidExample, match="4 predictions of it, and 1"):
        palate.save_model(model, tmp_path / "m", input_example=texts)
    palate.save_model(model, tmp_path / "m", input_example=texts.to_numpy(dtype=object))
    assert palate.load_model(tmp_path / "m").predict(texts.to_numpy()).tolist() == [1, 0, 1, 0]


def test_a_model_that_changes_its_input_is_proved_all_the_same(tmp_path, frame) -> None:
    """Each prediction of the proof gets the example anew, so that the model is not taken for an unsteady one."""
    from sklearn.pipeline import make_pipeline

    values = frame.to_numpy()
    model = make_pipeline(StandardScaler(copy=False), LinearRegression()).fit(values.copy(), frame.a)
    info = palate.save_model(model, tmp_path / "m", input_example=values[:3].copy())
    assert info.golden == "stored"
    assert palate.verify_model(tmp_path / "m").ok


def test_a_function_that_varies_has_no_golden_predictions(tmp_path) -> None:
    """It predicts only once it is loaded, so it is held against itself."""

    def noisy(values):
        return np.random.default_rng().random(len(values))

    info = palate.save_model(noisy, tmp_path / "m", input_example=["a"])
    assert "vary from call to call" in info.golden
    assert palate.verify_model(tmp_path / "m", trust=True).ok


def test_a_model_without_predictions_says_so(tmp_path) -> None:
    """With an example, that there are no golden predictions is not for want of one."""
    from sklearn.cluster import DBSCAN

    info = palate.save_model(DBSCAN().fit([[1.0], [2.0]]), tmp_path / "m", input_example=np.array([[1.0]]))
    assert info.golden == "none: the model predicts nothing"


def test_verifying_draws_no_numbers_from_the_experiment(tmp_path) -> None:
    """Replaying the golden predictions leaves Python's and numpy's generators as they were."""

    def drawing(values):
        np.random.random(3)
        random.random()
        return [len(values)]

    palate.save_model(drawing, tmp_path / "m", input_example=["a"])
    np.random.seed(0)
    random.seed(0)
    before = np.random.get_state()[1].tolist(), random.getstate()
    assert palate.verify_model(tmp_path / "m", trust=True).ok
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before


def test_a_folder_of_code_may_hold_the_target(tmp_path, monkeypatch) -> None:
    """code_paths=["."] does not copy the stage into itself."""
    (tmp_path / "helpers.py").write_text("K = 7\n")
    monkeypatch.chdir(tmp_path)
    palate.save_model(len, "m", code_paths=["."])
    assert [path.name for path in (tmp_path / "m" / "code").rglob("*.py")] == ["helpers.py"]


def test_what_every_flavor_takes_is_what_save_model_takes() -> None:
    """The list that suggestions are made from is that of the function; artifacts= is handed to python_function."""
    from palate._save_request import SHARED_OPTIONS

    named = [p.name for p in inspect.signature(palate.save_model).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert sorted(SHARED_OPTIONS) == sorted(set(named) - {"artifacts"})


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("input_exmaple", "did you mean 'input_example'"),
        ("pip_requirements", "did you mean 'requirements'"),
        ("colour", "every flavor takes flavor, signature"),
    ],
)
def test_a_misspelt_option_is_answered_with_the_right_one(tmp_path, regression, option, text) -> None:
    """Slips, and MLflow's names, lead to the argument that is meant."""
    with pytest.raises(errors.InvalidOption, match=text):
        palate.save_model(regression, tmp_path / "m", **{option: 1})


def test_a_code_file_that_is_not_python_is_refused(tmp_path) -> None:
    """A syntax error shows at save, also without an example."""
    (tmp_path / "model.py").write_text("def (:\n")
    with pytest.raises(errors.UnsupportedModel, match=r"not Python.*line 1"):
        palate.save_model(tmp_path / "model.py", tmp_path / "m")


def test_a_declared_signature_asks_nothing_of_the_type_hints(tmp_path) -> None:
    """What the hints cannot say is no matter when the caller says it, or wants no signature."""

    def spectrum(values: list[complex]) -> list[float]:
        return [abs(value) for value in values]

    with pytest.raises(errors.InvalidSignature):
        palate.save_model(spectrum, tmp_path / "m")
    palate.save_model(spectrum, tmp_path / "m", signature=None)


def test_a_python_model_may_take_lists_of_rows(tmp_path) -> None:
    """Its example stays what it is, and callers' lists are proved as lists."""

    def count_ones(rows):
        return [row.count(1) for row in rows]

    palate.save_model(count_ones, tmp_path / "m", input_example=[[1, 2], [3, 4]], signature=None)
    assert palate.load_model(tmp_path / "m", trust=True).predict([[1, 1], [3, 4]]) == [2, 0]


def test_an_empty_tuple_is_no_example(tmp_path, regression) -> None:
    """A tuple means data and params."""
    with pytest.raises(errors.InvalidExample, match="tuple means"):
        palate.save_model(regression, tmp_path / "m", input_example=())


def test_a_folder_with_a_file_that_cannot_be_read_is_named(tmp_path, regression) -> None:
    """A broken link among the code keeps naming that file, and is no fault of the place to save to."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "lost.py").symlink_to(tmp_path / "nowhere.py")
    with pytest.raises(FileNotFoundError, match=r"lost\.py") as caught:
        palate.save_model(regression, tmp_path / "m", code_paths=[tmp_path / "code"])
    assert not isinstance(caught.value, errors.SaveFailed)
    assert entries(tmp_path) == {"code"}
