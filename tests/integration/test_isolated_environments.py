"""Models in environments of their own: versions that no single environment can hold, side by side in one program."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from starlette.testclient import TestClient

import palate
from palate import Isolation, environments, errors
from palate.serving import ServingSettings, create_app

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info >= (3, 13), reason="numpy 1.26, the one before, has no wheels from 3.13 on"),
]

# Of each the major or minor version before the one that these tests run with.
OLDER = ["scikit-learn==1.5.2", "numpy==1.26.4", "pandas==2.2.3", "skops==0.14.0"]
IRIS = load_iris(as_frame=True)
TRAIN = """
import json, sys, numpy, pandas, palate, sklearn
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
iris = load_iris(as_frame=True)
model = LogisticRegression(max_iter=500).fit(iris.data, iris.target)
palate.save_model(model, sys.argv[1], input_example=iris.data.head(3))
versions = [".".join(map(str, sys.version_info[:2])), sklearn.__version__, numpy.__version__, pandas.__version__]
print(json.dumps([versions, model.predict_proba(iris.data).tolist()]))
"""
ECHO = """
import palate
class Echo(palate.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input
palate.set_model(Echo())
"""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep environments in a cache of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("PALATE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a model is that this environment has saved."""
    path = tmp_path_factory.mktemp("newer") / "iris"
    palate.save_model(
        LogisticRegression(max_iter=500).fit(IRIS.data, IRIS.target), path, input_example=IRIS.data.head(3)
    )
    return path


@pytest.fixture(scope="module")
def older_environment(newer: Path, tmp_path_factory: pytest.TempPathFactory) -> environments.BuiltEnvironment:
    """Return an environment with earlier versions of everything that arrays and frames are made of."""
    seed = tmp_path_factory.mktemp("seed") / "model"
    with pytest.warns(errors.PalateWarning, match="never tried in"):
        palate.save_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), seed, requirements=OLDER)
    return environments.create_environment(seed, replay=False)


def save_there(environment: environments.BuiltEnvironment, path: Path) -> tuple[list[str], np.ndarray]:
    """Train and save in an environment; return the versions there, and what the model predicts there."""
    command = [str(environment.python), "-I", "-W", "ignore", "-c", TRAIN, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    versions, probabilities = json.loads(done.stdout)
    return versions, np.array(probabilities)


@pytest.fixture(scope="module")
def older(
    older_environment: environments.BuiltEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, np.ndarray]:
    """Return where a model of the earlier scikit-learn is, and what it predicted when it was saved."""
    path = tmp_path_factory.mktemp("older") / "iris"
    versions, probabilities = save_there(older_environment, path)
    assert versions[1:] == ["1.5.2", "1.26.4", "2.2.3"]
    return path, probabilities


def test_two_versions_of_a_framework_side_by_side(older: tuple[Path, np.ndarray], newer: Path) -> None:
    """Two scikit-learns that no environment can hold together answer in one program, each as it was trained."""
    path, expected = older
    check = environments.check_environment(path)
    assert not check.ok
    assert "scikit-learn" in [difference.name for difference in check.differences if difference.matters]
    with palate.load_model(path, isolate=True) as isolated, palate.load_model(newer, isolate=True) as same:
        direct = palate.load_model(newer)
        np.testing.assert_array_equal(isolated.predict_proba(IRIS.data), expected)
        np.testing.assert_array_equal(same.predict_proba(IRIS.data), direct.predict_proba(IRIS.data))
        assert (isolated.predict(IRIS.data) == direct.predict(IRIS.data)).mean() > 0.95
        interpreters = [Path(f"/proc/{model.pid}/cmdline").read_bytes().split(b"\0")[0] for model in (isolated, same)]
    assert interpreters[1] == sys.executable.encode()
    assert interpreters[0] != interpreters[1]


def test_environment_is_found_again(older: tuple[Path, np.ndarray], cache: Path) -> None:
    """The second load builds nothing: no file of the cache is newer."""
    path, expected = older
    with palate.load_model(path, isolate=True):
        pass
    interpreters = {place: place.lstat().st_mtime_ns for place in cache.glob("environments/*/bin/python")}
    with palate.load_model(path, isolate=Isolation(environment="model")) as isolated:
        np.testing.assert_array_equal(isolated.predict_proba(IRIS.data), expected)
    assert {place: place.lstat().st_mtime_ns for place in cache.glob("environments/*/bin/python")} == interpreters


def test_two_versions_in_one_server(older: tuple[Path, np.ndarray], newer: Path) -> None:
    """One server serves both, each of its own version; clients see no difference."""
    path, expected = older
    body = {"dataframe_split": json.loads(IRIS.data.head(20).to_json(orient="split"))}
    app = create_app({"newer": newer, "older": path}, ServingSettings(isolate=True))
    with TestClient(app) as client:
        for name in ("newer", "older"):
            assert client.get(f"/v2/models/{name}/ready").status_code == 200
        columns = [
            {"name": name, "shape": [20], "datatype": "FP64", "data": IRIS.data[name].head(20).tolist()}
            for name in IRIS.data
        ]
        answer = client.post("/v2/models/older/infer", json={"inputs": columns}).json()
        assert answer["outputs"][0]["data"] == expected[:20].argmax(1).tolist()
        assert len(client.post("/invocations", json=body).json()["predictions"]) == 20


def test_command_line_predicts_in_the_models_environment(older: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    """``palate predict --isolate`` does the same, and standard output has predictions alone."""
    path, expected = older
    (tmp_path / "rows.csv").write_text(IRIS.data.head(5).to_csv(index=False))
    command = [sys.executable, "-m", "palate", "predict", path, tmp_path / "rows.csv", "--isolate", "--json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["predictions"] == expected[:5].argmax(1).tolist()


def test_values_cross_between_versions(older_environment: environments.BuiltEnvironment, tmp_path: Path) -> None:
    """Arrays and frames go to an earlier numpy and pandas and come back equal."""
    (tmp_path / "echo.py").write_text(ECHO)
    palate.save_model(str(tmp_path / "echo.py"), tmp_path / "echo", signature=None)
    moments = pd.to_datetime(["2020-01-01", "2021-07-01", None])
    frame = pd.DataFrame(
        {
            "ints": [1, 2, 3],
            "floats": [1.0, 2.0, None],
            "ordered": pd.Categorical(["u", "v", None], categories=["v", "u", "w"], ordered=True),
            "nullable": pd.array([1, None, 3], dtype="Int64"),
            "moments": moments,
            "zoned": moments.tz_localize("Europe/Berlin"),
            "strings": pd.array(["a", None, "b"], dtype="string"),
            "objects": pd.Series([{"x": 1}, [1], None], dtype=object),
        },
        index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2), ("z", 3)], names=["p", "q"]),
    )
    isolation = Isolation(environment=older_environment.directory)
    with palate.load_model(tmp_path / "echo", trust=True, isolate=isolation) as echo:
        found = echo.predict(frame)
        pd.testing.assert_frame_equal(
            found, frame, check_categorical=False, check_column_type=False, check_index_type=False
        )
        texts = echo.predict(pd.DataFrame({"texts": ["a", None]}))  # which pandas 2 keeps as objects
        assert texts["texts"].tolist()[0] == "a"
        assert texts["texts"].isna().tolist() == [False, True]
        for array in (np.arange(6).reshape(2, 3), np.array(["a", None], dtype=object), np.float32([[1]])):
            answer = echo.predict(array)
            np.testing.assert_array_equal(answer, array)
            assert answer.dtype == array.dtype
        assert type(echo.predict([np.float64(1.5), "x"])[0]) is np.float64
        with pytest.raises(errors.DependencyMissing, match="polars"):
            echo.predict(__import__("polars").DataFrame({"a": [1]}))
        assert echo.predict([1]) == [1]


