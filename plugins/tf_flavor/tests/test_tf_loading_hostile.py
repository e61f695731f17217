"""SavedModels made to work while they are loaded: to run a loop, to repeat what they hold, to be read in two ways."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.errors import UnsafeModel
from tf_flavor import _object_check, _protobuf, saved_models
from tf_flavor._constant_folding import LEAVES
from tf_flavor._operations import ELEMENTWISE, NEVER_FOLDED, OPERATIONS
from tf_flavor._tensor_bundle import check_checkpoint

SECTION = {"saved_model_dir": "tf2model", "model_type": "tf2-module"}
BILLION = 1_500_000_000


def make_module(tf: Any) -> Any:
    """Return a module with tables, a list, a text, a loop that nothing calls, and a shape computed from constants."""

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = (tf.Variable(np.ones((4, 7), "f4")) for _ in range(2))
            keys = tf.constant([1, 2], tf.int64)
            self.fixed = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, keys), 0)
            self.table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, 0)
            self.items, self.words = [tf.Variable(1.0)], tf.constant(["a", "b"])

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)], autograph=False)
        def __call__(self, x: Any) -> Any:
            width = tf.cast(tf.reduce_sum(tf.fill(tf.constant([7]), 1.0)), tf.int32)
            found = self.fixed.lookup(tf.constant([1], tf.int64)) + self.table.lookup(tf.constant([1], tf.int64))
            number = tf.cast(found, tf.float32) + tf.cast(tf.strings.length(self.words[0]), tf.float32)
            return tf.reshape(x @ self.first + self.second[0], [-1, width]) + number

        @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
        def loop(self, text: Any) -> Any:
            return tf.while_loop(lambda i: i >= 0, lambda i: [i + 1], [tf.strings.length(text)])[0]

    return Module()


@pytest.fixture
def folder(tf, tmp_path) -> Path:
    """An honest SavedModel."""
    tf.saved_model.save(make_module(tf), str(tmp_path / "tf2model"))
    return tmp_path / "tf2model"


@pytest.fixture
def refused(tmp_path, load) -> Callable[[], str]:
    """Open the directory, which must be refused at once; return the text of the error."""

    def opener() -> str:
        started = time.monotonic()
        with pytest.raises(UnsafeModel) as caught:
            load(saved_models, tmp_path, SECTION)
        assert time.monotonic() - started < 5
        return str(caught.value)

    return opener


def change_graph(folder: Path, change: Callable[[Any], object]) -> None:
    """Change the graph of a SavedModel."""
    from tensorflow.core.protobuf import saved_model_pb2

    file = folder / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(message.meta_graphs[0])
    file.write_bytes(message.SerializeToString())


def test_honest(tf, folder, tmp_path, load):
    """The model opens before it is spoilt."""
    assert np.array_equal(load(saved_models, tmp_path, SECTION)(tf.ones((1, 4))), np.full((1, 7), 7.0))


# -- what runs while loading -----------------------------------------------------------------------------------------


def _objects(graph: Any, kind: str) -> Iterator[Any]:
    return (node for node in graph.object_graph_def.nodes if node.WhichOneof("kind") == kind)


def _child(graph: Any, name: str) -> int:
    return next(c.node_id for node in graph.object_graph_def.nodes for c in node.children if c.local_name == name)


def _loop_that_saves(graph: Any) -> None:
    saveable = graph.object_graph_def.nodes[0].saveable_objects["x"]
    saveable.save_function = saveable.restore_function = _child(graph, "loop")


def _object_that_saves(graph: Any) -> None:
    graph.object_graph_def.nodes[0].saveable_objects["x"].save_function = 0


def _call_in_place_of(registered_name: str) -> Callable[[Any], None]:
    def change(graph: Any) -> None:
        holder = graph.object_graph_def.nodes.add()
        holder.user_object.identifier = "_generic_user_object"
        holder.children.add(node_id=_child(graph, "loop"), local_name="__call__")
        table = next(node for node in _objects(graph, "resource") if node.registered_name == registered_name)
        child = next(child for child in table.children if child.local_name == "_initialize")
        child.node_id = len(graph.object_graph_def.nodes) - 1

    return change


def _loop_as_dependency(graph: Any) -> None:
    node = graph.object_graph_def.nodes[_child(graph, "items")]
    node.registered_name = "tf.StaticHashTable"
    node.dependencies.add(node_id=_child(graph, "loop"), local_name="_create_resource")


def _overridden_method(graph: Any) -> None:
    node = graph.object_graph_def.nodes[0]
    node.children.add(node_id=_child(graph, "loop"), local_name="_gather_saveables_for_checkpoint")


def _filled_again_and_again(graph: Any) -> None:
    table = next(node for node in _objects(graph, "resource") if node.registered_name)
    place = next(child.node_id for child in table.children if child.local_name == "_initialize")
    (name,) = graph.object_graph_def.nodes[place].function.concrete_functions
    node = next(f for f in graph.graph_def.library.function if f.signature.name == name).node_def.add(name="large")
    node.op, node.attr["value"].tensor.dtype = "Const", 7
    node.attr["value"].tensor.string_val.append(b"x" * 1_000_000)
    for _ in range(200):
        graph.object_graph_def.nodes.add().CopyFrom(table)


def _function_like_an_operation(graph: Any) -> None:
    graph.graph_def.library.function.add().signature.name = "Identity"


# -- what is repeated ------------------------------------------------------------------------------------------------


def _constant(graph: Any, operation: str = "Const") -> Any:
    return next(n for n in graph.graph_def.node if n.op == operation and n.attr["dtype"].type == 7)


def _long_text(graph: Any) -> None:
    tensor = _constant(graph).attr["value"].tensor
    tensor.CopyFrom(type(tensor)(dtype=7, string_val=[b"a", b"x" * 100_000]))
    tensor.tensor_shape.dim.add(size=100_000)


def _constant_again_and_again(graph: Any) -> None:
    node = graph.graph_def.node.add(name="shared", op="Const")
    node.attr["value"].tensor.dtype = 7
    node.attr["value"].tensor.string_val.append(b"x" * 1_000_000)
    for _ in range(200):
        graph.object_graph_def.nodes.add().constant.operation = "shared"


def _numpy_argument(graph: Any) -> None:
    function = next(iter(graph.object_graph_def.concrete_functions.values()))
    tensor = function.canonicalized_input_signature.tuple_value.values.add().list_value.values.add().numpy_value
    tensor.dtype, tensor.float_val[:] = 1, [1]
    tensor.tensor_shape.dim.add(size=BILLION)


def _bounded_argument(graph: Any) -> None:
    spec = next(_objects(graph, "function")).function.function_spec
    limits = spec.input_signature.dict_value.fields["x"].bounded_tensor_spec_value
    limits.minimum.dtype, limits.minimum.float_val[:] = 1, [1]
    limits.minimum.tensor_shape.dim.add(size=BILLION)
    limits.maximum.CopyFrom(limits.minimum)


def _registered_argument(graph: Any) -> None:
    function = next(iter(graph.object_graph_def.concrete_functions.values()))
    spec = function.output_signature.named_tuple_value.values.add().value.type_spec_value
    spec.type_spec_class, spec.type_spec_class_name = 12, "mine.Spec"


def _attribute_of_a_call(graph: Any) -> None:
    node = graph.graph_def.library.function[0].node_def.add(name="call", op="PartitionedCall")
    node.attr["f"].func.attr["x"].tensor.dtype = 1
    node.attr["f"].func.attr["x"].tensor.tensor_shape.dim.add(size=BILLION)


def _left_open(graph: Any) -> None:
    graph.graph_def.library.function[0].node_def.add(name="open", op="Const").attr["value"].placeholder = "x"


def _long_list(graph: Any) -> None:
    graph.object_graph_def.nodes[_child(graph, "items")].children.add(node_id=0, local_name=" 1_000_000_000")


def _no_function(graph: Any) -> None:
    next(_objects(graph, "function")).function.concrete_functions.append("nowhere")


def _no_object(graph: Any) -> None:
    next(iter(graph.object_graph_def.concrete_functions.values())).bound_inputs.append(10**6)


SPOILT: dict[str, tuple[Callable[[Any], None], str]] = {
    "loop that saves": (_loop_that_saves, "would run while the model is loaded"),
    "object that saves": (_object_that_saves, "is no function"),
    "object that fills a table": (_call_in_place_of(""), "is no function"),
    "object that fills a fixed table": (_call_in_place_of("tf.StaticHashTable"), "is no function"),
    "loop that makes a table": (_loop_as_dependency, "would run while the model is loaded"),
    "method of TensorFlow's": (_overridden_method, "_gather_saveables_for_checkpoint"),
    "tables filled with the same": (_filled_again_and_again, "filling its tables"),
    "function like an operation": (_function_like_an_operation, "named like an operation"),
    "text repeated": (_long_text, "constants come to"),
    "constant of many objects": (_constant_again_and_again, "constants come to"),
    "array as argument": (_numpy_argument, "constants come to"),
    "limit of an argument": (_bounded_argument, "constants come to"),
    "argument of a class": (_registered_argument, "mine.Spec"),
    "attribute of a call": (_attribute_of_a_call, "constants come to"),
    "value left open": (_left_open, "left to the one who calls"),
    "long list": (_long_list, "its lists come to"),
    "function that is not there": (_no_function, "not there"),
    "object that is not there": (_no_object, "not there"),
}


@pytest.mark.parametrize(("change", "words"), SPOILT.values(), ids=SPOILT.keys())
def test_loading(folder, refused, change, words):
    """A graph that would loop while loading, or take more than its file has bytes, is refused."""
    change_graph(folder, change)
    assert words in refused()


def test_reserved_names(tf):
    """No attribute that TensorFlow's objects have is one that a file may set, but what tables are made with."""
    from tensorflow.python.trackable.autotrackable import AutoTrackable
    from tensorflow.python.trackable.resource import RestoredResource

    names = set(dir(AutoTrackable)) | set(dir(RestoredResource))
    allowed = _object_check._TABLE_METHODS | set(dir(object)) | {"__annotations__", "__module__", "__weakref__"}
    assert not names - _object_check._RESERVED - allowed


