"""What goes into a graph and what comes out of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import onnxruntime
import pandas
import pytest
import skl2onnx
from onnx import TensorProto, helper

import palate
from palate.errors import InvalidInput, InvalidOption, PalateWarning, UnsupportedModel


def _identity(build: Callable[..., Any], kind: int, shape: list[Any]) -> Any:
    ends = [helper.make_tensor_value_info(name, kind, shape) for name in ("x", "y")]
    return build([helper.make_node("Identity", ["x"], ["y"])], ends[:1], ends[1:])


def test_native_is_the_graph_that_was_saved(tmp_path: Path, matrix_model: Any) -> None:
    """load_native gives what was saved, an onnx.ModelProto, and so does the attribute of a loaded model."""
    palate.save_model(matrix_model, tmp_path / "m")
    assert palate.load_native(tmp_path / "m") == matrix_model
    assert palate.load_model(tmp_path / "m").native == matrix_model


def test_weights_can_be_left_in_their_file(tmp_path: Path, matrix_model: Any, triples: Any) -> None:
    """With load_external_data=False the graph refers to its weights and predicts the same; it is not saved again."""
    palate.save_model(matrix_model, tmp_path / "m", save_as_external_data=True)
    model = palate.load_model(tmp_path / "m", load_external_data=False)
    assert model.native.ByteSize() < 1000
    assert (model.predict(triples)["y"] == palate.load_model(tmp_path / "m").predict(triples)["y"]).all()
    with pytest.raises(UnsupportedModel, match="weights stand in other files"):
        palate.save_model(model.native, tmp_path / "again")
    with pytest.raises(InvalidOption, match="load_external_data"):
        palate.load_model(tmp_path / "m", load_external_data="no")


def test_external_data_comes_back(tmp_path: Path, matrix_model: Any, triples: Any) -> None:
    """Weights in a file of their own are in the graph that is loaded, and make the same predictions."""
    palate.save_model(matrix_model, tmp_path / "inside", input_example=triples)
    palate.save_model(matrix_model, tmp_path / "outside", input_example=triples, save_as_external_data=True)
    assert (tmp_path / "outside" / "model.onnx.data").stat().st_size == 12000
    assert palate.load_native(tmp_path / "outside") == matrix_model
    inside, outside = (palate.load_model(tmp_path / name).predict(triples) for name in ("inside", "outside"))
    assert (inside["y"] == outside["y"]).all()


def test_small_weights_stay_in_the_graph(tmp_path: Path, sum_model: Any) -> None:
    """Where there is nothing large, save_as_external_data leaves no empty file behind."""
    palate.save_model(sum_model, tmp_path / "m", save_as_external_data=True)
    assert not (tmp_path / "m" / "model.onnx.data").exists()


def test_signature_without_example_is_the_graphs(tmp_path: Path, sum_model: Any, matrix_model: Any) -> None:
    """One input is a tensor without a name, several have their names; symbolic sizes are -1."""
    palate.save_model(matrix_model, tmp_path / "one")
    palate.save_model(sum_model, tmp_path / "two")
    one, two = (palate.load_model(tmp_path / name).signature.inputs.tensors for name in ("one", "two"))
    assert one == (palate.TensorSpec(dtype="float32", shape=(-1, 3)),)
    assert [(tensor.name, tensor.shape) for tensor in two] == [("a", (-1,)), ("b", (-1,))]


def test_signature_of_an_example_keeps_its_container(tmp_path: Path, iris: Any, iris_model: Any) -> None:
    """A DataFrame makes columns with names, which are found in any order."""
    frame = iris[0]
    palate.save_model(iris_model, tmp_path / "m", input_example=frame.head())
    model = palate.load_model(tmp_path / "m")
    assert [column.name for column in model.signature.inputs.columns] == list(frame.columns)
    straight, turned = model.predict(frame), model.predict(frame[frame.columns[::-1]])
    assert (straight["probabilities"] == turned["probabilities"]).all()


def test_classifier_answers_as_scikit_learn(tmp_path: Path, iris: Any, iris_classifier: Any, iris_model: Any) -> None:
    """Labels are scikit-learn's and probabilities too, up to the precision of float32."""
    rows = iris[0].to_numpy()
    palate.save_model(iris_model, tmp_path / "m", input_example=rows[:3])
    given = palate.load_model(tmp_path / "m").predict(rows)
    assert (given["label"] == iris_classifier.predict(rows)).all()
    numpy.testing.assert_allclose(given["probabilities"], iris_classifier.predict_proba(rows), atol=1e-5)


