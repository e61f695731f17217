"""Whether a server would start: everything that it does before its first request, done once and undone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any, Literal

from palate.errors import PalateError
from palate.golden import replay_golden
from palate.locations import Location, shown_uri
from palate.pyfunc import PyFuncModel
from palate.serving._app import find_models, open_location
from palate.serving._directory import contract_of
from palate.serving._process.sockets import AddressUnavailable, address_of, bind_sockets
from palate.serving.settings import SETTINGS, ServingSettings

__all__ = ["ServerCheck", "StartCheck", "check_server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCheck:
    """One thing that was tried. A "note" tells something that keeps no server from starting."""

    name: Literal["settings", "address", "model", "signature", "workers", "predictions"]
    status: Literal["ok", "note", "failed", "skipped"]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCheck:
    """The result of ``check_server``."""

    uri: str
    checks: tuple[StartCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether the server would start and become ready."""
        return all(check.status != "failed" for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {"uri": self.uri, "ok": self.ok, "checks": [asdict(check) for check in self.checks]}


def check_server(uri: str | PathLike[str], settings: ServingSettings) -> ServerCheck:
    """Bind the address, open the model and replay its golden predictions, as a server with these settings would.

    Nothing is listened on and nothing is left; what fails is in the result, never raised.
    """
    checks = [_settings(settings), _address(settings), *_model(uri, settings)]
    return ServerCheck(uri=shown_uri(str(uri)), checks=tuple(checks))


def _settings(settings: ServingSettings) -> StartCheck:
    chosen = [
        f"{setting.name}={setting.form.show(value)}"
        for setting in SETTINGS
        if (value := getattr(settings, setting.name)) != setting.default
    ]
    return StartCheck(name="settings", status="ok", detail=", ".join(chosen) or "all as by default")


def _address(settings: ServingSettings) -> StartCheck:
    try:
        bound = bind_sockets(settings)
    except AddressUnavailable as exc:
        return StartCheck(name="address", status="failed", detail=str(exc))
    shown = ", ".join(map(address_of, bound))
    for one in bound:
        one.close()
    if settings.uds is not None:
        with suppress(OSError):
            os.unlink(settings.uds)
    return StartCheck(name="address", status="ok", detail=f"{shown} is free")


def _model(uri: str | PathLike[str], settings: ServingSettings) -> Iterator[StartCheck]:
    try:
        found = find_models(uri, settings)
        [(name, location)] = found.models.items()
        assert isinstance(location, Location), "it was no loaded model"
        model = open_location(location, settings, found.signers)
    except PalateError as exc:
        yield StartCheck(name="model", status="failed", detail=str(exc))
        return
    served = contract_of(model, name=name)
    told = f"{served.title}, opened by the flavor {model.flavor}; it answers to {', '.join(model.methods)}"
    yield StartCheck(name="model", status="ok", detail=told)
    if model.signature is None:
        told = "there is none: the model gets whatever comes, and the API's document cannot say what to send"
        yield StartCheck(name="signature", status="note", detail=told)
    if settings.workers > 1 and not model.fork_after_load:
        told = f"each of the {settings.workers} loads the model anew: what is loaded is not shared"
        yield StartCheck(name="workers", status="note", detail=told)
    yield _predictions(model, settings)


def _predictions(model: PyFuncModel, settings: ServingSettings) -> StartCheck:
    if settings.golden == "skip":
        return StartCheck(name="predictions", status="skipped", detail="the setting golden says so")
    try:
        found = replay_golden(model)
    except PalateError as exc:
        found = [str(exc)]
    if found is None:
        return StartCheck(name="predictions", status="skipped", detail="the model has no golden predictions")
    if found:
        return StartCheck(name="predictions", status="failed", detail="; ".join(found))
    return StartCheck(name="predictions", status="ok", detail="equal to the golden predictions")
