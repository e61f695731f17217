"""Whether the trees of a model are trees, before xgboost walks through them.

xgboost uses the numbers of a node (children, parent, feature, categories) as indices without looking at their range.
Many trees are checked at once, with numpy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from xgboost_flavor._category_checks import CATEGORY_FIELDS, check_categories
from xgboost_flavor._document import Broken, Document, Rows
from xgboost_flavor._values import read_count

if TYPE_CHECKING:
    import numpy as np

    from xgboost_flavor._document import Integers

__all__ = ["check_trees"]

# The arrays of a tree, with the type that xgboost writes them in.
_INTEGERS = {"left_children": "l", "right_children": "l", "parents": "l", "split_indices": "l", "default_left": "U"}
_STATISTICS = ("loss_changes", "split_conditions", "sum_hessian")
_REQUIRED = {*_INTEGERS, *_STATISTICS, "base_weights", "id", "tree_param"}
# leaf_child_counts is of xgboost 1.0, which had no categories either.
_KNOWN = {*_REQUIRED, *CATEGORY_FIELDS, "leaf_weights", "leaf_child_counts"}
_PARAMS = ("num_nodes", "num_feature", "num_deleted", "size_leaf_vector")

# What -1 becomes where xgboost keeps 31 bits of a number: the parent of a root, the feature of a deleted node.
_NONE = 2**31 - 1
# xgboost walks a tree by recursion, and pred_contribs takes the square of its depth in memory (8 MB for this one).
_MAX_DEPTH = 1024
# Few enough for a processor's cache, and enough to be done with thousands of small trees at once.
_NODES_AT_ONCE = 1 << 16


class _Shape(NamedTuple):
    """What a tree says of itself."""

    nodes: int
    deleted: int
    leaf_size: int


def check_trees(document: Document, trees: Sequence[Any] | Rows, *, features: int, outputs: int) -> None:
    """Raise Broken unless each of *trees* is a tree over *features* columns, with leaves for *outputs* outputs."""
    for numbers, rows in _grouped(trees):
        _check_ids(rows.columns["id"], numbers)
        shapes = _read_shapes(rows.columns["tree_param"], numbers)
        for part in _parts(shapes):
            batch = _gather(document, rows[part], shapes[part], numbers[part])
            _check_statistics(batch, outputs)
            _check_links(batch)
            _check_features(batch, features)
            _check_depth(batch)
            if not CATEGORY_FIELDS.isdisjoint(rows.columns):
                check_categories(document, batch.arrays, batch.counts)


def _grouped(trees: Sequence[Any] | Rows) -> Iterator[tuple[Sequence[int], Rows]]:
    """Yield the trees that have the same members, with their numbers; nearly always they are all of the trees."""
    if isinstance(trees, Rows):
        _check_members(trees.columns.keys(), "tree 0")
        yield range(len(trees)), trees
        return
    groups: dict[frozenset[str], list[int]] = {}
    for number, tree in enumerate(trees):
        if not isinstance(tree, dict):
            raise Broken(f"tree {number} is not an object")
        members = frozenset(tree)
        if members not in groups:
            _check_members(members, f"tree {number}")
            groups[members] = []
        groups[members].append(number)
    for members, numbers in groups.items():
        yield numbers, Rows({name: [trees[number][name] for number in numbers] for name in members})


def _check_members(members: Set[str], place: str) -> None:
    required = _REQUIRED if CATEGORY_FIELDS.isdisjoint(members) else _REQUIRED | CATEGORY_FIELDS
    if missing := required - members:
        raise Broken(f"{place} has no {min(missing)}")
    if unknown := members - _KNOWN:
        raise Broken(f"{place} has {min(unknown)!r:.60}, which this version of the flavor does not know")


def _check_ids(ids: Sequence[object], numbers: Sequence[int]) -> None:
    for number, found in zip(numbers, ids, strict=True):
        if type(found) is not int or found != number:
            # Two trees of one id would leave a third one out, which xgboost then looks into all the same.
            raise Broken(f"tree {number} has the id {found!r:.30}")


def _read_shapes(params: Sequence[Any] | Rows, numbers: Sequence[int]) -> list[_Shape]:
    shapes: list[_Shape] = []
    # Trees often have the same parameters.
    known: dict[tuple[Any, ...], _Shape] = {}
    for number, param in zip(numbers, params, strict=True):
        key = tuple(map(param.get, _PARAMS)) if isinstance(param, dict) else ()
        if set(map(type, key)) != {str}:  # xgboost 1.0 counted no deleted nodes
            shapes.append(_read_shape(param, f"tree {number}"))
            continue
        if key not in known:
            known[key] = _read_shape(param, f"tree {number}")
        shapes.append(known[key])
    return shapes


def _read_shape(param: Any, place: str) -> _Shape:
    nodes = read_count(param, "num_nodes", place, most=_NONE - 1)
    if not nodes:
        raise Broken(f"{place} has no nodes")
    read_count(param, "num_feature", place, most=_NONE)
    deleted = read_count(param, "num_deleted", place, most=nodes, default="0")
    return _Shape(nodes, deleted, read_count(param, "size_leaf_vector", place, most=_NONE))


def _parts(shapes: Sequence[_Shape]) -> Iterator[slice]:
    start, held = 0, 0
    for number, shape in enumerate(shapes, 1):
        held += shape.nodes
        if held >= _NODES_AT_ONCE or number == len(shapes):
            yield slice(start, number)
            start, held = number, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Some trees side by side: node k of tree t stands at ``starts[t] + k`` of each array."""

    document: Document
    arrays: Mapping[str, Any]
    numbers: Sequence[int]
    counts: Integers
    deleted: Integers
    leaf_sizes: Integers
    starts: Integers
    tree_of: Integers
    local: Integers
    left: Integers
    right: Integers
    parents: Integers
    features: Integers
    default_left: Integers

    def refuse(self, mask: np.ndarray[Any, Any], rule: str) -> None:
        """Raise Broken if any node of *mask* is set, naming the first."""
        if mask.any():
            index = int(mask.argmax())
            raise Broken(f"tree {self.numbers[self.tree_of[index]]}, node {int(self.local[index])}: {rule}")

    def lengths(self, name: str) -> Integers:
        """Return the length of the float array *name* of each tree."""
        return self.document.lengths(self.arrays[name], "d", name)


