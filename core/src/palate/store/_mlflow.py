"""MLflow's own registry and runs, asked through MLflow, where it is installed: models come from there and go there."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from palate.errors import (
    DependencyMissing,
    ModelChanged,
    ModelNotFound,
    PalateError,
    PalateWarning,
    RemoteFailed,
)
from palate.locations import Location
from palate.storage import (
    MANIFEST_FILE,
    MODEL_FILE,
    SIGNATURE_FILE,
    check_manifest,
    find_digest,
    keep_directory,
    read_manifest,
    read_small,
    read_yaml,
)

__all__ = ["REGISTRY_NOTE", "Registered", "read_mapping", "read_registry_note", "register", "resolve"]

REGISTRY_NOTE: Final = "registered_model_meta"
"""The file that MLflow's registry puts into what it downloads: the model's name there, and its version."""

_MAX_DOCUMENT: Final = 64 << 10

# What MLflow says of something that is not there, and of an alias that is not there.
_NOT_THERE: Final = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "INVALID_PARAMETER_VALUE"})
_TRACKING: Final = "see that MLFLOW_TRACKING_URI (and MLFLOW_REGISTRY_URI, if it is set) name the server, and try again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A model that was added to MLflow's registry.

    Attributes:
        name: of the registered model.
        version: its number there.
        run_id: the run that its files were logged to.
        digest: the model's identity; None without MANIFEST.json.
    """

    name: str
    version: str
    run_id: str
    digest: str | None

    @property
    def uri(self) -> str:
        """The URI that opens it."""
        return f"mlflow:models:/{self.name}/{self.version}"

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON data."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "uri": self.uri}


def resolve(uri: str, digest: str | None) -> Location:
    """Return where the model is that MLflow has at *uri*, such as ``mlflow:models:/iris/3``: a Resolver.

    What stands behind ``mlflow:`` is whatever MLflow downloads from. Where its servers are, its own environment
    variables say. A model of that *digest* that is in the cache is taken without asking.

    Raises:
        DependencyMissing: MLflow is not installed.
        ModelNotFound: MLflow knows of nothing there, or it is no model.
        RemoteFailed: its server could not be reached, or refused.
        ModelChanged: Palate saved it, and more than its MLmodel is not as it was.
    """
    if digest is not None and (known := find_digest(digest)) is not None:
        return Location(uri=uri, path=known, lasting=f"{uri}@sha256:{digest}")
    note: dict[str, str] = {}

    def fetch(folder: Path) -> Path:
        brought = _download(uri, folder)
        note.update(read_registry_note(brought))
        (brought / REGISTRY_NOTE).unlink(missing_ok=True)  # no part of the model: another version has another one
        _accept_rewritten(brought, uri)
        return brought

    path = keep_directory(fetch)
    manifest = read_manifest(path)
    return Location(
        uri=uri,
        path=path,
        name=note.get("model_name"),
        version=note.get("model_version"),
        lasting=f"{uri}@sha256:{manifest.digest}" if manifest else uri,
    )


def register(directory: Path, name: str, *, digest: str | None) -> Registered:
    """Log a model directory to a run, and add it as the next version of a registered model, which is made if missing.

    The run is the one that MLflow's environment names, else a new one.

    Raises:
        DependencyMissing: MLflow is not installed.
        RemoteFailed: its server could not be reached, or refused. The run, if there is one by then, has failed.
    """
    mlflow = _load_mlflow()
    # Under a name of its own, so that nothing else that the run has logged gets into it.
    place = f"palate-{digest[:16]}" if digest else "palate-model"
    with _reported(f"mlflow:models:/{name}", "register"), mlflow.start_run(nested=True, run_name=f"{name}: export"):
        run_id = mlflow.active_run().info.run_id
        mlflow.log_artifacts(str(directory), artifact_path=place)
        version = mlflow.register_model(f"runs:/{run_id}/{place}", name)
    return Registered(name=name, version=str(version.version), run_id=run_id, digest=digest)


