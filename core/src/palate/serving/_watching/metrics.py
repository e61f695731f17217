"""What a server counts of its work, for each of its models and for itself.

A worker's numbers and the sum of all workers' are the same classes over different cells: ``bind`` lays them over the
worker's own row, ``total`` over the sum of the rows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from palate.errors import InvalidInput, MethodNotFound, UnsupportedOutput
from palate.serving import errors
from palate.serving._watching.counters import Carver, Counter, CounterSet, Gauge, Histogram, SharedRows
from palate.serving.settings import ProtocolName

__all__ = [
    "ErrorKind",
    "Metrics",
    "ModelMetrics",
    "ProtocolMetrics",
    "ServerMetrics",
    "Stage",
    "WorkerMetrics",
    "error_kind",
]

Stage = Literal["decode", "queue", "predict", "encode"]

ErrorKind = Literal[
    "invalid_input",
    "malformed",
    "unsupported_content",
    "not_acceptable",
    "too_large",
    "too_slow",
    "unknown_model",
    "unknown_method",
    "queue_full",
    "not_ready",
    "timeout",
    "model_failed",
    "model_crashed",
    "unsupported_output",
    "client_gone",
    "other",
]

_KIND_OF: Mapping[type[BaseException], ErrorKind] = {
    InvalidInput: "invalid_input",
    MethodNotFound: "unknown_method",
    UnsupportedOutput: "unsupported_output",
    errors.BodyTooLarge: "too_large",
    errors.BodyTooSlow: "too_slow",
    errors.MalformedBody: "malformed",
    errors.ModelFailed: "model_failed",
    errors.ModelRestarting: "model_crashed",
    errors.NotAcceptable: "not_acceptable",
    errors.NotReady: "not_ready",
    errors.PredictTimeout: "timeout",
    errors.QueueFull: "queue_full",
    errors.UnknownModel: "unknown_model",
    errors.UnsupportedContent: "unsupported_content",
}

# The statuses that a server of ours gives; any other, which would be a mistake, is counted as the last.
_STATUSES = (
    *(200, 204, 304, 307, 400, 401, 403, 404, 405, 406, 408, 411, 413, 414, 415, 417, 421, 422, 429, 431, 499),
    *(500, 501, 503, 504, 505, "other"),
)
# From the decoding of one row to the deadline of a heavy model; three to a decade, so that a quantile read off the
# buckets is within a factor of 2.5.
_SECONDS = (
    *(1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 65536, 262144, 1048576)


class ProtocolMetrics:
    """What is counted of a model's requests in one protocol."""

    __slots__ = ("responses", "seconds")

    def __init__(self, carver: Carver) -> None:
        self.responses = CounterSet(carver, _STATUSES)
        self.seconds = Histogram(carver, _SECONDS)

    def done(self, status: int, seconds: float) -> None:
        """Count a request that was answered with *status*, *seconds* after its head had arrived."""
        self.responses.count(status)
        self.seconds.observe(seconds)


class ModelMetrics:
    """What is counted of one model.

    Attributes:
        protocols: its requests, by protocol.
        stages: seconds; decode, queue and encode of each request, predict of each call of the model.
        batch_rows: the rows of each call of the model, whose count is the number of calls.
        queued_rows: the rows that wait for the model.
        errors: by ``ErrorKind``.
        ready: 1 while it takes requests, else 0.
    """

    __slots__ = ("batch_rows", "errors", "protocols", "queued_rows", "ready", "stages")

    def __init__(self, carver: Carver, protocols: Sequence[ProtocolName]) -> None:
        self.protocols = {name: ProtocolMetrics(carver) for name in protocols}
        self.stages: dict[Stage, Histogram] = {stage: Histogram(carver, _SECONDS) for stage in get_args(Stage)}
        self.batch_rows = Histogram(carver, _ROWS)
        self.queued_rows = Gauge(carver)
        self.errors = CounterSet(carver, get_args(ErrorKind))
        self.ready = Gauge(carver)


class ServerMetrics:
    """What is counted of a server, whatever the model.

    Attributes:
        responses: to requests that were for no model: pages, probes, unknown paths, what is not HTTP.
        errors: of those, by ``ErrorKind``.
        in_flight: requests that came and are not answered yet.
        lost_lines: lines of the logs that could not be written.
    """

    __slots__ = ("errors", "in_flight", "lost_lines", "responses")

    def __init__(self, carver: Carver) -> None:
        self.responses = CounterSet(carver, _STATUSES)
        self.errors = CounterSet(carver, get_args(ErrorKind))
        self.in_flight = Gauge(carver)
        self.lost_lines = Counter(carver)


class WorkerMetrics:
    """All that one worker counts, or the sum of all workers.

    Attributes:
        process: the worker's process id, 0 before it was started.
        server: what is counted whatever the model.
        models: by name and version.
    """

    __slots__ = ("models", "process", "server")

    def __init__(self, carver: Carver, models: Sequence[tuple[str, str]], protocols: Sequence[ProtocolName]) -> None:
        self.process = Gauge(carver)
        self.server = ServerMetrics(carver)
        self.models = {model: ModelMetrics(carver, protocols) for model in models}

    def model(self, name: str, version: str) -> ModelMetrics:
        """Return what is counted of a model; look it up once, not for each request."""
        return self.models[name, version]


class Metrics:
    """The numbers of all workers; to be made before the first of them is forked.

    Args:
        models: names and versions.
        workers: how many there are at most at one time.
        protocols: those that are answered.
    """

    __slots__ = ("_models", "_protocols", "_rows")

    def __init__(
        self,
        *,
        models: Sequence[tuple[str, str]],
        workers: int = 1,
        protocols: Sequence[ProtocolName] = get_args(ProtocolName),
    ) -> None:
        self._models, self._protocols = tuple(models), tuple(protocols)
        measured = Carver()
        self._over(measured)
        self._rows = SharedRows(width=measured.used, workers=workers)

    @property
    def workers(self) -> int:
        """How many workers there are at most."""
        return self._rows.workers

    def bind(self, worker: int = 0) -> WorkerMetrics:
        """Return the numbers of a worker, in the process that has just become it; what is current begins at 0.

        The counts of a predecessor go on. Only one process may be a worker at one time, and write from one thread.
        """
        bound = self._over(Carver(self._rows.row(worker)))
        current = [bound.server.in_flight]
        for model in bound.models.values():
            current += [model.queued_rows, model.ready]
        for gauge in current:
            gauge.set(0)
        bound.process.set(os.getpid())
        return bound

    def total(self) -> WorkerMetrics:
        """Return the sum over the workers as it is now."""
        return self._over(Carver(self._rows.total()))

    def process(self, worker: int) -> int:
        """Return the process id of a worker; 0 before it was started."""
        return int(self._over(Carver(self._rows.row(worker))).process.value)

    def _over(self, carver: Carver) -> WorkerMetrics:
        return WorkerMetrics(carver, self._models, self._protocols)


def error_kind(error: BaseException) -> ErrorKind:
    """Return what an error is counted as."""
    return next((_KIND_OF[kind] for kind in type(error).__mro__ if kind in _KIND_OF), "other")
