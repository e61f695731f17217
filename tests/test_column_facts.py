"""Facts of columns under palate.inputs: written, read back, and refused where they are not what Palate writes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate._disk.column_facts import add_facts, column_facts
from palate.errors import InvalidModelFile, InvalidSignature
from palate.model_file import build_model_file, parse_model_file
from palate.schema import ColSpec, Schema
from palate.signature import Signature

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def signature(*columns: ColSpec) -> Signature:
    """Return a signature of these inputs."""
    return Signature(inputs=Schema(columns))


def written(given: Signature) -> Any:
    """Write an MLmodel and read it back."""
    section = {"python_function": {"loader_module": "mlflow.sklearn"}}
    built = build_model_file(
        flavors=section,
        signature=given,
        model_uuid="0" * 32,
        utc_time_created=datetime(2026, 1, 2, tzinfo=UTC),
        model_size_bytes=1,
        run_id=None,
        metadata=None,
        example_info=None,
        palate={},
    )
    return parse_model_file(built.to_yaml().encode())


def refusals(facts: Any, kind: Any = "long") -> dict[tuple[str | int, ...], str]:
    """Return the problems of facts on a column called a."""
    with pytest.raises(InvalidModelFile) as caught:
        add_facts(signature(ColSpec(type=kind, name="a")), facts)
    return {problem.where: problem.kind for problem in caught.value.problems}


COLUMNS = (
    {"type": "long", "nullable": True, "minimum": 0, "maximum": 2**53 + 1},
    {"type": "double", "nullable": False, "minimum": -0.5},
    {"type": "datetime", "timezone": "Europe/Vienna", "nullable": False},
    {"type": "string", "categories": ("x", "y"), "categorical": True, "nullable": False},
    {"type": "string"},
)


@pytest.mark.parametrize("names", [("a", "b", "c", "d", "e"), (0, 1, 2, 3, 4), ("0", "1", "2", "3", "4"), (None,) * 5])
def test_every_fact_survives_mlmodel(names: tuple[Any, ...]) -> None:
    """Facts come back on their columns, by text, by number or by position, and MLflow's part has no trace of them."""
    given = signature(*(ColSpec(name=name, **column) for name, column in zip(names, COLUMNS, strict=True)))
    model_file = written(given)
    assert model_file.signature == given
    plain = signature(*(ColSpec(name=name, type=column["type"]) for name, column in zip(names, COLUMNS, strict=True)))
    assert model_file.document["signature"] == plain.to_dict()
    assert [set(field) for field in json.loads(model_file.document["signature"]["inputs"])] == [
        {"type", "required"} | ({"name"} if names[0] is not None else set())
    ] * 5


def test_the_plain_form_of_facts() -> None:
    """Only what is known is written, under the attributes' names; a column of which nothing is known is left out."""
    specs = (ColSpec(name=name, **column) for name, column in zip("abcde", COLUMNS, strict=True))
    assert column_facts(signature(*specs)) == {
        "a": {"nullable": True, "minimum": 0, "maximum": 2**53 + 1},
        "b": {"nullable": False, "minimum": -0.5},
        "c": {"nullable": False, "timezone": "Europe/Vienna"},
        "d": {"categories": ["x", "y"], "categorical": True, "nullable": False},
    }


@given(st.none() | FINITE | st.integers(-(2**63), 0), st.none() | FINITE.map(abs) | st.integers(0, 2**63 - 1))
def test_bounds_survive_mlmodel_exactly(minimum: float | None, maximum: float | None) -> None:
    """Bounds of any size come back as the same number of the same type."""
    low = minimum if minimum is None or minimum <= 0 else -minimum
    (column,) = written(signature(ColSpec(type="double", name="a", minimum=low, maximum=maximum))).signature.inputs
    assert (column.minimum, column.maximum) == (low, maximum)
    assert (type(column.minimum), type(column.maximum)) == (type(low), type(maximum))


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        *(("nullable", value) for value in (None, 1, "true", [True])),
        *((bound, value) for bound in ("minimum", "maximum") for value in (None, True, "1", [1], {"a": 1})),
        *(("timezone", value) for value in (None, True, 2, ["UTC"])),
    ],
)
def test_facts_of_another_kind_are_refused(fact: str, value: Any) -> None:
    """A fact that is not what Palate writes is named with its column, even if the signature has no such column."""
    assert refusals({"a": {fact: value}}) == {("palate", "inputs", "a", fact): "wrong_type"}
    assert refusals({"gone": {fact: value}}) == {("palate", "inputs", "gone", fact): "wrong_type"}
    with pytest.raises(InvalidModelFile):
        add_facts(None, {"a": {fact: value}})


