"""Directories that somebody made to do harm: refused in words, before native code sees them where that can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import onnx
import pytest
import skl2onnx
import yaml
from onnx import TensorProto, helper

import palate
from palate.errors import InvalidModelFile, LoadFailed, ModelChanged, UnsafeModel, UnsafePath, UnsupportedModel

Stranger = Callable[[Path, Any], Path]


@pytest.fixture
def opened_as(tmp_path: Path, sum_model: Any, as_stranger: Stranger) -> Callable[[Any], object]:
    """Return the function that opens a directory in which a stranger has put this graph."""
    palate.save_model(sum_model, tmp_path / "m", signature=None)
    return lambda graph: palate.load_model(as_stranger(tmp_path / "m", graph))


def _changed(model: Any, change: Callable[[Any], object]) -> Any:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    change(copy)
    return copy


def _custom_domain(model: Any) -> None:
    model.graph.node[0].domain = "evil.ops"


def _nested_domain(model: Any) -> None:
    node = helper.make_node("Add", ["a", "a"], ["z"], domain="evil.ops")
    inner = helper.make_graph([node], "inner", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)])
    model.graph.node.append(helper.make_node("If", ["c"], ["v"], then_branch=inner, else_branch=inner))


def _compiled_context(model: Any) -> None:
    model.graph.node[0].domain, model.graph.node[0].op_type = "com.microsoft", "EPContext"


def _function_in_a_known_domain(model: Any) -> None:
    model.functions.add(name="Add", domain="ai.onnx.ml")


def _constant(**changes: Any) -> Callable[[Any], None]:
    def add(model: Any) -> None:
        tensor = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
        for name, value in changes.items():
            tensor.ClearField(name)
            if isinstance(value, list):
                getattr(tensor, name).extend(value)
            else:
                setattr(tensor, name, value)
        model.graph.initializer.append(tensor)

    return add


def _sparse_bomb(model: Any) -> None:
    sparse = model.graph.sparse_initializer.add()
    sparse.dims.extend([10**6, 10**6])
    sparse.values.CopyFrom(helper.make_tensor("s", TensorProto.FLOAT, [1], [1.0]))
    sparse.indices.CopyFrom(helper.make_tensor("i", TensorProto.INT64, [1], [0]))


RULES = {
    _custom_domain: "evil.ops",
    _nested_domain: "evil.ops",
    _compiled_context: "EPContext",
    _function_in_a_known_domain: "function",
    _constant(dims=[10**9]): "as much data",
    _constant(dims=[-2]): "negative",
    _constant(raw_data=b"1"): "as much data",
    _constant(data_type=99): "element type",
    _constant(data_type=8): "as much data",
    _sparse_bomb: "sparse",
}


@pytest.mark.parametrize("change", RULES, ids=lambda change: getattr(change, "__name__", "change"))
def test_broken_rules_are_named(
    tmp_path: Path, sum_model: Any, opened_as: Callable[[Any], object], change: Callable[[Any], object]
) -> None:
    """A graph that breaks a rule is neither opened nor saved, and both errors name the rule."""
    bad = _changed(sum_model, change)
    with pytest.raises(UnsafeModel, match=RULES[change]):
        opened_as(bad)
    with pytest.raises(UnsupportedModel, match=RULES[change]):
        palate.save_model(bad, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


@pytest.fixture(scope="session")
def forest_model(iris: Any) -> Any:
    """Return a random forest as skl2onnx converts it."""
    from sklearn.ensemble import RandomForestClassifier

    rows = iris[0].to_numpy()
    forest = RandomForestClassifier(5, max_depth=4, random_state=0).fit(rows, iris[1])
    return skl2onnx.to_onnx(forest, rows[:1], target_opset=17)


@pytest.mark.parametrize(
    ("attribute", "position", "value"),
    [
        ("nodes_truenodeids", 45, 0),
        ("nodes_truenodeids", 3, 2),
        ("nodes_falsenodeids", 3, 3),
        ("nodes_truenodeids", 3, 6),
        ("nodes_truenodeids", 0, 10**6),
        ("nodes_falsenodeids", 0, -1),
        ("nodes_nodeids", 3, 0),
        ("nodes_treeids", 3, 1),
    ],
)
def test_walks_through_trees_end(
    forest_model: Any, opened_as: Callable[[Any], object], attribute: str, position: int, value: int
) -> None:
    """A node that is its own ancestor, two nodes' child or not there is refused: onnxruntime would walk for ever."""

    def change(model: Any) -> None:
        [found] = [given for given in model.graph.node[0].attribute if given.name == attribute]
        found.ints[position] = value

    opened_as(forest_model)
    with pytest.raises(UnsafeModel, match="TreeEnsembleClassifier"):
        opened_as(_changed(forest_model, change))


