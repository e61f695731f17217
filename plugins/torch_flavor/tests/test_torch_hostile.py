"""Files that want to run code, reach out of memory, or eat it: each refused by a rule, at once, without a trace."""

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
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import palate
import torch_flavor
from palate.errors import UnsafeModel

MARKER = "PALATE_MARKER"
X = np.ones((2, 3), "float32")


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


TOUCH = f"touch {MARKER}"
CODE = f"open({MARKER!r}, 'w').close()"
SYSTEM = named("posix", "system", TOUCH)

PICKLES: dict[str, bytes] = {
    "P01 os.system": SYSTEM,
    "P02 exec": named("builtins", "exec", CODE),
    "P03 eval": named("builtins", "eval", CODE),
    "P04 Popen": named("subprocess", "Popen", ["touch", MARKER]),
    "P05 runpy": named("runpy", "run_path", MARKER),
    "P06 timeit": named("timeit", "timeit", "pass", CODE),
    "P07 write_text": named("pathlib", "Path.write_text", MARKER, "x"),
    "P08 copy": named("shutil", "copy", "/etc/hostname", MARKER),
    "P09 open": named("builtins", "open", MARKER, "w"),
    "P10 importlib": named("importlib", "import_module", "antigravity"),
    "P11 getattr": named("builtins", "getattr", "x", "__class__"),
    "P12 partial": named("functools", "partial", CODE),
    "P13 logging": named("logging.config", "fileConfig", MARKER),
    "P14 np.load": named("numpy", "load", MARKER, None, True),
    "P15 torch.hub": named("torch.hub", "load", "evil/evil", "x"),
    "P16 pip": named("pip._internal.cli.main", "main", ["install", "x"]),
    "P17 pty": named("pty", "spawn", ["touch", MARKER]),
    "P18 ctypes": named("ctypes", "CDLL", "libevil.so"),
    "P19 doctest": named("doctest", "debug_script", CODE),
    "P20 cProfile": named("cProfile", "run", CODE),
    "P21 protocol 0": b"cposix\nsystem\n(V" + TOUCH.encode() + b"\ntR.",
    "P23 broken tail": SYSTEM[:-1] + b"\xff",
    "P24 second stream": pickle.dumps(1) + SYSTEM,
    "P28 torch zip": packed(SYSTEM),
    "P29 bad CRC": spoiled(packed(SYSTEM), b"PK\x01\x02", 16, b"\0\0\0\0"),
    "P30 encrypted flag": spoiled(packed(SYSTEM), b"PK\x01\x02", 8, b"\x01\x00"),
    "P31 other member": packed(SYSTEM, "model/evil.bin"),
    "P31b graph that is a pickle": packed(SYSTEM, "model/models/model.json"),
    "P32 zlib": zlib.compress(SYSTEM),
    "P33 lzma": lzma.compress(SYSTEM),
    "P34 gzip": gzip.compress(SYSTEM),
    "P35 7z magic": b"7z\xbc\xaf\x27\x1c" + SYSTEM,
    "P37 padded start": b"\x00" * 512 + SYSTEM,
    "P27 behind an empty header": struct.pack("<Q", 2) + b"{}" + SYSTEM,
    "empty": b"",
    "zeros": b"\0" * 100_000,
}


@pytest.mark.parametrize("name", PICKLES)
def test_pickle_is_never_run(name, load, tmp_path):
    """A pickle is refused under each name that a model's file may have, and leaves no trace."""
    marker = tmp_path / "marker"
    data = PICKLES[name].replace(MARKER.encode(), bytes(marker))
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


# -- graphs ----------------------------------------------------------------------------------------------------------


def open_changed(path: Path) -> Any:
    """Load a directory whose files were changed, as if its manifest had been written anew."""
    return palate.load_model(path, verify=False)


@pytest.fixture
def graph(save, archive):
    """The directory of a small model and its archive, taken apart."""
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    path = save(model, input_example=X)
    return path, archive(path / "data" / "model.pt2")


def program(change: Callable[[dict[str, Any]], object]) -> Callable[[Any], None]:
    """Return what changes the program of an archive."""
    return lambda archive: archive.edit("models/model.json", change)


