"""Params and whole signatures are inferred from examples."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate._disk.column_facts import add_facts, column_facts
from palate._inference.inference import infer_params, infer_schema, infer_signature
from palate._schema_json import dump_params, dump_schema, parse_params, parse_schema
from palate.errors import InvalidSignature
from palate.schema import Array, Object, ParamSpec, Property, Schema, TensorSpec, type_text
from palate.signature import Signature

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

NEW_YEAR = dt.datetime.fromisoformat("2024-01-01T02:03:04")


def test_params_have_the_type_of_their_defaults() -> None:
    """A scalar, a flat list or a dict is a param; numpy's scalars keep their width and become Python's."""
    specs = infer_params(
        {"a": 1, "b": [1, 2.5], "c": {"k": [np.int64(1)]}, "d": np.float32(0.5), "e": np.array([1, 2])}
    )
    assert specs == (
        ParamSpec(name="a", type="long", default=1),
        ParamSpec(name="b", type="double", default=[1.0, 2.5], shape=(-1,)),
        ParamSpec(name="c", type=Object((Property("k", Array("long")),)), default={"k": [1]}),
        ParamSpec(name="d", type="float", default=0.5),
        ParamSpec(name="e", type="long", default=[1, 2], shape=(-1,)),
    )
    assert parse_params(dump_params(specs)) == specs


def test_datetime_params_survive_their_json() -> None:
    """A datetime default is written as ISO text and read back as a datetime."""
    specs = infer_params({"at": NEW_YEAR, "days": [NEW_YEAR]})
    assert parse_params(dump_params(specs)) == specs


@pytest.mark.parametrize(
    "default",
    [
        *(None, math.nan, math.inf, b"x", {}, [], [1, "a"], [None], [[1]], (1,), object(), np.eye(2)),
        *({"k": math.nan}, {"k": b"x"}, {"k": NEW_YEAR}, {"k": {"l": [math.inf]}}),
    ],
)
def test_defaults_without_a_type_are_refused(default: object) -> None:
    """A default that tells no type, or that JSON cannot hold, is refused by the param's name."""
    with pytest.raises(InvalidSignature) as caught:
        infer_params({"good": 1, "bad": default})
    assert [problem.where for problem in caught.value.problems] == [("params", "bad")]


def test_params_are_a_mapping_of_names() -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidSignature, match="must be a mapping"):
        infer_params([1])  # type: ignore[arg-type]
    with pytest.raises(InvalidSignature, match="must be text"):
        infer_params({1: 1})  # type: ignore[dict-item]


def test_a_signature_of_all_parts() -> None:
    """Inputs, outputs and params are inferred together."""
    signature = infer_signature(pd.DataFrame({"a": [1.5]}), np.array([1]), {"k": 1})
    assert [type_text(column.type) for column in signature.inputs.columns] == ["double"]
    assert signature.outputs == Schema((TensorSpec(dtype="int64", shape=(-1,)),))
    assert [param.name for param in signature.params] == ["k"]
    assert infer_signature() == type(signature)()


def test_a_signature_tells_all_problems() -> None:
    """The problems of the three parts come in one error, each with its part."""
    with pytest.raises(InvalidSignature) as caught:
        infer_signature(pd.DataFrame({"a": [Decimal(1)]}), (1, 2), {"k": None})
    assert [problem.where for problem in caught.value.problems] == [("inputs", "a"), ("outputs",), ("params", "k")]


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary()
PLAIN = st.recursive(
    SCALARS | st.datetimes(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)


@given(PLAIN)
def test_inference_is_total(data: object) -> None:
    """Any plain data has a schema that survives its JSON, with the facts that stand beside it, or is refused."""
    try:
        schema = infer_schema(data)
    except InvalidSignature:
        return
    text = dump_schema(schema)
    read = add_facts(Signature(inputs=parse_schema(text, "inputs")), column_facts(Signature(inputs=schema)))
    assert read == Signature(inputs=schema)
    json.loads(text)
