"""Files that want to run code, that two readers see differently, or that lie about sizes: each refused at once."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import pickle
import pickletools
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

import palate
import torch_flavor
from palate.errors import UnsafeModel


def named(module: str, name: str, *arguments: object) -> bytes:
    """Return a pickle that calls a function by name."""
    body = b"".join(pickletools.optimize(pickle.dumps(argument, 2))[2:-1] for argument in arguments)
    return b"\x80\x02c" + module.encode() + b"\n" + name.encode() + b"\n(" + body + b"tR."


def packed(data: bytes, member: str = "archive/data.pkl") -> bytes:
    """Return a zip of one pickle, as torch writes it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(member, data)
    return stream.getvalue()


def spoiled(data: bytes, pattern: bytes, offset: int, value: bytes) -> bytes:
    """Return *data* with bytes replaced after each occurrence of a pattern."""
    start, changed = 0, bytearray(data)
    while (place := data.find(pattern, start)) >= 0:
        changed[place + offset : place + offset + len(value)] = value
        start = place + 1
    return bytes(changed)


def pickles(marker: str) -> dict[str, bytes]:
    """Return files of all kinds that would make a file called *marker*, or take another liberty."""
    touch, code = f"touch {marker}", f"open({marker!r}, 'w').close()"
    system = named("posix", "system", touch)
    return {
        "os.system": system,
        "exec": named("builtins", "exec", code),
        "eval": named("builtins", "eval", code),
        "Popen": named("subprocess", "Popen", ["touch", marker]),
        "runpy": named("runpy", "run_path", marker),
        "timeit": named("timeit", "timeit", "pass", code),
        "write_text": named("pathlib", "Path.write_text", marker, "x"),
        "copy": named("shutil", "copy", "/etc/hostname", marker),
        "open": named("builtins", "open", marker, "w"),
        "importlib": named("importlib", "import_module", "antigravity"),
        "getattr": named("builtins", "getattr", "x", "__class__"),
        "partial": named("functools", "partial", code),
        "logging": named("logging.config", "fileConfig", marker),
        "np.load": named("numpy", "load", marker, None, True),
        "torch.hub": named("torch.hub", "load", "evil/evil", "x"),
        "pip": named("pip._internal.cli.main", "main", ["install", "x"]),
        "pty": named("pty", "spawn", ["touch", marker]),
        "ctypes": named("ctypes", "CDLL", "libevil.so"),
        "doctest": named("doctest", "debug_script", code),
        "cProfile": named("cProfile", "run", code),
        "protocol 0": b"cposix\nsystem\n(V" + touch.encode() + b"\ntR.",
        "broken tail": system[:-1] + b"\xff",
        "second stream": pickle.dumps(1) + system,
        "torch zip": packed(system),
        "bad CRC": spoiled(packed(system), b"PK\x01\x02", 16, b"\0\0\0\0"),
        "encrypted flag": spoiled(packed(system), b"PK\x01\x02", 8, b"\x01\x00"),
        "other member": packed(system, "archive/evil.bin"),
        "graph that is a pickle": packed(system, "archive/models/model.json"),
        "zlib": zlib.compress(system),
        "lzma": lzma.compress(system),
        "gzip": gzip.compress(system),
        "7z magic": b"7z\xbc\xaf\x27\x1c" + system,
        "padded start": b"\x00" * 512 + system,
        "behind an empty header": struct.pack("<Q", 2) + b"{}" + system,
        "empty": b"",
        "zeros": b"\0" * 100_000,
    }


@pytest.mark.parametrize("name", pickles(""))
def test_pickle_is_never_run(name, load, tmp_path):
    """A pickle is refused under each name that a model's file may have, and leaves no trace."""
    marker = tmp_path / "marker"
    data = pickles(str(marker))[name]
    for file in ("model.pth", "model.pt2", "model.safetensors"):
        folder = tmp_path / file.replace(".", "_")
        (folder / "data").mkdir(parents=True)
        (folder / "data" / file).write_bytes(data)
        started = time.perf_counter()
        with pytest.raises(UnsafeModel, match=rf"^data/{file} was refused: "):
            load(folder, module=nn.Linear(3, 2) if file == "model.safetensors" else None)
        assert time.perf_counter() - started < 5
        assert bool(torch_flavor.executes_code(path=folder, config={})) == (file == "model.pth")
    assert not marker.exists()


def test_payload_is_real(load, tmp_path):
    """With trust the same pickle runs, so its refusal above means something."""
    (tmp_path / "data").mkdir()
    data = named("posix", "system", f"touch {tmp_path / 'marker'}")
    (tmp_path / "data" / "model.pth").write_bytes(data)
    with pytest.raises(Exception, match=r"."):
        load(tmp_path, trust=True)
    assert (tmp_path / "marker").exists()


# -- containers ------------------------------------------------------------------------------------------------------


def duplicate(data: bytes) -> bytes:
    """Return the archive with one record twice."""
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive:
        name = archive.namelist()[0]
        archive.fp.seek(0, 2)
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive.writestr(zipfile.ZipInfo(name), b"x")
    return stream.getvalue()


