"""The Open Inference Protocol: requests that lie, or are none, are refused with the place that is wrong."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import pytest
from protocol_models import Served
from v2_requests import LENGTH, X, ask, ask_binary, binary, columns, refusal, serve, tensor

from palate.errors import InvalidInput
from palate.schema import Schema, TensorSpec
from palate.serving.errors import MalformedBody


@pytest.fixture(scope="module")
def doubles() -> Served:
    """Return a model of two columns."""
    return serve(columns(a="double", b="double"))


@pytest.fixture(scope="module")
def matrix() -> Served:
    """Return a model of one tensor without a name."""
    return serve(Schema((TensorSpec(dtype="float64", shape=(-1, 2)),)))


# -- tensors that lie --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        tensor("x", [1.0, 2.0], shape=[3]),
        tensor("x", [1.0, 2.0], shape=[-2]),
        tensor("x", [1.0, 2.0], shape=[2.0]),
        tensor("x", [1.0, 2.0], shape=[True, 2]),
        tensor("x", [1.0, 2.0], shape=2),
        tensor("x", [1.0, 2.0], shape=[2**35, 2**35]),
        tensor("x", [], shape=[0, 2**62]),
        tensor("x", [], shape=[2**40, 0]),
        tensor("x", [1.0], shape=[1] * 70),
        tensor("x", [1.0, [2.0]], shape=[2]),
        tensor("x", [[1.0], [2.0, 3.0]], shape=[3]),
        tensor("x", [[1.0, 2.0]], shape=[2, 1]),
        tensor("x", 1.0, shape=[]),
        tensor("x", None, shape=[1]),
        tensor("x", {"a": 1}, shape=[1]),
        tensor("x", [1.0], "BF16"),
        tensor("x", [1.0], "FP8"),
        tensor("x", [1.0], "fp64"),
        {"name": "x", "datatype": ["FP64"], "shape": [1], "data": [1.0]},
        tensor("x", ["!"], "BYTES", parameters={"content_type": "base64"}),
    ],
    ids=lambda given: f"{given['datatype']}-{given['shape']}-{given['data']}"[:60],
)
def test_json_tensors_that_lie(given: dict[str, Any]) -> None:
    """A tensor whose data are not of its shape or datatype, or that no array can be, is refused and named."""
    assert refusal(serve(None, outputs=Schema((TensorSpec(dtype="float64", shape=(-1,)),))), given).where == (
        "inputs",
        "x",
    )


BYTES_LIES = {
    "longer than there is": struct.pack("<I", 2**32 - 1) + b"ab",
    "shorter than there is": struct.pack("<I", 1) + b"abc",
    "no whole length": b"\x01\x00",
    "one element too many": struct.pack("<I", 1) + b"a" + struct.pack("<I", 0),
    "none": b"",
}


@pytest.mark.parametrize("raw", BYTES_LIES.values(), ids=BYTES_LIES)
def test_lengths_of_bytes_that_lie(raw: bytes) -> None:
    """BYTES whose lengths do not add up are refused."""
    with pytest.raises(InvalidInput, match="lengths do not add up"):
        ask_binary(serve(columns(a="binary")), {"inputs": [binary("a", raw, "BYTES", [1])]}, raw)


@pytest.mark.parametrize(
    ("datatype", "shape", "raw"),
    [
        ("FP64", [1], b"1234567"),
        ("FP64", [2], b"12345678"),
        ("FP64", [2**61], b"12345678"),
        ("BYTES", [2**62], b"\0" * 8),
        ("BOOL", [1], b"\x02"),
        ("INT32", [2, 2], b"1234"),
    ],
)
def test_binary_tensors_that_lie(datatype: str, shape: list[int], raw: bytes) -> None:
    """Binary data of another size than the shape says, and truth values that are neither, are refused."""
    served = serve(None, outputs=Schema((TensorSpec(dtype="float64", shape=(-1,)),)))
    with pytest.raises(InvalidInput):
        ask_binary(served, {"inputs": [binary("x", raw, datatype, shape)]}, raw)


@pytest.mark.parametrize(
    ("headers", "tail"),
    [
        ({LENGTH: b"-1"}, b""),
        ({LENGTH: b"abc"}, b""),
        ({LENGTH: b"99999"}, b""),
        ({LENGTH: b"9" * 30}, b""),
        ({LENGTH: "٣".encode()}, b""),
        ({LENGTH: b"2"}, b""),
        ({}, b"12345678"),
        ({LENGTH: b"own"}, b"12345678"),
        ({LENGTH: b"own"}, b""),
    ],
)
def test_the_length_of_the_json_that_lies(matrix: Served, headers: Mapping[bytes, bytes], tail: bytes) -> None:
    """A header that is not the length of the JSON, and bytes that belong to no input, or are missing, are refused."""
    size = {"parameters": {"binary_data_size": 16}} if not tail else {"data": [1.0, 2.0]}
    body = json.dumps({"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 2], **size}]}).encode()
    own = {name: str(len(body)).encode() if value == b"own" else value for name, value in headers.items()}
    with pytest.raises(MalformedBody):
        matrix.ask(body + tail, own)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [NaN]}]}',
        b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [1e999]}]}',
        b'{"inputs": [], "inputs": []}',
        *(
            json.dumps(document).encode()
            for document in (
                {},
                {"inputs": []},
                {"inputs": {}},
                {"inputs": [1]},
                {"inputs": [X, X]},
                {"inputs": [{**X, "name": 1}]},
                {"inputs": [{**X, "typo": 1}]},
                {"inputs": [{**X, "parameters": []}]},
                {"inputs": [{**X, "parameters": {"binary_data_size": 8}}]},
                {"inputs": [{**X, "parameters": {"shared_memory_region": "r"}}]},
                {"inputs": [X], "typo": 1},
                {"inputs": [X], "id": 1},
                {"inputs": [X], "parameters": {"binary_data_output": "yes"}},
                {"inputs": [X], "parameters": 1},
                {"inputs": [X], "outputs": {}},
                {"inputs": [X], "outputs": [{"name": "a"}, {"name": "a"}]},
                {"inputs": [X], "outputs": [{"name": "a", "parameters": {"binary_data": 1}}]},
                {"inputs": [X], "outputs": [{"name": "a", "parameters": {"classification": 3}}]},
                {"inputs": [X], "outputs": [{"name": "a", "parameters": {"shared_memory_region": "r"}}]},
            )
        ),
    ],
)
def test_requests_that_are_none(matrix: Served, body: bytes) -> None:
    """A body that is not JSON, or not what the protocol says, is told as such."""
    with pytest.raises(MalformedBody):
        matrix.ask(body)


def test_sizes_of_binary_data_that_lie(matrix: Served) -> None:
    """binary_data_size beyond what is there, negative, or no number is refused."""
    for size in (17, -1, "16", 16.0, True, 2**70):
        given = {"name": "x", "datatype": "FP64", "shape": [1, 2], "parameters": {"binary_data_size": size}}
        with pytest.raises(MalformedBody, match="binary_data_size"):
            ask_binary(matrix, {"inputs": [given]}, b"\0" * 16)


def test_inputs_that_are_not_the_models(doubles: Served) -> None:
    """Unknown and missing inputs, unequal lengths and other shapes are named, none of their values is shown."""
    secret = tensor("secret", [41.5])
    assert refusal(doubles, tensor("a", [1.0]), tensor("b", [1.0]), secret).where == ("inputs", "secret")
    assert refusal(doubles, tensor("a", [1.0])).where == ("inputs", "b")
    assert "length" in refusal(doubles, tensor("a", [1.0]), tensor("b", [1.0, 2.0])).message
    wide = refusal(doubles, tensor("a", [1.0, 2.0, 3.0], shape=[1, 3]), tensor("b", [1.0]))
    assert (wide.where, wide.kind) == (("inputs", "a"), "wrong_shape")
    assert refusal(doubles, tensor("x", [1.0, 2.0, 3.0], shape=[1, 3])).where == ("inputs", "x")
    with pytest.raises(InvalidInput) as caught:
        ask(doubles, secret)
    assert "41" not in str(caught.value)


def test_texts_too_different_in_length() -> None:
    """An array of text is as wide as its longest element: a small body must not become one of a gigabyte."""
    served = serve(Schema((TensorSpec(dtype="str", shape=(-1,)),)))
    assert ask(served, tensor("x", ["a" * 10_000, *["b"] * 1000], "BYTES")).output.shape == (1001,)
    problem = refusal(served, tensor("x", ["a" * 100_000, *["b"] * 2500], "BYTES"))
    assert (problem.kind, "too long" in problem.message) == ("wrong_value", True)