# -- what is read in two ways ----------------------------------------------------------------------------------------


def _field(number: int, data: bytes) -> bytes:
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def test_value_given_three_times(folder, refused):
    """Of values that exclude each other the last counts, as for TensorFlow: they are not merged."""
    from tensorflow.core.framework import attr_value_pb2, node_def_pb2

    small, number, large = (attr_value_pb2.AttrValue() for _ in range(3))
    small.tensor.tensor_shape.dim.add(size=0)
    number.i = 1
    large.tensor.dtype, large.tensor.float_val[:] = 1, [1]
    large.tensor.tensor_shape.dim.add(size=BILLION)
    value = b"".join(part.SerializeToString() for part in (small, number, large))
    node = node_def_pb2.NodeDef(name="odd", op="Const").SerializeToString()
    node += _field(5, _field(1, b"value") + _field(2, value))
    file = folder / "saved_model.pb"
    # A second meta graph in the file would be another one: this is appended to the first, field by field.
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    graph = message.meta_graphs.pop().SerializeToString() + _field(2, _field(1, node))
    length = bytes([len(graph) & 127 | 128, len(graph) >> 7 & 127 | 128, len(graph) >> 14])
    file.write_bytes(message.SerializeToString() + bytes([2 << 3 | 2]) + length + graph)
    assert "constants come to" in refused()


