"""How two snapshots differ, and what a hostile one comes to."""

from __future__ import annotations

import contextlib
import copy
import math
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palate._stored.differences import differences
from palate._stored.snapshots import snapshot

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")


def compare(expected: object, given: object, *, rtol: float = 0.0, atol: float = 0.0) -> list[str]:
    """Return how two predictions differ."""
    return differences(snapshot(expected), snapshot(given), rtol=rtol, atol=atol)


@pytest.mark.parametrize(
    ("expected", "given", "sentence"),
    [
        (1.0, 1.5, "the prediction was 1.0, is 1.5"),
        (1, 1.0, "was an integer, is a number"),
        (True, 1, "was a boolean, is an integer"),
        ("a", "b", "was 'a', is 'b'"),
        (None, math.nan, "was None, is a number"),
        ([1.0], np.array([1.0]), "was a list, is an array"),
        ((1,), [1], "was a tuple, is a list"),
        ([1, 2], [1], "had 2 items, has 1"),
        ([1.0, 2.0], [1.0, 3.0], "differs in 1 of 2 values, first at [1] (was 2.0, is 3.0)"),
        (["a", "b"], ["a", "c"], "the prediction[1] was 'b', is 'c'"),
        ({"a": [1]}, {"a": [2]}, "the prediction['a'][0] was 1, is 2"),
        ({"a": 1}, {}, "lacks key 'a'"),
        ({}, {"a": 1}, "has a new key 'a'"),
        (np.eye(2), np.eye(3), "had the shape (2, 2), has (3, 3)"),
        (np.eye(2), np.eye(2, dtype=int), "held numbers, holds integers"),
        (np.eye(2), np.eye(2) * 2, "differs in 2 of 4 values, first at [0, 0] (was 1.0, is 2.0)"),
        (np.array(["a"]), np.array(["b"]), "differs in 1 of 1 values"),
        (np.array([1, [2]], dtype=object), np.array([1, [3]], dtype=object), "the prediction[1][0] was 2, is 3"),
        (np.array(["2024"], dtype="M8[D]"), np.array(["NaT"], dtype="M8[D]"), "missing values in other places"),
        (math.nan, 1.0, "was nan, is 1.0"),
        (math.inf, -math.inf, "was inf, is -inf"),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}), "lacks column 'a'"),
        (pd.DataFrame({"a": [1], "b": [1]}), pd.DataFrame({"b": [1], "a": [1]}), "columns in another order"),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1, 2]}), "had 1 rows, has 2"),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}, index=[5]), "another row index"),
        (pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"a": [1.0, None]}), "missing values in other places"),
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [1]}), "column 'a', held numbers, holds integers"),
        (
            pd.DataFrame({"a": ["x"]}),
            pd.DataFrame({"a": ["x"]}, dtype="category"),
            "held text, holds categories",
        ),
        (pd.Series([1], name="a"), pd.Series([1], name="b"), "lacks column 'a'"),
        (pd.Series([1]), pd.DataFrame({0: [1]}), "was a pandas Series, is a pandas DataFrame"),
        (pd.Series([1]), pd.Series([2]), "the prediction differs in 1 of 1 values, first at [0] (was 1, is 2)"),
    ],
    ids=str,
)
def test_a_difference_is_a_sentence(expected: object, given: object, sentence: str) -> None:
    """Each kind of difference is told in words that name the place."""
    found = compare(expected, given, rtol=1e-7)
    assert len(found) >= 1
    assert sentence in found[0]


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        (1.0, 1.0 + 1e-9),
        (np.float32(1), 1.0),
        (np.int64(1), 1),
        (math.nan, math.nan),
        ([math.nan, math.inf], [math.nan, math.inf]),
        (np.float32([1]), np.float64([1])),
        (np.array([1], dtype="i2"), np.array([1], dtype="u8")),
        (np.array(["a"]), np.array(["a"], dtype=object)),
        (np.array(["NaT", "2024"], dtype="M8[s]"), np.array(["NaT", "2024"], dtype="M8[ns]")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (pd.DataFrame({"a": ["x", None]}), pd.DataFrame({"a": pd.array(["x", None], dtype="string")})),
        (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": pd.array([1, 2], dtype="Int64")})),
        (pd.Series([1.0, None]), pd.Series([1.0 + 1e-9, None], dtype="Float64")),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (pd.NA, pd.NA),
    ],
    ids=str,
)
def test_what_differs_only_in_class_or_noise_is_equal(expected: object, given: object) -> None:
    """Widths, pandas' ways to hold a column, the order of keys and noise below the tolerance do not count."""
    assert compare(expected, given, rtol=1e-7) == []