def read_registry_note(directory: Path) -> dict[str, str]:
    """Return ``model_name`` and ``model_version`` as the registry's note in a downloaded model has them, if it has."""
    note = read_mapping(directory / REGISTRY_NOTE)
    return {key: str(note[key]) for key in ("model_name", "model_version") if isinstance(note.get(key), str | int)}


def read_mapping(file: Path) -> dict[str, Any]:
    """Return what a small YAML file of MLflow's says; {} where there is none that can be read."""
    try:
        found = read_yaml(read_small(file, _MAX_DOCUMENT), source=file.name)
    except PalateError:
        return {}
    return found if isinstance(found, dict) else {}


# -- how ---------------------------------------------------------------------------------------------------------------


def _load_mlflow() -> Any:
    try:
        import mlflow
        import mlflow.artifacts
    except ImportError as exc:
        raise DependencyMissing("mlflow", needed_for="Reaching MLflow's registry and runs") from exc
    return mlflow


def _download(uri: str, folder: Path) -> Path:
    mlflow = _load_mlflow()
    with _reported(uri, "fetch"):
        brought = Path(mlflow.artifacts.download_artifacts(_address(uri), dst_path=str(folder))).resolve()
    if not brought.is_relative_to(folder.resolve()):
        raise ModelNotFound(uri, reason=f"MLflow left it at '{brought}'", hint="give that directory")
    if not (brought / MODEL_FILE).is_file():
        raise ModelNotFound(uri, reason=f"what MLflow has there holds no {MODEL_FILE}", hint="name a model in it")
    return brought


@contextmanager
def _reported(uri: str, doing: str) -> Iterator[None]:
    """Turn what MLflow raises into errors that say what was asked of it."""
    from mlflow.exceptions import MlflowException

    asked = _address(uri)  # in which RemoteFailed knows what is secret
    try:
        yield
    except MlflowException as exc:
        if doing == "fetch" and exc.error_code in _NOT_THERE:
            hint = "look at what MLflow has; runs are named as mlflow:runs:/<id>/<path>"
            raise ModelNotFound(uri, reason=_told(exc), hint=hint) from exc
        raise RemoteFailed(asked, doing=doing, reason=_told(exc), hint=_TRACKING) from exc
    except ImportError as exc:  # what reaches S3, say, MLflow does not bring along
        raise DependencyMissing(exc.name or "another package", needed_for=f"Reaching '{asked}' through MLflow") from exc
    except FileNotFoundError as exc:
        raise ModelNotFound(uri, reason=_told(exc), hint="look at whether its artifacts are still there") from exc
    except Exception as exc:  # of whatever library reaches the artifacts
        raise RemoteFailed(asked, doing=doing, reason=f"{type(exc).__name__}: {_told(exc)}", hint=_TRACKING) from exc


def _address(uri: str) -> str:
    """Return what MLflow calls it: what stands behind ``mlflow:``."""
    return uri.partition(":")[2]


def _told(exc: BaseException) -> str:
    first = next(iter(str(exc).strip().splitlines()), "") or type(exc).__name__
    return first[:300].rstrip(".")


def _accept_rewritten(root: Path, uri: str) -> None:
    """Unseal a model that Palate saved and of which MLflow has rewritten MLmodel, so that it is sealed as it is now.

    Raises:
        ModelChanged: anything else has changed.
    """
    manifest = read_manifest(root)
    if manifest is None:
        return
    try:
        check_manifest(root, manifest)
    except ModelChanged as exc:
        if (exc.changed, exc.missing, exc.extra) != ((MODEL_FILE,), (), ()):
            raise ModelChanged(uri, changed=exc.changed, missing=exc.missing, extra=exc.extra) from exc
        (root / MANIFEST_FILE).unlink()
        signed = (root / SIGNATURE_FILE).exists()
        (root / SIGNATURE_FILE).unlink(missing_ok=True)
        told = f"MLflow has rewritten the MLmodel of '{uri}' since Palate saved it: it has another digest from now on"
        told += ", and its signature counts no more" if signed else ""
        warnings.warn(f"{told}. Every other file is as it was.", PalateWarning, stacklevel=2)
