"""Serving models in this process and its workers: the application, bound to addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from palate.inspection import inspect_model
from palate.pyfunc import PyFuncModel
from palate.serving._app import Application, Servable, by_name, open_models
from palate.serving._contract import ModelContract
from palate.serving._directory import contract_of, read_contract
from palate.serving._process import workers
from palate.serving._process.sockets import hold_standard_files
from palate.serving._shared import Shared
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
    hold_standard_files()
    chosen = settings or ServingSettings()
    named = by_name(models, chosen)
    preload = chosen.workers == 1 or (chosen.isolation is None and all(map(_forks_after_load, named.values())))
    # Workers that load for themselves have these in common nevertheless.
    shared = None if preload else Shared.of([_contract(model, name) for name, model in named.items()], chosen)

    def build() -> Application:
        opened = open_models(models, chosen)
        return Application(opened, chosen, shared or Shared.of([contract for contract, _ in opened], chosen))

    return workers.serve(build, chosen, preload=preload, on_listening=on_listening or _say_nothing)


def _contract(model: Servable, name: str | None) -> ModelContract:
    return contract_of(model, name=name) if isinstance(model, PyFuncModel) else read_contract(model, name=name)


def _forks_after_load(model: Servable) -> bool:
    if isinstance(model, PyFuncModel):
        return model.fork_after_load
    return inspect_model(model).fork_after_load is not False


def _say_nothing(addresses: Sequence[str]) -> None:
    del addresses
