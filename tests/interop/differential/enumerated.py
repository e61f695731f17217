"""Products written down: every scalar type with every kind of pandas column, containers, nested types, tensors."""

from __future__ import annotations

from collections.abc import Iterator

from differential.enumerated_nested import nested_cases
from differential.enumerated_tensors import tensor_cases
from differential.pools import DTYPES
from differential.schemas import KINDS, column, named, unnamed

__all__ = ["enumerated_cases"]

Case = tuple[str, str, str]
Pair = tuple[str, str]

CELLS = [
    *(f"pd.Series([0, 1, 5], dtype='{d}')" for d in "int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()),
    *(
        f"pd.Series([0, 1], dtype='{d}')"
        for d in "int64 >i4 >f8 float64 Int64 Int32 UInt8 category Sparse[int]".split()
    ),
    *(f"pd.Series([1.0, 2.5], dtype='{d}')" for d in "float16 float32 float64 Float32 Float64".split()),
    *(f"pd.Series([1, None], dtype='{d}')" for d in "Int8 Int64 Float32 Float64 float32 float64".split()),
    "pd.Series([2**53 + 1, 2**62])",
    "pd.Series([2**63], dtype='uint64')",
    "pd.Series([0.1, 1e300, np.inf])",
    "pd.Series([True, False])",
    "pd.Series([True, False], dtype='boolean')",
    "pd.Series([True, None], dtype='boolean')",
    "pd.Series(['a', 'b'])",
    "pd.Series(['a', None])",
    "pd.Series(['a', 'b'], dtype='string')",
    "pd.Series(['a', 'b'], dtype='category')",
    "pd.Series(['1', '2'])",
    "pd.Series(['2020-01-01', '2020-01-02T03:04:05'])",
    "pd.Series(pd.to_datetime(['2020-01-01', None]))",
    "pd.Series(np.array(['2020-01-01'], dtype='datetime64[s]'))",
    "pd.Series(np.array(['3020-01-01'], dtype='datetime64[s]'))",
    "pd.Series(pd.to_datetime(['2020-01-01'], utc=True))",
    "pd.Series(pd.to_timedelta([1, 2], unit='s'))",
    *(
        f"pd.Series({items}, dtype=object)"
        for items in (
            "[True, False]",
            "[True, None]",
            "[True, 1]",
            "[None, None]",
            "[]",
            "[0, 1]",
            "[1, 2]",
            "[1, None]",
            "[1, 2.5]",
            "[1.5, None]",
            "[0.5, float('nan')]",
            "[2**70, 1]",
            "[pd.NA, 1.5]",
            "[pd.NaT, 1.5]",
            "[Decimal('0.1'), None]",
            "[Decimal(3), 2]",
            "['a', 'b']",
            "['a', None]",
            "['a', 1]",
            "[b'a', b'b']",
            "[b'a', 'a']",
            "[dt.date(2020, 1, 1), None]",
            "[dt.datetime(2020, 1, 1, 2), None]",
            "[dt.datetime(2020, 1, 1, 2), '2020-01-02']",
            "[np.datetime64('2020-01-01'), None]",
            "[dt.date(3000, 1, 1)]",
            "[dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)]",
            "[1j, None]",
            "[[1], [2]]",
            "[{}, 1]",
            "[np.float32(0.5), np.int8(1)]",
        )
    ),
]

# Inputs for a column of numbers and one of text.
PAIRS = (
    "pd.DataFrame({'b': ['x', 'y'], 'c': [1, 2], 'a': [1.0, 2.0]}, index=[5, 5])",
    "pd.DataFrame({'a': [1.0], 'b': ['x']})",
    "pd.DataFrame({'a': [1.0]})",
    "pd.DataFrame({'a': [], 'b': []})",
    "pd.DataFrame([[1.0, 'x', 2.0]], columns=['a', 'b', 'a'])",
    "{'a': 1.0, 'b': 'x'}",
    "{'a': 1.0, 'b': None}",
    "{'a': 1.0, 'b': ['x', 'y']}",
    "{'a': [1.0, 2.0], 'b': ['x', 'y']}",
    "{'a': np.array([1.0, 2.0]), 'b': np.array(['x', 'y'])}",
    "{'a': 1.0, 'b': np.array('x')}",
    "{'a': [[1.0]], 'b': ['x']}",
    "{'a': [1.0, 2.0], 'b': ['x']}",
    "{'a': (1.0, 2.0), 'b': ('x', 'y')}",
    "{'a': pd.Series([1.0, 2.0], index=[4, 5]), 'b': pd.Series(['x', 'y'], index=[4, 5])}",
    "{}",
    "[{'a': 1.0, 'b': 'x'}, {'b': 'y', 'a': 2.0}]",
    "[{'a': 1.0, 'b': 'x'}, {'b': 'y'}]",
    "[[1.0, 'x'], [2.0, 'y']]",
    "[(1.0, 'x')]",
    "[[1.0, 'x'], [2.0]]",
    "[(1.0,), (2.0, 'y')]",
    "[np.array([1.0]), np.array([2.0, 3.0])]",
    "[]",
    "np.array([[1.0, 2.0]])",
    "np.array([(1.0, 'x')], dtype=[('a', 'f8'), ('b', 'O')])",
    "((1.0, 'x'),)",
    "None",
    "1.0",
    "sp.csr_matrix(np.eye(2))",
)

# Inputs for one column of numbers.
SINGLES = (
    "pd.Series([1.0], name='a')",
    "pd.Series([1.0])",
    "[1.0]",
    "np.array([1.0])",
    "np.array([[1.0]])",
    "1.0",
)

# Types of one column without a name, and inputs for it.
BARE = (
    ("string", "'x'"),
    ("string", "np.str_('x')"),
    ("binary", "b'x'"),
    ("long", "3"),
    ("boolean", "True"),
    ("boolean", "np.bool_(True)"),
    ("double", "np.float32(2)"),
    ("datetime", "np.datetime64('2020-01-01')"),
    ("datetime", "dt.datetime(2020, 1, 1)"),
    ("string", "['x', 'y']"),
    ("string", "np.array('x')"),
    ("string", "np.array(['x', 'y'])"),
    ("string", "np.array([['x'], ['y']])"),
    ("string", "np.zeros((1, 1, 1))"),
)

# Signatures of their own.
_MAYBE = named(column("double"), column("long", "b", required=False))
_FOREIGN = named(column({"type": "any"}, "c"), column("double", "a"))
_NUMBERED = named(column("double", 0), column("double", 1))
OTHERS = (
    (named(column("string", "a")), "{'a': ['x', 'y']}"),
    (named(column("string", "a")), "{'a': np.array([['x'], ['y']])}"),
    (named(column("string", "a")), "{'a': np.array('x')}"),
    (named(column("boolean", "a")), "{'a': []}"),
    (named(column("datetime", "a")), "{'a': ['2020-01-01']}"),
    (_MAYBE, "pd.DataFrame({'a': [1.0]})"),
    (_MAYBE, "pd.DataFrame({'a': [1.0], 'b': [2]})"),
    (_MAYBE, "pd.DataFrame({'a': [1.0], 'b': [None]})"),
    (_MAYBE, "pd.DataFrame({'b': [1]})"),
    (_FOREIGN, "pd.DataFrame({'a': [1.5], 'b': [2.5], 'c': [3.5]}, dtype='>f8')"),
    (_NUMBERED, "[[1.0, 2.0]]"),
    (_NUMBERED, "pd.DataFrame([[1.0, 2.0]], columns=['0', '1'])"),
)


def enumerated_cases() -> list[Case]:
    """Return all of them, each once: its kind, the signature, an expression for the input."""
    pairs = [*scalar_cases(), *dtype_cases(), *container_cases(), *nested_cases(), *tensor_cases()]
    return [("inputs", schema, text) for schema, text in dict.fromkeys(pairs)]


def scalar_cases() -> Iterator[Pair]:
    """Yield every scalar type with every kind of pandas column."""
    for kind in KINDS:
        for cells in CELLS:
            yield named(column(kind)), f"pd.DataFrame({{'a': {cells}}})"


def dtype_cases() -> Iterator[Pair]:
    """Yield every scalar type with every pandas dtype, with each value alone and with all of them."""
    for kind in KINDS:
        for dtype, items in DTYPES.items():
            for cells in [*items, ", ".join(items), ""]:
                yield named(column(kind)), f"pd.DataFrame({{'a': pd.Series([{cells}], dtype={dtype})}})"


def container_cases() -> Iterator[Pair]:
    """Yield the containers that columns can come in."""
    for schema in (named(column("double", "a"), column("string", "b")), unnamed("double", "string")):
        for text in PAIRS:
            yield schema, text
    for text in SINGLES:
        yield named(column("double")), text
        yield unnamed("double"), text
        yield named(column("double", 0)), text
    for kind, text in BARE:
        yield unnamed(kind), text
    yield from OTHERS