def test_zipmap_is_saved_without_a_word(tmp_path: Path, iris: Any, iris_classifier: Any) -> None:
    """What skl2onnx makes by default, probabilities as dicts with integers for keys, is saved with an example."""
    rows = iris[0].to_numpy()
    palate.save_model(skl2onnx.to_onnx(iris_classifier, rows[:1]), tmp_path / "m", input_example=rows[:3])
    given = palate.load_model(tmp_path / "m").predict(rows[:2])
    assert [sorted(row) for row in given["output_probability"]] == [[0, 1, 2], [0, 1, 2]]


def test_table_is_answered_with_a_table(tmp_path: Path, houses: Any, houses_model: Any) -> None:
    """A DataFrame, for a graph with an input for each column, gives a DataFrame; text and integers reach the graph."""
    with pytest.warns(PalateWarning, match="area"):
        palate.save_model(houses_model, tmp_path / "m", input_example=houses)
    given = palate.load_model(tmp_path / "m").predict(houses)
    numpy.testing.assert_allclose(given["variable"], [300, 260, 700, 215], rtol=1e-4)


def test_inexact_values_are_refused(tmp_path: Path, matrix_model: Any) -> None:
    """A float64 that float32 cannot hold is no input, with a signature or without; one that it can hold is."""
    palate.save_model(matrix_model, tmp_path / "tensor")
    palate.save_model(matrix_model, tmp_path / "nothing", signature=None)
    for name in ("tensor", "nothing"):
        model = palate.load_model(tmp_path / name)
        assert model.predict(numpy.full((2, 3), 0.5))["y"].shape == (2, 1000)
        with pytest.raises(InvalidInput, match="float32"):
            model.predict(numpy.full((2, 3), 0.1))


def test_declared_double_is_rounded_and_said(
    tmp_path: Path, iris: Any, iris_model: Any, session_of: Callable[..., Any]
) -> None:
    """Columns that the signature declares as double are rounded as in stock MLflow, which the save says."""
    frame = iris[0].astype("float64") + 1e-9
    with pytest.warns(PalateWarning, match="round sepal length"):
        palate.save_model(iris_model, tmp_path / "m", input_example=frame.head())
    model = palate.load_model(tmp_path / "m")
    rounded = session_of(tmp_path / "m").run(None, {"X": frame.to_numpy().astype("float32")})
    assert (model.predict(frame)["probabilities"] == rounded[1]).all()
    with pytest.raises(InvalidInput, match="too large"):
        model.predict(frame.assign(**{frame.columns[0]: 1e300}))


@pytest.mark.parametrize(
    ("kind", "values", "right"),
    [
        (TensorProto.FLOAT, numpy.array([1, 2**24]), True),
        (TensorProto.FLOAT, numpy.array([2**24 + 1]), False),
        (TensorProto.FLOAT, numpy.array([2**63 - 1]), False),
        (TensorProto.FLOAT, numpy.array([numpy.nan, numpy.inf, 0.5]), True),
        (TensorProto.INT64, numpy.array([1.0, -3.0]), True),
        (TensorProto.INT64, numpy.array([1.5]), False),
        (TensorProto.INT64, numpy.array([numpy.nan]), False),
        (TensorProto.INT64, numpy.array([2.0**63]), False),
        (TensorProto.INT64, numpy.array([2**63], "uint64"), False),
        (TensorProto.INT8, numpy.array([127, -128]), True),
        (TensorProto.UINT8, numpy.array([-1]), False),
        (TensorProto.UINT64, numpy.array([-1]), False),
        (TensorProto.FLOAT, numpy.array([True]), False),
        (TensorProto.FLOAT, numpy.array(["1"]), False),
        (TensorProto.STRING, numpy.array(["a", "b"]), True),
        (TensorProto.STRING, numpy.array(["a", 1], object), False),
    ],
)
def test_values_arrive_exactly_or_not_at_all(
    tmp_path: Path, build: Callable[..., Any], kind: int, values: Any, right: bool
) -> None:
    """Without a signature too, no value changes on its way into a graph."""
    palate.save_model(_identity(build, kind, ["rows"]), tmp_path / "m", signature=None)
    model = palate.load_model(tmp_path / "m")
    if not right:
        with pytest.raises(InvalidInput):
            model.predict(values)
        return
    numpy.testing.assert_array_equal(model.predict(values)["y"], values.astype(model.predict(values)["y"].dtype))


