"""Graphs that want to run code, reach out of memory, or eat it: each refused by its rule, at once, without a trace."""

from __future__ import annotations

import io
import json
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import palate
from palate.errors import UnsafeModel
from torch_flavor._pt2 import check_archive

MARKER = "PALATE_MARKER"
X = np.ones((2, 3), "float32")


class Touching:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


SYSTEM = pickle.dumps(Touching(MARKER))
CODE = f"open({MARKER!r}, 'w').close()"


def open_changed(path: Path) -> Any:
    """Load a directory whose files were changed, as if its manifest had been written anew."""
    return palate.load_model(path, verify=False)


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
        archive.records[f"archive/data/constants/{payload['path_name']}"] = SYSTEM
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
        text = archive.records["archive/models/model.json"].decode()
        archive.records["archive/models/model.json"] = text.replace('"input"', json.dumps(name)).encode()

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
    "pickled weight": (weights(lambda payload: payload.update(use_pickle=True)), "stored as a pickle"),
    "by a missing word": (weights(lambda payload: payload.pop("use_pickle")), "stored as a pickle"),
    "opaque constant": (
        constants({"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}),
        "no part of a graph",
    ),
    "opaque without the word": (
        constants({"path_name": "opaque_obj_0", "is_param": False, "use_pickle": False, "tensor_meta": META}),
        "no part of a graph",
    ),
    "custom object": (
        constants({"path_name": "custom_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}),
        "no part of a graph",
    ),
    "custom object as argument": (argument(as_custom_obj={"name": "x", "class_fqn": "y"}), "as_custom_obj"),
    "expression is a call": (size(f"__import__('os').system('touch {MARKER}')"), "the size"),
    "attribute": (size("Symbol('s0').__class__.__mro__"), "the size"),
    "power tower": (size("Pow(Integer(9), Pow(Integer(9), Integer(9)))"), "the size"),
    "operators": (size("9**9**9"), "the size"),
    "range is code": (
        program(lambda document: document["range_constraints"].update({CODE: {"min_val": 1, "max_val": 2}})),
        "no symbol of a size",
    ),
    "counting for ever": (
        program(lambda document: document["range_constraints"].update(u99999999999={"min_val": 1, "max_val": 2})),
        "no symbol of a size",
    ),
    "target": (node(0, target="torch.os.getpid"), "not on the list of operators"),
    "other module": (node(0, target="_operator.attrgetter"), "not on the list of operators"),
    "extension": (node(0, target="#evil:op"), "not on the list of operators"),
    "file": (node(0, target="torch.ops.aten.from_file.default"), "not on the list of operators"),
    "higher order": (node(0, target="torch.ops.higher_order.getattr"), "not on the list of operators"),
    "operator as argument": (argument(as_operator="torch.load"), "as_operator"),
    "endless loop": (node(0, target="torch.ops.higher_order.while_loop"), "not on the list of operators"),
    "legacy weights": (record("archive/data/weights/model.pt", SYSTEM), "no part of a graph"),
    "legacy constants": (record("archive/data/constants/model.pt", SYSTEM), "no part of a graph"),
    "compiled library": (record("archive/data/aotinductor/model/x.so", b"\x7fELF"), "no part of a graph"),
    "extra file": (record("archive/extra/x", b""), "no part of a graph"),
    "size": (weights(lambda p: p["tensor_meta"].update(sizes=[{"as_int": 4}, {"as_int": 2**40}])), "reaches past"),
    "stride": (
        weights(lambda p: p["tensor_meta"].update(strides=[{"as_int": 99}, {"as_int": 1}])),
        "reaches past",
    ),
    "offset": (weights(lambda p: p["tensor_meta"].update(storage_offset={"as_int": 2**40})), "reaches past"),
    "negative": (weights(lambda p: p["tensor_meta"].update(storage_offset={"as_int": -1})), "no number"),
    "repeated": (
        weights(
            lambda p: p["tensor_meta"].update(
                sizes=[{"as_int": 2**30}, {"as_int": 2**30}], strides=[{"as_int": 0}, {"as_int": 0}]
            )
        ),
        "far more elements",
    ),
    "type": (weights(lambda p: p["tensor_meta"].update(dtype=8)), "whole number of elements|reaches past"),
    "other shape": (
        weights(lambda p: p["tensor_meta"].update(sizes=[{"as_int": 2}, {"as_int": 3}])),
        "another shape or data type",
    ),
    "symbolic": (
        weights(lambda p: p["tensor_meta"].update(sizes=[{"as_expr": {"expr_str": "Integer(1)"}}, {"as_int": 3}])),
        "no number",
    ),
    "empty record": (lambda archive: archive.records.update({"archive/data/weights/weight_0": b""}), "reaches past"),
    "other record": (weights(lambda p: p.update(path_name="../../etc/passwd")), "no record for tensors"),
    "unused record": (record("archive/data/weights/weight_77", b"1234"), "belongs to no tensor"),
    "sparse": (weights(lambda p: p["tensor_meta"].update(layout=1)), "laid out densely"),
    "two roots": (record("other/models/model.json", b"{}"), "more than one archive"),
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
    "no graph": (lambda archive: archive.records.pop("archive/models/model.json"), "holds no models/model.json"),
    "no weights": (
        lambda archive: archive.records.pop("archive/data/weights/model_weights_config.json"),
        "holds no data/weights",
    ),
    "missing weight": (lambda archive: archive.records.pop("archive/data/weights/weight_0"), "no record for tensors"),
    "deep": (record("archive/models/model.json", b"[" * 200_000), "nested too deeply"),
    "key twice": (record("archive/models/model.json", b'{"a": 1, "a": 1}'), "twice"),
    "countless values": (record("archive/models/model.json", b"[" + b"[]," * (2 << 20) + b"1]"), "more than .* values"),
    "wide letters": (record("archive/models/model.json", '["\N{PILE OF POO}"]'.encode()), "not ASCII"),
    "bad text": (record("archive/models/model.json", b"\xff\xfe"), "damaged"),
    "a list": (record("archive/models/model.json", b"[]"), "no graph"),
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


def test_many_records(graph):
    """Opening an archive of very many records takes time in proportion to them."""
    path, archive = graph
    config = "data/weights/model_weights_config.json"
    payload = next(iter(json.loads(archive.records[f"archive/{config}"])["config"].values()))
    size = archive.records[f"archive/data/weights/{payload['path_name']}"]
    more = {f"more_{number}": {**payload, "path_name": f"weight_{number}"} for number in range(1000, 31_000)}
    archive.records |= {f"archive/data/weights/{one['path_name']}": size for one in more.values()}
    archive.edit(config, lambda document: document["config"].update(more))
    archive.write(path / "data" / "model.pt2")
    with (path / "data" / "model.pt2").open("rb") as file:
        started = time.process_time()
        check_archive(file, "many").stitched(file)
        assert time.process_time() - started < 6


def test_large_graphs(graph):
    """A graph of twenty thousand nodes, with the traces that torch writes beside each, is checked in seconds."""
    path, archive = graph

    def enlarge(document: dict[str, Any]) -> None:
        inner = document["graph_module"]["graph"]
        inner["nodes"] = [{**inner["nodes"][0], "metadata": {"stack_trace": "x" * 1500}}] * 20_000

    archive.edit("models/model.json", enlarge)
    archive.write(path / "data" / "model.pt2")
    assert (path / "data" / "model.pt2").stat().st_size > 32 << 20
    with (path / "data" / "model.pt2").open("rb") as file:
        started = time.process_time()
        checked = check_archive(file, "large")
        assert time.process_time() - started < 8
    assert len(json.loads(checked.documents["models/model.json"])["graph_module"]["graph"]["nodes"]) == 20_000


def test_what_is_not_needed_is_left_behind(graph, tmp_path):
    """Sample inputs, guards and traces are not refused, as MLflow writes them, but never reach torch."""
    path, archive = graph
    marker = tmp_path / "marker"
    samples = io.BytesIO()
    torch.save(Touching(str(marker)), samples)
    archive.records["archive/data/sample_inputs/model.pt"] = samples.getvalue()
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
