"""Every pair of many columns, held against what enforcement does with many cells in several containers.

Where random pairs seldom meet the one cell that matters, this meets it always.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from palate._enforcement.plan import InputPlan, compile_inputs
from palate.errors import InvalidInput, InvalidSignature
from palate.model_diff import compare_signatures
from palate.schema import (
    SCALARS,
    AnyType,
    Array,
    ColSpec,
    FieldType,
    Map,
    Object,
    Property,
    Schema,
    SparkVector,
    TensorSpec,
)
from palate.signature import Signature

NOON = datetime(2024, 6, 1, 12)  # noqa: DTZ001
ZONED = datetime(2024, 6, 1, 14, tzinfo=timezone(timedelta(hours=2)))
SCALAR_CELLS: list[Any] = [
    *(
        None,
        float("nan"),
        float("inf"),
        float("-inf"),
        0,
        1,
        -1,
        2,
        0.5,
        0.1,
        float(np.float32(0.1)),
        1e300,
        3,
        2**26,
        2**24,
        2**24 + 1,
    ),
    *(
        -(2**24) - 1,
        -(2**53) - 1,
        -(2**31) - 1,
        2**31 - 1,
        2**31,
        -(2**31),
        2**53,
        2**53 + 1,
        2**63 - 1,
        True,
        False,
        "",
        "a",
        "b",
        b"a",
        NOON,
        ZONED,
    ),
]
NESTED_CELLS: list[Any] = [
    *([], [1], [0.5], [2**31], [2**53 + 1], ["a"], [None], [[1]], [[0.5], []], np.array([1]), np.array([0.5])),
    *({}, {"p": 1}, {"p": 0.5}, {"p": 2**31}, {"p": 2**53 + 1}, {"p": None}, {"p": 1, "q": "a"}, {"q": "a"}),
    *({"p": [1]}, {"p": [0.5]}, {"x": 1, "y": 0.5}, [{"p": 1}], [{"p": 1, "q": "a"}], {"p": {"p": 1}}),
]


def obj(**members: Any) -> Object:
    """Return an object; a type in a list is that of a property which need not be there."""
    properties = [Property(n, k[0], False) if isinstance(k, list) else Property(n, k) for n, k in members.items()]
    return Object(tuple(properties))


NESTED: list[FieldType] = [
    *(AnyType(), SparkVector(), Array("integer"), Array("long"), Array("float"), Array("double"), Array("string")),
    *(Array(AnyType()), Array(Array("integer")), Array(Array("double")), Array(obj(p="long", q=["string"]))),
    *(Array(obj(p="long")), Map("integer"), Map("long"), Map("double"), Map(AnyType()), Map(Array("long"))),
    *(obj(p="integer"), obj(p="long"), obj(p=["long"]), obj(p="double"), obj(p=AnyType()), obj(p=obj(p="long"))),
    *(obj(p="long", q="string"), obj(p="long", q=["string"]), obj(p=Array("long")), obj(p=Array("double"))),
]
CATEGORIES: dict[str, list[tuple[Any, ...]]] = {
    **{kind: [(1,), (1, 2)] for kind in ("integer", "long")},
    **{kind: [(1,), (1, 0.5)] for kind in ("float", "double")},
    "boolean": [(True,), (True, False)],
    "string": [("a",), ("a", "b")],
    "datetime": [(NOON,), (ZONED,)],
}
BOUNDS: list[dict[str, Any]] = [
    *({"minimum": 0}, {"minimum": 0.1}, {"maximum": 0.1}, {"maximum": 1}, {"minimum": 0, "maximum": 2}),
    *({"maximum": 2**24}, {"minimum": -(2**53), "maximum": 2**53}, {"minimum": 0, "maximum": 2**31 - 1}),
]


def scalar_facts(kind: str) -> Iterator[dict[str, Any]]:
    """Yield what may be declared of a column."""
    yield from ({}, {"nullable": True}, {"nullable": False}, {"required": False})
    for values in CATEGORIES.get(kind, ()):
        for nullable in (None, True, False):
            yield {"categories": values, "closed": True, "nullable": nullable}
            yield {"categories": values, "categorical": True, "nullable": nullable}
    if kind in ("integer", "long", "float", "double"):
        yield from BOUNDS
    if kind == "datetime":
        yield {"timezone": "Europe/Vienna"}


def columns(kinds: list[Any]) -> Iterator[ColSpec]:
    """Yield the columns of these types with every fact that they can have."""
    for kind in kinds:
        for facts in scalar_facts(kind) if isinstance(kind, str) else [{}, {"required": False}]:
            try:
                yield ColSpec(type=kind, name="a", **facts)
            except InvalidSignature:
                continue


def tables(cells: list[Any], *, named: bool) -> Iterator[Any]:
    """Yield each cell in frames, as an object and with the dtype that pandas finds, in dicts, records and rows."""
    for cell in cells:
        objects = pd.DataFrame({"a" if named else 0: pd.Series([cell], dtype=object)})
        yield from (objects, objects.infer_objects())
        if named:
            yield from ({"a": [cell]}, {"a": cell}, [{"a": cell}])
        else:
            yield from ([[cell]], [cell])
    if named:
        yield from (pd.DataFrame({"b": [1]}), [{"b": 1}])


@cache
def taken(column: ColSpec, part: str) -> frozenset[int]:
    """Return which of the tables a model with that column takes, by their number."""
    plan = compile_inputs(Schema((column,)))
    found = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cells = SCALAR_CELLS if part == "scalars" else NESTED_CELLS + SCALAR_CELLS
        for number, table in enumerate(tables(cells, named=column.name is not None)):
            try:
                plan.enforce(deepcopy(table))
            except InvalidInput:
                continue
            found.add(number)
    return frozenset(found)


def find_wrong(specs: list[ColSpec], part: str) -> list[str]:
    """Return the pairs that are not called breaking although the first takes something that the second refuses."""
    wrong = []
    for old, new in product(specs, specs):
        changes = compare_signatures(Signature(inputs=Schema((old,))), Signature(inputs=Schema((new,))))
        if not any(change.breaks for change in changes) and not taken(old, part) <= taken(new, part):
            wrong.append(f"{old} -> {new}: {[*map(str, changes)]}")
    return wrong


DTYPES = [
    *("bool", "str", "bytes", "object", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "longdouble", "complex64", "complex128", "datetime64[s]", "datetime64[ns]"),
]
NUMBERS: list[Any] = [
    *(True, None, float("nan"), float("inf"), 0, 1, -1, 0.5, 0.1, 1.0, 255, 256, 2**11 + 1, 2**16, 2**24 + 1, 2**32),
    *(2.0**31, 2.0**53, 2.0**62, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1, 1e39, 1e300, 1j, "a", b"a", "2024-05-06"),
]


def arrays(shape: tuple[int, ...]) -> Iterator[Any]:
    """Yield each number in lists, in arrays of every dtype that has it, in sparse matrices and in frames."""
    for number in NUMBERS:
        yield np.full(shape, number, dtype=object).tolist()
        for dtype in DTYPES:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of 1j, real types keep the real part
                try:
                    array = np.full(shape, number, dtype=dtype)
                except (TypeError, ValueError, OverflowError):
                    continue
            yield array
            if len(shape) == 2:
                yield pd.DataFrame(array)
                if array.dtype.kind in "biuf" and dtype != "float16":
                    yield scipy.sparse.csr_matrix(array)


@pytest.mark.parametrize("shape", [(1,), (1, 2)], ids=str)
def test_no_pair_of_tensors_is_called_compatible_and_is_not(shape) -> None:
    """Whatever their dtypes."""
    given = list(arrays(shape))
    specs = [TensorSpec(dtype=dtype, shape=(-1, *shape[1:])) for dtype in DTYPES]
    taken_by = {}
    for spec in specs:
        plan = compile_inputs(Schema((spec,)))
        taken_by[spec] = {number for number, data in enumerate(given) if _fits(plan, data)}
    for old, new in product(specs, specs):
        changes = compare_signatures(Signature(inputs=Schema((old,))), Signature(inputs=Schema((new,))))
        refused = [given[number] for number in taken_by[old] - taken_by[new]]
        assert not refused or any(change.breaks for change in changes), (old, new, refused)


def _fits(plan: InputPlan, data: Any) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            plan.enforce(data)
        except InvalidInput:
            return False
    return True


# Text columns let through whatever an object column holds, and truth values what pandas cannot classify, as in MLflow.
NUMBERS_AND_TIMES = sorted(SCALARS - {"string", "binary", "boolean"})


@pytest.mark.slow
def test_no_pair_of_scalar_columns_is_called_compatible_and_is_not() -> None:
    """Numbers and times with gaps, bounds, categories, zones; found by name and by position."""
    specs = list(columns(NUMBERS_AND_TIMES))
    assert find_wrong(specs, "scalars") == []
    nameless = list(dict.fromkeys(replace(spec, name=None, required=True) for spec in specs))
    assert find_wrong(nameless, "scalars") == []


@pytest.mark.slow
def test_no_pair_of_nested_columns_is_called_compatible_and_is_not() -> None:
    """Arrays, maps and objects, and what has any type."""
    specs = [*columns([*NESTED, "long", "double"])]
    assert find_wrong(specs, "all") == []
    nameless = list(dict.fromkeys(replace(spec, name=None, required=True) for spec in specs))
    assert find_wrong(nameless, "all") == []


def test_text_and_truth_values_are_judged_by_their_own_cells() -> None:
    """What else such a column lets through is left out."""
    for kind, own in (("string", ["", "a", "b", None]), ("boolean", [True, False, None]), ("binary", [b"a", None])):
        specs = list(columns([kind]))
        for old, new in product(specs, specs):
            changes = compare_signatures(Signature(inputs=Schema((old,))), Signature(inputs=Schema((new,))))
            if not any(change.breaks for change in changes):
                for cell in own:
                    frame = pd.DataFrame({"a": pd.Series([cell], dtype=object)})
                    before, after = (compile_inputs(Schema((column,))) for column in (old, new))
                    assert _fits(after, frame) or not _fits(before, frame), (old, new, cell)


def test_a_change_of_numbers_that_is_called_breaking_has_a_table_that_shows_it() -> None:
    """The verdict is no empty caution."""
    specs = [spec for spec in columns(["integer", "long", "float", "double"]) if spec.categories is None]
    shown, unshown = 0, []
    for old, new in product(specs, specs):
        changes = compare_signatures(Signature(inputs=Schema((old,))), Signature(inputs=Schema((new,))))
        if any(change.breaks for change in changes):
            if taken(old, "scalars") <= taken(new, "scalars"):
                unshown.append((old, new))
            else:
                shown += 1
    assert shown > 1000
    assert unshown == []
