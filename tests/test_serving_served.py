"""A served model answers for requests together what it answers for each by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import palate
from palate.codecs import read_rows
from palate.errors import InvalidInput, MethodNotFound
from palate.matrix import Matrix
from palate.serving import ServingSettings
from palate.serving._directory import contract_of
from palate.serving._predicting.lane import Failed
from palate.serving._predicting.served import ServedModel
from palate.serving._watching.access_log import IncidentLog
from palate.serving._watching.log_writer import LogWriter
from palate.serving._watching.metrics import Metrics
from palate.serving._wire import Call


class Witness(palate.PythonModel):
    """Answers, for each row, with what it was given: values and dtypes."""

    rows_are_independent = True

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[str]:
        kinds = {name: str(dtype) for name, dtype in model_input.dtypes.items()}
        return [f"{record!r} {kinds!r}" for record in model_input.to_dict(orient="records")]


COLUMNS = (
    palate.ColSpec(type="double", name="double"),
    palate.ColSpec(type="long", name="long"),
    palate.ColSpec(type="float", name="float"),
    palate.ColSpec(type="string", name="string"),
    palate.ColSpec(type="boolean", name="boolean"),
    palate.ColSpec(type="datetime", name="datetime"),
    palate.ColSpec(type="long", name="gaps", nullable=True),
    palate.ColSpec(type="integer", name="bound", minimum=0),
    palate.ColSpec(type="string", name="closed", closed=True, categories=("x", "y")),
    palate.ColSpec(type="double", name="optional", required=False),
)


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> palate.PyFuncModel:
    """Save and open the model."""
    path: Path = tmp_path_factory.mktemp("served") / "witness"
    palate.save_model(Witness(), path, signature=palate.Signature(inputs=palate.Schema(COLUMNS)))
    return palate.load_model(path, trust=True)


def served(model: palate.PyFuncModel) -> ServedModel:
    """Return it as a server has it."""
    contract = contract_of(model)
    metrics = Metrics(models=[(contract.name, contract.version)]).bind()
    return ServedModel(contract, model, ServingSettings(), metrics.model(contract.name, contract.version))


def answers(model: palate.PyFuncModel, requests: Sequence[Any], *, at_once: bool) -> list[Any]:
    """Return what each request is answered: texts, or the problems that it has."""

    async def ask() -> list[Any]:
        one = served(model)
        one.start(IncidentLog(LogWriter()), on_stuck=lambda: None)
        loop = asyncio.get_running_loop()
        waiting = []
        for data in requests:
            answer: asyncio.Future[Any] = loop.create_future()
            try:
                one.submit(one.prepare(Call("predict", data)), answer.set_result)
            except InvalidInput as exc:
                answer.set_result(Failed(exc))
            if not at_once:
                await answer
            waiting.append(answer)
        return [told(await answer) for answer in waiting]

    return asyncio.run(ask())


def told(answer: Any) -> Any:
    """Return an answer, or what was wrong with the request."""
    if type(answer) is Failed:
        assert isinstance(answer.cause, InvalidInput), answer.cause
        return answer.cause.problems
    return answer


RECORD = st.fixed_dictionaries(
    {
        "double": st.one_of(st.floats(allow_infinity=False), st.integers(-(2**60), 2**60), st.none(), st.just("1.5")),
        "long": st.one_of(st.integers(-(2**63), 2**63 - 1), st.just(1.0), st.just(1.5), st.none()),
        "float": st.one_of(st.sampled_from([0.1, 1, 1e39, None])),
        "string": st.one_of(st.text(max_size=3), st.none(), st.just(5)),
        "boolean": st.sampled_from([True, False, 1, "false", None]),
        "datetime": st.sampled_from(
            ["2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05.123456789", "2026-01-02T03:04:05Z", "no", None]
        ),
        "gaps": st.sampled_from([1, None, 2**53 + 1, 1.5]),
        "bound": st.sampled_from([0, 7, -1]),
        "closed": st.sampled_from(["x", "y", "z"]),
    },
    optional={"optional": st.sampled_from([1.5, None]), "unknown": st.integers()},
)
GOOD = st.fixed_dictionaries(
    {
        "double": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
        "long": st.integers(-(2**63), 2**63 - 1),
        "float": st.sampled_from([0.1, 1, 2.5]),
        "string": st.text(max_size=3) | st.none(),
        "boolean": st.booleans(),
        "datetime": st.sampled_from(["2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05.123456789"]),
        "gaps": st.sampled_from([1, None, 2**53 + 1]),
        "bound": st.sampled_from([0, 7]),
        "closed": st.sampled_from(["x", "y"]),
    },
    optional={"optional": st.sampled_from([1.5, None])},
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(requests=st.lists(st.lists(st.one_of(GOOD, GOOD, RECORD), min_size=1, max_size=2), min_size=2, max_size=5))
def test_together_is_as_one_by_one(witness: palate.PyFuncModel, requests: list[list[dict[str, Any]]]) -> None:
    """Records that are enforced and predicted together get the values, dtypes and problems that each gets alone."""
    schema = witness.signature.inputs if witness.signature else None
    given_requests = []
    for records in requests:
        try:
            given_requests.append(read_rows(records, schema))
        except InvalidInput:  # refused before it comes to others
            continue
    assert answers(witness, given_requests, at_once=True) == answers(witness, given_requests, at_once=False)


def test_joined_requests_are_one_call(witness: palate.PyFuncModel) -> None:
    """Records with the same members, and frames of the same dtypes, have the same key; other members another."""
    one = served(witness)
    row = {c.name: v for c, v in zip(COLUMNS, [1.5, 1, 0.5, "a", True, "2026-01-02", 1, 1, "x", 2.5], strict=True)}

    def key(data: Any, **params: Any) -> Any:
        return one.prepare(Call("predict", data, params or None)).key

    assert key([row]) == key([dict(row, double=7)] * 2) is not None
    assert key([{**row, "more": 1}]) != key([row])
    frame = pd.DataFrame([row]).astype(
        {"float": "float32", "datetime": "datetime64[ns]", "bound": "int32", "gaps": "Int64"}
    )
    assert key(frame) == key(frame.head(1)) is not None


def test_params_keep_requests_apart(tmp_path: Path) -> None:
    """Requests with other params have other keys, those with the same the same."""
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    signature = palate.infer_signature(frame, ["x"], params={"t": 1.0})
    palate.save_model(Witness(), tmp_path / "m", signature=signature)
    one = served(palate.load_model(tmp_path / "m", trust=True))
    matrix = Matrix(frame.to_numpy(), ("a",))
    keys = [one.prepare(Call("predict", matrix, params)).key for params in (None, {"t": 2.0}, {"t": 2}, {"t": 3.0})]
    assert keys[1] == keys[2]
    assert len({keys[0], keys[1], keys[3]}) == 3


def test_what_is_not_independent_is_not_joined(tmp_path: Path) -> None:
    """A model that does not say that its rows are independent is asked for each request by itself."""
    palate.save_model(lambda table: table, tmp_path / "m", signature=palate.infer_signature(pd.DataFrame({"a": [1.0]})))
    one = served(palate.load_model(tmp_path / "m", trust=True))
    assert one.prepare(Call("predict", [{"a": 1.0}])).key is None
    assert one.prepare(Call("predict", Matrix(pd.DataFrame({"a": [1.0]}).to_numpy(), ("a",)))).key is None
    with pytest.raises(MethodNotFound):
        one.prepare(Call("transform", Matrix(pd.DataFrame({"a": [1.0]}).to_numpy(), ("a",))))


class Pair(palate.PythonModel):
    """Adds two named inputs."""

    rows_are_independent = True

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input["x"] + model_input["y"]


def test_named_inputs_have_as_many_rows_each(tmp_path: Path) -> None:
    """Where rows belong together, inputs of different lengths are refused before the model is asked."""
    tensors = tuple(palate.TensorSpec(dtype="float64", shape=(-1,), name=name) for name in ("x", "y"))
    palate.save_model(Pair(), tmp_path / "m", signature=palate.Signature(inputs=palate.Schema(tensors)))
    one = served(palate.load_model(tmp_path / "m", trust=True))
    assert one.prepare(Call("predict", {"x": [1.0], "y": [2.0]})).rows == 1
    with pytest.raises(InvalidInput, match="different numbers of rows"):
        one.prepare(Call("predict", {"x": [1.0, 2.0], "y": [2.0]}))
