"""Saving a model: written aside, proved by loading it back, sealed, then published by one rename."""

from __future__ import annotations

import os
import platform
import uuid
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib import metadata as distributions
from os import PathLike
from pathlib import Path
from types import EllipsisType
from typing import Any

from palate._archive.reading import is_archive
from palate._code.bundle import copy_code, top_level_names
from palate._code.import_watch import ImportWatch
from palate._code.imports import object_imports, source_imports
from palate._code.pickles import pickle_modules
from palate._disk.format import FORMAT_VERSION
from palate._disk.manifest import write_manifest
from palate._disk.paths import MODEL_FILE, list_files
from palate._disk.staging import stage, stage_file
from palate._enforcement.plan import compile_inputs
from palate._environment.capture import Evidence, capture_environment
from palate._environment.distributions import find_providers
from palate._environment.environment import ENVIRONMENT_FILES, Environment, environment_facts, write_environment
from palate._environment.source import find_source
from palate._flavor import Flavor
from palate._native_failures import as_unsupported
from palate._opened import OpenedModel, open_model
from palate._opening import adapt_original, code_reasons, construct, prepare_original
from palate._random_state import keep_random_state
from palate._registry import FlavorRegistry, default_registry
from palate._save_request import SaveRequest, check_path, check_request
from palate._save_signature import (
    check_methods,
    declared_signature,
    feature_names,
    rows_as_array,
    with_outputs,
)
from palate._stored.examples import ExampleInfo, read_example, read_whole, split_example, write_example
from palate._warning import warn_caller
from palate.errors import CodeReason, InvalidExample, InvalidInput, Problem, UnsupportedModel
from palate.golden import Golden, record_golden
from palate.inspection import ModelInfo, describe
from palate.model_file import PYFUNC, ModelFile, build_model_file
from palate.packing import ARCHIVE_SUFFIX, pack_directory
from palate.schema import Schema
from palate.signature import Signature

__all__ = ["save_model"]


