"""Several requests as one: data that has been enforced is joined row by row, and the answer taken apart again."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Sequence
from itertools import accumulate, pairwise
from typing import Any

from palate.matrix import Matrix

__all__ = ["RowsDiffer", "count_rows", "find_join_key", "join_rows", "split_rows"]


class RowsDiffer(Exception):
    """A model answered with another number of rows than it was given, or with something that has no rows."""


def find_join_key(data: Any) -> Hashable | None:
    """Return what data must have in common to be joined, or None for data that is predicted by itself.

    Args:
        data: what ``PyFuncModel.enforce`` returned, or a Matrix that fits.
    """
    kind = type(data)
    if kind is Matrix:
        return "matrix"
    if kind is list:
        return "list"
    if kind is dict:
        parts = [find_join_key(part) if _is_array(part) else None for part in data.values()]
        one_length = len({len(part) for part in data.values() if _is_array(part)}) == 1
        return (*zip(data, parts, strict=True),) if one_length and None not in parts else None
    if _is_array(data):
        return (data.dtype.str, data.shape[1:])
    pandas = sys.modules.get("pandas")
    if pandas is not None and kind is pandas.DataFrame:
        return ("frame", tuple(data.columns.tolist()), tuple(data.dtypes.tolist()))
    return None


def _is_array(data: Any) -> bool:
    numpy = sys.modules["numpy"]
    return type(data) is numpy.ndarray and data.ndim > 0 and data.dtype.kind != "O"


def count_rows(data: Any) -> int:
    """Return how many rows data has; 1 for what has none."""
    if type(data) is dict:
        lengths = {_length(part) for part in data.values()}
        return lengths.pop() if len(lengths) == 1 else 1
    return _length(data)


def _length(data: Any) -> int:
    try:
        return data.shape[0] if hasattr(data, "shape") else len(data)
    except (TypeError, IndexError):  # a scalar
        return 1


def join_rows(parts: Sequence[Any]) -> Any:
    """Return data of one join key as one."""
    import numpy as np

    first = parts[0]
    kind = type(first)
    if kind is Matrix:
        return Matrix(np.concatenate([part.values for part in parts]), first.columns)
    if kind is list:
        return [item for part in parts for item in part]
    if kind is dict:
        return {name: np.concatenate([part[name] for part in parts]) for name in first}
    if kind is np.ndarray:
        return np.concatenate(parts)
    import pandas as pd

    return pd.concat(parts, ignore_index=True)


def split_rows(answer: Any, counts: Sequence[int]) -> list[Any]:
    """Return the part of an answer for each of the requests, which had so many rows.

    Raises:
        RowsDiffer: the answer has not as many rows as they had together, or is a list of arrays, which may be rows or
            outputs.
    """
    ends = [0, *accumulate(counts)]
    if type(answer) is dict:
        columns = {name: _slices(part, ends) for name, part in answer.items()}
        return [{name: parts[n] for name, parts in columns.items()} for n in range(len(counts))]
    if type(answer) is tuple:
        outputs = [_slices(part, ends) for part in answer]
        return [tuple(parts[n] for parts in outputs) for n in range(len(counts))]
    return _slices(answer, ends)


def _holds_rows(item: Any) -> bool:
    return len(getattr(item, "shape", ())) > 0


def _slices(answer: Any, ends: Sequence[int]) -> list[Any]:
    if isinstance(answer, str | bytes) or (_length(answer) if hasattr(answer, "__len__") else -1) != ends[-1]:
        raise RowsDiffer
    # scikit-learn answers for several targets with a list of arrays, each of which has all the rows: as many targets
    # as rows, and a request would get other requests' answers.
    if isinstance(answer, list) and any(_holds_rows(item) for item in answer):
        raise RowsDiffer
    if hasattr(answer, "iloc"):
        # As if each had been predicted by itself: with labels from 0.
        return [answer.iloc[begin:end].reset_index(drop=True) for begin, end in pairwise(ends)]
    if hasattr(answer, "tocsr"):
        answer = answer.tocsr()
    elif hasattr(answer, "column_names"):  # Arrow's brackets take columns
        return [answer.slice(begin, end - begin) for begin, end in pairwise(ends)]
    return [answer[begin:end] for begin, end in pairwise(ends)]
