"""Which programs answer for each row by looking at that row alone, as far as their graphs show it.

What comes from the inputs has its rows along the first axis, from operator to operator: each is one that works along
other axes, or cell by cell. Whatever else a graph does (reductions over the rows, transposed batches, recurrent layers)
is not followed, and then nothing is known.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from torch_flavor._guarded_operators import GUARDED

__all__ = ["mixes_rows"]

# Of one array, or of several cell by cell.
_CELLWISE = frozenset(
    """
    _to_copy abs add clamp clamp_max clamp_min clone contiguous cos detach div elu eq erf exp expm1 ge gelu gt
    hardsigmoid hardswish hardtanh le leaky_relu log log1p lt maximum minimum mish mul ne neg pow reciprocal relu relu6
    rsqrt rsub selu sigmoid silu sin softplus sqrt sub tanh to where
    """.split()
)
# Of the first argument; the others are weights.
_WEIGHTED = frozenset("linear conv1d conv2d conv3d batch_norm layer_norm group_norm prelu".split())
_POOLS = frozenset(
    f"{kind}{n}d" for kind in ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool") for n in (1, 2, 3)
)
# Along the axes that they name, which must not be the first.
_ALONG = frozenset(
    """
    amax amin argmax argmin cat chunk flatten log_softmax logsumexp max mean min narrow permute prod select slice
    softmax split squeeze stack std sum transpose unflatten unsqueeze var
    """.split()
)
_AXES = frozenset(["dim", "dims", "dim0", "dim1", "start_dim"])
# They leave each row in its place where their result has as many.
_SHAPES = frozenset(["reshape", "view", "_unsafe_view"])
# Of each row's own matrices: with three axes at least, the first one is none of those that are summed up.
_MATRICES = frozenset(["bmm", "matmul", "scaled_dot_product_attention"])
_TO_THE_END = (1 << 63) - 1
_OPERATORS = {checked: original for original, checked in GUARDED.items()}


def mixes_rows(model: Any) -> bool:
    """Return whether a row's answer may depend on the others; of what is no exported graph, always."""
    return not isinstance(model, torch.fx.GraphModule) or not _Rows().follow(model.graph)


class _Rows:
    """What of a graph has rows along the first axis."""

    def __init__(self) -> None:
        self.nodes: set[torch.fx.Node] = set()
        self.counts: set[torch.fx.Node] = set()
        self.symbol = ""

    def follow(self, graph: torch.fx.Graph) -> bool:
        """Return whether all that the graph returns was followed from its inputs."""
        for node in graph.nodes:
            if node.op == "output":
                return bool(self.nodes) and set(node.all_input_nodes) <= self.nodes
            if not self._take(node):
                return False
        return False

    def _take(self, node: torch.fx.Node) -> bool:
        if node.op == "placeholder":
            self.symbol = self.symbol or _first_size(node)
            return self._has_rows(node)
        if node.op == "get_attr":
            return True
        if node.op != "call_function":
            return False
        name, arguments = _call_of(node)
        if name == "sym_size":
            self.counts.add(node)
            return True
        if not self.nodes.isdisjoint(node.all_input_nodes):
            return self._is_row_by_row(node, name, arguments) and self._has_rows(node)
        # Of weights alone; what is made of the number of rows tells them apart.
        return self.counts.isdisjoint(node.all_input_nodes)

    def _has_rows(self, node: torch.fx.Node) -> bool:
        """Take note of a node whose every tensor has the rows along its first axis and along no other."""
        shapes = [[str(size) for size in value.shape] for value in _tensors(node.meta.get("val"))]
        if not self.symbol or not shapes:
            return False
        if not all(shape and shape[0] == self.symbol and self.symbol not in " ".join(shape[1:]) for shape in shapes):
            return False
        self.nodes.add(node)
        return True

    def _is_row_by_row(self, node: torch.fx.Node, name: str, arguments: Mapping[str, Any]) -> bool:
        if not self.counts.isdisjoint(node.all_input_nodes):
            return name in _SHAPES
        if arguments.get("training") or arguments.get("train"):
            return False
        if name in _CELLWISE or name in _SHAPES or name in _POOLS or name in ("getitem", "dropout"):
            return True
        if name == "slice" and arguments["dim"] == 0:  # all of the rows, as x[:, 1] has it
            return (arguments["start"] or 0, arguments["step"]) == (0, 1) and arguments["end"] in (None, _TO_THE_END)
        if name == "embedding":
            return arguments["weight"] not in self.nodes
        if name in _WEIGHTED:
            return set(node.all_input_nodes) & self.nodes == {next(iter(arguments.values()))}
        ranks = [len(value.shape) for part in node.all_input_nodes for value in _tensors(part.meta.get("val"))]
        if name in _MATRICES:
            return min(ranks) >= 3 and set(node.all_input_nodes) <= self.nodes
        return name in _ALONG and self._leaves_rows(arguments, max(ranks))

    def _leaves_rows(self, arguments: Mapping[str, Any], rank: int) -> bool:
        given = [arguments[name] for name in _AXES if name in arguments]
        if "dims" in arguments:  # all axes in a new order
            return bool(arguments["dims"][0] == 0)
        axes = [axis for value in given for axis in (value if isinstance(value, list | tuple) else [value])]
        # Some operators count the axis that they add, so that -rank may be the first one or the second.
        return bool(axes) and all(isinstance(axis, int) and (axis > 0 or -rank < axis < 0) for axis in axes)


def _call_of(node: torch.fx.Node) -> tuple[str, Mapping[str, Any]]:
    """Return an operator's name and its arguments by theirs, with the defaults."""
    target: Any = _OPERATORS.get(node.target, node.target)
    if target is operator.getitem:
        return "getitem", {}
    if not isinstance(target, torch._ops.OpOverload) or target.namespace != "aten":
        return "", {}
    schema = target._schema
    defaults = {argument.name: argument.default_value for argument in schema.arguments if argument.has_default_value()}
    by_place = dict(zip((argument.name for argument in schema.arguments), node.args, strict=False))
    return schema.name.removeprefix("aten::"), {**by_place, **defaults, **by_place, **node.kwargs}


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)


def _first_size(node: torch.fx.Node) -> str:
    """Return the symbol that stands for the number of rows; nothing where that is fixed."""
    sizes = [value.shape[0] for value in _tensors(node.meta.get("val")) if value.dim()]
    return str(sizes[0]) if sizes and isinstance(sizes[0], torch.SymInt) else ""