@pytest.mark.parametrize(("yes", "refused"), [(1, False), (0, True), (2, True), (-1, True)])
def test_walks_through_trees_by_position_end(
    build: Callable[..., Any], opened_as: Callable[[Any], object], yes: int, refused: bool
) -> None:
    """The same for the operator of ai.onnx.ml 5, whose nodes are known by their positions."""
    lists = {
        "nodes_featureids": [0, 0],
        "nodes_truenodeids": [yes, 0],
        "nodes_trueleafs": [0, 1],
        "nodes_falsenodeids": [2, 1],
        "nodes_falseleafs": [1, 1],
        "tree_roots": [0],
        "leaf_targetids": [0, 0, 0],
    }
    tensors = {
        "nodes_splits": helper.make_tensor("s", TensorProto.FLOAT, [2], [0.5, 0.2]),
        "nodes_modes": helper.make_tensor("m", TensorProto.UINT8, [2], [0, 0]),
        "leaf_weights": helper.make_tensor("w", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0]),
    }
    node = helper.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", n_targets=1, **lists, **tensors)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 1]) for name in ("x", "y")]
    model = build([node], ends[:1], ends[1:], imports=[helper.make_opsetid("ai.onnx.ml", 5)])
    if not refused:
        opened_as(model)
        return
    with pytest.raises(UnsafeModel, match="TreeEnsemble"):
        opened_as(model)


def test_functions_of_the_model_itself_are_opened(
    sum_model: Any, build: Callable[..., Any], opened_as: Callable[[Any], Any]
) -> None:
    """An operator that the model itself defines, of known ones, is no foreign one."""
    own = [helper.make_opsetid("mine", 1)]
    body = [helper.make_node("Add", ["x", "x"], ["y"])]
    twice = helper.make_function("mine", "Twice", ["x"], ["y"], body, [helper.make_opsetid("", 17)])
    nodes = [helper.make_node("Twice", ["a"], ["total"], domain="mine")]
    ends = [sum_model.graph.input[0], sum_model.graph.output[0]]
    model = opened_as(build(nodes, ends[:1], ends[1:], imports=own, functions=[twice]))
    assert model.predict({"a": numpy.ones(2, "float32")})["total"].tolist() == [2, 2]


@pytest.mark.parametrize("content", [b"", b"\x08", b"\xff" * 100, b"\0\0\0\0ORTM" + b"\0" * 64, b"{}", b"PK\x03\x04"])
def test_what_is_no_model_is_refused(opened_as: Callable[[Any], object], content: bytes) -> None:
    """Other files, and onnxruntime's own binary format, do not reach onnxruntime as a model."""
    with pytest.raises((UnsafeModel, LoadFailed)):
        opened_as(content)


def test_unknown_fields_are_refused(sum_model: Any, opened_as: Callable[[Any], object]) -> None:
    """What this onnx does not know, nobody has checked: another reader may know it."""
    with pytest.raises(UnsafeModel, match="does not know"):
        opened_as(sum_model.SerializeToString() + b"\xfa\x7f\x04evil")


@pytest.fixture
def external(tmp_path: Path, matrix_model: Any) -> Path:
    """Return a directory with weights of their own, and a secret beside it."""
    palate.save_model(matrix_model, tmp_path / "m", save_as_external_data=True)
    (tmp_path / "secret").write_bytes(b"s" * 20000)
    return tmp_path / "m"


