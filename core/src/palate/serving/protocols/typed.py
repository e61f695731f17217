"""Palate's own route, typed by the signature: ``POST /models/{name}/{method}``.

The body is ``{"inputs": …, "params": {…}}``. Inputs are rows: a list of records for named columns (or an object of
columns), nested lists for a tensor, an object of nested lists for named tensors. csv, parquet, Arrow and npy bodies
hold the inputs alone. The answer is ``{"predictions": …}``, or a table or array if the client prefers one; errors are
problem documents (RFC 9457).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from operator import itemgetter
from typing import Any
from urllib.parse import quote

from palate.codecs import read_rows
from palate.serving._content import ANSWER_FORMATS, BODY_FORMATS, choose_format, format_of_body
from palate.serving._contract import ModelContract
from palate.serving._json import parse_json
from palate.serving._problems import problem_answer
from palate.serving._wire import NO_ROWS, Answer, Call, Failure, Request
from palate.serving.errors import MalformedBody
from palate.serving.protocols._answers import encode_output, read_table
from palate.serving.protocols._numbers import MatrixReader, TensorReader
from palate.serving.protocols._typed_input import check_inputs, check_params

__all__ = ["TypedEndpoint", "predict_paths"]

_KEYS = frozenset(["inputs", "params"])
_NUMBERS = frozenset([int, float])


def predict_paths(contract: ModelContract) -> Mapping[str, TypedEndpoint]:
    """Return what answers to POST on each path: for each method, by the model's name and by its version."""
    name, version = quote(contract.name, safe=""), quote(contract.version, safe="")
    found = {}
    for method in contract.signatures:
        endpoint = TypedEndpoint(contract, method)
        for place in (f"/models/{name}", f"/models/{name}/versions/{version}"):
            found[f"{place}/{quote(method, safe='')}"] = endpoint
    return found


class TypedEndpoint:
    """One method of a model."""

    __slots__ = ("_from_type_hints", "_matrix", "_method", "_params", "_pick", "_schema", "_tensor")

    def __init__(self, contract: ModelContract, method: str) -> None:
        self._method = method
        self._schema = contract.signature.inputs
        self._from_type_hints = contract.signature.from_type_hints
        self._params = contract.signatures[method].params
        self._matrix = MatrixReader.of(self._schema)
        self._tensor = TensorReader.of(self._schema)
        names = self._matrix.names if self._matrix is not None else []
        self._pick: itemgetter[Any] | None = itemgetter(*names) if len(names) > 1 else None

    def decode(self, request: Request) -> Call:
        """Read a body in any of BODY_FORMATS. Raises MalformedBody, InvalidInput, UnsupportedContent, NotAcceptable."""
        wanted = choose_format(request.headers, ANSWER_FORMATS)
        given = format_of_body(request.headers, BODY_FORMATS)
        if given != "json":
            return Call(self._method, read_table(request, given, self._schema), None, wanted)
        document = parse_json(request.body)
        if not isinstance(document, dict) or "inputs" not in document or not _KEYS.issuperset(document):
            raise MalformedBody("it must be an object with the key inputs, and params if you like, and no other")
        params = check_params(document.get("params"), self._params)
        return Call(self._method, self._read(document["inputs"], request.body), params, wanted)

    def encode(self, output: Any, call: Call) -> Answer:
        """Write predictions in the form that the request asked for. Raises UnsupportedOutput."""
        wanted: Any = call.note
        return encode_output(output, wanted)

    def refuse(self, failure: Failure) -> Answer:
        """Write a problem document."""
        return problem_answer(failure)

    def _read(self, inputs: Any, body: bytes) -> Any:
        if self._schema is None:
            return inputs
        if inputs == []:
            return NO_ROWS
        data = None
        if self._tensor is not None:
            data = self._tensor.read(inputs, body)
        elif self._matrix is not None and self._pick is not None:
            data = self._matrix.read(_rows_of_records(inputs, self._pick, len(self._matrix.names)), body)
        if data is not None:
            return data
        if not self._from_type_hints:
            check_inputs(inputs, self._schema)
        return read_rows(inputs, self._schema)


def _rows_of_records(inputs: Any, pick: itemgetter[Any], width: int) -> list[list[Any]] | None:
    """Return the cells of records in the order of the columns, or None unless each has all and nothing else."""
    if type(inputs) is not list or not all(type(record) is dict and len(record) == width for record in inputs):
        return None
    try:
        rows = [list(pick(record)) for record in inputs]
    except KeyError:
        return None
    # In records there may be text of any length, of which numpy would make arrays of any size.
    return rows if _NUMBERS.issuperset(map(type, chain.from_iterable(rows))) else None