def test_schema(tf):
    """Each field that is described has TensorFlow's number, type and choice; each choice is described as a whole."""
    from tensorflow.core.protobuf import saved_model_pb2, tensor_bundle_pb2, trackable_object_graph_pb2

    pairs = [
        (_protobuf._classes()[kind].DESCRIPTOR, module.DESCRIPTOR.message_types_by_name[kind])
        for module, kind in (
            (saved_model_pb2, "SavedModel"),
            (tensor_bundle_pb2, "BundleHeaderProto"),
            (tensor_bundle_pb2, "BundleEntryProto"),
            (trackable_object_graph_pb2, "TrackableObjectGraph"),
        )
    ]
    seen = set()
    while pairs:
        ours, theirs = pairs.pop()
        if ours.name in seen:
            continue
        seen.add(ours.name)
        for field in ours.fields:
            other = theirs.fields_by_name[field.name]
            types = {field.type, field.TYPE_ENUM if field.type == field.TYPE_INT32 else field.type}
            assert (other.number, other.is_repeated) == (field.number, field.is_repeated), field.full_name
            assert other.type in types, field.full_name
            if field.message_type and field.message_type.name != "Nothing":
                pairs.append((field.message_type, other.message_type))
        for choice in ours.oneofs:
            names = {field.name for field in theirs.oneofs_by_name[choice.name].fields}
            assert names == {field.name for field in choice.fields}, choice.full_name
        assert len(ours.oneofs) == len(theirs.oneofs) or ours.name == "TensorInfo"


# -- what is computed while loading ----------------------------------------------------------------------------------


def test_constants_are_not_folded(tf, folder, tmp_path, load):
    """A shape that hangs on a constant of any size is left open while loading, and right when the model is called."""

    def forget_shapes(graph: Any) -> None:
        for function in graph.graph_def.library.function:
            for node in function.node_def:
                node.attr.pop("_output_shapes", None)

    change_graph(folder, forget_shapes)
    assert 7 in _reshaped(tf.saved_model.load(str(folder)))
    model = load(saved_models, tmp_path, SECTION)
    assert _reshaped(model) == [None, None]
    assert model(tf.ones((2, 4))).shape == (2, 7)


def _reshaped(model: Any) -> list[int | None]:
    graph = model.__call__.concrete_functions[0].graph
    return next(o.outputs[0].shape.as_list() for o in graph.get_operations() if o.type == "Reshape")