def _refer(path: Path, **place: str) -> Any:
    """Return the graph of a directory with another place for its weights."""
    model = onnx.load(path / "model.onnx", load_external_data=False)
    tensor = model.graph.initializer[0]
    known = {entry.key: entry.value for entry in tensor.external_data}
    tensor.ClearField("external_data")
    for key, value in {**known, **place}.items():
        tensor.external_data.add(key=key, value=value)
    return model


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "link", "missing", "a/../../secret", "", "x\0y", "."])
def test_weights_stay_in_their_directory(external: Path, as_stranger: Stranger, location: str) -> None:
    """A place outside of the directory, a link out of it and a file that is not there are refused before onnx looks."""
    (external / "link").symlink_to(external.parent / "secret")
    with pytest.raises(ModelChanged if location == "missing" else UnsafePath):
        palate.load_native(as_stranger(external, _refer(external, location=location)))


@pytest.mark.parametrize(
    "place",
    [{"offset": "1"}, {"offset": "-1"}, {"offset": str(2**70)}, {"length": "11999"}, {"length": "x"}, {"offset": "٣"}],
)
def test_weights_are_inside_of_their_file(external: Path, as_stranger: Stranger, place: dict[str, str]) -> None:
    """An offset or a length that does not fit file and shape is refused."""
    with pytest.raises(UnsafeModel, match="inside its file"):
        palate.load_native(as_stranger(external, _refer(external, **place)))


def test_short_weights_are_refused(external: Path, as_stranger: Stranger) -> None:
    """A file of weights that was cut is refused, and so is an empty one."""
    graph = _refer(external)
    for content in (b"s" * 11999, b""):
        (external / "model.onnx.data").write_bytes(content)
        with pytest.raises(UnsafeModel):
            palate.load_native(as_stranger(external, graph))


def test_named_file_stays_in_the_directory(tmp_path: Path, sum_model: Any, as_stranger: Stranger) -> None:
    """The section of MLmodel may name an ordinary file of the directory, and nothing else."""
    palate.save_model(sum_model, tmp_path / "m")
    (tmp_path / "outside.onnx").write_bytes(sum_model.SerializeToString())
    as_stranger(tmp_path / "m", sum_model)
    document = yaml.safe_load((tmp_path / "m" / "MLmodel").read_text(encoding="utf-8"))
    for data in ("../outside.onnx", str(tmp_path / "outside.onnx"), 7, ["model.onnx"]):
        document["flavors"]["onnx"]["data"] = data
        (tmp_path / "m" / "MLmodel").write_text(yaml.safe_dump(document), encoding="utf-8")
        with pytest.raises((UnsafePath, InvalidModelFile)):
            palate.load_native(tmp_path / "m", flavor="onnx")


def test_graphs_that_need_too_much_end_with_an_error(
    tmp_path: Path, build: Callable[..., Any], run_child: Callable[..., str]
) -> None:
    """Under a limit of memory, a graph that asks for 16 TB is an error, wherever it asks, and the process goes on."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [1], [2**42])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows"]) for name in ("x", "y")]
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["large"]), helper.make_node("Add", ["x", "large"], ["y"])]
    palate.save_model(build(nodes, ends[:1], ends[1:], [shape]), tmp_path / "large")
    script = """
import resource, sys
import numpy, palate
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
try:
    palate.load_model(sys.argv[1]).predict(numpy.ones(1, "float32"))
except Exception as exc:
    print(type(exc).__name__)