def weights(change: Callable[[dict[str, Any]], object]) -> Callable[[Any], None]:
    """Return what changes the description of its first tensor."""
    return lambda archive: archive.edit(
        "data/weights/model_weights_config.json", lambda document: change(next(iter(document["config"].values())))
    )


def constants(payload: dict[str, Any]) -> Callable[[Any], None]:
    """Return what adds a constant to an archive, with a pickle as its record."""

    def change(archive: Any) -> None:
        archive.records[f"model/data/constants/{payload['path_name']}"] = SYSTEM
        archive.edit(
            "data/constants/model_constants_config.json", lambda document: document["config"].update(x=payload)
        )

    return change


def record(name: str, data: bytes) -> Callable[[Any], None]:
    """Return what adds a record."""
    return lambda archive: archive.records.__setitem__(name, data)


def node(number: int, **changes: Any) -> Callable[[Any], None]:
    """Return what changes a node of the graph."""
    return program(lambda document: document["graph_module"]["graph"]["nodes"][number].update(changes))


def argument(**changes: Any) -> Callable[[Any], None]:
    """Return what gives the first node another argument."""
    one = {"name": "input", "arg": changes, "kind": 1}
    return program(lambda document: document["graph_module"]["graph"]["nodes"][0]["inputs"].append(one))


def named_argument(name: str, **given: Any) -> Callable[[Any], None]:
    """Return what gives the first node an argument by name."""
    one = {"name": name, "arg": given, "kind": 2}
    return program(lambda document: document["graph_module"]["graph"]["nodes"][0]["inputs"].append(one))


def rename(name: str) -> Callable[[Any], None]:
    """Return what gives the model's input another name everywhere."""

    def change(archive: Any) -> None:
        text = archive.records["model/models/model.json"].decode()
        archive.records["model/models/model.json"] = text.replace('"input"', json.dumps(name)).encode()

    return change


def size(text: str) -> Callable[[Any], None]:
    """Return what writes another expression for the size of the batch."""

    def change(document: dict[str, Any]) -> None:
        for meta in document["graph_module"]["graph"]["tensor_values"].values():
            for length in meta["sizes"]:
                if "as_expr" in length:
                    length["as_expr"]["expr_str"] = text

    return program(change)


def call(**changes: Any) -> Callable[[Any], None]:
    """Return what changes how the module is called."""
    return program(lambda document: document["graph_module"]["module_call_graph"][0]["signature"].update(changes))


META = {
    "dtype": 7,
    "sizes": [{"as_int": 1}],
    "requires_grad": False,
    "device": {"type": "cpu", "index": None},
    "strides": [{"as_int": 1}],
    "storage_offset": {"as_int": 0},
    "layout": 7,
}
ENUM_KEY = json.dumps([{"__enum__": True, "fqn": "antigravity:x", "name": "y"}])
LEAF = {"type": None, "context": None, "children_spec": []}

