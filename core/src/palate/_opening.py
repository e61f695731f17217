"""Opening a model directory in two phases: inspect (``open_model``), then construct.

Nothing of the model is parsed before its bytes are checked against MANIFEST.json, and nothing of it is run unless the
caller trusts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate._code.load_answers import answer_load_model
from palate._code.model_code import ModelCode
from palate._disk.manifest import Manifest, Seal, check_manifest, read_manifest
from palate._disk.paths import MODEL_FILE, confine, read_small, resolve_uri
from palate._disk.replaced import read_one_model
from palate._disk.strict_yaml import MAX_BYTES
from palate._flavor import Flavor
from palate._late import LateModule
from palate._native_failures import as_unsupported
from palate._registry import FlavorRegistry, default_registry
from palate.errors import (
    CodeReason,
    InvalidModelFile,
    InvalidOption,
    LoadFailed,
    ModelChanged,
    ModelNotFound,
    PalateError,
    Problem,
    TrustRequired,
)
from palate.hookspecs import LoadOptions, ModelSource
from palate.model_file import PYFUNC, ModelFile, parse_model_file
from palate.pyfunc import PyFuncModel, Reopen
from palate.signature import Signature

if TYPE_CHECKING:
    from palate._code.import_watch import ImportWatch
    from palate._environment import comparison, contents, facts, recorded
    from palate._environment.comparison import Difference
    from palate._environment.recorded import RecordedEnvironment
else:
    comparison = LateModule("palate._environment.comparison")
    contents = LateModule("palate._environment.contents")
    facts = LateModule("palate._environment.facts")
    recorded = LateModule("palate._environment.recorded")

__all__ = [
    "OpenedModel",
    "adapt_original",
    "code_reasons",
    "compare_opened",
    "construct",
    "load",
    "open_model",
    "prepare_original",
    "reopening",
]

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
    """A directory whose MLmodel is parsed, and whose bytes are checked where there is a seal; nothing of it has run."""

    uri: str
    path: Path
    model_file: ModelFile
    manifest: Manifest | None
    seal: Seal | None

    @property
    def digest(self) -> str | None:
        """What tells this model from every other; None of directories without MANIFEST.json."""
        return self.manifest.digest if self.manifest else None

    def read_environment(self) -> RecordedEnvironment:
        """Return what it asks for, as its files say it, and MLmodel where these say nothing."""
        palate = self.model_file.palate  # which stock MLflow does not write
        python = palate.get("python") or (self.model_file.pyfunc or {}).get("python_version")
        stated = python if isinstance(python, str) else None
        return recorded.read_recorded(self.path, python=stated, by_mlflow=not palate)

    def require_digest(self, digest: str | None) -> None:
        """Raise ModelChanged if it is not the model of that digest; None admits any."""
        if digest is not None and digest != self.digest:
            raise ModelChanged(self.uri, changed=["MANIFEST.json"], cause="It is not the model that was loaded before.")

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


def open_model(uri: str | PathLike[str], *, verify: bool = True, document_only: bool = False) -> OpenedModel:
    """Check the bytes of a model directory, then parse its MLmodel.

    Args:
        uri: where it is.
        verify: check every file against MANIFEST.json.
        document_only: of the files, check MLmodel alone, because the others will be checked by whoever opens them.

    Raises:
        ModelNotFound: there is no model directory.
        ModelChanged: the files are not those that MANIFEST.json lists.
        InvalidModelFile: MLmodel or MANIFEST.json is malformed.
    """
    path = resolve_uri(uri)
    manifest = read_manifest(path)
    seal = check_manifest(path, manifest) if manifest is not None and verify and not document_only else None
    document = read_small(confine(path, MODEL_FILE, field="the model directory"), MAX_BYTES)
    if manifest is not None and verify:
        manifest.check_content(path, MODEL_FILE, document)
    model_file = parse_model_file(document)
    if manifest is None and model_file.palate:
        raise ModelChanged(str(uri), missing=["MANIFEST.json"])
    if not model_file.flavors:
        raise InvalidModelFile([Problem(("flavors",), "missing", "names no flavor, so nothing can open this model")])
    return OpenedModel(uri=str(uri), path=path, model_file=model_file, manifest=manifest, seal=seal)


def load(
    uri: str | PathLike[str],
    *,
    trust: bool,
    flavor: str | None = None,
    verify: bool = True,
    options: Mapping[str, Any] | None = None,
    digest: str | None = None,
    to_predict: bool = True,
) -> PyFuncModel:
    """Open and construct the model at *uri*, from the start again while another one takes its place.

    With a *digest* it must be that very model, which is checked before any of its code runs. Whoever wants only the
    native object does not need what the flavor would prepare to predict with.
    """

    def read() -> tuple[OpenedModel, PyFuncModel]:
        opened = open_model(uri, verify=verify)
        opened.require_digest(digest)
        arguments = (str(opened.path), opened.digest, trust, flavor, verify, dict(options or {}))
        return opened, construct(
            opened,
            trust=trust,
            asked=flavor,
            registry=default_registry(),
            options=options,
            source=ModelSource(
                uri=str(uri), path=opened.path, digest=opened.digest, model_uuid=opened.model_file.model_uuid
            ),
            reopen=(reopen_model, arguments),
            to_predict=to_predict,
        )

    return read_one_model(uri, read, is_whole=lambda result: result[0].seal is not None)[1]


def reopen_model(
    path: str, digest: str | None, trust: bool, flavor: str | None, verify: bool, options: Mapping[str, Any]
) -> PyFuncModel:
    """Load a pickled model from the directory that its pickle refers to, as it was loaded before."""
    with reopening(path):
        return load(path, trust=trust, flavor=flavor, verify=verify, options=options, digest=digest)


@contextmanager
def reopening(path: str) -> Iterator[None]:
    """Say what a pickle of a model is, if there is no model at the *path* that it refers to."""
    try:
        yield
    except ModelNotFound as exc:
        reason = "the pickle of a model is a reference to its directory, and there is none here"
        raise ModelNotFound(path, reason=reason, hint="put the directory at that path on this machine too") from exc


def code_reasons(opened: OpenedModel, flavor: Flavor) -> tuple[CodeReason, ...]:
    """Return why opening the model would run code that it carries."""
    return flavor.executes_code(opened.path, opened.config(flavor.name))


def compare_opened(opened: OpenedModel, flavor: Flavor | None) -> tuple[Difference, ...]:
    """Return how this environment differs from what an opened model asks for, the most important first.

    Without the *flavor*, where its plugin is not usable, nothing is known of promises, nor of what depends on Python.
    """
    config = opened.config(flavor.name) if flavor else {}
    files = [reason.file for reason in code_reasons(opened, flavor)] if flavor else []
    promises = flavor.promises(config, needs_trust=bool(files)) if flavor else {}
    return comparison.compare_environment(
        opened.path,
        opened.read_environment(),
        promises=promises,
        saved_with=flavor.saved_with(config, promises) if flavor else {},
        runs_code=flavor is None or bool(files),
        contents=lambda: contents.find_contents(opened.path, files) if flavor else "unknown",
        labels=facts.read_facts(opened.model_file.palate).local_labels,
    )


def construct(
    opened: OpenedModel,
    *,
    trust: bool,
    asked: str | None = None,
    registry: FlavorRegistry,
    options: Mapping[str, Any] | None = None,
    source: ModelSource | None = None,
    reopen: Reopen | None = None,
    to_predict: bool = True,
    watch: ImportWatch | None = None,
) -> PyFuncModel:
    """Build the adapter for an opened model, if the caller's trust allows it.

    *reopen* is what its pickle holds, and *watch* is told what the code that it carries imports.
    """
    if not isinstance(trust, bool):
        # "no" and "0", as they come from a settings file, are true values.
        reason = f"it is {type(trust).__name__}, not True or False"
        raise InvalidOption("trust", reason=reason, hint="pass trust=True only for models whose source you trust")
    flavor = registry.get(opened.flavor_name(asked))
    _check_options(flavor, options or {})
    reasons = code_reasons(opened, flavor)
    if reasons and not trust:
        safe = flavor.formats[0] if len(flavor.formats) > 1 else None
        raise TrustRequired(opened.uri, reasons=reasons, safe_format=safe)
    load_options = _load_options(opened, registry, trust=trust, options=options or {}, source=source, watch=watch)
    native, prepared = _load_native(opened, flavor, load_options, to_predict=to_predict)
    if opened.seal is not None:
        opened.seal.recheck()
    return PyFuncModel(
        native,
        flavor=flavor,
        metadata=opened.model_file,
        signature=opened.model_file.signature,
        path=opened.path,
        prepared=prepared,
        source=source,
        reopen=reopen,
    )


def prepare_original(
    opened: OpenedModel, native: object, flavor: Flavor, *, registry: FlavorRegistry, options: Mapping[str, Any]
) -> object:
    """Return what the very object that was saved, or is just being saved, as *opened* is predicted with.

    Raises:
        UnsupportedModel: the flavor cannot prepare it.
    """
    # It is trusted: it is the caller's own.
    load_options = _load_options(opened, registry, trust=True, options=options)
    with as_unsupported(native, flavor, opened.path, "prepare it for predictions"):
        return flavor.prepare(native, opened.path, opened.config(flavor.name), load_options)


def adapt_original(
    opened: OpenedModel, native: object, flavor: Flavor, *, signature: Signature | None, prepared: object
) -> PyFuncModel:
    """Build the adapter for such an object, around what ``prepare_original`` returned."""
    return PyFuncModel(
        native,
        flavor=flavor,
        metadata=opened.model_file,
        signature=signature,
        path=opened.path,
        prepared=prepared,
    )


def _load_options(
    opened: OpenedModel,
    registry: FlavorRegistry,
    *,
    trust: bool,
    options: Mapping[str, Any],
    source: ModelSource | None = None,
    watch: ImportWatch | None = None,
) -> LoadOptions:
    return LoadOptions(
        trust=trust,
        code=_model_code(opened, trust=trust, watch=watch),
        extra=dict(options),
        embedded=registry.embedded_type,
        source=source,
    )


def _load_native(
    opened: OpenedModel, flavor: Flavor, options: LoadOptions, *, to_predict: bool
) -> tuple[object, object]:
    """Return the native object, and what it is predicted with."""
    path, config = opened.path, opened.config(flavor.name)
    task = "load"
    try:
        native = flavor.load_model(path, config, options)
        task = "prepare"
        return native, flavor.prepare(native, path, config, options) if to_predict else native
    except PalateError:
        raise
    except Exception as exc:
        differences = compare_opened(opened, flavor)
        raise LoadFailed(
            opened.uri,
            flavor=flavor.name,
            cause=exc,
            differences=comparison.describe_differences(differences),
            matters=any(difference.matters for difference in differences),
            task=task,
        ) from exc


def _model_code(opened: OpenedModel, *, trust: bool, watch: ImportWatch | None) -> ModelCode:
    sections = opened.model_file.flavors.values()
    folder = next((section["code"] for section in sections if section.get("code")), None)
    if folder is None or not trust:
        return ModelCode(None, watch=watch)
    return ModelCode(confine(opened.path, folder, field="code"), watch=watch)


def _check_options(flavor: Flavor, options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in flavor.load_options:
            known = ", ".join(sorted(flavor.load_options)) or "none"
            raise InvalidOption(
                name,
                reason=f"the flavor '{flavor.name}' takes no such option at load",
                hint=f"options it takes: {known}",
            )


# -- what a trusted model's code opens by MLflow's names, where MLflow is not installed --------------------------------


def _open_for_model(
    model_uri: str,
    suppress_warnings: bool = False,
    dst_path: str | None = None,
    model_config: str | PathLike[str] | Mapping[str, Any] | None = None,
) -> PyFuncModel:
    """Stand in for ``mlflow.pyfunc.load_model``; nothing is downloaded, so there is nothing to place or to warn of."""
    del suppress_warnings, dst_path
    return load(model_uri, trust=True, options={"model_config": model_config} if model_config else {})


def _open_native_for_model(model_uri: str, **_: Any) -> object:
    """Stand in for ``mlflow.<flavor>.load_model``, whose options say where and on which device to load."""
    return load(model_uri, trust=True).native


answer_load_model("mlflow.pyfunc", _open_for_model)
for _loader in LOADER_FLAVORS:
    answer_load_model(_loader, _open_native_for_model)
