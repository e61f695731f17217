"""Keras models of classes and functions that are not Keras' own: given, registered, or beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from palate._code.model_code import ModelCode
from palate.errors import InvalidOption, PalateError, UnsafeModel, UnsupportedModel
from palate.hookspecs import LoadOptions
from tf_flavor import keras_models


def test_registered_class(keras, rows, tmp_path):
    """A model of a class that this process registered needs nothing else."""

    @keras.saving.register_keras_serializable("palate-tests")
    class Net(keras.Model):
        def __init__(self, width: int = 2, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.width = width
            self.dense = keras.layers.Dense(width)

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "width": self.width}

    net = Net(3)
    net(rows)
    palate.save_model(net, tmp_path / "m", input_example=rows)
    found = palate.load_model(tmp_path / "m").predict(rows)
    np.testing.assert_allclose(found, net.predict(rows, verbose=0), rtol=1e-6)


def test_custom_objects(keras, rows, tmp_path):
    """A class that nobody registered is named at save and at load, and the errors say so."""

    class Scale(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2

    model = keras.Sequential([keras.Input((4,)), Scale()])
    with pytest.raises(UnsupportedModel, match=r"class .*Scale.*custom_objects"):
        palate.save_model(model, tmp_path / "m")
    palate.save_model(model, tmp_path / "m", custom_objects={"Scale": Scale}, input_example=rows)
    with pytest.raises(UnsafeModel, match=r"Scale.*custom_objects"):
        palate.load_model(tmp_path / "m")
    assert np.array_equal(palate.load_model(tmp_path / "m", custom_objects={"Scale": Scale}).predict(rows), rows * 2)
    with pytest.raises(InvalidOption, match="custom_objects"):
        palate.load_model(tmp_path / "m", custom_objects=[Scale])


def test_function_named_by_a_text(keras, rows, tmp_path):
    """What the reader gives is there for a class that looks it up while it is built, named in the file or not."""

    class Apply(keras.layers.Layer):
        def __init__(self, function: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.name_of_function, self.function = function, keras.saving.get_registered_object(function)

        def call(self, x: Any) -> Any:
            return self.function(x)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "function": self.name_of_function}

    own = {"Apply": Apply, "twice": lambda x: 2 * x}
    with keras.saving.custom_object_scope(own):
        model = keras.Sequential([keras.Input((4,)), Apply("twice")])
    palate.save_model(model, tmp_path / "m", custom_objects=own)
    assert np.array_equal(palate.load_model(tmp_path / "m", custom_objects=own).predict(rows), rows * 2)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_class_that_cannot_be_measured(keras, tmp_path):
    """A class that makes variables from values cannot be built without memory, and is refused with a way out."""

    class Scale(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.factor = keras.Variable(2.0)

        def call(self, x: Any) -> Any:
            return x * self.factor

    model = keras.Sequential([keras.Input((4,)), Scale()])
    with pytest.raises(UnsupportedModel, match=r"(?s)stateless scope.*add_weight.*saved_model"):
        palate.save_model(model, tmp_path / "m", custom_objects={"Scale": Scale})
    (tmp_path / "data").mkdir()
    model.save(tmp_path / "data" / "model.keras")
    options = LoadOptions(code=ModelCode(None), extra={"custom_objects": {"Scale": Scale}})
    with pytest.raises(UnsafeModel, match=r"(?s)stateless scope.*add_weight.*trust=True"):
        keras_models.load_model(path=tmp_path, config={"data": "data"}, options=options)


def test_class_that_saves_files(keras, tmp_path):
    """What a class writes beside numbers is refused when it is saved, not only when somebody fetches it."""

    class Words(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

        def save_assets(self, folder: str) -> None:
            (Path(folder) / "words.csv").write_text("a")

    model = keras.Sequential([keras.Input((4,)), Words()])
    with pytest.raises(UnsupportedModel, match=r"words\.csv.*saved_model"):
        palate.save_model(model, tmp_path / "m", custom_objects={"Words": Words})


KMODS = """
import keras

@keras.saving.register_keras_serializable("mine")
class Registered(keras.layers.Layer):
    def call(self, x):
        return x + 1

class Plain(keras.layers.Layer):
    def call(self, x):
        return x * 2
"""
SAVE_WITH_CODE = """
import sys; sys.path.insert(0, sys.argv[1])
import keras, palate, kmods
model = keras.Sequential([keras.Input((4,)), kmods.Registered(), kmods.Plain()])
palate.save_model(model, sys.argv[1] + "/m", custom_objects={"Plain": kmods.Plain}, code_paths=[kmods.__file__])
"""


def test_code_of_the_model(run_python, keras, rows, tmp_path):
    """Classes that stand in the code beside a model are found there, with trust, in a process that has none of them."""
    (tmp_path / "kmods.py").write_text(KMODS)
    done = run_python(SAVE_WITH_CODE, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    with pytest.raises(UnsafeModel, match=r"kmods\.Registered"):
        palate.load_model(tmp_path / "m")
    assert np.array_equal(palate.load_model(tmp_path / "m", trust=True).predict(rows), (rows + 1) * 2)


def test_error_of_a_class_is_short(keras, tmp_path):
    """An error of Keras' says what went wrong, and not the whole description."""

    class Scale(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    class Other(keras.layers.Layer):
        def __init__(self, factor: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)

    model = keras.Sequential([keras.Input((4,)), Scale()])
    palate.save_model(model, tmp_path / "m", custom_objects={"Scale": Scale})
    for trust in (False, True):
        with pytest.raises(PalateError, match="'factor'") as caught:
            palate.load_model(tmp_path / "m", trust=trust, custom_objects={"Scale": Other})
        assert len(str(caught.value)) < 700
