"""Columns that take certain values only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.schema import ColSpec, Schema

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")

DAY, NEXT = datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)
# The type and its facts, the categories, a value outside of them.
COLUMNS: list[tuple[dict[str, Any], tuple[Any, ...], Any]] = [
    ({"type": "string"}, ("a", "b"), "A"),
    ({"type": "long"}, (1, 2**53), 2**53 + 1),
    ({"type": "long", "nullable": True}, (1, 2), 3),
    ({"type": "integer"}, (np.int64(1), 2), 3),
    ({"type": "boolean"}, (True,), False),
    ({"type": "boolean", "nullable": True}, (False,), True),
    ({"type": "datetime"}, (DAY,), NEXT),
    ({"type": "datetime", "timezone": "Europe/Vienna"}, (DAY,), NEXT),
]


def plan(spec: dict[str, Any], values: tuple[Any, ...]) -> Any:
    """Compile one closed column called a."""
    return compile_inputs(Schema((ColSpec(name="a", categories=values, closed=True, **spec),)))


@pytest.mark.parametrize(("spec", "known", "other"), COLUMNS)
@pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.DataFrame, pa.table, lambda data: [{"a": value} for value in data["a"]]]
)
def test_other_values_are_counted(spec: Any, known: Any, other: Any, make: Any) -> None:
    """The known values pass in every container; of others the problem says how many there are."""
    plain = [value.item() if hasattr(value, "item") else value for value in known]
    assert len(plan(spec, known).enforce(make({"a": plain}))) == len(known)
    with pytest.raises(InvalidInput) as caught:
        plan(spec, known).enforce(make({"a": [*plain, other, other]}))
    (problem,) = caught.value.problems
    assert (problem.where, problem.kind) == (("inputs", "a"), "wrong_value")
    assert f"2 value(s) outside the {len(known)} known" in problem.message


def test_missing_cells_are_not_other_values() -> None:
    """Whether cells may be missing is said by nullable, and both are told of at once."""
    for spec, known, _ in COLUMNS:
        if spec["type"] in ("string", "datetime") or spec.get("nullable"):
            frame = pd.DataFrame({"a": pd.Series([known[0], None], dtype=object)})
            assert plan(spec, known).enforce(frame)["a"].isna().tolist() == [False, True]
    with pytest.raises(InvalidInput) as caught:
        plan({"type": "string", "nullable": False}, ("a",)).enforce({"a": pd.Series(["A", None, "a"])})
    assert [problem.kind for problem in caught.value.problems] == ["missing", "wrong_value"]


@pytest.mark.parametrize("cell", [["a"], {"a": 1}, 1, 1.0, True])
def test_objects_of_another_kind_are_no_known_text(cell: Any) -> None:
    """A text column of objects, which passes otherwise, holds known text and nothing else."""
    with pytest.raises(InvalidInput):
        plan({"type": "string"}, ("a", "1")).enforce(pd.DataFrame({"a": pd.Series(["a", cell], dtype=object)}))


def test_what_is_known_and_open_passes() -> None:
    """Categories that are only known refuse nothing: an encoder may be told to ignore others."""
    schema = Schema((ColSpec(name="a", type="string", categories=("x",)),))
    frame = pd.DataFrame({"a": ["x", "z"]})
    assert compile_inputs(schema).enforce(frame) is frame
