"""Models on their way out: as a directory, as one file, or into MLflow's own registry."""

from __future__ import annotations

import os
import re
from os import PathLike
from typing import Final

from palate.errors import InvalidOption
from palate.locations import scheme_of
from palate.packing import ARCHIVE_SUFFIX, Packed, Unpacked, pack_model, unpack_model
from palate.storage import stage_in_cache
from palate.store._mlflow import Registered, register

__all__ = ["export_model"]

_REGISTERED: Final = re.compile(r"mlflow:models:/([^/@:]+)", re.IGNORECASE)
_FORMS: Final = f"give a directory, a file called *{ARCHIVE_SUFFIX}, or mlflow:models:/<name>"


def export_model(
    uri: str | PathLike[str], target: str | PathLike[str], *, overwrite: bool = False
) -> Unpacked | Packed | Registered:
    """Write the model at *uri* somewhere else; return what was made.

    Args:
        uri: the model.
        target: a directory; a file, by the suffix ``.palate``; or ``mlflow:models:/<name>``, which adds a version to
            that model of MLflow's registry, whose place MLflow's own environment variables say.
        overwrite: replace the model that is there, in one step; a registry keeps every version.

    Raises:
        ModelNotFound, ModelChanged, InvalidModelFile: there is no whole model at *uri*.
        ModelExists: the target is taken.
        SaveFailed, CacheFailed: the disk refused.
        DependencyMissing: MLflow is not installed.
        RemoteFailed: MLflow's server could not be reached, or refused.
        InvalidOption: the target is none of these.
    """
    scheme = scheme_of(target)
    if scheme == "mlflow" or (isinstance(target, str) and target.lower().startswith("mlflow:")):
        return _register(uri, str(target), overwrite=overwrite)
    if scheme is not None:
        raise InvalidOption("target", reason=f"'{scheme}:' is not written to", hint=_FORMS)
    if os.fspath(target).endswith(ARCHIVE_SUFFIX):
        return pack_model(uri, target, overwrite=overwrite)
    return unpack_model(uri, target, overwrite=overwrite)


def _register(uri: str | PathLike[str], target: str, *, overwrite: bool) -> Registered:
    named = _REGISTERED.fullmatch(target)
    if named is None:
        raise InvalidOption("target", reason=f"{target!r:.200} names no model of MLflow's registry", hint=_FORMS)
    if overwrite:
        hint = "leave overwrite out (CLI: --overwrite)"
        raise InvalidOption("overwrite", reason="MLflow's registry keeps every version", hint=hint)
    with stage_in_cache("export") as home:
        unpacked = unpack_model(uri, home / "model")  # every file is checked
        return register(unpacked.path, named[1], digest=unpacked.digest)
