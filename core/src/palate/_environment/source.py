"""Where a model comes from: the commit of the code that made it, the lock of its project, the MLflow run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palate._environment.lock import CREATED_BY, LOCK_FILE
from palate.errors import InvalidOption

__all__ = ["UV_LOCK", "Source", "active_run_id", "check_run_id", "find_lock", "find_source"]

UV_LOCK: Final = "uv.lock"

_HEAD_BYTES = 400  # of a lock, before the first package
_TIMEOUT_S = 5.0
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}")  # MLflow's own rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The state of the repository that a model was saved from.

    Attributes:
        commit: the full hash of HEAD.
        dirty: whether tracked files differ from that commit; None when git could not tell.
    """

    commit: str
    dirty: bool | None


def _ask_git(executable: str, folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None if it fails for whatever reason."""
    command = [
        executable,
        "--no-optional-locks",  # never makes a lock file that another git would stumble over
        "-c",
        "core.fsmonitor=false",  # a repository's own configuration could name a program here
        "-C",
        str(folder),
        *arguments,
    ]
    try:
        finished = subprocess.run(  # noqa: S603 -- no shell, and nothing in the list comes from a model
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
            env={**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return finished.stdout.decode("utf-8", "replace")


def find_source(start: Path) -> Source | None:
    """Return the commit that *start* stands at, or None when git is missing or knows none.

    Only the hash and the dirty flag are taken: no remote (its URL may hold a password), no path, no author. Files that
    git does not track do not count as dirty, or each model saved inside a checkout would make the next one dirty.
    """
    executable = shutil.which("git")
    if executable is None:
        return None
    folder = start if start.is_dir() else start.parent
    commit = (_ask_git(executable, folder, "rev-parse", "--verify", "--quiet", "HEAD^{commit}") or "").strip()
    if not _COMMIT.fullmatch(commit):
        return None
    # A submodule's own changes would start git inside it; that it stands at another commit is seen without.
    options = ("--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
    changes = _ask_git(executable, folder, "status", *options)
    return Source(commit=commit, dirty=None if changes is None else bool(changes.strip()))


def find_lock(start: Path) -> Path | None:
    """Return the lock of the project that *start* lies in: the nearest above it, up to the repository's folder."""
    folder = (start if start.is_dir() else start.parent).absolute()
    home = Path(os.path.expanduser("~"))  # where there is none, "~" itself, which is no folder above another
    for place in (folder, *folder.parents):
        if found := _lock_in(place):
            return found
        if place == home or (place / ".git").exists():
            return None
    return None


def _lock_in(folder: Path) -> Path | None:
    for name in (UV_LOCK, LOCK_FILE):
        if _is_of_a_project(folder / name):
            return folder / name
    # PEP 751 also has pylock.<name>.toml; of several, nothing says which is meant.
    named = filter(_is_of_a_project, folder.glob("pylock.*.toml")) if (folder / "pyproject.toml").is_file() else ()
    found = list(named)
    return found[0] if len(found) == 1 else None


def _is_of_a_project(lock: Path) -> bool:
    """Tell whether a lock is there, and not one of Palate's own, which ``palate env export`` writes of one model."""
    if not lock.is_file():
        return False
    try:
        with lock.open("rb") as file:
            return CREATED_BY.encode() not in file.read(_HEAD_BYTES)
    except OSError:  # which whoever reads all of it tells
        return True


def check_run_id(run_id: object) -> str:
    """Return *run_id* if it has the form of an MLflow run id.

    Raises:
        InvalidOption: it does not.
    """
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        raise InvalidOption(
            "run_id",
            reason="a run id has up to 256 letters, digits, '-' and '_', and starts with a letter or digit",
            hint="pass the id of an MLflow run, or unset MLFLOW_RUN_ID if it came from there",
        )
    return run_id


def active_run_id(environ: Mapping[str, str]) -> str | None:
    """Return the id of the MLflow run that *environ* names in MLFLOW_RUN_ID, or None.

    Raises:
        InvalidOption: it is set to something that is no run id.
    """
    run_id = environ.get("MLFLOW_RUN_ID", "")
    return check_run_id(run_id) if run_id else None
