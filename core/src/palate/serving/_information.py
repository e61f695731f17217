"""The routes that tell instead of predict: health, metadata, documents, metrics. They are not hot, and starlette's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from palate.errors import MethodNotFound
from palate.serving._json import dump_json
from palate.serving._openapi.document import openapi_document
from palate.serving._openapi.page import docs_policy, render_docs
from palate.serving._predicting.served import ServedModel
from palate.serving._problems import problem_answer
from palate.serving._watching.exposition import Exposition
from palate.serving._watching.metrics import Metrics
from palate.serving._wire import Answer, Failure
from palate.serving.errors import UnknownModel
from palate.serving.protocols import inference_v2, sagemaker, tf_serving
from palate.serving.settings import ServingSettings

__all__ = ["REFUSED", "REQUEST_ID", "information_app", "only_post"]

REQUEST_ID = "palate.request_id"
"""The key in an ASGI scope under which the request's id is."""
REFUSED = "palate.refused"
"""The key under which an error is put there that the request was answered with, to be counted."""


def information_app(models: Sequence[ServedModel], settings: ServingSettings, metrics: Metrics) -> Starlette:
    """Return the ASGI application of everything but predictions.

    Args:
        models: what is served, the first for routes that name no model.
        settings: which routes there are.
        metrics: what ``/metrics`` shows.
    """
    told = _Told(models, settings, metrics)
    routes: list[BaseRoute] = [*_operations(told, settings)]
    if {"mlflow", "sagemaker"} & set(settings.protocols):
        routes.append(_get("/ping", told.ping))
    if "mlflow" in settings.protocols:
        routes += [_get("/health", told.ping), _get("/version", told.version)]
    if "sagemaker" in settings.protocols:
        routes.append(_get("/execution-parameters", told.execution_parameters))
    if "v2" in settings.protocols:
        routes += _v2(told)
    if "tf" in settings.protocols:
        routes += _tf(told)
    handlers = {HTTPException: told.refuse, UnknownModel: told.refuse, Exception: _fail}
    return Starlette(routes=routes, exception_handlers=handlers)


def _get(path: str, answer: Callable[[Request], Response]) -> Route:
    async def endpoint(request: Request) -> Response:
        return answer(request)

    return Route(path, endpoint, methods=["GET"])


def _operations(told: _Told, settings: ServingSettings) -> list[BaseRoute]:
    routes: list[BaseRoute] = [_get("/live", told.live), _get("/ready", told.ready)]
    if settings.metrics:
        routes.append(_get("/metrics", told.metrics))
    if settings.openapi:
        routes.append(_get("/openapi.json", told.openapi))
    if settings.openapi and settings.docs:
        routes += [_get("/docs", told.docs), _get("/", lambda _: RedirectResponse("/docs"))]
    return routes


def _v2(told: _Told) -> list[BaseRoute]:
    return [
        _get("/v2", lambda _: _json(inference_v2.server_metadata())),
        _get("/v2/health/live", lambda _: _json(inference_v2.server_live())),
        _get("/v2/health/ready", told.v2_ready),
        *_of_model("/v2/models", "", told.v2_metadata),
        *_of_model("/v2/models", "/ready", told.v2_model_ready),
    ]


def _tf(told: _Told) -> list[BaseRoute]:
    return [*_of_model("/v1/models", "", told.tf_status), *_of_model("/v1/models", "/metadata", told.tf_metadata)]


def _of_model(base: str, end: str, answer: Callable[[Request], Response]) -> list[BaseRoute]:
    return [_get(f"{base}/{{name}}{version}{end}", answer) for version in ("", "/versions/{version}")]


def _json(document: Any, status: int = 200) -> Response:
    return Response(dump_json(document), status, media_type="application/json")