@pytest.mark.parametrize(
    ("kind", "facts", "fact"),
    [
        ("string", {"minimum": 1}, "minimum"),
        ("long", {"timezone": "UTC"}, "timezone"),
        ("datetime", {"timezone": "Vienna"}, "timezone"),
        ("datetime", {"timezone": "../../etc/passwd"}, "timezone"),
        ("long", {"minimum": 2, "maximum": 1}, "minimum"),
        ("double", {"maximum": float("inf")}, "maximum"),
        ("long", {"minimum": 10**400}, "minimum"),
    ],
)
def test_facts_that_contradict_the_column_are_refused(kind: Any, facts: Any, fact: str) -> None:
    """What a ColSpec refuses, MLmodel cannot say either: the problem leads to the place in the file."""
    assert set(refusals({"a": facts}, kind)) == {("palate", "inputs", "a", fact)}


def test_all_columns_are_told_at_once() -> None:
    """The problems of several columns come in one error, unnamed columns by their position."""
    with pytest.raises(InvalidModelFile) as caught:
        add_facts(
            signature(ColSpec(type="long"), ColSpec(type="string"), ColSpec(type="string")),
            {0: {"minimum": 1}, 1: {"minimum": 1}, 2: {"timezone": "UTC", "nullable": False}},
        )
    places = [problem.where for problem in caught.value.problems]
    assert places == [("palate", "inputs", "1", "minimum"), ("palate", "inputs", "2", "timezone")]


def test_facts_of_columns_that_are_gone_stay_unused() -> None:
    """MLflow's set_signature() knows nothing of facts, so those of former columns are no error."""
    given = signature(ColSpec(type="string", name="a"))
    assert add_facts(given, {"b": {"minimum": 1, "timezone": "Vienna"}, "a": {"note": 1}}) == given


def test_functions_with_type_hints_have_no_facts() -> None:
    """They are given lists, in which nothing would enforce a fact, so that none is declared or read in vain."""
    hinted = replace(signature(ColSpec(type="long", minimum=0)), from_type_hints=True)
    with pytest.raises(InvalidSignature, match="type hints"):
        column_facts(hinted)
    plain = replace(signature(ColSpec(type="long", categories=(1,))), from_type_hints=True)
    assert column_facts(plain) == {0: {"categories": [1]}}
    with pytest.raises(InvalidModelFile, match=r"palate\.inputs\.0: .*type hints"):
        add_facts(plain, {0: {"minimum": 0}})


def test_columns_of_one_name_share_their_facts() -> None:
    """A file may name two columns alike: facts are kept by name, and come to both."""
    text = '[{"type": "long", "name": "a", "required": true}, {"type": "long", "name": "a", "required": true}]'
    read = add_facts(Signature.from_dict({"inputs": text}), {"a": {"minimum": 0}})
    assert [column.minimum for column in read.inputs.columns] == [0, 0]
    assert column_facts(read) == {"a": {"minimum": 0}}


def test_closed_columns_survive_mlmodel() -> None:
    """That other values are refused is kept beside the categories, and needs them, in a file too."""
    column = ColSpec(type="datetime", name="a", categories=(datetime(2024, 1, 2, tzinfo=UTC),), closed=True)
    assert column_facts(signature(column)) == {"a": {"categories": ["2024-01-02T00:00:00+00:00"], "closed": True}}
    assert written(signature(column)).signature == signature(column)
    assert refusals({"a": {"closed": True}}) == {("palate", "inputs", "a", "categories"): "missing"}
    assert refusals({"a": {"closed": 1, "categories": ["x"]}}) == {("palate", "inputs", "a", "closed"): "wrong_type"}


def test_categories_between_microseconds_are_refused() -> None:
    """Text of a time is read to the microsecond: what is finer would come back as another time."""
    moment = pd.Timestamp("2024-01-02T00:00:00.000000001")
    with pytest.raises(InvalidSignature, match="finer than microseconds"):
        column_facts(signature(ColSpec(type="datetime", name="a", categories=(moment,), closed=True)))
