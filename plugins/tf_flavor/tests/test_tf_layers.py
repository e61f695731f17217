"""Every kind of layer that a file may name: saved, checked, loaded, and predicting the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from palate.hookspecs import SaveOptions
from tf_flavor import keras_models

RNG = np.random.default_rng(0)


def random(*shape: int) -> np.ndarray:
    """Return three rows of that shape."""
    return RNG.random((3, *shape), dtype="f4")


def simple_layers(keras: Any) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Yield layers of numbers, and the shape of a row of what they take."""
    layers = keras.layers
    plain = "ELU LeakyReLU PReLU ReLU Softmax Flatten Identity UnitNormalization LayerNormalization BatchNormalization"
    for name in f"{plain} RMSNormalization Masking".split():
        yield getattr(layers, name)(), (4, 3)
    for name in "Dropout AlphaDropout GaussianDropout GaussianNoise".split():
        yield getattr(layers, name)(0.2), (4, 3)
    yield layers.GroupNormalization(2), (4, 4)
    yield layers.Dense(3, activation="gelu", kernel_regularizer="l2", kernel_constraint="max_norm"), (4,)
    yield layers.Dense(3, activation=keras.ops.relu), (4,)
    yield layers.EinsumDense("abc,cd->abd", output_shape=(None, 5)), (4, 3)
    for name in "LSTM GRU SimpleRNN".split():
        yield layers.Bidirectional(getattr(layers, name)(4, return_sequences=True)), (6, 3)
        yield layers.RNN(getattr(layers, f"{name}Cell")(4)), (6, 3)
    yield layers.RNN(layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(2)])), (6, 3)
    yield layers.ConvLSTM1D(2, 2), (4, 6, 2)
    yield layers.TimeDistributed(layers.Dense(2)), (5, 3)
    yield layers.SpectralNormalization(layers.Dense(3)), (4,)
    yield layers.Reshape((6, 2)), (4, 3)
    yield layers.Permute((2, 1)), (4, 3)
    yield layers.RepeatVector(2), (3,)
    yield layers.Normalization(mean=1.0, variance=2.0), (4,)
    yield layers.Discretization(bin_boundaries=[0.1, 0.5]), (4,)
    yield layers.MelSpectrogram(fft_length=64, num_mel_bins=8, sequence_stride=32), (256,)
    for name in "Rescaling:0.1 RandomFlip RandomRotation:0.1 RandomZoom:0.1 RandomContrast:0.2".split():
        kind, _, value = name.partition(":")
        yield getattr(layers, kind)(*([float(value)] if value else [])), (8, 8, 3)
    yield layers.Resizing(4, 4), (8, 8, 3)
    for rank, shape in ((1, (8, 2)), (2, (8, 8, 2)), (3, (6, 6, 6, 2))):
        for name in ("Conv", "Conv{}Transpose"):
            yield getattr(layers, (name if "{" in name else name + "{}").format(f"{rank}D"))(3, 2), shape
        for name in "MaxPooling GlobalMaxPooling GlobalAveragePooling UpSampling ZeroPadding Cropping".split():
            yield getattr(layers, f"{name}{rank}D")(), shape
        yield getattr(layers, f"AveragePooling{rank}D")(2), shape
    for name in "SeparableConv1D SeparableConv2D".split():
        yield getattr(layers, name)(3, 2), (8, 2) if "1" in name else (8, 8, 2)
    yield layers.DepthwiseConv2D(2), (8, 8, 2)


def models(keras: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield models by name, with data."""
    layers = keras.layers
    for layer, shape in simple_layers(keras):
        yield layer.name, keras.Sequential([keras.Input(shape), layer]), random(*shape)
    numbers = RNG.integers(0, 5, (3, 2)).astype("i4")
    yield "embedding", keras.Sequential([keras.Input((2,), dtype="int32"), layers.Embedding(5, 4)]), numbers
    words = np.array([["a"], ["z"], ["b"]])
    for layer in (layers.StringLookup(vocabulary=["a", "b"]), layers.Hashing(7)):
        yield layer.name, keras.Sequential([keras.Input((1,), dtype="string"), layer]), words
    ids = np.array([[20_000_001], [5], [7]])
    yield (
        "large ids",
        keras.Sequential([keras.Input((1,), dtype="int64"), layers.IntegerLookup(vocabulary=[20_000_001, 5])]),
        ids,
    )
    adapted = layers.TextVectorization(output_sequence_length=2)
    adapted.adapt(np.array(["a b", "b c"]))
    yield "adapted words", keras.Sequential([keras.Input((1,), dtype="string"), adapted]), words
    scaled = layers.Normalization()
    scaled.adapt(random(4))
    yield "adapted numbers", keras.Sequential([keras.Input((4,)), scaled]), random(4)
    steps = keras.Input((6, 4))
    for layer in (layers.MultiHeadAttention(2, 3), layers.GroupQueryAttention(2, 4, 2)):
        yield layer.name, keras.Model(steps, layer(steps, steps)), random(6, 4)
    for name in "Attention Add Subtract Multiply Average Maximum Minimum Concatenate".split():
        yield name, keras.Model(steps, getattr(layers, name)()([steps, steps])), random(6, 4)
    ops = keras.ops
    product = ops.relu(steps @ ops.transpose(steps, (0, 2, 1)))[:, :, :4]
    computed = ops.concatenate([ops.exp(steps[:, :2]), ops.mean(steps, axis=1, keepdims=True), product], axis=1)
    yield "operations", keras.Model(steps, computed), random(6, 4)
    parts = ops.split(steps, [1, 3, 5], axis=1)
    yield "parts", keras.Model(steps, [parts[0], parts[2] * 20_000_001]), random(6, 4)
    wide = layers.TimeDistributed(layers.Dense(20_000))
    yield "wide steps", keras.Sequential([keras.Input((3, 2)), wide]), random(3, 2)
    first, second = keras.Input((4,)), keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    yield "shared", keras.Model([first, second], [inner(first) + inner(second), inner(first)]), [random(4), random(4)]
    yield "bfloat16", keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="bfloat16")]), random(4)
    mixed = [keras.Input((4,)), layers.Dense(3, dtype="mixed_float16"), layers.Dense(2, dtype="float64")]
    yield "mixed", keras.Sequential(mixed), random(4)
    yield "application", keras.applications.MobileNetV3Small(weights=None, input_shape=(64, 64, 3)), random(64, 64, 3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_every_kind_of_layer(keras, load, tmp_path):
    """Models of every kind come back from a checked file as they were."""
    count = 0
    for number, (name, model, data) in enumerate(models(keras)):
        path = tmp_path / str(number)
        path.mkdir()
        section = keras_models.save_model(model=model, path=path, options=SaveOptions(format="keras"))
        loaded = load(keras_models, path, section)
        expected = keras_models.predict(model=model, data=data, method="predict")
        found = keras_models.predict(model=loaded, data=data, method="predict")
        for left, right in zip(_arrays(expected), _arrays(found), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6, err_msg=name)
        count += 1
    assert count > 80


def _arrays(outputs: Any) -> list[Any]:
    arrays = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
    return [array if array.dtype.kind in "iub" else array.astype("f8") for array in arrays]