def renamed_header(data: bytes) -> bytes:
    """Return the archive with another name in its first local header than in the directory."""
    return data.replace(b"archive/data/weights/weight_0", b"archive/data/weights/weight_9", 1)


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "duplicate": duplicate,
    "header of another name": renamed_header,
    "something before": lambda data: b"#!/bin/sh\n" + data,
    "something behind": lambda data: data + b"x",
    "comment": lambda data: data[:-2] + b"\x01\x00x",
    "cut short": lambda data: data[: len(data) // 2],
    "end only": lambda data: data[-22:],
    "count": lambda data: data[:-12] + struct.pack("<H", 99) + data[-10:],
    "counts": lambda data: data[:-14] + struct.pack("<HH", 1, 1) + data[-10:],
    "size in the directory": lambda data: spoiled(data, b"PK\x01\x02", 24, struct.pack("<I", 5)),
    "crc in the directory": lambda data: spoiled(data, b"PK\x01\x02", 16, b"\1\2\3\4"),
    "place": lambda data: spoiled(data, b"PK\x01\x02", 42, struct.pack("<I", 7)),
    "encrypted": lambda data: spoiled(data, b"PK\x01\x02", 8, b"\x01\x00"),
    "method": lambda data: spoiled(data, b"PK\x01\x02", 10, b"\x08\x00"),
    "method of the header": lambda data: spoiled(data, b"PK\x03\x04", 8, b"\x08\x00"),
    "long size without one": lambda data: spoiled(data, b"PK\x01\x02", 20, b"\xff" * 8),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_container_is_refused(name, graph):
    """A container that two readers may see differently is refused."""
    path, _ = graph
    file = path / "data" / "model.pt2"
    file.write_bytes(CONTAINERS[name](file.read_bytes()))
    with pytest.raises(UnsafeModel, match=r"^data/model\.pt2 was refused: "):
        palate.load_model(path, verify=False)


def test_packed_records_are_refused(graph):
    """A compressed record, bomb or not, is refused before it is unpacked."""
    path, archive = graph
    archive.records["archive/data/weights/weight_0"] = b"\0" * (1 << 24)
    archive.write(path / "data" / "model.pt2", packed=True)
    with pytest.raises(UnsafeModel, match="compressed record"):
        palate.load_model(path, verify=False)


def test_state_dict_with_code(load, tmp_path):
    """Weights as a pickle with globals are a pickle, and need trust."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.pth").write_bytes(packed(named("posix", "system", "true")))
    with pytest.raises(UnsafeModel, match="a pickle can run any code"):
        load(tmp_path)


# -- weights ---------------------------------------------------------------------------------------------------------


def weights_file(header: dict[str, Any] | bytes, data: bytes = b"\0" * 32, length: int | None = None) -> bytes:
    """Return a .safetensors file."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype: Any = "F32", shape: Any = (2, 3), offsets: Any = (0, 24)) -> dict[str, Any]:
    """Return one entry of a header."""
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


GOOD = {"weight": tensor(), "bias": tensor(shape=[2], offsets=[24, 32])}
WEIGHTS: dict[str, bytes] = {
    "header of 2^62": weights_file(GOOD, length=2**62),
    "header of 200 MB": weights_file(GOOD, length=200 << 20),
    "past the end": weights_file({**GOOD, "bias": tensor(shape=[2], offsets=[2**40, 2**40 + 8])}),
    "inverted": weights_file({**GOOD, "bias": tensor(shape=[2], offsets=[32, 24])}),
    "overlap": weights_file({**GOOD, "bias": tensor(shape=[2], offsets=[16, 24])}, b"\0" * 24),
    "shape overflow": weights_file({"weight": tensor(shape=[2**62, 4], offsets=[0, 32])}),
    "shape wraps": weights_file({"weight": tensor(shape=[2**63, 2], offsets=[0, 0])}, b""),
    "data type": weights_file({**GOOD, "bias": tensor("F7", [2], [24, 32])}),
    "data type is a list": weights_file({**GOOD, "bias": tensor(["F32"], [2], [24, 32])}),
    "deep": weights_file(b"[" * 100_000),
    "deep inside": weights_file(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "bad text": weights_file(b'{"\xff\xfe": 1}'),
    "trailing": weights_file(GOOD, b"\0" * 33),
    "hole": weights_file({**GOOD, "bias": tensor(shape=[2], offsets=[28, 36])}, b"\0" * 36),
    "key twice": weights_file(b'{"a": %b, "a": %b}' % ((json.dumps(tensor()).encode(),) * 2), b"\0" * 24),
    "cut short": weights_file(GOOD)[:-5],
    "no header": b"\0\0",
    "not a mapping": weights_file(b"[]", b""),
    "other fields": weights_file({"weight": {**tensor(), "code": "x"}}, b"\0" * 24),
    "negative": weights_file({"weight": tensor(shape=[-2, -3])}, b"\0" * 24),
    "float": weights_file({"weight": tensor(shape=[2.0, 3])}, b"\0" * 24),
    "boolean": weights_file({"weight": tensor(shape=[True, 6])}, b"\0" * 24),
    "many dimensions": weights_file({"weight": tensor(shape=[1] * 70 + [6])}, b"\0" * 24),
    "metadata": weights_file({"__metadata__": {"a": 1}, **GOOD}),
    "tied to nothing": weights_file({"__metadata__": {"palate.tied": '{"x": "y"}'}, **GOOD}),
    "tied badly": weights_file({"__metadata__": {"palate.tied": "{"}, **GOOD}),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_are_refused(name, load, tmp_path):
    """A file that is not exactly what its header says is refused before anything is mapped."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.safetensors").write_bytes(WEIGHTS[name])
    started = time.perf_counter()
    with pytest.raises(UnsafeModel, match=r"^data/model\.safetensors was refused: "):
        load(tmp_path, module=lambda: nn.Linear(3, 2))
    assert time.perf_counter() - started < 5


def test_good_weights_are_accepted(load, tmp_path):
    """The file that the hostile ones are made from loads."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.safetensors").write_bytes(weights_file(GOOD))
    assert load(tmp_path, module=lambda: nn.Linear(3, 2)).weight.sum() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a device file")
def test_special_files_are_refused(load, tmp_path):
    """A FIFO in the place of the model's file is not waited for."""
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "data" / "model.pt2")
    with pytest.raises(palate.errors.UnsafePath, match="FIFO"):
        load(tmp_path)
