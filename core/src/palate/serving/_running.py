"""Serving models in this process and its workers: the application, bound to addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from palate.inspection import inspect_model
from palate.locations import Location
from palate.pyfunc import PyFuncModel
from palate.serving._app import Application, FoundModels, Servable, find_models, open_models
from palate.serving._contract import ModelContract
from palate.serving._directory import contract_of, read_contract
from palate.serving._process import workers
from palate.serving._process.sockets import hold_standard_files
from palate.serving._shared import Shared
from palate.serving.settings import ServingSettings
from palate.signing import verify_signature

__all__ = ["Announce", "serve"]

Announce = Callable[[Sequence[str], Sequence[ModelContract]], None]
"""Is told the addresses of a server, and what it serves."""


def serve(
    models: Servable | Mapping[str, Servable],
    settings: ServingSettings | None = None,
    *,
    on_listening: Announce | None = None,
) -> int:
    """Serve models until SIGTERM or SIGINT; return the exit code, 0 if everything under way was answered.

    Each URI is looked up once, here; every worker serves what it led to then.

    Args:
        models: see ``create_app``.
        settings: how to serve.
        on_listening: called with the addresses, and with what is served, once requests are accepted.

    Raises:
        PalateError: a model cannot be loaded, or nothing can be bound to the address.
    """
    hold_standard_files()
    chosen = settings or ServingSettings()
    found = find_models(models, chosen)
    preload = chosen.workers == 1 or (chosen.isolation is None and all(map(_forks_after_load, found.models.values())))
    # Workers that load for themselves have these in common nevertheless.
    contracts = [] if preload else _read_contracts(found)
    shared = None if preload else Shared.of(contracts, chosen)

    def build() -> Application:
        opened = open_models(found, chosen)
        contracts[:] = [contract for contract, _ in opened]
        return Application(opened, chosen, shared or Shared.of(contracts, chosen))

    def announce(addresses: Sequence[str]) -> None:
        if on_listening is not None:
            on_listening(addresses, contracts)

    return workers.serve(build, chosen, preload=preload, on_listening=announce)


def _read_contracts(found: FoundModels) -> list[ModelContract]:
    """Return what clients will see of models that only the workers load, after a look at who signed them."""
    contracts = []
    for name, place in found.models.items():
        if isinstance(place, PyFuncModel):
            contracts.append(contract_of(place, name=name))
            continue
        if found.signers:
            verify_signature(place, found.signers)
        contracts.append(read_contract(place, name=name))
    return contracts


def _forks_after_load(place: Location | PyFuncModel) -> bool:
    if isinstance(place, PyFuncModel):
        return place.fork_after_load
    return inspect_model(place, verify=False).fork_after_load is not False  # whoever loads it checks its files