GRAPHS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "T02 pickled weight": (weights(lambda payload: payload.update(use_pickle=True)), "stored as a pickle"),
    "T02b by a missing word": (weights(lambda payload: payload.pop("use_pickle")), "stored as a pickle"),
    "T03 opaque constant": (
        constants({"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}),
        "no part of a graph",
    ),
    "T03b opaque without the word": (
        constants({"path_name": "opaque_obj_0", "is_param": False, "use_pickle": False, "tensor_meta": META}),
        "no part of a graph",
    ),
    "T04 custom object": (
        constants({"path_name": "custom_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}),
        "no part of a graph",
    ),
    "T04b custom object as argument": (argument(as_custom_obj={"name": "x", "class_fqn": "y"}), "as_custom_obj"),
    "T05 expression is a call": (size(f"__import__('os').system('{TOUCH}')"), "the size"),
    "T06 attribute": (size("Symbol('s0').__class__.__mro__"), "the size"),
    "T07 power tower": (size("Pow(Integer(9), Pow(Integer(9), Integer(9)))"), "the size"),
    "T07b operators": (size("9**9**9"), "the size"),
    "T08 range is code": (
        program(lambda document: document["range_constraints"].update({CODE: {"min_val": 1, "max_val": 2}})),
        "no symbol of a size",
    ),
    "T08b counting for ever": (
        program(lambda document: document["range_constraints"].update(u99999999999={"min_val": 1, "max_val": 2})),
        "no symbol of a size",
    ),
    "T10 target": (node(0, target="torch.os.getpid"), "not on the list of operators"),
    "T10b other module": (node(0, target="_operator.attrgetter"), "not on the list of operators"),
    "T10c extension": (node(0, target="#evil:op"), "not on the list of operators"),
    "T10d file": (node(0, target="torch.ops.aten.from_file.default"), "not on the list of operators"),
    "T11 higher order": (node(0, target="torch.ops.higher_order.getattr"), "not on the list of operators"),
    "T11b operator as argument": (argument(as_operator="torch.load"), "as_operator"),
    "T11c endless loop": (node(0, target="torch.ops.higher_order.while_loop"), "not on the list of operators"),
    "T12 legacy weights": (record("model/data/weights/model.pt", packed(SYSTEM)), "no part of a graph"),
    "T12b legacy constants": (record("model/data/constants/model.pt", packed(SYSTEM)), "no part of a graph"),
    "T13 compiled library": (record("model/data/aotinductor/model/x.so", b"\x7fELF"), "no part of a graph"),
    "T13b extra file": (record("model/extra/x", b""), "no part of a graph"),
    "T14 size": (weights(lambda p: p["tensor_meta"].update(sizes=[{"as_int": 4}, {"as_int": 2**40}])), "reaches past"),
    "T14b stride": (
        weights(lambda p: p["tensor_meta"].update(strides=[{"as_int": 99}, {"as_int": 1}])),
        "reaches past",
    ),
    "T14c offset": (weights(lambda p: p["tensor_meta"].update(storage_offset={"as_int": 2**40})), "reaches past"),
    "T14d negative": (weights(lambda p: p["tensor_meta"].update(storage_offset={"as_int": -1})), "no number"),
    "T14e repeated": (
        weights(
            lambda p: p["tensor_meta"].update(
                sizes=[{"as_int": 2**30}, {"as_int": 2**30}], strides=[{"as_int": 0}, {"as_int": 0}]
            )
        ),
        "far more elements",
    ),
    "T14f type": (weights(lambda p: p["tensor_meta"].update(dtype=8)), "whole number of elements|reaches past"),
    "T14g other shape": (
        weights(lambda p: p["tensor_meta"].update(sizes=[{"as_int": 2}, {"as_int": 3}])),
        "another shape or data type",
    ),
    "T14h symbolic": (
        weights(lambda p: p["tensor_meta"].update(sizes=[{"as_expr": {"expr_str": "Integer(1)"}}, {"as_int": 3}])),
        "no number",
    ),
    "T14i empty record": (lambda archive: archive.records.update({"model/data/weights/weight_0": b""}), "reaches past"),
    "T14j other record": (weights(lambda p: p.update(path_name="../../etc/passwd")), "no record for tensors"),
    "T14k unused record": (record("model/data/weights/weight_77", b"1234"), "belongs to no tensor"),
    "T14l sparse": (weights(lambda p: p["tensor_meta"].update(layout=1)), "laid out densely"),
    "T15 two roots": (record("other/models/model.json", b"{}"), "more than one archive"),
    "enum key": (
        call(
            out_spec=json.dumps([1, {"type": "builtins.dict", "context": ENUM_KEY, "children_spec": [LEAF]}]),
        ),
        "no plain names",
    ),
    "unknown class": (
        call(out_spec=json.dumps([1, {"type": "os.system", "context": "x", "children_spec": [LEAF]}])),
        "cannot be read",
    ),
    "input that is source": (rename("x): pass\nimport os"), "cannot be a variable's"),
    "keyword": (rename("lambda"), "cannot be a variable's"),
    "taken name": (rename("torch"), "cannot be a variable's"),
    "argument that is source": (call(forward_arg_names=["x, y=__import__('os')"]), "cannot be a variable's"),
    "node that is source": (node(0, name="x = 1\nimport os"), "cannot be a variable's"),
    "named argument that is source": (named_argument("x=__import__('os')", as_int=1), "cannot be a variable's"),
    "parameter that is source": (
        program(
            lambda document: document["graph_module"]["signature"]["input_specs"][0]["parameter"].update(
                parameter_name='a").x; import os; getattr(self, "'
            )
        ),
        "cannot be a parameter's",
    ),
    "dunder parameter": (
        program(
            lambda document: document["graph_module"]["signature"]["input_specs"][0]["parameter"].update(
                parameter_name="__class__.x"
            )
        ),
        "cannot be a parameter's",
    ),
    "text with quotes": (argument(as_string="'+__import__('os')+'"), "characters that no operator asks for"),
    "type by a number": (named_argument("dtype", as_int=-1), "given as as_int"),
    "pinned memory": (named_argument("pin_memory", as_bool=True), "given as as_bool"),
    "device": (argument(as_device={"type": "evil", "index": 0}), "no device"),
    "dialect": (program(lambda document: document.update(verifiers=["EDGE"])), "dialect"),
    "huge integer": (argument(as_int=2**70), "64 bits"),
    "boolean as integer": (argument(as_int=True), "64 bits"),
    "two arguments in one": (argument(as_int=1, as_float=2.0), "one entry"),
    "no graph": (lambda archive: archive.records.pop("model/models/model.json"), "holds no models/model.json"),
    "no weights": (
        lambda archive: archive.records.pop("model/data/weights/model_weights_config.json"),
        "holds no data/weights",
    ),
    "missing weight": (lambda archive: archive.records.pop("model/data/weights/weight_0"), "no record for tensors"),
    "deep": (record("model/models/model.json", b"[" * 200_000), "nested too deeply"),
    "key twice": (record("model/models/model.json", b'{"a": 1, "a": 1}'), "twice"),
    "bad text": (record("model/models/model.json", b"\xff\xfe"), "damaged"),
    "a list": (record("model/models/model.json", b"[]"), "no graph"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graph_is_refused(name, graph, load, tmp_path):
    """Each way to make torch evaluate, import, unpickle or overreach is refused by its rule, before torch sees it."""
    change, rule = GRAPHS[name]
    path, archive = graph
    change(archive)
    archive.write(path / "data" / "model.pt2")
    started = time.perf_counter()
    with pytest.raises(UnsafeModel, match=rf"^data/model\.pt2 was refused: .*({rule})"):
        open_changed(path)
    assert time.perf_counter() - started < 5
    assert not (Path.cwd() / MARKER).exists()


def test_archive_itself_is_accepted(graph):
    """Put together again without a change, the archive loads, so the refusals above mean something."""
    path, archive = graph
    expected = open_changed(path).predict(X)
    archive.write(path / "data" / "model.pt2")
    assert np.array_equal(open_changed(path).predict(X), expected)


def test_what_is_not_needed_is_left_behind(graph, tmp_path):
    """T01, T09: sample inputs, guards and traces are not refused, as MLflow writes them, but never reach torch."""
    path, archive = graph
    marker = tmp_path / "marker"
    archive.records["model/data/sample_inputs/model.pt"] = packed(SYSTEM.replace(MARKER.encode(), bytes(marker)))
    archive.edit("models/model.json", lambda d: d.update(guards_code=[f"open({str(marker)!r}, 'w')"]))
    archive.edit(
        "models/model.json",
        lambda d: d["graph_module"]["graph"]["nodes"][0].update(
            metadata={"source_fn_stack": "x,torch.os.abort", "from_node": "[{}]", "custom": "[" * 9999}
        ),
    )
    archive.edit("models/model.json", lambda d: d["graph_module"].update(metadata={"custom": "[" * 9999}))
    archive.write(path / "data" / "model.pt2")
    open_changed(path).predict(X)
    assert not marker.exists()


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
    return data.replace(b"model/data/weights/weight_0", b"model/data/weights/weight_9", 1)


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "T16 duplicate": duplicate,
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
    """T15-T17: a container that two readers may see differently is refused."""
    path, _ = graph
    file = path / "data" / "model.pt2"
    file.write_bytes(CONTAINERS[name](file.read_bytes()))
    with pytest.raises(UnsafeModel, match=r"^data/model\.pt2 was refused: "):
        open_changed(path)


def test_packed_records_are_refused(graph):
    """T17: a compressed record, bomb or not, is refused before it is unpacked."""
    path, archive = graph
    archive.records["model/data/weights/weight_0"] = b"\0" * (1 << 24)
    archive.write(path / "data" / "model.pt2", packed=True)
    with pytest.raises(UnsafeModel, match="compressed record"):
        open_changed(path)


def test_state_dict_with_code(load, tmp_path):
    """T18: weights as a pickle with globals are a pickle, and need trust."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.pth").write_bytes(packed(SYSTEM))
    with pytest.raises(UnsafeModel, match="a pickle can run any code"):
        load(tmp_path)


# -- crashing operators ----------------------------------------------------------------------------------------------

CRASH = """
import sys, numpy as np, palate
try:
    palate.load_model(sys.argv[1], verify=False).predict(np.ones((2, 3, 4), "float32"))
except ValueError as exc:
    print("refused", exc)
"""


def test_lying_lstm(save, archive, run_python):
    """An lstm whose states are larger than its weights does not read past them."""

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(4, 4, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.lstm(x)[0]

    path = save(Recurrent(), input_example=np.ones((2, 3, 4), "float32"))
    parts = archive(path / "data" / "model.pt2")

    def enlarge(document: Any) -> None:
        for one in document["graph_module"]["graph"]["nodes"]:
            if "zeros" in one["target"]:
                one["inputs"][0]["arg"]["as_sym_ints" if "as_sym_ints" in one["inputs"][0]["arg"] else "as_ints"][
                    -1
                ] = {"as_int": 640_000} if "as_sym_ints" in one["inputs"][0]["arg"] else 640_000

    parts.edit("models/model.json", enlarge)
    parts.write(path / "data" / "model.pt2")
    done = run_python(CRASH, path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "refused" in done.stdout


def test_operator_on_numbers(graph):
    """TorchScript's operators on plain numbers, some of which end the process, are refused."""
    path, archive = graph
    zero = {"name": "a", "arg": {"as_int": 0}, "kind": 1}
    one = {
        "target": "torch.ops.aten.gcd.int",
        "inputs": [zero, {**zero, "name": "b"}],
        "outputs": [{"as_sym_int": {"as_name": "gcd"}}],
        "metadata": {},
        "is_hop_single_tensor_return": None,
        "name": "gcd",
    }

    def change(document: dict[str, Any]) -> None:
        document["graph_module"]["graph"]["nodes"].insert(0, one)
        document["graph_module"]["graph"]["sym_int_values"]["gcd"] = {"as_int": 1}

    archive.edit("models/model.json", change)
    archive.write(path / "data" / "model.pt2")
    with pytest.raises(UnsafeModel, match=r"calls aten\.gcd\.int, which is no operator on tensors"):
        open_changed(path)


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
    "T19 header of 2^62": weights_file(GOOD, length=2**62),
    "T20 header of 200 MB": weights_file(GOOD, length=200 << 20),
    "T21 past the end": weights_file({**GOOD, "bias": tensor(shape=[2], offsets=[2**40, 2**40 + 8])}),
    "T22 inverted": weights_file({**GOOD, "bias": tensor(shape=[2], offsets=[32, 24])}),
    "T23 overlap": weights_file({**GOOD, "bias": tensor(shape=[2], offsets=[16, 24])}, b"\0" * 24),
    "T24 shape overflow": weights_file({"weight": tensor(shape=[2**62, 4], offsets=[0, 32])}),
    "T24b shape wraps": weights_file({"weight": tensor(shape=[2**63, 2], offsets=[0, 0])}, b""),
    "T25 data type": weights_file({**GOOD, "bias": tensor("F7", [2], [24, 32])}),
    "T25b data type is a list": weights_file({**GOOD, "bias": tensor(["F32"], [2], [24, 32])}),
    "T26 deep": weights_file(b"[" * 100_000),
    "T26b deep inside": weights_file(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "T27 bad text": weights_file(b'{"\xff\xfe": 1}'),
    "T28 trailing": weights_file(GOOD, b"\0" * 33),
    "T28b hole": weights_file({**GOOD, "bias": tensor(shape=[2], offsets=[28, 36])}, b"\0" * 36),
    "T29 key twice": weights_file(b'{"a": %b, "a": %b}' % ((json.dumps(tensor()).encode(),) * 2), b"\0" * 24),
    "T30 cut short": weights_file(GOOD)[:-5],
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
    """T19-T30: a file that is not exactly what its header says is refused before anything is mapped."""
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
