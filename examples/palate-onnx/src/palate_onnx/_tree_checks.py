"""Ensembles of trees: every walk from a root has to end, which onnxruntime does not see to in all cases."""

from __future__ import annotations

from typing import Any

import numpy

__all__ = ["OPERATORS", "find_broken_tree"]

OPERATORS = frozenset({"TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"})

# Ids of nodes are smaller, so that a tree and an id make one 64-bit key.
_MOST_IDS = 2**31

_Links = tuple[Any, Any, int]
"""The nodes that are children and the parent of each, as two arrays of positions, and how many nodes there are."""


def find_broken_tree(node: Any) -> str | None:
    """Return the rule that the trees of an operator break, or None.

    Args:
        node: an ``onnx.NodeProto`` of one of OPERATORS.
    """
    attributes = {attribute.name: attribute for attribute in node.attribute}
    if len(attributes) != len(node.attribute):
        return f"{node.op_type} has an attribute twice"
    by_position = node.op_type == "TreeEnsemble"
    links = _read_positions(attributes) if by_position else _read_ids(attributes)
    if links is None:
        return f"{node.op_type} refers to a node that is not there, or has lists of different lengths"
    children, parents, count = links
    if not _is_forest(children, parents, count):
        return f"{node.op_type} has trees in which a walk may never end"
    return None


def _is_forest(children: Any, parents: Any, count: int) -> bool:
    if len(children) != len(numpy.unique(children)):
        return False
    # Each round doubles the steps that every node goes up; whoever is not at a root after all goes in circles.
    up = numpy.arange(count)
    up[children] = parents
    roots = numpy.ones(count, bool)
    roots[children] = False
    for _ in range(count.bit_length()):
        up = up[up]
    return bool(roots[up].all())


def _ints(attributes: dict[str, Any], *names: str) -> list[Any]:
    return [numpy.array(attributes[name].ints if name in attributes else (), "int64") for name in names]


def _read_positions(attributes: dict[str, Any]) -> _Links | None:
    names = ("nodes_truenodeids", "nodes_falsenodeids", "nodes_trueleafs", "nodes_falseleafs")
    yes, no, yes_is_leaf, no_is_leaf = _ints(attributes, *names)
    if len({len(yes), len(no), len(yes_is_leaf), len(no_is_leaf)}) > 1:
        return None
    children = numpy.concatenate([yes[yes_is_leaf == 0], no[no_is_leaf == 0]])
    parents = numpy.concatenate([numpy.flatnonzero(yes_is_leaf == 0), numpy.flatnonzero(no_is_leaf == 0)])
    if ((children < 0) | (children >= len(yes))).any():
        return None
    return children, parents, len(yes)


def _read_ids(attributes: dict[str, Any]) -> _Links | None:
    trees, nodes, *ways, missing = _ints(
        attributes,
        *("nodes_treeids", "nodes_nodeids", "nodes_truenodeids", "nodes_falsenodeids"),
        "nodes_missing_value_tracks_true",
    )
    modes = attributes["nodes_modes"].strings if "nodes_modes" in attributes else ()
    if len({len(trees), len(nodes), *map(len, ways), len(modes), len(missing) or len(trees)}) > 1:
        return None
    if any(((ids < 0) | (ids >= _MOST_IDS)).any() for ids in (nodes, *ways)):
        return None
    tree = numpy.unique(trees, return_inverse=True)[1].reshape(-1) * _MOST_IDS
    order = numpy.argsort(tree + nodes)
    keys = (tree + nodes)[order]
    inner = numpy.flatnonzero([mode != b"LEAF" for mode in modes])
    wanted = numpy.concatenate([tree[inner] + way[inner] for way in ways])
    places = numpy.minimum(numpy.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    if (keys[1:] == keys[:-1]).any() or not (keys[places] == wanted).all():
        return None
    return order[places], numpy.concatenate([inner, inner]), len(nodes)