def _gather(document: Document, rows: Rows, shapes: Sequence[_Shape], numbers: Sequence[int]) -> _Batch:
    import numpy as np

    counts, deleted, leaf_sizes = np.array(shapes, np.int64).T

    def gather(name: str) -> Integers:
        arrays, kind = rows.columns[name], _INTEGERS[name]
        _check_lengths(document.lengths(arrays, kind, name), counts, name)
        return document.integers(arrays, kind, name)

    left = gather("left_children")
    starts = np.cumsum(counts) - counts
    tree_of = np.repeat(np.arange(len(counts)), counts)
    return _Batch(
        document=document,
        arrays=rows.columns,
        numbers=numbers,
        counts=counts,
        deleted=deleted,
        leaf_sizes=leaf_sizes,
        starts=starts,
        tree_of=tree_of,
        local=np.arange(len(left)) - starts[tree_of],
        left=left,
        right=gather("right_children"),
        parents=gather("parents"),
        features=gather("split_indices"),
        default_left=gather("default_left"),
    )


def _check_lengths(lengths: Integers, counts: Integers, name: str) -> None:
    import numpy as np

    if not np.array_equal(lengths, counts):
        raise Broken(f"{name} of a tree has another length than its num_nodes says")


def _check_statistics(batch: _Batch, outputs: int) -> None:
    import numpy as np

    for name in _STATISTICS:
        _check_lengths(batch.lengths(name), batch.counts, name)
    lengths, sizes = batch.lengths("base_weights"), batch.leaf_sizes
    single = sizes <= 1
    if (single & (lengths != batch.counts)).any() or (single.any() and "leaf_weights" in batch.arrays):
        raise Broken("a tree of one value a leaf has the weights of several")
    if (wrong := ~single & (sizes != outputs)).any():
        raise Broken(f"a tree has {sizes[wrong][0]} values a leaf, and the model {outputs} outputs")
    # Trained on reduced gradients, the nodes inside the tree have fewer weights than its leaves.
    width, rest = np.divmod(lengths, batch.counts)
    if (wrong := ~single & ((rest != 0) | (width < 1) | (width > outputs))).any():
        raise Broken(
            f"base_weights has {lengths[wrong][0]} numbers for {batch.counts[wrong][0]} nodes of {outputs} outputs"
        )


