"""What a column of a schema may say of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from palate.errors import InvalidSignature
from palate.schema import SCALARS, AnyType, Array, ColSpec, Map, Object

NUMBERS = frozenset({"integer", "long", "float", "double"})


def refusals(**facts: Any) -> dict[tuple[str | int, ...], str]:
    """Return the problems of a column called a, by place."""
    with pytest.raises(InvalidSignature) as caught:
        ColSpec(**{"name": "a", **facts})
    return {problem.where: problem.kind for problem in caught.value.problems}


@pytest.mark.parametrize("kind", sorted(SCALARS))
def test_facts_are_for_the_types_that_have_them(kind: Any) -> None:
    """Every scalar type may be nullable; numbers have bounds, datetimes zones, and no other type has."""
    for nullable in (True, False, None):
        assert ColSpec(type=kind, nullable=nullable).nullable is nullable
    for bound in ("minimum", "maximum"):
        if kind in NUMBERS:
            assert getattr(ColSpec(type=kind, **{bound: 1}), bound) == 1
        else:
            assert refusals(type=kind, **{bound: 1}) == {("a", bound): "wrong_value"}
    if kind == "datetime":
        assert ColSpec(type=kind, timezone="UTC").timezone == "UTC"
    else:
        assert refusals(type=kind, timezone="UTC") == {("a", "timezone"): "wrong_value"}


@pytest.mark.parametrize("kind", [Array("long"), Map("long"), Object(()), AnyType()])
def test_nested_types_have_no_facts(kind: Any) -> None:
    """The cells of a nested column say themselves what may be missing."""
    wrong = {("a", fact): "wrong_value" for fact in ("nullable", "minimum", "timezone")}
    assert refusals(type=kind, nullable=False, minimum=0, timezone="UTC") == wrong


@pytest.mark.parametrize("bound", [True, "1", 1j, float("nan"), float("inf"), -float("inf"), 2**2000, [1]])
def test_bounds_are_finite_numbers(bound: Any) -> None:
    """A truth value, text, NaN, infinity or an integer beyond all floats is no bound."""
    assert refusals(type="double", minimum=bound) == {("a", "minimum"): "wrong_type"}
    assert refusals(type="long", maximum=bound) == {("a", "maximum"): "wrong_type"}


@pytest.mark.parametrize(
    ("kind", "minimum", "maximum"),
    [
        ("double", 1, 0),
        ("double", 2**53 + 1, float(2**53)),
        ("long", 1.2, 1.8),
        ("long", 2**63, None),
        ("long", None, -(2**63) - 1),
        ("integer", 2**31, None),
        ("integer", None, -3e9),
    ],
)
def test_bounds_leave_something(kind: Any, minimum: Any, maximum: Any) -> None:
    """A range that holds nothing of the type would refuse all data, so that it is refused itself."""
    assert set(refusals(type=kind, minimum=minimum, maximum=maximum).values()) == {"wrong_value"}


def test_bounds_beyond_the_type_are_no_bounds() -> None:
    """A bound need not be a value of the type: what it leaves is what counts."""
    assert ColSpec(type="integer", minimum=-(2**40), maximum=2**40).maximum == 2**40
    assert ColSpec(type="long", minimum=0.5, maximum=1).minimum == 0.5


def test_numpy_scalars_are_bounds() -> None:
    """A bound taken from data is kept as Python's number, which MLmodel can hold."""
    numpy = pytest.importorskip("numpy")
    spec = ColSpec(type="double", minimum=numpy.int64(1), maximum=numpy.float32(1.5))
    assert (type(spec.minimum), type(spec.maximum)) == (int, float)
    assert spec == ColSpec(type="double", minimum=1, maximum=1.5)
    assert refusals(type="double", minimum=numpy.bool_(True)) == {("a", "minimum"): "wrong_type"}


def test_a_categorical_has_neither_bounds_nor_zone() -> None:
    """Its categories already say which values there are; whether some may be missing, they do not."""
    known = {"type": "long", "categories": (1, 2), "categorical": True}
    assert refusals(**known, minimum=1) == {("a", "minimum"): "wrong_value"}
    assert refusals(**{**known, "type": "datetime"}, timezone="UTC") == {("a", "timezone"): "wrong_value"}
    assert ColSpec(**known, nullable=False).nullable is False


@pytest.mark.parametrize("zone", ["UTC", "Europe/Vienna", "Etc/GMT-14", "UTC+02:00", "UTC-09:30"])
def test_zones_are_iana_names_or_offsets(zone: str) -> None:
    """A zone has a name that every machine understands alike."""
    assert ColSpec(type="datetime", timezone=zone).timezone == zone


@pytest.mark.parametrize(
    "zone",
    [
        *("", "vienna", "Vienna/Europe", "Europe", "localtime", "right/UTC", "posixrules", "A" * 9999, "A\0"),
        *("+02:00", "UTC+2", "UTC+24:00", "UTC+01:60", "tzlocal()", "dateutil/Europe/Vienna"),
        *("../UTC", "Europe/../../UTC", "/etc/localtime"),
    ],
)
def test_other_zones_are_refused(zone: str) -> None:
    """What is no zone, a path, or the machine's own zone, is refused with the two forms that are understood."""
    assert refusals(type="datetime", timezone=zone) == {("a", "timezone"): "wrong_value"}


def test_the_kinds_of_facts_are_checked() -> None:
    """All problems come at once, and a column without a name is named by nothing."""
    wrong = refusals(type="datetime", name=None, nullable="yes", timezone=3, minimum=1)
    assert wrong == {("nullable",): "wrong_type", ("timezone",): "wrong_type", ("minimum",): "wrong_value"}


def test_plain_columns_are_those_without_constraints() -> None:
    """Categories that are only known leave a column plain; each fact that is enforced does not."""
    assert ColSpec(type="long", required=False, categories=(1,)).plain
    facts = ({"nullable": False}, {"nullable": True}, {"minimum": 0}, {"maximum": 0})
    assert not any(ColSpec(type="long", **fact).plain for fact in facts)
    assert not ColSpec(type="datetime", timezone="UTC").plain
    assert not ColSpec(type="long", categories=(1,), categorical=True).plain


def test_replace_checks_again() -> None:
    """dataclasses.replace, which is how facts are declared on an inferred column, refuses what the class refuses."""
    column = ColSpec(type="long", name="a")
    assert replace(column, minimum=0, maximum=9).maximum == 9
    with pytest.raises(InvalidSignature, match=r"the minimum 9 and the maximum 0 leave no long .* Hint: widen"):
        replace(column, minimum=9, maximum=0)
