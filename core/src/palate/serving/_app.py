"""The application: an ASGI callable whose hot routes can also be called directly, without ASGI in between."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from os import PathLike
from time import perf_counter
from typing import Any

from palate.errors import InvalidOption
from palate.loading import load_model
from palate.locations import Location, pin_location
from palate.pyfunc import PyFuncModel
from palate.serving._contract import ModelContract
from palate.serving._directory import contract_of
from palate.serving._http.exchange import DirectHandler, Exchange
from palate.serving._http.refusals import Refusal
from palate.serving._information import REFUSED, REQUEST_ID, information_app, only_post
from palate.serving._predicting.bodies import ClientGone, receive_body
from palate.serving._predicting.calls import CallThread
from palate.serving._predicting.predictions import Desk, Prediction, PredictRoute
from palate.serving._predicting.served import ServedModel
from palate.serving._shared import Shared
from palate.serving._watching.access_log import AccessLog, IncidentLog
from palate.serving._watching.metrics import ErrorKind, error_kind
from palate.serving._watching.request_ids import RequestIds
from palate.serving._wire import Endpoint
from palate.serving.errors import ServingError
from palate.serving.protocols import inference_v2, mlflow, tf_serving, typed
from palate.serving.settings import ProtocolName, ServingSettings
from palate.signing import PublicKey, read_keys

__all__ = ["Application", "FoundModels", "Servable", "create_app", "find_models", "open_location", "open_models"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

Servable = str | PathLike[str] | Location | PyFuncModel
"""A model, or where it is."""

_PATHS: dict[ProtocolName, Callable[[Any], Mapping[str, Endpoint]]] = {
    "mlflow": mlflow.predict_paths,
    "v2": inference_v2.predict_paths,
    "tf": tf_serving.predict_paths,
    "palate": typed.predict_paths,
}


_REFUSED: dict[int, ErrorKind] = {408: "too_slow", 413: "too_large", 431: "too_large", 503: "queue_full"}
"""What a request is counted as that was refused before it came to the application."""


def create_app(models: Servable | Mapping[str, Servable], settings: ServingSettings | None = None) -> Application:
    """Return the ASGI application that serves models; it takes requests from its lifespan's beginning on.

    Args:
        models: one model, or several by their names in URLs; routes that name no model, such as ``/invocations``, are
            the first's. Each is a loaded model or what ``palate.load_model`` takes.
        settings: how to serve; those about addresses and processes are the server's that runs the application.

    Raises:
        PalateError: a model cannot be loaded, see ``palate.load_model``.
    """
    chosen = settings or ServingSettings()
    opened = open_models(find_models(models, chosen), chosen)
    return Application(opened, chosen, Shared.of([contract for contract, _ in opened], chosen))


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModels:
    """What a server will serve, looked up once: workers open that, and nothing that a URI leads to later.

    Attributes:
        models: by their names in URLs, where None stands for the name by which a model is kept.
        signers: the keys, one of which must have signed each of them; empty where nobody demands that.
    """

    models: Mapping[str | None, Location | PyFuncModel]
    signers: tuple[PublicKey, ...]


def find_models(models: Servable | Mapping[str, Servable], settings: ServingSettings) -> FoundModels:
    """Look models up, and read the keys of those who must have signed them.

    Raises:
        PalateError: there is no such model, or a key cannot be used.
        InvalidOption: a signature is demanded of a model that is loaded already.
    """
    named: Mapping[Any, Servable] = models if isinstance(models, Mapping) else {settings.name: models}
    signers = read_keys(settings.signed_by) if settings.signed_by else ()
    if signers and any(isinstance(model, PyFuncModel) for model in named.values()):
        reason = "of a model that is loaded already, nobody can tell who signed its files"
        hint = "give its URI, or load it with palate.load_model(uri, signed_by=...)"
        raise InvalidOption("signed_by", reason=reason, hint=hint)
    found = {name: model if isinstance(model, PyFuncModel) else pin_location(model) for name, model in named.items()}
    return FoundModels(models=found, signers=signers)


def open_models(found: FoundModels, settings: ServingSettings) -> list[tuple[ModelContract, PyFuncModel]]:
    """Return models, loaded, with what clients see of them."""
    opened = []
    for name, place in found.models.items():
        if isinstance(place, PyFuncModel):
            opened.append((contract_of(place, name=name), place))
        else:
            model = open_location(place, settings, found.signers)
            opened.append((contract_of(model, name=name), model))
    return opened


def open_location(location: Location, settings: ServingSettings, signers: Sequence[PublicKey]) -> PyFuncModel:
    """Load a model as the settings say."""
    isolate = settings.isolation or False
    return load_model(location, trust=settings.trust, isolate=isolate, signed_by=signers or None)


class Application:
    """Serves models by ASGI (3.0). ``create_app`` makes it.

    Attributes:
        models: what is served.
        direct: handlers of the hot routes, by method and path, for a server that has the whole request.
    """

    def __init__(
        self, models: Sequence[tuple[ModelContract, PyFuncModel]], settings: ServingSettings, shared: Shared
    ) -> None:
        self._settings = settings
        self._shared = shared
        self._bound = shared.metrics.bind(0)
        self.models: Sequence[ServedModel] = [
            ServedModel(contract, model, settings, self._bound.model(contract.name, contract.version))
            for contract, model in models
        ]
        self._routes: dict[str, PredictRoute] = {}
        self._desk: Desk | None = None
        self._route_models()
        self._information = information_app(self.models, settings, shared.metrics)
        self.direct: Mapping[tuple[str, str], DirectHandler] = {("POST", path): self._predict for path in self._routes}

    def _route_models(self) -> None:
        """Give each model its paths; those that name no model are the first's."""
        for served in self.models:
            for protocol in self._settings.protocols:
                name = "mlflow" if protocol == "sagemaker" else protocol
                for path, endpoint in _PATHS[name](served.contract).items():
                    self._routes.setdefault(path, PredictRoute(endpoint, served, protocol))

    # -- the process that serves ---------------------------------------------------------------------------------------

    def begin_worker(self, index: int) -> None:
        """Be the worker with that number; called once in a process that was forked to serve."""
        self._bound = self._shared.metrics.bind(index)
        for served in self.models:
            served.metrics = self._bound.model(served.contract.name, served.contract.version)

    def begin_drain(self) -> None:
        """Say from now on that nothing is ready."""
        for served in self.models:
            served.stop("the server is shutting down")

    def note_refusal(self, refusal: Refusal) -> None:
        """Count a request that was refused before it came here."""
        server = self._bound.server
        server.responses.count(refusal.status)
        server.errors.count(_REFUSED.get(refusal.status, "malformed"))

    def _start(self) -> None:
        settings, writer, lost = self._settings, self._shared.writer, self._bound.server.lost_lines
        self._desk = Desk(
            settings=settings,
            metrics=self._bound,
            access_log=AccessLog(writer, logged=settings.access_log, form=settings.log_format, lost=lost),
            incidents=IncidentLog(writer, form=settings.log_format, lost=lost),
            ids=RequestIds(),
            decoder=CallThread(asyncio.get_running_loop()),
        )
        for served in self.models:
            served.start(self._desk.incidents, on_stuck=self._be_replaced)

    def _be_replaced(self) -> None:
        """End this worker, which its parent replaces; a lone process goes on, and ``/live`` says what is the matter."""
        self._ready_desk().incidents.tell("stuck", level="error", cause="calls of the model never came back")
        if self._settings.workers > 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def _stop(self) -> None:
        self.begin_drain()
        for served in self.models:
            served.close()
        if self._desk is not None:
            self._desk.decoder.stop()
            self._desk.access_log.flush()
        self._shared.writer.close()

    # -- requests ------------------------------------------------------------------------------------------------------

    def _predict(self, exchange: Exchange) -> None:
        """Answer a request for a prediction that has arrived whole."""
        target, client = exchange.target, exchange.client
        prediction = Prediction(
            self._ready_desk(),
            self._routes[target.path],
            exchange.fields,
            client="" if client is None else client[0],
            path=target.raw_path,
            deliver=exchange.respond,
        )
        exchange.on_disconnect = prediction.drop
        prediction.start(exchange.body, target.query)

    def _ready_desk(self) -> Desk:
        if self._desk is None:
            told = "the application takes requests from its lifespan's beginning on"
            raise RuntimeError(f"{told}. Hint: with TestClient(app) as client: ...")
        return self._desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through a lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close"})
        elif scope["method"] == "POST" and scope["path"] in self._routes:
            await self._predict_by_asgi(scope, receive, send)
        else:
            await self._inform(scope, receive, send)

    async def _predict_by_asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        delivered: asyncio.Future[tuple[int, list[tuple[bytes, bytes]], bytes]]
        delivered = asyncio.get_running_loop().create_future()
        headers, client = dict(scope["headers"]), scope.get("client")
        prediction = Prediction(
            self._ready_desk(),
            self._routes[scope["path"]],
            headers,
            client=client[0] if client else "",
            path=scope.get("raw_path") or scope["path"].encode(),
            deliver=lambda *response: delivered.set_result(response),
        )
        settings = self._settings
        try:
            body = await receive_body(receive, headers, limit=settings.max_body_bytes, timeout=settings.body_timeout)
        except ClientGone:
            prediction.abandon()
            return
        except ServingError as exc:
            prediction.refuse(exc)
        else:
            prediction.start(body, scope["query_string"])
        status, answered, content = await delivered
        answered.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": answered})
        await send({"type": "http.response.body", "body": content})

    async def _inform(self, scope: Scope, receive: Receive, send: Send) -> None:
        desk, begin, sent, client = self._ready_desk(), perf_counter(), [0, 0], scope.get("client")
        request_id = desk.ids.name(dict(scope["headers"]))

        async def note(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                sent[0] = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            else:
                sent[1] += len(message.get("body", b""))
            await send(message)

        scope[REQUEST_ID] = request_id
        predicts = scope["path"] in self._routes
        await (only_post(scope["path"], request_id) if predicts else self._information)(scope, receive, note)
        status, size = sent
        self._bound.server.responses.count(status)
        if REFUSED in scope:
            self._bound.server.errors.count(error_kind(scope[REFUSED]))
        method, path = scope["method"].encode(), scope.get("raw_path") or scope["path"].encode()
        seconds = perf_counter() - begin
        desk.access_log.add(request_id, client[0] if client else "", method, path, status, seconds, 0, size)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._start()
        except Exception as exc:
            print(f"palate: the server cannot start: {exc}", file=sys.stderr)
            await send({"type": "lifespan.startup.failed", "message": str(exc)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._stop()
        await send({"type": "lifespan.shutdown.complete"})
