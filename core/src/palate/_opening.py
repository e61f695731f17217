"""Opening a model directory, the second half: constructing what ``_opened.open_model`` has looked at.

Nothing of the model is parsed before its bytes are checked against MANIFEST.json, and nothing of it is run unless the
caller trusts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate._code.load_answers import answer_load_model
from palate._code.model_code import ModelCode
from palate._disk.paths import confine
from palate._flavor import Flavor
from palate._late import LateModule
from palate._native_failures import as_unsupported
from palate._opened import LOADER_FLAVORS, OpenedModel, open_model
from palate._registry import FlavorRegistry, default_registry
from palate.errors import (
    CodeReason,
    InvalidOption,
    LoadFailed,
    ModelNotFound,
    PalateError,
    TrustRequired,
)
from palate.hookspecs import LoadOptions, ModelSource
from palate.locations import Location, read_one_model
from palate.model_file import parse_model_file
from palate.pyfunc import PyFuncModel, Reopen
from palate.signature import Signature

if TYPE_CHECKING:
    from palate._code.import_watch import ImportWatch
    from palate._environment import comparison, contents, facts
    from palate._environment.comparison import Difference
else:
    comparison = LateModule("palate._environment.comparison")
    contents = LateModule("palate._environment.contents")
    facts = LateModule("palate._environment.facts")

__all__ = [
    "adapt_original",
    "code_reasons",
    "compare_opened",
    "construct",
    "load",
    "prepare_original",
    "reopening",
]


def load(
    uri: str | PathLike[str] | Location,
    *,
    trust: bool,
    flavor: str | None = None,
    verify: bool = True,
    options: Mapping[str, Any] | None = None,
    digest: str | None = None,
    signed_by: tuple[bytes, ...] = (),
    to_predict: bool = True,
) -> PyFuncModel:
    """Open and construct the model at *uri*, from the start again while another one takes its place.

    With a *digest* it must be that very model, which is checked before any of its code runs. Whoever wants only the
    native object does not need what the flavor would prepare to predict with.
    """

    def read(location: Location) -> tuple[OpenedModel, PyFuncModel]:
        opened = open_model(location, verify=verify, signed_by=signed_by)
        opened.require_digest(digest)
        place = location.lasting or str(opened.path)
        # A demand was met by the model of this digest: whoever opens it by the pickle has to check that it is that one.
        checked = verify or bool(location.keys or signed_by)
        arguments = (place, opened.digest, signed_by, trust, flavor, checked, dict(options or {}))
        return opened, construct(
            opened,
            trust=trust,
            asked=flavor,
            registry=default_registry(),
            options=options,
            source=ModelSource(
                uri=opened.uri, path=opened.path, digest=opened.digest, model_uuid=opened.model_file.model_uuid
            ),
            reopen=(reopen_model, arguments),
            to_predict=to_predict,
        )

    # Whoever writes to an archive changes what is mapped out of it, also after the signature was checked.
    may_stay = None if signed_by else partial(_files_to_map, asked=flavor)
    return read_one_model(uri, read, is_whole=lambda result: result[0].seal is not None, may_stay=may_stay)[1]


def _files_to_map(document: bytes, *, asked: str | None) -> tuple[str, ...]:
    """Return the files that the flavor of a model with that MLmodel maps into memory, wherever they are."""
    try:
        model_file = parse_model_file(document)
        opened = OpenedModel(uri="", path=Path(), model_file=model_file, manifest=None, seal=None)
        flavor = default_registry().get(opened.flavor_name(asked))
        return flavor.mapped_files(opened.config(flavor.name))
    except PalateError:
        return ()  # whatever it is, opening the model says it


def reopen_model(
    path: str,
    digest: str | None,
    signed_by: tuple[bytes, ...],
    trust: bool,
    flavor: str | None,
    verify: bool,
    options: Mapping[str, Any],
) -> PyFuncModel:
    """Load a pickled model from the directory that its pickle refers to, as it was loaded before."""
    with reopening(path):
        return load(
            path, trust=trust, flavor=flavor, verify=verify, options=options, digest=digest, signed_by=signed_by
        )


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
        location=opened.place,
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
        location=opened.place,
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
        map_file=opened.map_file,
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
