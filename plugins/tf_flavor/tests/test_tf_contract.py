"""The flavors of Keras and of TensorFlow keep the promises of a flavor."""

from __future__ import annotations

import numpy as np
import pytest

from palate.testing import FlavorContract


class TestKeras(FlavorContract):
    """A network, in the default format."""

    flavor = "keras"

    @pytest.fixture
    def model(self):
        """Build a network."""
        import keras

        layers = [
            keras.Input((4,), name="leaves"),
            keras.layers.Dense(8, activation="relu"),  # its initializer draws a seed, also when it is loaded
            keras.layers.Dense(3, activation="softmax"),
        ]
        network = keras.Sequential(layers, name="iris")
        network.predict(np.zeros((1, 4), np.float32), verbose=0)  # Keras makes ready what it predicts with
        return network

    @pytest.fixture
    def sample(self):
        """Five rows."""
        return np.linspace(0, 1, 20, dtype=np.float32).reshape(5, 4)


class TestKerasAsSavedModel(FlavorContract):
    """A functional network as a SavedModel. Keras makes another one inside a Sequential ready when it exports that."""

    flavor = "keras"
    format = "saved_model"
    rows_are_independent = True  # of this graph; the flavor cannot know it of any

    @pytest.fixture
    def model(self):
        """Build a network."""
        import keras

        leaves = keras.Input((4,), name="leaves")
        network = keras.Model(leaves, keras.layers.Dense(3, activation="softmax")(leaves), name="iris")
        network.predict(np.zeros((1, 4), np.float32), verbose=0)  # Keras makes ready what it predicts with
        return network

    @pytest.mark.xfail(reason="TensorFlow numbers the functions of a graph through the whole process")
    def test_same_model_gives_the_same_bytes(self) -> None:
        """See the reason."""

    @pytest.fixture
    def sample(self):
        """Five rows."""
        return np.linspace(0, 1, 20, dtype=np.float32).reshape(5, 4)


class TestTensorflow(FlavorContract):
    """A module with one function, as a SavedModel."""

    flavor = "tensorflow"
    rows_are_independent = True  # of this graph; the flavor cannot know it of any

    @pytest.fixture
    def model(self):
        """Build a module."""
        import tensorflow as tf

        class Scale(tf.Module):
            def __init__(self):
                super().__init__()
                self.factor = tf.Variable(tf.reshape(tf.range(12, dtype=tf.float32), (4, 3)))

            @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="leaves")])
            def __call__(self, leaves):
                return {"species": tf.matmul(leaves, self.factor)}

        scale = Scale()
        scale(np.zeros((1, 4), np.float32))  # TensorFlow notes at the first call that the variable was read
        return scale

    @pytest.mark.xfail(reason="code/ holds the loader that stock MLflow runs; Palate knows its bytes and runs its own")
    def test_code_is_reported(self) -> None:
        """See the reason."""

    @pytest.mark.xfail(reason="TensorFlow numbers the functions of a graph through the whole process")
    def test_same_model_gives_the_same_bytes(self) -> None:
        """See the reason."""

    @pytest.fixture
    def sample(self):
        """Five rows."""
        return np.linspace(0, 1, 20, dtype=np.float32).reshape(5, 4)
