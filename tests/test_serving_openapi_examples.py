"""The examples in the OpenAPI document are bodies that the routes take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_agreement import call_with, is_accepted, request_validator
from openapi_contracts import SCALARS, SIGNATURES, contract_of

from palate.schema import AnyType, Array, ColSpec, FieldType, Map, Object, Property, Schema, SparkVector, TensorSpec
from palate.serving._contract import ModelContract
from palate.serving._openapi.components import Components
from palate.serving._openapi.document import openapi_document
from palate.serving._openapi.fitting import fits
from palate.serving._openapi.samples import sample_of
from palate.serving._wire import Endpoint
from palate.serving.protocols import inference_v2, mlflow, tf_serving, typed
from palate.signature import Signature

JSON = "application/json"
UNSHOWN = {"image", "tensor_bytes", "tensor_dtypes"}
"""Signatures of data that JSON has no form for, or that is too large to be read."""
NESTED: list[FieldType] = [
    Array("string"),
    Array("binary"),
    Array(Array("double")),
    Map("long"),
    SparkVector(),
    AnyType(),
    Object((Property("a", "long"), Property("k", "datetime", required=False))),
]
PARTS = (None, True, False, 0, -1, 1.0, 1.7, 2**40, 1e300, "", "a", "YQ==", "2024-05-06", [], [1], [None], {}, {"a": 1})


def _components_of(document: dict[str, Any]) -> Components:
    components = Components()
    components.schemas = document["components"]["schemas"]
    return components


@pytest.mark.parametrize("name", sorted(set(SIGNATURES) - UNSHOWN))
def test_samples_fit(name: str) -> None:
    """The sample that is made of a schema fits it, says an outside validator, and is accepted."""
    document = openapi_document([contract_of(SIGNATURES[name])])
    validator = request_validator(document, "/models/model/predict")
    sample = sample_of(validator.schema, _components_of(document))
    assert list(validator.iter_errors(sample)) == []
    assert is_accepted(SIGNATURES[name], sample)


@pytest.mark.parametrize("name", sorted(UNSHOWN))
def test_no_sample(name: str) -> None:
    """A tensor with more numbers than anybody reads has no sample, nor have bytes for which JSON has no form."""
    document = openapi_document([contract_of(SIGNATURES[name])])
    assert sample_of(request_validator(document, "/models/model/predict").schema, _components_of(document)) is None


def _mutations(value: Any) -> Iterator[Any]:
    """Yield plain data like *value*, each with one part replaced, added or left out."""
    yield from PARTS
    if isinstance(value, dict):
        for name, member in value.items():
            yield {other: part for other, part in value.items() if other != name}
            yield from ({**value, name: changed} for changed in _mutations(member))
        yield {**value, "extra": 1}
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from ([*value[:place], changed, *value[place + 1 :]] for changed in _mutations(item))
        yield [*value, *value]


@pytest.mark.parametrize("name", sorted(set(SIGNATURES) - {"hostile", "nested"} - UNSHOWN))
def test_fits_as_jsonschema(name: str) -> None:
    """What fits by our own check is what jsonschema takes, for the sample of each signature and what is like it."""
    document = openapi_document([contract_of(SIGNATURES[name])])
    validator = request_validator(document, "/models/model/predict")
    components = _components_of(document)
    sample = sample_of(validator.schema, components)
    found = [
        body for body in _mutations(sample) if fits(body, validator.schema, components) != validator.is_valid(body)
    ]
    assert found == []


# -- examples ----------------------------------------------------------------------------------------------------------

SAVED = (None, {"inputs": {"no such column": [1]}})


def _examples(paths: dict[str, Any]) -> dict[str, Any]:
    """Return the example of each route that takes a body, or None."""
    bodies = {path: item["post"]["requestBody"] for path, item in paths.items() if "post" in item}
    return {path: body["content"][JSON].get("example") for path, body in bodies.items()}


def _example(signature: Signature, body: object, path: str = "/models/model/predict") -> Any:
    document = openapi_document([contract_of(signature, example=body)])
    return document["paths"][path]["post"]["requestBody"]["content"][JSON].get("example")


def test_split_example_as_records() -> None:
    """A model's example, saved as a split table, is shown as records: the first two, with its params."""
    table = {"columns": ["a"], "data": [[1.5], [2.5], [3.5]]}
    body = {"dataframe_split": table, "params": {"temperature": 0.1}}
    expected = {"inputs": [{"a": 1.5}, {"a": 2.5}], "params": {"temperature": 0.1}}
    assert _example(SIGNATURES["params"], body) == expected
    assert _example(SIGNATURES["params"], body, "/invocations") == body


def test_unnamed_example_as_rows() -> None:
    """Of columns without names, an example is shown as rows; of tensors as it is."""
    assert _example(SIGNATURES["unnamed"], {"dataframe_split": {"columns": [0, 1], "data": [[1.5, "a"]]}}) == {
        "inputs": [[1.5, "a"]]
    }
    tensor = [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]
    assert _example(SIGNATURES["tensor"], {"inputs": tensor}) == {"inputs": tensor}


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["a"], "data": [["text"]]}},
        {"dataframe_split": {"columns": ["b"], "data": [[1.5]]}},
        {"dataframe_split": {"columns": ["a"]}},
        {"inputs": [[float("nan")]]},
        {"inputs": [{"$ref": "#/nowhere"}]},
        [1.5],
    ],
    ids=str,
)
def test_no_wrong_example(body: object) -> None:
    """Where the saved one does not fit, or a reader of the document would stumble over it, one is made instead."""
    assert _example(SIGNATURES["params"], body) == {"inputs": [{"a": 1.5}]}
    assert _example(SIGNATURES["params"], body, "/invocations") == {
        "dataframe_split": {"columns": ["a"], "data": [[1.5]]}
    }


