"""The environment a model needs, and the files that say so: MLflow's three, and what goes with them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate._disk.strict_yaml import write_yaml
from palate._environment.declared import IndexOptions
from palate._environment.local_wheels import LocalWheel
from palate._environment.lock import LOCK_FILE, WHEELS_FOLDER
from palate._environment.pylock import write_pylock
from palate._environment.requirements import CONSTRAINTS_FILE, CONSTRAINTS_LINE, REQUIREMENTS_FILE

if TYPE_CHECKING:
    from palate._environment.project_lock import ProjectLock

__all__ = ["BUILD_TOOLS", "ENVIRONMENT_FILES", "Environment", "environment_facts", "write_environment"]

# What MLmodel calls the files for environments, by their managers.
ENVIRONMENT_FILES = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}

BUILD_TOOLS = ("pip", "setuptools", "wheel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What has to be installed for a model to run.

    Attributes:
        python: the version of Python, such as ``"3.11.7"``.
        requirements: plain PEP 508 requirements, sorted by name, one per line of requirements.txt.
        constraints: bounds on the versions of what these bring along.
        index_options: where the caller's requirements were fetched from; recorded to be shown.
        build_tools: what installs them: pip, setuptools and wheel.
        local_labels: local labels of installed versions, such as ``cpu``, that *requirements* goes without, by name.
        wheels: wheel files to come with the model.
        lock: the part of the project's lock that the model needs.
        unresolved: imported modules that no installed distribution provides; another machine would miss them.
        unpublished: distributions whose version is written, though an index may not have it: they were installed in
            place, or from a folder, an archive or an address.
        warnings: what the caller should know, in sentences.
    """

    python: str
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    index_options: IndexOptions = field(default_factory=IndexOptions)
    build_tools: tuple[str, ...] = BUILD_TOOLS
    local_labels: Mapping[str, str] = field(default_factory=dict)
    wheels: tuple[LocalWheel, ...] = ()
    lock: ProjectLock | None = None
    unresolved: tuple[str, ...] = ()
    unpublished: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of requirements.txt."""
        return (*self.requirements, CONSTRAINTS_LINE) if self.constraints else self.requirements


def environment_facts(environment: Environment) -> dict[str, Any]:
    """Return what MLmodel's ``palate:`` section says of an environment: only what there is to say."""
    facts: dict[str, Any] = {
        "index_options": environment.index_options.to_dict(),
        "local_labels": dict(sorted(environment.local_labels.items())),
        "wheels": {wheel.name: wheel.place for wheel in environment.wheels},
        "lock": {"file": LOCK_FILE, "source": environment.lock.source} if environment.lock else {},
    }
    lists = {"unresolved_modules": environment.unresolved, "unpublished_packages": environment.unpublished}
    found = {key: value for key, value in facts.items() if value}
    return {**({"environment": found} if found else {}), **{key: list(names) for key, names in lists.items() if names}}


def _conda_document(environment: Environment) -> dict[str, object]:
    pip = next((tool for tool in environment.build_tools if tool.partition("=")[0] == "pip"), "pip")
    dependencies: list[object] = [f"python={environment.python}", pip.replace("==", "<=")]
    if environment.requirements:
        dependencies.append({"pip": list(environment.lines)})
    # conda-forge alone: Anaconda's own channel asks companies for a licence.
    return {"name": "palate-env", "channels": ["conda-forge"], "dependencies": dependencies}


def write_environment(environment: Environment, directory: Path) -> None:
    """Write requirements.txt, the ENVIRONMENT_FILES that lead to it, and what the environment has besides.

    Raises:
        OSError: the disk refused, or a wheel is gone.
    """
    python_env = {
        "python": environment.python,
        "build_dependencies": list(environment.build_tools),
        "dependencies": [f"-r {REQUIREMENTS_FILE}"],
    }
    files = {
        REQUIREMENTS_FILE: "\n".join(environment.lines),
        ENVIRONMENT_FILES["virtualenv"]: write_yaml(python_env),
        ENVIRONMENT_FILES["conda"]: write_yaml(_conda_document(environment)),
    }
    if environment.constraints:
        files[CONSTRAINTS_FILE] = "\n".join(environment.constraints)
    if environment.lock is not None:
        files[LOCK_FILE] = write_pylock(environment.lock.lock)
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8", newline="\n")
    if environment.wheels:
        (directory / WHEELS_FOLDER).mkdir(exist_ok=True)
    for wheel in environment.wheels:
        shutil.copyfile(wheel.path, directory / wheel.place)
