"""``palate flavors list``: every plugin with its state, for people and for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from os import environ, pathsep
from pathlib import Path

import pytest
from plugin_site import GOOD, PluginSite

from palate.flavors import FlavorRecord

List = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def list_flavors(tmp_path: Path) -> List:
    """Run the command where a sound, a broken, a local and a missing flavor are, of which the list allows some."""
    (tmp_path / "site").mkdir()
    site = PluginSite(tmp_path / "site")
    site.install("one", "alpha", GOOD.format(package="decimal"))
    site.install("two", "beta", "raise OSError('no\\nluck')")
    site.install("three", "gamma", GOOD.format(package="fractions"))
    (tmp_path / "delta.py").write_text(
        GOOD.format(package="d").replace("FORMATS", "FORMATS_NEEDING_TRUST = FORMATS", 1)
    )
    plugins = pathsep.join([str(tmp_path / "delta.py"), str(tmp_path / "gone.py")])
    variables = {"PYTHONPATH": str(site.folder), "PALATE_PLUGINS": plugins, "PALATE_ALLOWED_PLUGINS": "one,two,tree"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "palate", "flavors", "list", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, env={**environ, **variables})

    return run


def test_the_table_shows_the_state_of_each(list_flavors, tmp_path) -> None:
    """Reasons, in one line each, and names in the list of allowed plugins that nothing has go to standard error."""
    done = list_flavors()
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert rows["NAME"] == ["NAME", "STATUS", "DISTRIBUTION", "OWNS", "FORMATS", "TRUST"]
    assert rows["alpha"] == ["alpha", "ok", "one", "1.2", "decimal", "text", "-"]
    assert rows["beta"] == ["beta", "broken", "two", "1.2", "-", "-", "-"]
    assert rows["gamma"] == ["gamma", "blocked", "three", "1.2", "-", "-", "-"]
    assert rows["delta"] == ["delta", "ok", str(tmp_path / "delta.py"), "d", "text", "text"]
    assert rows["gone"] == ["gone", "broken", str(tmp_path / "gone.py"), "-", "-", "-"]
    told = done.stderr.splitlines()
    assert "beta (two): OSError: no luck (plug_two.py, line 1)" in told
    assert "gamma (three): PALATE_ALLOWED_PLUGINS does not list three" in told
    assert told[-1].startswith("palate: PALATE_ALLOWED_PLUGINS lists tree, and no installed plugin")


def test_programs_get_everything(list_flavors) -> None:
    """Each record has all its fields, under their own names."""
    listed = {record["name"]: record for record in json.loads(list_flavors("--json").stdout)}
    for record in listed.values():
        assert list(record) == [field.name for field in fields(FlavorRecord)]
    assert listed["delta"]["formats_needing_trust"] == ["text"]
    assert sorted(listed["alpha"]["hooks"]) == sorted(
        ["save_model", "load_model", "predict", "methods", "requirements", "executes_code"]
    )
    assert listed["python_function"]["formats_needing_trust"] == ["cloudpickle"]
