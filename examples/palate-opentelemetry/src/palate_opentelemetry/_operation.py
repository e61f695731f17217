"""One save, load or prediction, as OpenTelemetry sees it."""

from __future__ import annotations

import time
import traceback
import weakref
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Token
from importlib.metadata import version
from types import TracebackType
from typing import Any, Final, TypeVar

from opentelemetry import context, metrics, trace

from palate.errors import PalateError
from palate.hookspecs import ModelSource
from palate_opentelemetry._data import class_name

__all__ = ["Operation"]

T = TypeVar("T")

_SCOPE: Final = ("palate_opentelemetry", version("palate-opentelemetry"))
# Both find the SDK whenever the application sets it up, before or after this module is imported.
_tracer: Final = trace.get_tracer(*_SCOPE)
_duration: Final = metrics.get_meter(*_SCOPE).create_histogram(
    "palate.operation.duration",
    unit="s",
    description="How long a flavor took to save, to load or to predict.",
    # A row may take microseconds, and loading minutes; the default boundaries are meant for milliseconds.
    explicit_bucket_boundaries_advisory=[m * 10.0**e for e in range(-5, 2) for m in (1.0, 2.5, 5.0)] + [100.0],
)


class Operation:
    """A span, and when it has ended a duration with the same attributes.

    Inside its ``with`` block the span is the parent of whatever else is traced. An error that leaves the block ends the
    operation; otherwise ``end`` or ``goes_on`` does.

    Args:
        name: the hook's name.
        attributes: what samplers, and whoever reads durations, may tell operations apart by; of few different values.
    """

    __slots__ = ("_attributes", "_has_ended", "_is_told", "_span", "_started", "_token")

    def __init__(self, name: str, attributes: Mapping[str, str]) -> None:
        self._attributes = {"palate.operation": name, **attributes}
        self._span = _tracer.start_span(f"palate.{name}", attributes=attributes)
        self._is_told = self._span.is_recording()
        self._token: Token[context.Context] | None = None
        self._has_ended = False
        self._started = time.perf_counter()

    def __enter__(self) -> None:
        # A span that is not sampled is made current, too, or what stands below it would be sampled for itself. Without
        # an SDK there is no such span.
        if self._span.get_span_context().is_valid:
            self._token = context.attach(trace.set_span_in_context(self._span))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        if self._token is not None:
            context.detach(self._token)
            self._token = None
        if error is not None:
            self.end(error)

    def note(self, attribute: str, ask: Callable[[T], str | int | None], value: T) -> None:
        """Add what *ask* says of *value* to the span, if anybody records it."""
        if not self._is_told:
            return
        try:
            answer = ask(value)
        except Exception:  # an object of somebody's own; a prediction does not fail over how it is told of
            return
        if answer is not None:
            self._span.set_attribute(attribute, answer)

    def identify(self, source: ModelSource | None) -> None:
        """Add to the span which model it is, if anybody records it; of one that is being tried out, that it is."""
        if not self._is_told:
            return
        if source is None:
            self._span.set_attribute("palate.trial", True)
            return
        self._span.set_attribute("palate.model.uri", source.uri)
        for name, value in (("uuid", source.model_uuid), ("digest", source.digest)):
            if value is not None:
                self._span.set_attribute(f"palate.model.{name}", value)

    def end(self, error: BaseException | None = None) -> None:
        """End the span and record how long it took; an operation ends once."""
        if self._has_ended:
            return
        self._has_ended = True
        seconds = time.perf_counter() - self._started
        attributes = self._attributes
        if error is not None:
            attributes = {**attributes, "error.type": class_name(error)}
            if self._is_told:
                self._tell(error)
        # With the span's context, so that a duration can point to the trace that it comes from.
        _duration.record(seconds, attributes, trace.set_span_in_context(self._span))
        self._span.end()

    def goes_on(self, coroutine: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """Return a coroutine that does what *coroutine* does and then ends the operation.

        One that nobody awaits, as when the caller is cancelled before, ends the operation when it is let go of.
        """
        lasting = self._await(coroutine)
        weakref.finalize(lasting, self._let_go, coroutine).atexit = False
        return lasting

    async def _await(self, coroutine: Coroutine[Any, Any, T]) -> T:
        with self:
            result = await coroutine
        self.end()
        return result

    def _let_go(self, coroutine: Coroutine[Any, Any, object]) -> None:
        coroutine.close()
        self.end(GeneratorExit())  # unless it has been awaited

    def _tell(self, error: BaseException) -> None:
        """Add *error* to the span: its class and the lines it passed, and its text if that holds no data."""
        kind = class_name(error)
        event = {"exception.type": kind, "exception.stacktrace": "".join(traceback.format_tb(error.__traceback__))}
        if isinstance(error, PalateError):
            event["exception.message"] = str(error)
        self._span.add_event("exception", event)
        self._span.set_attribute("error.type", kind)
        self._span.set_status(trace.StatusCode.ERROR, kind)
