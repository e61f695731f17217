"""SavedModels that somebody made to do harm: each is refused with an error that names the file and the rule."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.errors import InvalidModelFile, UnsafeModel, UnsafePath, UnsupportedModel
from palate.hookspecs import SaveOptions
from tf_flavor import _saved_model_loading, saved_models
from tf_flavor._imports import import_tensorflow
from tf_flavor._operations import OPERATIONS, SAVER_OPERATIONS

SECTION = {"saved_model_dir": "tf2model", "model_type": "tf2-module"}


def make_module(tf: Any, body: Callable[[Any], Any]) -> Any:
    """Return a module whose call multiplies, then does what *body* does."""

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(np.ones((4, 2), "f4"))

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)], autograph=False)
        def __call__(self, x: Any) -> Any:
            return body(x @ self.weights)

    return Module()


@pytest.fixture
def graph_file(tf, tmp_path) -> Path:
    """The graph of an honest model, to be spoilt."""
    tf.saved_model.save(make_module(tf, lambda x: x), str(tmp_path / "tf2model"))
    return tmp_path / "tf2model" / "saved_model.pb"


@pytest.fixture
def refused(tmp_path, load) -> Callable[..., str]:
    """Open the directory, which must be refused without a trace; return the text of the error."""

    def opener() -> str:
        started = time.monotonic()
        with pytest.raises(UnsafeModel) as caught:
            load(saved_models, tmp_path, SECTION)
        assert time.monotonic() - started < 5
        assert not (tmp_path / "marker").exists()
        return str(caught.value)

    return opener


def change_graph(file: Path, change: Callable[[Any], object]) -> None:
    """Change the graph in a file."""
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(message.meta_graphs[0])
    file.write_bytes(message.SerializeToString())


def function_of(graph: Any) -> Any:
    """Return the function that multiplies."""
    return next(f for f in graph.graph_def.library.function if any(n.op == "MatMul" for n in f.node_def))


# -- what a graph does -----------------------------------------------------------------------------------------------


def _loop_of_writes(tf: Any, path: str, x: Any) -> Any:
    def body(i: Any) -> Any:
        tf.io.write_file(path, "x")
        return i + 1

    tf.while_loop(lambda i: i < 2, body, [tf.constant(0)])
    return x


def _queue_of_files(tf: Any, path: str, x: Any) -> Any:
    reader = tf.raw_ops.WholeFileReaderV2(container="", shared_name="")
    queue = tf.raw_ops.FIFOQueueV2(component_types=[tf.string])
    tf.raw_ops.QueueEnqueueV2(handle=queue, components=[tf.constant([path])])
    tf.raw_ops.ReaderReadV2(reader_handle=reader, queue_handle=queue)
    return x


def _table_of_a_file(tf: Any, path: str, x: Any) -> Any:
    table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
    tf.raw_ops.InitializeTableFromTextFileV2(
        table_handle=table, filename=path, key_index=-2, value_index=-1, vocab_size=-1, delimiter="\t"
    )
    return x


BODIES: dict[str, tuple[Callable[[Any, str, Any], Any], str]] = {
    "write a file": (lambda tf, p, x: (tf.io.write_file(p, "x"), x)[1], "WriteFile"),
    "read a file": (lambda tf, p, x: (tf.io.read_file(p), x)[1], "ReadFile"),
    "eager python": (lambda tf, p, x: tf.py_function(lambda y: y, [x], tf.float32), "EagerPyFunc"),
    "python": (lambda tf, p, x: tf.numpy_function(lambda y: y, [x], tf.float32), "PyFunc"),
    "table of a file": (_table_of_a_file, "InitializeTableFromTextFileV2"),
    "queue of files": (_queue_of_files, "WholeFileReaderV2"),
    "list of files": (lambda tf, p, x: (tf.io.matching_files("/etc/*"), x)[1], "MatchingFiles"),
    "debugger": (lambda tf, p, x: tf.raw_ops.DebugIdentityV2(input=x, debug_urls=[f"file://{p}"]), "DebugIdentityV2"),
    "loop of writes": (_loop_of_writes, "WriteFile"),
    "printing": (lambda tf, p, x: (tf.print(x, output_stream=f"file://{p}"), x)[1], "PrintV2"),
    "mapped file": (
        lambda tf, p, x: (tf.raw_ops.ImmutableConst(dtype=tf.float32, shape=[2], memory_region_name=p), x)[1],
        "ImmutableConst",
    ),
    "dataset": (
        lambda tf, p, x: (tf.raw_ops.TFRecordDataset(filenames=p, compression_type="", buffer_size=0), x)[1],
        "TFRecordDataset",
    ),
    "checkpoint": (
        lambda tf, p, x: (tf.raw_ops.SaveV2(prefix=p, tensor_names=["x"], shape_and_slices=[""], tensors=[x]), x)[1],
        "SaveV2",
    ),
    "restored": (
        lambda tf, p, x: tf.raw_ops.RestoreV2(prefix=p, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32])[
            0
        ],
        "RestoreV2",
    ),
}


@pytest.mark.parametrize(("body", "operation"), BODIES.values(), ids=BODIES.keys())
def test_operation(tf, tmp_path, refused, body, operation):
    """An operation that reads, writes, sends or calls back is refused, wherever in the graph it hangs."""
    module = make_module(tf, lambda x: body(tf, str(tmp_path / "marker"), x))
    tf.saved_model.save(module, str(tmp_path / "tf2model"))
    text = refused()
    assert "tf2model/saved_model.pb" in text
    assert operation in text


@pytest.mark.parametrize(("body", "operation"), BODIES.values(), ids=BODIES.keys())
def test_operation_is_refused_at_save(tf, tmp_path, body, operation):
    """A module that does so cannot be saved: nobody could open it without trust."""
    module = make_module(tf, lambda x: body(tf, str(tmp_path / "marker"), x))
    with pytest.raises(UnsupportedModel, match=operation):
        saved_models.save_model(model=module, path=tmp_path, options=SaveOptions(format="saved_model"))


def test_lists_do_not_overlap():
    """What only the saver may do is not among what every graph may do; nothing known to be harmful is."""
    assert not OPERATIONS & SAVER_OPERATIONS
    harmful = "File Dataset Reader PyFunc Debug Print Summary Queue Save Restore Send Recv Remote Rpc Xla Iterator"
    assert not [name for name in OPERATIONS if any(word in name for word in harmful.split())]


def test_every_operation_exists(tf):
    """Each listed operation is one of TensorFlow's: a name with a typing error would refuse honest models."""
    from tensorflow.python.framework import op_def_registry

    assert not [name for name in OPERATIONS | SAVER_OPERATIONS if op_def_registry.get(name) is None]


