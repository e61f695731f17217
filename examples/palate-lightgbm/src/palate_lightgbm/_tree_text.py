"""One tree of LightGBM's text format: every number that LightGBM uses as an index, held against the others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from palate_lightgbm._layout import LARGEST_INT32

__all__ = ["MAX_DEPTH", "Malformed", "check_tree", "natural", "require"]

# TreeSHAP recurs once, and holds a path, for each level.
MAX_DEPTH = 1024
_UINT32 = 2**32 - 1

_CATEGORICAL = 1
_HIGHEST_DECISION = 11  # missing type 2 (of 0, 1, 2), default left, categorical

_INTEGER = rb"-?[0-9]{1,10}"
# So written that it is zero or a normal number: for others std::stod throws, and where LightGBM reads trees in several
# threads, what is thrown ends the process. LightGBM writes an exponent behind one digit only, which is not 0.
_NUMBER = rb"-?[0-9]{1,20}(?:\.[0-9]{1,40})?|-?[1-9](?:\.[0-9]{1,40})?e[-+]?(?:[0-2]?[0-9]{1,2}|30[0-7])"


def _compile_row(part: bytes) -> re.Pattern[bytes]:
    """Return what matches no, one or more of such numbers with a space between them."""
    return re.compile(rb"(?:(?:%b)(?:\Z| (?=.)))*+" % part)


_INTEGERS = _compile_row(_INTEGER)
# Nearly as far as 32 bits go; of rows that are only shown, the numbers themselves are not needed.
_INTEGERS_OF_32_BITS = _compile_row(rb"-?(?:1?[0-9]{1,9}|20[0-9]{8}|21[0-3][0-9]{7})")
_NUMBERS = _compile_row(_NUMBER)
_ANY_NUMBERS = _compile_row(rb"%b|-?inf|-?nan" % _NUMBER)

_REQUIRED = {"num_leaves", "num_cat", "leaf_value", "split_feature", "threshold", "left_child", "right_child"}
_STATISTICS_OF_SPLITS = ("split_gain", "internal_value", "internal_weight")
_COUNTS = ("leaf_count", "internal_count")
_LINEAR = {"leaf_const", "num_features", "leaf_features", "leaf_coeff"}
_KNOWN = {
    *_REQUIRED,
    *_STATISTICS_OF_SPLITS,
    *_COUNTS,
    *_LINEAR,
    *("leaf_weight", "decision_type", "cat_boundaries", "cat_threshold", "is_linear", "shrinkage"),
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
    require(int(text) < LARGEST_INT32, f"{name} must be of 32 bits")
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
    _check_splits(tree, leaves - 1, features=features, categories=_check_categories(tree))
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
    _check_row(tree["leaf_value"], leaves, "leaf_value", _NUMBERS)
    if "shrinkage" in tree:
        _check_row(tree["shrinkage"], 1, "shrinkage", _NUMBERS)
    for name in _STATISTICS_OF_SPLITS:
        if name in tree:
            _check_row(tree[name], leaves - 1, name, _ANY_NUMBERS)
    # LightGBM writes no weight for a tree of one leaf, and reads none unless it is linear.
    if "leaf_weight" in tree and (leaves > 1 or tree["leaf_weight"] or tree.get("is_linear") == b"1"):
        _check_row(tree["leaf_weight"], leaves, "leaf_weight", _ANY_NUMBERS)
    for name, count in zip(_COUNTS, (leaves, leaves - 1), strict=True):
        if name in tree and (leaves > 1 or tree[name]):
            _check_row(tree[name], count, name, _INTEGERS_OF_32_BITS)


def _check_row(text: bytes, count: int, name: str, syntax: re.Pattern[bytes]) -> None:
    rule = f"{name} must be numbers, in the range where a double is precise, with a space between them"
    require(syntax.fullmatch(text) is not None, rule)
    require((text.count(b" ") + 1 if text else 0) == count, f"{name} must be as many numbers as the tree has")


def _read_integers(text: bytes, count: int, name: str, *, low: int, high: int) -> Any:
    """Return a row of integers as an array of int64. Raises Malformed for other numbers of them, or out of range."""
    import numpy

    _check_row(text, count, name, _INTEGERS)
    values = numpy.fromstring(text.decode("ascii"), dtype=numpy.int64, sep=" ")
    require(bool(((values >= low) & (values <= high)).all()), f"{name} must be in range")
    return values


def _check_categories(tree: Mapping[str, bytes]) -> int:
    """Check the sets of categories, each a range of words in cat_threshold; return how many there are."""
    sets = natural(tree["num_cat"], "num_cat")
    if sets == 0:
        require(not {"cat_boundaries", "cat_threshold"} & tree.keys(), "only a tree with categories may list them")
        return 0
    require({"cat_boundaries", "cat_threshold"} <= tree.keys(), "a tree with categories must list them")
    words = tree["cat_threshold"].count(b" ") + 1
    _read_integers(tree["cat_threshold"], words, "cat_threshold", low=0, high=_UINT32)
    boundaries = _read_integers(tree["cat_boundaries"], sets + 1, "cat_boundaries", low=0, high=words)
    require(bool((boundaries[1:] >= boundaries[:-1]).all()), "cat_boundaries must ascend")
    require(boundaries[0] == 0 and boundaries[-1] == words, "cat_boundaries must span cat_threshold")
    return sets


def _check_splits(tree: Mapping[str, bytes], splits: int, *, features: int, categories: int) -> None:
    """Check which feature each split looks at, and how it decides."""
    _read_integers(tree["split_feature"], splits, "split_feature", low=0, high=features - 1)
    _check_row(tree["threshold"], splits, "threshold", _NUMBERS)
    if "decision_type" not in tree:
        return
    kinds = _read_integers(tree["decision_type"], splits, "decision_type", low=0, high=_HIGHEST_DECISION)
    by_category = (kinds & _CATEGORICAL).nonzero()[0]
    thresholds = tree["threshold"].split() if len(by_category) else []
    for node in by_category:
        fit = thresholds[node].isdigit() and int(thresholds[node]) < categories
        require(fit, "the threshold of a split by category must be the number of a set of categories")


def _check_children(tree: Mapping[str, bytes], leaves: int) -> None:
    """Check that every node but the root has one parent, which stands before it, and that no path is too long."""
    import numpy

    splits = leaves - 1
    left = _read_integers(tree["left_child"], splits, "left_child", low=-leaves, high=splits - 1)
    right = _read_integers(tree["right_child"], splits, "right_child", low=-leaves, high=splits - 1)
    expected = numpy.arange(-leaves, splits)
    expected = expected[expected != 0] if splits else expected[:0]
    children = numpy.sort(numpy.concatenate([left, right]))
    require(numpy.array_equal(children, expected), "each node must have one parent")
    nodes = numpy.arange(splits)
    behind = ((left > nodes) | (left < 0)) & ((right > nodes) | (right < 0))
    require(bool(behind.all()), "a node must stand behind its parent")
    if splits > MAX_DEPTH:
        _check_depth(left.tolist(), right.tolist())


def _check_depth(left: Sequence[int], right: Sequence[int]) -> None:
    depth = [0] * len(left)
    for node, pair in enumerate(zip(left, right, strict=True)):
        for child in pair:
            if child >= 0:
                depth[child] = depth[node] + 1
    require(max(depth) < MAX_DEPTH, f"a tree must be no deeper than {MAX_DEPTH} levels")


def _check_linear(tree: Mapping[str, bytes], leaves: int, features: int) -> None:
    """Check the linear model in each leaf: its constant, its features and their coefficients."""
    require(tree.keys() >= _LINEAR, "a linear tree must have coefficients")
    _check_row(tree["leaf_const"], leaves, "leaf_const", _NUMBERS)
    counts = _read_integers(tree["num_features"], leaves, "num_features", low=0, high=features)
    # LightGBM puts two spaces between leaves, and more for leaves without features.
    total, joined = int(counts.sum()), {name: b" ".join(tree[name].split()) for name in ("leaf_features", "leaf_coeff")}
    _read_integers(joined["leaf_features"], total, "leaf_features", low=0, high=features - 1)
    _check_row(joined["leaf_coeff"], total, "leaf_coeff", _NUMBERS)
