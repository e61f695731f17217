"""Categorical columns: what the flag for order, truth values and gaps become."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from palate._disk.column_facts import add_facts
from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput, InvalidModelFile, InvalidSignature
from palate.schema import ColSpec, Schema
from palate.signature import Signature

pd = pytest.importorskip("pandas")


def enforce(kind: Any, categories: tuple[Any, ...], values: Any) -> Any:
    """Enforce one categorical column; return its Series."""
    spec = ColSpec(name="a", type=kind, categories=categories, categorical=True)
    frame: Any = compile_inputs(Schema((spec,))).enforce(pd.DataFrame({"a": values}))
    return frame["a"]


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        (["small", "large"], True),  # passes
        (["small", "middle", "large"], True),  # one is not used
        (["large", "small"], False),  # another order
    ],
)
def test_the_order_of_categories_is_kept_where_it_is_the_models(given: list[str], ordered: bool) -> None:
    """A categorical that is ordered stays so if its categories stand in the order of the model's."""
    series = enforce("string", ("small", "large"), pd.Categorical(["large", None, "small"], given, ordered=True))
    assert series.tolist() == ["large", np.nan, "small"]
    assert series.cat.categories.tolist() == ["small", "large"]
    assert series.cat.ordered is ordered


@pytest.mark.parametrize("values", [["small", "large"], pd.Categorical(["small", "large"])])
def test_what_is_not_ordered_stays_so(values: Any) -> None:
    """Nothing becomes ordered by the order in which the model knows the categories."""
    assert not enforce("string", ("small", "large"), values).cat.ordered


@pytest.mark.parametrize("other", [1, 0.0, np.int64(1), "True"])
def test_numbers_among_truth_values_are_no_categories(other: object) -> None:
    """1 is equal to True, and still no truth value."""
    for values in (pd.Series([True, other], dtype=object), pd.Series([other], dtype=object), pd.Categorical([other])):
        with pytest.raises(InvalidInput):
            enforce("boolean", (True, False), values)


def test_truth_values_with_gaps_are_categories() -> None:
    """Python's and numpy's truth values are found among the categories, beside gaps."""
    series = enforce("boolean", (False, True), pd.Series([True, None, np.False_], dtype=object))
    assert series.cat.codes.tolist() == [1, -1, 0]


REFUSED: list[tuple[str, tuple[Any, ...], str]] = [
    ("string", ("x", "x"), "holds a value twice"),
    ("string", (1, True), "not string"),
    ("string", ("x", float("nan")), "not string"),
    ("string", ("\ud800",), "not string"),
    ("long", ("x",), "not long"),
    ("long", (1.5,), "not long"),
    ("long", (10**30,), "not long"),
    ("long", (1, True), "not long"),
    ("integer", (2**31,), "not integer"),
    ("double", ("1.0",), "not double"),
    ("double", (1, 1.0), "holds a value twice"),
    ("double", (float("nan"),), "not double"),
    ("double", (2**53 + 1,), "not double"),
    ("double", (10**39,), "not double"),
    ("datetime", (1,), "not datetime"),
    ("boolean", (0, 1), "not boolean"),
]


@pytest.mark.parametrize(("kind", "categories", "message"), REFUSED)
def test_categories_that_no_cell_can_be_are_refused(kind: Any, categories: tuple[Any, ...], message: str) -> None:
    """What a column is held to is of its type, and there once: in a ColSpec, and in MLmodel."""
    for enforced in ("categorical", "closed"):
        if not (enforced == "closed" and kind == "double"):
            with pytest.raises(InvalidSignature, match=message):
                ColSpec(name="a", type=kind, categories=categories, **{enforced: True})
    plain = Signature(inputs=Schema((ColSpec(name="a", type=kind), ColSpec(name="b", type=kind))))
    facts = {"categories": list(categories), "categorical": True}
    with pytest.raises(InvalidModelFile) as failure:
        add_facts(plain, {"a": facts, "b": facts})
    assert [p.where for p in failure.value.problems] == [("palate", "inputs", n, "categories") for n in "ab"]


def test_times_in_mlmodel_are_text() -> None:
    """Text that is no time is told of for each column."""
    plain = Signature(inputs=Schema((ColSpec(name="a", type="datetime"), ColSpec(name="b", type="datetime"))))
    for text in ("soon", "9999-01-01"):
        facts = {"categories": [text], "categorical": True}
        with pytest.raises(InvalidModelFile) as failure:
            add_facts(plain, {"a": facts, "b": facts})
        assert [p.where for p in failure.value.problems] == [("palate", "inputs", n, "categories") for n in "ab"]
