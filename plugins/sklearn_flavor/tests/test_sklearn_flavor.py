"""The hooks of the scikit-learn flavor."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import skops.io
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC

import sklearn_flavor
from palate.errors import InvalidModelFile, InvalidOption, UnsupportedModel
from palate.hookspecs import SaveOptions
from palate.schema import AnyType

X, Y = load_iris(return_X_y=True)


class Clipper(TransformerMixin, BaseEstimator):
    """A step that no package provides."""

    def fit(self, X: Any, y: Any = None) -> Clipper:
        return self

    def transform(self, X: Any) -> Any:
        return np.clip(X, 0, 5)


def frame() -> pd.DataFrame:
    """Return a table of numbers, texts with a missing value, and a pandas categorical."""
    table = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    table["text"] = np.array(["x", "y", "z", None], dtype=object)[np.arange(150) % 4]
    table["kind"] = pd.Categorical(np.array(["p", "q"])[Y % 2])
    return table


def column_model() -> Any:
    """Return a pipeline whose columns are chosen by name and by type."""
    text = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    numbers = (StandardScaler(), make_column_selector(dtype_include=np.number))
    columns = make_column_transformer(numbers, (text, ["text"]), (OrdinalEncoder(), ["kind"]))
    return make_pipeline(columns, LogisticRegression(max_iter=500))


def test_section_is_what_mlflow_writes(save):
    """The section has MLflow's keys and nothing else, and is plain data."""
    path, section = save(LogisticRegression(max_iter=500).fit(X, Y))
    import sklearn

    assert section == {
        "code": None,
        "pickled_model": "model.skops",
        "serialization_format": "skops",
        "sklearn_version": sklearn.__version__,
        "skops_trusted_types": None,
    }
    assert os.listdir(path) == ["model.skops"]
    assert sklearn_flavor.pyfunc_section(config=section) == {
        "loader_module": "mlflow.sklearn",
        "model_path": "model.skops",
        "predict_fn": "predict",
    }


def test_trusted_types_are_for_mlflow(save):
    """What skops does not trust by itself is listed for MLflow, by name."""
    path, section = save(KNeighborsClassifier(algorithm="kd_tree").fit(X, Y))
    untrusted = skops.io.get_untrusted_types(file=path / "model.skops")
    assert "sklearn.neighbors._kd_tree.KDTree" in untrusted
    assert section["skops_trusted_types"] == untrusted
    assert json.loads(json.dumps(section)) == section


def test_transformers_have_no_pyfunc(save):
    """An estimator that does not predict gets no python_function section, as MLflow gives it none."""
    _, section = save(StandardScaler().fit(X))
    assert section["predict_fn"] is None
    assert sklearn_flavor.pyfunc_section(config=section) is None
    assert sklearn_flavor.methods(model=StandardScaler().fit(X)) == ("transform",)


def test_predict_fn(save):
    """predict_fn chooses what MLflow calls; a method that the model has not is refused."""
    model = LogisticRegression(max_iter=500).fit(X, Y)
    _, section = save(model, predict_fn="predict_proba")
    assert sklearn_flavor.pyfunc_section(config=section)["predict_fn"] == "predict_proba"
    with pytest.raises(InvalidOption, match="choose one of predict"):
        save(SVC().fit(X, Y), predict_fn="predict_proba")
    with pytest.raises(InvalidOption, match="this model does not predict"):
        save(StandardScaler().fit(X), predict_fn="fit")


def test_methods_are_those_the_model_has():
    """Methods that depend on a parameter are listed when they are there; learning is never listed."""
    assert "predict_proba" not in sklearn_flavor.methods(model=SVC().fit(X, Y))
    methods = sklearn_flavor.methods(model=KMeans(2, n_init=1).fit(X))
    assert methods == ("predict", "transform")
    assert not any("fit" in name for name in methods)


@pytest.mark.parametrize("format", ["pickle", "cloudpickle"])
def test_pickles_need_trust(format, save, load):
    """Both pickle formats hold what skops cannot, under MLflow's file name, and load with trust."""
    model = make_pipeline(FunctionTransformer(np.log1p), LogisticRegression(max_iter=500)).fit(X, Y)
    path, section = save(model, format)
    assert (section["pickled_model"], section["serialization_format"]) == ("model.pkl", format)
    assert np.array_equal(load(path, section, trust=True).predict_proba(X), model.predict_proba(X))


