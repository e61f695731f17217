"""Spans and durations of real models, told to OpenTelemetry's real SDK."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

import palate

APPLICATION = trace.get_tracer("the application")
SECRET = 4711.25


class Traced(palate.PythonModel):
    """Doubles its input, and traces that."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return the doubled input."""
        with trace.get_tracer("the model").start_as_current_span("double"):
            return model_input * 2


class Waiting(palate.PythonModel):
    """Doubles its input, after a while."""

    async def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return the doubled input."""
        with trace.get_tracer("the model").start_as_current_span("wait"):
            await asyncio.sleep(0.05)
        return model_input * 2


class Failing(palate.PythonModel):
    """Refuses its input and quotes it, as frameworks do."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Raise an error with a value in it."""
        raise ValueError(f"could not convert {model_input[0, 0]}")


def open_model(model: palate.PythonModel, path: Path) -> palate.PyFuncModel:
    """Save a model, without an example, and load it."""
    palate.save_model(model, path, signature=None)
    return palate.load_model(path, trust=True)


def named(spans: list[ReadableSpan], name: str) -> list[ReadableSpan]:
    """Return the spans of that name."""
    return [span for span in spans if span.name == name]


def parent_of(span: ReadableSpan) -> int | None:
    """Return the identity of the span's parent."""
    return span.parent.span_id if span.parent else None


def identity(span: ReadableSpan) -> int:
    """Return the span's own identity."""
    assert span.context is not None
    return span.context.span_id


# -- what is told ------------------------------------------------------------------------------------------------------


def test_loading_and_predicting_are_told(spans, iris, rows) -> None:
    """Each is one span, with what it was and never what it was about."""
    palate.load_model(iris).predict_proba(rows)
    loading, predicting = spans()
    info = palate.inspect_model(iris)
    model = {
        "palate.model.class": "sklearn.linear_model._logistic.LogisticRegression",
        "palate.model.uri": str(iris),
        "palate.model.uuid": info.model_uuid,
        "palate.model.digest": info.digest,
    }
    assert loading.name == "palate.load_model"
    assert loading.attributes == {"palate.flavor": "sklearn", **model}
    assert predicting.name == "palate.predict"
    assert predicting.attributes == {
        "palate.flavor": "sklearn",
        "palate.method": "predict_proba",
        "palate.rows": 5,
        **model,
    }
    for span in (loading, predicting):
        assert span.kind is SpanKind.INTERNAL
        assert span.status.status_code is StatusCode.UNSET
        assert span.parent is None
        assert span.instrumentation_scope is not None
        assert (span.instrumentation_scope.name, span.instrumentation_scope.version) == (
            "palate_opentelemetry",
            "0.1.0",
        )


