"""A verdict that is not "breaking" is held against enforcement itself: what the one takes, the other takes."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schema_pairs import column_pairs, column_tables, hint_items, hint_pairs, tensor_inputs, tensor_pairs

from palate._enforcement.params import enforce_params
from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.model_diff import compare_signatures
from palate.schema import ColSpec, ParamSpec, Scalar, Schema
from palate.signature import Signature

KINDS: tuple[Scalar, Scalar] = ("double", "long")
LENIENT = settings(deadline=None, suppress_health_check=list(HealthCheck))


def breaks(old: Signature, new: Signature) -> bool:
    """Return the verdict."""
    return any(change.breaks for change in compare_signatures(old, new))


def refusal_of(schema: Schema, data: Any, *, from_type_hints: bool = False) -> InvalidInput | None:
    """Return why enforcement refuses the data, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile_inputs(schema, from_type_hints=from_type_hints).enforce(deepcopy(data))
        except InvalidInput as exc:
            return exc
    return None


def hold(old: Schema, new: Schema, tables: list[Any], *, from_type_hints: bool = False) -> None:
    """Hold the verdict on a pair against what enforcement does with some inputs."""
    before, after = (Signature(inputs=schema, from_type_hints=from_type_hints) for schema in (old, new))
    if not breaks(before, after):
        hold_inputs(old, new, tables, from_type_hints=from_type_hints)


def hold_inputs(old: Schema, new: Schema, tables: list[Any], *, from_type_hints: bool = False) -> None:
    """Require that each input that the first takes is taken by the second."""
    for data in tables:
        if refusal_of(old, data, from_type_hints=from_type_hints) is None:
            refused = refusal_of(new, data, from_type_hints=from_type_hints)
            assert refused is None, f"{data!r} is refused now: {refused}"


@LENIENT
@given(st.data())
def test_tables_that_were_taken_are_taken(data) -> None:
    """For columns of every type with every fact, in frames, dicts, records and rows."""
    old, new = data.draw(column_pairs())
    hold(old, new, data.draw(st.lists(column_tables(old), min_size=3, max_size=5)))


@LENIENT
@given(st.data())
def test_tensors_that_were_taken_are_taken(data) -> None:
    """For arrays, lists, sparse matrices and frames."""
    old, new = data.draw(tensor_pairs())
    hold(old, new, data.draw(st.lists(tensor_inputs(old), min_size=1, max_size=3)))


@LENIENT
@given(st.data())
def test_lists_that_were_taken_are_taken(data) -> None:
    """For the plain lists of functions with type hints."""
    old, new = data.draw(hint_pairs())
    hold(old, new, [data.draw(hint_items(old))], from_type_hints=True)


DEFAULTS = {"boolean": True, "integer": 1, "long": 1, "float": 0.5, "double": 0.5, "string": "a"}
VALUES = st.booleans() | st.integers(-3, 3) | st.just(2**60 + 1) | st.floats() | st.text(max_size=2) | st.none()


@st.composite
def params(draw: st.DrawFn) -> ParamSpec:
    """Return a param."""
    kind = draw(st.sampled_from(list(DEFAULTS)))
    shape: Any = draw(st.sampled_from([None, (-1,)]))
    return ParamSpec(name="p", type=kind, default=[DEFAULTS[kind]] if shape else DEFAULTS[kind], shape=shape)  # type: ignore[arg-type]


@LENIENT
@given(params(), params(), VALUES | st.lists(VALUES, max_size=2))
def test_params_that_were_taken_are_taken(old, new, value) -> None:
    """For values of any type, one or a list."""
    if not breaks(Signature(params=(old,)), Signature(params=(new,))):
        try:
            enforce_params({"p": value}, (old,))
        except InvalidInput:
            return
        enforce_params({"p": value}, (new,))


@LENIENT
@given(st.data())
def test_what_comes_is_what_was_promised(data) -> None:
    """The same for outputs, the other way round: what the second may return, the first one's promise covers."""
    old, new = data.draw(column_pairs())
    if breaks(Signature(outputs=old), Signature(outputs=new)) or not old.is_named:
        return
    kept = {column.name for column in old.columns}
    read = Schema(tuple(column for column in new.columns if column.name in kept))
    if any(not isinstance(column.type, str) for column in (*old.columns, *read.columns)):
        return
    for table in data.draw(st.lists(column_tables(read), min_size=1, max_size=2)):
        if refusal_of(read, table) is None:
            assert refusal_of(old, table) is None, compare_signatures(Signature(outputs=old), Signature(outputs=new))


def test_the_oracle_would_see_a_wrong_verdict() -> None:
    """Where a change does break, there is an input that the one takes and the other refuses: it is found."""
    old, new = (Schema((ColSpec(name="a", type=kind),)) for kind in KINDS)
    with pytest.raises(AssertionError, match="is refused now"):
        hold_inputs(old, new, [{"a": [0.5]}])
