"""Requests joined row by row, and answers taken apart again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.ensemble import RandomForestClassifier

from palate.matrix import Matrix
from palate.serving._predicting.joining import RowsDiffer, count_rows, find_join_key, join_rows, split_rows
from palate.serving._predicting.lane import Waiting, answer_together

FRAME = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
JOINABLE = {
    "matrix": (Matrix(np.ones((2, 1)), ("a",)), Matrix(np.zeros((1, 1)), ("a",)), 3),
    "array": (np.ones((2, 3)), np.zeros((1, 3)), 3),
    "texts": (np.array(["a", "bc"]), np.array(["d", "ef"]), 4),
    "arrays": ({"a": np.ones(2), "b": np.ones((2, 4))}, {"a": np.zeros(1), "b": np.zeros((1, 4))}, 3),
    "frame": (FRAME, FRAME.head(1), 3),
    "list": (["a", "b"], ["c"], 3),
}
APART = {
    "dtypes": (np.ones((2, 3)), np.ones((2, 3), "float32")),
    "widths": (np.ones((2, 3)), np.ones((2, 4))),
    "names": ({"a": np.ones(2)}, {"b": np.ones(2)}),
    "columns": (FRAME, FRAME[["b", "a"]]),
    "frame dtypes": (FRAME, FRAME.assign(a=[1, 2])),
    "kinds": (FRAME, ["a"]),
}
ALONE = {
    "scalar": np.array(5.0),
    "objects": np.array([{}, []], dtype=object),
    "sparse": scipy.sparse.eye(3),
    "ragged names": {"a": np.ones(2), "b": np.ones(3)},
    "dict of lists": {"a": [1, 2]},
    "text": "abc",
    "none": None,
}


@pytest.mark.parametrize(("first", "second", "rows"), JOINABLE.values(), ids=JOINABLE)
def test_same_kind_is_joined_in_order(first: Any, second: Any, rows: int) -> None:
    """Data of one key becomes one piece with the rows of all of it, those of the first request first."""
    assert find_join_key(first) == find_join_key(second) is not None
    joined = join_rows([first, second])
    assert count_rows(joined) == rows == count_rows(first) + count_rows(second)
    assert find_join_key(joined) is not None


@pytest.mark.parametrize(("first", "second"), APART.values(), ids=APART)
def test_other_shapes_are_never_mixed(first: Any, second: Any) -> None:
    """Other dtypes, widths, names or containers have other keys."""
    assert find_join_key(first) != find_join_key(second)


@pytest.mark.parametrize("data", ALONE.values(), ids=ALONE)
def test_what_has_no_rows_to_join_stays_alone(data: Any) -> None:
    """Data that cannot be joined without a doubt has no key."""
    assert find_join_key(data) is None


@pytest.mark.parametrize(
    "answer",
    [
        np.arange(12).reshape(3, 4),
        np.arange(3),
        pd.DataFrame({"a": [1, 2, 3]}),
        pd.Series([1, 2, 3], name="p"),
        [1, "two", None],
        (np.arange(3), np.ones((3, 2))),
        {"a": np.arange(3), "b": [1, 2, 3]},
        scipy.sparse.coo_matrix(np.eye(3)),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_answers_are_split_by_rows(answer: Any) -> None:
    """Each request gets its own rows, in a container of the same kind, with labels from 0."""
    one, two = split_rows(answer, [1, 2])
    assert (count_rows(one), count_rows(two)) == (1, 2) if not isinstance(answer, tuple) else (len(one), 2)
    if isinstance(answer, pd.DataFrame | pd.Series):
        assert list(two.index) == [0, 1]
    if isinstance(answer, np.ndarray):
        np.testing.assert_array_equal(np.concatenate([one, two]), answer)


@pytest.mark.parametrize("answer", [np.arange(4), np.float64(1.0), 5, "abc", b"abc", None, {"a": np.arange(2)}, [1]])
def test_another_number_of_rows_is_noticed(answer: Any) -> None:
    """An answer that has not as many rows as went in is never handed out by guess."""
    with pytest.raises(RowsDiffer):
        split_rows(answer, [1, 2])


def test_a_list_of_arrays_is_not_taken_for_a_list_of_rows() -> None:
    """As many outputs as rows, and a request would be answered with the first output of all requests."""
    outputs = [np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])] * 3
    for answer in (outputs, {"a": outputs}, (outputs,), [scipy.sparse.csr_matrix(part) for part in outputs]):
        with pytest.raises(RowsDiffer):
            split_rows(answer, [1, 2])


def test_several_targets_of_scikit_learn_are_each_clients_own() -> None:
    """Two requests together, of a classifier with two targets, are answered as by themselves."""
    features, targets = np.arange(12.0).reshape(6, 2), np.array([[0, 1], [1, 0], [0, 0], [1, 1], [0, 1], [1, 1]])
    forest = RandomForestClassifier(3, random_state=0).fit(features, targets)

    class Model:
        def predict(self, method: str, data: Any, params: Any) -> Any:
            return getattr(forest, method)(data)

        def check(self, method: str, data: Any) -> Any:
            return data

    rows = [features[:1], features[3:4]]
    waiting = [Waiting("rows", "predict_proba", row, None, 1, print) for row in rows]
    answers, adds_up = answer_together(Model(), waiting)
    assert not adds_up
    for row, answer in zip(rows, answers, strict=True):
        np.testing.assert_array_equal(np.array(answer), np.array(forest.predict_proba(row)))
