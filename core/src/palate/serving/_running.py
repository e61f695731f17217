"""Serving models in this process and its workers: the application, bound to addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from palate.inspection import inspect_model
from palate.pyfunc import PyFuncModel
from palate.serving import _workers
from palate.serving._app import Application, Servable, create_app
from palate.serving.settings import ServingSettings

__all__ = ["serve"]


def serve(
    models: Servable | Mapping[str, Servable],
    settings: ServingSettings | None = None,
    *,
    on_listening: Callable[[Sequence[str]], None] | None = None,
) -> int:
    """Serve models until SIGTERM or SIGINT; return the exit code, 0 if everything under way was answered.

    Args:
        models: see ``create_app``.
        settings: how to serve.
        on_listening: called with the addresses once requests are accepted.

    Raises:
        PalateError: a model cannot be loaded, or nothing can be bound to the address.
    """
    chosen = settings or ServingSettings()
    listed = list(models.values()) if isinstance(models, Mapping) else [models]

    def build() -> Application:
        return create_app(models, chosen)

    preload = all(map(_forks_after_load, listed)) if chosen.workers > 1 else True
    return _workers.serve(build, chosen, preload=preload, on_listening=on_listening or _say_nothing)


def _forks_after_load(model: Servable) -> bool:
    if isinstance(model, PyFuncModel):
        return model.fork_after_load
    return inspect_model(model).fork_after_load is not False


def _say_nothing(addresses: Sequence[str]) -> None:
    del addresses
