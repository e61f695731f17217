"""A small model on real data, for tests and for the first steps of a new user."""

from __future__ import annotations

from collections.abc import Mapping

from palate.errors import DependencyMissing
from palate.hookspecs import SampleModel
from tf_flavor._quiet import import_keras

__all__ = ["train_samples"]


def train_samples() -> Mapping[str, SampleModel]:
    """Train a network that reads handwritten digits, in about a second once Keras is imported."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as exc:
        raise DependencyMissing("scikit-learn", needed_for="The data of the sample models of 'keras'") from exc
    keras = import_keras()
    digits = load_digits()
    pixels = (digits.data / 16).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((64,), name="pixels"),
            keras.layers.Dense(32, activation="relu", name="strokes"),
            keras.layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits",
    )
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
    model.fit(pixels[:1500], digits.target[:1500], batch_size=128, epochs=12, verbose=0)
    return {
        "digits": SampleModel(
            model=model, sample=pixels[1500:1505], description="which digit a picture of 8 by 8 pixels shows"
        )
    }