def test_no_example_of_a_model_that_declares_nothing() -> None:
    """Without a signature, a saved body is the only example; there is none where nothing was saved or it is empty."""
    body = {"inputs": [[1, "a"]]}
    assert _example(SIGNATURES["none"], body) == body
    assert _example(SIGNATURES["none"], body, "/invocations") == body
    assert _example(SIGNATURES["none"], {"dataframe_split": {"columns": []}}) is None
    assert _example(SIGNATURES["none"], {"params": {}}, "/invocations") is None


def _taken_examples(contract: ModelContract) -> dict[str, Any]:
    """Return the example of each route, or None, after each was read there and taken by the signature."""
    examples = _examples(openapi_document([contract])["paths"])
    endpoints: dict[str, Endpoint] = {}
    for protocol in (typed, mlflow, inference_v2, tf_serving):
        endpoints |= protocol.predict_paths(contract)
    for path, body in examples.items():
        method = path.rpartition("/")[2] if path.startswith("/models/") else "predict"
        if body is not None:
            call_with(endpoints[path], contract.signatures[method], body)
    return examples


def test_nested_example_as_text() -> None:
    """Cells of a nested column are JSON in the protocol of tensors, and are taken, whatever they are."""
    for cell in (5, "a", [1.5], {"a": None}):
        for body in ({"dataframe_records": [{"c": cell}]}, {"inputs": {"c": [cell]}}):
            signature = Signature(inputs=Schema((ColSpec(type=AnyType(), name="c"),)))
            examples = _taken_examples(contract_of(signature, example=body))
            assert examples["/v2/models/model/infer"]["inputs"][0]["data"] == [json.dumps(cell)]


@pytest.mark.parametrize("saved", SAVED, ids=["none saved", "saved that fits none"])
@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_every_example_is_taken(name: str, saved: object) -> None:
    """The example of each route, made from the signature, is read there, and taken by the signature."""
    contract = contract_of(SIGNATURES[name], example=saved)
    unshown = {path for path, told in _taken_examples(contract).items() if told is None}
    assert {re.sub("/versions/1", "", path) for path in unshown} == _unshown(name, saved)


def _unshown(name: str, saved: object) -> set[str]:
    """Return the routes without an example, none of them with a version."""
    tensors = {"/v1/models/model:predict", "/v2/models/model/infer"}
    if name == "hostile":  # a column is called "$ref", and would be a key
        return {"/models/model/predict", "/v1/models/model:predict"}
    if name in UNSHOWN or (name == "none" and saved is None):
        return {"/models/model/predict", "/invocations", *tensors}
    return tensors if name == "none" else set()


def _columns(name: str | None) -> st.SearchStrategy[ColSpec]:
    """Return columns of that name, of any type and with any facts."""
    kinds = st.sampled_from([*SCALARS, *NESTED])
    plain = st.builds(
        ColSpec, type=kinds, name=st.just(name), required=st.just(True) if name is None else st.booleans()
    )
    bounded = st.builds(
        lambda kind, low, width: ColSpec(type=kind, name=name, minimum=low, maximum=low + width),
        st.sampled_from(["integer", "long", "float", "double"]),
        st.floats(-1e6, 1e6),
        st.floats(1, 1e6),
    )
    narrow = st.builds(
        lambda kind, low: ColSpec(type=kind, name=name, minimum=low, maximum=low + 0.01),
        st.sampled_from(["float", "double"]),
        st.floats(-100, 100),
    )
    texts = st.lists(st.text(max_size=3), min_size=1, max_size=3, unique=True).map(tuple)
    closed = st.builds(ColSpec, type=st.just("string"), name=st.just(name), categories=texts, closed=st.just(True))
    return plain | bounded | narrow | closed


_NAMED = st.lists(st.sampled_from(["a", "b", "é", "", "a b", "inputs"]), min_size=1, max_size=3, unique=True)
_TABLES = _NAMED.flatmap(lambda names: st.tuples(*map(_columns, names))) | st.integers(1, 3).flatmap(
    lambda count: st.tuples(*[_columns(None)] * count)
)


@given(columns=_TABLES)
@settings(max_examples=200, deadline=None)
def test_every_table_has_examples(columns: tuple[ColSpec, ...]) -> None:
    """Whatever the columns of a table are, each route has an example, and takes it."""
    examples = _taken_examples(contract_of(Signature(inputs=Schema(columns))))
    assert [path for path, body in examples.items() if body is None] == []


DTYPES = (
    *("bool", "str", "object", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "longdouble", "complex64", "complex128", "datetime64[ns]"),
)


@pytest.mark.parametrize("shape", [(-1,), (-1, 2), (-1, -1, 3), (2, 3), ()], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_tensor_has_examples(dtype: str, shape: tuple[int, ...]) -> None:
    """Whatever numbers, text or times a tensor holds, each route that has a name for them has an example."""
    for name in (None, "x"):
        contract = contract_of(Signature(inputs=Schema((TensorSpec(dtype=dtype, shape=shape, name=name),))))
        unshown = {path.split("/")[1] for path, body in _taken_examples(contract).items() if body is None}
        assert unshown == ({"v2"} if dtype.startswith(("complex", "longdouble")) else set())
