"""An application with OpenTelemetry's real SDK, which keeps in memory what it is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import palate

Spans = Callable[[], list[ReadableSpan]]


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    """Set tracing up, as an application does once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture(scope="session")
def reader() -> InMemoryMetricReader:
    """Set metrics up, as an application does once."""
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    return reader


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Spans:
    """Return what lists the spans that have ended since the test began to look, in that order."""
    exporter.clear()
    return lambda: list(exporter.get_finished_spans())


@pytest.fixture
def durations(reader: InMemoryMetricReader) -> Callable[[], dict[frozenset[tuple[str, Any]], HistogramDataPoint]]:
    """Return what gives the histogram's points by their attributes."""

    def points() -> dict[frozenset[tuple[str, Any]], HistogramDataPoint]:
        data = reader.get_metrics_data()
        found = [
            metric
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "palate.operation.duration"
        ]
        assert all(metric.unit == "s" for metric in found)
        return {frozenset((point.attributes or {}).items()): point for m in found for point in m.data.data_points}

    return points


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a classifier of scikit-learn's."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    rows, species = load_iris(return_X_y=True)
    path = tmp_path_factory.mktemp("models") / "iris"
    palate.save_model(LogisticRegression(max_iter=500).fit(rows, species), path, input_example=rows[:3])
    return path


@pytest.fixture
def rows() -> np.ndarray:
    """Return five flowers."""
    return np.array(
        [[5.1, 3.5, 1.4, 0.2], [4.9, 3.0, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5], [5.8, 2.7, 5.1, 1.9], [7, 3, 5, 2]]
    )