"""
    assert run_child(script, tmp_path / "large").split()[-1] in {"LoadFailed", "Fail", "RuntimeException"}


MUTANTS = """
import random, sys
from collections import Counter
from pathlib import Path
import numpy, palate
directory, seed = Path(sys.argv[1]), int(sys.argv[2])
file = directory / "model.onnx"
original = file.read_bytes()
chance, tally = random.Random(seed), Counter()
for number in range(300):
    content = bytearray(original)
    kind, place = chance.randrange(5), chance.randrange(len(content))
    if kind == 0:
        content[place] ^= 1 << chance.randrange(8)
    elif kind == 1:
        del content[place:]
    elif kind == 2:
        for _ in range(4):
            content[chance.randrange(len(content))] = chance.randrange(256)
    elif kind == 3:
        del content[place : place + chance.randrange(1, 9)]
    else:
        content[place:place] = chance.randbytes(chance.randrange(1, 9))
    file.write_bytes(content)
    print(number, file=sys.stderr, flush=True)
    try:
        model = palate.load_model(directory)
    except palate.errors.PalateError:
        tally["refused"] += 1
        continue
    try:
        model.predict(numpy.ones((2, 4), "float32"))
        tally["opened"] += 1
    except Exception as exc:  # onnxruntime has errors of its own for what a graph does when it runs
        tally["failed"] += 1
print(tally["refused"], tally["opened"] + tally["failed"])
"""

NUMBERS = """
import random, sys
from pathlib import Path
import numpy, onnx, palate
directory, seed = Path(sys.argv[1]), int(sys.argv[2])
file, original = directory / "model.onnx", onnx.load(directory / "model.onnx")
odd, chance, refused = [0, 1, -1, 2, 100, 2**31 - 1, -(2**31), 2**40, -(2**63), 2**63 - 1], random.Random(seed), 0
for number in range(300):
    model = onnx.ModelProto()
    model.CopyFrom(original)
    lists = [values for node in model.graph.node for a in node.attribute for values in (a.ints, a.floats) if values]
    lists += [tensor.dims for tensor in model.graph.initializer]
    for _ in range(chance.choice([1, 1, 3])):
        values = chance.choice(lists)
        if values:
            place = chance.randrange(len(values))
            change = chance.randrange(3)
            if change == 0:
                values[place] = chance.choice(odd)
            elif change == 1:
                values[place] = values[chance.randrange(len(values))]
            else:
                del values[place]
    file.write_bytes(model.SerializeToString())
    print(number, file=sys.stderr, flush=True)
    try:
        loaded = palate.load_model(directory)
    except palate.errors.PalateError:
        refused += 1
        continue
    try:
        loaded.predict(numpy.ones((2, 4), "float32"))
    except Exception:  # see above
        pass
print(refused, 300 - refused)
"""


@pytest.mark.parametrize("script", [MUTANTS, NUMBERS], ids=["bytes", "numbers"])
@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_mutants_do_not_crash(
    tmp_path: Path,
    iris_model: Any,
    forest_model: Any,
    as_stranger: Stranger,
    run_child: Callable[..., str],
    kind: str,
    script: str,
) -> None:
    """Graphs with changed bytes, or changed numbers of operators, are opened or refused with an error of Palate's."""
    model = iris_model if kind == "linear" else forest_model
    palate.save_model(model, tmp_path / "m")
    refused, opened = map(int, run_child(script, as_stranger(tmp_path / "m", model), 7).split())
    assert refused + opened == 300
    assert refused
    assert opened


@pytest.mark.parametrize("kind", ["graph", "session", "loose"])
def test_what_is_no_whole_model_is_not_saved(tmp_path: Path, sum_model: Any, matrix_model: Any, kind: str) -> None:
    """A part of a graph, a session and a graph without its weights are refused, with what to give instead."""
    given: Any = sum_model.graph
    if kind == "session":
        import onnxruntime

        given = onnxruntime.InferenceSession(sum_model.SerializeToString(), providers=["CPUExecutionProvider"])
    elif kind == "loose":
        onnx.save_model(matrix_model, tmp_path / "g.onnx", save_as_external_data=True, size_threshold=0)
        given = onnx.load(tmp_path / "g.onnx", load_external_data=False)
    with pytest.raises(UnsupportedModel, match=r"onnx\.load"):
        palate.save_model(given, tmp_path / "m")


def test_nothing_needs_trust(tmp_path: Path, sum_model: Any) -> None:
    """A graph carries no code, so opening it needs no trust, and what is not promised is written down."""
    info = palate.save_model(sum_model, tmp_path / "m")
    assert info.trust_needed is False
