"""The Keras and TensorFlow flavors keep the promises of a flavor."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from palate.errors import InvalidInput, UnsupportedModel
from palate.hookspecs import SaveOptions
from palate.schema import TensorSpec
from palate.testing._threads import at_once
from tf_flavor import keras_models

RNG = np.random.default_rng(0)
PAIR = {"left": RNG.random((5, 3), dtype="f4"), "right": RNG.random((5, 2), dtype="f4")}


@pytest.fixture
def two_out(keras) -> Any:
    """A model of two named inputs and two named outputs."""
    layers = keras.layers
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    both = layers.Concatenate()([left, right])
    return keras.Model([left, right], [layers.Dense(1, name="price")(both), layers.Dense(2, name="kind")(both)])


def predict(model: Any, data: Any) -> Any:
    """Call the predict hook."""
    return keras_models.predict(model=model, data=data, method="predict")


# -- what a plugin costs -----------------------------------------------------------------------------------------------


def test_refusing_imports_no_framework(small, run_python, tmp_path):
    """A hostile file is refused before anything of its framework is imported, which takes seconds."""
    for name in ("empty", "eval"):
        (tmp_path / name).mkdir()
        keras_models.save_model(model=small, path=tmp_path / name, options=SaveOptions(format="keras"))
    (tmp_path / "empty" / "data" / "model.keras").write_bytes(b"")
    (tmp_path / "graph" / "tf2model").mkdir(parents=True)
    (tmp_path / "graph" / "tf2model" / "saved_model.pb").write_bytes(b"x")
    file = tmp_path / "eval" / "data" / "model.keras"
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    function = {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "function"}
    changed = members["config.json"].replace(b'"relu"', json.dumps(function).encode())
    assert changed != members["config.json"]
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in {**members, "config.json": changed}.items():
            archive.writestr(name, data)
    script = """
import sys, pathlib
from palate._code.model_code import ModelCode
from palate.errors import UnsafeModel
from palate.hookspecs import LoadOptions
from tf_flavor import keras_models, saved_models
keras, graph = {"data": "data"}, {"saved_model_dir": "tf2model"}
options = LoadOptions(code=ModelCode(None))
models = {"empty": (keras_models, keras), "eval": (keras_models, keras), "graph": (saved_models, graph)}
for name, (plugin, section) in models.items():
    try:
        plugin.load_model(path=pathlib.Path(sys.argv[1], name), config=section, options=options)
    except UnsafeModel as exc:
        print(name, "builtins.eval" in exc.rule)
print([name for name in ("keras", "tensorflow") if name in sys.modules])
"""
    done = run_python(script, tmp_path)
    assert done.stdout.splitlines() == ["empty False", "eval True", "graph False", "[]"], done.stderr


# -- keras -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", keras_models.FORMATS)
def test_round_trip(small, rows, tmp_path, format):
    """A model comes back from each format, without trust, and predicts the same."""
    palate.save_model(small, tmp_path / "m", format=format, input_example=rows)
    model = palate.load_model(tmp_path / "m")
    np.testing.assert_allclose(model.predict(rows), small.predict(rows, verbose=0), rtol=1e-6)
    assert model.flavor == "keras"
    assert model.methods == ("predict",)


@pytest.mark.parametrize("format", keras_models.FORMATS)
def test_named_inputs_and_outputs(two_out, tmp_path, format):
    """Several inputs are taken, and several outputs returned, by name."""
    palate.save_model(two_out, tmp_path / "m", format=format, input_example=PAIR)
    model = palate.load_model(tmp_path / "m")
    found = model.predict(PAIR)
    price, kind = two_out.predict(PAIR, verbose=0)
    assert set(found) == {"price", "kind"}
    np.testing.assert_allclose(found["price"], price, rtol=1e-6)
    np.testing.assert_allclose(found["kind"], kind, rtol=1e-6)
    assert {field.name for field in model.signature.outputs} == {"price", "kind"}


def test_same_model_same_bytes(small, tmp_path):
    """Two saves of one model are the same, byte for byte."""
    for name in "ab":
        (tmp_path / name).mkdir()
        keras_models.save_model(model=small, path=tmp_path / name, options=SaveOptions(format="keras"))
    first, second = (tmp_path / name / "data" / "model.keras" for name in "ab")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_compile_config_is_kept(keras, small, rows, tmp_path, load):
    """A compiled model is loaded uncompiled for serving; what it was compiled with is in the file, on request."""
    small.compile(keras.optimizers.Adam(0.25), loss="mse")
    small.fit(rows, np.zeros((7, 3)), verbose=0)
    section = keras_models.save_model(model=small, path=tmp_path, options=SaveOptions(format="keras"))
    assert small.compiled
    assert not load(keras_models, tmp_path, section).compiled
    again = load(keras_models, tmp_path, section, compile=True)
    assert float(np.asarray(again.optimizer.learning_rate.value)) == 0.25
    assert int(np.asarray(again.optimizer.iterations.value)) == 1


def test_model_without_weights(keras, rows, tmp_path):
    """A model that has no weights yet is built on the example."""
    model = keras.Sequential([keras.layers.Dense(2)])
    palate.save_model(model, tmp_path / "m", input_example=rows)
    np.testing.assert_allclose(palate.load_model(tmp_path / "m").predict(rows), model.predict(rows, verbose=0))


def test_lambda_is_refused_by_name(keras, rows, tmp_path):
    """A Lambda layer is refused at save, by its name; a SavedModel holds what it computes."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2, name="twice")])
    with pytest.raises(UnsupportedModel, match=r"'twice'.*saved_model"):
        palate.save_model(model, tmp_path / "m")
    palate.save_model(model, tmp_path / "m", format="saved_model", input_example=rows)
    assert np.array_equal(palate.load_model(tmp_path / "m").predict(rows), rows * 2)