def test_lambda_is_refused_on_save(save, load):
    """A lambda is named with its place, and cloudpickle holds it."""
    model = make_pipeline(FunctionTransformer(lambda x: x * 2), LogisticRegression(max_iter=500)).fit(X, Y)
    with pytest.raises(UnsupportedModel, match=r"steps\[0\]\[1\]\.func is a lambda.*numpy\.log1p.*cloudpickle"):
        save(model)
    with pytest.raises(UnsupportedModel, match=r"pickle cannot hold it.*format='cloudpickle'"):
        save(model, "pickle")
    path, section = save(model, "cloudpickle")
    assert np.array_equal(load(path, section, trust=True).predict(X), model.predict(X))


def test_local_function_is_refused_on_save(save):
    """A function inside a function is refused even when its name is allowed: no reader could find it."""

    def double(x: Any) -> Any:
        return x * 2

    model = FunctionTransformer(double).fit(X)
    with pytest.raises(UnsupportedModel, match=r"FunctionTransformer\.func is the local function"):
        save(model)
    with pytest.raises(UnsupportedModel, match="local function"):
        save(model, allow=[f"{__name__}.double"])


def test_scorer_with_a_lambda_is_refused_on_save(save):
    """A lambda deep in a search is found."""
    model = GridSearchCV(LogisticRegression(max_iter=500), {"C": [1, 2]}, scoring=lambda m, a, b: 1.0, cv=2)
    with pytest.raises(UnsupportedModel, match=r"scor\w+ is a lambda"):
        save(model.fit(X, Y))


def test_search_over_distributions_points_to_its_best(save):
    """scipy's distributions are refused, with the part of the search that can be saved."""
    from scipy.stats import uniform

    search = RandomizedSearchCV(LogisticRegression(max_iter=500), {"C": uniform(1, 2)}, n_iter=2, cv=2).fit(X, Y)
    with pytest.raises(UnsupportedModel, match=r"param_distributions\['C'\].*best_estimator_"):
        save(search)
    save(search.best_estimator_)


def test_keys_that_would_change_are_refused(save):
    """Skops reads the key False back as True, and 1 and '1' as one: such models are not written."""
    with pytest.raises(UnsupportedModel, match="dict keys of type bool"):
        save(LogisticRegression(class_weight={False: 1, True: 5}, max_iter=500).fit(X, Y > 0))
    with pytest.raises(UnsupportedModel, match=r"the key .1. twice"):
        save(LogisticRegression(class_weight={0: 1, 1: 1, 2: 1, "1": 9}, max_iter=500).fit(X, Y))


def test_circle_is_refused_on_save(save):
    """A model that contains itself is refused, not recursed into for ever."""
    model = FunctionTransformer(np.add, kw_args={})
    model.kw_args["self"] = model
    with pytest.raises(UnsupportedModel, match="in a circle"):
        save(model)


def test_own_class_needs_the_readers_word(save, load):
    """A class of the user's own is refused with its name; with allow= on both sides it round-trips."""
    name = f"{__name__}.Clipper"
    model = make_pipeline(Clipper(), LogisticRegression(max_iter=500)).fit(X, Y)
    with pytest.raises(UnsupportedModel, match=f"an object of class {name}.*allow="):
        save(model)
    sys.modules.setdefault(__name__, sys.modules[Clipper.__module__])
    path, section = save(model, allow=[name])
    assert np.array_equal(load(path, section, allow=[name]).predict(X), model.predict(X))
    assert np.array_equal(load(path, section, trust=True).predict(X), model.predict(X))


@pytest.mark.parametrize("allow", ["sklearn.x", ["nodots"], ["__main__.Step"], ["m.<lambda>"], [5]])
def test_allow_is_checked(allow, save):
    """allow= takes a list of full names that can be imported."""
    with pytest.raises(InvalidOption, match=r"^allow: "):
        save(LogisticRegression(max_iter=500).fit(X, Y), allow=allow)


