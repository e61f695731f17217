"""A pickled model is a reference to its directory: what it keeps, how small it is, and where it is opened again."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier

import palate
from palate import errors

FRAME = pd.DataFrame({"a": np.linspace(-1, 1, 30), "b": np.linspace(2, -2, 30)})
RAN: list[str] = []


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> palate.PyFuncModel:
    """A model of half a megabyte, saved and loaded."""
    path = tmp_path_factory.mktemp("shipping") / "m"
    many = pd.DataFrame(np.random.default_rng(0).normal(size=(40_000, 2)), columns=["a", "b"])
    palate.save_model(KNeighborsClassifier(3).fit(many, many.a > many.b), path, input_example=FRAME.head(3))
    return palate.load_model(path)


def greeter(word: str) -> str:
    """Return the source of a model that tells this module when it runs."""
    return (
        "import sys, palate\n"
        f"sys.modules[{__name__!r}].RAN.append({word!r})\n"
        f"palate.set_model(lambda model_input: [{word!r}] * len(model_input))\n"
    )


def save_greeter(path: Path, word: str) -> Path:
    """Save a model that answers with a word."""
    source = path.parent / "greeter.py"
    source.write_text(greeter(word))
    palate.save_model(str(source), path, signature=None, overwrite=True)
    RAN.clear()
    return path


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps, partial(pickle.dumps, protocol=0)])
def test_a_pickle_is_small_and_opens_the_same_model(dumps, classifier) -> None:
    """It holds less than a kilobyte, whatever the size of the model."""
    size = sum(file.stat().st_size for file in classifier.path.rglob("*") if file.is_file())
    data = dumps(classifier)
    assert len(data) < 1000 < 500_000 < size
    again = pickle.loads(data)
    assert again.metadata == classifier.metadata
    np.testing.assert_array_equal(again.predict_proba(FRAME), classifier.predict_proba(FRAME))


def test_bound_methods_and_partials_travel(classifier) -> None:
    """Those that every model has, those that this one answers to, and what functools makes of them."""
    wanted = classifier.predict_proba(FRAME)
    for asked in (classifier.predict_proba, partial(classifier.call, "predict_proba", output="numpy")):
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(asked))(FRAME), wanted)
    one, other = pickle.loads(pickle.dumps([classifier, classifier]))
    assert one is other
    np.testing.assert_array_equal(copy.deepcopy(classifier).predict_proba(FRAME), wanted)


@pytest.fixture(params=["spawn", "forkserver"])
def pool(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Two processes that share nothing with this one."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(request.param)) as made:
        yield made


def test_process_pools_predict(pool, classifier) -> None:
    """The model is the argument, or its method is the function; errors come back as they were raised."""
    parts = [FRAME.head(10), FRAME.tail(20)]
    found = list(pool.map(classifier.predict, parts))
    np.testing.assert_array_equal(np.concatenate(found), classifier.predict(FRAME))
    asked = pool.submit(palate.PyFuncModel.call, classifier, "predict_proba", FRAME, output="pandas")
    pd.testing.assert_frame_equal(asked.result(), classifier.predict_proba(FRAME, output="pandas"))
    with pytest.raises(errors.InvalidInput) as caught:
        pool.submit(classifier.predict, FRAME[["a"]]).result()
    assert [problem.where for problem in caught.value.problems] == [("inputs", "b")]


def test_joblib_ships_models(classifier) -> None:
    """loky's processes open the directory themselves, for a method and for a closure."""
    tasks = [joblib.delayed(classifier.predict)(FRAME), joblib.delayed(lambda: classifier.predict(FRAME))()]
    for found in joblib.Parallel(2)(tasks):
        np.testing.assert_array_equal(found, classifier.predict(FRAME))


# -- what is kept ----------------------------------------------------------------------------------------------------


def test_options_of_the_load_are_kept(tmp_path) -> None:
    """Trust and the configuration given at load are given again."""

    class Configured(palate.PythonModel):
        def load_context(self, context):
            self.config = context.model_config

        def predict(self, context, model_input, params=None):
            return [self.config["word"]] * len(model_input)

    palate.save_model(Configured(), tmp_path / "m", model_config={"word": "saved"}, signature=None)
    model = palate.load_model(tmp_path / "m", trust=True, model_config={"word": "given"})
    assert pickle.loads(pickle.dumps(model)).predict([1]) == ["given"]


