"""TensorFlow's own modules, and what else is saved as a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import palate
from palate.errors import InvalidInput, InvalidOption, UnsupportedModel
from tf_flavor import keras_models, saved_models

RNG = np.random.default_rng(0)
PAIR = {"left": RNG.random((5, 3), dtype="f4"), "right": RNG.random((5, 2), dtype="f4")}


def matrix(tf: Any, rows: int = 4) -> Any:
    """Return a module whose call is a plain method."""

    class Matrix(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(np.ones((rows, 2), "f4"))

        def __call__(self, x: Any) -> Any:
            return x @ self.weights

    return Matrix()


def test_plain_method_is_traced(tf, rows, tmp_path):
    """A module whose call is plain Python is traced for any number of rows, and left as it was."""
    module = matrix(tf)
    before = set(vars(module))
    palate.save_model(module, tmp_path / "m", input_example=rows)
    assert set(vars(module)) == before
    model = palate.load_model(tmp_path / "m")
    assert model.flavor == "tensorflow"
    for count in (1, 2, 64):
        data = RNG.random((count, 4), dtype="f4")
        np.testing.assert_allclose(model.predict(data), data @ np.ones((4, 2), "f4"), rtol=1e-6)
    with pytest.raises(UnsupportedModel, match="input_example"):
        palate.save_model(module, tmp_path / "n")


def test_call_that_cannot_be_traced(tf, rows, tmp_path):
    """A call that depends on values in Python is refused, and the error says why."""

    class Odd(tf.Module):
        def __call__(self, x: Any) -> Any:
            return x * float(x.numpy().sum())

    with pytest.raises(UnsupportedModel, match="cannot be traced"):
        palate.save_model(Odd(), tmp_path / "m", input_example=rows)


def test_named_signatures(tf, rows, tmp_path):
    """Signatures of a SavedModel are methods, by their names."""
    module = matrix(tf)
    spec = tf.TensorSpec([None, 4], tf.float32, name="x")
    signatures = {
        "serving_default": tf.function(module.__call__).get_concrete_function(spec),
        "doubled": tf.function(lambda x: {"twice": 2 * x}).get_concrete_function(spec),
    }
    palate.save_model(module, tmp_path / "m", input_example=rows, signatures=signatures)
    model = palate.load_model(tmp_path / "m")
    assert model.methods == ("predict", "doubled")
    assert np.array_equal(model.doubled(rows)["twice"], rows * 2)
    with pytest.raises(InvalidOption, match="signatures"):
        palate.save_model(module, tmp_path / "n", input_example=rows, signatures=["doubled"])
    with pytest.raises(InvalidOption, match="functions"):
        palate.save_model(module, tmp_path / "n", input_example=rows, signatures={"doubled": "doubled"})


def test_what_is_no_module(tf, tmp_path):
    """The path of a SavedModel is refused, and so is an object that is no module, with what to pass instead."""
    with pytest.raises(UnsupportedModel, match="load what is at that path"):
        palate.save_model("somewhere", tmp_path / "m", flavor="tensorflow")
    with pytest.raises(UnsupportedModel, match=r"tf\.saved_model\.load"):
        palate.save_model(tf.constant(1.0), tmp_path / "m", flavor="tensorflow")


def test_named_arguments(tf, tmp_path):
    """Several arguments are given by name, and outputs come back by name."""

    class Pair(tf.Module):
        def __call__(self, left: Any, right: Any) -> Any:
            return {"left": 2 * left, "sum": tf.reduce_sum(right, 1)}

    palate.save_model(Pair(), tmp_path / "m", input_example=PAIR)
    found = palate.load_model(tmp_path / "m").predict(PAIR)
    assert np.array_equal(found["left"], 2 * PAIR["left"])
    np.testing.assert_allclose(found["sum"], PAIR["right"].sum(1), rtol=1e-6)


def test_loader_overwrites_nothing(tf, tmp_path):
    """The loader for stock MLflow stands beside the user's own code, and takes no place of it."""

    class Pair(tf.Module):
        def __call__(self, left: Any, right: Any) -> Any:
            return tf.reduce_sum(left, 1) + tf.reduce_sum(right, 1)

    own = tmp_path / "palate_tf_saved_model_loader.py"
    own.write_text("")
    with pytest.raises(InvalidOption, match=r"code_paths: palate_tf_saved_model_loader\.py"):
        palate.save_model(Pair(), tmp_path / "m", input_example=PAIR, code_paths=[own])
    palate.save_model(Pair(), tmp_path / "m", input_example=PAIR)
    assert "_load_pyfunc" in (tmp_path / "m" / "code" / own.name).read_text()


def test_wrong_input_is_said(tf, rows, tmp_path, load):
    """Data that no traced form of a graph takes is an error that says what it takes."""
    palate.save_model(matrix(tf), tmp_path / "m", input_example=rows)
    native = palate.load_model(tmp_path / "m").native
    with pytest.raises(InvalidInput, match="float32"):
        saved_models.predict(model=native, data=np.ones((2, 3, 4)), method="predict")


def test_table_of_words(tf, tmp_path):
    """A table that is filled from tensors is part of a graph, and is filled again when it is loaded."""

    class Table(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            words = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([1, 2], tf.int64))
            self.table = tf.lookup.StaticHashTable(words, -1)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, words: Any) -> Any:
            return self.table.lookup(words)

    palate.save_model(Table(), tmp_path / "m", input_example=np.array(["a", "z"]))
    assert palate.load_model(tmp_path / "m").predict(np.array(["b", "a", "z"])).tolist() == [2, 1, -1]


def test_adapted_words_as_graph(keras, tmp_path):
    """Words that a layer has learnt are a table of a SavedModel that is restored while it is loaded."""
    layer = keras.layers.TextVectorization(output_sequence_length=2)
    layer.adapt(np.array(["a b", "b c"]))
    model = keras.Sequential([keras.Input((1,), dtype="string"), layer])
    words = np.array([["b a"], ["z"]])
    palate.save_model(model, tmp_path / "m", format="saved_model", input_example=words)
    assert (
        palate.load_model(tmp_path / "m").predict(words).tolist()
        == keras_models.predict(model=model, data=words, method="predict").tolist()
    )


def test_of_the_rows_of_a_graph_nothing_is_known(tf, rows, tmp_path):
    """It may compute anything of them together, as this one does, so no server joins the requests for it."""

    class Centred(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
        def __call__(self, x: Any) -> Any:
            return x - tf.reduce_mean(x, axis=0)

    palate.save_model(Centred(), tmp_path / "m", input_example=rows)
    model = palate.load_model(tmp_path / "m")
    assert not np.allclose(model.predict(rows)[:1], model.predict(rows[:1]))
    assert not any(model.rows_are_independent(method) for method in model.methods)


def test_no_process_forks_once_a_model_is_open(tf, small, rows, tmp_path):
    """The threads of TensorFlow do not come along; it is known before the model is opened."""
    for number, module in enumerate((small, matrix(tf))):
        path = tmp_path / f"m{number}"
        palate.save_model(module, path, input_example=rows)
        assert palate.inspect_model(path).fork_after_load is False
        assert palate.load_model(path).fork_after_load is False
