"""What a column of a schema may say of itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from palate.errors import InvalidSignature
from palate.schema import SCALARS, AnyType, Array, ColSpec, Map, Object, ParamSpec, Property, Schema, TensorSpec

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
    times = {"type": "datetime", "categories": (datetime(2024, 1, 2),), "categorical": True}  # noqa: DTZ001 - as UTC
    assert refusals(**times, timezone="UTC") == {("a", "timezone"): "wrong_value"}
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


# -- what is no schema -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["float64", "int", "str", "", None, float, ["long"], {"type": "long"}, Array])
def test_unknown_types_are_refused_with_those_that_there_are(kind: Any) -> None:
    """numpy's and Python's names for types are not a signature's: the message lists its own."""
    for make in (
        lambda: ColSpec(type=kind, name="a"),
        lambda: Array(kind),
        lambda: Map(kind),
        lambda: Property("a", kind),
    ):
        with pytest.raises(InvalidSignature) as caught:
            make()
        (problem,) = caught.value.problems
        assert problem.kind == "wrong_value"
        assert all(f"'{scalar}'" in problem.message for scalar in SCALARS)


def test_names_and_flags_have_their_types() -> None:
    """A truth value is no name, and text no flag."""
    assert refusals(type="long", name=True) == {(True, "name"): "wrong_type"}
    assert refusals(type="long", name=1.5) == {("name",): "wrong_type"}
    for flag in ("required", "categorical", "closed"):
        assert refusals(type="long", **{flag: "yes"}) == {("a", flag): "wrong_type"}


@pytest.mark.parametrize("enforced", ["categorical", "closed"])
@pytest.mark.parametrize(
    ("kind", "values", "wrong"),
    [
        ("string", None, "missing"),
        ("string", "ab", "wrong_type"),
        ("string", ("a", 1), "wrong_type"),
        ("string", ("a", "a"), "wrong_value"),
        ("long", ("1",), "wrong_type"),
        ("long", (1, True), "wrong_type"),
        ("long", (1.0,), "wrong_type"),
        ("integer", (2**31,), "wrong_type"),
        ("boolean", (0, 1), "wrong_type"),
        ("datetime", ("2024-01-02",), "wrong_type"),
        ("datetime", (datetime(3000, 1, 1),), "wrong_type"),  # noqa: DTZ001 - as UTC
    ],
)
def test_enforced_categories_are_values_of_the_type(enforced: str, kind: Any, values: Any, wrong: str) -> None:
    """Categories that no cell could be would refuse all data, so that they are refused themselves."""
    assert refusals(type=kind, categories=values, **{enforced: True}) == {("a", "categories"): wrong}


def test_which_columns_can_be_closed() -> None:
    """Floats are held by bounds, though a model may know them as categories; bytes and what is nested by nothing."""
    for kind in ("float", "double"):
        assert refusals(type=kind, categories=(0.5,), closed=True) == {("a", "closed"): "wrong_value"}
        assert ColSpec(type=kind, categories=(0.5, 1), categorical=True).categories == (0.5, 1)
        assert refusals(type=kind, categories=(float("nan"),), categorical=True) == {("a", "categories"): "wrong_type"}
    for kind in ("binary", Array("long"), AnyType()):
        assert refusals(type=kind, categories=(b"",), closed=True) == {("a", "closed"): "wrong_value"}
        assert ColSpec(type=kind, categories=("a",)).categories == ("a",)
    assert ColSpec(type="string", categories=["a", "b"], closed=True).categories == ("a", "b")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"dtype": "float"}, "dtype"),
        ({"dtype": "double"}, "dtype"),
        ({"dtype": float}, "dtype"),
        ({"dtype": "U5"}, "dtype"),
        ({"dtype": "datetime64[fortnight]"}, "dtype"),
        ({"shape": 3}, "shape"),
        ({"shape": (None, 3)}, "shape"),
        ({"shape": (-2,)}, "shape"),
        ({"name": 3}, "name"),
    ],
)
def test_tensors_are_arrays_of_numpy(spec: Any, where: str) -> None:
    """A dtype or shape that numpy has not is refused where it is declared."""
    with pytest.raises(InvalidSignature) as caught:
        TensorSpec(**{"dtype": "float32", "shape": [-1, 2], **spec})
    (problem,) = caught.value.problems
    assert problem.where[-1] == where
    assert TensorSpec(dtype="datetime64[25ns]", shape=[]).shape == ()  # type: ignore[arg-type]