def _check_links(batch: _Batch) -> None:
    """Every child stands behind its parent and belongs to it alone, so that no walk comes by a node twice."""
    import numpy as np

    inner = batch.left != -1
    nodes = batch.counts[batch.tree_of]
    left = np.where(inner, batch.left, 1)
    batch.refuse(inner & ((left <= batch.local) | (left >= nodes - 1)), "its children are outside of the tree")
    # xgboost goes to the node after the left child, whatever the right one is said to be.
    batch.refuse(inner & (batch.right != left + 1), "its right child is not the one after its left child")
    _check_leaf_rows(batch, inner)
    parents = np.flatnonzero(inner)
    children = (batch.starts[batch.tree_of] + left)[parents]
    is_child = np.zeros(len(left), bool)
    for places in (children, children + 1):
        is_child[places] = True
        batch.refuse(
            inner & _scattered(batch.parents[places] != batch.local[parents], parents, inner),
            "is not its child's parent",
        )
    _check_strays(batch, inner, is_child)


def _scattered(values: np.ndarray[Any, Any], places: Integers, like: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    mask = np.zeros(len(like), bool)
    mask[places] = values
    return mask


def _check_leaf_rows(batch: _Batch, inner: np.ndarray[Any, Any]) -> None:
    """The leaves of a tree with several values a leaf keep the number of their row of values as the right child."""
    import numpy as np

    sizes = batch.leaf_sizes
    if sizes.max() <= 1:
        return
    if "leaf_weights" not in batch.arrays:
        raise Broken("a tree of several values a leaf has no leaf_weights; xgboost before 3.2 wrote it")
    lengths = batch.lengths("leaf_weights")
    rows, rest = np.divmod(lengths, np.maximum(sizes, 1))
    if (wrong := rest != 0).any():
        raise Broken(f"leaf_weights has {lengths[wrong][0]} numbers for leaves of {sizes[wrong][0]} values")
    vector, bound = (sizes > 1)[batch.tree_of], rows[batch.tree_of]
    batch.refuse(vector & ~inner & ((batch.right < 0) | (batch.right >= bound)), "its row of values is not there")


def _check_strays(batch: _Batch, inner: np.ndarray[Any, Any], is_child: np.ndarray[Any, Any]) -> None:
    """Nodes that are no one's child are roots, or were deleted by pruning."""
    import numpy as np

    root = batch.local == 0
    deleted = (batch.features == _NONE) & (batch.default_left == 1)
    batch.refuse(~is_child & ~root & ~deleted, "is no other node's child")
    batch.refuse(deleted & (is_child | root | inner), "is deleted, and part of the tree")
    stray = batch.parents[deleted]
    batch.refuse(
        _scattered((stray < 0) | (stray >= batch.counts[batch.tree_of[deleted]]), deleted, deleted),
        "its parent is outside of the tree",
    )
    batch.refuse(root & (batch.parents != -1) & (batch.parents != _NONE), "is the root, and has a parent")
    counted = np.bincount(batch.tree_of[deleted], minlength=len(batch.counts))
    if not np.array_equal(counted, batch.deleted):
        raise Broken("a tree has another number of deleted nodes than its num_deleted says")


def _check_features(batch: _Batch, features: int) -> None:
    batch.refuse((batch.default_left & ~1) != 0, "default_left is neither 0 nor 1")
    outside = (batch.features < 0) | (batch.features >= features)
    deleted = (batch.features == _NONE) & (batch.default_left == 1)
    batch.refuse(outside & ~deleted, f"its feature is not one of {features}")


def _check_depth(batch: _Batch) -> None:
    level = batch.starts
    for _ in range(_MAX_DEPTH):
        level = level[batch.left[level] != -1]
        if not len(level):
            return
        left = batch.starts[batch.tree_of[level]] + batch.left[level]
        level = _interleaved(left)
    raise Broken(f"a tree is deeper than {_MAX_DEPTH} levels")


def _interleaved(left: Integers) -> Integers:
    import numpy as np

    return np.concatenate([left, left + 1])