def build_for_other_python(model: Path, directory: Path) -> environments.BuiltEnvironment | None:
    """Return an environment of another minor version of Python, if there is one here."""
    for version in ("3.12", "3.13", "3.14", "3.11"):
        if not sys.version.startswith(f"{version}."):
            try:
                return environments.create_environment(model, directory=directory, python=version, replay=False)
            except errors.PythonNotFound:
                continue
    return None


def test_model_saved_under_another_python(newer: Path, tmp_path: Path) -> None:
    """A model that another Python saved, its code pickled as that one's byte code, opens beside this one."""
    environment = build_for_other_python(newer, tmp_path / "other")
    if environment is None:
        pytest.skip("no other version of Python that Palate runs on is installed here")
    code = """
import sys, palate
def plus_one(model_input: list[int]) -> list[int]:
    match model_input:
        case [*values]:
            return [value + 1 for value in values]
palate.save_model(plus_one, sys.argv[1], input_example=[1, 2])
"""
    command = [str(environment.python), "-I", "-W", "ignore", "-c", code, str(tmp_path / "model")]
    subprocess.run(command, check=True, capture_output=True)
    check = environments.check_environment(tmp_path / "model")
    assert [difference.kind for difference in check.differences if difference.matters] == ["python"]
    with pytest.raises(errors.TrustRequired):
        palate.load_model(tmp_path / "model", isolate=True)
    with palate.load_model(tmp_path / "model", trust=True, isolate=True) as model:
        assert model.python.rpartition(".")[0] == environment.python_version.rpartition(".")[0]
        assert model.predict([4]) == [5]


def test_environment_that_cannot_be_built(tmp_path: Path, cache: Path) -> None:
    """A requirement that does not resolve is the resolver's own message, and nothing is left."""
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.warns(errors.PalateWarning, match="never tried in"):
        palate.save_model(model, tmp_path / "model", requirements=["scikit-learn==1.5.99", "skops"])
    before = set(cache.rglob("*"))
    with pytest.raises(errors.EnvironmentFailed, match=r"1\.5\.99"):
        palate.load_model(tmp_path / "model", isolate=True)
    assert [path for path in set(cache.rglob("*")) - before if path.suffix != ".lock"] == []