def save_model(
    model: object,
    path: str | PathLike[str],
    *,
    flavor: str | None = None,
    signature: Signature | EllipsisType | None = ...,
    input_example: object = None,
    params: Mapping[str, object] | None = None,
    code_paths: Sequence[str | PathLike[str]] | None = None,
    requirements: Sequence[str] | str | PathLike[str] | None = None,
    extra_requirements: Sequence[str] | str | PathLike[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    artifacts: Mapping[str, str | PathLike[str]] | None = None,
    run_id: str | None = None,
    format: str | None = None,
    overwrite: bool = False,
    **flavor_options: Any,
) -> ModelInfo:
    """Save *model* as a directory at *path* that Palate and stock MLflow open; as one file if it ends with ``.palate``.

    It appears whole or not at all. With an input example the model is loaded back and must predict the
    same before it is published; example and predictions are kept, for ``palate verify``.

    Args:
        model: a framework's object, a PythonModel, a function, or the path of a ``.py`` file that sets a model.
        path: where the directory, or the file, shall be; its parent is created when missing.
        flavor: the flavor to save it with; by default the one that owns the model's class.
        signature: left out, it is inferred from the example, the model and its type hints; None saves without one. What
            a given one does not say of outputs is learnt from the example.
        input_example: data that the model predicts on, or ``(data, params)``.
        params: params that callers may set, with their defaults.
        code_paths: files and folders of Python code that the model needs, copied into the directory.
        requirements: pip requirements instead of the captured ones, as a list or a requirements file. A file may name
            further ones by ``-r``, and both may name constraints (``-c``) and indexes.
        extra_requirements: pip requirements on top of the captured ones, as a list or a file; of a package that both
            name for here, these count.
        metadata: plain YAML data of your own.
        artifacts: files and folders that a PythonModel reads, by name.
        run_id: the tracking run that made the model; by default the active MLflow run's.
        format: how the flavor shall write it; by default its safe format.
        overwrite: replace the model that is there, in one step.
        **flavor_options: what the flavor takes besides.

    Raises:
        ModelExists: the path is taken.
        UnsupportedModel: no flavor owns it, or the format cannot hold it; the message names the way out.
        InvalidSignature, InvalidExample, InvalidOption, InvalidRequirement: an argument does not work.
        PredictionChanged: the reloaded model predicted something else.
        SaveFailed: the disk refused.
    """
    registry = default_registry()
    request = check_request(
        os.fspath(model) if isinstance(model, PathLike) else model,
        registry,
        flavor=flavor,
        signature=signature,
        example=input_example,
        params=params,
        code_paths=code_paths,
        requirements=requirements,
        extra_requirements=extra_requirements,
        metadata=metadata,
        run_id=run_id,
        format_name=format,
        options={**({} if artifacts is None else {"artifacts": artifacts}), **flavor_options},
    )
    target = check_path("path", path)
    if target.suffix == ARCHIVE_SUFFIX:
        with stage_file(target, overwrite=overwrite, is_model=is_archive) as file_staging:
            info = _save_into(request, file_staging.draft, registry, uri=str(path))
            pack_directory(file_staging.draft, file_staging.path)
            file_staging.publish()
        return replace(info, uri=str(path), path=file_staging.target)
    with stage(target, overwrite=overwrite) as staging:
        info = _save_into(request, staging.path, registry, uri=str(path))
        staging.publish()
    return replace(info, uri=str(path), path=staging.target)


def _save_into(request: SaveRequest, root: Path, registry: FlavorRegistry, *, uri: str) -> ModelInfo:
    """Write the model that is asked for into the empty directory *root*, sealed, for the caller to publish."""
    with keep_random_state():
        _write_directory(request, root, registry, uri=uri)
        write_manifest(root)
        # Before it is published: from then on somebody else may replace it.
        return describe(open_model(root, verify=False), registry)


# -- writing ---------------------------------------------------------------------------------------------------------


def _write_directory(request: SaveRequest, root: Path, registry: FlavorRegistry, *, uri: str) -> None:
    flavor, request = request.flavor, replace(request, example=read_whole(request.example))
    known: Schema | Signature | None = None
    if isinstance(request.signature, EllipsisType):
        known = flavor.infer_input_schema(request.model)
        if flavor.name != PYFUNC:  # a Python model may well take lists
            request = replace(request, example=rows_as_array(request.example))
    code = copy_code(request.code_paths, root)
    example = write_example(request.example, root) if request.example is not None else None
    signature = declared_signature(request, known)
    _check_own_example(request, signature)
    section = _write_native(request, root, signature, example)
    sections = _sections(flavor, section, code)
    draft = _Draft(request=request, root=root, sections=sections, example=example, created=datetime.now(UTC))
    if signature is not None and not isinstance(request.model, str | None):
        check_methods(signature, flavor.methods(request.model), draft.model_file(None).default_method)
    reasons = code_reasons(draft.opened(None, ""), flavor)
    golden, watch = None, ImportWatch()
    if example is not None:
        # The code is trusted, as it is the caller's own; where there is none, nothing is its import.
        with watch.watching() if reasons else nullcontext():
            signature, golden = _prove(draft, example, signature, registry, watch, trust=bool(reasons), uri=uri)
    size = sum((root / name).stat().st_size for name in list_files(root))
    environment = _capture(draft, code, reasons, watch)
    write_environment(environment, root)
    facts = {**_facts(draft, environment, golden), **feature_names(signature, known)}
    model_file = draft.model_file(signature, size=size, facts=facts)
    (root / MODEL_FILE).write_text(model_file.to_yaml(), encoding="utf-8")


def _write_native(
    request: SaveRequest, root: Path, signature: Signature | None, example: ExampleInfo | None
) -> dict[str, Any]:
    flavor = request.flavor
    options = replace(request.options, signature=signature, example=_as_predicted_on(root, example, signature))
    with as_unsupported(request.model, flavor, root, f"write it as {options.format}"):
        return flavor.save_model(request.model, root, options)


def _sections(flavor: Flavor, section: dict[str, Any], code: str | None) -> dict[str, dict[str, Any]]:
    common = {
        "env": dict(ENVIRONMENT_FILES),
        "python_version": platform.python_version(),
    }
    if flavor.name == PYFUNC:
        return {PYFUNC: {**common, **section, "code": code}}
    sections = {flavor.name: {**section, "code": code}}
    pyfunc = flavor.pyfunc_section(section)
    if pyfunc is not None:
        sections[PYFUNC] = {**common, **pyfunc, **({"code": code} if code else {})}
    return sections


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A directory that is being written."""

    request: SaveRequest
    root: Path
    sections: Mapping[str, Mapping[str, Any]]
    example: ExampleInfo | None
    created: datetime

    def model_file(
        self, signature: Signature | None, *, size: int = 0, facts: Mapping[str, Any] | None = None
    ) -> ModelFile:
        """Return the MLmodel document; drafts without facts serve to load the model back."""
        return build_model_file(
            flavors=self.sections,
            signature=signature,
            model_uuid=uuid.uuid4().hex,
            utc_time_created=self.created,
            model_size_bytes=size,
            run_id=self.request.run_id,
            metadata=self.request.metadata,
            example_info=self.example.info if self.example else None,
            palate=facts or {"format": FORMAT_VERSION, "flavor": self.request.flavor.name},
        )

    def opened(self, signature: Signature | None, uri: str) -> OpenedModel:
        """Return the unfinished directory as the loader sees a finished one."""
        return OpenedModel(uri=uri, path=self.root, model_file=self.model_file(signature), manifest=None, seal=None)


# -- signature and proof ---------------------------------------------------------------------------------------------


def _prove(
    draft: _Draft,
    example: ExampleInfo,
    signature: Signature | None,
    registry: FlavorRegistry,
    watch: ImportWatch,
    *,
    trust: bool,
    uri: str,
) -> tuple[Signature | None, Golden]:
    """Load the model back and predict on the stored example: the outputs, and the golden predictions."""
    request, opened = draft.request, draft.opened(signature, uri)
    # What the caller allowed at save holds for the proof: sklearn's allow=, say, is asked for on both sides.
    options = {key: value for key, value in request.options.extra.items() if key in request.flavor.load_options}
    loaded = construct(opened, trust=trust, asked=request.flavor.name, registry=registry, options=options, watch=watch)
    if not loaded.methods:
        return signature, Golden(skipped="the model predicts nothing")
    prepared = prepare_original(opened, request.model, request.flavor, registry=registry, options=options)
    original = adapt_original(opened, request.model, request.flavor, signature=signature, prepared=prepared)
    inputs = signature.inputs if signature else None
    predictions, golden = record_golden(
        draft.root, loaded, original, lambda: read_example(draft.root, example.info, inputs), uri=uri
    )
    _check_rows(draft, example, predictions, prepared)
    if signature is not None:
        declared = not isinstance(request.signature, EllipsisType)
        read = partial(_read_data, draft.root, example, inputs)
        signature = with_outputs(signature, predictions, loaded, read, declared=declared)
    return signature, golden


def _read_data(root: Path, example: ExampleInfo, inputs: Schema | None) -> object:
    stored = read_example(root, example.info, inputs)
    assert stored is not None  # this version wrote it
    return stored[0]


def _as_predicted_on(root: Path, example: ExampleInfo | None, signature: Signature | None) -> object:
    """Return the example as the model will be given it: read back, and converted as its signature says."""
    if example is None:
        return None
    inputs = signature.inputs if signature else None
    from_type_hints = bool(signature and signature.from_type_hints)
    return compile_inputs(inputs, from_type_hints=from_type_hints).enforce(_read_data(root, example, inputs))


def _check_own_example(request: SaveRequest, signature: Signature | None) -> None:
    """Refuse a signature that the example itself does not fit; the stored one has been through JSON."""
    if signature is None or signature.inputs is None or request.example is None:
        return
    data, _ = split_example(request.example)
    try:
        compile_inputs(signature.inputs, from_type_hints=signature.from_type_hints).enforce(data)
    except InvalidInput as exc:
        raise InvalidExample(exc.problems) from exc


def _check_rows(draft: _Draft, example: ExampleInfo, predictions: object, prepared: object) -> None:
    """Refuse an example that is stored in another container, if the model takes that one for other rows.

    A Series of texts is stored as a frame of one column, which a vectorizer reads as one text: the column's name.
    """
    request = draft.request
    data = request.example[0] if isinstance(request.example, tuple) else request.example
    if data is example.data:
        return
    opened = draft.opened(None, "")
    unchecked = adapt_original(opened, request.model, request.flavor, signature=None, prepared=prepared)
    try:
        direct = unchecked.predict(deepcopy(data))
    except Exception:  # the native model does not take this container
        return
    rows, stored = _count_rows(direct), _count_rows(predictions)
    if rows is not None and stored is not None and rows != stored:
        message = (
            f"the model makes {rows} predictions of it, and {stored} of the {type(example.data).__name__} that it is "
            "stored as. Hint: give an ndarray, such as series.to_numpy()"
        )
        raise InvalidExample([Problem((), "wrong_value", message)])


def _count_rows(predictions: object) -> int | None:
    shape = getattr(predictions, "shape", None)
    if isinstance(shape, tuple):
        return int(shape[0]) if shape else None
    return len(predictions) if isinstance(predictions, list) else None


# -- what surrounds the model ----------------------------------------------------------------------------------------


def _capture(draft: _Draft, code: str | None, reasons: Sequence[CodeReason], watch: ImportWatch) -> Environment:
    request, root = draft.request, draft.root
    carried = [root / reason.file for reason in reasons if (root / reason.file).is_file()]
    sources = [file for file in carried if file.suffix == ".py"]
    if code:
        sources += sorted((root / code).rglob("*.py"))
    pickled = set().union(*(pickle_modules(file) for file in carried if file.suffix != ".py"))
    own_modules = top_level_names(root, code)
    _refuse_lost_references(request.model, pickled, own_modules)
    imported = source_imports(sources) | object_imports(request.model) | _container_packages(request.example)
    environment = capture_environment(
        Evidence(
            flavor_requirements=request.flavor.requirements(request.model, request.options),
            modules=frozenset(pickled | imported),
            observed=watch.names,
            own_modules=frozenset(own_modules),
        ),
        requirements=request.requirements,
        extra_requirements=request.extra_requirements,
        project=_project(request),
    )
    for warning in environment.warnings:
        warn_caller(warning)
    return environment


def _project(request: SaveRequest) -> Path:
    """Return where the code that made the model lies, as far as anybody can tell."""
    return request.code_paths[0] if request.code_paths else Path.cwd()


def _refuse_lost_references(model: object, pickled: set[str], own_modules: set[str]) -> None:
    """Refuse a pickle that refers to modules which only this machine, or only this process, has."""
    lost = ["__main__"] if "__main__" in pickled else find_providers(pickled, own_modules)[1]
    if lost:
        names = ", ".join(lost)
        raise UnsupportedModel(
            type(model).__qualname__,
            reason=f"it refers to code that is neither installed nor in the model: {names}",
            hint="use format='cloudpickle', or move the class out of the main script into a file for code_paths=[...]"
            if lost == ["__main__"]
            else f"pass code_paths=[...] with the file or the package that is imported as {names}",
        )


def _container_packages(example: object) -> set[str]:
    """A model that is given frames needs the package that frames are of."""
    data, _ = split_example(example)
    return {cls.__module__.partition(".")[0] for cls in type(data).__mro__} - {"builtins"}


def _facts(draft: _Draft, environment: Environment, golden: Golden | None) -> dict[str, Any]:
    """The ``palate:`` section: what MLflow's format has no place for."""
    request = draft.request
    source = find_source(_project(request))
    facts: dict[str, Any] = {
        "format": FORMAT_VERSION,
        "writer": f"palate {distributions.version('palate')}",
        "flavor": request.flavor.name,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    if source is not None:
        facts["source"] = {"commit": source.commit, "dirty": source.dirty}
    facts.update(environment_facts(environment))
    if golden is not None:
        facts["golden"] = golden.to_dict()
    return facts
