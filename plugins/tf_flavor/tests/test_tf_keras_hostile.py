""".keras files that somebody made to do harm: each is refused with an error that names the file and the rule."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from palate.errors import LoadFailed, PalateError, UnsafeModel
from tf_flavor import keras_models
from tf_flavor._keras_archive import CONFIG, METADATA, WEIGHTS

SECTION = {"data": "data", "save_format": "keras", "model_type": "keras"}


@pytest.fixture
def honest(keras, small, tmp_path) -> dict[str, bytes]:
    """The members of an honest file."""
    from tf_flavor._keras_saving import write_keras

    write_keras(small, tmp_path / "honest.keras", {})
    with zipfile.ZipFile(tmp_path / "honest.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def open_members(tmp_path, load) -> Callable[..., Any]:
    """Put members, or bytes, into a model directory and open it; the time and the marker are checked besides."""
    marker = tmp_path / "marker"

    def opener(content: dict[str, bytes] | bytes, **kwargs: Any) -> Any:
        data = tmp_path / "model" / "data"
        data.mkdir(parents=True, exist_ok=True)
        (data / "model.keras").write_bytes(content if isinstance(content, bytes) else zipped(content))
        started = time.monotonic()
        try:
            return load(keras_models, data.parent, SECTION, **kwargs)
        finally:
            assert time.monotonic() - started < 5
            assert not marker.exists()
            assert [path.name for path in data.iterdir()] == ["model.keras"]

    return opener


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip of the members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


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
        call = {"args": [], "kwargs": {}}
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


@pytest.mark.parametrize(("change", "words"), CONFIGS.values(), ids=CONFIGS.keys())
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


# -- the zip ---------------------------------------------------------------------------------------------------------


def _patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


ARCHIVES: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "member outside": lambda m: zipped({**m, "../evil": b"x"}),
    "absolute": lambda m: zipped({**m, "/tmp/evil": b"x"}),
    "asset outside": lambda m: zipped({**m, "assets/../evil/vocabulary.txt": b"x"}),
    "other asset": lambda m: zipped({**m, "assets/evil.py": b"x"}),
    "pickle inside": lambda m: zipped({**m, "data.pkl": pickle.dumps(1)}),
    "deflated": lambda m: zipped(m, zipfile.ZIP_DEFLATED),
    "lzma": lambda m: zipped(m, zipfile.ZIP_LZMA),
    "bomb": lambda m: zipped({**m, METADATA: b"0" * (200 << 20)}, zipfile.ZIP_DEFLATED),
    "no weights": lambda m: zipped({n: d for n, d in m.items() if n != WEIGHTS}),
    "other weights": lambda m: zipped({"model.weights.npz" if n == WEIGHTS else n: d for n, d in m.items()}),
    "prefix": lambda m: b"#!/bin/sh\n" + zipped(m),
    "suffix": lambda m: zipped(m) + b"x",
    "comment": lambda m: zipped(m)[:-2] + b"\1\0x",
    "truncated": lambda m: zipped(m)[:-30],
    "local name": lambda m: _patched(zipped(m), b"config.json", b"CONFIG.json"),
    "empty": lambda m: b"",
    "only an end": lambda m: zipped({}),
    "zeros": lambda m: b"\0" * 4096,
    "checksum": lambda m: _patched(zipped(m), b'"Dense"', b'"Dense '),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", ARCHIVES.values(), ids=ARCHIVES.keys())
def test_archive(honest, open_members, make):
    """An archive that is anything but the known members, end to end, is refused."""
    with pytest.raises(UnsafeModel, match=r"data/model\.keras"):
        open_members(make(honest))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(honest, open_members):
    """Two descriptions in one file, of which a reader may see either, are refused."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in [*honest.items(), (CONFIG, honest[CONFIG])]:
            archive.writestr(name, data)
    with pytest.raises(UnsafeModel, match="two of one name"):
        open_members(stream.getvalue())


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("wrap", [bytes, zlib.compress, lambda d: d + b"tail", lambda d: b"\0" * 8 + d])
def test_pickle_by_that_name(tmp_path, open_members, wrap):
    """A pickle that is called model.keras is refused, whatever is around it."""
    with pytest.raises(UnsafeModel):
        open_members(wrap(pickle.dumps(_Touch(tmp_path / "marker"), protocol=2)))


# -- the weights -----------------------------------------------------------------------------------------------------


def edited(weights: bytes, edit: Callable[[h5py.File], object]) -> bytes:
    """Return weights that were changed in place."""
    stream = io.BytesIO(weights)
    with h5py.File(stream, "r+") as file:
        edit(file)
    return stream.getvalue()