# -- spoilt messages -------------------------------------------------------------------------------------------------


def _call_itself(graph: Any) -> None:
    function = function_of(graph)
    node = function.node_def.add(name="again", op="PartitionedCall")
    node.attr["f"].func.name = function.signature.name


def _explode(graph: Any) -> None:
    library = graph.graph_def.library
    for level in range(40):
        function = library.function.add()
        function.signature.name = f"level{level}"
        for place in range(2):
            node = function.node_def.add(name=f"n{place}", op="PartitionedCall" if level else "NoOp")
            if level:
                node.attr["f"].func.name = f"level{level - 1}"


def _reach_the_saver(graph: Any) -> None:
    restoring = next(n for n in graph.graph_def.node if n.name == graph.saver_def.restore_op_name)
    node = function_of(graph).node_def.add(name="restore", op="StatefulPartitionedCall")
    node.attr["f"].func.name = restoring.attr["f"].func.name


def _huge_constant(graph: Any) -> None:
    node = function_of(graph).node_def.add(name="huge", op="Const")
    node.attr["dtype"].type = 1
    node.attr["value"].tensor.dtype = 1
    node.attr["value"].tensor.tensor_shape.dim.add(size=1 << 28)
    node.attr["value"].tensor.float_val.append(1)


def _short_constant(graph: Any) -> None:
    node = function_of(graph).node_def.add(name="short", op="Const")
    node.attr["value"].tensor.dtype = 1
    node.attr["value"].tensor.tensor_shape.dim.add(size=100)
    node.attr["value"].tensor.tensor_content = b"x"


