"""The rules for ``saved_model.pb``: what its graphs may do, and how much they may ask for while they are read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tf_flavor._element_types import SIZES, STRING
from tf_flavor._operations import LOADING_OPERATIONS, OPERATIONS, SAVER_OPERATIONS
from tf_flavor._protobuf import parse_message
from tf_flavor._refusing import refuse

__all__ = ["check_graphs", "parse_saved_model"]

_HINT_TRUST = "if you trust where it came from, pass trust=True"
_MAX_NODES = 5_000_000
_MAX_CALL_SIZE = 50_000_000
_FREE_BYTES = 64 << 20
_ASSET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,200}", re.ASCII)
# Kinds of objects that TensorFlow itself revives; for others it would ask what other libraries registered.
_IDENTIFIERS = re.compile(
    r"_generic_user_object|signature_map|trackable_(list|dict|tuple|set)_wrapper|_tf_keras_[a-z_]+|optimizer|", re.ASCII
)
_REGISTERED = frozenset(("", "tf.StaticHashTable", "tf.TrackableConstant"))
_OBJECT_KINDS = frozenset(
    "user_object variable function bare_concrete_function constant resource asset captured_tensor".split()
)
_ITEM_OVERHEAD = 24  # what a text takes besides its letters


def parse_saved_model(data: bytes, label: str) -> Any:
    """Return the message in ``saved_model.pb``.

    Raises:
        UnsafeModel: it is not whole.
    """
    message = parse_message("SavedModel", data)
    if message is None:
        refuse(label, "it is not a whole SavedModel")
    if message.saved_model_schema_version != 1 or len(message.meta_graphs) != 1:
        refuse(label, "it is not a SavedModel of one graph, as TensorFlow 2 writes it")
    if not message.meta_graphs[0].HasField("object_graph_def"):
        refuse(label, "it was written by TensorFlow 1, whose graphs run when they are loaded", _HINT_TRUST)
    return message


def check_graphs(message: Any, label: str, *, assets: frozenset[str], nbytes: int) -> None:
    """Check every node of every graph and function.

    Args:
        message: what ``parse_saved_model`` returned.
        label: what the file is called in errors.
        assets: the names of the files beside the model that it may read.
        nbytes: the size of the file, and of the tensors beside it.
    """
    _Checker(message.meta_graphs[0], label).check(assets, nbytes)


class _Checker:
    def __init__(self, graph: Any, label: str) -> None:
        self.graph, self.label = graph, label
        self.functions: dict[str, Any] = {}
        for function in graph.graph_def.library.function:
            if function.signature.name in self.functions:
                refuse(label, "it has two functions of one name")
            self.functions[function.signature.name] = function
        self.expanded = 0

    def check(self, assets: frozenset[str], nbytes: int) -> None:
        nodes = list(self.graph.graph_def.node)
        if len(nodes) + sum(len(function.node_def) for function in self.functions.values()) > _MAX_NODES:
            refuse(self.label, f"it has more than {_MAX_NODES:,} nodes")
        savers = self._savers(nodes)
        self._check_nodes(nodes, frozenset(), "its graph")
        for name, function in self.functions.items():
            allowed = SAVER_OPERATIONS if name in savers else frozenset()
            self._check_nodes(function.node_def, allowed, f"its function {name!r:.80}")
        if self.expanded > nbytes + _FREE_BYTES:
            refuse(self.label, f"its constants come to {self.expanded:,} bytes")
        self._check_calls()
        self._check_assets(assets)
        self._check_objects()

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _savers(self, nodes: list[Any]) -> frozenset[str]:
        """Name the functions that only the saver reaches; one that is reached otherwise, too, is like any other."""
        saver = self.graph.saver_def
        roots = {saver.save_tensor_name.partition(":")[0], saver.restore_op_name}
        found: set[str] = set()
        for node in nodes:
            if node.name in roots and node.op in ("PartitionedCall", "StatefulPartitionedCall"):
                found.add(node.attr["f"].func.name)
        others = [node for node in nodes if node.name not in roots]
        bodies = (node for function in self.functions.values() for node in function.node_def)
        reached = {name for node in (*others, *bodies) for name in _called(node)}
        reached |= set(self.graph.object_graph_def.concrete_functions)
        return frozenset(found - reached)

    def _check_nodes(self, nodes: Any, also: frozenset[str], where: str) -> None:
        for node in nodes:
            if node.op not in OPERATIONS and node.op not in also and node.op not in self.functions:
                refuse(self.label, f"{where} holds the operation {node.op!r:.80}, which is not allowed", _HINT_TRUST)
            for value in node.attr.values():
                self._check_value(value)

    def _check_value(self, value: Any) -> None:
        kind = value.WhichOneof("value")
        if kind == "tensor":
            self._check_tensor(value.tensor)
        elif kind == "list":
            for tensor in value.list.tensor:
                self._check_tensor(tensor)

    def _check_tensor(self, tensor: Any) -> None:
        """Check a constant: TensorFlow repeats the last of too few values, as often as the shape asks for."""
        sizes = [dimension.size for dimension in tensor.tensor_shape.dim]
        if tensor.tensor_shape.unknown_rank or any(size < 0 for size in sizes) or len(sizes) > 254:
            refuse(self.label, "a constant has no plain shape")
        count = math.prod(sizes)
        if tensor.dtype != STRING and tensor.dtype not in SIZES:
            refuse(self.label, f"a constant is of a type ({tensor.dtype}) that no file can hold")
        itemsize = SIZES.get(tensor.dtype, _ITEM_OVERHEAD)
        if tensor.tensor_content and (tensor.dtype == STRING or len(tensor.tensor_content) != count * itemsize):
            refuse(self.label, f"a constant of shape {sizes!s:.80} has {len(tensor.tensor_content):,} bytes")
        self.expanded += count * itemsize
        if self.expanded > 1 << 40:
            refuse(self.label, f"a constant is of shape {sizes!s:.80}")

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _check_calls(self) -> None:
        """Refuse functions that call themselves, or each other so often that they explode, or work while loading."""
        calls = {
            name: [called for node in function.node_def for called in _called(node)]
            for name, function in self.functions.items()
        }
        sizes: dict[str, int] = {}
        beyond: dict[str, str] = {}
        for name in _callees_first(calls, self.label):
            body = self.functions[name].node_def
            sizes[name] = len(body) + sum(sizes.get(called, 0) for called in calls[name])
            own = next((n.op for n in body if n.op not in LOADING_OPERATIONS and n.op not in calls), "")
            beyond[name] = own or next(filter(None, (beyond.get(called) for called in calls[name])), "")
            if sizes[name] > _MAX_CALL_SIZE:
                refuse(self.label, f"its function {name!r:.80} comes to {sizes[name]:,} operations")
        for name in self._run_while_loading():
            if beyond.get(name):
                rule = f"its function {name!r:.80} would run while the model is loaded, and holds {beyond[name]}"
                refuse(self.label, rule, _HINT_TRUST)

    def _run_while_loading(self) -> Iterator[str]:
        """Name the functions that make and fill tables, and those that restore objects of a kind of their own."""
        objects = self.graph.object_graph_def.nodes
        for node in objects:
            children = [child.node_id for child in node.children if node.WhichOneof("kind") == "resource"]
            children += [saveable.restore_function for saveable in node.saveable_objects.values()]
            for child in children:
                if 0 <= child < len(objects):
                    yield from objects[child].function.concrete_functions
                    yield objects[child].bare_concrete_function.concrete_function_name

    # -- objects -------------------------------------------------------------------------------------------------------

    def _check_assets(self, assets: frozenset[str]) -> None:
        for asset in self.graph.asset_file_def:
            if not _ASSET.fullmatch(asset.filename) or asset.filename not in assets:
                refuse(self.label, f"it names {asset.filename!r:.80} as an asset, which is no file of its assets")

    def _check_objects(self) -> None:
        objects = self.graph.object_graph_def.nodes
        for node in objects:
            kind = node.WhichOneof("kind")
            if kind not in _OBJECT_KINDS or node.registered_name not in _REGISTERED or node.registered_saver:
                refuse(self.label, "it holds an object of an unknown kind, or of a class that somebody registered")
            if kind == "user_object" and not _IDENTIFIERS.fullmatch(node.user_object.identifier):
                refuse(self.label, f"it holds a {node.user_object.identifier!r:.80}, which is not TensorFlow's own")
            if any(not 0 <= child.node_id < len(objects) for child in node.children):
                refuse(self.label, "an object refers to one that is not there")


def _called(node: Any) -> Iterator[str]:
    """Name the functions that a node calls: in an attribute, or by being one."""
    yield node.op
    for value in node.attr.values():
        kind = value.WhichOneof("value")
        if kind == "func":
            yield value.func.name
        elif kind == "list":
            for function in value.list.func:
                yield function.name


def _callees_first(calls: Mapping[str, list[str]], label: str) -> list[str]:
    """Return the functions in an order in which each comes after all that it calls."""
    order: list[str] = []
    state: dict[str, int] = {}
    for root in calls:
        stack: list[tuple[str, Iterator[str]]] = []
        if root not in state:
            state[root] = 1
            stack.append((root, iter(calls[root])))
        while stack:
            name, rest = stack[-1]
            called = next((c for c in rest if c in calls), None)
            if called is None:
                state[name] = 2
                order.append(name)
                stack.pop()
            elif state.get(called) == 1:
                refuse(label, f"its function {called!r:.80} calls itself")
            elif called not in state:
                state[called] = 1
                stack.append((called, iter(calls[called])))
    return order
