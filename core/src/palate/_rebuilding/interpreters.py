"""Finding a Python of the version that a model asks for; every candidate is run before it is believed."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palate._environment.dependencies import find_distribution, metadata_field
from palate._environment.recorded import PYTHON_VERSION
from palate._rebuilding.commands import tool_environment
from palate.errors import InvalidOption, PythonNotFound

__all__ = ["Interpreter", "find_interpreter", "minor_version", "refuse_too_old"]

_PATIENCE_S: Final = 20.0
_QUESTION: Final = """
import json, platform, sys, sysconfig
print(json.dumps({
    "path": getattr(sys, "_base_executable", None) or sys.executable,
    "version": platform.python_version(),
    "implementation": sys.implementation.name,
    "threads": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "platform": sysconfig.get_platform(),
}))
"""
# What wheels are made for, as the question above says it.
_IMPLEMENTATION: Final = sys.implementation.name + ("t" if sysconfig.get_config_var("Py_GIL_DISABLED") else "")
_THIS: Final = Path(getattr(sys, "_base_executable", None) or sys.executable)  # outside of a virtual environment
_HINT: Final = "give a version such as '3.12', or the path of an interpreter"
_NEWEST_MINOR: Final = 20
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python that runs here.

    Attributes:
        path: its executable, which is in no virtual environment.
        version: in full, such as ``"3.12.1"``.
        implementation: ``"cpython"``, with ``"t"`` at its end where it has no global lock.
        platform: the operating system and the machine that it is built for.
    """

    path: Path
    version: str
    implementation: str
    platform: str

    @property
    def minor(self) -> str:
        """The version's first two parts, to which wheels and bytecode are tied."""
        return minor_version(self.version)

    @property
    def markers(self) -> dict[str, str]:
        """PEP 508's variables that are of this Python, and not of the machine that it shares with the running one."""
        full = self.version.removesuffix("+")
        return {"python_version": self.minor, "python_full_version": full, "implementation_version": full}


def minor_version(version: str) -> str:
    """Return a version's first two parts."""
    return ".".join(re.findall(r"\d+", version)[:2])


def find_interpreter(wanted: str | None, *, asked: str | os.PathLike[str] | None, uv: Path | None) -> Interpreter:
    """Return the interpreter to build with.

    Args:
        wanted: the version that the model asks for; None for that of this Python.
        asked: what the caller asks for instead: a version, or the path of an interpreter.
        uv: uv's executable, which knows of further interpreters. Nothing is downloaded.

    Raises:
        PythonNotFound: there is none of that minor version, or Palate does not run on it.
        InvalidOption: *asked* is neither a version nor an interpreter.
    """
    version = wanted or platform.python_version()
    if asked is not None:
        text = os.fspath(asked)
        if not isinstance(asked, str) or not PYTHON_VERSION.fullmatch(text):
            return _check_runs_palate(_named_interpreter(text))
        version = text
    refuse_too_old(version)
    found: Interpreter | None = None
    for candidate in _candidates(version, uv):
        probed = _probe(candidate)
        if probed is None or probed.minor != minor_version(version) or probed.implementation != _IMPLEMENTATION:
            continue
        if probed.version == version or version == probed.minor:
            return _check_runs_palate(probed)
        found = found or probed
    if found is None:
        raise PythonNotFound(version, found=_list_found())
    return _check_runs_palate(found)


def _named_interpreter(text: str) -> Interpreter:
    path = shutil.which(text)
    probed = _probe(Path(path).absolute()) if path else None
    if probed is None:
        reason = f"{text!r:.200} is neither a version nor an interpreter that runs"
        raise InvalidOption("python", reason=reason, hint=_HINT)
    return probed


def _check_runs_palate(interpreter: Interpreter) -> Interpreter:
    refuse_too_old(interpreter.version)
    return interpreter


def refuse_too_old(version: str) -> None:
    """Raise PythonNotFound if Palate does not run on that version."""
    from packaging.specifiers import SpecifierSet

    palate = find_distribution("palate")
    needed = (metadata_field(palate, "Requires-Python") if palate else "") or ">=3.11"
    if not SpecifierSet(needed).contains(version.removesuffix("+"), prereleases=True):
        raise PythonNotFound(version, found=_list_found(), needed=needed)


def _candidates(version: str, uv: Path | None) -> Iterator[Path]:
    """Yield the places where a Python of that minor version may be, each once."""
    seen: set[str] = set()
    for path in _places(version, uv):
        if (real := os.path.realpath(path)) not in seen and os.access(path, os.X_OK):
            seen.add(real)
            yield path


def _places(version: str, uv: Path | None) -> Iterator[Path]:
    minor = minor_version(version)
    yield _THIS
    yield from _pyenv_places(minor)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder:
            yield Path(folder, f"python{minor}")
    if uv is not None:
        # Last, because it runs whatever is on PATH to find out.
        yield from _ask_uv(uv, minor)


def _ask_uv(uv: Path, version: str) -> Iterator[Path]:
    answer = _ask([str(uv), "python", "find", "--system", "--no-project", "--no-python-downloads", version])
    if answer and answer.strip():
        yield Path(answer.strip().splitlines()[-1])


def _pyenv_places(minor: str) -> Iterator[Path]:
    roots = [os.environ.get("PYENV_ROOT"), os.path.expanduser("~/.pyenv")]
    for root in dict.fromkeys(filter(None, roots)):
        found = Path(root, "versions").glob(f"{minor}.*") if minor else Path(root, "versions").glob("*")
        for folder in sorted(found, key=_version_key, reverse=True):
            yield folder / "bin" / "python3"


def _version_key(folder: Path) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", folder.name)]


def _list_found() -> list[str]:
    """Return the versions that are here, for a message."""
    from concurrent.futures import ThreadPoolExecutor

    places = [_THIS, *_pyenv_places("")]
    for minor in range(_NEWEST_MINOR, 7, -1):
        places += filter(None, (Path(path) if (path := shutil.which(f"python3.{minor}")) else None,))
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # a shim that fails takes its time for it
        versions = {interpreter.version for interpreter in pool.map(_probe, places) if interpreter}
    return sorted(versions, key=lambda text: [int(part) for part in re.findall(r"\d+", text)])


def _probe(path: Path) -> Interpreter | None:
    """Run the interpreter at *path*; None for what is none, such as a shim of a version that is not there."""
    # Without site, no .pth file of an environment runs.
    answer = _ask([str(path), "-I", "-S", "-c", _QUESTION])
    try:
        facts = json.loads(answer or "")
        name = facts["implementation"] + ("t" if facts["threads"] else "")
        return Interpreter(
            path=Path(facts["path"]), version=facts["version"], implementation=name, platform=facts["platform"]
        )
    except (ValueError, LookupError, TypeError):
        return None


def _ask(command: list[str]) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 -- no shell; an interpreter that the host has
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=True,
            cwd="/",
            env=tool_environment(os.environ),
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")