def _resource_constant(graph: Any) -> None:
    function_of(graph).node_def.add(name="handle", op="Const").attr["value"].tensor.dtype = 20


def _loop_while_loading(graph: Any) -> None:
    objects = graph.object_graph_def.nodes
    function = graph.graph_def.library.function.add()
    function.signature.name = "endless"
    function.node_def.add(name="loop", op="While")
    table, call = objects.add(), objects.add()
    table.resource.device = ""
    table.children.add(node_id=len(objects) - 1, local_name="_initialize")
    call.function.concrete_functions.append("endless")
    graph.object_graph_def.concrete_functions["endless"].SetInParent()


def _registered_class(graph: Any) -> None:
    graph.object_graph_def.nodes[0].registered_name = "Custom.Thing"


def _foreign_object(graph: Any) -> None:
    graph.object_graph_def.nodes[0].user_object.identifier = "_evil"


SPOILT: dict[str, tuple[Callable[[Any], object], str]] = {
    "asset outside": (lambda g: g.asset_file_def.add(filename="../../etc/passwd"), "../../etc/passwd"),
    "absolute asset": (lambda g: g.asset_file_def.add(filename="/etc/passwd"), "/etc/passwd"),
    "asset that is not there": (lambda g: g.asset_file_def.add(filename="words.txt"), "words.txt"),
    "unknown operation": (lambda g: function_of(g).node_def.add(name="x", op="EvilOp"), "EvilOp"),
    "operation in an unused function": (
        lambda g: g.graph_def.library.function.add().node_def.add(name="x", op="WriteFile"),
        "WriteFile",
    ),
    "operation in the graph": (lambda g: g.graph_def.node.add(name="x", op="ReadFile"), "ReadFile"),
    "saver reached by the model": (_reach_the_saver, "which is not allowed"),
    "huge constant": (_huge_constant, "constants come to"),
    "short constant": (_short_constant, "a constant of shape"),
    "resource constant": (_resource_constant, "a type"),
    "negative size": (lambda g: _negative(g), "no plain shape"),
    "function calls itself": (_call_itself, "calls itself"),
    "functions explode": (_explode, "operations"),
    "loop while loading": (_loop_while_loading, "holds While"),
    "registered class": (_registered_class, "registered"),
    "object of another library": (_foreign_object, "_evil"),
    "objects out of range": (lambda g: g.object_graph_def.nodes[0].children.add(node_id=10**6), "not there"),
    "written by TensorFlow 1": (lambda g: g.ClearField("object_graph_def"), "TensorFlow 1"),
}


def _negative(graph: Any) -> None:
    node = function_of(graph).node_def.add(name="negative", op="Const")
    node.attr["value"].tensor.dtype = 1
    node.attr["value"].tensor.tensor_shape.dim.add(size=-5)


@pytest.mark.parametrize(("change", "words"), SPOILT.values(), ids=SPOILT.keys())
def test_graph(graph_file, refused, change, words):
    """A graph that asks for what is not there, for too much, or for ever, is refused."""
    change_graph(graph_file, change)
    text = refused()
    assert "tf2model/saved_model.pb" in text
    assert words in text


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04N.", b"\xff" * 100, b"\x08\x01"], ids=["empty", "pickle", "ff", "bare"]
)
def test_no_graph(graph_file, refused, data):
    """What is not a whole message is refused."""
    graph_file.write_bytes(data)
    assert "saved_model.pb" in refused()


def test_graph_cut_off(graph_file, refused):
    """A message that ends early is refused."""
    graph_file.write_bytes(graph_file.read_bytes()[:-40])
    assert "saved_model.pb" in refused()


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["evil.so", "saved_model.pbtxt", "saved_model.cpb", "assets.extra/x", "variables/x", "assets/deep/x"]
)
def test_foreign_file(graph_file, refused, name):
    """A file that is no part of a SavedModel is refused."""
    file = graph_file.parent / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")
    assert name.split("/")[0] in refused()


