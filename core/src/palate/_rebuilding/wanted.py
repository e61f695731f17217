"""What an opened model asks for, narrowed to what an installer may be given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from palate._disk.manifest import check_content
from palate._disk.manifest_document import Manifest
from palate._disk.paths import confine, open_plain, read_small
from palate._environment.declared import Declaration, IndexOptions
from palate._environment.environment import ENVIRONMENT_FILES
from palate._environment.facts import read_facts
from palate._environment.lock import LOCK_FILE, Lock
from palate._environment.pylock import LARGEST_LOCK
from palate._environment.recorded import read_lock
from palate._environment.requirements import CONSTRAINTS_FILE, REQUIREMENTS_FILE, applies
from palate._opened import OpenedModel
from palate.errors import InvalidModelFile, InvalidRequirement, ModelChanged, Problem

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["CarriedWheel", "Wanted", "narrow_declaration", "narrow_lock", "read_wanted"]

_FILES: Final = (REQUIREMENTS_FILE, CONSTRAINTS_FILE, *ENVIRONMENT_FILES.values(), LOCK_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedWheel:
    """A wheel that comes with the model, for a package that no index has."""

    name: str
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The environment of one model.

    Attributes:
        uri: the model.
        path: its directory.
        title: what to call it, where its directory or its file is to be named.
        place: where another process finds it later.
        flavor: the flavor that opens it.
        python: the version of Python, or None where nothing says it.
        requirements: what has to be installed.
        left_out: the lines for itself that MLflow writes into each of its directories, which Palate opens without it.
        constraints: bounds on what else gets installed.
        lock: the exact files of a project's lock, or None.
        carried: wheels that come with the model.
        index_options: where its packages were fetched from; used only if the caller says so.
        takes_tables: whether it is given tables, which need pandas.
    """

    uri: str
    path: Path
    title: str
    place: str
    flavor: str
    python: str | None
    requirements: tuple[Requirement, ...]
    left_out: tuple[str, ...]
    constraints: tuple[Requirement, ...]
    lock: Lock | None
    carried: tuple[CarriedWheel, ...]
    index_options: IndexOptions
    takes_tables: bool

    def where(self, markers: Mapping[str, str]) -> Wanted:
        """Return what counts where PEP 508's variables are those of *markers*, or else as here."""
        return replace(
            self,
            requirements=_narrow(self.requirements, markers),
            constraints=_narrow(self.constraints, markers),
            lock=None if self.lock is None else narrow_lock(self.lock, markers),
        )


def read_wanted(opened: OpenedModel) -> Wanted:
    """Return what an opened model asks for; the files that say it are held against its manifest.

    Raises:
        InvalidRequirement: a line is not one plain requirement.
        InvalidModelFile: another file is not what it should be.
        UnsafePath, ModelChanged: a wheel is named that is none of the model's own.
    """
    if opened.manifest is not None:
        _check_files(opened.path, opened.manifest)
    recorded = opened.read_environment()
    for refused in recorded.refused:
        raise InvalidRequirement(
            refused.line or refused.file,
            reason=f"{refused.reason} ({refused.file})",
            hint="have the model saved again with one 'name==version' per line, and without pip options",
        )
    if recorded.no_python is not None:
        problem = Problem(("python",), "wrong_value", f"{recorded.no_python!r:.60} is no version of Python")
        raise InvalidModelFile([problem], source=ENVIRONMENT_FILES["virtualenv"])
    facts = read_facts(opened.model_file.palate)
    if facts.problems:
        raise InvalidModelFile(facts.problems)
    signature = opened.model_file.signature
    inputs = signature.inputs if signature else None
    return Wanted(
        uri=opened.uri,
        path=opened.path,
        title=opened.place.title,
        place=opened.place.lasting or str(opened.path),
        flavor=opened.flavor_name(),
        python=recorded.python,
        requirements=recorded.requirements,
        left_out=tuple(map(str, recorded.left_out)),
        constraints=recorded.constraints,
        lock=read_lock(opened.path),
        carried=tuple(_read_carried(opened, facts.wheels)),
        index_options=facts.index_options,
        takes_tables=inputs is not None and not inputs.is_tensor,
    )


def _check_files(path: Path, manifest: Manifest) -> None:
    listed = {file.name for file in manifest.files}
    for name in _FILES:
        if name in listed:
            check_content(path, manifest, name, read_small(confine(path, name, field="the model"), LARGEST_LOCK))
        elif (path / name).exists():
            raise ModelChanged(str(path), extra=[name])


def _read_carried(opened: OpenedModel, wheels: Mapping[str, str]) -> Iterator[CarriedWheel]:
    known = {file.name: file.sha256 for file in opened.manifest.files} if opened.manifest else {}
    for name, relative in sorted(wheels.items()):
        path = confine(opened.path, relative, field="palate.environment.wheels")
        with open(open_plain(path), "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != known.get(relative, digest):
            raise ModelChanged(opened.uri, changed=[relative])
        yield CarriedWheel(name=name, path=path, sha256=digest)


def narrow_declaration(declared: Declaration, markers: Mapping[str, str]) -> Declaration:
    """Return what of a declaration counts where PEP 508's variables are those of *markers*."""
    return replace(
        declared,
        requirements=_narrow(declared.requirements, markers),
        constraints=_narrow(declared.constraints, markers),
    )


def _narrow(requirements: Iterable[Requirement], markers: Mapping[str, str]) -> tuple[Requirement, ...]:
    """Return those of *requirements* whose marker holds, without it."""
    from packaging.requirements import Requirement

    kept = []
    for requirement in requirements:
        if applies(requirement, markers):
            plain = Requirement(str(requirement))
            plain.marker = None
            kept.append(plain)
    return tuple(kept)


def narrow_lock(lock: Lock, markers: Mapping[str, str]) -> Lock:
    """Return a lock of those packages whose marker holds, without it."""
    return replace(lock, packages=tuple(replace(p, marker=None) for p in lock.packages if p.applies(markers)))