def test_what_is_known_of_operations(tf):
    """Operations without inputs are known one by one; those on elements have one output of one type."""
    from tensorflow.python.framework import op_def_registry

    definitions = {name: op_def_registry.get(name) for name in OPERATIONS}
    alone = {name for name, definition in definitions.items() if not definition.input_arg}
    assert alone - NEVER_FOLDED - set(LEAVES) == {"NoOp"}
    assert all(len(definitions[name].output_arg) == 1 for name in ELEMENTWISE)
    assert all(name in definitions for name in NEVER_FOLDED | set(LEAVES))


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]
)
def test_pipe(folder, refused, name):
    """A pipe in place of a file is refused: reading it would never end."""
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert name in refused()


def test_pipe_after_the_list(folder, refused, monkeypatch):
    """So is one that takes a file's place after the files were listed."""
    shard = folder / "variables" / "variables.data-00000-of-00001"
    shard.unlink()
    os.mkfifo(shard)
    monkeypatch.setattr(Path, "is_file", lambda path: not path.is_dir())
    assert "no regular file" in refused()


def _number(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + _number(value >> 7)


def _table(entries: list[tuple[int, bytes, bytes]]) -> bytes:
    """Return a table of one block: entries are how much a key shares with the one before, its rest, and a value."""
    trailer = b"\0" * 5
    one_restart = b"\0\0\0\0\1\0\0\0"
    body = b"".join(_number(s) + _number(len(rest)) + _number(len(v)) + rest + v for s, rest, v in entries)
    block, about = body + one_restart, one_restart
    place = _number(0) + _number(len(block))
    index = _number(0) + _number(1) + _number(len(place)) + b"\xff" + place + one_restart
    places = [(len(block) + 5, len(about)), (len(block) + 5 + len(about) + 5, len(index))]
    footer = b"".join(_number(number) for handle in places for number in handle).ljust(40, b"\0")
    magic = (0xDB4775248B80FB57).to_bytes(8, "little")
    return block + trailer + about + trailer + index + trailer + footer + magic


HEADER = b"\x08\x01\x1a\x02\x08\x01"


def _entry(offset: int, *, size: int = 8, dtype: int = 1) -> bytes:
    from tensorflow.core.protobuf import tensor_bundle_pb2

    entry = tensor_bundle_pb2.BundleEntryProto(dtype=dtype, offset=offset, size=size)
    if dtype == 1:
        entry.shape.dim.add(size=size // 4)
    return entry.SerializeToString()


def _check(tmp_path: Path, entries: list[tuple[int, bytes, bytes]], data: bytes = bytes(32)) -> int:
    (tmp_path / "shard").write_bytes(data)
    with (tmp_path / "shard").open("rb") as stream:
        return check_checkpoint(_table(entries), {"variables/variables.data-00000-of-00001": stream}, "m")


def test_checkpoint(tmp_path):
    """A table that is written here is read, and its tensors are counted."""
    assert _check(tmp_path, [(0, b"", HEADER), (0, b"a", _entry(0)), (0, b"b", _entry(8))]) == 16


@pytest.mark.parametrize("offset", [0, 4, 7])
def test_tensors_that_overlap(tmp_path, offset):
    """Tensors that share bytes are refused: a small file would fill any memory."""
    with pytest.raises(UnsafeModel, match="share bytes"):
        _check(tmp_path, [(0, b"", HEADER), (0, b"a", _entry(0)), (0, b"b", _entry(offset))])


@pytest.mark.parametrize(("length", "count"), [(1_000_000, 1), (4000, 3000)])
def test_names_that_share_their_start(tmp_path, length, count):
    """Keys that are long, or that share so much that they come to far more than the file has, are refused."""
    entries = [(0, b"", HEADER), (0, b"a" * length, _entry(0))]
    entries += [(length - 4, b"%04d" % place, _entry(0, size=0)) for place in range(count)]
    entries[1] = (0, b" " * length, _entry(0))
    with pytest.raises(UnsafeModel, match="names are too long"):
        _check(tmp_path, entries)


@pytest.mark.parametrize(
    ("objects", "words"), [({"keys": "aa"}, "share a tensor"), ({"keys": "a", "saver": "x"}, "somebody registered")]
)
def test_objects_of_a_checkpoint(tf, tmp_path, objects, words):
    """Objects that are restored from the same tensor, or by somebody's class, are refused."""
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    for key in objects["keys"]:
        graph.nodes.add().attributes.add(checkpoint_key=key)
    if "saver" in objects:
        graph.nodes[0].registered_saver.name = objects["saver"]
    data = graph.SerializeToString()
    text = _number(len(data)) + bytes(4) + data
    entry = _entry(0, size=len(text), dtype=7)
    with pytest.raises(UnsafeModel, match=words):
        _check(tmp_path, [(0, b"", HEADER), (0, b"_CHECKPOINTABLE_OBJECT_GRAPH", entry)], text)
