""".keras files that somebody made to do harm: each is refused with an error that names the file and the rule."""

from __future__ import annotations

import io
import os
import pickle
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from palate.errors import LoadFailed, PalateError, UnsafeModel, UnsafePath
from tf_flavor import keras_models
from tf_flavor._keras_archive import CONFIG, METADATA, WEIGHTS

SECTION = {"data": "data", "save_format": "keras", "model_type": "keras"}


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip of the members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


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


@pytest.mark.parametrize("trust", [False, True])
def test_pipe(tmp_path, load, trust):
    """A pipe by that name is refused, with trust too: opening it would wait for ever."""
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "data" / "model.keras")
    with pytest.raises(UnsafePath, match="FIFO"):
        load(keras_models, tmp_path, SECTION, trust=trust)


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


def _continued(count: int) -> Callable[[bytes], bytes]:
    """Return what adds a header whose messages lead to one and the same block again and again."""

    def change(weights: bytes) -> bytes:
        block = len(weights)
        nothing = b"\0" * 8 * 2000
        again = b"".join(struct.pack("<HHBBBBQQ", 16, 16, 0, 0, 0, 0, block, len(nothing)) for _ in range(count))
        header = struct.pack("<BBHII4x", 1, 0, count * 2001 % 65536, 1, len(again)) + again
        data = bytearray(weights + nothing + header)
        struct.pack_into("<Q", data, 40, len(data))  # where the file ends
        struct.pack_into("<Q", data, 64, block + len(nothing))  # the header of its root
        return bytes(data)

    return change


def test_weights_that_go_in_circles(honest, open_members):
    """A structure that is used again and again is noticed at once, not when all has been gone through."""
    started = time.monotonic()
    with pytest.raises(UnsafeModel, match="overlap"):
        open_members({**honest, WEIGHTS: _continued(20_000)(honest[WEIGHTS])})
    assert time.monotonic() - started < 2


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