def test_trusted_model_uses_its_own_code(load, tmp_path):
    """With trust a .skops file may use classes of the model's code directory, which stay out of sys.modules."""
    script = """
        import sys, skops.io
        from sklearn.linear_model import BayesianRidge, LogisticRegression
        from sklearn.datasets import load_iris
        from sklearn.pipeline import make_pipeline
        sys.path.insert(0, "code")
        from own_steps import Twice
        model = make_pipeline(Twice(), LogisticRegression(max_iter=500))
        skops.io.dump(model.fit(*load_iris(return_X_y=True)), "model.skops")
    """
    step = """
        from sklearn.base import BaseEstimator, TransformerMixin
        class Twice(TransformerMixin, BaseEstimator):
            def fit(self, X, y=None): return self
            def transform(self, X): return X * 2
    """
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "own_steps.py").write_text(textwrap.dedent(step))
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, check=True)
    section = {"pickled_model": "model.skops", "serialization_format": "skops"}
    model = load(tmp_path, section, trust=True)
    assert np.array_equal(model[0].transform(X), X * 2)
    assert "own_steps" not in sys.modules


def test_data_frames_stay_data_frames(save, load):
    """Columns are found by name in any order, and an estimator fitted on a frame predicts the same from one."""
    table = frame()
    model = column_model().fit(table, Y)
    path, section = save(model)
    loaded = load(path, section)
    shuffled = table[table.columns[::-1]]
    result = sklearn_flavor.predict(model=loaded, data=shuffled, method="predict_proba", params={}, enforced=False)
    assert np.array_equal(result, model.predict_proba(table))


def test_categories_from_types(save, load):
    """Histogram gradient boosting keeps the categories that it took from the frame's types."""
    table = frame().assign(text=lambda t: t["text"].astype("category"))
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=3).fit(table, Y)
    path, section = save(model)
    assert np.array_equal(load(path, section).predict_proba(table), model.predict_proba(table))


def test_sparse_input(save, load):
    """A support vector machine fitted on a sparse matrix predicts the same from one."""
    matrix = sp.csr_matrix(np.where(X > 2, X, 0))
    model = SVC().fit(matrix, Y)
    path, section = save(model)
    assert np.array_equal(load(path, section).predict(matrix), model.predict(matrix))


def test_params_reach_the_method():
    """Params become keyword arguments of the method."""
    model = BayesianRidge().fit(X, Y)
    output = sklearn_flavor.predict(
        model=model, data=X[:2], method="predict", params={"return_std": True}, enforced=False
    )
    assert len(output) == 2


def test_columns_and_categories():
    """A model fitted on a frame knows its columns, and the categories that an encoder of theirs has seen."""
    schema = sklearn_flavor.infer_input_schema(model=column_model().fit(frame(), Y))
    assert [column.name for column in schema.columns] == ["a", "b", "c", "d", "text", "kind"]
    assert all(column.type == AnyType() for column in schema.columns)
    known = {column.name: column.categories for column in schema.columns if column.categories is not None}
    assert known == {"text": ("x", "y", "z"), "kind": ("p", "q")}
    assert sklearn_flavor.infer_input_schema(model=LogisticRegression(max_iter=500).fit(X, Y)) is None


@pytest.mark.parametrize("selection", [["text"], [4], slice(4, 5), [False] * 4 + [True, False], lambda table: ["text"]])
def test_columns_chosen_in_any_way(selection):
    """Categories are found whether the column was chosen by name, number, range, mask or function."""
    columns = make_column_transformer((OneHotEncoder(), selection)).fit(frame())
    schema = sklearn_flavor.infer_input_schema(model=columns)
    known = {column.name: column.categories for column in schema.columns if column.categories is not None}
    assert known == {"text": ("x", "y", "z")}


def test_requirements_are_pinned():
    """scikit-learn and skops are pinned to what is installed, without a local version label."""
    lines = sklearn_flavor.requirements(model=StandardScaler().fit(X), options=SaveOptions(format="skops"))
    assert [line.partition("==")[0] for line in lines] == ["scikit-learn", "skops"]
    assert not any("+" in line for line in lines)


@pytest.mark.parametrize(("file_format", "reader"), [("pickle", []), ("cloudpickle", ["cloudpickle"])])
def test_requirements_name_what_reads_the_format(file_format, reader):
    """A pickle needs no skops."""
    lines = sklearn_flavor.requirements(model=StandardScaler(), options=SaveOptions(format=file_format))
    assert [line.partition("==")[0] for line in lines] == [*reader, "scikit-learn"]