def test_every_problem_is_told(tmp_path: Path, build: Callable[..., Any]) -> None:
    """A missing input, a wrong shape and a wrong type are one error with three problems."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 2]) for name in ("a", "b", "c", "y")]
    model = build([helper.make_node("Sum", ["a", "b", "c"], ["y"])], ends[:3], ends[3:])
    palate.save_model(model, tmp_path / "m", signature=None)
    with pytest.raises(InvalidInput) as caught:
        palate.load_model(tmp_path / "m").predict(
            {"a": numpy.zeros((4, 3), "float32"), "b": numpy.zeros((4, 2), "bool")}
        )
    assert {problem.where[1]: problem.kind for problem in caught.value.problems} == {
        "a": "wrong_shape",
        "b": "wrong_type",
        "c": "missing",
    }


def test_other_containers_are_named(tmp_path: Path, sum_model: Any) -> None:
    """A model without a signature says what it takes when it is given something else."""
    palate.save_model(sum_model, tmp_path / "m", signature=None)
    with pytest.raises(InvalidInput, match="dict of arrays called 'a', 'b'"):
        palate.load_model(tmp_path / "m").predict(numpy.zeros(3, "float32"))


@pytest.mark.parametrize(("width", "container"), [(1, "DataFrame"), (2, "dict")])
def test_outputs_of_one_value_a_row_make_a_table(
    tmp_path: Path, build: Callable[..., Any], width: int, container: str
) -> None:
    """An output that is a matrix of one column is a column, as in stock MLflow; a wider one leaves a dict."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width]) for name in ("x", "sum", "y")]
    ends[1] = helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["rows", 1])
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["sum"], axes=[1], keepdims=1),
        helper.make_node("Identity", ["x"], ["y"]),
    ]
    frame = pandas.DataFrame(numpy.ones((3, width), "float32"), columns=[f"c{n}" for n in range(width)])
    palate.save_model(build(nodes, ends[:1], ends[1:]), tmp_path / "m", input_example=frame)
    for rows in (3, 0):
        given = palate.load_model(tmp_path / "m").predict(frame[:rows])
        assert type(given).__name__ == container
        assert given["sum"].tolist() == ([1, 1, 1][:rows] if width == 1 else [[1], [1], [1]][:rows])


def test_session_is_made_once(tmp_path: Path, matrix_model: Any, triples: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading makes one session, which predictions in many threads share; load_native makes none."""
    palate.save_model(matrix_model, tmp_path / "m")
    made = []
    original = onnxruntime.InferenceSession

    def count(*arguments: Any, **options: Any) -> Any:
        made.append(None)
        return original(*arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", count)
    palate.load_native(tmp_path / "m")
    assert not made
    model = palate.load_model(tmp_path / "m")
    threads = [threading.Thread(target=model.predict, args=(triples,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_forked_child_predicts(tmp_path: Path, matrix_model: Any, run_child: Callable[..., str]) -> None:
    """A child of a process that has predicted with several threads predicts the same, in a session of its own."""
    palate.save_model(matrix_model, tmp_path / "m", onnx_session_options={"intra_op_num_threads": 2})
    script = """
import multiprocessing, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import numpy, palate
model = palate.load_model(sys.argv[1])
rows = numpy.ones((4000, 3), "float32")
wanted = model.predict(rows)["y"]
def ask(queue):
    queue.put(bool((model.predict(rows)["y"] == wanted).all()))
context = multiprocessing.get_context("fork")
queue = context.Queue()
child = context.Process(target=ask, args=(queue,))
child.start()
print(queue.get(timeout=60))
child.join(60)
print(child.exitcode)
"""
    assert run_child(script, tmp_path / "m").split() == ["True", "0"]


def test_same_model_gives_the_same_bytes(tmp_path: Path, matrix_model: Any, run_child: Callable[..., str]) -> None:
    """The files of a graph are the same in every process, also with weights of their own."""
    script = (
        "import sys, onnx, palate; palate.save_model(onnx.load(sys.argv[1]), sys.argv[2], save_as_external_data=True)"
    )
    (tmp_path / "given.onnx").write_bytes(matrix_model.SerializeToString())
    for name in ("one", "two"):
        run_child(script, tmp_path / "given.onnx", tmp_path / name)
    for file in ("model.onnx", "model.onnx.data"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_saving_leaves_the_model_as_it_was(tmp_path: Path, matrix_model: Any) -> None:
    """Weights that go to a file of their own stay in the caller's model."""
    before = matrix_model.SerializeToString(deterministic=True)
    palate.save_model(matrix_model, tmp_path / "m", save_as_external_data=True)
    assert matrix_model.SerializeToString(deterministic=True) == before
