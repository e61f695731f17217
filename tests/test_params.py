"""Params: MLflow's rules, without its rounding, its shared defaults and its dropped names."""

# ruff: noqa: DTZ001 - params hold datetimes without a zone

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate._enforcement.params import convert_param, enforce_params
from palate.errors import InvalidInput, PalateWarning
from palate.schema import Object, ParamSpec, Property

POINT = Object((Property("x", "double"), Property("label", "string", required=False)))
SPECS = (
    ParamSpec(name="temperature", type="double", default=1.0),
    ParamSpec(name="stop", type="string", default=["a"], shape=(-1,)),
)

ACCEPTED: list[tuple[str, Any, Any]] = [
    ("integer", 3, 3),
    ("integer", np.int32(3), 3),
    ("integer", np.int16(3), 3),
    ("integer", np.int64(3), 3),
    ("integer", 3.0, 3),
    ("long", 2**40, 2**40),
    ("long", 2**70, 2**70),
    ("float", 1, 1.0),
    ("float", 0.1, 0.1),
    ("float", np.float32(0.1), float(np.float32(0.1))),
    ("float", np.float64(0.5), 0.5),
    ("double", 1, 1.0),
    ("double", np.int64(1), 1.0),
    ("double", np.float64(0.1), 0.1),
    ("boolean", True, True),
    ("boolean", np.bool_(False), False),
    ("string", "x", "x"),
    ("string", np.str_("x"), "x"),
    ("datetime", "2020-01-02", date(2020, 1, 2)),
    ("datetime", "2020-01-02T03:04:05", datetime(2020, 1, 2, 3, 4, 5)),
    ("datetime", "2020-01-02T03:04:05+02:00", datetime(2020, 1, 2, 1, 4, 5)),
    ("datetime", datetime(2020, 1, 2, tzinfo=timezone(timedelta(hours=2))), datetime(2020, 1, 1, 22)),
    ("datetime", date(2020, 1, 2), date(2020, 1, 2)),
    ("datetime", np.datetime64("2020-01-02"), date(2020, 1, 2)),
    ("datetime", np.datetime64("2020-01-02T03", "ns"), datetime(2020, 1, 2, 3)),
    ("datetime", np.datetime64("NaT"), None),
]

REFUSED: list[tuple[str, Any]] = [
    *((kind, value) for kind in ("integer", "long") for value in (True, "3", 1.5, math.nan, np.float32(2.5), [1])),
    *((kind, np.timedelta64(1, "ns")) for kind in ("integer", "long", "float", "double")),
    *((kind, value) for kind in ("float", "double") for value in (True, np.bool_(True), "1.0", 1j, 2**53 + 1, 10**400)),
    ("float", np.float64(0.1)),
    *(("boolean", value) for value in (1, 0, "false", 1.0)),
    *(("string", value) for value in (1, b"x", ["x"])),
    *(("datetime", value) for value in (1, 1.5, True, "soon", "2020-01-02T03:04:05.123456789", np.datetime64(1, "ns"))),
    ("binary", b"x"),
]


@pytest.mark.parametrize(("kind", "value", "expected"), ACCEPTED)
def test_values_become_plain_python_values(kind: Any, value: Any, expected: Any) -> None:
    """What fits comes out equal, as Python's own type."""
    result = convert_param(value, kind, None)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(("kind", "value"), REFUSED)
def test_values_that_would_change_are_refused_without_showing_them(kind: Any, value: Any) -> None:
    """No text is read as a number, no bool as an int, nothing is rounded; the message holds no value."""
    with pytest.raises(ValueError, match=r"needs|cannot hold|takes|holds") as failure:
        convert_param(value, kind, None)
    assert "soon" not in str(failure.value)
    assert "false" not in str(failure.value)


@pytest.mark.parametrize("kind", ["integer", "long", "float", "double", "boolean", "string", "datetime"])
def test_none_stands_for_an_unset_scalar(kind: Any) -> None:
    """None is taken for every scalar param, and as an item of a list."""
    assert convert_param(None, kind, None) is None
    assert convert_param([None], kind, (-1,)) == [None]


@pytest.mark.parametrize("value", [[1, 2], np.array([1, 2]), np.array([1.0, 2.0])])
def test_lists_come_from_lists_and_one_dimensional_arrays(value: Any) -> None:
    """A list param is a plain list of plain values."""
    result = convert_param(value, "long", (-1,))
    assert result == [1, 2]
    assert [type(item) for item in result] == [int, int]  # type: ignore[attr-defined]