def test_requirements_name_other_packages():
    """A package whose function hangs in the model is required too; the user's own modules and Python are not."""
    import math

    import cloudpickle

    model = make_pipeline(FunctionTransformer(cloudpickle.dumps), FunctionTransformer(math.sqrt), Clipper())
    lines = sklearn_flavor.requirements(model=model, options=SaveOptions(format="skops"))
    assert [line.partition("==")[0] for line in lines] == ["cloudpickle", "scikit-learn", "skops"]


@pytest.mark.slow
def test_file_is_always_the_same(save):
    """The same model gives the same bytes, in this process and in another one."""
    script = """
        import hashlib, sys
        from pathlib import Path
        import numpy as np, sklearn_flavor
        from palate.hookspecs import SaveOptions
        from sklearn.datasets import load_iris
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer
        model = make_pipeline(FunctionTransformer(np.log1p), RandomForestClassifier(3, random_state=0))
        model.fit(*load_iris(return_X_y=True))
        sklearn_flavor.save_model(model=model, path=Path(sys.argv[1]), options=SaveOptions(format="skops"))
        print(hashlib.sha256(Path(sys.argv[1], "model.skops").read_bytes()).hexdigest())
    """
    model = make_pipeline(FunctionTransformer(np.log1p), RandomForestClassifier(3, random_state=0)).fit(X, Y)
    digests = set()
    for _ in range(2):
        path, _section = save(model)
        digests.add(hashlib.sha256((path / "model.skops").read_bytes()).hexdigest())
    for seed in ("1", "2"):
        command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        digests.add(done.stdout.strip())
    assert len(digests) == 1


def test_forest_is_deflated(save):
    """A forest takes less than half of the space that skops alone needs."""
    model = RandomForestClassifier(20, random_state=0).fit(X, Y)
    path, _ = save(model)
    assert (path / "model.skops").stat().st_size < len(skops.io.dumps(model)) / 2


def test_model_of_zeros_can_be_opened_again(save, load):
    """What deflates like a zip bomb is stored as it is, so that its reader does not refuse it."""
    model = StandardScaler().fit(X)
    model.mean_ = np.zeros(9 << 20)
    path, section = save(model)
    with zipfile.ZipFile(path / "model.skops") as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    assert load(path, section).mean_.shape == (9 << 20,)


def test_missing_file_name(load, tmp_path):
    """A section without a file is an error of the model file."""
    with pytest.raises(InvalidModelFile, match="pickled_model"):
        load(tmp_path, {"serialization_format": "skops"})


def test_samples():
    """The samples predict on the input that they come with; the pipeline's has numbers and categories."""
    samples = sklearn_flavor.sample_models()
    assert set(samples) == {"pipeline", "classifier"}
    for sample in samples.values():
        assert len(sample.model.predict(sample.sample)) == 5
        assert sample.description
    schema = sklearn_flavor.infer_input_schema(model=samples["pipeline"].model)
    known = {column.name: column.categories for column in schema.columns if column.categories}
    assert known["body_mass"] == ("normal", "obese", "overweight", "underweight")


def test_samples_without_pandas():
    """Without pandas the same samples are trained on arrays."""
    script = """
        import sys
        class NoPandas:
            def find_spec(self, name, *rest):
                if name == "pandas":
                    raise ImportError(name)
        sys.meta_path.insert(0, NoPandas())
        import numpy as np, sklearn_flavor
        for sample in sklearn_flavor.sample_models().values():
            assert type(sample.sample) is np.ndarray and len(sample.model.predict(sample.sample)) == 5
            assert sklearn_flavor.infer_input_schema(model=sample.model) is None
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


def test_executes_code_imports_nothing():
    """Asking what a directory would run imports no framework either."""
    script = """
        import sys, sklearn_flavor
        for written in ("skops", "pickle", None):
            sklearn_flavor.executes_code(config={"serialization_format": written, "pickled_model": "x"})
        sys.exit(bool({"sklearn", "numpy", "skops"} & set(sys.modules)))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


@pytest.mark.parametrize("name", ["skops", "pickle"])
def test_nothing_is_left_behind(name, save):
    """A save that fails leaves no draft behind."""
    with pytest.raises(UnsupportedModel):
        save(FunctionTransformer(lambda x: x), name)
    path, _ = save(StandardScaler().fit(X))
    assert Path(path, "model.skops").exists()
    assert not list(path.glob("*.draft"))