def test_link(graph_file, refused):
    """A link in place of a file is refused."""
    target = graph_file.parent / "variables" / "variables.data-00000-of-00001"
    target.rename(graph_file.parents[1] / "elsewhere")
    target.symlink_to(graph_file.parents[1] / "elsewhere")
    assert "a link" in refused()


def test_file_replaced_after_the_checks(graph_file, monkeypatch, load, tmp_path):
    """TensorFlow reads the file of numbers that was checked, whatever stands in its place by then."""
    shard = graph_file.parent / "variables" / "variables.data-00000-of-00001"

    def replace() -> Any:
        (tmp_path / "other").write_bytes(b"x")
        (tmp_path / "other").replace(shard)
        return import_tensorflow()

    monkeypatch.setattr(_saved_model_loading, "import_tensorflow", replace)
    model = load(saved_models, tmp_path, SECTION)
    assert shard.read_bytes() == b"x"
    assert np.array_equal(model.weights.numpy(), np.ones((4, 2)))


def test_many_files(graph_file, refused):
    """A checkpoint in more files than a process may well open is refused."""
    for place in range(300):
        (graph_file.parent / "variables" / f"variables.data-{place:05}-of-00300").touch()
    assert "more than" in refused()


def test_asset_is_left_out(tf, tmp_path, load):
    """A model with an asset opens; its file is checked to be there, and nothing can read it."""
    (tmp_path / "words.txt").write_text("a")
    module = make_module(tf, lambda x: x)
    module.words = tf.saved_model.Asset(str(tmp_path / "words.txt"))
    tf.saved_model.save(module, str(tmp_path / "tf2model"))
    assert np.array_equal(load(saved_models, tmp_path, SECTION)(tf.ones((1, 4))), [[4, 4]])


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index"])
def test_missing_file(graph_file, refused, name):
    """A SavedModel without one of its files is refused."""
    (graph_file.parent / name).unlink()
    assert name in refused()


def test_missing_folder(load, tmp_path):
    """A section that names no folder, or one outside, is an error of its own."""
    with pytest.raises(InvalidModelFile):
        load(saved_models, tmp_path, {"model_type": "tf2-module"})
    with pytest.raises(UnsafePath):
        load(saved_models, tmp_path, {"model_type": "tf2-module", "saved_model_dir": "../x"})


# -- checkpoints -----------------------------------------------------------------------------------------------------


def _index(graph_file: Path) -> Path:
    return graph_file.parent / "variables" / "variables.index"


def test_shard_cut_off(graph_file, refused):
    """A tensor that lies beyond the end of its file is refused."""
    shard = graph_file.parent / "variables" / "variables.data-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[:10])
    assert "outside of its file" in refused()


@pytest.mark.parametrize("cut", [0, 47, -1, -48])
def test_index_cut_off(graph_file, refused, cut):
    """An index that is not whole is refused."""
    index = _index(graph_file)
    index.write_bytes(index.read_bytes()[:cut])
    assert "variables.index" in refused()


def test_shape_that_the_bytes_do_not_fill(graph_file, refused):
    """A tensor whose shape is larger than its bytes is refused."""
    index = _index(graph_file)
    # The shape (4, 2) of the variable, as an entry has it.
    changed = index.read_bytes().replace(b"\x12\x02\x08\x04\x12\x02\x08\x02", b"\x12\x02\x08\x7f\x12\x02\x08\x7f", 1)
    assert changed != index.read_bytes()
    index.write_bytes(changed)
    assert "has 32 bytes" in refused()


def test_trust_opens_what_is_refused(tf, tmp_path, load):
    """With trust a graph opens that would be refused without."""
    module = make_module(tf, lambda x: (tf.io.write_file(str(tmp_path / "marker"), "x"), x)[1])
    tf.saved_model.save(module, str(tmp_path / "tf2model"))
    model = load(saved_models, tmp_path, SECTION, trust=True)
    assert not (tmp_path / "marker").exists()
    saved_models.predict(model=model, data=np.ones((1, 4), "f4"), method="predict")
    assert (tmp_path / "marker").exists()