def test_a_tuple_is_a_list_param() -> None:
    """What Python writes a pair of bounds as loses nothing by becoming a list; MLflow refuses it."""
    assert convert_param((1, 2), "long", (-1,)) == [1, 2]


@pytest.mark.parametrize("value", [None, 1, np.ones((1, 1)), np.array(1), "ab", {1: 2}])
def test_what_is_no_list_is_refused_for_a_list_param(value: Any) -> None:
    """Single values and arrays of other ranks are refused, as in MLflow."""
    with pytest.raises(ValueError, match="needs a list"):
        convert_param(value, "long", (-1,))


def test_objects_are_checked_and_returned_as_they_are() -> None:
    """An object param keeps its identity and its content; ISO text is checked, not replaced."""
    value = {"x": 1}
    assert convert_param(value, POINT, None) is value
    assert value == {"x": 1}
    when = {"at": "2020-01-01"}
    assert convert_param(when, Object((Property("at", "datetime"),)), None) is when


@pytest.mark.parametrize("value", [None, {}, {"x": "1"}, {"x": 1.0, "y": 2}, [1], {"x": None}])
def test_objects_that_do_not_fit_are_refused(value: Any) -> None:
    """Missing, extra and wrong members are refused."""
    with pytest.raises(ValueError, match=r"needs|misses|has 1 properties"):
        convert_param(value, POINT, None)


def test_defaults_are_filled_in_as_copies() -> None:
    """A model that changes a default list does not change the next call's."""
    first = enforce_params({"temperature": 2}, SPECS)
    assert first == {"temperature": 2.0, "stop": ["a"]}
    first["stop"].append("b")  # type: ignore[attr-defined]
    assert enforce_params(None, SPECS) == {"temperature": 1.0, "stop": ["a"]}


def test_all_problems_are_reported_at_once() -> None:
    """Wrong values come in one error, which shows none of them."""
    with pytest.raises(InvalidInput) as failure:
        enforce_params({"temperature": "hot", "stop": "x"}, SPECS)
    kinds = {problem.where: problem.kind for problem in failure.value.problems}
    assert kinds == {("params", "temperature"): "wrong_type", ("params", "stop"): "wrong_shape"}
    assert "hot" not in str(failure.value)


def test_unknown_params_are_left_out_with_a_warning() -> None:
    """As MLflow leaves them out; the warning names them and the known ones, and no value."""
    with pytest.warns(PalateWarning, match="'temprature', '3': this model takes: temperature, stop"):
        values = enforce_params({"temprature": "hot", 3: 1, "temperature": 2}, SPECS)  # type: ignore[dict-item]
    assert values == {"temperature": 2.0, "stop": ["a"]}


def test_a_model_without_params_says_so() -> None:
    """Params for a model that declares none are left out; none at all is fine."""
    assert enforce_params(None, ()) == {}
    assert enforce_params({}, ()) == {}
    with pytest.warns(PalateWarning, match="takes none"):
        assert enforce_params({"x": 1}, ()) == {}


@pytest.mark.parametrize("params", [[1], "x", 3, [("temperature", 1)]])
def test_params_must_be_a_mapping(params: Any) -> None:
    """Anything but a mapping is one problem."""
    with pytest.raises(InvalidInput, match="needs a dict"):
        enforce_params(params, SPECS)


@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=5), st.none(), st.datetimes()))
def test_no_value_is_ever_changed(value: Any) -> None:
    """For every kind the result equals the value, or there is an error."""
    for kind in ("integer", "long", "float", "double", "boolean", "string"):
        try:
            result = convert_param(value, kind, None)  # type: ignore[arg-type]
        except ValueError:
            continue
        assert result == value or (result != result and value != value)
        assert isinstance(result, bool) == isinstance(value, bool)


@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_survive_iso_text(moment: datetime) -> None:
    """A datetime default written as ISO text reads back as the same instant."""
    assert convert_param(moment.isoformat(), "datetime", None) == moment.replace(tzinfo=None)


@pytest.mark.parametrize("text", ["9999-12-31T23:00:00-05:00", "0001-01-01T01:00:00+05:00"])
def test_times_beyond_the_calendar_in_utc_are_refused(text: str) -> None:
    """A zone may move a time into a year that datetime does not have."""
    moment = datetime.fromisoformat(text)
    for value in (text, moment):
        with pytest.raises(InvalidInput, match="UTC has no year"):
            enforce_params({"since": value}, (ParamSpec(name="since", type="datetime", default=None),))
