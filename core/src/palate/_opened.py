"""Opening a model directory, the first half: what it says it is, once its bytes are checked; nothing of it has run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate._disk.manifest import SIGNATURE_FILE, Seal, check_content, check_manifest, read_manifest, survey
from palate._disk.manifest_document import Manifest
from palate._disk.paths import MODEL_FILE, confine, map_plain, read_small
from palate._disk.strict_yaml import MAX_BYTES
from palate._late import LateModule
from palate.errors import InvalidModelFile, ModelChanged, Problem
from palate.locations import Location, locate, require_digest
from palate.model_file import PYFUNC, ModelFile, parse_model_file

if TYPE_CHECKING:
    from palate import signing
    from palate._environment import recorded
    from palate._environment.recorded import RecordedEnvironment
else:
    recorded = LateModule("palate._environment.recorded")
    signing = LateModule("palate.signing")

__all__ = ["LOADER_FLAVORS", "OpenedModel", "open_model"]

# Whose directory a loader of MLflow's is, for directories whose section of that flavor is missing.
LOADER_FLAVORS = {
    "mlflow.sklearn": "sklearn",
    "mlflow.xgboost": "xgboost",
    "mlflow.pytorch": "pytorch",
    "mlflow.tensorflow": "tensorflow",
    "mlflow.keras": "keras",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedModel:
    """A directory whose MLmodel is parsed, and whose bytes are checked where there is a seal; nothing of it has run.

    Attributes:
        location: where it was found; None of a directory that is being written.
    """

    uri: str
    path: Path
    model_file: ModelFile
    manifest: Manifest | None
    seal: Seal | None
    location: Location | None = None

    @property
    def digest(self) -> str | None:
        """What tells this model from every other; None of directories without MANIFEST.json."""
        return self.manifest.digest if self.manifest else None

    @property
    def place(self) -> Location:
        """Where it is, and which model it is, as far as that is known."""
        place = self.location or Location(uri=self.uri, path=self.path)
        return replace(place, digest=self.digest, staying=None)

    @property
    def signed(self) -> bool:
        """Whether a signature comes with it, whoever it is by."""
        return self.place.signature is not None or os.path.lexists(self.path / SIGNATURE_FILE)

    def map_file(self, name: str) -> memoryview:
        """Return the bytes of one of its files, mapped into memory: from its archive, if that is where it has stayed.

        Raises:
            UnsafePath: it is no ordinary file of the model.
            ModelChanged: it is not there.
        """
        staying = self.location.staying if self.location is not None else None
        if staying is not None and name in staying.names:
            return staying.map(name)
        return map_plain(confine(self.path, name, field="the flavor"))

    def read_environment(self) -> RecordedEnvironment:
        """Return what it asks for, as its files say it, and MLmodel where these say nothing."""
        palate = self.model_file.palate  # which stock MLflow does not write
        python = palate.get("python") or (self.model_file.pyfunc or {}).get("python_version")
        stated = python if isinstance(python, str) else None
        return recorded.read_recorded(self.path, python=stated, by_mlflow=not palate)

    def require_digest(self, digest: str | None) -> None:
        """Raise ModelChanged if it is not the model of that digest; None admits any."""
        require_digest(self.uri, self.digest, digest)

    def flavor_name(self, asked: str | None = None) -> str:
        """Return the flavor to open it with: the one asked for, or the one that the directory is made for."""
        if asked is not None:
            return asked
        recorded = self.model_file.palate.get("flavor")
        if isinstance(recorded, str) and recorded in self.model_file.flavors:
            return recorded
        pyfunc = self.model_file.pyfunc
        loader = LOADER_FLAVORS.get(str(pyfunc.get("loader_module"))) if pyfunc else None
        native = [name for name in self.model_file.flavors if name != PYFUNC]
        if loader is not None:
            return loader
        return native[0] if len(native) == 1 and self._is_loader_of(native[0]) else PYFUNC

    def _is_loader_of(self, flavor: str) -> bool:
        """Whether stock MLflow's pyfunc would open that flavor, rather than user code that may do anything besides."""
        module = str(self.model_file.pyfunc["loader_module"]) if self.model_file.pyfunc else ""
        return module in ("", "palate.mlflow_loader", f"mlflow.{flavor}")

    def config(self, flavor: str) -> Mapping[str, Any]:
        """Return the flavor's section; where MLflow wrote none, what its python_function section says instead.

        Raises:
            InvalidOption: the model has no such flavor.
        """
        pyfunc = self.model_file.pyfunc or {}
        if flavor not in self.model_file.flavors and LOADER_FLAVORS.get(str(pyfunc.get("loader_module"))) == flavor:
            # MLflow's own fallback: a pickle, or the flavor's default file.
            path = pyfunc.get("model_path") or pyfunc.get("data")
            return {"pickled_model": path, "data": path}
        return self.model_file.flavor(flavor)


def open_model(
    place: str | PathLike[str] | Location,
    *,
    verify: bool = True,
    document_only: bool = False,
    signed_by: Sequence[bytes] = (),
) -> OpenedModel:
    """Check the bytes of a model directory, then parse its MLmodel.

    Args:
        place: where it is, as a URI or found already.
        verify: check every file against MANIFEST.json; where a signature is demanded, that is done in any case.
        document_only: of the files, check MLmodel alone, because the others will be checked by whoever opens them.
        signed_by: public keys (PEM), one of which must have signed it; what its location demands is demanded besides.

    Raises:
        SignatureMissing, SignatureInvalid: it is not signed as demanded.
        ModelNotFound: there is no model directory.
        ModelChanged: the files are not those that MANIFEST.json lists, or it is not the model of the digest asked for.
        InvalidModelFile: MLmodel or MANIFEST.json is malformed.
    """
    location = place if isinstance(place, Location) else locate(place)
    demands = [keys for keys in (location.keys, tuple(signed_by)) if keys]
    verify = verify or bool(demands)  # a signature of files that nobody checks would say nothing
    uri, path = location.uri, location.path
    manifest = read_manifest(path)
    require_digest(uri, manifest.digest if manifest else None, location.digest)
    # Of files without a manifest a signature says what they are; it is held against the bytes that are loaded, too.
    listed = survey(path) if manifest is None and demands else manifest
    checks_all = verify and not document_only
    seal = check_manifest(path, listed, location.staying) if listed is not None and checks_all else None
    document = read_small(confine(path, MODEL_FILE, field="the model directory"), MAX_BYTES)
    if listed is not None and verify:
        check_content(path, listed, MODEL_FILE, document)
    for keys in demands:
        signing.require_signature(location, listed, signing.parse_keys(keys))
    model_file = parse_model_file(document)
    if manifest is None and model_file.palate:
        raise ModelChanged(uri, missing=["MANIFEST.json"])
    if not model_file.flavors:
        raise InvalidModelFile([Problem(("flavors",), "missing", "names no flavor, so nothing can open this model")])
    return OpenedModel(uri=uri, path=path, model_file=model_file, manifest=manifest, seal=seal, location=location)
