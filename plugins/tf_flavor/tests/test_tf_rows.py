"""What is said of the rows of Keras models is true, and no is said where it cannot be known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tf_flavor import keras_models, saved_models

ROWS = np.random.default_rng(0).random((6, 4), dtype="f4")


def dense(keras: Any) -> Any:
    """Return layers that look at each row by itself, in a model inside of a model."""
    layers = keras.layers
    inner = keras.Sequential([keras.Input((5,)), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(3)])
    inputs = keras.Input((4,))
    hidden = layers.LayerNormalization()(layers.Dense(5, activation="relu")(inputs))
    return keras.Model(inputs, layers.Concatenate()([inner(hidden), layers.Softmax()(hidden)]))


def recurrent(keras: Any, **options: Any) -> Any:
    """Return a model of sequences, each of which is one row."""
    layers = keras.layers
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True, **options))
    shape = {"batch_shape": (6, 4, 1)} if options else {"shape": (4, 1)}
    return keras.Sequential([keras.Input(**shape), both, layers.TimeDistributed(layers.Dense(2))])


def of(keras: Any, call: Any) -> Any:
    """Return a model of one call on its input."""
    inputs = keras.Input((4,))
    return keras.Model(inputs, call(inputs))


INDEPENDENT = {"dense": dense, "recurrent": recurrent}
MIXING = {
    "a mean over the rows": lambda keras: of(keras, lambda x: x - keras.ops.mean(x, axis=0, keepdims=True)),
    "softmax over the rows": lambda keras: of(keras, keras.layers.Softmax(axis=0)),
    "softmax over the rows, inside": lambda keras: of(keras, of(keras, keras.layers.Softmax(axis=0))),
    "a function": lambda keras: of(keras, keras.layers.Lambda(lambda x: x - keras.ops.mean(x), output_shape=(4,))),
    "a state": lambda keras: recurrent(keras, stateful=True),
}


@pytest.mark.parametrize("name", INDEPENDENT)
@pytest.mark.parametrize("plugin", [keras_models, saved_models], ids=["keras", "tensorflow"])
def test_layers_of_kerass_own_look_at_each_row_by_itself(keras, plugin, name):
    """Also those inside of others; each row gets the answer alone that it gets among others."""
    model = INDEPENDENT[name](keras)
    assert plugin.rows_are_independent(model=model)
    rows = ROWS if name == "dense" else ROWS[..., None]
    whole = np.asarray(model(rows))
    for row in range(len(rows)):
        np.testing.assert_allclose(np.asarray(model(rows[row : row + 1])), whole[row : row + 1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MIXING)
def test_whatever_may_look_at_several_rows_is_found(keras, name):
    """Bare operations, the axis of the rows, code of others, and what is kept from call to call."""
    assert not keras_models.rows_are_independent(model=MIXING[name](keras))


def test_of_a_class_of_the_users_own_nothing_is_known(keras):
    """Neither of a model, a layer, a cell nor an activation, whatever it derives from."""

    class Model(keras.Model):
        def call(self, x: Any) -> Any:
            return x - keras.ops.mean(x)

    class Layer(keras.layers.Dense):
        def call(self, x: Any) -> Any:
            return super().call(x - keras.ops.mean(x))

    class Cell(keras.layers.SimpleRNNCell):
        def call(self, x: Any, states: Any, training: bool = False) -> Any:
            return super().call(x - keras.ops.mean(x), states, training)

    sequences = keras.Sequential([keras.Input((4, 1)), keras.layers.RNN(Cell(2))])
    assert not keras_models.rows_are_independent(model=sequences)
    function = keras.layers.Dense(2, activation=lambda x: x - keras.ops.mean(x))
    assert not keras_models.rows_are_independent(model=of(keras, function))
    assert not keras_models.rows_are_independent(model=Model())
    assert not keras_models.rows_are_independent(model=of(keras, Layer(2)))
    assert not keras_models.rows_are_independent(model=object())