def remade(weights: bytes, edit: Callable[[h5py.Group], object], **how: Any) -> bytes:
    """Return a file with the same contents and one more group, made by *edit*."""
    stream = io.BytesIO()
    with h5py.File(io.BytesIO(weights)) as old, h5py.File(stream, "w", **how) as new:
        for name in old:
            old.copy(name, new)
        edit(new.create_group("more"))
    return stream.getvalue()


def _virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
    group.create_virtual_dataset("v", layout)


def _link_to_itself(group: h5py.Group) -> None:
    group["again"] = group


HDF5: dict[str, Callable[[h5py.Group], object]] = {
    "external storage": lambda g: g.create_dataset("x", (8,), "u1", external=[("/etc/passwd", 0, 8)]),
    "external link": lambda g: g.__setitem__("x", h5py.ExternalLink("/etc/passwd", "/")),
    "soft link": lambda g: g.__setitem__("x", h5py.SoftLink("/vars")),
    "virtual dataset": _virtual,
    "bomb of nothing": lambda g: g.create_dataset("x", (2**40,), "f4", chunks=(1024,)),
    "bomb of zeros": lambda g: g.create_dataset("x", data=np.zeros(2**20, "f4"), compression="gzip"),
    "never written": lambda g: g.create_dataset("x", (2**34,), "f4"),
    "hard link to itself": _link_to_itself,
    "hard link twice": lambda g: g.__setitem__("x", g.file["vars"]),
    "texts": lambda g: g.__setitem__("x", ["a", "b"]),
    "record": lambda g: g.__setitem__("x", np.zeros(2, [("a", "f4"), ("b", "i4")])),
    "references": lambda g: g.create_dataset("x", data=g.ref, dtype=h5py.ref_dtype),
    "named type": lambda g: g.__setitem__("x", np.dtype("f8")),
    "reference attribute": lambda g: g.attrs.create("x", g.ref, dtype=h5py.ref_dtype),
    "growing": lambda g: g.create_dataset("x", (2,), "f4", maxshape=(None,)),
}


@pytest.mark.parametrize("edit", HDF5.values(), ids=HDF5.keys())
def test_weights(honest, open_members, edit):
    """Weights that point elsewhere, or hold less than they say, are refused before libhdf5 opens them."""
    with pytest.raises(UnsafeModel, match=r"model\.keras:model\.weights\.h5"):
        open_members({**honest, WEIGHTS: remade(honest[WEIGHTS], edit)})


def test_weights_of_another_layout(honest, open_members):
    """Weights in HDF5's newer layouts, which Keras does not write, are refused."""
    with pytest.raises(UnsafeModel, match="layout"):
        open_members({**honest, WEIGHTS: remade(honest[WEIGHTS], lambda _: None, libver="latest")})


@pytest.mark.parametrize("cut", [0, 1, 95, 96, 512, -1])
def test_weights_cut_off(honest, open_members, cut):
    """Weights that end early are refused."""
    with pytest.raises(UnsafeModel):
        open_members({**honest, WEIGHTS: honest[WEIGHTS][:cut]})


def test_weights_of_another_model(honest, open_members):
    """A file whose weights do not fit its description cannot be loaded, and the error says so."""
    weights = edited(honest[WEIGHTS], lambda file: file.__delitem__("layers/dense/vars/0") or None)
    with pytest.raises((PalateError, ValueError)) as caught:
        open_members({**honest, WEIGHTS: weights})
    assert not isinstance(caught.value, LoadFailed)


# -- trust and custom objects ----------------------------------------------------------------------------------------


def test_legacy_file_needs_trust(tmp_path):
    """A file of Keras 2, which Keras loads without checks, is a reason to ask for trust."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.h5").write_bytes(b"")
    reasons = keras_models.executes_code(path=tmp_path, config={"data": "data"})
    assert [reason.file for reason in reasons] == ["data/model.h5"]
    assert not keras_models.guarantees(path=tmp_path, config={"data": "data"}).no_code


@pytest.mark.parametrize("name", ["custom_objects.cloudpickle", "global_custom_objects.cloudpickle"])
def test_pickle_beside_the_model_needs_trust(tmp_path, name):
    """What MLflow pickles beside a model is a reason to ask for trust."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.keras").write_bytes(b"")
    (tmp_path / "data" / name).write_bytes(b"")
    assert [r.file for r in keras_models.executes_code(path=tmp_path, config=SECTION)] == [f"data/{name}"]


def test_lambda_with_trust(keras, tmp_path, open_members, rows):
    """A Lambda layer, refused without trust, runs with it."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2)])
    model.save(tmp_path / "lambda.keras")
    data = (tmp_path / "lambda.keras").read_bytes()
    with pytest.raises(UnsafeModel, match="trust=True"):
        open_members(data)
    assert np.array_equal(open_members(data, trust=True).predict_on_batch(rows), rows * 2)
