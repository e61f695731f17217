"""Running the tools that build environments: argument lists, no shell, nothing that could wait for a keyboard."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from palate._environment.requirements import hide_credentials
from palate.errors import EnvironmentFailed

__all__ = ["last_lines", "run_tool", "tool_environment"]

# They would send what is installed elsewhere, or make another Python of the one that is asked for. Where packages come
# from (an index, a proxy, a certificate) is the operator's to say, and stays.
_DROPPED: Final = frozenset(
    """
    PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_REQUIREMENT PIP_EDITABLE PIP_DRY_RUN PIP_REPORT PIP_NO_DEPS
    PIP_IGNORE_INSTALLED PIP_REQUIRE_VIRTUALENV PIP_DEST PIP_PLATFORM PIP_ABI PIP_IMPLEMENTATION PIP_PYTHON_VERSION
    PIP_LOG UV_PYTHON UV_SYSTEM_PYTHON UV_MANAGED_PYTHON UV_NO_MANAGED_PYTHON UV_PROJECT UV_PROJECT_ENVIRONMENT
    UV_WORKING_DIRECTORY UV_VENV_SEED UV_VENV_CLEAR UV_VENV_RELOCATABLE VIRTUAL_ENV CONDA_PREFIX __PYVENV_LAUNCHER__
    """.split()
)
_SET: Final = {
    # A configuration file may say otherwise.
    "PIP_USER": "0",
    "PIP_NO_DEPS": "0",
    "PIP_NO_INPUT": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_COLOR": "1",
    "NO_COLOR": "1",
    "UV_NO_PROGRESS": "1",
    "UV_PYTHON_DOWNLOADS": "never",
}
_PYTHONS_OWN: Final = re.compile(r"PYTHON[A-Z0-9]+")
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Of Python's own, the last line says what happened.
_TRACEBACKS: Final = re.compile(r"^Traceback \(most recent call last\):\n(?:[ \t]+.*\n)*", re.MULTILINE)
_MAX_LINES: Final = 15
_MAX_LINE: Final = 500


def tool_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables for a tool: without those that would lead it elsewhere."""
    kept = {name: value for name, value in environ.items() if name not in _DROPPED}
    return {name: value for name, value in kept.items() if not _PYTHONS_OWN.fullmatch(name)} | _SET


def last_lines(*texts: str) -> list[str]:
    """Return what a tool said last, fit for a message: no colours, no passwords, not long."""
    text = _TRACEBACKS.sub("", next((text for text in texts if text.strip()), ""))
    lines = [hide_credentials(_ESCAPES.sub("", line)).strip() for line in text.splitlines()]
    # What pip warns of is seldom what it failed of.
    said = [line for line in lines if line and not line.startswith(("WARNING:", "[notice]"))] or lines
    return [line[:_MAX_LINE] for line in said if line][-_MAX_LINES:]


def run_tool(
    command: Sequence[str | Path],
    *,
    step: str,
    folder: Path,
    hint: str,
    lock: int | None = None,
    accepted: Sequence[int] = (0,),
) -> str:
    """Run *command* to its end and return what it printed.

    Args:
        command: the program and its arguments.
        step: what it is for, in words that follow "could not".
        folder: where it runs, so that files which lie about where the user stands mean nothing.
        hint: what to do when it fails.
        lock: a descriptor that it shares, so that the lock is held until it has ended, too.
        accepted: the exit codes of success; other ones than 0 only if something was printed.

    Raises:
        EnvironmentFailed: it failed, with the last lines that it said.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 -- no shell, and what comes from a model has been checked
            list(map(str, command)),
            cwd=folder,
            env=tool_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=() if lock is None else (lock,),
            process_group=0,
        )
    except (OSError, ValueError) as exc:
        raise EnvironmentFailed(step, output=[str(exc)], hint=hint) from exc
    with process:
        try:
            printed, complaint = (part.decode("utf-8", "replace") for part in process.communicate())
        except BaseException:
            _kill_group(process.pid)
            raise
    is_silent = process.returncode != 0 and not printed.strip()  # an interpreter that crashes ends with 1 as well
    if process.returncode not in accepted or is_silent:
        said = last_lines(complaint, printed) or [f"{Path(command[0]).name} ended with {process.returncode}"]
        raise EnvironmentFailed(step, output=said, hint=hint)
    return printed


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