def test_classes_given_at_load_are_kept(tmp_path) -> None:
    """The module that weights are read into goes along, as a class and not as its weights."""
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 300_000)

        def forward(self, x):
            return self.layer(x)[:, :2]

    data = np.ones((3, 2), dtype="f4")
    palate.save_model(Net(), tmp_path / "m", format="safetensors", module=Net, input_example=data)
    model = palate.load_model(tmp_path / "m", module=Net)
    shipped = cloudpickle.dumps(model)
    assert len(shipped) < 5000
    np.testing.assert_array_equal(pickle.loads(shipped).predict(data), model.predict(data))


def test_a_flavor_that_was_asked_for_is_kept(classifier) -> None:
    """Under the name that tells two distributions apart."""
    model = palate.load_model(classifier.path, flavor="palate-sklearn:sklearn", verify=False)
    found = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(found.predict(FRAME), classifier.predict(FRAME))
    assert found.__reduce__() == model.__reduce__()


def test_relative_paths_are_kept_whole(classifier, monkeypatch) -> None:
    """A process that works in another folder finds the model."""
    monkeypatch.chdir(classifier.path.parent)
    data = pickle.dumps(palate.load_model(classifier.path.name))
    monkeypatch.chdir("/")
    assert pickle.loads(data).path == classifier.path


def test_names_of_folders_are_no_uris(classifier, tmp_path) -> None:
    """A path is taken letter by letter, with what a URI would read as an escape."""
    path = tmp_path / "a%20 b\n#ä"
    shutil.copytree(classifier.path, path)
    assert pickle.loads(pickle.dumps(palate.load_model(path))).path == path


def test_directories_of_stock_mlflow_travel() -> None:
    """They have no MANIFEST.json; the path is all there is."""
    path = Path(__file__).parents[1] / "data" / "mlflow_models" / "sk_predict_proba" / "model"
    data = pd.DataFrame({"a": [0.1], "b": np.array([0.2], dtype="float32"), "c": [1]})
    model = palate.load_model(path)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(data), model.predict(data))


# -- what is not there any more --------------------------------------------------------------------------------------


def test_a_missing_directory_is_named(classifier, tmp_path) -> None:
    """The error says that a pickle is only a reference, and what to do."""
    shutil.copytree(classifier.path, tmp_path / "m")
    data = pickle.dumps(palate.load_model(tmp_path / "m"))
    shutil.rmtree(tmp_path / "m")
    with pytest.raises(errors.ModelNotFound, match=r"reference to its directory.*Hint: put the directory") as caught:
        pickle.loads(data)
    assert str(tmp_path / "m") in str(caught.value)


def forget_manifest(path: Path) -> None:
    """Leave a directory that does not say what belongs to it."""
    (path / "MANIFEST.json").unlink()


def change_code(path: Path) -> None:
    """Change the model's code and nothing else."""
    (path / "greeter.py").write_text(greeter("changed"))


def save_another(path: Path) -> None:
    """Save another model in its place, which is as whole as the first."""
    save_greeter(path, "another")


@pytest.mark.parametrize("change", [save_another, change_code, forget_manifest])
def test_another_model_in_its_place_does_not_run(change: Callable[[Path], None], tmp_path) -> None:
    """Trust was given to one model; what else stands there is refused before any of it runs."""
    path = save_greeter(tmp_path / "m", "first")
    data = pickle.dumps(palate.load_model(path, trust=True))
    assert pickle.loads(data).predict([1]) == ["first"]
    change(path)
    RAN.clear()
    with pytest.raises(errors.ModelChanged):
        pickle.loads(data)
    assert RAN == []


def test_a_model_moved_back_is_the_model(tmp_path) -> None:
    """The reference is to what the directory holds, not to an inode."""
    path = save_greeter(tmp_path / "m", "first")
    data = pickle.dumps(palate.load_model(path, trust=True))
    shutil.copytree(path, tmp_path / "copy")
    shutil.rmtree(path)
    os.rename(tmp_path / "copy", path)
    assert pickle.loads(data).predict([1]) == ["first"]
