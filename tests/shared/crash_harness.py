"""Commands under strace: killed at, or told of an error by, each system call of theirs that matters, one run for each.

A command leaves marks around what it is watched doing, by asking for files that do not exist: ``os.stat`` of
``/PALATE-MARK-BEGIN`` and ``/PALATE-MARK-END``. It has to make the same calls in every run, all of them in its first
thread: that is the one watched.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = [
    "Fault",
    "Point",
    "Scenario",
    "list_points",
    "python_command",
    "run_faults",
    "strace",
    "strace_problem",
    "traced",
]

_SHRINKS: Final = {"rmdir", "unlink", "unlinkat"}
_GROWS: Final = {
    *("copy_file_range", "fallocate", "fdatasync", "fsync", "ftruncate", "link", "linkat", "mkdir", "mkdirat"),
    *("pwrite64", "rename", "renameat", "renameat2", "sendfile", "symlink", "symlinkat", "write", "writev"),
}
_MAY_CHANGE: Final = {"openat"}  # if they create
_ALSO: Final = {"flock"}
_MARKS: Final = {"newfstatat", "stat"}
_TRACED: Final = sorted(_GROWS | _SHRINKS | _MAY_CHANGE | _ALSO | _MARKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is run again and again, each time in an empty directory of its own.

    Attributes:
        command: returns the command line that works in a directory.
        prepare: puts into a directory what has to be there before.
        always: what strace injects in every run besides, such as ``renameat2:error=ENOSYS``.
    """

    command: Callable[[Path], Sequence[str]]
    prepare: Callable[[Path], object] = lambda _: None
    always: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """The *count*-th call of *name*, and whether it changes the disk."""

    name: str
    count: int
    changes: bool

    def faults(self) -> list[Fault]:
        """Return what may go wrong there."""
        kinds = ["error=EIO"]
        if self.changes:
            kinds.insert(0, "signal=KILL")
            kinds += ["error=ENOSPC"] if self.name not in _SHRINKS else []
        return [Fault(self, kind) for kind in kinds]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is made to happen at a point, in strace's words: ``signal=KILL``, ``error=EIO``, ``error=ENOSPC``."""

    point: Point
    kind: str

    def __str__(self) -> str:
        return f"{self.point.name}:{self.kind}:when={self.point.count}"

    @property
    def kills(self) -> bool:
        """Whether the process does not get to hear of it."""
        return self.kind == "signal=KILL"


def run_faults(
    scenario: Scenario,
    places: Path,
    check: Callable[[Fault, int, Path], object],
    *,
    chosen: Callable[[Fault], bool] = lambda _: True,
) -> list[str]:
    """Run the scenario once for every fault, and return what *check* did not like, each in a line.

    Args:
        scenario: what to run.
        places: where the directories of the runs are made. Those of which nothing was wrong are removed.
        check: raises if what it finds is wrong; given the fault, the exit code, and the run's directory.
        chosen: which faults to try.
    """
    points = list_points(scenario, _scene(scenario, places / "dry"))
    faults = [fault for point in points for fault in point.faults() if chosen(fault)]
    assert len(faults) > 10, "the command was not traced"

    def run_one(numbered: tuple[int, Fault]) -> str | None:
        number, fault = numbered
        place = _scene(scenario, places / f"run-{number}")
        command = traced(scenario, place, str(fault))
        code = subprocess.run(command, capture_output=True).returncode
        try:
            check(fault, code, place)
        except Exception as exc:
            return f"{fault} (exit {code}): {type(exc).__name__} {exc}"
        shutil.rmtree(place)
        return None

    with ThreadPoolExecutor(4) as pool:
        return [found for found in pool.map(run_one, enumerate(faults)) if found]


def _scene(scenario: Scenario, place: Path) -> Path:
    place.mkdir(parents=True)
    scenario.prepare(place)
    return place


def list_points(scenario: Scenario, place: Path) -> list[Point]:
    """Run the scenario as it is, in a prepared place, and return its calls between the marks."""
    log = place.with_name(f"{place.name}.log")  # not in the place: that is the command's
    subprocess.run(traced(scenario, place, log=log), check=True, capture_output=True)
    points: list[Point] = []
    counts: dict[str, int] = {}
    started = False
    for line in log.read_text().splitlines():
        call = re.match(r"(\w+)\(", line)
        name = call[1] if call else ""
        counts[name] = counts.get(name, 0) + 1
        if "PALATE-MARK-BEGIN" in line:
            started = True
        elif "PALATE-MARK-END" in line:
            return points
        elif started and name and name not in _MARKS:
            changes = "O_CREAT" in line if name in _MAY_CHANGE else name not in _ALSO
            points.append(Point(name, counts[name], changes))
    raise AssertionError("the command did not come to its end")


# -- strace ------------------------------------------------------------------------------------------------------------


@functools.cache
def strace_problem() -> str | None:
    """Return why processes cannot be traced here, or None if they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True).returncode:
        return "strace may not trace processes here"
    return None


def traced(scenario: Scenario, place: Path, *injections: str, log: Path | str | None = "/dev/null") -> list[str]:
    """Return the scenario's command in *place* under strace; None lets strace write to the command's standard error."""
    # strace takes one injection per call name: the one at hand goes first.
    taken = {injection.partition(":")[0] for injection in injections}
    kept = [injection for injection in scenario.always if injection.partition(":")[0] not in taken]
    return [*strace(_TRACED, *kept, *injections, log=log), *scenario.command(place)]


def strace(names: Iterable[str], *injections: str, log: Path | str | None = "/dev/null") -> list[str]:
    """Return the beginning of a command line that traces calls of these names, and injects that."""
    trace = ",".join(f"?{name}" for name in names)  # not every machine has every one
    faults = [part for injection in injections for part in ("-e", f"inject={injection}")]
    return ["strace", "-qq", *(["-o", str(log)] if log else []), "-e", f"trace={trace}", *faults]


def python_command(cache: Path, script: Path, *arguments: object) -> list[str]:
    """Return the command line of a script that starts fast and makes the same calls in every run.

    It has no site-packages. Compiled modules are kept in *cache*; the first run fills it, and is not like the others.
    """
    python = [sys.executable, "-S", "-E", "-X", f"pycache_prefix={cache}"]
    return [*python, str(script), *map(str, arguments)]
