"""One tree of LightGBM's text format: every number that LightGBM uses as an index, held against the others."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise

# TreeSHAP recurs once, and holds a path, for each level.
MAX_DEPTH = 1024
_INT32 = 2**31 - 1
_UINT32 = 2**32 - 1

_CATEGORICAL = 1
_HIGHEST_DECISION = 11  # missing type 2 (of 0, 1, 2), default left, categorical

_INTEGER = rb"-?[0-9]{1,10}"
_NUMBER = rb"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:e[+-]?[0-9]{1,4})?"
_INTEGERS = re.compile(rb"(?:%b(?: %b)*+)?+" % (_INTEGER, _INTEGER))
_NUMBERS = re.compile(rb"(?:%b(?: %b)*+)?+" % (_NUMBER, _NUMBER))
_ANY_NUMBER = rb"(?:%b|-?inf|-?nan)" % _NUMBER
_ANY_NUMBERS = re.compile(rb"(?:%b(?: %b)*+)?+" % (_ANY_NUMBER, _ANY_NUMBER))

_REQUIRED = {"num_leaves", "num_cat", "leaf_value", "split_feature", "threshold", "left_child", "right_child"}
_STATISTICS_OF_LEAVES = {"leaf_weight": _ANY_NUMBERS, "leaf_count": _INTEGERS}
_STATISTICS_OF_SPLITS = {
    "split_gain": _ANY_NUMBERS,
    "internal_value": _ANY_NUMBERS,
    "internal_weight": _ANY_NUMBERS,
    "internal_count": _INTEGERS,
}
_LINEAR = {"leaf_const", "num_features", "leaf_features", "leaf_coeff"}
_KNOWN = {
    *_REQUIRED,
    *_STATISTICS_OF_LEAVES,
    *_STATISTICS_OF_SPLITS,
    *_LINEAR,
    *("decision_type", "cat_boundaries", "cat_threshold", "is_linear", "shrinkage"),
}


class Malformed(ValueError):
    """The text of a model breaks a rule; the error's text is the rule."""


def require(holds: bool, rule: str) -> None:
    """Raise Malformed with *rule* unless it *holds*."""
    if not holds:
        raise Malformed(rule)


def natural(text: bytes, name: str) -> int:
    """Return the integer from 0 to the greatest of 32 bits that *text* is. Raises Malformed."""
    require(len(text) <= 10 and text.isdigit(), f"{name} must be an integer that is not negative")
    require(int(text) < _INT32, f"{name} must be of 32 bits")
    return int(text)


def check_tree(section: bytes, index: int, *, features: int) -> None:
    """Raise Malformed if tree *index* of a model of so many *features* breaks a rule.

    A predictor that walks a tree which passes stays inside of its arrays, and ends.
    """
    start, end = b"Tree=%d\n" % index, b"\n\n\n"
    whole = section.startswith(start) and section.endswith(end)
    require(whole, "each tree must stand where tree_sizes says, in order")
    tree = _read_fields(section[len(start) : -len(end)])
    leaves = natural(tree["num_leaves"], "num_leaves")
    require(leaves > 0, "a tree must have leaves")
    _check_values(tree, leaves)
    boundaries = _check_categories(tree)
    _check_splits(tree, leaves - 1, features=features, categories=len(boundaries) - 1)
    _check_children(tree, leaves)
    require(tree.get("is_linear", b"0") in (b"0", b"1"), "is_linear must be 0 or 1")
    if tree.get("is_linear") == b"1":
        _check_linear(tree, leaves, features)
    else:
        require(not _LINEAR & tree.keys(), "only a linear tree may have coefficients")


def _read_fields(section: bytes) -> dict[str, bytes]:
    tree: dict[str, bytes] = {}
    for line in section.split(b"\n"):
        name, equals, value = line.partition(b"=")
        key = name.decode("ascii", "replace")
        require(bool(equals) and key in _KNOWN, "a tree must be lines of LightGBM's own keys")
        require(key not in tree, f"{key} must stand in a tree once")
        tree[key] = value
    missing = sorted(_REQUIRED - tree.keys())
    require(not missing, f"a tree must have {', '.join(missing)}")
    return tree


def _check_values(tree: Mapping[str, bytes], leaves: int) -> None:
    """Check the numbers that are added up or only shown."""
    _read_numbers(tree["leaf_value"], leaves, "leaf_value")
    if "shrinkage" in tree:
        _read_numbers(tree["shrinkage"], 1, "shrinkage")
    for name, syntax in _STATISTICS_OF_SPLITS.items():
        _check_statistic(tree, name, syntax, leaves - 1)
    for name, syntax in _STATISTICS_OF_LEAVES.items():
        # A tree of one leaf has no weight.
        if leaves > 1 or tree.get(name):
            _check_statistic(tree, name, syntax, leaves)


