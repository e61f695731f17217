"""Descriptions in .keras files that name what is not listed, or ask for too much: refused before Keras acts on them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from palate.errors import UnsafeModel
from tf_flavor._keras_archive import CONFIG

# What another layer returns.
SYMBOL = {"class_name": "__keras_tensor__", "config": {"shape": [None, 4], "dtype": "float32", "keras_history": None}}


def with_config(members: dict[str, bytes], change: Callable[[dict[str, Any]], object]) -> dict[str, bytes]:
    """Return the members with a changed description."""
    config = json.loads(members[CONFIG])
    change(config)
    return {**members, CONFIG: json.dumps(config).encode()}


def dense(config: dict[str, Any]) -> dict[str, Any]:
    """Return the description of a layer."""
    return config["config"]["layers"][1]


def layer(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a layer."""
    return dense(config)["config"]


def function(module: str, name: str) -> dict[str, Any]:
    """Return the description of a function."""
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def vocabulary(value: object) -> dict[str, Any]:
    """Return the description of a layer of words."""
    inner = {"name": "words", "vocabulary": value, "output_mode": "int"}
    return {"module": "keras.layers", "class_name": "StringLookup", "config": inner, "registered_name": None}


def nested(depth: int) -> Any:
    """Return lists in lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def doubling(config: dict[str, Any], depth: int) -> None:
    """Put a model into a model again and again, each called twice: the calls double with each level."""
    inner = copy.deepcopy(dense(config))
    for level in range(depth):
        call = {"args": [SYMBOL], "kwargs": {}}
        inner = {
            "module": "keras.src.models.functional",
            "class_name": "Functional",
            "registered_name": "Functional",
            "config": {"name": f"m{level}", "layers": [{**inner, "inbound_nodes": [call, call]}]},
        }
    config["config"]["layers"].append(inner)


def backwards(config: dict[str, Any], count: int) -> None:
    """Put in a model whose layers each take what the next one returns."""

    def call(source: str) -> dict[str, Any]:
        history = {"shape": [None, 4], "dtype": "float32", "keras_history": [source, 0, 0]}
        return {"args": [{"class_name": "__keras_tensor__", "config": history}], "kwargs": {}}

    layers = [
        {**vocabulary([]), "name": f"n{place}", "inbound_nodes": [call(f"n{place + 1}")]} for place in range(count)
    ]
    model = {"module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional"}
    config["config"]["layers"].append({**model, "config": {"name": "m", "layers": layers}})


def lookup(**settings: object) -> dict[str, Any]:
    """Return the description of a layer of words with these settings."""
    found = vocabulary(["a"])
    found["config"].update(settings)
    return found


def called(module: str, name: str, config: dict[str, Any], *args: object) -> dict[str, Any]:
    """Return the description of a layer or operation that is called with these arguments, inside of a model."""
    described = {"module": module, "class_name": name, "registered_name": None, "name": "t", "config": config}
    return {**described, "inbound_nodes": [{"args": list(args), "kwargs": {}}]}


def tensor(value: object, dtype: str, kind: str = "__tensor__") -> dict[str, Any]:
    """Return the description of a tensor."""
    return {"class_name": kind, "config": {"value": value, "dtype": dtype}}


def metric(name: str, **settings: object) -> dict[str, Any]:
    """Return what a model was compiled with: a metric."""
    described = {"module": "keras.metrics", "class_name": name, "config": settings, "registered_name": None}
    return {"optimizer": "sgd", "loss": "mse", "metrics": [described]}


def in_time(config: dict[str, Any]) -> None:
    """Put in a layer that goes through millions of steps one by one."""
    inner = {"name": "t", "layer": dense(config)}
    config["config"]["layers"].append(called("keras.layers", "TimeDistributed", inner))
    config["config"]["layers"][0]["config"]["batch_shape"] = [None, 2**24, 4]
    config["config"]["layers"][-1]["inbound_nodes"] = []


NORMALIZATION = {"name": "n", "axis": [1, 2], "mean": 0, "variance": 1}

# Where in the model, what stands there, and what the error says.
COSTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "operation on values": (
        lambda c: c["config"]["layers"].append(called("keras.src.ops.numpy", "Tile", {"repeats": [2**20]}, [[1.0]])),
        "calls a Tile on values",
    ),
    "layer on a tensor": (
        lambda c: c["config"]["layers"].append(
            called("keras.layers", "RepeatVector", {"n": 2**24}, tensor([[1.0]], "float32"))
        ),
        "calls a RepeatVector on values",
    ),
    "call on a slice": (
        lambda c: c["config"]["layers"].append(
            called("keras.layers", "Identity", {}, {"class_name": "__slice__", "config": {"start": SYMBOL}})
        ),
        "calls a Identity on values",
    ),
    "compiled inside": (lambda c: dense(c).update(compile_config=metric("AUC", num_thresholds=2**24)), "tables of"),
    "compiled": (lambda c: c.update(compile_config=metric("AUC", num_thresholds=2**28)), "a size of"),
    "confusion matrix": (lambda c: c.update(compile_config=metric("MeanIoU", num_classes=2**14)), "tables of"),
    "layer as a seed": (lambda c: layer(c).update(seed=lookup(num_oov_indices=2**30)), "a size of"),
    "type of long texts": (lambda c: layer(c).update(x=tensor(["a"], "U500000000", "__numpy__")), "names a type"),
    "type of records": (lambda c: layer(c).update(x=tensor([1], "(200000000,)f8", "__numpy__")), "names a type"),
    "words unknown": (lambda c: c["config"]["layers"].append(lookup(num_oov_indices=2**24)), "tables of"),
    "steps in time": (in_time, "steps in time"),
    "unrolled": (lambda c: layer(c).update(unroll=True, units=2**23), "steps in time"),
    "loop of an operation": (
        lambda c: c["config"]["layers"].append(called("keras.src.ops.numpy", "Diff", {"n": 2**20}, SYMBOL)),
        "calls of layers",
    ),
    "mean written out": (
        lambda c: c["config"]["layers"].extend(
            [
                {"module": "keras.layers", "class_name": "Normalization", "config": NORMALIZATION},
                {"module": "keras.layers", "class_name": "Reshape", "config": {"target_shape": [2**20, 2**10]}},
            ]
        ),
        "writes out means",
    ),
}


CONFIGS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "function of os": (lambda c: layer(c).update(activation=function("os", "getpid")), "os.getpid"),
    "builtin function": (lambda c: layer(c).update(activation=function("builtins", "eval")), "builtins.eval"),
    "switch of safety": (
        lambda c: layer(c).update(activation=function("keras.config", "enable_unsafe_deserialization")),
        "enable_unsafe_deserialization",
    ),
    "lambda": (
        lambda c: layer(c).update(activation={"class_name": "__lambda__", "config": {"value": "4wAAAA=="}}),
        "__lambda__",
    ),
    "Lambda layer": (lambda c: dense(c).update(class_name="Lambda"), "Lambda"),
    "vocabulary file": (lambda c: c["config"]["layers"].append(vocabulary("/etc/passwd")), "/etc/passwd"),
    "vocabulary address": (lambda c: c["config"]["layers"].append(vocabulary("http://x.invalid/v")), "http://"),
    "vocabulary bucket": (lambda c: c["config"]["layers"].append(vocabulary("gs://x/v")), "gs://"),
    "download": (lambda c: layer(c).update(activation=function("keras.utils", "get_file")), "get_file"),
    "name of a path": (lambda c: layer(c).update(name="../../x"), "'../../x'"),
    "name of a folder": (lambda c: layer(c).update(name="a/b"), "'a/b'"),
    "many units": (lambda c: layer(c).update(units=10**9), "1,000,000,000"),
    "some units": (lambda c: c["config"]["layers"][-1]["config"].update(units=10**7), "bytes of weights"),
    "deep": (lambda c: layer(c).update(x=nested(200)), "nested too deeply"),
    "registered builtin": (lambda c: dense(c).update(registered_name="evil>Thing"), "evil>Thing"),
    "module of the file's choice": (lambda c: dense(c).update(module="mycode", class_name="X"), "mycode.X"),
    "other library of Keras": (lambda c: dense(c).update(module="keras_hub.models", class_name="X"), "keras_hub"),
    "no module": (lambda c: dense(c).pop("module"), "Dense"),
    "module is a list": (lambda c: dense(c).update(module=["keras.layers"]), "Dense"),
    "class is a list": (lambda c: dense(c).update(class_name=["Dense"]), "class_name"),
    "saved model as layer": (lambda c: dense(c).update(class_name="TFSMLayer"), "TFSMLayer"),
    "pickle as layer": (lambda c: dense(c).update(class_name="TorchModuleWrapper"), "TorchModuleWrapper"),
    "callback": (lambda c: dense(c).update(module="keras.callbacks", class_name="CSVLogger"), "CSVLogger"),
    "source module": (lambda c: dense(c).update(module="keras.src.utils.file_utils", class_name="F"), "file_utils"),
    "type of tensorflow": (lambda c: layer(c).update(x={"class_name": "__typespec__", "config": []}), "__typespec__"),
    "model of models": (lambda c: doubling(c, 20), "calls of layers"),
    "long sequence": (lambda c: c["config"]["layers"].extend([dense(c)] * 2000), "calls of layers"),
    "layers backwards": (lambda c: backwards(c, 2000), "too long to resolve"),
    "size of an input": (lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, 2**40]), "size of"),
}


@pytest.mark.parametrize(("change", "words"), (CONFIGS | COSTS).values(), ids=(CONFIGS | COSTS).keys())
def test_description(honest, open_members, change, words):
    """A description that names what is not listed, or asks for too much, is refused before Keras acts on it."""
    with pytest.raises(UnsafeModel) as caught:
        open_members(with_config(honest, change))
    assert "data/model.keras" in str(caught.value)
    assert words in str(caught.value)


def test_own_function_lifts_no_bound(honest, open_members):
    """A file that names something of the reader's own gets no more memory than others."""

    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][-1]["config"].update(activation=function("mine", "twice"), units=10**7)

    with pytest.raises(UnsafeModel, match="bytes of weights"):
        open_members(with_config(honest, change), custom_objects={"twice": lambda x: 2 * x})


def test_honest(honest, open_members, rows, small):
    """The file from which the hostile ones are made opens and predicts."""
    model = open_members(honest)
    assert np.array_equal(model.predict_on_batch(rows), small.predict_on_batch(rows))


@pytest.mark.parametrize("text", [b"{", b"[]", b"{}", b"\xff\xfe", b'{"class_name": "A", "class_name": "B"}', b""])
def test_malformed_description(honest, open_members, text):
    """A description that is not one JSON mapping, each key once, is refused."""
    with pytest.raises(UnsafeModel):
        open_members({**honest, CONFIG: text})


@pytest.mark.parametrize("depth", [3000, 100_000])
def test_bottomless_description(honest, open_members, depth):
    """A description that is nested deeper than Python's own reader goes is refused."""
    text = honest[CONFIG].replace(b'"units": 5', b'"units": ' + b"[" * depth + b"]" * depth)
    with pytest.raises(UnsafeModel, match="nested too deeply"):
        open_members({**honest, CONFIG: text})