def test_saving_is_told(spans, tmp_path) -> None:
    """The span says in which format; the proof of what was saved follows it."""
    palate.save_model(Traced(), tmp_path / "m", input_example=np.array([[1.0]]))
    saving, *proof = [span for span in spans() if span.name.startswith("palate.")]
    assert saving.name == "palate.save_model"
    assert saving.attributes is not None
    assert saving.attributes["palate.flavor"] == "python_function"
    assert saving.attributes["palate.format"] == "cloudpickle"
    assert {span.name for span in proof} == {"palate.load_model", "palate.predict"}
    for span in proof:  # nobody counts these among the predictions of an application
        assert span.attributes is not None
        assert span.attributes["palate.trial"] is True


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (np.zeros((7, 2)), 7),
        (np.float64(1.0), None),
        ([1, 2, 3], 3),
        ({"a": np.zeros(4), "b": np.zeros(4)}, 4),
        ({}, None),
        ("text", None),
        (iter([1]), None),
    ],
)
def test_rows_are_told_where_they_are_known(spans, tmp_path, data, count) -> None:
    """Rows are counted by what a container says of itself; nothing is read for it."""

    class Echo(palate.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input

    open_model(Echo(), tmp_path / "m").predict(data)
    assert spans()[-1].attributes.get("palate.rows") == count


def test_data_that_cannot_be_counted_is_predicted_on(spans, tmp_path) -> None:
    """An object that fails when it is asked for its shape is the model's business."""

    class Odd:
        @property
        def shape(self) -> tuple[int, ...]:
            raise RuntimeError("not yet")

    class Constant(palate.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return 1

    assert open_model(Constant(), tmp_path / "m").predict(Odd()) == 1
    assert "palate.rows" not in spans()[-1].attributes


def test_durations_are_counted(durations, spans, iris, rows) -> None:
    """The histogram has one count for each operation, and boundaries for microseconds as well as minutes."""
    key = frozenset(
        {"palate.operation": "predict", "palate.flavor": "sklearn", "palate.method": "decision_function"}.items()
    )
    model = palate.load_model(iris)
    before = durations().get(key)
    for _ in range(3):
        model.decision_function(rows)
    after = durations()[key]
    assert after.count - (before.count if before else 0) == 3
    assert 0 < after.sum < 60
    assert (min(after.explicit_bounds), max(after.explicit_bounds)) == (1e-5, 100.0)
    assert list(after.explicit_bounds) == sorted(after.explicit_bounds)


# -- errors ------------------------------------------------------------------------------------------------------------


def test_an_error_is_told_without_its_text(spans, durations, tmp_path) -> None:
    """The caller gets the very error; the span its class and its path through the code, not the value it quotes."""
    model = open_model(Failing(), tmp_path / "m")
    with pytest.raises(ValueError, match=str(SECRET)):
        model.predict(np.array([[SECRET]]))
    span = spans()[-1]
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "ValueError"
    (event,) = span.events
    assert event.name == "exception"
    assert event.attributes["exception.type"] == "ValueError"
    assert "in predict" in event.attributes["exception.stacktrace"]
    assert str(SECRET) not in json.dumps(json.loads(span.to_json()))
    assert any(("error.type", "ValueError") in key for key in durations())


def test_an_error_of_palates_is_told_with_its_text(spans, iris, tmp_path) -> None:
    """It holds no data, and says what to do."""
    rows = np.array([[1.0]])
    palate.save_model(Traced(), tmp_path / "m", input_example=rows)
    (tmp_path / "m" / "python_model.pkl").write_bytes(b"no pickle")
    broken = tmp_path / "iris"
    broken.mkdir()
    for file in iris.iterdir():
        (broken / file.name).write_bytes(b"junk" if file.suffix == ".skops" else file.read_bytes())
    with pytest.raises(palate.errors.UnsafeModel) as caught:
        palate.load_model(broken, verify=False)
    span = spans()[-1]
    assert (span.name, span.attributes["error.type"]) == ("palate.load_model", "palate.errors.UnsafeModel")
    assert span.events[0].attributes["exception.message"] == str(caught.value)


def test_a_parent_is_not_failed_by_an_error_that_was_handled(spans, tmp_path) -> None:
    """Whether the application's own span failed is for the application to say."""
    model = open_model(Failing(), tmp_path / "m")
    with APPLICATION.start_as_current_span("handle"), contextlib.suppress(ValueError):
        model.predict(np.array([[SECRET]]))
    assert named(spans(), "handle")[0].status.status_code is StatusCode.UNSET


# -- where a span stands -----------------------------------------------------------------------------------------------


def test_spans_nest(spans, tmp_path) -> None:
    """The application's span holds Palate's, and Palate's the model's."""
    model = open_model(Traced(), tmp_path / "m")
    with APPLICATION.start_as_current_span("handle"):
        model.predict(np.array([[1.0]]))
        assert trace.get_current_span().name == "handle"
    double, predicting, handle = spans()[-3:]
    assert (double.name, parent_of(double)) == ("double", identity(predicting))
    assert (predicting.name, parent_of(predicting)) == ("palate.predict", identity(handle))


def test_threads_keep_their_spans_apart(spans, iris, rows) -> None:
    """Each of many threads has its own parent, and what one of them begins is nobody else's."""
    model = palate.load_model(iris)

    def handle(number: int) -> None:
        with APPLICATION.start_as_current_span("handle", attributes={"rows": number % 5 + 1}):
            model.predict(rows[: number % 5 + 1])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(handle, range(200)))
    parents = {identity(span): span.attributes["rows"] for span in named(spans(), "handle")}
    predictions = named(spans(), "palate.predict")
    assert len(parents) == len(predictions) == 200
    assert all(parents[parent_of(span)] == span.attributes["palate.rows"] for span in predictions)


def test_an_awaited_prediction_has_its_callers_parent(spans, iris, rows) -> None:
    """Palate asks the model in a thread, with the caller's context."""
    model = palate.load_model(iris)

    async def handle(number: int) -> None:
        with APPLICATION.start_as_current_span("handle", attributes={"rows": number}):
            await model.apredict(rows[:number])

    async def handle_all() -> None:
        await asyncio.gather(*(handle(number) for number in (1, 2, 3)))

    asyncio.run(handle_all())
    parents = {identity(span): span.attributes["rows"] for span in named(spans(), "handle")}
    predictions = named(spans(), "palate.predict")
    assert [parents[parent_of(span)] == span.attributes["palate.rows"] for span in predictions] == [True] * 3


@pytest.mark.parametrize("is_awaited", [True, False])
def test_a_coroutine_is_told_until_its_end(spans, tmp_path, is_awaited) -> None:
    """A model that awaits is traced while it does; what it traces meanwhile stands below."""
    model = open_model(Waiting(), tmp_path / "m")
    data = np.array([[1.0]])
    with APPLICATION.start_as_current_span("handle"):
        answer = asyncio.run(model.apredict(data)) if is_awaited else model.predict(data)
    assert answer == 2.0
    wait, predicting, handle = spans()[-3:]
    assert (wait.name, parent_of(wait)) == ("wait", identity(predicting))
    assert (predicting.name, parent_of(predicting)) == ("palate.predict", identity(handle))
    assert predicting.end_time - predicting.start_time >= 0.05e9


def test_a_coroutine_that_is_cancelled_ends(spans, tmp_path, caplog) -> None:
    """Cancelled at work, or before, the span ends, once: the SDK has nothing to complain of."""
    model = open_model(Waiting(), tmp_path / "m")

    async def cancel(after: float) -> None:
        task = asyncio.create_task(model.apredict(np.array([[1.0]])))
        await asyncio.sleep(after)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for after in (0.0, 0.02):
        asyncio.run(cancel(after))
        gc.collect()
        (predicting,) = named(spans(), "palate.predict")[-1:]
        assert predicting.status.status_code is StatusCode.ERROR
    assert len(named(spans(), "palate.predict")) == 2
    assert [record.getMessage() for record in caplog.records] == []


def test_each_batch_is_told(spans, iris, rows) -> None:
    """A batch is a prediction; between two of them the caller's span is current again."""
    model = palate.load_model(iris)
    with APPLICATION.start_as_current_span("handle") as handle:
        for _ in model.predict_batches([rows[:1], rows[:2], rows[:3]]):
            assert trace.get_current_span() is handle
    predictions = named(spans(), "palate.predict")
    assert [span.attributes["palate.rows"] for span in predictions] == [1, 2, 3]
    assert {parent_of(span) for span in predictions} == {handle.get_span_context().span_id}
