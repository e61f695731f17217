"""The environments that are kept: which there are, and how to be rid of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from palate._rebuilding.places import cache_folder, cached_environments, held, read_description, remove_place
from palate.errors import InvalidOption

__all__ = ["CachedEnvironment", "list_environments", "remove_environment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedEnvironment:
    """An environment in the cache.

    Attributes:
        name: of its folder; the beginning of its digest.
        directory: its folder.
        whole: whether it was built to the end; false while it is being built, or where that was cut short.
        python_version: of its interpreter; None where it is not whole, as all of the following.
        installer: what built it.
        model: the directory of the model that it was first built for.
        requirements: what that model asked for.
        size: of its files in bytes; those that uv shares with its own cache take no room of their own.
    """

    name: str
    directory: Path
    whole: bool
    python_version: str | None
    installer: str | None
    model: str | None
    requirements: tuple[str, ...]
    size: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {**asdict(self), "directory": str(self.directory)}


def list_environments() -> list[CachedEnvironment]:
    """Return the environments in the cache."""
    return [_describe(directory) for directory in cached_environments(cache_folder(os.environ))]


def remove_environment(name: str) -> Path:
    """Remove one from the cache, by its name or the first letters of it; return where it was.

    A model that runs in it fails sooner or later. One that is being built is waited for.

    Raises:
        InvalidOption: there is none of that name, or several begin like it.
        EnvironmentFailed: something of it cannot be removed.
    """
    folder = cache_folder(os.environ)
    found = [path for path in cached_environments(folder) if name and path.name.startswith(name)]
    if len(found) != 1:
        reason = (
            f"{len(found)} environments begin with {name!r:.60}" if found else f"there is no {name!r:.60} in the cache"
        )
        raise InvalidOption("name", reason=reason, hint="'palate env list' shows their names")
    with held(found[0]):
        remove_place(found[0])
    return found[0]


def _describe(directory: Path) -> CachedEnvironment:
    found = read_description(directory)
    facts: Mapping[str, Any] = found or {}
    requirements = facts.get("requirements")
    return CachedEnvironment(
        name=directory.name,
        directory=directory,
        whole=found is not None,
        python_version=_text(facts, "python"),
        installer=_text(facts, "installer"),
        model=_text(facts, "model"),
        requirements=tuple(map(str, requirements)) if isinstance(requirements, list) else (),
        size=_size(directory),
    )


def _text(facts: Mapping[str, Any], key: str) -> str | None:
    value = facts.get(key)
    return value if isinstance(value, str) else None


def _size(directory: Path) -> int:
    total = 0
    for place, _, files in os.walk(directory):
        for file in files:
            try:
                total += os.lstat(os.path.join(place, file)).st_size
            except OSError:  # removed just now
                continue
    return total