LONG, TENSOR = ColSpec(type="long"), TensorSpec(dtype="int8", shape=(-1,))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((), "at least one field"),
        ("ab", "must be a tuple of palate.ColSpec"),
        (("long",), "must be a tuple of palate.ColSpec"),
        (LONG, "must be a tuple of palate.ColSpec"),
        ([LONG, TENSOR], "columns and tensors cannot be mixed"),
        ([LONG, replace(LONG, name="a")], "named and unnamed fields cannot be mixed"),
        ([TENSOR, TENSOR], "several tensors need names"),
        ([replace(LONG, name="a"), replace(LONG, name="a", required=False)], "2 fields are called 'a'"),
        ([replace(TENSOR, name="a"), replace(TENSOR, name="a")], "2 fields are called 'a'"),
    ],
)
def test_what_is_no_schema_is_refused(fields: Any, message: str) -> None:
    """Fields of one kind, all named or none, and no name twice, are a schema; a list of them is taken for the tuple."""
    with pytest.raises(InvalidSignature, match=message):
        Schema(fields)
    assert Schema([LONG, LONG]) == Schema((LONG, LONG))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"type": "long", "default": 1.5}, "default"),
        ({"type": "long", "default": True}, "default"),
        ({"type": "double", "default": "1"}, "default"),
        ({"type": "string", "default": 1}, "default"),
        ({"type": "boolean", "default": 1}, "default"),
        ({"type": "datetime", "default": "2024-01-02"}, "default"),
        ({"type": "long", "default": 1, "shape": (-1,)}, "default"),
        ({"type": "long", "default": [1, "2"], "shape": (-1,)}, "default"),
        ({"type": "long", "default": [1]}, "default"),
        ({"type": Object(()), "default": 1}, "default"),
        ({"type": "long", "default": [1], "shape": (1,)}, "shape"),
        ({"type": "binary", "default": b""}, "type"),
        ({"type": "int", "default": 1}, "type"),
        ({"type": Array("long"), "default": [1]}, "type"),
        ({"type": "long", "default": 1, "name": 1}, "name"),
    ],
)
def test_a_default_is_of_its_type(spec: Any, where: str) -> None:
    """A default that the type does not allow would come to every call that gives none."""
    with pytest.raises(InvalidSignature) as caught:
        ParamSpec(**{"name": "n", **spec})
    (problem,) = caught.value.problems
    assert problem.where[-1] == where


def test_defaults_that_are_of_their_types() -> None:
    """Whole numbers do for floats, None for a scalar that is unset, a date for a time."""
    defaults: list[tuple[Any, Any, Any]] = [
        ("double", 1, None),
        ("long", None, None),
        ("long", [1, None], (-1,)),
        ("datetime", date(2024, 1, 2), None),
        (Object((Property("a", "long"),)), {"a": 1}, None),
    ]
    for kind, default, shape in defaults:
        assert ParamSpec(name="n", type=kind, default=default, shape=shape).default == default


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (ColSpec(type="double", name="area"), "ColSpec(name='area', type='double')"),
        (ColSpec(type="long", minimum=0), "ColSpec(type='long', minimum=0)"),
        (
            ColSpec(type=Array("string"), name=0, required=False),
            "ColSpec(name=0, type=Array(items='string'), required=False)",
        ),
        (TensorSpec(dtype="int8", shape=(-1, 2)), "TensorSpec(dtype='int8', shape=(-1, 2))"),
        (ParamSpec(name="n", type="long", default=None), "ParamSpec(name='n', type='long', default=None)"),
        (Schema((ColSpec(type="long"),)), "Schema(fields=(ColSpec(type='long'),))"),
    ],
)
def test_specs_are_shown_as_the_python_that_makes_them(value: Any, shown: str) -> None:
    """What is as it would be anyway is left out, and the text makes an equal value."""
    assert repr(value) == shown
    assert eval(shown) == value
