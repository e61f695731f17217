"""Checking that a model is whole, can run here, and still predicts what it predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any, Literal

from palate._disk.manifest import accept
from palate._disk.paths import resolve_uri
from palate._disk.replaced import read_one_model
from palate._environment.comparison import describe_differences
from palate._environment_check import compare_here
from palate._opening import OpenedModel, construct, open_model
from palate._random_state import keep_random_state
from palate._registry import default_registry
from palate.errors import InvalidModelFile, InvalidOption, ModelChanged, PalateError, UnsafePath
from palate.golden import replay_golden

__all__ = ["Check", "Verification", "accept_changes", "verify_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at. A "note" tells something that need not matter.

    Attributes:
        name: what was looked at.
        status: how it was found.
        detail: what there is to say of it.
        differences: of predictions that are not what was recorded, one sentence each.
    """

    name: Literal["files", "environment", "predictions"]
    status: Literal["ok", "note", "failed", "skipped"]
    detail: str
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The result of ``verify_model``."""

    uri: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return all(check.status != "failed" for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {"uri": self.uri, "ok": self.ok, "checks": [asdict(check) for check in self.checks]}


def verify_model(uri: str | PathLike[str], *, trust: bool = False, **flavor_options: Any) -> Verification:
    """Check a model's files against its digest, its requirements against this environment, and replay its golden
    predictions.

    Replaying loads the model; one whose loading runs code of its own needs ``trust=True``, and counts as failed
    without it. The same options as for ``load_model`` are taken (``module=``, ``custom_objects=``); a model that cannot
    be loaded without one of them counts as skipped.

    Raises:
        ModelNotFound: there is no model directory.
    """

    def read() -> Verification:
        return _verify(uri, trust=trust, options=flavor_options)

    return read_one_model(uri, read, is_whole=lambda found: found.ok)


def _verify(uri: str | PathLike[str], *, trust: bool, options: Mapping[str, Any]) -> Verification:
    try:
        opened = open_model(uri)
    except (ModelChanged, InvalidModelFile, UnsafePath) as exc:
        return Verification(uri=str(uri), checks=(Check(name="files", status="failed", detail=str(exc)),))
    checks = (_files(opened), _environment(opened), _predictions(opened, trust=trust, options=options))
    return Verification(uri=str(uri), checks=checks)


def accept_changes(uri: str | PathLike[str]) -> str:
    """Take the files as they are now for right: rewrite MANIFEST.json, and return the new digest.

    For directories that another tool changed on purpose, such as MLflow's ``set_signature``.
    """
    return accept(resolve_uri(uri)).digest


def _files(opened: OpenedModel) -> Check:
    if opened.seal is None:
        return Check(name="files", status="note", detail="there is no MANIFEST.json, so nothing to check against")
    manifest = opened.seal.manifest
    return Check(name="files", status="ok", detail=f"{len(manifest.files)} files, sha256 {manifest.digest}")


def _environment(opened: OpenedModel) -> Check:
    found = compare_here(opened)
    if not found:
        return Check(name="environment", status="ok", detail="the installed packages are those that the model requires")
    # Whether a difference changes predictions is what the replay decides; a promise is for models that have none.
    return Check(name="environment", status="note", detail="; ".join(describe_differences(found)))


def _predictions(opened: OpenedModel, *, trust: bool, options: Mapping[str, Any]) -> Check:
    try:
        with keep_random_state():
            found = replay_golden(construct(opened, trust=trust, registry=default_registry(), options=options))
    except InvalidOption as exc:
        if options:
            raise
        return Check(name="predictions", status="skipped", detail=str(exc))
    except PalateError as exc:
        return Check(name="predictions", status="failed", detail=str(exc))
    if found is None:
        return Check(name="predictions", status="skipped", detail="the model loads; it has no golden predictions")
    if found:
        return Check(name="predictions", status="failed", detail="; ".join(found), differences=tuple(found))
    return Check(name="predictions", status="ok", detail="equal to the golden predictions")
