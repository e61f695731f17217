"""Checks: the plugin itself, as the host finds and imports it."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import palate
from palate._environment.recorded import read_recorded
from palate._environment.requirements import normalise_name
from palate._flavor import Flavor
from palate._plugin_record import FlavorRecord
from palate._registry import default_registry
from palate.hookspecs import HOOK_API
from palate.testing._processes import child_environment
from palate.testing._subject import Saved, Subject, unremarked

__all__ = ["PluginChecks"]

_RUNS = 5
_UPPER_LIMITS = {"<", "<=", "==", "===", "~="}
_ALWAYS_THERE = {"palate"}  # which a flavor of Python code claims classes of
# Printed by a process that has only Palate: milliseconds for the plugin, and the top-level modules that came with it.
_IMPORT = """
import json, sys, time
import palate.hookspecs, palate.errors, palate.schema, palate.signature
from palate._registry import default_registry
registry = default_registry()
known, start = set(sys.modules), time.process_time()
registry.get(sys.argv[1])
print(json.dumps([1000 * (time.process_time() - start), sorted(set(sys.modules) - known)]))
"""
_INSPECT = """
import json, sys
import palate
info = palate.inspect_model(sys.argv[1])
assert info.flavor == sys.argv[2], info.flavor
print(json.dumps(sorted(sys.modules)))
"""


class PluginChecks(Subject):
    """The plugin is a good guest."""

    @pytest.fixture
    def record(self) -> FlavorRecord:
        """What ``palate flavors list`` shows of the plugin."""
        records = [r for r in default_registry().records() if r.name == self._flavor_name() and r.kind == "flavor"]
        if len(records) != 1:
            pytest.fail(f"{len(records)} plugins that are found here are called '{self._flavor_name()}', not one")
        return records[0]

    def test_plugin_is_active(self, record: FlavorRecord) -> None:
        """The plugin is found and activated without a complaint: what is broken is only listed."""
        assert record.status == "ok", record.error

    def test_hook_api_is_stated(self, activated: Flavor) -> None:
        """The plugin says which version of the hooks it was written for, so that a later host can adapt to it."""
        stated = getattr(activated.plugin, "HOOK_API", None)
        assert stated in range(1, HOOK_API + 1), f"HOOK_API is {stated!r}; set it to {HOOK_API}"

    def test_import_brings_no_framework(self, activated: Flavor) -> None:
        """Importing the plugin imports neither its framework nor numpy: the host asks all plugins who owns a model."""
        _, modules = self._imported()
        heavy = {*activated.packages, "numpy", "pandas"} - _ALWAYS_THERE
        brought = sorted({name.partition(".")[0] for name in modules} & heavy)
        brought += [kind.rpartition(".")[0] for kind in activated.types if kind.rpartition(".")[0] in modules]
        assert not brought, f"imported with the plugin: {', '.join(brought)}; import them inside the hooks"

    def test_import_is_quick(self) -> None:
        """Importing the plugin takes a blink: it stands between the user and every command."""
        needed = []
        for _ in range(_RUNS):  # the machine may be busy
            needed.append(self._imported()[0])
            if needed[-1] < self.import_budget_ms:
                return
        pytest.fail(f"{min(needed):.0f} ms at best, of {self.import_budget_ms:.0f} allowed: import inside the hooks")

    def test_inspecting_imports_no_framework(self, saved: Saved, activated: Flavor) -> None:
        """Looking at a directory imports no framework and runs nothing: people look before they trust."""
        modules = json.loads(_run(_INSPECT, str(saved.path), self.flavor))
        brought = sorted({name.partition(".")[0] for name in modules} & (set(activated.packages) - _ALWAYS_THERE))
        assert not brought, f"imported by inspecting: {', '.join(brought)}"

    def test_model_is_owned(self, saved: Saved, activated: Flavor) -> None:
        """The model's class belongs to this flavor, so that users need not name it when they save."""
        if not activated.packages and not activated.types:
            pytest.skip("the flavor claims no classes: its models are saved with flavor='...'")
        assert default_registry().owner_of(saved.native).name == activated.name

    def test_dependencies_are_declared(self, record: FlavorRecord, activated: Flavor) -> None:
        """The distribution depends on releases of Palate up to a next one, and on some of its framework, so that pip
        brings what works."""
        try:
            lines = importlib.metadata.requires(record.distribution) or []
        except importlib.metadata.PackageNotFoundError:
            pytest.skip("the plugin is a file or an object, which no distribution brings")
        needed = {normalise_name(r.name): r.specifier for r in map(Requirement, lines) if r.marker is None}
        own = normalise_name(record.distribution)
        if own != "palate":
            assert "palate" in needed, "it does not depend on palate"
            limits = {specifier.operator for specifier in needed["palate"]} & _UPPER_LIMITS
            assert limits, "it takes any later version of palate; write palate>=X.Y,<Z"
        providers = importlib.metadata.packages_distributions()
        for package in activated.packages:
            names = {normalise_name(name) for name in providers.get(package, ())}
            if not names or own in names:
                continue
            found = names & needed.keys()
            assert found, (
                f"it does not depend on what brings '{package}', as it is installed; after a change of pyproject.toml "
                "install it again"
            )
            loose = sorted(name for name in found if not needed[name])
            assert not loose, f"it takes any version of {', '.join(loose)}; write which ones it was tried with"

    def test_promises_begin_with_the_framework(self, saved: Saved, activated: Flavor) -> None:
        """What VERSION_PROMISES names first is among the model's requirements, by that very name: of another one, such
        as that of a module, no version is ever compared."""
        promises = activated.promises(saved.section, needs_trust=saved.trust)
        if not promises:
            pytest.skip("the flavor states no promises for this format")
        first = next(iter(promises))
        names = sorted(requirement.name for requirement in read_recorded(saved.path).requirements)
        found = normalise_name(first) in map(normalise_name, names)
        assert found, f"no requirement of the model is called '{first}'; there are {', '.join(names) or 'none'}"

    def test_private_names_are_left_alone(self, activated: Flavor) -> None:
        """The plugin uses public names of Palate only: those with an underscore may change in any release."""
        private = [f"{file.name}: {name}" for file in _sources(activated) for name in _private_imports(file)]
        assert not private, f"private names are imported: {', '.join(private)}"

    def test_samples_predict(self, activated: Flavor, tmp_path: Path) -> None:
        """The sample models, if there are any, can be saved and predict on their samples: newcomers see them first."""
        samples = activated.sample_models()
        if not samples:
            pytest.skip("the flavor offers no sample models")
        for number, (name, sample) in enumerate(samples.items()):
            assert sample.description, f"{name} has no description"
            with unremarked():
                info = palate.save_model(
                    sample.model, tmp_path / str(number), flavor=activated.name, input_example=sample.sample
                )
            assert info.golden == "stored", f"{name}: {info.golden}"

    def _imported(self) -> tuple[float, list[str]]:
        milliseconds, modules = json.loads(_run(_IMPORT, self._flavor_name()))
        return milliseconds, modules


def _run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=child_environment(),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


def _sources(activated: Flavor) -> Sequence[Path]:
    """Return the files of the plugin's package."""
    file = getattr(activated.plugin, "__file__", None)
    if file is None:
        return ()
    return sorted(Path(file).parent.rglob("*.py")) if Path(file).name == "__init__.py" else [Path(file)]


def _private_imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names: list[Any] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "palate" and any(part.startswith("_") for part in parts[1:]):
                yield name
