"""What an installed distribution says of itself: its name, its version, and where it came from (PEP 610)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from palate._environment.dependencies import metadata_field, name_of
from palate._environment.requirements import parse_requirement
from palate.errors import InvalidRequirement

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["Origin", "Package", "describe_distribution", "public_version", "source_folder"]

Origin = Literal["index", "git", "wheel", "editable", "elsewhere"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An installed distribution.

    Attributes:
        name: its normalised name.
        version: as it is installed, a local label included.
        requirement: what to give pip to get it again.
        origin: an index, a commit of a git repository that others can fetch, a wheel file of this machine, a folder
            that it is installed in place from, or elsewhere: a folder, a source archive, an address.
        label: the local label of its version, such as ``cpu``, which *requirement* goes without.
        wheel: the file that it was installed from, if *origin* is a wheel; it may be gone.
        sha256: of that file, if it is recorded.
    """

    name: str
    version: str
    requirement: str
    origin: Origin = "index"
    label: str | None = None
    wheel: Path | None = None
    sha256: str | None = None

    @property
    def published(self) -> bool:
        """Whether *requirement* names something that other machines can fetch."""
        return self.origin in ("index", "git")


def describe_distribution(distribution: Distribution) -> Package:
    """Return what *distribution* says of itself."""
    name = name_of(distribution)
    version = metadata_field(distribution, "Version")
    record = _direct_url(distribution)
    fetched = _git_requirement(name, record)
    origin: Origin = "git" if fetched else _origin(record)
    return Package(
        name=name,
        version=version,
        requirement=fetched or f"{name}{public_version(version)}",
        origin=origin,
        label=None if fetched else _local_label(version),
        wheel=_local_path(record) if origin == "wheel" else None,
        sha256=_recorded_hash(record) if origin == "wheel" else None,
    )


def public_version(version: str) -> str:
    """Return the specifier that pins *version*, as an index may have it."""
    from packaging.version import InvalidVersion, Version

    try:
        # A local label (2.13.0+cpu) names a build that the index does not have.
        return f"=={Version(version).public}"
    except InvalidVersion:
        return f"==={version}"


def _local_label(version: str) -> str | None:
    label = version.partition("+")[2]
    return label if label and not public_version(version).startswith("===") else None


# -- PEP 610 -------------------------------------------------------------------------------------------------------


def _direct_url(distribution: Distribution) -> Mapping[str, Any]:
    """Return the record of where a distribution came from; empty for one from an index."""
    try:
        record = json.loads(distribution.read_text("direct_url.json") or "{}")
        urlsplit(str(record["url"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _git_requirement(name: str, record: Mapping[str, Any]) -> str | None:
    """Return ``name @ git+https://…@commit`` when another machine could fetch it, else None."""
    vcs = record.get("vcs_info")
    if not isinstance(vcs, dict) or vcs.get("vcs") != "git":
        return None
    url = urlsplit(str(record.get("url")))
    # Whoever installs it has their own credentials; ssh needs a user, and every host calls it git.
    user = "git@" if url.scheme == "ssh" else ""
    place = url.netloc.rpartition("@")[2]
    folder = f"#subdirectory={record['subdirectory']}" if record.get("subdirectory") else ""
    line = f"{name} @ git+{url.scheme}://{user}{place}{url.path}@{vcs.get('commit_id')}{folder}"
    try:
        return str(parse_requirement(line))
    except InvalidRequirement:
        return None  # a folder of this machine, an abbreviated commit: nothing that others could fetch


def _origin(record: Mapping[str, Any]) -> Origin:
    if not record:
        return "index"
    folder, path = record.get("dir_info"), _local_path(record)
    if isinstance(folder, dict) and folder.get("editable") is True:
        return "editable"
    return "wheel" if "archive_info" in record and path is not None and path.suffix == ".whl" else "elsewhere"


def _local_path(record: Mapping[str, Any]) -> Path | None:
    url = urlsplit(str(record.get("url")))
    return Path(unquote(url.path)) if url.scheme == "file" and url.path else None


def _recorded_hash(record: Mapping[str, Any]) -> str | None:
    archive = record.get("archive_info")
    hashes = archive.get("hashes") if isinstance(archive, dict) else None
    if isinstance(hashes, dict) and isinstance(hashes.get("sha256"), str):
        return str(hashes["sha256"]).lower()
    # The form before PEP 610 was amended.
    algorithm, _, digest = str(archive.get("hash") if isinstance(archive, dict) else "").partition("=")
    return digest.lower() if algorithm == "sha256" else None


def source_folder(distribution: Distribution) -> Path | None:
    """Return the folder of this machine that *distribution* was installed from, or None."""
    record = _direct_url(distribution)
    path = _local_path(record)
    return path.resolve() if path is not None and "dir_info" in record else None
