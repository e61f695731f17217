"""Arrays, objects, maps and any in all their shapes, written down."""

from __future__ import annotations

from collections.abc import Iterator

from differential.schemas import KINDS, array, column, named, obj

__all__ = ["nested_cases"]

# Cells of columns of arrays.
ITEMS = (
    "[]",
    "None",
    "float('nan')",
    "1",
    "'ab'",
    "(1.0,)",
    "[None]",
    "[[1.0]]",
    "[1]",
    "[0, 1]",
    "[1.0]",
    "[1.0, None]",
    "[True]",
    "[True, None]",
    "[True, 1.0]",
    "['abc', 'd']",
    "['abc', None]",
    "['a', 1]",
    "[b'a', b'bc']",
    "[b'a\\0']",
    "[2**53 + 1, 0.5]",
    "[Decimal('0.5')]",
    "['1', 2.0]",
    "[np.float32(0.5)]",
    "[np.int32(1)]",
    "[np.int64(1), 2]",
    "[dt.datetime(2020, 1, 1)]",
    "[dt.datetime(2020, 1, 1), None]",
    "['2020-01-01']",
    "['é']",
    "['a\\0']",
    *(f"np.array([0, 1], dtype='{d}')" for d in "int8 int32 int64 uint64 float16 float32 float64 bool object".split()),
    "np.array([1.5, 2])",
    "np.array(['a', 'bc'])",
    "np.array(['a', None], dtype=object)",
    "np.array(['a', 'b'], dtype=object)",
    "np.array([b'a'])",
    "np.array([[1.0]])",
    "np.array(1.0)",
    "np.array(['2020-01-01'], dtype='M8[D]')",
    "np.array([])",
    "np.array(['2020-01-01'], dtype='M8[ns]')",
    "np.array([True, None], dtype=object)",
    "np.array([1], dtype='m8[ns]')",
)

# Members of objects.
MEMBERS = ("1", "0", "1.5", "2.0", "True", "'x'", "b'x'", "None", "float('nan')", "Decimal('1.5')", "np.int32(3)")

# Other nested types, and cells of each.
NESTED = (
    (
        array(array("double")),
        (
            "[[1.0], [2.0, 3.0]]",
            "[[1.0], None]",
            "[[]]",
            "[]",
            "np.eye(2)",
            "np.eye(2, dtype='float32')",
            "None",
            "[np.ones(2)]",
        ),
    ),
    (
        array("any"),
        ("[1, 'a', None]", "[]", "None", "np.array([1, 2])", "'x'", "{}"),
    ),
    (
        array(obj(x="string")),
        ("[{'x': 'a'}]", "[{'x': 'a'}, {}]", "[None]", "[]", "np.array([{'x': 'a'}])", "[{'x': 'a', 'y': 1}]"),
    ),
    (
        {"type": "map", "values": {"type": "double"}},
        ("{}", "{'k': 1.0}", "{'k': None}", "{1: 1.0}", "None", "[]", "{'k': 0}", "{'k': 'x'}"),
    ),
    (
        {"type": "map", "values": {"type": "any"}},
        ("{}", "{'k': object}", "{'k': None}", "None", "{1: 2}"),
    ),
    (
        obj(x=array("long"), y={"type": "any", "required": False}),
        (
            "{'x': [1, 2]}",
            "{'x': [1], 'y': [None]}",
            "{'x': []}",
            "{'x': None}",
            "{}",
            "{'y': 1}",
            "None",
            "{'x': [1.5]}",
        ),
    ),
    ({"type": "any"}, ("1", "None", "'x'", "[1, 'a']", "{'z': 1}")),
    ({"type": "sparkml_vector"}, ("[1.0, 2.0]", "[1]", "None")),
)


def nested_cases() -> Iterator[tuple[str, str]]:
    """Yield all of them: the signature, an expression for the input."""
    for required in (True, False):
        for kind in KINDS:
            for items in ITEMS:
                cells = f"pd.Series([{items}], dtype=object)"
                yield named(column(array(kind), required=required)), f"pd.DataFrame({{'a': {cells}}})"
        for field, values in NESTED:
            for value in values:
                yield named(column(field, required=required)), f"[{{'a': {value}}}]"
                yield named(column(field, required=required)), f"{{'a': {value}}}"
    for kind in KINDS:
        for value in MEMBERS:
            field = column(obj(p={"type": kind, "required": False}, q=kind))
            yield named(field), f"[{{'a': {{'q': {value}}}}}]"
            yield named(field), f"[{{'a': {{'p': {value}}}}}]"