def test_sparse_differences() -> None:
    """Sparse matrices are compared by value, whatever their format."""
    sparse = pytest.importorskip("scipy.sparse")
    eye = sparse.csr_matrix(np.eye(3))
    assert compare(eye, sparse.coo_array(np.eye(3))) == []
    assert "differs in 3 of 3" in compare(eye, eye * 2)[0]
    assert "other places" in compare(eye, sparse.csr_matrix(np.eye(3)[::-1]))[0]
    assert "had the shape" in compare(eye, sparse.csr_matrix(np.eye(2)))[0]


def test_differences_stay_short() -> None:
    """However much differs, there are at most five short sentences."""
    frame = pd.DataFrame(np.zeros((1000, 50)))
    found = compare(frame, frame + 1)
    assert len(found) == 5
    assert all(len(sentence) < 200 for sentence in found)
    found = compare({f"key {i}": 0 for i in range(1000)}, {})
    assert "and 995 more" in found[0]
    assert len(compare("x" * 10_000, "y" * 10_000)[0]) < 200


def test_the_tolerance_is_relative_and_absolute() -> None:
    """A float may be off by atol + rtol * abs(expected), and not by more."""
    assert compare(100.0, 100.9, rtol=0.01, atol=0.0) == []
    assert compare(100.0, 101.1, rtol=0.01, atol=0.0) != []
    assert compare(0.0, 0.05, rtol=0.01, atol=0.1) == []
    assert compare(np.array([math.inf]), np.array([1.0]), rtol=0.01, atol=1.0) != []
    assert compare(np.array([1.0]), np.array([math.nan]), rtol=0.01, atol=1.0) != []


def test_tables_are_compared_by_column() -> None:
    """Arrow tables differ by column names, types without their width, and values."""
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": pa.array([1.5], pa.float32())})
    assert compare(table, pa.table({"a": [1.5]})) == []
    assert "differs" in compare(table, pa.table({"a": [2.5]}))[0]
    assert "held numbers, holds integers" in compare(table, pa.table({"a": [1]}))[0]
    assert "lacks column 'a'" in compare(table, pa.table({"b": [1]}))[0]


# -- hostile documents -------------------------------------------------------------------------------------------------

PREDICTIONS = [
    1.5,
    [1.0, {"a": (1, b"x")}],
    np.eye(2),
    np.array([1 + 1j, 2]),
    np.array(["a", None], dtype=object),
    pd.DataFrame({"a": [1.0, None], "b": ["x", "y"]}, index=["r", "s"]),
    pytest.importorskip("scipy.sparse").csr_matrix(np.eye(2)),
]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"kind": ["array"]},
        {"kind": "array"},
        {"kind": "array", "shape": [2, 2]},
        {"kind": "array", "shape": [2, 2], "holds": "numbers", "data": [1.0]},
        {"kind": "array", "shape": [2, 2], "holds": "numbers", "data": ["x"] * 4},
        {"kind": "array", "shape": [2, 2], "holds": "numbers", "data": [[1.0] * 4] * 4},
        {"kind": "array", "shape": [2, 2], "holds": "numbers", "data": [10**400] * 4},
        {"kind": "array", "shape": 2},
        {"kind": "scalar", "holds": {}},
    ],
    ids=str,
)
def test_malformed_documents_are_refused(document: Any) -> None:
    """What cannot be compared is a ValueError, whatever is wrong with it."""
    with pytest.raises(ValueError, match="malformed"):
        differences(document, snapshot(np.eye(2)), rtol=0.0, atol=0.0)


def test_a_document_deeper_than_a_prediction_is_a_difference() -> None:
    """The comparison ends where the prediction ends."""
    document: Any = 1
    for _ in range(100_000):
        document = [document]
    assert differences(document, [[1]], rtol=0.0, atol=0.0) == ["the prediction[0][0] was a list, is an integer"]


def nodes(document: Any) -> list[Any]:
    """Return every dict and list inside a document."""
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return ([document] if isinstance(document, dict | list) and document else []) + [n for i in inner for n in nodes(i)]


@given(st.integers(0, 2**32))
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_documents_never_crash(seed: int) -> None:
    """A document with parts dropped or replaced is compared in short sentences or refused; nothing else comes out."""
    chance = random.Random(seed)
    sound = snapshot(chance.choice(PREDICTIONS[1:]))
    document = copy.deepcopy(sound)
    for _ in range(chance.randint(1, 3)):
        if not (inside := nodes(document)):
            break
        node = chance.choice(inside)
        key = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
        junk = [None, True, -1, 2**40, 1.5, "x" * 1000, "nan", [], [1, 2], {}, {"kind": "array"}, sound]
        if isinstance(node, dict) and chance.random() < 0.3:
            del node[key]
        else:
            node[key] = copy.deepcopy(chance.choice(junk))
    with contextlib.suppress(ValueError):
        assert all(len(sentence) < 500 for sentence in differences(document, sound, rtol=0.0, atol=0.0))
