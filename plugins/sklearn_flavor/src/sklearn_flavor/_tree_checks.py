"""Structure checks for trees: decision trees, histogram gradient boosting, k-d trees and ball trees.

Their native code follows numbers from the file without looking (scikit-learn#34558), so one crafted index reads or
writes outside of memory, and a node that is its own child is walked for ever.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "Broken",
    "check_boosting",
    "check_boosting_output",
    "check_decision_tree",
    "check_forest",
    "check_histogram",
    "check_space_tree",
    "feature_count",
    "need",
]


class Broken(Exception):
    """A rule about the inside of a model that does not hold."""


def need(holds: object, rule: str) -> None:
    """Raise Broken with *rule* unless it *holds*."""
    if not holds:
        raise Broken(rule)


def feature_count(estimator: Any) -> int:
    """Return how many features *estimator* insists on; without it scikit-learn skips that check."""
    count = vars(estimator).get("n_features_in_")
    need(isinstance(count, int | np.integer) and not isinstance(count, bool) and count >= 0, "it has no n_features_in_")
    return int(count)


def _check_children(left: Any, right: Any, internal: Any) -> None:
    """Check that children come after their parents, inside the array, each with one parent."""
    index = np.flatnonzero(internal)
    children = np.concatenate([left[index], right[index]]).astype(np.int64)
    parents = np.concatenate([index, index])
    need(bool((children > parents).all()), "a child does not come after its parent")
    need(bool((children < len(internal)).all()), "a child lies outside of the nodes")
    need(children.size == np.unique(children).size, "a node has two parents")


def _depth(left: Any, right: Any, internal: Any) -> int:
    """Return the length of the longest path, by doubling: a chain of a million nodes takes twenty steps."""
    index = np.flatnonzero(internal)
    parent = np.zeros(len(internal), dtype=np.int64)
    parent[left[index]] = index
    parent[right[index]] = index
    depth = np.zeros(len(internal), dtype=np.int64)
    depth[left[index]] = depth[right[index]] = 1
    while parent.any():
        depth += depth[parent]
        parent = parent[parent]
    return int(depth.max(initial=0))


def check_decision_tree(estimator: Any) -> None:
    """Check the tree of a fitted decision tree against the features that the estimator insists on."""
    from sklearn.tree._tree import Tree

    tree = vars(estimator).get("tree_")
    if tree is None:
        return
    need(type(tree) is Tree, "its tree_ is not a Tree")
    need(0 < tree.node_count <= tree.capacity, "its tree has no nodes")
    need(tree.n_features == feature_count(estimator), "its tree was grown on another number of features")
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    internal = left != -1
    need(bool(((right != -1) == internal).all()), "a node has one child")
    _check_children(left, right, internal)
    need(
        bool(((feature[internal] >= 0) & (feature[internal] < tree.n_features)).all()),
        "a split uses a feature that is not there",
    )
    # decision_path reserves max_depth entries for each row and fills them without counting.
    need(_depth(left, right, internal) <= tree.max_depth, "its tree is deeper than it says")


def check_forest(forest: Any) -> None:
    """Check that a forest has trees, of its own features."""
    members = vars(forest).get("estimators_")
    if members is None:
        return
    need(isinstance(members, list), "its estimators_ are not a list")
    _check_members(members, feature_count(forest))


def _check_members(members: Any, count: int) -> None:
    from sklearn.tree import BaseDecisionTree

    for member in members:
        need(isinstance(member, BaseDecisionTree) and "tree_" in vars(member), "a member is not a fitted decision tree")
        need(feature_count(member) == count, "a member was grown on another number of features")


def check_boosting(model: Any) -> None:
    """Check the stages of gradient boosting, whose native code writes one column for each tree of a stage."""
    stages = vars(model).get("estimators_")
    if stages is None:
        return
    need(type(stages) is np.ndarray and stages.dtype == object and stages.ndim == 2, "its estimators_ are not a table")
    need(stages.size, "it has no stages")
    _check_members(stages.ravel(), feature_count(model))


def check_boosting_output(model: Any) -> None:
    """Check that predictions start with as many columns as each stage has trees; the start is itself an estimator."""
    if "estimators_" in vars(model):
        start = model._raw_predict_init(np.zeros((2, feature_count(model)), dtype=np.float32))
        need(
            start.shape == (2, model.estimators_.shape[1]),
            "its stages have another number of trees than it has outputs",
        )


# -- histogram gradient boosting ----------------------------------------------------------------------------------


def check_histogram(model: Any) -> None:
    """Check the trees and category tables of histogram gradient boosting."""
    stages = vars(model).get("_predictors")
    if stages is None:
        return
    count = feature_count(model)
    categorical = np.asarray(model._bin_mapper.is_categorical_)
    need(categorical.dtype.kind in "bu" and categorical.shape == (count,), "its bins are of another number of features")
    need(len(model._bin_mapper.bin_thresholds_) == count, "its bins are of another number of features")
    _check_remapping(model, count)
    for stage in stages:
        for predictor in stage:
            _check_predictor(predictor, count, categorical)


def _check_predictor(predictor: Any, count: int, categorical: Any) -> None:
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    need(type(predictor) is TreePredictor, "a member is not a tree")
    nodes = predictor.nodes
    need(type(nodes) is np.ndarray and nodes.ndim == 1 and nodes.size, "a tree has no nodes")
    internal = nodes["is_leaf"] == 0
    _check_children(nodes["left"].astype(np.int64), nodes["right"].astype(np.int64), internal)
    feature = nodes["feature_idx"].astype(np.int64)
    need(
        bool(((feature[internal] >= 0) & (feature[internal] < count)).all()), "a split uses a feature that is not there"
    )
    split = internal & (nodes["is_categorical"] != 0)
    tables = predictor.raw_left_cat_bitsets
    for table in (tables, predictor.binned_left_cat_bitsets):
        need(
            table.ndim == 2 and table.shape[1] == 8 and len(table) == len(tables), "a table of categories is malformed"
        )
    need(bool((nodes["bitset_idx"][split] < len(tables)).all()), "a split uses a table of categories that is not there")
    need(bool((categorical[feature[split]] != 0).all()), "a split treats a number as a category")


def _check_remapping(model: Any, count: int) -> None:
    """Check that the encoder in front of the trees hands on as many columns as it takes."""
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

    front = vars(model).get("_preprocessor")
    if front is None:
        return
    need(type(front) is ColumnTransformer, "its preprocessor is not its own")
    taken = np.zeros(count, dtype=int)
    for _, transformer, columns in front.transformers_:
        if transformer == "drop":
            continue
        need(type(transformer) in (OrdinalEncoder, FunctionTransformer), "its preprocessor is not its own")
        if type(transformer) is FunctionTransformer:
            function = getattr(transformer.func, "func", transformer.func)
            need(function is None or function.__name__ == "check_array", "its preprocessor is not its own")
        taken += np.asarray(columns, dtype=bool)
    need(bool((taken == 1).all()), "its preprocessor does not hand on every column once")


# -- k-d trees and ball trees -------------------------------------------------------------------------------------


def check_space_tree(tree: Any) -> None:
    """Check the arrays of a KDTree or BallTree against each other."""
    state = tree.__getstate__()
    data, index, nodes, bounds = (np.asarray(part) for part in state[:4])
    leaf_size, n_levels, n_nodes = state[4:7]
    metric, weights = state[11], state[12]
    count = len(nodes)
    need(data.ndim == 2 and len(data) and count, "it holds no points")
    need(n_nodes == count and count == 2**n_levels - 1 and leaf_size >= 1, "its sizes disagree")
    need(bounds.shape[1:] == (count, data.shape[1]), "its bounds are of other nodes")
    need(len(bounds) == (2 if "KDTree" in type(tree).__name__ else 1), "its bounds are of another kind of tree")
    need(
        index.shape == (len(data),) and bool(((index >= 0) & (index < len(data))).all()),
        "an index lies outside of the points",
    )
    start, end = nodes["idx_start"], nodes["idx_end"]
    need(bool(((start >= 0) & (start <= end) & (end <= len(data))).all()), "a node lies outside of the points")
    internal = np.flatnonzero(nodes["is_leaf"] == 0)
    need(bool((2 * internal + 2 < count).all()), "a node has children outside of the tree")
    need(weights is None or np.asarray(weights).shape == (len(data),), "its weights are of other points")
    _check_metric(metric, data.shape[1])


def _check_metric(metric: Any, count: int) -> None:
    """Check that the arrays inside a distance metric fit points of *count* features."""
    _, vector, matrix = (np.asarray(part) for part in metric.__getstate__()[:3])
    kind = type(metric).__name__
    if kind.startswith("SEuclidean"):
        need(vector.shape == (count,), "its metric is of other features")
    elif kind.startswith("Minkowski"):
        need(vector.size == 0 or vector.shape == (count,), "its metric is of other features")
    elif kind.startswith("Mahalanobis"):
        need(matrix.shape == (count, count), "its metric is of other features")
    elif kind.startswith("Haversine"):
        need(count == 2, "its metric is of other features")
