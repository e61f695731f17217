"""What an opened model asks for, narrowed to what an installer may be given."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from palate._disk.manifest import Manifest
from palate._disk.paths import confine, open_plain, read_small
from palate._environment.declared import IndexOptions
from palate._environment.environment import ENVIRONMENT_FILES
from palate._environment.lock import LOCK_FILE, WHEELS_FOLDER, Lock, read_pylock
from palate._environment.recorded import is_mlflow, read_recorded
from palate._environment.requirements import CONSTRAINTS_FILE, REQUIREMENTS_FILE, normalise_name
from palate._opening import OpenedModel
from palate.errors import InvalidModelFile, InvalidRequirement, ModelChanged, Problem

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["PYTHON_VERSION", "CarriedWheel", "Wanted", "read_wanted"]

# As `python --version` says it; what stands here is given to programs.
PYTHON_VERSION: Final = re.compile(r"\d{1,2}\.\d{1,3}(?:\.\d{1,3})?(?:(?:a|b|rc)\d{1,3})?\+?", re.ASCII)

_FILES: Final = (REQUIREMENTS_FILE, CONSTRAINTS_FILE, *ENVIRONMENT_FILES.values(), LOCK_FILE)
_MAX_FILE_BYTES: Final = 4 << 20
_WHEEL: Final = re.compile(rf"{WHEELS_FOLDER}/[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl")
_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9][!#-;=?-~]*")


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
    flavor: str
    python: str | None
    requirements: tuple[Requirement, ...]
    left_out: tuple[str, ...]
    constraints: tuple[Requirement, ...]
    lock: Lock | None
    carried: tuple[CarriedWheel, ...]
    index_options: IndexOptions
    takes_tables: bool


def read_wanted(opened: OpenedModel) -> Wanted:
    """Return what an opened model asks for; the files that say it are held against its manifest.

    Raises:
        InvalidRequirement: a line is not one plain requirement.
        InvalidModelFile: another file is not what it should be.
        UnsafePath, ModelChanged: a wheel is named that is none of the model's own.
    """
    if opened.manifest is not None:
        _check_files(opened.path, opened.manifest)
    stated = (opened.model_file.pyfunc or {}).get("python_version")
    recorded = read_recorded(opened.path, python=stated if isinstance(stated, str) else None)
    for refused in recorded.refused:
        raise InvalidRequirement(refused.line, reason=f"{refused.reason} ({refused.file})")
    details = _environment_section(opened)
    signature = opened.model_file.signature
    left_out = [line for line in recorded.requirements if is_mlflow(line)] if not opened.model_file.palate else []
    inputs = signature.inputs if signature else None
    return Wanted(
        uri=opened.uri,
        path=opened.path,
        flavor=opened.flavor_name(),
        python=_check_version(recorded.python),
        requirements=tuple(line for line in recorded.requirements if line not in left_out),
        left_out=tuple(map(str, left_out)),
        constraints=recorded.constraints,
        lock=_read_lock(opened.path),
        carried=tuple(_read_carried(opened, details.get("wheels"))),
        index_options=_read_options(details.get("index_options")),
        takes_tables=inputs is not None and not inputs.is_tensor,
    )


def _check_files(path: Path, manifest: Manifest) -> None:
    listed = {file.name for file in manifest.files}
    for name in _FILES:
        if name in listed:
            manifest.check_content(path, name, read_small(confine(path, name, field="the model"), _MAX_FILE_BYTES))
        elif (path / name).exists():
            raise ModelChanged(str(path), extra=[name])


def _invalid(key: str, message: str, *, source: str = "MLmodel") -> InvalidModelFile:
    where = ("palate", "environment", key) if source == "MLmodel" else (key,)
    return InvalidModelFile([Problem(where, "wrong_value", message)], source=source)


def _check_version(version: str | None) -> str | None:
    if version is not None and not PYTHON_VERSION.fullmatch(version):
        raise _invalid("python", f"{version!r:.60} is no version of Python", source=ENVIRONMENT_FILES["virtualenv"])
    return version


def _environment_section(opened: OpenedModel) -> Mapping[str, object]:
    section = opened.model_file.palate.get("environment")
    return section if isinstance(section, Mapping) else {}


def _read_lock(path: Path) -> Lock | None:
    if not (path / LOCK_FILE).exists():
        return None
    return read_pylock(read_small(confine(path, LOCK_FILE, field="the model"), _MAX_FILE_BYTES))


def _read_carried(opened: OpenedModel, wheels: object) -> Iterator[CarriedWheel]:
    if wheels is None:
        return
    if not isinstance(wheels, Mapping):
        raise _invalid("wheels", "has to lead from packages to files")
    known = {file.name: file.sha256 for file in opened.manifest.files} if opened.manifest else {}
    for name, relative in sorted(wheels.items(), key=str):
        named = normalise_name(str(name))
        if not isinstance(relative, str) or not _WHEEL.fullmatch(relative):
            raise _invalid("wheels", f"{relative!r:.80} is not the name of a wheel in '{WHEELS_FOLDER}/'")
        if normalise_name(Path(relative).name.partition("-")[0]) != named:
            raise _invalid("wheels", f"{relative!r:.80} is a wheel of another package than {named!r:.80}")
        path = confine(opened.path, relative, field="palate.environment.wheels")
        with open(open_plain(path), "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != known.get(relative, digest):
            raise ModelChanged(opened.uri, changed=[relative])
        yield CarriedWheel(name=named, path=path, sha256=digest)


def _read_options(options: object) -> IndexOptions:
    if options is None:
        return IndexOptions()
    if not isinstance(options, Mapping):
        raise _invalid("index_options", "has to be a mapping")
    index = _addresses([options["index_url"]]) if options.get("index_url") is not None else ()
    extra, links = (_addresses(options.get(key, ())) for key in ("extra_index_urls", "find_links"))
    return IndexOptions(index_url=index[0] if index else None, extra_index_urls=extra, find_links=links)


def _addresses(given: object) -> tuple[str, ...]:
    if not isinstance(given, list | tuple):
        raise _invalid("index_options", "has to have lists of addresses")
    for address in given:
        if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
            raise _invalid("index_options", f"{address!r:.80} is no http:// or https:// address")
    return tuple(given)
