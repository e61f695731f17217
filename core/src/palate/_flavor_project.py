"""A new flavor's distribution, written from the templates in ``_skeleton``: it works before its author changes it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from string import Template

from packaging.version import Version

from palate._disk.staging import stage
from palate._plugin_sources import ALIASES
from palate._registry import default_registry
from palate._unowned import KNOWN_DISTRIBUTIONS
from palate.errors import InvalidOption, ModelExists, ProjectExists
from palate.hookspecs import HOOK_API

__all__ = ["FlavorProject", "new_flavor"]

# Each file of the distribution, and the template that it is made from.
FILES = {
    ".github/workflows/ci.yml": "ci.yml.txt",
    ".gitignore": "gitignore.txt",
    "README.md": "README.md.txt",
    "pyproject.toml": "pyproject.toml.txt",
    "src/$package/__init__.py": "flavor.py.txt",
    "src/$package/_persistence.py": "persistence.py.txt",
    "src/$package/_samples.py": "samples.py.txt",
    "src/$package/py.typed": "py.typed.txt",
    "src/$standin/__init__.py": "standin.py.txt",
    "src/$standin/py.typed": "py.typed.txt",
    "tests/test_${module}_flavor.py": "contract.py.txt",
}

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_MAX_NAME = 40  # with a longer one, lines of the templates would be wrapped in another way


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavorProject:
    """A distribution that ``new_flavor`` wrote.

    Attributes:
        name: the flavor's name: its entry point, its key in MLmodel, the value of ``flavor=``.
        distribution: what pip calls it, ``palate-my-framework``.
        package: what Python imports, ``palate_my_framework``.
        path: its directory, as it was asked for.
        files: what stands there, relative to *path*, with ``/``.
    """

    name: str
    distribution: str
    package: str
    path: Path
    files: tuple[str, ...]


def new_flavor(name: str, directory: str | os.PathLike[str] = ".") -> FlavorProject:
    """Write a complete distribution for a flavor called *name*, as ``palate-<name>`` in *directory*.

    It installs and passes the conformance kit as it is, with a stand-in for the framework; its README says what to
    replace. The distribution appears whole or not at all.

    Args:
        name: lower-case letters and digits, with single hyphens or underscores between them: ``my-framework``.
        directory: where it shall stand; created when missing.

    Raises:
        InvalidOption: the name cannot be a flavor's, or is that of another flavor.
        ProjectExists: something is there already.
        SaveFailed: the disk refused.
    """
    _check_name(name)
    words = _words(name)
    target = Path(directory, words["distribution"])
    if os.path.lexists(target):
        raise ProjectExists(str(target))
    files = {Template(file).substitute(words): _render(template, words) for file, template in FILES.items()}
    try:
        with stage(target) as staging:
            for file, text in files.items():
                _write(staging.path / file, text)
            staging.publish()
    except ModelExists as exc:  # somebody else was quicker
        raise ProjectExists(str(target)) from exc
    return FlavorProject(
        name=name,
        distribution=words["distribution"],
        package=words["package"],
        path=target,
        files=tuple(files),
    )


def _check_name(name: str) -> None:
    """Refuse a name that cannot stand everywhere a flavor's name stands: in pip, in Python and in MLmodel."""
    if not isinstance(name, str):
        raise InvalidOption("name", reason=f"it is {type(name).__name__}", hint="give it as text")
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        reason = f"{name!r:.60} is no name for a flavor"
        hint = (
            f"write it like 'my-framework': a to z, 0 to 9, single hyphens, a letter first, at most {_MAX_NAME} in all"
        )
        raise InvalidOption("name", reason=reason, hint=hint)
    taken = {_plain(other) for other in (*default_registry().names, *KNOWN_DISTRIBUTIONS, *ALIASES)}
    if _plain(name) in taken:
        reason = f"there is a flavor called '{name}' already"
        raise InvalidOption("name", reason=reason, hint="choose another one; two of one name are a conflict")


def _plain(name: str) -> str:
    """Return the name as pip and Python compare it: of ``my-flavor`` and ``my_flavor`` there can be only one."""
    return name.replace("-", "_")


def _words(name: str) -> Mapping[str, str]:
    """Return what the templates' placeholders stand for."""
    module = _plain(name)
    return {
        "name": name,
        "module": module,
        "package": f"palate_{module}",
        "standin": f"standin_{module}",
        "distribution": f"palate-{module.replace('_', '-')}",
        "class_name": "".join(part.capitalize() for part in module.split("_")),
        "palate_range": _compatible_range(metadata.version("palate")),
        "hook_api": str(HOOK_API),
    }


def _compatible_range(version: str) -> str:
    """Return the releases of Palate that promise what this one does: up to the next minor before 1.0, then major."""
    running = Version(version)
    limit = f"0.{running.minor + 1}" if running.major == 0 else f"{running.major + 1}"
    return f">={running.public},<{limit}"


def _render(template: str, words: Mapping[str, str]) -> str:
    text = Path(__file__).with_name("_skeleton").joinpath(template).read_text(encoding="utf-8")
    return Template(text).substitute(words)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
