"""The environment a model needs: captured from evidence, written as MLflow's three environment files.

Evidence is what the flavor says, plus the distributions of the modules that user code imports or that a pickle names.
Nothing is imported, started or fetched to find it.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from palate._disk.paths import read_small
from palate._disk.strict_yaml import read_yaml, write_yaml
from palate._environment.distributions import find_providers, installed_version, pin_installed
from palate._environment.requirements import (
    merge_requirements,
    normalise_name,
    parse_requirement,
    parse_requirements,
    read_lines,
    read_requirements,
    refuse_conflicts,
)
from palate.errors import InvalidOption, InvalidRequirement, PalateError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["ENVIRONMENT_FILES", "Environment", "capture_environment", "compare_requirements", "write_environment"]

# What MLmodel calls the files for environments, by their managers.
ENVIRONMENT_FILES = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}

_BUILD_TOOLS = ("pip", "setuptools", "wheel")
# MLflow asks for itself in every directory it writes, and Palate opens those without it.
_NOT_MISSED = frozenset({"mlflow", "mlflow-skinny", "mlflow-tracing"})
_MAX_DIFFERENCES = 20
_MAX_PYTHON_ENV_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What has to be installed for a model to run.

    Attributes:
        python: the version of Python, such as ``"3.11.7"``.
        requirements: plain PEP 508 requirements, sorted by name, one per line of requirements.txt.
        build_tools: what installs them: pip, setuptools and wheel.
        unresolved: imported modules that no installed distribution provides; another machine would miss them.
        unpublished: distributions installed in place or from a local file; their version is written, but an index
            may not have it.
    """

    python: str
    requirements: tuple[str, ...] = ()
    build_tools: tuple[str, ...] = _BUILD_TOOLS
    unresolved: tuple[str, ...] = ()
    unpublished: tuple[str, ...] = ()


def capture_environment(
    *,
    flavor_requirements: Sequence[str],
    modules: Iterable[str],
    requirements: Sequence[str] | str | os.PathLike[str] | None = None,
    extra_requirements: Sequence[str] | str | os.PathLike[str] | None = None,
    own_modules: Iterable[str] = (),
) -> Environment:
    """Return the environment of a model that is being saved by this Python.

    Args:
        flavor_requirements: what the flavor says that loading needs.
        modules: modules that user code imports or pickles name; dotted names tell namespace packages apart.
        requirements: replaces all evidence: a list of requirements, or the path of a requirements file.
        extra_requirements: is added; for a package named twice, the requirement given here counts.
        own_modules: top-level modules that the model's own code brings along.

    Raises:
        InvalidRequirement: a line is not one plain requirement, or two lines of the caller pin one package differently.
        InvalidOption: a requirements file cannot be read.
    """
    extra = () if extra_requirements is None else read_requirements(extra_requirements)
    unresolved: list[str] = []
    unpublished: list[str] = []
    if requirements is None:
        providers, unresolved = find_providers(modules, own_modules)
        seen = parse_requirements(provider.requirement for provider in providers)
        base = merge_requirements(seen, parse_requirements(flavor_requirements))
        unpublished = [provider.name for provider in providers if not provider.published]
    else:
        base = read_requirements(requirements)
        refuse_conflicts((*base, *extra))
    return Environment(
        python=platform.python_version(),
        requirements=tuple(map(str, merge_requirements(base, extra))),
        build_tools=tuple(map(pin_installed, _BUILD_TOOLS)),
        unresolved=tuple(unresolved),
        unpublished=tuple(unpublished),
    )


def _conda_document(environment: Environment) -> dict[str, object]:
    pip = next((tool for tool in environment.build_tools if tool.partition("=")[0] == "pip"), "pip")
    dependencies: list[object] = [f"python={environment.python}", pip.replace("==", "<=")]
    if environment.requirements:
        dependencies.append({"pip": list(environment.requirements)})
    # conda-forge alone: Anaconda's own channel asks companies for a licence.
    return {"name": "palate-env", "channels": ["conda-forge"], "dependencies": dependencies}


def write_environment(environment: Environment, directory: Path) -> None:
    """Write requirements.txt, and the ENVIRONMENT_FILES that lead to it.

    Raises:
        OSError: the disk refused.
    """
    python_env = {
        "python": environment.python,
        "build_dependencies": list(environment.build_tools),
        "dependencies": ["-r requirements.txt"],
    }
    files = {
        "requirements.txt": "\n".join(environment.requirements),
        ENVIRONMENT_FILES["virtualenv"]: write_yaml(python_env),
        ENVIRONMENT_FILES["conda"]: write_yaml(_conda_document(environment)),
    }
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8", newline="\n")


# -- is what a model asks for installed here? ------------------------------------------------------------------------


def _python_difference(path: Path) -> str | None:
    try:
        document = read_yaml(read_small(path, _MAX_PYTHON_ENV_BYTES), source=path.name)
    except PalateError:
        return None
    wanted = document.get("python") if isinstance(document, dict) else None
    here = platform.python_version()
    # Bytecode and wheels are tied to the minor version; patch releases keep both. A version that is no text has two
    # parts only, and YAML has made 3.1 of 3.10.
    if not isinstance(wanted, str) or wanted.split(".")[:2] == here.split(".")[:2]:
        return None
    return f"Python {wanted:.20} is required, {here} is running"


def _admits(requirement: Requirement, version: str) -> bool:
    from packaging.version import InvalidVersion

    try:
        return requirement.url is not None or requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:  # installed long ago, with a version from before PEP 440
        return False


def _line_difference(line: str) -> str | None:
    try:
        requirement = parse_requirement(line)
    except InvalidRequirement as exc:
        return str(exc)
    if requirement is None or normalise_name(requirement.name) in _NOT_MISSED:
        return None
    if requirement.marker is not None and not requirement.marker.evaluate():
        return None
    version = installed_version(requirement.name)
    if version is None:
        return f"{requirement} is required and not installed"
    return None if _admits(requirement, version) else f"{requirement} is required, {version} is installed"


def compare_requirements(directory: Path) -> list[str]:
    """Return, in sentences, how this Python differs from what the model in *directory* asks for.

    Nothing is raised for files that are missing or malformed: this explains other failures. A line that is not a plain
    requirement is reported as a difference, a missing requirements.txt asks for nothing.
    """
    differences = [_python_difference(directory / ENVIRONMENT_FILES["virtualenv"])]
    path = directory / "requirements.txt"
    if path.is_file() and not path.is_symlink():
        try:
            differences += map(_line_difference, read_lines(path))
        except InvalidOption as exc:
            differences.append(str(exc))
    found = [difference for difference in differences if difference]
    rest = len(found) - _MAX_DIFFERENCES
    return found if rest <= 0 else [*found[:_MAX_DIFFERENCES], f"{rest} more"]
