"""The rules for ``saved_model.pb``: what its graphs may do, and how much they may ask for while they are read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tf_flavor._element_types import SIZES, STRING
from tf_flavor._object_check import check_objects
from tf_flavor._operations import LOADING_OPERATIONS, OPERATIONS, SAVER_OPERATIONS
from tf_flavor._protobuf import parse_message
from tf_flavor._refusing import refuse

__all__ = ["check_graphs", "parse_saved_model"]

_HINT_TRUST = "if you trust where it came from, pass trust=True"
_MAX_NODES = 5_000_000
_MAX_CALL_SIZE = 50_000_000
_MAX_LOADING_SIZE = 1_000_000
_FREE_BYTES = 64 << 20
_ASSET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,200}", re.ASCII)
_ITEM_OVERHEAD = 24  # what a text takes besides its letters
_MAX_SUFFIX = 1000


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a call of a function takes, with all that it calls."""

    operations: int
    nbytes: int  # of constants
    beyond: str  # an operation that is not for loading, if it holds one


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
            name = function.signature.name
            # TensorFlow looks for a function first: a node would not be the operation that it is checked as.
            if name in self.functions or name in OPERATIONS or name in SAVER_OPERATIONS:
                refuse(label, f"it has two functions of one name, or one named like an operation ({name!r:.80})")
            self.functions[name] = function
        self.expanded = 0

    def check(self, assets: frozenset[str], nbytes: int) -> None:
        nodes = list(self.graph.graph_def.node)
        if len(nodes) + sum(len(function.node_def) for function in self.functions.values()) > _MAX_NODES:
            refuse(self.label, f"it has more than {_MAX_NODES:,} nodes")
        savers = self._savers(nodes)
        constants = self._check_nodes(nodes, frozenset(), "its graph")
        sizes: dict[str, int] = {}
        for name, function in self.functions.items():
            allowed = SAVER_OPERATIONS if name in savers else frozenset()
            sizes[name] = sum(self._check_nodes(function.node_def, allowed, f"its function {name!r:.80}").values())
            self._check_attributes(function.attr)
            for attributes in function.arg_attr.values():
                self._check_attributes(attributes.attr)
        self._check_assets(assets)
        objects = check_objects(self.graph.object_graph_def, self.functions, self.label)
        for tensor in objects.tensors:
            self._check_tensor(tensor)
        opened = sum(constants.get(name, 0) for name in objects.constants)
        if max(self.expanded, opened) > nbytes + _FREE_BYTES:
            refuse(self.label, f"its constants come to {max(self.expanded, opened):,} bytes")
        self._check_loading(objects.loading, self._call_costs(sizes), nbytes)

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _savers(self, nodes: list[Any]) -> frozenset[str]:
        """Name the functions that only the saver reaches; one that is reached otherwise, too, is like any other."""
        saver = self.graph.saver_def
        roots = {saver.save_tensor_name.partition(":")[0], saver.restore_op_name}
        found: set[str] = set()
        for node in nodes:
            if node.name in roots and node.op in ("PartitionedCall", "StatefulPartitionedCall") and "f" in node.attr:
                found.add(node.attr["f"].func.name)
        others = [node for node in nodes if node.name not in roots]
        bodies = (node for function in self.functions.values() for node in function.node_def)
        reached = {name for node in (*others, *bodies) for name in _called(node.attr)}
        reached |= set(self.graph.object_graph_def.concrete_functions)
        return frozenset(found - reached)

    def _check_nodes(self, nodes: Any, also: frozenset[str], where: str) -> dict[str, int]:
        """Return how many bytes the constants of each node take."""
        sizes: dict[str, int] = {}
        for node in nodes:
            if node.op not in OPERATIONS and node.op not in also:
                refuse(self.label, f"{where} holds the operation {node.op!r:.80}, which is not allowed", _HINT_TRUST)
            if node.name in sizes:
                refuse(self.label, f"{where} has two nodes of one name")
            sizes[node.name] = self._check_attributes(node.attr)
            if node.op == "FakeParam" and "shape" in node.attr:
                self.expanded += 16 * math.prod(max(0, d.size) for d in node.attr["shape"].shape.dim)
        return sizes

    def _check_attributes(self, attributes: Mapping[str, Any]) -> int:
        return sum(map(self._check_value, attributes.values()))

    def _check_value(self, value: Any) -> int:
        kind = value.WhichOneof("value")
        if kind == "placeholder":
            refuse(self.label, "a value is left to the one who calls")
        if kind == "tensor":
            return self._check_tensor(value.tensor)
        if kind == "func":
            return self._check_attributes(value.func.attr)
        if kind == "list":
            for function in value.list.func:
                self._check_attributes(function.attr)
            return sum(map(self._check_tensor, value.list.tensor))
        return 0

    def _check_tensor(self, tensor: Any) -> int:
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
        nbytes: int = count * itemsize
        if tensor.string_val:
            repeated = max(0, count - len(tensor.string_val)) * len(tensor.string_val[-1])
            nbytes += sum(map(len, tensor.string_val)) + repeated
        self.expanded += nbytes
        if self.expanded > 1 << 40:
            refuse(self.label, f"a constant is of shape {sizes!s:.80}")
        return nbytes

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _call_costs(self, constants: Mapping[str, int]) -> dict[str, _Cost]:
        """Return what each function takes; refuse those that call themselves, or each other until they explode."""
        calls = {
            name: [called for node in function.node_def for called in _called(node.attr)]
            for name, function in self.functions.items()
        }
        costs: dict[str, _Cost] = {}
        for name in _callees_first(calls, self.label):
            body = self.functions[name].node_def
            callees = [costs[called] for called in calls[name] if called in costs]
            costs[name] = _Cost(
                operations=len(body) + sum(callee.operations for callee in callees),
                nbytes=constants[name] + sum(callee.nbytes for callee in callees),
                beyond=next(filter(None, (_not_for_loading(body), *(callee.beyond for callee in callees))), ""),
            )
            if costs[name].operations > _MAX_CALL_SIZE:
                refuse(self.label, f"its function {name!r:.80} comes to {costs[name].operations:,} operations")
        return costs

    def _check_loading(self, loading: Sequence[str], costs: Mapping[str, _Cost], nbytes: int) -> None:
        """Refuse functions that run while loading, and do more than make, fill and restore tables."""
        for name in loading:
            if costs[name].beyond:
                rule = f"its function {name!r:.80} would run while the model is loaded, and holds {costs[name].beyond}"
                refuse(self.label, rule, _HINT_TRUST)
        if sum(costs[name].operations for name in loading) > _MAX_LOADING_SIZE:
            refuse(self.label, f"loading it would take more than {_MAX_LOADING_SIZE:,} operations")
        if sum(costs[name].nbytes for name in loading) > nbytes + _FREE_BYTES:
            refuse(self.label, "filling its tables would take more bytes than it has")

    def _check_assets(self, assets: frozenset[str]) -> None:
        for asset in self.graph.asset_file_def:
            if not _ASSET.fullmatch(asset.filename) or asset.filename not in assets:
                refuse(self.label, f"it names {asset.filename!r:.80} as an asset, which is no file of its assets")


def _not_for_loading(body: Any) -> str:
    """Return the name of an operation that must not run while loading, if there is one."""
    # The names under which tables are saved: a short constant is appended to what is given.
    suffixes = {node.name for node in body if node.op == "Const" and _is_short_text(node)}
    for node in body:
        if node.op in ("Add", "AddV2"):
            if not any(given.partition(":")[0] in suffixes for given in node.input):
                return str(node.op)
        elif node.op not in LOADING_OPERATIONS:
            return str(node.op)
    return ""


def _is_short_text(node: Any) -> bool:
    tensor = node.attr["value"].tensor if "value" in node.attr else None
    return (
        tensor is not None
        and tensor.dtype == STRING
        and not tensor.tensor_shape.dim
        and sum(map(len, tensor.string_val)) <= _MAX_SUFFIX
    )


def _called(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Name the functions that a node calls."""
    for value in attributes.values():
        kind = value.WhichOneof("value")
        for function in (value.func,) if kind == "func" else value.list.func if kind == "list" else ():
            yield function.name
            yield from _called(function.attr)


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
