"""Containers are recognised, and nothing is imported to do so."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from palate._containers import kinds

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
sparse = pytest.importorskip("scipy.sparse")

FRAME = pd.DataFrame({"a": [1, 2]})
THINGS = {
    "is_dataframe": [FRAME],
    "is_series": [FRAME["a"]],
    "is_arrow": [pa.table({"a": [1]}), pa.record_batch({"a": [1]})],
    "is_ndarray": [np.ones(2), np.ones((1, 2))],
    "is_sparse": [sparse.csr_matrix(np.eye(2)), sparse.coo_array(np.eye(2))],
    "is_polars": [],
}


@pytest.mark.parametrize("question", THINGS)
def test_each_container_is_recognised_by_one_question_only(question: str) -> None:
    """A question is true for its own containers and false for all others, and for plain objects."""
    ask = getattr(kinds, question)
    for owner, things in THINGS.items():
        assert [ask(thing) for thing in things] == [owner == question] * len(things)
    assert not any(map(ask, [None, 1, "x", [1], {"a": 1}, object()]))


def test_polars_frames_and_series_are_recognised() -> None:
    """Polars' eager containers are tabular; a lazy frame holds no data yet."""
    pl = pytest.importorskip("polars")
    assert kinds.is_polars(pl.DataFrame({"a": [1]}))
    assert kinds.is_polars(pl.Series([1]))
    assert not kinds.is_polars(pl.LazyFrame({"a": [1]}))


def test_whatever_hands_out_arrow_speaks_it() -> None:
    """Known packages and unknown ones speak Arrow; pandas does too, but is taken as what it is."""
    pl = pytest.importorskip("polars")
    unknown = [type("Unknown", (), {method: None})() for method in ("__arrow_c_stream__", "__arrow_c_array__")]
    for speaker in (pa.table({"a": [1]}), pa.array([1]), pl.DataFrame({"a": [1]}), pl.Series([1]), *unknown):
        assert kinds.speaks_arrow(speaker)
        assert not kinds.is_array_like(speaker)
    for other in (FRAME, FRAME["a"], np.ones(1), pl.LazyFrame({"a": [1]}), [1], type(unknown[0])):
        assert not kinds.speaks_arrow(other)
    assert kinds.is_lazy(pl.LazyFrame({"a": [1]}))
    assert not kinds.is_lazy(pl.DataFrame({"a": [1]}))


def test_arrays_of_other_packages_are_array_like() -> None:
    """What answers to numpy, or speaks DLPack, is an array; numpy's own, frames and scalars are not."""
    for method in ("__array__", "__dlpack__"):
        assert kinds.is_array_like(type("Unknown", (), {method: None})())
    pandas_own = [FRAME.index, pd.Categorical(["a"]), pd.array([1], "Int64")]
    assert all(map(kinds.is_pandas_array, pandas_own))
    others = [np.ones(1), np.float64(1), FRAME, FRAME["a"], [1], 1, None, *pandas_own]
    assert not any(map(kinds.is_array_like, others))
    assert not any(map(kinds.is_pandas_array, others[:-3]))


def test_asking_imports_nothing() -> None:
    """All questions together leave numpy, pandas, pyarrow, polars and scipy unimported."""
    code = """
import sys
from palate._containers import kinds as c
for ask in (c.is_dataframe, c.is_series, c.is_polars, c.is_arrow, c.is_ndarray, c.is_sparse, c.is_tabular, c.is_lazy):
    assert not ask([]), ask
assert c.is_scalar(1) and c.framework_tensor(1) is None and not c.speaks_arrow([]) and not c.is_array_like([])
assert not {"numpy", "pandas", "pyarrow", "polars", "scipy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_half_imported_package_has_no_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that another thread is still importing answers no, instead of failing."""
    monkeypatch.setitem(sys.modules, "polars", type(sys)("polars"))
    assert not kinds.is_polars(FRAME)


@pytest.mark.parametrize("value", [1, 1.5, 1j, True, "x", b"x", np.float32(1), np.datetime64("2020")])
def test_scalars_are_what_numpy_calls_scalars(value: object) -> None:
    """Numbers, text, bytes and numpy's scalars are scalars; containers and None are not."""
    assert kinds.is_scalar(value)
    assert not kinds.is_scalar([value])
    assert not kinds.is_scalar(None)


def test_tensors_are_told_by_the_package_of_their_class() -> None:
    """An array-like class of torch counts, a subclass too; an array of another package does not."""
    tensor = type("Tensor", (), {"__module__": "torch", "__array__": lambda self: np.ones(1)})
    assert kinds.framework_tensor(tensor()) == "torch"
    assert kinds.framework_tensor(type("Mine", (tensor,), {"__module__": "mine"})()) == "torch"
    assert kinds.framework_tensor(np.ones(1)) is None