def _check_statistic(tree: Mapping[str, bytes], name: str, syntax: re.Pattern[bytes], count: int) -> None:
    if name in tree:
        _split(tree[name], count, name, syntax)


def _split(text: bytes, count: int, name: str, syntax: re.Pattern[bytes]) -> list[bytes]:
    require(syntax.fullmatch(text) is not None, f"{name} must be numbers with a space between them")
    parts = text.split()
    require(len(parts) == count, f"{name} must be as many numbers as the tree has")
    return parts


def _read_integers(text: bytes, count: int, name: str, *, low: int, high: int) -> list[int]:
    values = [int(part) for part in _split(text, count, name, _INTEGERS)]
    require(not values or (min(values) >= low and max(values) <= high), f"{name} must be in range")
    return values


def _read_numbers(text: bytes, count: int, name: str) -> list[float]:
    values = [float(part) for part in _split(text, count, name, _NUMBERS)]
    require(all(map(math.isfinite, values)), f"{name} must be finite")
    return values


def _check_categories(tree: Mapping[str, bytes]) -> list[int]:
    """Check the sets of categories; return where each begins in cat_threshold, and where the last ends."""
    sets = natural(tree["num_cat"], "num_cat")
    if sets == 0:
        require(not {"cat_boundaries", "cat_threshold"} & tree.keys(), "only a tree with categories may list them")
        return [0]
    require({"cat_boundaries", "cat_threshold"} <= tree.keys(), "a tree with categories must list them")
    words = _split(tree["cat_threshold"], tree["cat_threshold"].count(b" ") + 1, "cat_threshold", _INTEGERS)
    _read_integers(tree["cat_threshold"], len(words), "cat_threshold", low=0, high=_UINT32)
    boundaries = _read_integers(tree["cat_boundaries"], sets + 1, "cat_boundaries", low=0, high=len(words))
    ascending = all(first <= second for first, second in pairwise(boundaries))
    require(ascending and boundaries[0] == 0, "cat_boundaries must ascend from 0")
    require(boundaries[-1] == len(words), "cat_boundaries must end where cat_threshold ends")
    return boundaries


def _check_splits(tree: Mapping[str, bytes], splits: int, *, features: int, categories: int) -> None:
    """Check which feature each split looks at, and how it decides."""
    _read_integers(tree["split_feature"], splits, "split_feature", low=0, high=features - 1)
    thresholds = _read_numbers(tree["threshold"], splits, "threshold")
    kinds = [0] * splits
    if "decision_type" in tree:
        kinds = _read_integers(tree["decision_type"], splits, "decision_type", low=0, high=_HIGHEST_DECISION)
    for kind, threshold in zip(kinds, thresholds, strict=True):
        if kind & _CATEGORICAL:
            fit = threshold.is_integer() and 0 <= threshold < categories
            require(fit, "the threshold of a split by category must be the number of a set of categories")


def _check_children(tree: Mapping[str, bytes], leaves: int) -> None:
    """Check that every node but the root has one parent, which stands before it, and that no path is too long."""
    splits = leaves - 1
    left = _read_integers(tree["left_child"], splits, "left_child", low=-leaves, high=splits - 1)
    right = _read_integers(tree["right_child"], splits, "right_child", low=-leaves, high=splits - 1)
    expected = {*range(1, splits), *range(-leaves, 0)} if splits else set()
    children = {*left, *right}
    require(len(left) + len(right) == len(children) and children == expected, "each node must have one parent")
    depth = [0] * splits
    for node, pair in enumerate(zip(left, right, strict=True)):
        for child in pair:
            if child >= 0:
                require(child > node, "a node must stand behind its parent")
                depth[child] = depth[node] + 1
    require(max(depth, default=0) < MAX_DEPTH, f"a tree must be no deeper than {MAX_DEPTH} levels")


def _check_linear(tree: Mapping[str, bytes], leaves: int, features: int) -> None:
    """Check the linear model in each leaf: its constant, its features and their coefficients."""
    require(tree.keys() >= _LINEAR, "a linear tree must have coefficients")
    _read_numbers(tree["leaf_const"], leaves, "leaf_const")
    counts = _read_integers(tree["num_features"], leaves, "num_features", low=0, high=features)
    # LightGBM puts two spaces between leaves, and more for leaves without features.
    total, joined = sum(counts), {name: b" ".join(tree[name].split()) for name in ("leaf_features", "leaf_coeff")}
    _read_integers(joined["leaf_features"], total, "leaf_features", low=0, high=features - 1)
    _read_numbers(joined["leaf_coeff"], total, "leaf_coeff")
