"""The environment that a model directory records, read from its files whoever wrote them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from palate._disk.paths import read_small
from palate._disk.strict_yaml import read_yaml
from palate._environment.environment import ENVIRONMENT_FILES
from palate._environment.lock import LOCK_FILE, Lock
from palate._environment.pylock import LARGEST_LOCK, read_pylock
from palate._environment.requirements import (
    CONSTRAINTS_FILE,
    CONSTRAINTS_LINE,
    MAX_LINES,
    REQUIREMENTS_FILE,
    normalise_name,
    parse_constraint,
    parse_requirement,
    read_lines,
)
from palate.errors import InvalidModelFile, InvalidOption, InvalidRequirement, PalateError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = [
    "PYTHON_VERSION",
    "RecordedEnvironment",
    "RefusedLine",
    "is_mlflow",
    "read_lock",
    "read_recorded",
    "read_recorded_lock",
]


# As `python --version` says it; what stands here is given to programs.
PYTHON_VERSION: Final = re.compile(r"\d{1,2}\.\d{1,3}(?:\.\d{1,3})?(?:(?:a|b|rc)\d{1,3})?\+?", re.ASCII)

_PYTHON_FILE = ENVIRONMENT_FILES["virtualenv"]
_CONDA_FILE = ENVIRONMENT_FILES["conda"]
_MLFLOW = frozenset({"mlflow", "mlflow-skinny", "mlflow-tracing"})
_MAX_YAML_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedLine:
    """A line, or a whole file (None), that says nothing which may be acted on."""

    file: str
    line: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEnvironment:
    """What a model directory asks for.

    Attributes:
        python: the version of Python, or None where no file says one.
        no_python: what stands in its place and is no version.
        requirements: what has to be installed.
        left_out: the lines for itself that MLflow writes into each of its directories, which Palate opens without it.
        constraints: what else of it may not be installed.
        refused: what could not be read.
    """

    python: str | None
    no_python: str | None
    requirements: tuple[Requirement, ...]
    left_out: tuple[Requirement, ...]
    constraints: tuple[Requirement, ...]
    refused: tuple[RefusedLine, ...]


def is_mlflow(requirement: Requirement) -> bool:
    """Whether it is MLflow itself, by one of its names."""
    return normalise_name(requirement.name) in _MLFLOW


def read_recorded(directory: Path, *, python: str | None = None, by_mlflow: bool = False) -> RecordedEnvironment:
    """Return what the model in *directory* asks for; nothing is raised for files that are missing or malformed.

    Args:
        directory: the model directory.
        python: what its MLmodel says of Python, where neither python_env.yaml nor conda.yaml does.
        by_mlflow: whether stock MLflow wrote it, so that its lines for MLflow are nothing that somebody asked for.
    """
    conda_python, conda_lines = _read_conda(directory / _CONDA_FILE)
    stated = _read_python(directory / _PYTHON_FILE) or conda_python or python
    is_version = stated is not None and PYTHON_VERSION.fullmatch(stated) is not None
    refused: list[RefusedLine] = []
    lines = _read_file(directory / REQUIREMENTS_FILE, refused)
    source = REQUIREMENTS_FILE
    if lines is None:
        source, lines = _CONDA_FILE, conda_lines
    plain = [line for line in lines if line.strip() != CONSTRAINTS_LINE]
    wanted = tuple(_parse(source, plain, parse_requirement, refused))
    left_out = tuple(filter(is_mlflow, wanted)) if by_mlflow else ()
    limits = (_read_file(directory / CONSTRAINTS_FILE, refused) or []) if len(plain) < len(lines) else []
    return RecordedEnvironment(
        python=stated if is_version else None,
        no_python=None if is_version else stated,
        requirements=tuple(line for line in wanted if line not in left_out),
        left_out=left_out,
        constraints=tuple(_parse(CONSTRAINTS_FILE, limits, parse_constraint, refused)),
        refused=tuple(refused),
    )


def read_lock(directory: Path) -> Lock | None:
    """Return the lock of the model in *directory*, or None where there is none.

    Raises:
        InvalidModelFile, UnsafePath, ModelNotFound: it cannot be used.
    """
    path = directory / LOCK_FILE
    return read_pylock(read_small(path, LARGEST_LOCK)) if os.path.lexists(path) else None


def read_recorded_lock(directory: Path) -> Lock | RefusedLine | None:
    """Return the lock of the model in *directory*, why it cannot be used, or None where there is none."""
    try:
        return read_lock(directory)
    except InvalidModelFile as exc:
        return RefusedLine(file=LOCK_FILE, line=None, reason=str(exc.problems[0]))
    except PalateError:
        return RefusedLine(file=LOCK_FILE, line=None, reason="it is no ordinary file that can be read")


def _read_file(path: Path, refused: list[RefusedLine]) -> list[str] | None:
    """Return the lines of a file; None where there is none, and what cannot be read is told in *refused*."""
    if not os.path.lexists(path):
        return None
    if path.is_symlink() or not path.is_file():
        refused.append(RefusedLine(file=path.name, line=None, reason="it is no ordinary file"))
        return []
    try:
        return read_lines(path)
    except InvalidOption as exc:
        refused.append(RefusedLine(file=path.name, line=None, reason=exc.reason))
        return []


def _parse(
    file: str, lines: Iterable[str], parse: Callable[[str], Requirement | None], refused: list[RefusedLine]
) -> Iterator[Requirement]:
    for number, line in enumerate(lines):
        if number >= MAX_LINES:
            reason = f"only the first {MAX_LINES} lines were read"
            refused.append(RefusedLine(file=file, line="...", reason=reason))
            return
        try:
            requirement = parse(line)
        except InvalidRequirement as exc:
            refused.append(RefusedLine(file=file, line=exc.line, reason=exc.reason))
        else:
            if requirement is not None:
                yield requirement


def _read_document(path: Path) -> dict[str, object]:
    try:
        document = read_yaml(read_small(path, _MAX_YAML_BYTES), source=path.name)
    except PalateError:  # there is none, or nobody could read it
        return {}
    return document if isinstance(document, dict) else {}


def _read_python(path: Path) -> str | None:
    python = _read_document(path).get("python")
    # One that is no text has two parts only, and YAML has made 3.1 of 3.10.
    return python if isinstance(python, str) else None


def _read_conda(path: Path) -> tuple[str | None, list[str]]:
    """Return conda.yaml's Python, and the lines that it hands on to pip."""
    parts = _read_document(path).get("dependencies")
    python, lines = None, list[str]()
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, str) and part.startswith("python="):
            python = part.removeprefix("python=").lstrip("=") or None
        elif isinstance(part, dict) and isinstance(part.get("pip"), list):
            lines += [line for line in part["pip"] if isinstance(line, str)]
    return python, lines