class _Told:
    """The answers."""

    def __init__(self, models: Sequence[ServedModel], settings: ServingSettings, metrics: Metrics) -> None:
        self._models = models
        self._settings = settings
        self._exposition = Exposition(metrics) if settings.metrics else None
        self._document: dict[str, Any] | None = None

    @property
    def _is_ready(self) -> bool:
        return all(model.is_ready for model in self._models)

    def live(self, _: Request) -> Response:
        stuck = [model.contract.name for model in self._models if model.is_stuck]
        return _json({"live": not stuck, **({"stuck": stuck} if stuck else {})}, 503 if stuck else 200)

    def ready(self, request: Request) -> Response:
        reasons = {model.contract.name: model.reason for model in self._models if model.reason is not None}
        if not reasons:
            return _json({"ready": True})
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        return _problem(503, "NotReady", told, request.scope.get(REQUEST_ID, ""))

    def ping(self, request: Request) -> Response:
        # What MLflow's server answers; SageMaker sends requests once it is 200.
        return Response(b"\n", media_type="application/json") if self._is_ready else self.ready(request)

    def version(self, _: Request) -> Response:
        return Response(version("palate"), media_type="application/json")

    def execution_parameters(self, _: Request) -> Response:
        limits = sagemaker.execution_parameters(
            concurrency=self._settings.workers, max_body_bytes=self._settings.max_body_bytes
        )
        return _json(limits)

    def metrics(self, request: Request) -> Response:
        assert self._exposition is not None
        page, content_type = self._exposition.render(request.headers.get("accept", "").encode("latin-1"))
        return Response(page, headers={"content-type": content_type.decode()})

    def openapi(self, _: Request) -> Response:
        return _json(self._openapi())

    def docs(self, request: Request) -> Response:
        page = render_docs(self._openapi(), base_url=str(request.base_url).rstrip("/"))
        policy = {"content-security-policy": docs_policy().decode(), "x-content-type-options": "nosniff"}
        return Response(page, media_type="text/html", headers=policy)

    def _openapi(self) -> dict[str, Any]:
        if self._document is None:
            contracts = [model.contract for model in self._models]
            self._document = openapi_document(
                contracts,
                title=contracts[0].name if len(contracts) == 1 else "Palate",
                protocols=self._settings.protocols,
                metrics=self._settings.metrics,
                openapi=self._settings.openapi,
                docs=self._settings.docs,
            )
        return self._document

    def v2_ready(self, _: Request) -> Response:
        return _json(inference_v2.server_ready(ready=self._is_ready), 200 if self._is_ready else 503)

    def v2_metadata(self, request: Request) -> Response:
        return _json(inference_v2.model_metadata(self._find(request).contract))

    def v2_model_ready(self, request: Request) -> Response:
        found = self._find(request)
        return _json(inference_v2.model_ready(found.contract, ready=found.is_ready), 200 if found.is_ready else 503)

    def tf_status(self, request: Request) -> Response:
        found = self._find(request)
        return _json(tf_serving.model_status({found.contract.version: "AVAILABLE" if found.is_ready else "LOADING"}))

    def tf_metadata(self, request: Request) -> Response:
        return _json(tf_serving.model_metadata(self._find(request).contract))

    def _find(self, request: Request) -> ServedModel:
        asked = request.path_params
        for model in self._models:
            contract = model.contract
            if contract.name == asked["name"] and asked.get("version", contract.version) == contract.version:
                return model
        raise self._unknown(asked["name"], asked.get("version"))

    def _unknown(self, name: str, version: str | None) -> UnknownModel:
        return UnknownModel(name, version=version, available=[model.contract.name for model in self._models])

    def _unknown_method(self, name: str, version: str | None, method: str) -> UnknownModel | MethodNotFound:
        for model in self._models:
            contract = model.contract
            if contract.name == name and version in (None, contract.version):
                return MethodNotFound(method, available=tuple(contract.signatures))
        return self._unknown(name, version)

    async def refuse(self, request: Request, exc: Exception) -> Response:
        path = request.url.path
        if asked := _PREDICTING.fullmatch(path):
            exc = self._unknown(asked[1] or asked[3], asked[2] or asked[4])
        elif asked := _TYPED.fullmatch(path):
            exc = self._unknown_method(asked[1], asked[2], asked[3])
        if isinstance(exc, UnknownModel | MethodNotFound):
            request.scope[REFUSED] = exc
            return _unknown_model(path, exc, request.scope.get(REQUEST_ID, ""))
        assert isinstance(exc, HTTPException)
        return _refusal(path, exc.status_code, exc.headers or {}, request.scope.get(REQUEST_ID, ""))


# Where models predict; the paths of those that are served never come here.
_PREDICTING = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/([^/:]+))?:\w+|/v2/models/([^/]+)(?:/versions/([^/]+))?/infer"
)


_TYPED = re.compile(r"/models/([^/]+)(?:/versions/([^/]+))?/([^/]+)")


def _unknown_model(path: str, error: UnknownModel | MethodNotFound, request_id: str) -> Response:
    if path.startswith("/models/"):
        return _problem(404, type(error).__name__, str(error), request_id)
    assert isinstance(error, UnknownModel)
    if path.startswith("/v1/"):
        return _json(tf_serving.unknown_servable(error.name, model_version=error.version), 404)
    return _json({"error": str(error)}, 404)


def _problem(status: int, kind: str, message: str, request_id: str) -> Response:
    answer: Answer = problem_answer(Failure(status, kind, message, (), request_id))
    return Response(answer.body, status, headers={"content-type": answer.content_type.decode()})


def only_post(path: str, request_id: str) -> Response:
    """Return the answer to another method than POST at a path that predicts."""
    return _refusal(path, 405, {"Allow": "POST"}, request_id)


def _refusal(path: str, status: int, headers: Mapping[str, str], request_id: str) -> Response:
    """Answer for a path or a method that is not served, in the protocol's form as far as the path tells which."""
    if status == 405:
        kind, message = "MethodNotAllowed", f"This path is for {headers.get('Allow', 'other methods')}."
    else:
        kind, message = "NotFound", "Nothing is served at this path. Hint: /docs and /openapi.json tell what is."
    is_of_tensors = path.startswith(("/v1/", "/v2/"))
    response = _json({"error": message}, status) if is_of_tensors else _problem(status, kind, message, request_id)
    response.headers.update(headers)
    return response


async def _fail(request: Request, exc: Exception) -> Response:  # noqa: ARG001 - starlette raises the error itself
    told = "The server failed on this request. Hint: its log has the cause."
    return _problem(500, "InternalError", told, request.scope.get(REQUEST_ID, ""))
