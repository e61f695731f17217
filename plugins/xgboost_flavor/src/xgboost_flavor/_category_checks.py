"""Whether the categories of a model, in its trees and of its columns, fit what they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from xgboost_flavor._document import Broken, Document
from xgboost_flavor._values import read_integer

if TYPE_CHECKING:
    from xgboost_flavor._document import Integers

__all__ = ["CATEGORY_FIELDS", "check_categories", "check_column_categories"]

# The arrays of a tree's categorical splits, with the type that xgboost writes them in.
_FIELDS = {
    "split_type": "U",
    "categories_nodes": "l",
    "categories_segments": "L",
    "categories_sizes": "L",
    "categories": "l",
}
CATEGORY_FIELDS = frozenset(_FIELDS)

# xgboost takes categories as float32, which is exact up to here.
_CATEGORIES = 1 << 24
# xgboost keeps a bit for each category up to a split's largest: four bytes of a file can ask for two megabytes.
_FREE_BITS, _BITS_A_BYTE = 1 << 30, 256

# What xgboost calls the types of a column's categories; it has no way to write the unsigned ones.
_INDEX_KINDS = {9: "i", 10: "U", 11: "I", 13: "l", 15: "L"}


def check_categories(document: Document, arrays: Mapping[str, Any], counts: Integers) -> None:
    """Raise Broken unless the categorical splits of trees, of *counts* nodes each, are whole and in bounds."""
    import numpy as np

    lengths = {name: document.lengths(arrays[name], kind, name) for name, kind in _FIELDS.items()}
    if not np.array_equal(lengths["split_type"], counts):
        raise Broken("split_type of a tree has another length than its num_nodes says")
    segments = lengths["categories_nodes"]
    if any(not np.array_equal(lengths[name], segments) for name in ("categories_segments", "categories_sizes")):
        raise Broken("the segments of a tree's categories are not as many as its categorical nodes")
    values = {name: document.integers(arrays[name], kind, name) for name, kind in _FIELDS.items()}
    types, nodes = values["split_type"], values["categories_nodes"]
    if ((types != 0) & (types != 1)).any():
        raise Broken("split_type has a type that is neither 0 (numbers) nor 1 (categories)")
    owner = np.repeat(np.arange(len(counts)), segments)
    begins = np.cumsum(counts) - counts
    if ((nodes < 0) | (nodes >= counts[owner])).any() or not np.array_equal(
        begins[owner] + nodes, np.flatnonzero(types == 1)
    ):
        raise Broken("categories_nodes are not the nodes whose split_type is 1")
    _check_segments(document, values, owner, lengths["categories"])


def _check_segments(document: Document, values: Mapping[str, Integers], owner: Integers, totals: Integers) -> None:
    """Segments lie one after the other and cover a tree's categories, so that no category is read twice."""
    import numpy as np

    sizes, categories = values["categories_sizes"], values["categories"]
    if ((sizes < 1) | (sizes > len(categories))).any():
        raise Broken("a categorical split has no categories, or more than the tree has")
    ends = np.cumsum(sizes)
    # Where each tree's categories begin among those of all.
    offsets = np.cumsum(totals) - totals
    if not np.array_equal(ends - sizes - offsets[owner], values["categories_segments"]):
        raise Broken("categories_segments do not lie one after the other")
    if not np.array_equal(np.bincount(owner, sizes, len(totals)).astype(np.int64), totals):
        raise Broken("categories_sizes do not add up to the categories of a tree")
    if not len(categories):
        return
    if ((categories < 0) | (categories >= _CATEGORIES)).any():
        raise Broken(f"a category is not a number below {_CATEGORIES}")
    largest = np.maximum.reduceat(categories, ends - sizes)
    if int(largest.sum()) > _FREE_BITS + _BITS_A_BYTE * document.size:
        raise Broken("its categorical splits would take far more memory than the file has bytes")


def check_column_categories(document: Document, cats: Any, features: int) -> None:
    """Raise Broken unless *cats*, the categories that columns had in training, can be looked up without harm."""
    if not isinstance(cats, dict) or cats.keys() != {"enc", "feature_segments", "sorted_idx"}:
        raise Broken("cats must be enc, feature_segments and sorted_idx")
    columns = cats["enc"]
    if not isinstance(columns, list) or len(columns) not in (0, features):
        raise Broken(f"cats does not describe {features} columns")
    sizes = [_category_count(document, column, number) for number, column in enumerate(columns)]
    (segments, order) = (document.integers([cats[name]], "l", name) for name in ("feature_segments", "sorted_idx"))
    bounds = [0]
    for size in sizes:
        bounds.append(bounds[-1] + size)
    # Without a data frame in training there are no columns, and either no segments or the one zero.
    if segments.tolist() != bounds and (columns or len(segments)):
        raise Broken("feature_segments of cats are not the sizes of its columns, added up")
    if len(order) != bounds[-1]:
        raise Broken("sorted_idx of cats has another length than there are categories")
    for begin, end in pairwise(bounds):
        part = order[begin:end]
        if len(part) and sorted(part.tolist()) != list(range(len(part))):
            raise Broken("sorted_idx of cats does not order the categories of a column")


def _category_count(document: Document, column: Any, number: int) -> int:
    place = f"column {number} of cats"
    if isinstance(column, dict) and column.keys() == {"offsets", "values"}:
        offsets = document.integers([column["offsets"]], "l", f"offsets of {place}").tolist()
        (length,) = document.lengths([column["values"]], "i", f"values of {place}")
        if not offsets and not length:
            return 0
        if offsets[:1] != [0] or offsets[-1] != length or sorted(offsets) != offsets:
            raise Broken(f"the offsets of {place} do not divide its text")
        return len(offsets) - 1
    if isinstance(column, dict) and column.keys() == {"type", "values"}:
        kind = _INDEX_KINDS.get(read_integer(column["type"], f"type of {place}", most=16))
        if kind is None:
            raise Broken(f"{place} has categories of type {column['type']}, which xgboost cannot read back")
        return len(document.integers([column["values"]], kind, f"values of {place}"))
    raise Broken(f"{place} is neither text nor numbers")
