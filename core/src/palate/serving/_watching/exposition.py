"""What ``/metrics`` answers: a server's numbers in the formats of Prometheus, as prometheus-client writes them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from prometheus_client import PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.utils import floatToGoString

from palate.serving._watching.counters import Histogram
from palate.serving._watching.metrics import Metrics, WorkerMetrics

__all__ = ["Exposition"]

_MODEL = ("model", "version")
_NO_MODEL = ("", "")
_OPEN_METRICS = b"application/openmetrics-text"
_PLAIN = b"text/plain; version=0.0.4; charset=utf-8"


class Exposition:
    """The numbers of a server as pages for Prometheus; any worker can render them, and all render the same."""

    __slots__ = ("_metrics", "_processes", "_python")

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._python = tuple(PlatformCollector(registry=None).collect())
        self._processes = [
            ProcessCollector(namespace="palate", pid=partial(metrics.process, worker), registry=None)
            for worker in range(metrics.workers)
        ]

    def render(self, accept: bytes = b"") -> tuple[bytes, bytes]:
        """Return the page and its content type: OpenMetrics 1.0 for who takes it, Prometheus' text 0.0.4 otherwise."""
        # prometheus-client's own choice raises TypeError on a version in the Accept header that is not a number.
        if _OPEN_METRICS in accept.lower():
            page: bytes = openmetrics.generate_latest(self)  # type: ignore[no-untyped-call]  # it has no annotations
            return page, openmetrics.CONTENT_TYPE_LATEST.encode()
        return generate_latest(self), _PLAIN

    def collect(self) -> Iterator[Metric]:
        """Yield every family with its samples; prometheus-client calls this."""
        total = self._metrics.total()
        yield _requests(total)
        yield _errors(total)
        yield from _histograms(total)
        yield from _gauges(total)
        yield GaugeMetricFamily("palate_workers", "Worker processes, at most.", self._metrics.workers)
        lost = total.server.lost_lines.value
        yield CounterMetricFamily("palate_log_lines_lost", "Lines of the logs that could not be written.", lost)
        yield from self._of_processes()
        yield from self._python

    def _of_processes(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for worker, collector in enumerate(self._processes):
            for found in collector.collect():
                family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
                family.samples += [sample._replace(labels={"worker": str(worker)}) for sample in found.samples]
        yield from families.values()


def _requests(total: WorkerMetrics) -> Metric:
    """A status that was never given has no line, but 200: the rate of what was never seen shall be 0, not unknown."""
    family = CounterMetricFamily(
        "palate_requests",
        "Requests that were answered; those for no model have no model, version and protocol.",
        labels=(*_MODEL, "protocol", "status"),
    )
    counted = [(_NO_MODEL, "", total.server.responses)]
    for model, metrics in total.models.items():
        counted += [(model, protocol, of.responses) for protocol, of in metrics.protocols.items()]
    for model, protocol, responses in counted:
        for status, count in responses.items():
            if count or (protocol and status == 200):
                family.add_metric((*model, protocol, str(status)), count)
    return family


def _errors(total: WorkerMetrics) -> Metric:
    family = CounterMetricFamily(
        "palate_errors", "Requests that were refused or failed, by why.", labels=(*_MODEL, "kind")
    )
    counted = [(_NO_MODEL, total.server.errors), *((model, of.errors) for model, of in total.models.items())]
    for model, errors in counted:
        for kind, count in errors.items():
            if count or model is not _NO_MODEL:
                family.add_metric((*model, str(kind)), count)
    return family


def _histograms(total: WorkerMetrics) -> Iterator[Metric]:
    seconds = HistogramMetricFamily(
        "palate_request_seconds",
        "From a request's head having arrived to its answer having been handed to the network.",
        labels=(*_MODEL, "protocol"),
    )
    stages = HistogramMetricFamily(
        "palate_stage_seconds",
        "Of each request decode, queue and encode; of each call of the model predict.",
        labels=(*_MODEL, "stage"),
    )
    rows = HistogramMetricFamily("palate_batch_rows", "The rows of each call of the model.", labels=_MODEL)
    for model, metrics in total.models.items():
        for protocol, of in metrics.protocols.items():
            seconds.add_metric((*model, protocol), _buckets(of.seconds), of.seconds.sum)
        for stage, histogram in metrics.stages.items():
            stages.add_metric((*model, stage), _buckets(histogram), histogram.sum)
        rows.add_metric(model, _buckets(metrics.batch_rows), metrics.batch_rows.sum)
    yield from (seconds, stages, rows)


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [*map(floatToGoString, histogram.bounds), "+Inf"]
    return list(zip(bounds, histogram.buckets, strict=True))


def _gauges(total: WorkerMetrics) -> Iterator[Metric]:
    queued = GaugeMetricFamily("palate_queue_rows", "Rows that wait for the model.", labels=_MODEL)
    ready = GaugeMetricFamily("palate_model_ready", "Workers in which the model takes requests.", labels=_MODEL)
    for model, metrics in total.models.items():
        queued.add_metric(model, metrics.queued_rows.value)
        ready.add_metric(model, metrics.ready.value)
    yield from (queued, ready)
    yield GaugeMetricFamily(
        "palate_requests_in_flight", "Requests that came and are not answered yet.", total.server.in_flight.value
    )
