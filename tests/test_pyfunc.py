"""The adapter: one predict for every model, other methods by name, shared between threads."""

from __future__ import annotations

import copy
import datetime
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.cluster import DBSCAN
from sklearn.linear_model import LogisticRegression

import palate
from palate import errors
from palate.schema import AnyType, Array, ColSpec, ParamSpec, Schema, TensorSpec
from palate.signature import Signature


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Twenty rows of two columns."""
    generator = np.random.default_rng(1)
    return pd.DataFrame({"a": generator.normal(size=20), "b": generator.normal(size=20)})


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame) -> palate.PyFuncModel:
    """A classifier, saved and loaded."""
    path = tmp_path_factory.mktemp("pyfunc") / "m"
    palate.save_model(LogisticRegression().fit(frame, frame.a > 0), path, input_example=frame.head(3))
    return palate.load_model(path)


def test_every_method_of_the_model_answers_by_name(loaded, frame) -> None:
    """They are found on the native model, not frozen at save."""
    native = loaded.native
    np.testing.assert_array_equal(loaded.predict(frame), native.predict(frame))
    np.testing.assert_array_equal(loaded.predict_proba(frame), native.predict_proba(frame))
    np.testing.assert_array_equal(loaded.call("decision_function", frame), native.decision_function(frame))
    assert {"predict", "predict_proba", "decision_function"} <= set(dir(loaded))


def test_a_method_that_the_model_lacks_is_named_with_those_it_has(loaded, frame) -> None:
    """The error is an AttributeError, so hasattr works."""
    with pytest.raises(errors.MethodNotFound, match=r"transform.*predict_proba"):
        loaded.transform(frame)
    assert not hasattr(loaded, "transform")
    with pytest.raises(errors.MethodNotFound):
        loaded.call("fit", frame)


def test_every_method_is_enforced(loaded, frame) -> None:
    """predict_proba checks its input as predict does, and lists all problems."""
    with pytest.raises(errors.InvalidInput) as caught:
        loaded.predict_proba(frame.drop(columns="a").assign(b="x"))
    assert {problem.where[:2] for problem in caught.value.problems} == {("inputs", "a"), ("inputs", "b")}


def test_problems_of_data_and_params_come_together(tmp_path) -> None:
    """One error has all that is wrong with a call."""

    class Power(palate.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input["x"] ** params["power"]

    palate.save_model(Power(), tmp_path / "m", input_example=(pd.DataFrame({"x": [3.0]}), {"power": 2}))
    with pytest.raises(errors.InvalidInput) as caught:
        palate.load_model(tmp_path / "m", trust=True).predict({"x": ["a"]}, {"power": "b"})
    assert [problem.where for problem in caught.value.problems] == [("inputs", "x"), ("params", "power")]


def test_a_model_that_predicts_nothing_says_so(tmp_path) -> None:
    """DBSCAN labels only what it was fitted on."""
    palate.save_model(DBSCAN().fit([[0.0], [1.0]]), tmp_path / "m")
    model = palate.load_model(tmp_path / "m")
    assert model.methods == ()
    with pytest.raises(errors.MethodNotFound, match="none"):
        model.predict(np.array([[0.0]]))


def test_the_directorys_predict_method_is_honoured() -> None:
    """MLflow's predict_fn says what predict means."""
    model = palate.load_model(Path(__file__).parent / "data" / "mlflow_models" / "sk_predict_proba" / "model")
    data = pd.DataFrame({"a": [0.1], "b": np.array([0.2], dtype="float32"), "c": [1]})
    assert model.predict(data).shape == (1, 2)


def test_params_reach_the_method_with_their_defaults(tmp_path) -> None:
    """A declared param takes its default, a given one wins, a wrong one is a problem."""

    class Power(palate.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input["x"] ** params["power"]

    data = pd.DataFrame({"x": [3.0]})
    palate.save_model(Power(), tmp_path / "m", input_example=(data, {"power": 2}))
    model = palate.load_model(tmp_path / "m", trust=True)
    assert model.predict(data).tolist() == [9.0]
    assert model.predict(data, {"power": 3}).tolist() == [27.0]
    with pytest.raises(errors.InvalidInput, match="power"):
        model.predict(data, {"power": "3"})


def test_threads_share_one_model(loaded, frame) -> None:
    """Eight threads get what one gets."""
    expected = loaded.predict_proba(frame)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: loaded.predict_proba(frame), range(64)))
    assert all(np.array_equal(result, expected) for result in results)


