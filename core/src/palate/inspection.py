"""Looking at a model without opening it: nothing of it is imported and nothing is run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from palate._disk.column_facts import column_facts
from palate._disk.manifest import SIGNATURE_FILE
from palate._disk.method_facts import method_facts
from palate._disk.paths import list_files, read_small
from palate._environment.admission import pinned_version
from palate._environment.facts import RecordedFacts, read_facts
from palate._environment.lock import Lock
from palate._environment.recorded import RecordedEnvironment, RefusedLine, read_recorded_lock
from palate._environment.requirements import MAX_LINES, REQUIREMENTS_FILE, parse_requirement
from palate._opened import OpenedModel, open_model
from palate._opening import code_reasons
from palate._registry import FlavorRegistry, default_registry
from palate.errors import (
    CodeReason,
    FlavorBlocked,
    FlavorBroken,
    FlavorConflict,
    FlavorNotFound,
    InvalidOption,
    InvalidRequirement,
    ModelChanged,
)
from palate.hookspecs import Guarantees
from palate.locations import Location, read_one_model
from palate.signature import Signature

__all__ = ["FOLDER_PURPOSES", "PURPOSES", "FileEntry", "ModelInfo", "describe", "inspect_model"]

REQUIREMENTS_LIMIT = 1 << 20
PURPOSES = {
    "MLmodel": "what the model is: flavors, signature, versions (YAML; stock MLflow reads it too)",
    "MANIFEST.json": "every file's size and SHA-256; their digest is the model's identity",
    "requirements.txt": "the pip packages that the model needs",
    "python_env.yaml": "the Python version and build tools, for virtual environments",
    "conda.yaml": "the same environment for conda",
    "constraints.txt": "bounds on the versions of what the packages in requirements.txt bring along",
    "pylock.toml": "the exact files of all packages by hash, from the lock of the project (PEP 751)",
    "input_example.json": "an input that the model predicts on",
    "serving_input_example.json": "the same input as a request body",
    "golden_predictions.json": "what the model predicted on it when it was saved; 'palate verify' replays it",
    "registered_model_meta": "a note that MLflow's registry adds when it downloads a model",
    SIGNATURE_FILE: "who says that these are the model's files; 'palate verify --key' checks it",
    "environment_variables.txt": "names of environment variables that the model reads",
}
FOLDER_PURPOSES = {
    "code": "Python code that the model needs",
    "artifacts": "a file that the model reads",
    "wheels": "a package that the model needs and no index has to have",
    "extra_files": "a file kept with the model",
    "metadata": "a copy of the model's description",
}
NO_GUARANTEES = Guarantees(no_code=False, memory_safe=False, bounded=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file of a model directory: its path there, its size in bytes, and what it is for."""

    name: str
    size: int
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What can be known of a model without running any of it.

    Attributes:
        uri: what was asked for.
        path: the model directory; of a model in one file, the copy of it that is kept unpacked.
        name: what it is called where it is kept under a name, as in a store.
        version: which of that name it is.
        flavor: the flavor that opens it.
        flavors: all flavors that its MLmodel names.
        signature: inputs, outputs and params, or None.
        digest: the SHA-256 identity from MANIFEST.json, or None for a directory without one, as MLflow writes them.
        verified: whether the files were checked against MANIFEST.json just now.
        signed: whether a signature comes with it; whose it is, ``verify_model`` tells.
        trust_needed: whether loading needs ``trust=True``; None when the flavor's plugin is not usable here.
        reasons: the code that loading would run.
        guarantees: what holds when it is opened without trust, whoever made it; None when the flavor does not say.
        plugin_problem: why the flavor's plugin cannot be used here, or None.
        fork_after_load: whether a process may fork once the model is open; None when the plugin cannot be asked.
        default_method: the method that ``predict`` calls, as far as the directory says.
        files: every file, with its purpose.
        python_version: the version of Python that the model asks for, or None.
        requirements: the lines of requirements.txt, or else what conda.yaml hands on to pip.
        constraints: the bounds of constraints.txt, where requirements.txt names it.
        locked_packages: how many packages pylock.toml has; None without one that can be used.
        golden: whether golden predictions are stored, or why not.
        notes: other facts worth showing, such as a file that MLflow added.
    """

    uri: str
    path: Path
    name: str | None
    version: str | None
    flavor: str
    flavors: tuple[str, ...]
    signature: Signature | None
    digest: str | None
    verified: bool
    signed: bool
    trust_needed: bool | None
    reasons: tuple[CodeReason, ...]
    guarantees: Guarantees | None
    plugin_problem: str | None
    fork_after_load: bool | None
    default_method: str
    files: tuple[FileEntry, ...]
    python_version: str | None
    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    locked_packages: int | None
    golden: str
    notes: tuple[str, ...]
    model_uuid: str | None
    run_id: str | None
    created: str | None
    mlflow_version: str | None
    writer: str | None
    source: Mapping[str, Any] | None
    metadata: Mapping[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "path": str(self.path),
            "signature": _signature_data(self.signature) if self.signature else None,
            "reasons": [asdict(reason) for reason in self.reasons],
            "guarantees": asdict(self.guarantees) if self.guarantees else None,
            "files": [asdict(file) for file in self.files],
        }


def _signature_data(signature: Signature) -> dict[str, Any]:
    besides = {"facts": column_facts(signature), "methods": method_facts(signature)}
    return {**signature.to_dict(), **{name: facts for name, facts in besides.items() if facts}}


def inspect_model(uri: str | PathLike[str] | Location, *, verify: bool = True) -> ModelInfo:
    """Describe the model at *uri*: import nothing of it, run nothing.

    Raises:
        ModelNotFound, ModelChanged, InvalidModelFile: see ``load_model``.
    """

    def read(location: Location) -> ModelInfo:
        return describe(open_model(location, verify=verify), default_registry())

    return read_one_model(uri, read, is_whole=lambda _: False)


def describe(opened: OpenedModel, registry: FlavorRegistry) -> ModelInfo:
    """Describe an opened model."""
    model_file, name = opened.model_file, opened.flavor_name()
    safety = _safety(opened, registry, name)
    palate = model_file.palate
    recorded, lock = opened.read_environment(), read_recorded_lock(opened.path)
    requirements = _requirements(opened.path, recorded)
    return ModelInfo(
        uri=opened.uri,
        path=opened.path,
        name=opened.place.name,
        version=opened.place.version,
        flavor=name,
        flavors=tuple(model_file.flavors),
        signature=model_file.signature,
        digest=opened.digest,
        verified=opened.seal is not None,
        signed=opened.signed,
        trust_needed=bool(safety.reasons) if safety.plugin_problem is None else None,
        reasons=safety.reasons,
        guarantees=safety.guarantees,
        plugin_problem=safety.plugin_problem,
        fork_after_load=safety.fork_after_load,
        default_method=model_file.default_method,
        files=_files(opened, name),
        python_version=recorded.python,
        requirements=requirements,
        constraints=tuple(map(str, recorded.constraints)),
        locked_packages=len(lock.packages) if isinstance(lock, Lock) else None,
        golden=_golden_state(palate.get("golden")),
        notes=(*_notes(opened, requirements), *_unusable_notes(recorded, lock)),
        model_uuid=model_file.model_uuid,
        run_id=model_file.run_id,
        created=model_file.utc_time_created,
        mlflow_version=model_file.mlflow_version,
        writer=palate.get("writer"),
        source=palate.get("source"),
        metadata=model_file.metadata,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Safety:
    """What the flavor says of opening the directory."""

    reasons: tuple[CodeReason, ...] = ()
    guarantees: Guarantees | None = None
    plugin_problem: str | None = None
    fork_after_load: bool | None = None


def _safety(opened: OpenedModel, registry: FlavorRegistry, name: str) -> _Safety:
    try:
        flavor = registry.get(name)
        reasons = code_reasons(opened, flavor)
        # Code can do anything, so a flavor is not even asked what holds nevertheless.
        stated = NO_GUARANTEES if reasons else flavor.guarantees(opened.path, opened.config(name))
        return _Safety(reasons=reasons, guarantees=stated, fork_after_load=flavor.fork_after_load)
    except (FlavorNotFound, FlavorBlocked, FlavorBroken, FlavorConflict, InvalidOption) as exc:
        return _Safety(plugin_problem=str(exc))


def _files(opened: OpenedModel, flavor: str) -> tuple[FileEntry, ...]:
    native = {str(value) for value in opened.model_file.flavors.get(flavor, {}).values() if isinstance(value, str)}
    entries = []
    for name in list_files(opened.path):
        top = name.partition("/")[0]
        purpose = PURPOSES.get(name) or FOLDER_PURPOSES.get(top)
        if purpose is None:
            purpose = f"the model itself, as {flavor} keeps it" if native & {name, top} else "data of the model"
        entries.append(FileEntry(name=name, size=_size(opened.path, name), purpose=purpose))
    return tuple(entries)


def _size(root: Path, name: str) -> int:
    try:
        return os.lstat(root / name).st_size
    except OSError as exc:
        raise ModelChanged(str(root), missing=[name], cause="It was there a moment ago.") from exc


def _requirements(path: Path, recorded: RecordedEnvironment) -> tuple[str, ...]:
    file = path / REQUIREMENTS_FILE
    if not os.path.lexists(file):
        return tuple(map(str, recorded.requirements))
    text = read_small(file, REQUIREMENTS_LIMIT).decode("utf-8", "replace")
    return tuple(line for line in text.splitlines() if line.strip())


def _golden_state(recorded: Mapping[str, Any] | None) -> str:
    if recorded is None:
        return "none: saved without an input example"
    return f"none: {recorded['skipped']}" if recorded.get("skipped") else "stored"


def _notes(opened: OpenedModel, requirements: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if opened.seal is not None and opened.seal.added_by_mlflow:
        notes.append(f"MLflow added {', '.join(opened.seal.added_by_mlflow)}")
    if opened.model_file.pyfunc is None:
        notes.append("it has no python_function section, so mlflow.pyfunc cannot open it")
    if opened.model_file.signature is None:
        notes.append("no signature: inputs are passed on unchecked")
    if loose := [line for line in requirements[:MAX_LINES] if _is_loose(line)]:
        notes.append(f"requirements that another day may be met by another version: {', '.join(loose)}")
    return (*notes, *_environment_notes(read_facts(opened.model_file.palate)))


def _is_loose(line: str) -> bool:
    """Whether a line of requirements.txt pins neither a version nor a commit."""
    try:
        requirement = parse_requirement(line)
    except InvalidRequirement:
        return not line.startswith("-")
    return requirement is not None and not requirement.url and pinned_version(requirement) is None


def _environment_notes(facts: RecordedFacts) -> Iterator[str]:
    if facts.unresolved:
        yield f"modules that no installed distribution provided: {', '.join(facts.unresolved)}"
    if facts.unpublished:
        names = ", ".join(facts.unpublished)
        yield f"packages that were installed from a place of their own, where pip cannot find them again: {names}"
    if facts.local_labels:
        names = ", ".join(f"{name} (+{label})" for name, label in facts.local_labels.items())
        yield f"requirements.txt goes without the local labels of what was installed: {names}"
    if options := facts.index_options.to_dict():
        places = ", ".join(f"{key} {value}" for key, value in options.items())
        yield f"it names package indexes, which are not used unless you say so: {places}"
    if facts.problems:
        yield f"of its environment, MLmodel says what cannot be used: {'; '.join(map(str, facts.problems))}"


def _unusable_notes(recorded: RecordedEnvironment, lock: Lock | RefusedLine | None) -> Iterator[str]:
    if recorded.no_python is not None:
        yield f"the Python that it asks for is no version: {recorded.no_python!r:.60}"
    for refused in recorded.refused:
        told = refused.file if refused.line is None else f"a line of {refused.file}, {refused.line!r:.60},"
        yield f"{told} cannot be used: {refused.reason}"
    if isinstance(lock, RefusedLine):
        yield f"its {lock.file} cannot be used: {lock.reason}"
