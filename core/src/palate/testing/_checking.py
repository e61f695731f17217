"""Checking an installed flavor from outside: the kit runs in another process, which the flavor may end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from palate._flavor import Flavor
from palate._registry import default_registry
from palate.errors import InvalidOption
from palate.testing._notes import Note
from palate.testing._processes import child_environment, describe_exit, end_group, last_words
from palate.testing._progress import CheckRequest
from palate.testing._report import Cases, Conformance, record_phase

__all__ = ["check_flavor"]

_PATIENCE = 600.0  # seconds within which one check has to end
_GLANCE = 0.05  # seconds between two looks at the process
# What pytest says with its exit code when it ran the checks: all passed, some failed, none were left to run.
_RAN = (0, 1, 5)
_NO_CHECKS = 5
# Found by its place, not imported: importing it trains the models.
_CASES = str(Path(__file__).with_name("_sample_cases.py"))


def check_flavor(
    name: str,
    *,
    formats: Sequence[str] = (),
    patience: float = _PATIENCE,
    follow: Callable[[str, str], None] | None = None,
) -> list[Conformance]:
    """Run the conformance kit on each model that an installed flavor registers by its hook ``sample_models``.

    A check that ends the process fails, with the signal's name, and the others go on in another one.

    Args:
        name: the flavor.
        formats: the formats to check; by default the flavor's default format.
        patience: how many seconds a single check may take.
        follow: called with the case and the name of each check as it begins.

    Returns:
        A case for each model and format.

    Raises:
        FlavorNotFound, FlavorBlocked, FlavorConflict: there is no such flavor to be used.
        FlavorBroken: it cannot be activated, or its sample models cannot be had.
        InvalidOption: it has no such format, or no sample models.
    """
    flavor = default_registry().get(name)
    if not patience > 0:
        raise InvalidOption("patience", reason=f"it is {patience!r}", hint="give a number of seconds")
    unknown = [asked for asked in formats if asked not in flavor.formats]
    if unknown:
        reason = f"the flavor '{flavor.name}' has no format {unknown[0]!r}"
        raise InvalidOption("format", reason=reason, hint=f"choose of {', '.join(flavor.formats)}")
    with tempfile.TemporaryDirectory(prefix="palate-check-") as folder:
        run = _Run(flavor, formats, Path(folder), patience, follow or (lambda _case, _check: None))
        while not run.finish():
            pass  # each time at least one check fewer is left
    return list(run.cases.values())


class _Run:
    """The checks of one flavor, in one process after the other until all have ended."""

    def __init__(
        self,
        flavor: Flavor,
        formats: Sequence[str],
        folder: Path,
        patience: float,
        follow: Callable[[str, str], None],
    ) -> None:
        self.cases: Cases = {}
        self._flavor, self._folder, self._patience, self._follow = flavor, folder, patience, follow
        self._request = CheckRequest(flavor=flavor.name, formats=list(formats), progress=str(folder / "progress.jsonl"))
        self._ended: list[str] = []
        self._begun: tuple[str, Note] | None = None

    def finish(self) -> bool:
        """Run the checks that are left; return False when the process was ended by one of them."""
        Path(self._request.progress).write_bytes(b"")
        with (self._folder / "log").open("wb") as log:
            process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                start_new_session=True,
            )
            try:
                ending = self._watch(process)
            finally:
                end_group(process)
        if ending is None and process.returncode in _RAN and self._begun is None:
            return self._all_ended(process.returncode)
        self._fail(ending or f"the process {describe_exit(process.returncode)}")
        return False

    def _all_ended(self, code: int) -> bool:
        if code == _NO_CHECKS and not self._ended:
            raise InvalidOption(
                "flavor",
                reason=f"'{self._flavor.name}' registers no sample models to check",
                hint="implement the hook sample_models, or check it by a subclass of palate.testing.FlavorContract",
            )
        return True

    def _fail(self, ending: str) -> None:
        """Take down that the check which had begun ended the process."""
        if self._begun is None:
            with (self._folder / "log").open("rb") as log:
                written = last_words(log)
            raise self._flavor.broken(f"its sample models could not be checked: {ending}; pytest wrote: {written}")
        nodeid, note = self._begun
        self._begun = None
        self._ended.append(nodeid)
        record_phase(self.cases, note, "failed", ending, 0.0)

    def _command(self) -> list[str]:
        deselected = [f"--deselect={nodeid}" for nodeid in self._ended]
        # No configuration and no plugin of whoever calls this has a say in what is checked.
        plugins = ["-p", "palate.testing.pytest_plugin", "-p", "palate.testing._progress", "-p", "no:cacheprovider"]
        places = [f"--rootdir={self._folder}", "--noconftest", f"--basetemp={self._folder / 'tmp'}"]
        nothing = ["-c", os.devnull, "--import-mode=importlib", "--tb=short", "-q"]
        return [sys.executable, "-m", "pytest", *nothing, *places, *plugins, *deselected, _CASES]

    def _environment(self) -> dict[str, str]:
        ours = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")
        kept = {name: value for name, value in child_environment().items() if name not in ours}
        return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **self._request.to_environment()}

    def _watch(self, process: subprocess.Popen[bytes]) -> str | None:
        """Follow the process to its end; return why it was ended here, or None."""
        heard, pending = time.monotonic(), ""
        with Path(self._request.progress).open(encoding="utf-8") as progress:
            while True:
                alive = process.poll() is None
                *lines, pending = (pending + progress.read()).split("\n")
                for line in lines:
                    heard = time.monotonic()
                    self._take(json.loads(line))
                if not alive:
                    return None
                if time.monotonic() - heard > self._patience:
                    return f"it did not end within {self._patience:.0f} seconds"
                time.sleep(_GLANCE)

    def _take(self, told: Mapping[str, Any]) -> None:
        if "began" in told:
            note = Note(**told["note"])
            self._begun = told["began"], note
            self._follow(note.case, note.check)
        elif "ended" in told:
            self._ended.append(told["ended"])
            self._begun = None
        else:
            record_phase(self.cases, Note(**told["note"]), told["outcome"], told["detail"], told["seconds"])
