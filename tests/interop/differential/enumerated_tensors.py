"""Arrays, sparse matrices and frames for tensors, written down."""

from __future__ import annotations

import json
from collections.abc import Iterator

from differential.schemas import tensor

__all__ = ["tensor_cases"]

SPECS = (
    ("float32", (-1, 3)),
    ("float64", (-1, 3)),
    ("int64", (-1, 3)),
    ("float32", (-1,)),
    ("float64", (-1, 1)),
    ("bool", (-1,)),
    ("object", (-1,)),
    ("float32", (-1, -1, 2)),
    ("str", (-1,)),
    ("bytes", (-1,)),
    ("datetime64[ns]", (-1,)),
    ("float64", ()),
    ("int32", (-1, 1)),
    ("object", (-1, 3)),
    ("float32", (2, 3)),
    ("float32", (-1, 3, 1)),
)

ARRAYS = (
    *(f"np.ones((2, 3), dtype='{d}')" for d in "float32 float64 float16 int32 bool >f4 complex64 object".split()),
    "np.ones((0, 3), 'f4')",
    "np.ones((2, 4), 'f4')",
    "np.ones(3, 'f4')",
    "np.asfortranarray(np.ones((2, 3), 'f4'))",
    "[[1.0, 2.0, 3.0]]",
    "{'a': 1}",
    "None",
    "3",
    "sp.csr_matrix(np.ones((2, 3), 'f4'))",
    "sp.csc_matrix(np.eye(3))",
    "sp.coo_matrix(np.ones((2, 3), 'f4'))",
    "sp.csr_array(np.ones((2, 3), 'f4'))",
    "np.array([[['a']]])",
    "np.array([np.ones(2), np.ones(3)], dtype=object)",
    "np.array(['ab', 'c'])",
    "np.array([b'a'])",
    "np.array(['2020'], dtype='M8[D]')",
    "np.array(['2020'], dtype='M8[ns]')",
    "np.float32(1)",
    "np.array(1.0)",
)

FRAMES = (
    "pd.DataFrame(np.ones((2, 3), 'f4'))",
    "pd.DataFrame(np.ones((2, 3)))",
    "pd.DataFrame(np.ones((2, 2), 'f4'))",
    "pd.DataFrame({'a': [1], 'b': [0.5], 'c': [True]})",
    "pd.DataFrame({'a': [1], 'b': [0.5], 'c': [2.5]})",
    "pd.DataFrame({'a': [[1.0, 2.0, 0.1]]})",
    "pd.DataFrame({'a': [[1, 2, 3]]})",
    "pd.DataFrame({'a': [['1', '2', '3']]})",
    "pd.DataFrame({'a': [np.ones(3, 'f4')]})",
    "pd.DataFrame({'a': [np.full(3, 0.1)]})",
    "pd.DataFrame({'a': [np.ones(3)]})",
    "pd.DataFrame({'a': [[1.0, 2.0]]})",
    "pd.DataFrame({'a': [[1.0], [2.0, 3.0]]})",
    "pd.DataFrame({'a': [1.5, 2.0]})",
    "pd.DataFrame({'a': ['1.5']})",
    "pd.DataFrame({'a': [True]})",
    "pd.DataFrame({'a': [1, 2]})",
    "pd.DataFrame({'a': [1e300]})",
    "pd.Series([1.5, 0.1])",
    "pd.DataFrame({'a': [[1.0, 2.0, 3.0]]}, index=[7])",
)

# For one tensor with a name, and for two.
NAMED = (
    "{'a': np.ones((2, 3), 'f4'), 'b': np.arange(2), 'c': 1}",
    "{'a': np.ones((2, 3)), 'b': np.arange(2)}",
    "{'a': np.ones((2, 3), 'f4')}",
    "{'a': [[1.0, 2.0, 3.0]], 'b': [1]}",
    "np.ones((2, 3), 'f4')",
    "pd.DataFrame({'a': [[1.0, 2.0, 0.1]], 'b': [1]})",
    "pd.DataFrame({'a': [[1.0, 2.0, 0.1]], 'b': [1.7]})",
    "pd.Series([[1.0, 2.0, 3.0]], name='a')",
    "[1]",
    "None",
)


def tensor_cases() -> Iterator[tuple[str, str]]:
    """Yield all of them with every kind of tensor: the signature, an expression for the input."""
    for dtype, shape in SPECS:
        for text in (*ARRAYS, *FRAMES):
            yield json.dumps([tensor(dtype, shape)]), text
    single = json.dumps([tensor("float32", (-1, 3), "a")])
    several = json.dumps([tensor("float32", (-1, 3), "a"), tensor("int64", (-1,), "b")])
    for text in NAMED:
        yield single, text
        yield several, text
