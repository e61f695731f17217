"""Keeping TensorFlow from computing large constants while it reads the graphs of a SavedModel.

To infer shapes, TensorFlow runs whatever part of a function depends on constants alone and leads to a shape: a few
bytes that fill a tensor of gigabytes and add it up to a number of columns. It never does so through
``PlaceholderWithDefault``, which hands on its input when the function is called: one is put where more than a small
tensor would be computed. Such a shape is known later, and results are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tf_flavor._operations import ELEMENTWISE, NEVER_FOLDED

__all__ = ["LEAVES", "prevent_folding"]

_MAX_WORK = 1 << 16  # elements, or letters, of all that leads to a value
_MAX_RANK = 254
_INT32 = 3
# What TensorFlow knows without running anything, and the attribute that tells its type; int32 without one.
LEAVES = {
    "Const": "dtype",
    "FakeParam": "dtype",
    "Rank": "",
    "Shape": "out_type",
    "ShapeN": "out_type",
    "Size": "out_type",
    "StatelessRandomGetAlg": "",
}
# What shapes are computed with: those that make no more than they are given first, those that join what they are
# given, and those that look it up. Whatever else there is may make anything.
_SHRINKING = frozenset(
    """
    All Any ArgMax ArgMin Cast Cumprod Cumsum ExpandDims Max Mean Min Prod Reshape Reverse ReverseV2 Slice Squeeze
    StridedSlice Sum Unpack
    """.split()
)
_RESHAPING = frozenset("ExpandDims Reshape StridedSlice".split())
_JOINING = frozenset("Concat ConcatV2 IdentityN Pack".split())
_GATHERING = frozenset("Gather GatherV2".split())


@dataclass(frozen=True, slots=True)
class _Constant:
    """What is known of a value that depends on constants alone: none of it is more than this."""

    count: float  # elements, or letters
    rank: int
    work: float  # elements of all that has to be computed for it


def prevent_folding(function: Any) -> None:
    """Change a function of a graph so that TensorFlow computes no large constant of it while it reads it."""
    nodes = {node.name: node for node in function.node_def}
    constants: dict[str, _Constant] = {}
    for name in _inputs_first(nodes):
        constant = _constant(nodes[name], constants)
        if constant is None:
            continue
        if constant.work > _MAX_WORK:
            _cut(function, nodes[name], nodes, constants)
        else:
            constants[name] = constant


def _constant(node: Any, constants: Mapping[str, _Constant]) -> _Constant | None:
    """Return what is known of a node, if it depends on constants alone."""
    if node.op in LEAVES:
        return _leaf(node)
    names = list(_input_names(node))
    given = [constants[name] for name in names if name in constants]
    if node.op in NEVER_FOLDED or not names or len(given) != len(names):
        return None
    work = sum(constant.work for constant in given)
    if node.op == "Identity":
        return _Constant(given[0].count, given[0].rank, work)
    counts = [constant.count for constant in given]
    rank = max(constant.rank for constant in given)
    count = math.inf
    if node.op in ELEMENTWISE:
        count = max(counts) if rank < 2 else math.prod(counts)
    elif node.op in _SHRINKING:
        count, rank = counts[0], _MAX_RANK if node.op in _RESHAPING else given[0].rank
    elif node.op in _JOINING:
        count, rank = sum(counts), rank + 1
    elif node.op in _GATHERING:
        count, rank = counts[0] * counts[1], given[0].rank + given[1].rank
    return _Constant(count, rank, work + max(count, sum(counts)))


def _leaf(node: Any) -> _Constant:
    if node.op == "FakeParam":
        return _Constant(math.inf, _MAX_RANK, 0)
    if node.op != "Const" or "value" not in node.attr:
        return _Constant(_MAX_RANK, 1, 0)
    tensor = node.attr["value"].tensor
    count = math.prod(dimension.size for dimension in tensor.tensor_shape.dim)
    letters = sum(map(len, tensor.string_val)) + count * max(map(len, tensor.string_val), default=0)
    return _Constant(max(count, letters), len(tensor.tensor_shape.dim), 0)


def _cut(function: Any, node: Any, nodes: Mapping[str, Any], constants: dict[str, _Constant]) -> None:
    """Make one of the constants that lead to *node* an input that may be replaced."""
    while True:
        name = next(_input_names(node))
        if name not in constants:
            return  # it has been cut already
        source = nodes[name]
        if source.op in LEAVES:
            break
        del constants[name]
        node = source
    name = f"{node.name}/given"
    while name in nodes:
        name += "_"
    place = next(place for place, given in enumerate(node.input) if not given.startswith("^"))
    added = function.node_def.add(name=name, op="PlaceholderWithDefault", input=[node.input[place]])
    attribute = LEAVES[source.op]
    added.attr["dtype"].type = source.attr[attribute].type if attribute in source.attr else _INT32
    added.attr["shape"].shape.unknown_rank = True
    node.input[place] = f"{name}:output:0"


def _input_names(node: Any) -> Iterator[str]:
    """Name the nodes whose values *node* is given."""
    for given in node.input:
        if not given.startswith("^"):
            yield given.partition(":")[0]


def _inputs_first(nodes: Mapping[str, Any]) -> Iterator[str]:
    """Yield the nodes, each after its inputs."""
    seen: set[str] = set()
    for root in nodes:
        stack = [(root, _input_names(nodes[root]))] if root not in seen else []
        seen.add(root)
        while stack:
            name, rest = stack[-1]
            following = next((given for given in rest if given in nodes and given not in seen), None)
            if following is None:
                yield name
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, _input_names(nodes[following])))