def test_a_copy_is_a_model_too(loaded, frame) -> None:
    """copy looks attributes up on an empty object; that must not recurse."""
    np.testing.assert_array_equal(copy.copy(loaded).predict(frame), loaded.predict(frame))


def test_the_models_own_exception_reaches_the_caller(tmp_path) -> None:
    """A bug in user code is not dressed up as bad input."""

    def fail(model_input):
        raise ZeroDivisionError("mine")

    palate.save_model(fail, tmp_path / "m")
    with pytest.raises(ZeroDivisionError, match="mine"):
        palate.load_model(tmp_path / "m", trust=True).predict([1])


@pytest.mark.parametrize("rows", [2, 50_000])
def test_a_model_may_change_the_frame_that_it_is_given(tmp_path, rows) -> None:
    """Adding and replacing columns, as feature engineering does, stays with the model, call for call."""

    def ratio(model_input):
        model_input["ratio"] = model_input["a"] / model_input["b"]
        model_input["a"] = 0.0
        model_input.iloc[0, 1] = 7.0
        return model_input["ratio"].to_numpy()

    given = pd.DataFrame({"a": [1.0] * rows, "b": [4.0] * rows})
    before = given.copy()
    palate.save_model(ratio, tmp_path / "m", input_example=given[:2])
    model = palate.load_model(tmp_path / "m", trust=True)
    for _ in range(2):
        assert set(model.predict(given)) == {0.25}
    pd.testing.assert_frame_equal(given, before)


def test_a_model_may_change_the_list_that_it_is_given(tmp_path) -> None:
    """The caller's list keeps its order and its items."""

    def first(words: list[str]) -> list[str]:
        words.sort()
        return [words.pop()]

    palate.save_model(first, tmp_path / "m")
    words = ["b", "c", "a"]
    assert palate.load_model(tmp_path / "m", trust=True).predict(words) == ["c"]
    assert words == ["b", "c", "a"]


# -- enforcing without asking ------------------------------------------------------------------------------------------

CELLS = {
    "boolean": [True, False],
    "integer": [1, 2],
    "long": [1, 2**53 + 1],
    "float": [0.5, 1.5],
    "double": [0.1, 2],
    "string": ["a", "b"],
    "binary": [b"a", b"b"],
    "datetime": ["2026-01-01T00:00:00+02:00", "2026-02-01"],
    "any": [1, "x"],
}
CONTAINERS = {
    "frame": pd.DataFrame,
    "columns": dict,
    "records": lambda columns: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
    "arrow": pa.table,
}
FACTS = [{}, {"nullable": True}, {"minimum": 0}, {"closed": True, "categories": (1, 2)}, {"timezone": "Europe/Vienna"}]
TENSORS = {
    "float32": [1.5, 0.0],
    "float64": [1, 0],
    "int64": [1, 0],
    "uint8": [1, 0],
    "bool": [True, False],
    "str": ["a", "bc"],
    "datetime64[ns]": np.array(["2026", "2027"], dtype="datetime64[D]"),
}


def columns_and_data():
    """Yield signatures of columns, each with data in every container."""
    for type_name, cells in CELLS.items():
        kind = AnyType() if type_name == "any" else type_name
        for container, make in CONTAINERS.items():
            if not (type_name == "any" and container == "arrow"):  # which has no column of two types
                schema = Schema((ColSpec(type=kind, name="c"), ColSpec(type="long", name="d")))
                yield f"{type_name}-{container}", schema, make({"d": [1, 2], "c": cells})
    for facts in FACTS[1:]:
        kind = "datetime" if "timezone" in facts else "long"
        cells = CELLS["datetime"] if kind == "datetime" else [1, 2]
        yield str(facts), Schema((ColSpec(type=kind, name="c", **facts),)), {"c": cells}
    nameless = Schema((ColSpec(type="double"), ColSpec(type="long")))
    yield "nameless rows", nameless, [[1.5, 2], [3, 4]]
    yield "nameless frame", nameless, pd.DataFrame({"x": [1.5, 2.0], "y": [3, 4]})
    yield "nested", Schema((ColSpec(type=Array("double"), name="c"),)), [{"c": [1, 2.5]}, {"c": []}]
    yield (
        "optional",
        Schema((ColSpec(type="double", name="c", required=False), ColSpec(type="long", name="d"))),
        {"d": [1]},
    )
    for dtype, cells in TENSORS.items():
        yield f"tensor-{dtype}", Schema((TensorSpec(dtype=dtype, shape=(-1,)),)), cells
        yield f"named-{dtype}", Schema((TensorSpec(dtype=dtype, shape=(-1,), name="x"),)), {"x": cells}


