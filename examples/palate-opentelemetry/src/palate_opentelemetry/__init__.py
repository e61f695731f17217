"""OpenTelemetry for Palate: a span and a duration for every save, load and prediction, whatever the flavor.

It needs no set-up of its own: an application that has an OpenTelemetry SDK sees them, and in one without they cost
next to nothing. No data, no params and no predictions are told.
"""

from __future__ import annotations

from collections.abc import Generator
from types import CoroutineType
from typing import Any

from palate.hookspecs import LoadOptions, ModelSource, SaveOptions, hookimpl
from palate_opentelemetry._data import class_name, count_rows
from palate_opentelemetry._operation import Operation

__all__ = ["HOOK_API", "load_model", "predict", "save_model"]

HOOK_API = 1


@hookimpl(wrapper=True)
def save_model(flavor: str, model: object, options: SaveOptions) -> Generator[None, dict[str, Any], dict[str, Any]]:
    """Trace how a flavor writes a model."""
    operation = Operation("save_model", {"palate.flavor": flavor, "palate.format": options.format})
    with operation:
        operation.note("palate.model.class", class_name, model)
        section = yield
    operation.end()
    return section


@hookimpl(wrapper=True)
def load_model(flavor: str, options: LoadOptions) -> Generator[None, object, object]:
    """Trace how a flavor reads a model."""
    operation = Operation("load_model", {"palate.flavor": flavor})
    with operation:
        operation.identify(options.source)
        model = yield
    operation.note("palate.model.class", class_name, model)
    operation.end()
    return model


@hookimpl(wrapper=True)
def predict(
    flavor: str, model: object, data: object, method: str, source: ModelSource | None
) -> Generator[None, Any, Any]:
    """Trace one prediction; one that is a coroutine lasts until it has been awaited."""
    operation = Operation("predict", {"palate.flavor": flavor, "palate.method": method})
    with operation:
        operation.identify(source)
        operation.note("palate.model.class", class_name, model)
        operation.note("palate.rows", count_rows, data)
        answer = yield
    if isinstance(answer, CoroutineType):
        return operation.goes_on(answer)
    operation.end()
    return answer
