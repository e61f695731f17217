"""One prediction over HTTP, from the whole request to the answer: decode, enforce, wait, encode.

It runs by callbacks on the event loop, without a task of its own, because a task costs as much as decoding one row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from palate.errors import InvalidInput, ModelCrashed, ModelOutOfMemory, ModelTimeout, PalateError, UnsupportedOutput
from palate.serving._predicting.bodies import compress, inflate
from palate.serving._predicting.calls import CallThread
from palate.serving._predicting.lane import Failed, Waiting
from palate.serving._predicting.served import Prepared, ServedModel
from palate.serving._statuses import describe_error, retry_after
from palate.serving._watching.access_log import AccessLog, IncidentLog
from palate.serving._watching.log_lines import Served
from palate.serving._watching.metrics import ErrorKind, WorkerMetrics, error_kind
from palate.serving._watching.request_ids import RequestIds
from palate.serving._wire import Answer, Call, Endpoint, Request
from palate.serving.errors import ModelFailed, ModelRestarting, PredictTimeout, ServingError
from palate.serving.settings import ProtocolName, ServingSettings

__all__ = ["Deliver", "Desk", "PredictRoute", "Prediction"]

Deliver = Callable[[int, list[tuple[bytes, bytes]], bytes], None]
"""Sends a response: status, headers without the length, body."""

# From that size on a body is decoded beside the event loop: it takes longer than to hand it over.
_LARGE_BODY = 256 << 10
# The same of answers: so many rows may each be a long list.
_MANY_ROWS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What all requests of a worker share.

    Attributes:
        settings: of the server.
        metrics: where requests are counted.
        access_log: gets a line for each.
        incidents: gets the causes of failures.
        ids: names requests that have no name.
        decoder: the thread that reads large bodies.
    """

    settings: ServingSettings
    metrics: WorkerMetrics
    access_log: AccessLog
    incidents: IncidentLog
    ids: RequestIds
    decoder: CallThread


class PredictRoute:
    """A path that predicts: one endpoint of one model.

    Attributes:
        endpoint: reads and writes the bodies.
        served: the model.
        protocol: what its requests are counted under.
    """

    __slots__ = ("endpoint", "protocol", "served", "shown")

    def __init__(self, endpoint: Endpoint, served: ServedModel, protocol: ProtocolName) -> None:
        self.endpoint = endpoint
        self.served = served
        self.protocol: ProtocolName = protocol
        self.shown = Served(served.contract.name, served.contract.version, protocol)


