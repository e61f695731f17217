"""Checking that a model is whole, can run here, and still predicts what it predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any, Literal

from palate._disk.manifest import accept
from palate._disk.paths import check_model_directory, resolve_path, scheme_of
from palate._environment.comparison import describe_differences
from palate._environment_check import compare_here
from palate._opened import OpenedModel, open_model
from palate._opening import construct
from palate._random_state import keep_random_state
from palate._registry import default_registry
from palate.errors import InvalidArchive, InvalidModelFile, InvalidOption, ModelChanged, PalateError, UnsafePath
from palate.golden import replay_golden
from palate.locations import Location, read_one_model, shown_uri
from palate.signing import PublicKey, read_keys, require_signature

__all__ = ["Check", "Verification", "accept_changes", "verify_model"]

_DAMAGE = (InvalidArchive, InvalidModelFile, ModelChanged, UnsafePath)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at. A "note" tells something that need not matter.

    Attributes:
        name: what was looked at.
        status: how it was found.
        detail: what there is to say of it.
        differences: of predictions that are not what was recorded, one sentence each.
    """

    name: Literal["files", "signature", "environment", "predictions"]
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


def verify_model(
    uri: str | PathLike[str],
    *,
    trust: bool = False,
    keys: Sequence[PublicKey | str | PathLike[str]] = (),
    signature: str | PathLike[str] | None = None,
    **flavor_options: Any,
) -> Verification:
    """Check a model's files against its digest, its requirements against this environment, and replay its golden
    predictions.

    Replaying loads the model; one whose loading runs code of its own needs ``trust=True``, and counts as failed
    without it. The same options as for ``load_model`` are taken (``module=``, ``custom_objects=``); a model that cannot
    be loaded without one of them counts as skipped.

    Args:
        uri: the model.
        trust: allow code that comes with the model to run.
        keys: public keys, or their PEM files. One of them must have signed the model; if none has, it is not loaded.
        signature: the signature's file, if it is not the one that comes with the model.
        **flavor_options: what the model is loaded with.

    Raises:
        ModelNotFound: there is no model directory.
        InvalidKey: a key cannot be read or used.
    """
    if signature is not None and not keys:
        raise InvalidOption("signature", reason="there are no keys to check it with", hint="give keys= too")
    trusted = read_keys(keys) if keys else ()

    def read(location: Location) -> Verification:
        return _verify(location, trust=trust, keys=trusted, signature=signature, options=flavor_options)

    try:
        return read_one_model(uri, read, is_whole=lambda found: found.ok, recheck=True)
    except _DAMAGE as exc:  # of a model in one file, seen when it was unpacked
        return _of_damaged_files(shown_uri(str(uri)), exc)


def _verify(
    location: Location,
    *,
    trust: bool,
    keys: Sequence[PublicKey],
    signature: str | PathLike[str] | None,
    options: Mapping[str, Any],
) -> Verification:
    try:
        opened = open_model(location)
    except _DAMAGE as exc:
        return _of_damaged_files(location.uri, exc)
    checks = [_files(opened)]
    if keys:
        checks.append(_signature(opened, location, keys, signature))
    if all(check.status != "failed" for check in checks):  # what somebody else signed is not loaded
        checks += [_environment(opened), _predictions(opened, trust=trust, options=options)]
    return Verification(uri=location.uri, checks=tuple(checks))


def _of_damaged_files(uri: str, problem: PalateError) -> Verification:
    return Verification(uri=uri, checks=(Check(name="files", status="failed", detail=str(problem)),))


def accept_changes(uri: str | PathLike[str]) -> str:
    """Take the files as they are now for right: rewrite MANIFEST.json, and return the new digest.

    For directories that another tool changed on purpose, such as MLflow's ``set_signature``.
    """
    if scheme_of(uri) not in (None, "file") or not (path := resolve_path(uri)).is_dir():
        reason = f"'{uri}' is no directory, and what is kept elsewhere stays as it was saved"
        raise InvalidOption("uri", reason=reason, hint="unpack it, accept the directory, and pack or add that")
    check_model_directory(path, str(uri))
    return accept(path).digest


def _files(opened: OpenedModel) -> Check:
    if opened.seal is None:
        return Check(name="files", status="note", detail="there is no MANIFEST.json, so nothing to check against")
    manifest = opened.seal.manifest
    return Check(name="files", status="ok", detail=f"{len(manifest.files)} files, sha256 {manifest.digest}")


def _signature(
    opened: OpenedModel, location: Location, keys: Sequence[PublicKey], file: str | PathLike[str] | None
) -> Check:
    try:
        signer = require_signature(location, opened.manifest, keys, signature=file)
    except PalateError as exc:
        return Check(name="signature", status="failed", detail=str(exc))
    return Check(name="signature", status="ok", detail=f"by the key {signer.key}")


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