def test_what_is_no_model(keras, tmp_path):
    """Layers, and models without weights, are refused with a way out."""
    with pytest.raises(UnsupportedModel, match=r"keras\.Sequential"):
        palate.save_model(keras.layers.Dense(2), tmp_path / "m")
    with pytest.raises(UnsupportedModel, match=r"keras\.Input"):
        palate.save_model(keras.Sequential([keras.layers.Dense(2)]), tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_schema_without_an_example(small, two_out, keras):
    """The inputs of a model are known without an example: unnamed if it is one, named if they are several."""
    schema = keras_models.infer_input_schema(model=small)
    assert schema.fields == (TensorSpec(dtype="float32", shape=(-1, 4)),)
    schema = keras_models.infer_input_schema(model=two_out)
    assert [field.name for field in schema] == ["left", "right"]
    words = keras.Sequential([keras.Input((1,), dtype="string"), keras.layers.Hashing(3)])
    assert keras_models.infer_input_schema(model=words).fields[0].dtype == "str"


def test_requirements(small):
    """Keras, what reads its file, and its backend are pinned, without local labels."""
    found = keras_models.requirements(options=SaveOptions(format="keras"))
    assert [line.partition("==")[0] for line in found] == ["keras", "h5py", "tensorflow"]
    assert not any("+" in line for line in found)


# -- predicting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 7, 64, 8191, 8192, 8193, 20_000])
def test_predicts_as_keras_does(small, count):
    """Few rows and many are predicted as Keras predicts them; no rows make no predictions."""
    data = RNG.random((count, 4), dtype="f4")
    found = predict(small, data)
    assert found.shape == (count, 3)
    if count:
        np.testing.assert_allclose(found, small.predict(data, verbose=0), rtol=1e-5, atol=1e-6)


def test_many_rows_of_named_outputs(two_out):
    """Steps are joined again, output by output."""
    data = {name: np.tile(array, (4000, 1)) for name, array in PAIR.items()}
    found = predict(two_out, data)
    assert found["price"].shape == (20_000, 1)
    np.testing.assert_allclose(found["price"][-5:], predict(two_out, PAIR)["price"], rtol=1e-5)


def test_prints_nothing(small, rows, capfd):
    """No progress bar, no log line."""
    predict(small, rows)
    predict(small, np.tile(rows, (3000, 1)))
    assert capfd.readouterr() == ("", "")


def test_frames_lists_and_tensors(small, two_out, rows, tf):
    """Frames, lists and tensors are taken like arrays."""
    pandas = pytest.importorskip("pandas")
    expected = predict(small, rows)
    for data in (rows.tolist(), pandas.DataFrame(rows), tf.constant(rows), rows.astype("f8"), {"x": rows}):
        np.testing.assert_allclose(predict(small, data), expected, rtol=1e-6)
    frame = pandas.DataFrame({name: list(array) for name, array in PAIR.items()})
    np.testing.assert_allclose(predict(two_out, frame)["kind"], predict(two_out, PAIR)["kind"], rtol=1e-6)
    with pytest.raises(InvalidInput, match="right"):
        predict(two_out, frame[["left"]])


def test_integers_with_gaps_become_floats(small, rows):
    """A gap in a column of integers is to the model what a gap in a column of floats is."""
    pandas = pytest.importorskip("pandas")
    whole = pandas.DataFrame(rows).round()
    gaps = whole.copy()
    gaps.loc[0, 0] = float("nan")
    for frame in (whole, gaps):
        np.testing.assert_array_equal(predict(small, frame.astype({0: "Int64"})), predict(small, frame))


def test_threads(small, rows):
    """Threads that share a model get what one of them would."""
    expected = predict(small, rows)
    found = at_once(lambda _: predict(small, rows), 8)
    assert len(found) == 8
    assert all(np.array_equal(one, expected) for one in found)


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_guarantees(small, tmp_path, tf, rows):
    """What is promised depends on the format, and is never more than what is checked."""
    palate.save_model(small, tmp_path / "keras")
    palate.save_model(small, tmp_path / "graph", format="saved_model")
    keras_file = keras_models.guarantees(path=tmp_path / "keras", config={"data": "data"})
    graph = keras_models.guarantees(path=tmp_path / "graph", config={"data": "data", "save_exported_model": True})
    assert (keras_file.no_code, keras_file.memory_safe, keras_file.bounded) == (True, False, False)
    assert (graph.no_code, graph.memory_safe, graph.bounded) == (True, False, False)


def test_sample_model(keras, tmp_path):
    """The sample model learns to tell flowers apart, and can be saved."""
    ((name, sample),) = keras_models.sample_models().items()
    palate.save_model(sample.model, tmp_path / name, input_example=sample.sample)
    assert palate.load_model(tmp_path / name).predict(sample.sample).argmax(1).tolist() == [0] * 5


TORCH = """
import sys, numpy as np
import keras, palate
assert keras.backend.backend() == "torch"
rows = np.load(sys.argv[2])
model = palate.load_model(sys.argv[1] + "/tensorflow")
np.save(sys.argv[1] + "/found.npy", model.predict(rows))
mine = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.LayerNormalization()])
palate.save_model(mine, sys.argv[1] + "/torch", input_example=rows)
np.save(sys.argv[1] + "/mine.npy", palate.load_model(sys.argv[1] + "/torch").predict(rows))
"""


@pytest.mark.slow
def test_other_backend(small, rows, tmp_path, run_python):
    """A file goes between Keras on TensorFlow and Keras on PyTorch, both ways."""
    pytest.importorskip("torch")
    np.save(tmp_path / "rows.npy", rows)
    palate.save_model(small, tmp_path / "tensorflow")
    done = run_python(TORCH, tmp_path, tmp_path / "rows.npy", env={"KERAS_BACKEND": "torch"})
    assert done.returncode == 0, done.stderr[-3000:]
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), small.predict(rows, verbose=0), rtol=1e-4, atol=1e-5)
    here = palate.load_model(tmp_path / "torch")
    np.testing.assert_allclose(here.predict(rows), np.load(tmp_path / "mine.npy"), rtol=1e-4, atol=1e-5)
    assert "torch==" in (tmp_path / "torch" / "requirements.txt").read_text()


def test_examples_of_the_readme(tmp_path, run_python):
    """The code of the README runs."""
    text = (Path(__file__).parents[1] / "README.md").read_text()
    blocks = [part.partition("```")[0] for part in text.split("```python\n")[1:]]
    assert blocks
    done = run_python(f"import os; os.chdir({json.dumps(str(tmp_path))})\n" + "\n".join(blocks))
    assert done.returncode == 0, done.stderr[-3000:]