class Prediction:
    """A request for a prediction, until it is answered.

    Args:
        desk: what requests share.
        route: where it came in.
        headers: of the request, by name.
        client: the address it came from.
        path: as it was sent.
        deliver: sends the response.
    """

    __slots__ = (
        "_bytes_in",
        "_call",
        "_client",
        "_deliver",
        "_desk",
        "_headers",
        "_path",
        "_request_id",
        "_route",
        "_since",
        "_waiting",
    )

    def __init__(
        self,
        desk: Desk,
        route: PredictRoute,
        headers: Mapping[bytes, bytes],
        *,
        client: str,
        path: bytes,
        deliver: Deliver,
    ) -> None:
        self._since = perf_counter()
        self._desk = desk
        self._route = route
        self._headers = headers
        self._client = client
        self._path = path
        self._deliver = deliver
        self._request_id = desk.ids.name(headers)
        self._call: Call | None = None
        self._waiting: Waiting | None = None
        self._bytes_in = 0
        desk.metrics.server.in_flight.add(1)

    def start(self, body: bytes, query: bytes) -> None:
        """Decode the body and have the model called; the response is delivered now or later."""
        self._bytes_in = len(body)
        if len(body) < _LARGE_BODY:
            self._enqueue(self._read(body, query))
        else:
            self._desk.decoder.start(lambda: self._read(body, query), self._enqueue)

    def drop(self) -> None:
        """Stop, as far as it can be stopped: the client has gone."""
        if self._waiting is not None and not self._waiting.is_done:
            self._waiting.drop()
            self.abandon()

    def abandon(self) -> None:
        """Count a request whose client has gone, and send nothing."""
        self._deliver = _deliver_nothing
        self._route.served.metrics.errors.count("client_gone")
        self._count(499, 0, "client_gone")

    def refuse(self, error: PalateError, kind: ErrorKind | None = None, *, incident: str | None = None) -> None:
        """Answer with an error, and count it as what it is or as *kind*."""
        failure = describe_error(error, self._request_id)
        answer = self._route.endpoint.refuse(failure)
        kind = kind or error_kind(error)
        self._route.served.metrics.errors.count(kind)
        self._send(failure.status, answer, retry_after(error), kind, incident)

    def _read(self, body: bytes, query: bytes) -> Prepared | Failed:
        """Return the call as it goes to the model, or why there is none; for any thread."""
        try:
            encoding = self._headers.get(b"content-encoding")
            if encoding is not None:
                body = inflate(body, encoding, limit=self._desk.settings.max_body_bytes)
            self._call = self._route.endpoint.decode(Request(body, self._headers, query))
            return self._route.served.prepare(self._call)
        except Exception as exc:
            return Failed(exc)

    def _enqueue(self, prepared: Prepared | Failed) -> None:
        if isinstance(prepared, Failed):
            self._fail(prepared.cause)
            return
        self._route.served.metrics.stages["decode"].observe(perf_counter() - self._since)
        try:
            self._waiting = self._route.served.submit(prepared, self._finish)
        except ServingError as exc:
            self.refuse(exc)

    def _finish(self, output: Any) -> None:
        if isinstance(output, Failed):
            self._fail(output.cause)
            return
        waiting = self._waiting
        if waiting is not None and waiting.rows > _MANY_ROWS:
            self._desk.decoder.start(lambda: self._encode(output), self._deliver_encoded)
        else:
            self._deliver_encoded(self._encode(output))

    def _encode(self, output: Any) -> tuple[Answer | Failed, float]:
        """Return the answer's body, or why there is none, and the seconds that it took; for any thread."""
        begin = perf_counter()
        assert self._call is not None
        try:
            answer: Answer | Failed = self._route.endpoint.encode(output, self._call)
        except Exception as exc:
            answer = Failed(exc)
        return answer, perf_counter() - begin

    def _deliver_encoded(self, encoded: tuple[Answer | Failed, float]) -> None:
        answer, seconds = encoded
        if isinstance(answer, Failed):
            self._fail(answer.cause)
            return
        self._route.served.metrics.stages["encode"].observe(seconds)
        self._send(200, answer)

    def _fail(self, cause: BaseException) -> None:
        """Answer with what is the client's to know; the model's own failures are told in the log alone."""
        if isinstance(cause, ServingError | InvalidInput) or (isinstance(cause, PalateError) and self._call is None):
            self.refuse(cause)
        else:
            incident = self._request_id
            served = self._route.served.contract
            self._desk.incidents.failed(incident, cause, model=served.name, version=served.version)
            error, kind = _told_of(cause, incident)
            self.refuse(error, kind, incident=incident)

    def _send(
        self,
        status: int,
        answer: Answer,
        extra: tuple[tuple[bytes, bytes], ...] = (),
        error: ErrorKind | None = None,
        incident: str | None = None,
    ) -> None:
        headers = [
            (b"content-type", answer.content_type),
            (b"x-request-id", self._request_id.encode()),
            *answer.headers,
            *extra,
        ]
        body, encoding = compress(answer.body, self._headers.get(b"accept-encoding"))
        if encoding is not None:
            headers += [(b"content-encoding", encoding), (b"vary", b"accept-encoding")]
        deliver, self._deliver = self._deliver, _deliver_nothing
        deliver(status, headers, body)
        self._count(status, len(body), error, incident)

    def _count(self, status: int, bytes_out: int, error: ErrorKind | None = None, incident: str | None = None) -> None:
        desk, route, waiting = self._desk, self._route, self._waiting
        seconds = perf_counter() - self._since
        desk.metrics.server.in_flight.add(-1)
        route.served.metrics.protocols[route.protocol].done(status, seconds)
        desk.access_log.add(
            self._request_id,
            self._client,
            b"POST",
            self._path,
            status,
            seconds,
            self._bytes_in,
            bytes_out,
            route.shown,
            None if waiting is None else waiting.rows,
            None if waiting is None else waiting.rows_together,
            error,
            incident,
        )
        # It held what holds it: without this, each request would be work for the garbage collector.
        self._waiting = None


def _told_of(cause: BaseException, incident: str) -> tuple[ServingError, ErrorKind]:
    """Return what a client is told of a failure of the model's, and what it is counted as."""
    if isinstance(cause, ModelTimeout):
        return PredictTimeout(cause.seconds), "timeout"
    if isinstance(cause, ModelCrashed | ModelOutOfMemory):
        return ModelRestarting(incident), "model_crashed"
    return ModelFailed(incident), "unsupported_output" if isinstance(cause, UnsupportedOutput) else "model_failed"


def _deliver_nothing(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Stand where a response was sent already."""
