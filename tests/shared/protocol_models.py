"""Real models whose answers show what they were given, and a protocol's endpoint in front of each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import palate
from palate.pyfunc import PyFuncModel
from palate.schema import ParamSpec, Schema
from palate.serving._contract import ModelContract
from palate.serving._wire import Answer, Call, Endpoint, Request
from palate.signature import Signature

__all__ = ["Asked", "Served", "serve_model"]


class Giver(palate.PythonModel):
    """Answers with what it was given, or with what *answer* makes of it and of the params."""

    def __init__(self, answer: Callable[[Any, Mapping[str, Any]], Any] | None = None) -> None:
        self.answer = answer

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return the answer."""
        return model_input if self.answer is None else self.answer(model_input, params or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A call, what the model got and gave, and the answer."""

    call: Call
    output: Any
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A model behind an endpoint."""

    model: PyFuncModel
    contract: ModelContract
    endpoint: Endpoint

    def ask(self, body: bytes, headers: Mapping[bytes, bytes] | None = None) -> Asked:
        """Take a request through the endpoint, enforcement, the model and the endpoint again."""
        call = self.endpoint.decode(Request(body, headers or {}))
        output = self.model.call(call.method, call.data, call.params)
        return Asked(call=call, output=output, answer=self.endpoint.encode(output, call))


def serve_model(
    make_endpoint: Callable[[ModelContract], Endpoint],
    inputs: Schema | None,
    *,
    outputs: Schema | None = None,
    params: tuple[ParamSpec, ...] = (),
    answer: Callable[[Any, Mapping[str, Any]], Any] | None = None,
) -> Served:
    """Save and load a model with this signature, and put an endpoint in front of it."""
    model = _open_model(Signature(inputs=inputs, outputs=outputs, params=params), answer)
    contract = ModelContract(
        name="giver", version="3", default_method="predict", signatures=model.signatures, flavor=model.flavor
    )
    return Served(model=model, contract=contract, endpoint=make_endpoint(contract))


@cache
def _open_model(signature: Signature, answer: Callable[[Any, Mapping[str, Any]], Any] | None) -> PyFuncModel:
    with tempfile.TemporaryDirectory() as folder:
        palate.save_model(Giver(answer), Path(folder) / "giver", signature=signature)
        return palate.load_model(Path(folder) / "giver", trust=True)