ENFORCED = {name: (schema, data) for name, schema, data in columns_and_data()}


@pytest.mark.parametrize("kind", ENFORCED)
def test_what_was_enforced_fits(tmp_path, kind) -> None:
    """Enforced again it is the same object, so that a server may do it before the call, and the model gets the same."""
    schema, data = ENFORCED[kind]
    palate.save_model(lambda model_input: model_input, tmp_path / "m", signature=Signature(inputs=schema))
    model = palate.load_model(tmp_path / "m", trust=True)
    checked, params = model.enforce(data)
    assert params == {}
    again, _ = model.enforce(checked)
    assert again is checked
    direct, given = model.predict(data), model.predict(checked)
    if isinstance(direct, pd.DataFrame):
        pd.testing.assert_frame_equal(given, direct)
    else:
        np.testing.assert_equal(given, direct)


def test_params_that_were_enforced_fit(tmp_path) -> None:
    """Defaults are filled in, values are of their types, and the same params come out of them again."""
    params = (
        ParamSpec(name="power", type="double", default=2.0),
        ParamSpec(name="since", type="datetime", default=datetime.datetime(2026, 1, 1)),  # noqa: DTZ001 - MLflow's have no zone
        ParamSpec(name="weights", type="float", shape=(-1,), default=[0.5]),
    )
    palate.save_model(lambda model_input, params: params, tmp_path / "m", signature=Signature(params=params))
    model = palate.load_model(tmp_path / "m", trust=True)
    _, given = model.enforce([1], {"power": 3})
    assert set(given) == {"power", "since", "weights"}
    assert type(given["power"]) is float
    assert model.enforce([1], given)[1] == given
    assert model.enforce([1], None)[1] == {**given, "power": 2.0}
    with pytest.raises(errors.InvalidInput, match="power"):
        model.enforce([1], {"power": "three"})


def test_functions_with_type_hints_get_what_was_enforced(tmp_path) -> None:
    """A list of the hint's items stays that list."""

    def lengths(words: list[str]) -> list[int]:
        return [len(word) for word in words]

    palate.save_model(lengths, tmp_path / "m")
    model = palate.load_model(tmp_path / "m", trust=True)
    checked, _ = model.enforce(pd.DataFrame({"words": ["a", "bc"]}))
    assert checked == ["a", "bc"]
    assert model.enforce(checked)[0] is checked
    assert model.predict(checked) == [1, 2]


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")  # scikit-learn's word on arrays
@pytest.mark.parametrize("output", [None, "pandas"])
def test_a_model_that_knows_its_features_predicts_the_same_from_what_was_enforced(tmp_path, frame, output) -> None:
    """Its signature is one array, and columns that came by name in another order are in the right one by then."""
    model = LogisticRegression().fit(frame, frame.a > 0)
    palate.save_model(model, tmp_path / "m", input_example=frame.head(3).to_numpy())
    loaded = palate.load_model(tmp_path / "m")
    assert loaded.metadata.features == ["a", "b"]
    for data in (frame[["b", "a"]], frame.to_dict(orient="records"), pa.Table.from_pandas(frame[["b", "a"]])):
        checked, _ = loaded.enforce(data)
        for method in loaded.methods:
            np.testing.assert_array_equal(
                loaded.call(method, checked, output=output), loaded.call(method, data, output=output)
            )


def test_enforcing_asks_for_a_method_that_there_is(loaded, frame) -> None:
    """Its params are that method's own."""
    assert loaded.enforce(frame, method="predict_proba")[0] is frame
    with pytest.raises(errors.MethodNotFound):
        loaded.enforce(frame, method="transform")
