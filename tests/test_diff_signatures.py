"""What differs between two signatures, and what of it breaks: a table of pairs, each with an input that shows it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from palate._enforcement.params import enforce_params
from palate._enforcement.plan import compile_inputs
from palate.errors import InvalidInput
from palate.model_diff import Change, compare_signatures
from palate.schema import AnyType, Array, ColSpec, FieldType, Map, Object, ParamSpec, Property, Schema, TensorSpec
from palate.signature import MethodSignature, Signature


def col(kind: FieldType, /, **facts: Any) -> ColSpec:
    """Return the column "a"."""
    return ColSpec(type=kind, name="a", **facts)


def tensor(dtype: str, *shape: int) -> TensorSpec:
    """Return a tensor without a name."""
    return TensorSpec(dtype=dtype, shape=shape)


def obj(**members: Any) -> Object:
    """Return an object; a type in a tuple is that of a property which need not be there."""
    properties = [Property(n, k[0], False) if isinstance(k, tuple) else Property(n, k) for n, k in members.items()]
    return Object(tuple(properties))


def schema(*fields: Any) -> Schema:
    """Return a schema."""
    return Schema(fields)


def told(changes: tuple[Change, ...]) -> list[tuple[str, tuple[str | int, ...], str, bool]]:
    """Return the changes without their sentences."""
    return [(change.part, change.where, change.kind, change.breaks) for change in changes]


# From a column, to a column, the kind of the change where it is one, whether it breaks, and a cell that the first takes
# and the second refuses, if it does. A column of text lets through whatever cells there are, as MLflow does: no cell.
COLUMNS: list[tuple[ColSpec, ColSpec, str, bool, Any]] = [
    (col("integer"), col("long"), "widened", False, 3),
    (col("integer"), col("double"), "widened", False, 2**31 - 1),
    (col("float"), col("double"), "widened", False, 0.5),
    (col("long"), col("double"), "changed", True, 2**53 + 1),
    (col("long", minimum=0, maximum=9), col("double", minimum=0, maximum=9), "widened", False, 9),
    (col("integer"), col("float"), "changed", True, 2**24 + 1),
    (col("long"), col("integer"), "narrowed", True, 2**31),
    (col("double"), col("float"), "narrowed", True, 0.1),
    (col("double"), col("long"), "", True, 0.5),
    (col("double"), col("string"), "changed", True, ...),
    (col("string"), col("double"), "changed", True, "x"),
    (col("double"), col(AnyType()), "widened", False, 0.5),
    (col(AnyType()), col("double"), "narrowed", True, "x"),
    (col("double"), col("double", required=False), "widened", False, 1.5),
    (col("double"), col("double", nullable=False), "narrowed", True, None),
    (col("double"), col("double", nullable=True), "", False, None),
    (col("long"), col("long", nullable=True), "widened", False, 3),
    (col("long", nullable=True), col("long"), "narrowed", True, None),
    (col("long", categories=(1, 2), categorical=True), col("long", categories=(1, 2), closed=True), "", True, None),
    (col("string"), col("string", categories=("x",), closed=True), "narrowed", True, "y"),
    (col("string", categories=("x",), closed=True), col("string"), "widened", False, "x"),
    (
        col("string", categories=("x",), closed=True),
        col("string", categories=("y", "x"), closed=True),
        "widened",
        False,
        "x",
    ),
    (
        col("string", categories=("x", "y"), closed=True),
        col("string", categories=("y", "z"), closed=True),
        "changed",
        True,
        "x",
    ),
    (col("string", categories=("x",)), col("string", categories=("y",)), "changed", False, "x"),
    (col("double"), col("double", minimum=0), "narrowed", True, -1.0),
    (col("double", minimum=0), col("double", minimum=-1), "widened", False, 0.0),
    (col("double", maximum=2), col("double"), "widened", False, 2.0),
    (col("double", maximum=2), col("double", maximum=1.5), "narrowed", True, 2.0),
    (col("long", maximum=9.5), col("long", maximum=9), "changed", False, 9),
    (col("float", maximum=0.1), col("double", maximum=0.1), "", True, float(np.float32(0.1))),
    (col("datetime"), col("datetime", timezone="Europe/Vienna"), "changed", False, datetime(2024, 5, 6)),  # noqa: DTZ001
    (col(Array("integer")), col(Array("double")), "widened", False, [1, 2]),
    (col(Array("long")), col(Array("double")), "changed", True, [2**53 + 1]),
    (col(Array("long")), col(Array(AnyType())), "widened", False, [1]),
    (col(Map("long")), col(Map("integer")), "narrowed", True, {"x": 2**31}),
    (col(obj(p="long")), col(obj(p="long", q=("string",))), "widened", False, {"p": 1}),
    (col(obj(p="long")), col(obj(p="long", q="string")), "changed", True, {"p": 1}),
    (col(obj(p="long", q=("long",))), col(obj(p="long")), "narrowed", True, {"p": 1, "q": 2}),
    (col(obj(p=("long",))), col(obj(p="long")), "narrowed", True, {}),
]


@pytest.mark.parametrize(("old", "new", "kind", "breaks", "cell"), COLUMNS, ids=str)
def test_a_change_of_a_column(old, new, kind, breaks, cell) -> None:
    """It is called what it is; a cell that the first takes is refused by the second if, and only if, it breaks."""
    before, after = schema(old, ColSpec(type="long", name="b")), schema(new, ColSpec(type="long", name="b"))
    changes = compare_signatures(Signature(inputs=before), Signature(inputs=after))
    assert all(change.part == "inputs" and change.where == ("a",) for change in changes)
    assert any(change.breaks for change in changes) is breaks
    if kind:
        assert [change.kind for change in changes] == [kind]
    if cell is ...:
        return
    frame = pd.DataFrame({"a": pd.Series([cell], dtype=object), "b": [1]})
    compile_inputs(before).enforce(frame)
    if breaks:
        with pytest.raises(InvalidInput):
            compile_inputs(after).enforce(frame)
    else:
        compile_inputs(after).enforce(frame)


TENSORS: list[tuple[TensorSpec, TensorSpec, str, bool, Any]] = [
    (tensor("int32", -1), tensor("float64", -1), "widened", False, np.array([2**31 - 1])),
    (tensor("int64", -1), tensor("float64", -1), "changed", True, np.array([2**53 + 1])),
    (tensor("uint64", -1), tensor("longdouble", -1), "changed", True, [2**64 - 1]),
    (tensor("float32", -1), tensor("float64", -1), "widened", False, np.array([0.5])),
    (tensor("float64", -1), tensor("float32", -1), "narrowed", True, np.array([0.1])),
    (tensor("bool", -1), tensor("int64", -1), "changed", True, np.array([True])),
    (tensor("float64", 2), tensor("float64", -1), "widened", False, np.array([1.0, 2.0])),
    (tensor("float64", -1), tensor("float64", 2), "narrowed", True, np.array([1.0])),
    (tensor("float64", -1, 2), tensor("float64", -1, 3), "changed", True, np.zeros((1, 2))),
    (tensor("float64", -1), tensor("float64", -1, 1), "changed", True, np.array([1.0])),
    (tensor("float64", -1, 2), tensor("float64", -1, -1), "changed", True, pd.DataFrame(np.zeros((3, 2)))),
    (tensor("float64", -1, 3, 8, 8), tensor("float64", -1, 3, -1, -1), "widened", False, np.zeros((1, 3, 8, 8))),
]


@pytest.mark.parametrize(("old", "new", "kind", "breaks", "data"), TENSORS, ids=str)
def test_a_change_of_a_tensor(old, new, kind, breaks, data) -> None:
    """The same, with the arrays and frames that show it."""
    before, after = schema(old), schema(new)
    changes = compare_signatures(Signature(inputs=before), Signature(inputs=after))
    assert told(changes) == [("inputs", (), kind, breaks)]
    compile_inputs(before).enforce(data)
    if breaks:
        with pytest.raises(InvalidInput):
            compile_inputs(after).enforce(data)
    else:
        compile_inputs(after).enforce(data)


A, B, B_OR_NOT = col("long"), ColSpec(type="long", name="b"), ColSpec(type="long", name="b", required=False)
NAMELESS = ColSpec(type="long")

SCHEMAS: list[tuple[Schema | None, Schema | None, list[Any]]] = [
    (schema(A), schema(A, B), [("inputs", ("b",), "added", True)]),
    (schema(A), schema(A, B_OR_NOT), [("inputs", ("b",), "added", False)]),
    (schema(A, B), schema(A), [("inputs", ("b",), "removed", False)]),
    (schema(A, B), schema(B, A), [("inputs", (), "changed", False)]),
    (
        schema(A),
        schema(replace(A, name="A")),
        [("inputs", ("a",), "removed", False), ("inputs", ("A",), "added", True)],
    ),
    (schema(NAMELESS), schema(NAMELESS, NAMELESS), [("inputs", (), "changed", True)]),
    (schema(NAMELESS, NAMELESS), schema(NAMELESS), [("inputs", (), "changed", True)]),
    (schema(NAMELESS), schema(replace(NAMELESS, type="integer")), [("inputs", (0,), "narrowed", True)]),
    (schema(A), schema(NAMELESS), [("inputs", (), "changed", True)]),
    (schema(NAMELESS), schema(tensor("int64", -1, 1)), [("inputs", (), "changed", True)]),
    (None, schema(A), [("inputs", (), "narrowed", True)]),
    (schema(A), None, [("inputs", (), "widened", False)]),
    (
        schema(A),
        schema(A, ColSpec(type=Array("string"), name="t", required=False)),
        [("inputs", ("t",), "added", False), ("inputs", (), "changed", True)],
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), SCHEMAS, ids=str)
def test_a_change_of_the_inputs(old, new, expected) -> None:
    """Columns that come and go, with names and without; a renamed one is one that goes and one that comes."""
    assert told(compare_signatures(Signature(inputs=old), Signature(inputs=new))) == expected


def test_a_first_column_of_lists_turns_a_dict_of_lists_into_one_row() -> None:
    """That is why it breaks although it is optional: the dict that was three rows is refused."""
    before, after, _ = SCHEMAS[-1]
    rows = {"a": [1, 2, 3]}
    assert len(compile_inputs(before).enforce(rows)) == 3  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        compile_inputs(after).enforce(rows)


@pytest.mark.parametrize(
    "new", [schema(col("string")), schema(col("string"), ColSpec(name="t", type=AnyType()))], ids=str
)
def test_the_last_column_of_times_makes_lists_of_text_columns(new) -> None:
    """Without it a dict of them is one row, and is not refused: the model gets lists for texts."""
    old = schema(col("string"), ColSpec(name="t", type="datetime"))
    assert ("inputs", (), "changed", True) in told(compare_signatures(Signature(inputs=old), Signature(inputs=new)))
    texts = {"a": ["x", "y"], "t": ["2024-05-06", "2024-05-07"]}
    assert [len(compile_inputs(inputs).enforce(texts)) for inputs in (old, new)] == [2, 1]  # type: ignore[arg-type]
    numbers = [Signature(inputs=Schema((*s.columns, ColSpec(name="n", type="long")))) for s in (old, new)]
    assert not any(change.breaks for change in compare_signatures(*numbers))


def test_lists_of_lists_are_cut_into_cells_as_deep_as_the_type_says() -> None:
    """So that another depth breaks although nothing is refused: the model gets other cells."""
    before, after = (schema(ColSpec(type=kind)) for kind in (Array(Array("long")), Array(AnyType())))
    assert told(compare_signatures(Signature(inputs=before), Signature(inputs=after))) == [
        ("inputs", (0,), "widened", False),
        ("inputs", (), "changed", True),
    ]
    lists = [[[1], [2]], [[3]]]
    first, second = (compile_inputs(inputs).enforce(lists) for inputs in (before, after))
    assert first[0].tolist() == lists  # type: ignore[index]
    assert second[0].tolist() == [[1], [3]]  # type: ignore[index]


OUTPUTS: list[tuple[Schema | None, Schema | None, list[Any]]] = [
    (schema(A, B), schema(A), [("outputs", ("predict", "b"), "removed", True)]),
    (schema(A), schema(A, B), [("outputs", ("predict", "b"), "added", False)]),
    (schema(col("double")), schema(col("integer")), [("outputs", ("predict", "a"), "narrowed", False)]),
    (schema(col("integer")), schema(col("long")), [("outputs", ("predict", "a"), "widened", True)]),
    (schema(col("long")), schema(col("long", nullable=True)), [("outputs", ("predict", "a"), "widened", True)]),
    (
        schema(col("long", maximum=3)),
        schema(col("long", maximum=2)),
        [("outputs", ("predict", "a"), "narrowed", False)],
    ),
    (schema(col("long", maximum=3)), schema(col("long")), [("outputs", ("predict", "a"), "widened", True)]),
    (schema(A), schema(col("long", required=False)), [("outputs", ("predict", "a"), "widened", True)]),
    (
        schema(col("datetime")),
        schema(col("datetime", timezone="UTC")),
        [("outputs", ("predict", "a"), "changed", True)],
    ),
    (
        schema(col(obj(p="long"))),
        schema(col(obj(p="long", q="long"))),
        [("outputs", ("predict", "a"), "narrowed", False)],
    ),
    (
        schema(col(obj(p="long", q="long"))),
        schema(col(obj(p="long"))),
        [("outputs", ("predict", "a"), "widened", True)],
    ),
    (schema(tensor("float64", -1, 2)), schema(tensor("float64", -1, 3)), [("outputs", ("predict",), "changed", True)]),
    (
        schema(tensor("float64", -1, -1)),
        schema(tensor("float64", -1, 3)),
        [("outputs", ("predict",), "narrowed", False)],
    ),
    (schema(tensor("float64", -1)), schema(tensor("float32", -1)), [("outputs", ("predict",), "narrowed", False)]),
    (schema(NAMELESS), schema(NAMELESS, NAMELESS), [("outputs", ("predict",), "changed", True)]),
    (None, schema(A), [("outputs", ("predict",), "narrowed", False)]),
    (schema(A), None, [("outputs", ("predict",), "widened", False)]),
]


@pytest.mark.parametrize(("old", "new", "expected"), OUTPUTS, ids=str)
def test_a_change_of_the_outputs(old, new, expected) -> None:
    """Seen by who reads them: less may come than was promised, more may not."""
    assert told(compare_signatures(Signature(outputs=old), Signature(outputs=new))) == expected


def param(kind: Any = "long", default: Any = 1, **facts: Any) -> ParamSpec:
    """Return the param "p"."""
    return ParamSpec(name="p", type=kind, default=default, **facts)


PARAMS: list[tuple[tuple[ParamSpec, ...], tuple[ParamSpec, ...], list[Any]]] = [
    ((), (param(),), [("params", ("predict", "p"), "added", False)]),
    ((param(),), (), [("params", ("predict", "p"), "removed", True)]),
    ((param(),), (param(default=2),), [("params", ("predict", "p"), "changed", False)]),
    ((param("double", float("nan")),), (param("double", float("nan")),), []),
    ((param("integer"),), (param("long"),), [("params", ("predict", "p"), "widened", False)]),
    ((param("long"),), (param("double"),), [("params", ("predict", "p"), "changed", True)]),
    ((param("integer"),), (param("double"),), [("params", ("predict", "p"), "changed", True)]),
    ((param(default=[1], shape=(-1,)),), (param(default=1),), None),
    ((param("string", "x"),), (param("double", 0.5),), None),
]


@pytest.mark.parametrize(("old", "new", "expected"), PARAMS, ids=str)
def test_a_change_of_the_params(old, new, expected) -> None:
    """A default that changes is told and breaks nothing; a param that goes, or has another type, breaks."""
    changes = compare_signatures(Signature(params=old), Signature(params=new))
    if expected is None:
        assert [(change.kind, change.breaks) for change in changes] == [("changed", True), ("changed", False)]
    else:
        assert told(changes) == expected


def test_an_integer_param_may_be_larger_than_any_double_holds() -> None:
    """So that the one takes what the other refuses, although its type says 32 bits."""
    value = {"p": 2**60 + 1}
    assert enforce_params(value, (param("integer"),)) == value
    with pytest.raises(InvalidInput):
        enforce_params(value, (param("double"),))


def test_the_same_signature_has_no_changes() -> None:
    """Nor has none at all."""
    assert compare_signatures(None, None) == ()
    for old, new, *_ in [*COLUMNS, *TENSORS]:
        for field in (old, new):
            signature = Signature(inputs=schema(field), outputs=schema(field), params=(param(),))
            assert compare_signatures(signature, replace(signature)) == ()


def test_a_signature_that_appears_refuses_what_passed() -> None:
    """Its inputs break callers; one without inputs does not."""
    (added, inputs) = compare_signatures(None, Signature(inputs=schema(A)))
    assert (added.part, added.kind, added.breaks) == ("signature", "added", False)
    assert (inputs.part, inputs.kind, inputs.breaks) == ("inputs", "narrowed", True)
    assert not any(change.breaks for change in compare_signatures(None, Signature(outputs=schema(A))))


def test_a_signature_that_is_gone_is_told_and_breaks_nothing() -> None:
    """Everything passes then."""
    changes = compare_signatures(Signature(inputs=schema(A), methods={"transform": MethodSignature()}), None)
    assert told(changes) == [("signature", (), "removed", False)]


def test_methods_come_and_go() -> None:
    """One that is gone breaks its callers; outputs and params are compared method by method."""
    probabilities = MethodSignature(outputs=schema(tensor("float64", -1, 3)))
    old = Signature(inputs=schema(A), params=(param(),), methods={"predict_proba": probabilities})
    assert told(compare_signatures(old, replace(old, methods={}))) == [("methods", ("predict_proba",), "removed", True)]
    assert told(compare_signatures(replace(old, methods={}), old)) == [("methods", ("predict_proba",), "added", False)]
    fewer = MethodSignature(outputs=schema(tensor("float64", -1, 2)))
    changes = compare_signatures(old, replace(old, methods={"predict_proba": fewer}))
    assert told(changes) == [("outputs", ("predict_proba",), "changed", True)]


def test_params_that_methods_share_are_told_once() -> None:
    """A method with params of its own is told of besides."""
    shared, own = MethodSignature(), MethodSignature(params=(param(),))
    old = Signature(params=(param(),), methods={"score": shared, "rank": own})
    changes = compare_signatures(old, replace(old, params=(param(default=2),)))
    assert told(changes) == [("params", ("predict", "p"), "changed", False)]
    changes = compare_signatures(old, replace(old, methods={"score": shared, "rank": MethodSignature(params=())}))
    assert told(changes) == [("params", ("rank", "p"), "removed", True)]


def test_another_default_method_breaks() -> None:
    """The same call of predict() answers something else; other methods are told of as always."""
    old = Signature(inputs=schema(A), methods={"transform": MethodSignature(), "score": MethodSignature()})
    new = Signature(inputs=schema(A), methods={"transform": MethodSignature()})
    assert told(compare_signatures(old, new, default_methods=("predict", "predict_proba"))) == [
        ("methods", ("predict",), "changed", True),
        ("methods", ("score",), "removed", True),
    ]


@pytest.mark.parametrize(
    ("old", "new"), [(("x", "y"), ("y", "x")), (("x", "y"), ("x", "z")), ((), ("x", "y")), (("x", "y"), ())]
)
def test_other_features_behind_a_nameless_table_break(old, new) -> None:
    """Frames are refused, or arrays mean other columns, although the signature is the same."""
    signature = Signature(inputs=schema(tensor("float64", -1, 2)))
    changes = compare_signatures(signature, signature, features=(old, new))
    assert told(changes) == [("inputs", ("features",), "changed", True)]
    assert compare_signatures(signature, signature, features=(old, old)) == ()


def test_type_hints_in_the_place_of_a_table_break() -> None:
    """The model gets a list where it got a DataFrame."""
    old, new = (Signature(inputs=schema(NAMELESS), from_type_hints=hints) for hints in (False, True))
    for pair in ((old, new), (new, old)):
        assert told(compare_signatures(*pair)) == [("inputs", (), "changed", True)]


def test_a_change_tells_what_was_and_what_is() -> None:
    """As a sentence, as one line, and as JSON data."""
    [change] = compare_signatures(Signature(inputs=schema(col("long"))), Signature(inputs=schema(col("double"))))
    assert change.detail == "was long, is double: double holds every integer only up to 2**53"
    assert str(change) == f"inputs.a changed (breaking): {change.detail}"
    assert change.to_dict() == {
        "part": "inputs",
        "where": ["a"],
        "kind": "changed",
        "detail": change.detail,
        "breaks": True,
    }
